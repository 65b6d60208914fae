/* signalr/http/http_addr_table.h - how many connections each client address has.
 *
 * An IPv6 host owns a whole /64, so such addresses are counted by their first 64 bits. Whoever
 * counts holds a slot; a slot lives while somebody holds it. */
#ifndef SIGNALR_HTTP_HTTP_ADDR_TABLE_H
#define SIGNALR_HTTP_HTTP_ADDR_TABLE_H

#include "signalr/http/http_proxy.h"

struct http_addr_slot;

struct http_addr_table { /* zero-initialised is empty */
    struct http_addr_slot **_buckets;
    size_t _nbuckets, _used;
};

void http_addr_table_free(struct http_addr_table *t); /* nobody holds a slot any more */

/* NULL: max slots are held for this address already, or no memory. */
struct http_addr_slot *http_addr_take(struct http_addr_table *t, const struct http_addr *addr,
                                      unsigned max);
void http_addr_drop(struct http_addr_table *t, struct http_addr_slot *slot); /* NULL is fine */

#endif
