/* rocketchat/ddp_resolver_internal.h - one host name to addresses, off the loop.
 *
 * libwebsockets would resolve on the loop's own thread, where a slow resolver stops everybody. All
 * who ask while a lookup is under way share it, so that thousands of reconnects don't fill libuv's
 * few threads; a good answer serves those who ask within the next second too. Single-threaded. */
#ifndef ROCKETCHAT_DDP_RESOLVER_INTERNAL_H
#define ROCKETCHAT_DDP_RESOLVER_INTERNAL_H

#include <stdbool.h>
#include <uv.h>

enum { DDP_ADDRESS_MAX = 64, DDP_ADDRESSES_MAX = 8 };

/* Numeric addresses in the resolver's order, counted: who keeps the pointer takes a reference. */
struct ddp_addresses {
    unsigned _refs, n;
    char text[][DDP_ADDRESS_MAX]; /* "192.0.2.1", "fe80::1%eth0" */
};

void ddp_addresses_ref(struct ddp_addresses *a);
void ddp_addresses_unref(struct ddp_addresses *a); /* NULL is fine */

/* Embedded in whoever waits. */
struct ddp_resolve_wait {
    struct ddp_resolve_wait *_next, **_link; /* _link NULL: not waiting */
    /* status 0: addresses, borrowed for the call; else a UV_E... code. Never inside ask(). */
    void (*done)(struct ddp_resolve_wait *w, struct ddp_addresses *addresses, int status);
};

struct ddp_resolver {
    uv_loop_t *_loop;
    const char *_host; /* borrowed */
    uv_getaddrinfo_t _request;
    uv_timer_t _soon; /* answers from memory */
    struct ddp_resolve_wait *_waiting;
    struct ddp_addresses *_known;
    uint64_t _known_until_ms;
    bool _busy, _closing;
    unsigned _holders; /* the lookup and the timer */
    void (*_closed)(void *);
    void *_closed_arg;
};

int ddp_resolver_init(struct ddp_resolver *r, uv_loop_t *loop, const char *host);
int ddp_resolver_ask(struct ddp_resolver *r, struct ddp_resolve_wait *w); /* 0 or UV_E... */
void ddp_resolve_wait_cancel(struct ddp_resolve_wait *w);                 /* not waiting: nothing */
void ddp_resolver_forget(struct ddp_resolver *r); /* none of the addresses answered */
void ddp_resolver_close(struct ddp_resolver *r, void (*closed)(void *), void *arg);

#endif
