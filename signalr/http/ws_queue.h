/* signalr/http/ws_queue.h - frames that wait to be written: a ring of references.
 *
 * A few slots lie inline, so that a connection that keeps up allocates nothing; more come from the
 * heap and go back as soon as the queue is empty. */
#ifndef SIGNALR_HTTP_WS_QUEUE_H
#define SIGNALR_HTTP_WS_QUEUE_H

#include "signalr/protocol/hub_buf.h"

enum { WS_QUEUE_INLINE = 2 };

struct ws_queue { /* zero-initialised is empty */
    struct hub_buf *_inline[WS_QUEUE_INLINE];
    struct hub_buf **_heap; /* NULL: inline */
    uint32_t _cap, _head;   /* _cap: of the heap ring, a power of two */
    uint32_t count;
    uint32_t sent; /* bytes of the first that have left */
    size_t bytes;  /* unsent, of all */
};

bool ws_queue_push(struct ws_queue *q, struct hub_buf *b); /* takes a reference; false: no memory */
struct hub_buf *ws_queue_at(const struct ws_queue *q, uint32_t i); /* borrowed; i < count */
/* The unsent bytes of the i-th. */
const uint8_t *ws_queue_bytes(const struct ws_queue *q, uint32_t i, size_t *len);
struct hub_buf *ws_queue_pop(struct ws_queue *q); /* the reference goes to the caller */
void ws_queue_free(struct ws_queue *q);

#endif
