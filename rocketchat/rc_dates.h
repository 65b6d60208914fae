/* rocketchat/rc_dates.h - a document with all its dates in one of Rocket.Chat's two forms.
 *
 *   DDP (EJSON)   {"$date":1714557600123}
 *   REST          "2024-05-01T10:00:00.123Z"
 *
 * Pure, one pass over JSON that is known to be valid; everything but the dates stays byte for byte.
 * An EJSON date is recognised wherever it stands. An ISO text is a date only as the value of a
 * member that holds one in Rocket.Chat's documents ("ts", "_updatedAt", ...): the same text in a
 * message is what somebody wrote. Years outside 0 to 9999 have no ISO form of 24 characters and
 * stay. Facts: rocketchat.md 1.8, 4. */
#ifndef ROCKETCHAT_RC_DATES_H
#define ROCKETCHAT_RC_DATES_H

#include "base/slice.h"

struct byte_buf;

enum rc_date_form { RC_DATES_EJSON, RC_DATES_ISO };

/* Appends json in that form to out; memory: byte_buf_failed(). */
void rc_dates_write(struct byte_buf *out, struct slice json, enum rc_date_form form);

#endif
