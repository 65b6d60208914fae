/* signalr/protocol/hub_buf.h - one encoded message, shared by every connection it goes to.
 *
 * The bytes hold the transport's framing too (a WebSocket header, for instance) and never change
 * once built. The count is atomic, because shards share the buffer. hub_buf_new() returns one
 * reference, the caller's; whoever stores the pointer takes another with hub_buf_ref(). */
#ifndef SIGNALR_PROTOCOL_HUB_BUF_H
#define SIGNALR_PROTOCOL_HUB_BUF_H

#include "base/slice.h"
#include <stdint.h>

struct hub_buf;

struct hub_buf *hub_buf_new(const void *bytes, size_t len); /* copies; NULL: no memory */
struct hub_buf *hub_buf_alloc(size_t len, uint8_t **bytes); /* to be filled before sharing */
struct hub_buf *hub_buf_ref(struct hub_buf *b);             /* returns b */
void hub_buf_unref(struct hub_buf *b);                      /* NULL is fine */
const uint8_t *hub_buf_bytes(const struct hub_buf *b, size_t *len); /* borrowed from b */

/* When the event behind it came in (uv_hrtime, ns; 0: not measured). Set before sharing; read by
 * whoever measures the way from frame in to socket write. */
void hub_buf_set_born(struct hub_buf *b, uint64_t ns);
uint64_t hub_buf_born(const struct hub_buf *b);

/* A host's number for it (hub_receipt.h); 0: none. Set before sharing. */
void hub_buf_set_number(struct hub_buf *b, uint64_t number);
uint64_t hub_buf_number(const struct hub_buf *b);

#endif
