#include "signalr/http/http_counts.h"

#include "signalr/http/http_addr_table.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>

struct http_counts {
    atomic_size_t connections;
    uv_mutex_t lock; /* of addresses */
    struct http_addr_table addresses;
};

struct http_counts *http_counts_new(void)
{
    struct http_counts *c = calloc(1, sizeof *c);

    if (c != NULL && uv_mutex_init(&c->lock) != 0) {
        free(c);
        return NULL;
    }
    return c;
}

void http_counts_free(struct http_counts *c)
{
    if (c == NULL)
        return;
    assert(atomic_load(&c->connections) == 0);
    http_addr_table_free(&c->addresses);
    uv_mutex_destroy(&c->lock);
    free(c);
}

size_t http_counts_enter(struct http_counts *c)
{
    return atomic_fetch_add_explicit(&c->connections, 1, memory_order_relaxed);
}

void http_counts_leave(struct http_counts *c)
{
    atomic_fetch_sub_explicit(&c->connections, 1, memory_order_relaxed);
}

struct http_addr_slot *http_counts_take_address(struct http_counts *c, const struct http_addr *addr,
                                                unsigned max)
{
    struct http_addr_slot *slot;

    uv_mutex_lock(&c->lock);
    slot = http_addr_take(&c->addresses, addr, max);
    uv_mutex_unlock(&c->lock);
    return slot;
}

void http_counts_drop_address(struct http_counts *c, struct http_addr_slot *slot)
{
    if (slot == NULL)
        return;
    uv_mutex_lock(&c->lock);
    http_addr_drop(&c->addresses, slot);
    uv_mutex_unlock(&c->lock);
}
