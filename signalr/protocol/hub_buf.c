#include "signalr/protocol/hub_buf.h"

#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>

struct hub_buf {
    atomic_uint refs;
    uint32_t len;
    uint64_t born_ns;
    uint64_t number;
    uint8_t bytes[];
};

struct hub_buf *hub_buf_alloc(size_t len, uint8_t **bytes)
{
    struct hub_buf *b;

    if (len > UINT32_MAX)
        return NULL;
    b = malloc(sizeof *b + len);
    if (b == NULL)
        return NULL;
    atomic_init(&b->refs, 1);
    b->len = (uint32_t)len;
    b->born_ns = 0;
    b->number = 0;
    *bytes = b->bytes;
    return b;
}

struct hub_buf *hub_buf_new(const void *bytes, size_t len)
{
    uint8_t *to;
    struct hub_buf *b = hub_buf_alloc(len, &to);

    if (b != NULL && len > 0)
        memcpy(to, bytes, len);
    return b;
}

struct hub_buf *hub_buf_ref(struct hub_buf *b)
{
    /* Relaxed: whoever refs holds a reference already, so the object can't be dying. */
    unsigned before = atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);

    assert(before > 0 && before < UINT32_MAX);
    return b;
}

void hub_buf_unref(struct hub_buf *b)
{
    unsigned before;

    if (b == NULL)
        return;
    /* Acquire and release on the one operation, not a fence: the last holder's free comes after
     * every other holder's reads, and TSan can see that. */
    before = atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel);
    assert(before > 0);
    if (before == 1)
        free(b);
}

const uint8_t *hub_buf_bytes(const struct hub_buf *b, size_t *len)
{
    *len = b->len;
    return b->bytes;
}

void hub_buf_set_born(struct hub_buf *b, uint64_t ns)
{
    b->born_ns = ns;
}

uint64_t hub_buf_born(const struct hub_buf *b)
{
    return b->born_ns;
}

void hub_buf_set_number(struct hub_buf *b, uint64_t number)
{
    b->number = number;
}

uint64_t hub_buf_number(const struct hub_buf *b)
{
    return b->number;
}
