#include "signalr/http/ws_queue.h"

#include <assert.h>
#include <stdlib.h>

static struct hub_buf **ring(const struct ws_queue *q)
{
    return q->_heap != NULL ? q->_heap : (struct hub_buf **)q->_inline;
}

static uint32_t capacity(const struct ws_queue *q)
{
    return q->_heap != NULL ? q->_cap : WS_QUEUE_INLINE;
}

static struct hub_buf **slot(const struct ws_queue *q, uint32_t i)
{
    return &ring(q)[(q->_head + i) & (capacity(q) - 1)];
}

static bool grow(struct ws_queue *q)
{
    uint32_t cap = capacity(q) * 4;
    struct hub_buf **heap;

    if (cap > UINT32_MAX / 4)
        return false;
    heap = malloc(cap * sizeof(struct hub_buf *));
    if (heap == NULL)
        return false;
    for (uint32_t i = 0; i < q->count; i++)
        heap[i] = *slot(q, i);
    free(q->_heap);
    q->_heap = heap;
    q->_cap = cap;
    q->_head = 0;
    return true;
}

bool ws_queue_push(struct ws_queue *q, struct hub_buf *b)
{
    size_t len;

    if (q->count == capacity(q) && !grow(q))
        return false;
    *slot(q, q->count++) = hub_buf_ref(b);
    hub_buf_bytes(b, &len);
    q->bytes += len;
    return true;
}

struct hub_buf *ws_queue_at(const struct ws_queue *q, uint32_t i)
{
    assert(i < q->count);
    return *slot(q, i);
}

const uint8_t *ws_queue_bytes(const struct ws_queue *q, uint32_t i, size_t *len)
{
    const uint8_t *bytes = hub_buf_bytes(ws_queue_at(q, i), len);

    if (i == 0) {
        bytes += q->sent;
        *len -= q->sent;
    }
    return bytes;
}

struct hub_buf *ws_queue_pop(struct ws_queue *q)
{
    struct hub_buf *b;
    size_t len;

    ws_queue_bytes(q, 0, &len);
    q->bytes -= len;
    b = *slot(q, 0);
    q->sent = 0;
    q->_head = (q->_head + 1) & (capacity(q) - 1);
    if (--q->count == 0) {
        free(q->_heap);
        q->_heap = NULL;
        q->_cap = q->_head = 0;
    }
    return b;
}

void ws_queue_free(struct ws_queue *q)
{
    while (q->count > 0)
        hub_buf_unref(ws_queue_pop(q));
}
