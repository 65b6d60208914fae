/* signalr/protocol/hub_message.h - encode server messages, transport framing included.
 *
 * Each function returns a new hub_buf (one reference, the caller's) that holds one WebSocket text
 * frame with one JSON hub message and its record separator; NULL: no memory. Arguments are raw JSON
 * and are written as they stand. Facts: signalr.md 2.2, 4.1, 4.2. */
#ifndef SIGNALR_PROTOCOL_HUB_MESSAGE_H
#define SIGNALR_PROTOCOL_HUB_MESSAGE_H

#include "base/slice.h"
#include "signalr/protocol/hub_buf.h"

/* {"type":1,"target":T,"arguments":[A]}; never an invocationId. arguments: the comma-separated
 * JSON values without the brackets. */
struct hub_buf *hub_message_invocation(struct slice target, struct slice arguments);
/* The same for an argument {"msg":M,"method":"m"} or any other put together from parts: the parts
 * are written one after the other between the brackets, so nothing is copied twice. */
struct hub_buf *hub_message_invocation_parts(struct slice target, const struct slice *parts,
                                             size_t n);
struct hub_buf *hub_message_completion(struct slice invocation_id, struct slice result,
                                       struct slice error);
/* The end of a stream that went well. */
struct hub_buf *hub_message_stream_end(struct slice invocation_id);
struct hub_buf *hub_message_stream_item(struct slice invocation_id, struct slice item);
struct hub_buf *hub_message_ping(void);
struct hub_buf *hub_message_close(struct slice error, bool allow_reconnect);
struct hub_buf *hub_message_handshake(struct slice error); /* empty: success */

#endif
