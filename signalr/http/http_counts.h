/* signalr/http/http_counts.h - how many connections there are, in all and by client address.
 *
 * The servers of one process share one, so that its limits hold for the process, whichever server
 * accepts. Any thread; touched when connections come and go, never by what they carry. */
#ifndef SIGNALR_HTTP_HTTP_COUNTS_H
#define SIGNALR_HTTP_HTTP_COUNTS_H

#include "signalr/http/http_proxy.h"
#include <stddef.h>

struct http_counts;
struct http_addr_slot;

struct http_counts *http_counts_new(void);    /* NULL: no memory */
void http_counts_free(struct http_counts *c); /* nothing is counted any more; NULL is fine */

/* One more. Returns how many there were: no two callers are told the same number. */
size_t http_counts_enter(struct http_counts *c);
void http_counts_leave(struct http_counts *c);

/* As http_addr_take() and http_addr_drop(). */
struct http_addr_slot *http_counts_take_address(struct http_counts *c, const struct http_addr *addr,
                                                unsigned max);
void http_counts_drop_address(struct http_counts *c, struct http_addr_slot *slot);

#endif
