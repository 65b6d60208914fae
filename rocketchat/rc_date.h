/* rocketchat/rc_date.h - Rocket.Chat's two date forms as milliseconds since 1970.
 *
 * DDP sends {"$date":1714557600123}, REST "2024-05-01T10:00:00.123Z"; either may come by either
 * road. Pure. Facts: rocketchat.md 1.8. */
#ifndef ROCKETCHAT_RC_DATE_H
#define ROCKETCHAT_RC_DATE_H

#include "base/slice.h"
#include <stdint.h>

struct json_reader;

#define RC_NO_DATE INT64_MIN

/* Consumes the value that is due. RC_NO_DATE: it is no date (null, another type, out of range). */
int64_t rc_date_read(struct json_reader *r);

/* As JavaScript's toISOString writes it. False: no year of four digits. */
enum { RC_DATE_ISO_SIZE = sizeof "2024-05-01T10:00:00.123Z" };
bool rc_date_iso(int64_t ms, char out[RC_DATE_ISO_SIZE]);
/* The same; what lies outside of the years 1970 to 9999 becomes their first or last. */
void rc_date_to_iso(int64_t ms, char out[RC_DATE_ISO_SIZE]);

/* ISO-8601 as JavaScript's toISOString writes it, fraction of 0 to 9 digits, Z or +hh:mm. */
int64_t rc_date_of_iso(struct slice text);

#endif
