/* rocketchat/rc_iso.h - what DDP sent, with its dates as texts: the reverse of rc_ejson.h.
 *
 *   {"$date":1714557600123}   becomes   "2024-05-01T10:00:00.123Z"
 *
 * wherever it stands; everything else stays byte for byte. Years outside of 0 to 9999 have no such
 * text and stay as they are. Pure, one pass. Facts: rocketchat.md 1.8. */
#ifndef ROCKETCHAT_RC_ISO_H
#define ROCKETCHAT_RC_ISO_H

#include "base/byte_buf.h"

/* Appends json, which is valid JSON, to out. Check byte_buf_failed(). */
void rc_iso_of_ejson(struct slice json, struct byte_buf *out);

#endif
