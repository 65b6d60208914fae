/* rocketchat/rc_ejson.h - what REST answered, with its dates in the form of DDP.
 *
 * REST writes a date as "2024-05-01T10:00:00.123Z", DDP as {"$date":1714557600123}; which strings
 * were dates only the name of the member tells. Those of messages, subscriptions, rooms and trash
 * are known here, at any depth; whatever else a string holds is left alone, a message's text above
 * all. So a document has one form by whichever road it came (design section 5). Pure, one pass.
 *
 * Facts: rocketchat.md 1.8, section 4; IMSG, ISUB. */
#ifndef ROCKETCHAT_RC_EJSON_H
#define ROCKETCHAT_RC_EJSON_H

#include "base/byte_buf.h"

/* Appends json, which is valid JSON, to out. Check byte_buf_failed(). */
void rc_ejson_of_rest(struct slice json, struct byte_buf *out);

#endif
