#include "signalr/hub/signalr_server.h"
#include "signalr/http/ws_conn.h"
#include "signalr/hub/hub_address.h"
#include "signalr/hub/hub_internal.h"
#include "signalr/protocol/hub_message.h"
#include <assert.h>
#include <stdlib.h>

/* The wheel's tick: fine enough for the shortest time-out, coarse enough to cost nothing. */
enum { TICK_MIN_MS = 5, TICK_MAX_MS = 250, TICKS_PER_TIMEOUT = 16 };

static unsigned tick_of(const struct signalr_options *o)
{
    const unsigned timeouts[] = {o->keepalive_ms, o->client_timeout_ms, o->handshake_timeout_ms,
                                 o->negotiate_timeout_ms};
    unsigned tick = TICK_MAX_MS;

    for (size_t i = 0; i < sizeof timeouts / sizeof timeouts[0]; i++)
        if (timeouts[i] / TICKS_PER_TIMEOUT < tick)
            tick = timeouts[i] / TICKS_PER_TIMEOUT;
    return tick < TICK_MIN_MS ? TICK_MIN_MS : tick;
}

static void on_due(struct wheel_timer *timer, void *arg)
{
    (void)arg;
    hub_connection_on_timer(
        (struct hub_connection *)((char *)timer - offsetof(struct hub_connection, timer)));
}

static void on_tick(uv_timer_t *tick)
{
    struct signalr_server *s = tick->data;
    void (*drained)(void *);

    timer_wheel_advance(s->wheel, uv_now(s->loop));
    if (s->by_serial != NULL)
        return;
    drained = s->drained;
    s->drained = NULL;
    if (drained != NULL)
        drained(s->drained_arg);
}

static void on_wake(uint64_t at_ms, void *arg)
{
    struct signalr_server *s = arg;
    const uint64_t now = uv_now(s->loop);

    uv_timer_start(&s->tick, on_tick, at_ms > now ? at_ms - now : 0, 0);
}

void hub_server_left(struct signalr_server *s)
{
    if (s->drained != NULL && s->by_serial == NULL)
        uv_timer_start(&s->tick, on_tick, 0, 0);
}

static void free_memory(struct signalr_server *s)
{
    hub_buf_unref(s->handshake_ok);
    hub_buf_unref(s->ping);
    hub_buf_unref(s->close_plain);
    hub_buf_unref(s->close_reconnect);
    hub_buf_unref(s->close_error);
    timer_wheel_free(s->wheel);
    hub_groups_free(s);
    hub_ids_free(&s->ids);
    free(s->hub_path);
    free(s->scratch);
    free(s);
}

static bool encode_common(struct signalr_server *s)
{
    const struct slice none = {0};

    s->handshake_ok = hub_message_handshake(none);
    s->ping = hub_message_ping();
    s->close_plain = hub_message_close(none, false);
    s->close_reconnect = hub_message_close(none, true);
    s->close_error = hub_message_close(SLICE_LIT("Connection closed with an error."), true);
    return s->handshake_ok != NULL && s->ping != NULL && s->close_plain != NULL &&
           s->close_reconnect != NULL && s->close_error != NULL;
}

int signalr_server_new(uv_loop_t *loop, const struct signalr_options *options,
                       const struct signalr_host *host, struct signalr_server **out)
{
    struct signalr_server *s = calloc(1, sizeof *s);
    struct slice path = slice_of(options->hub_path);
    int rc = UV_ENOMEM;

    assert(options->shard < options->nshards && options->max_message_bytes > 0);
    if (s == NULL)
        return rc;
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    s->options = *options;
    s->options.hub_path = s->hub_path = slice_dup(path);
    if (options->shared == NULL)
        s->options.shared = &s->own;
    s->host = *host;
    s->loop = loop;
    s->tick_ms = tick_of(options);
    s->scratch = malloc(options->max_message_bytes);
    uv_update_time(loop);
    s->wheel = timer_wheel_new(uv_now(loop), s->tick_ms, on_due, on_wake, s);
    if (s->hub_path == NULL || s->scratch == NULL || s->wheel == NULL || !encode_common(s))
        goto fail;
    rc = uv_timer_init(loop, &s->tick);
    if (rc != 0)
        goto fail;
    s->tick.data = s;
    *out = s;
    return 0;
fail:
    free_memory(s);
    return rc;
}

