#include "rocketchat/ddp_resolver_internal.h"
#include <assert.h>
#include <netdb.h>
#include <stdlib.h>

enum { KEEP_MS = 1000 };

void ddp_addresses_ref(struct ddp_addresses *a)
{
    a->_refs++;
}

void ddp_addresses_unref(struct ddp_addresses *a)
{
    if (a != NULL && --a->_refs == 0)
        free(a);
}

static struct ddp_addresses *addresses_new(const struct addrinfo *list)
{
    struct ddp_addresses *a = calloc(1, sizeof *a + DDP_ADDRESSES_MAX * sizeof a->text[0]);

    if (a == NULL)
        return NULL;
    a->_refs = 1;
    for (; list != NULL && a->n < DDP_ADDRESSES_MAX; list = list->ai_next)
        /* Not uv_ip6_name(): that loses the zone of a link-local address. */
        if ((list->ai_family == AF_INET || list->ai_family == AF_INET6) &&
            getnameinfo(list->ai_addr, list->ai_addrlen, a->text[a->n], sizeof a->text[0], NULL, 0,
                        NI_NUMERICHOST) == 0)
            a->n++;
    return a;
}

void ddp_resolve_wait_cancel(struct ddp_resolve_wait *w)
{
    if (w->_link == NULL)
        return;
    *w->_link = w->_next;
    if (w->_next != NULL)
        w->_next->_link = w->_link;
    w->_link = NULL;
}

/* Those who ask again from within done() wait for the next answer. */
static void answer(struct ddp_resolver *r, struct ddp_addresses *addresses, int status)
{
    struct ddp_resolve_wait *list = r->_waiting;

    r->_waiting = NULL;
    if (list != NULL)
        list->_link = &list;
    while (list != NULL) {
        struct ddp_resolve_wait *w = list;

        ddp_resolve_wait_cancel(w);
        w->done(w, addresses, status);
    }
}

void ddp_resolver_forget(struct ddp_resolver *r)
{
    ddp_addresses_unref(r->_known);
    r->_known = NULL;
}

static void release(struct ddp_resolver *r)
{
    if (--r->_holders == 0 && r->_closing)
        r->_closed(r->_closed_arg);
}

static void on_resolved(uv_getaddrinfo_t *request, int status, struct addrinfo *list)
{
    struct ddp_resolver *r = request->data;
    struct ddp_addresses *a = status == 0 ? addresses_new(list) : NULL;

    uv_freeaddrinfo(list);
    r->_busy = false;
    if (status == 0)
        status = a == NULL ? UV_ENOMEM : a->n == 0 ? UV_EAI_NODATA : 0;
    if (!r->_closing) {
        if (status == 0) {
            ddp_resolver_forget(r);
            ddp_addresses_ref(a);
            r->_known = a;
            r->_known_until_ms = uv_now(r->_loop) + KEEP_MS;
        }
        answer(r, status == 0 ? a : NULL, status);
    }
    ddp_addresses_unref(a);
    release(r);
}

static int start_lookup(struct ddp_resolver *r)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    int status = uv_getaddrinfo(r->_loop, &r->_request, on_resolved, r->_host, NULL, &hints);

    if (status != 0)
        return status;
    r->_busy = true;
    r->_holders++;
    return 0;
}

static void on_soon(uv_timer_t *timer)
{
    struct ddp_resolver *r = timer->data;
    struct ddp_addresses *known = r->_known;
    int status = 0;

    if (r->_busy)
        return;          /* that lookup answers them all */
    if (known == NULL) { /* forgotten in between */
        status = start_lookup(r);
        if (status != 0)
            answer(r, NULL, status);
        return;
    }
    ddp_addresses_ref(known);
    answer(r, known, 0);
    ddp_addresses_unref(known);
}

int ddp_resolver_init(struct ddp_resolver *r, uv_loop_t *loop, const char *host)
{
    int status;

    *r = (struct ddp_resolver){._loop = loop, ._host = host};
    status = uv_timer_init(loop, &r->_soon);
    if (status != 0)
        return status;
    r->_soon.data = r;
    r->_request.data = r;
    r->_holders = 1;
    return 0;
}

int ddp_resolver_ask(struct ddp_resolver *r, struct ddp_resolve_wait *w)
{
    int status;

    assert(w->_link == NULL && !r->_closing);
    if (!r->_busy && r->_known != NULL && uv_now(r->_loop) < r->_known_until_ms) {
        uv_timer_start(&r->_soon, on_soon, 0, 0);
    } else if (!r->_busy) {
        status = start_lookup(r);
        if (status != 0)
            return status;
    }
    w->_next = r->_waiting;
    w->_link = &r->_waiting;
    if (w->_next != NULL)
        w->_next->_link = &w->_next;
    r->_waiting = w;
    return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

void ddp_resolver_close(struct ddp_resolver *r, void (*closed)(void *), void *arg)
{
    assert(r->_waiting == NULL);
    r->_closing = true;
    r->_closed = closed;
    r->_closed_arg = arg;
    ddp_resolver_forget(r);
    if (r->_busy)
        uv_cancel((uv_req_t *)&r->_request); /* fails while it runs; its end is awaited then */
    uv_close((uv_handle_t *)&r->_soon, on_timer_closed);
}
