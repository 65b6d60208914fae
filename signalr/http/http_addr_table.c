#include "signalr/http/http_addr_table.h"

#include "base/hash.h"
#include <assert.h>
#include <stdlib.h>

enum { FIRST_BUCKETS = 64 };

struct http_addr_slot {
    struct http_addr_slot *next;
    struct http_addr addr;
    unsigned held;
};

static struct http_addr counted_as(const struct http_addr *addr)
{
    static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    struct http_addr key = *addr;

    if (memcmp(key.bytes, v4_prefix, sizeof v4_prefix) != 0)
        memset(key.bytes + 8, 0, 8);
    return key;
}

static struct http_addr_slot **bucket_of(struct http_addr_slot **buckets, size_t n,
                                         const struct http_addr *key)
{
    return &buckets[hash_bytes(key->bytes, sizeof key->bytes) & (n - 1)];
}

/* Keeps the table as it is when there is no memory: chains get longer, nothing breaks. */
static void grow(struct http_addr_table *t)
{
    size_t n = t->_nbuckets == 0 ? FIRST_BUCKETS : t->_nbuckets * 2;
    struct http_addr_slot **buckets = calloc(n, sizeof(struct http_addr_slot *));

    if (buckets == NULL)
        return;
    for (size_t i = 0; i < t->_nbuckets; i++)
        while (t->_buckets[i] != NULL) {
            struct http_addr_slot *slot = t->_buckets[i];
            struct http_addr_slot **to = bucket_of(buckets, n, &slot->addr);

            t->_buckets[i] = slot->next;
            slot->next = *to;
            *to = slot;
        }
    free(t->_buckets);
    t->_buckets = buckets;
    t->_nbuckets = n;
}

void http_addr_table_free(struct http_addr_table *t)
{
    assert(t->_used == 0);
    free(t->_buckets);
    *t = (struct http_addr_table){0};
}

struct http_addr_slot *http_addr_take(struct http_addr_table *t, const struct http_addr *addr,
                                      unsigned max)
{
    struct http_addr key = counted_as(addr);
    struct http_addr_slot *slot, **bucket;

    if (t->_used >= t->_nbuckets)
        grow(t);
    if (t->_nbuckets == 0)
        return NULL;
    bucket = bucket_of(t->_buckets, t->_nbuckets, &key);
    for (slot = *bucket; slot != NULL; slot = slot->next)
        if (memcmp(&slot->addr, &key, sizeof key) == 0) {
            if (slot->held >= max)
                return NULL;
            slot->held++;
            return slot;
        }
    slot = malloc(sizeof *slot);
    if (slot == NULL)
        return NULL;
    *slot = (struct http_addr_slot){.next = *bucket, .addr = key, .held = 1};
    *bucket = slot;
    t->_used++;
    return slot;
}

void http_addr_drop(struct http_addr_table *t, struct http_addr_slot *slot)
{
    struct http_addr_slot **link;

    if (slot == NULL || --slot->held > 0)
        return;
    link = bucket_of(t->_buckets, t->_nbuckets, &slot->addr);
    while (*link != slot)
        link = &(*link)->next;
    *link = slot->next;
    t->_used--;
    free(slot);
}