bool signalr_server_handle(struct signalr_server *s, struct http_request *req)
{
    static const struct slice negotiate = SLICE_LIT("/negotiate");
    const struct slice hub = slice_of(s->hub_path);
    struct slice path = http_request_view(req)->path;

    /* As ASP.NET's routing: letter case and one slash at the end don't count. */
    if (path.len > hub.len && path.ptr[path.len - 1] == '/')
        path.len--;
    if (path.len < hub.len || !slice_eq_nocase((struct slice){path.ptr, hub.len}, hub))
        return false;
    path = (struct slice){path.ptr + hub.len, path.len - hub.len};
    if (path.len == 0)
        hub_endpoint(s, req);
    else if (slice_eq_nocase(path, negotiate))
        hub_negotiate(s, req);
    else
        return false;
    return true;
}

void signalr_server_drain(struct signalr_server *s, unsigned spread_ms, void (*done)(void *),
                          void *arg)
{
    assert(!s->draining);
    s->draining = true;
    s->drain_start_ms = uv_now(s->loop);
    s->drain_spread_ms = spread_ms;
    s->drained = done;
    s->drained_arg = arg;
    for (struct hub_connection *c = s->by_serial; c != NULL; c = c->by_serial.next)
        hub_connection_rearm(c);
    hub_server_left(s);
}

static void on_tick_closed(uv_handle_t *tick)
{
    struct signalr_server *s = tick->data;
    void (*freed)(void *) = s->freed;
    void *arg = s->freed_arg;

    free_memory(s);
    if (freed != NULL)
        freed(arg);
}

void signalr_server_free(struct signalr_server *s, void (*done)(void *), void *arg)
{
    for (struct hub_connection *c = s->by_serial, *next; c != NULL; c = next) {
        next = c->by_serial.next;
        hub_connection_discard(c); /* asserts that it has no transport */
    }
    s->freed = done;
    s->freed_arg = arg;
    uv_close((uv_handle_t *)&s->tick, on_tick_closed);
}

void signalr_server_stats(const struct signalr_server *s, struct signalr_stats *out)
{
    *out = s->stats;
    out->pending = s->gauge[CONN_NEGOTIATED];
    out->handshaking = s->gauge[CONN_HANDSHAKE];
    out->open = s->gauge[CONN_OPEN];
    out->closing = s->gauge[CONN_CLOSING];
    out->open_calls = s->open_calls;
}

unsigned signalr_server_anonymous(const struct signalr_server *s)
{
    unsigned n = 0;

    for (const struct hub_connection *c = s->by_serial; c != NULL; c = c->by_serial.next)
        n += c->state == CONN_OPEN && c->user == NULL;
    return n;
}

struct hub_connection *signalr_server_find_any(struct signalr_server *s, uint64_t serial)
{
    struct hub_connection *c = NULL;

    HASH_FIND(by_serial, s->by_serial, &serial, sizeof serial, c);
    return c;
}

struct hub_connection *signalr_server_find(struct signalr_server *s, uint64_t serial)
{
    struct hub_connection *c = signalr_server_find_any(s, serial);

    return c != NULL && c->state == CONN_OPEN ? c : NULL;
}

/* No send and no close frees a connection, so lists can be walked while they are sent to. */

unsigned signalr_server_send_user(struct signalr_server *s, struct slice user_key,
                                  struct hub_buf *message)
{
    const struct hub_user *user = hub_registry_user(s, user_key);
    unsigned sent = 0;

    if (user == NULL)
        return 0;
    for (struct hub_connection *c = user->connections; c != NULL; c = c->user_next)
        if (c->joined) {
            hub_connection_send(c, message);
            sent++;
        }
    return sent;
}

unsigned signalr_server_send_all(struct signalr_server *s, struct hub_buf *message)
{
    return signalr_server_send(s, &(struct hub_address){.to = HUB_TO_ALL}, message);
}

void signalr_server_each_known(struct signalr_server *s, struct slice user_key,
                               void (*fn)(struct hub_connection *c, void *arg), void *arg)
{
    const struct hub_user *user = hub_registry_user(s, user_key);

    if (user == NULL)
        return;
    for (struct hub_connection *c = user->connections; c != NULL; c = c->user_next)
        if (c->told_host)
            fn(c, arg);
}

void signalr_server_each_of_user(struct signalr_server *s, struct slice user_key,
                                 void (*fn)(struct hub_connection *c, void *arg), void *arg)
{
    const struct hub_user *user = hub_registry_user(s, user_key);

    if (user == NULL)
        return;
    for (struct hub_connection *c = user->connections; c != NULL; c = c->user_next)
        if (c->state == CONN_OPEN)
            fn(c, arg);
}
