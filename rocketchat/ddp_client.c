#include "rocketchat/ddp_connector_internal.h"
#include "rocketchat/ddp_tls_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    TICK_MS = 50,
    LINGER_MS = 250,       /* the peer has the close frame by then, if it can be reached */
    MAX_CONNECTING = 128,  /* at once */
    HOST_MAX = 253,        /* a DNS name */
    PROXIED_HOST_MAX = 96, /* libwebsockets writes CONNECT into 256 bytes */
    PATH_MAX_BYTES = 1024, /* ... and the whole upgrade request into 4,096 */
    PROXY_HOST_MAX = 127,
};

/* --- timers and the turn --- */

static void on_turn(uv_timer_t *turn);

static void on_connector_timer(struct wheel_timer *t, void *arg)
{
    (void)arg;
    ddp_connector_on_timer((void *)((char *)t - offsetof(struct ddp_connector, timer)));
}

static void on_call_timer(struct wheel_timer *t, void *arg)
{
    (void)arg;
    ddp_connector_on_call_timer((void *)((char *)t - offsetof(struct ddp_call, timer)));
}

static void on_connector_tick(uv_timer_t *tick)
{
    struct ddp_client *client = tick->data;

    timer_wheel_advance(client->connector_timers, uv_now(client->loop));
}

static void on_call_tick(uv_timer_t *tick)
{
    struct ddp_client *client = tick->data;

    timer_wheel_advance(client->call_timers, uv_now(client->loop));
}

static void wake_at(struct ddp_client *client, uv_timer_t *tick, uv_timer_cb fn, uint64_t at_ms)
{
    const uint64_t now = uv_now(client->loop);

    uv_timer_start(tick, fn, at_ms > now ? at_ms - now : 0, 0);
}

static void on_connector_wake(uint64_t at_ms, void *arg)
{
    struct ddp_client *client = arg;

    wake_at(client, &client->connector_tick, on_connector_tick, at_ms);
}

static void on_call_wake(uint64_t at_ms, void *arg)
{
    struct ddp_client *client = arg;

    wake_at(client, &client->call_tick, on_call_tick, at_ms);
}

void ddp_client_wait(struct ddp_client *client, struct ddp_connector *c)
{
    c->next_waiting = NULL;
    c->waiting_link = client->waiting_tail;
    *client->waiting_tail = c;
    client->waiting_tail = &c->next_waiting;
    if (client->nconnecting < MAX_CONNECTING)
        uv_timer_start(&client->turn, on_turn, 0, 0);
}

void ddp_client_wait_cancel(struct ddp_client *client, struct ddp_connector *c)
{
    if (c->waiting_link == NULL)
        return;
    *c->waiting_link = c->next_waiting;
    if (c->next_waiting != NULL)
        c->next_waiting->waiting_link = c->waiting_link;
    else
        client->waiting_tail = c->waiting_link;
    c->waiting_link = NULL;
}

void ddp_client_connecting_over(struct ddp_client *client)
{
    client->nconnecting--;
    if (client->waiting != NULL)
        uv_timer_start(&client->turn, on_turn, 0, 0);
}

static void start_waiting(struct ddp_client *client)
{
    while (client->waiting != NULL && client->nconnecting < MAX_CONNECTING) {
        struct ddp_connector *c = client->waiting;

        ddp_client_wait_cancel(client, c);
        client->nconnecting++;
        ddp_connector_start(c);
    }
}

/* Those that are queued meanwhile have their turn in the next one. */
static void on_turn(uv_timer_t *turn)
{
    struct ddp_client *client = turn->data;
    struct ddp_connector *list = client->queued;

    client->queued = NULL;
    client->queued_tail = &client->queued;
    while (list != NULL) {
        struct ddp_connector *c = list;

        list = c->next_queued;
        c->queued = false;
        ddp_connector_turn(c);
    }
    start_waiting(client);
}

void ddp_client_queue(struct ddp_client *client, struct ddp_connector *c)
{
    if (c->queued)
        return;
    c->queued = true;
    c->next_queued = NULL;
    *client->queued_tail = c;
    client->queued_tail = &c->next_queued;
    uv_timer_start(&client->turn, on_turn, 0, 0);
}

/* --- options --- */

static bool is_v6(const char *host)
{
    return strchr(host, ':') != NULL;
}

/* An address literal may come in brackets; it is kept without. */
static char *dup_host(const char *host, size_t len)
{
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    }
    return strndup(host, len);
}

static bool set_names(struct ddp_client *client)
{
    const struct ddp_client_options *o = &client->options;
    const char *open = is_v6(o->host) ? "[" : "", *close = is_v6(o->host) ? "]" : "";
    bool usual = o->port == (o->tls ? 443 : 80);
    char port[8] = "";

    if (!usual)
        snprintf(port, sizeof port, ":%u", (unsigned)o->port);
    return asprintf(&client->host_header, "%s%s%s%s", open, o->host, close, port) >= 0 &&
           asprintf(&client->connect_host, "%s%s%s", open, o->host, close) >= 0;
}

/* [http://][user:password@]host:port[/] */
static int set_proxy(struct ddp_client *client, const char *url)
{
    const char *at, *colon;
    char *end;
    unsigned long port;

    if (strncmp(url, "http://", 7) == 0)
        url += 7;
    at = strrchr(url, '@');
    if (at != NULL) {
        client->proxy_auth = strndup(url, (size_t)(at - url));
        if (client->proxy_auth == NULL)
            return UV_ENOMEM;
        if (strlen(client->proxy_auth) > 90) /* what libwebsockets has room for */
            return UV_EINVAL;
        url = at + 1;
    }
    colon = strrchr(url, ':');
    if (colon == NULL || colon == url || colon[1] < '0' || colon[1] > '9')
        return UV_EINVAL;
    port = strtoul(colon + 1, &end, 10);
    if (port == 0 || port > UINT16_MAX || (*end != '\0' && strcmp(end, "/") != 0))
        return UV_EINVAL;
    client->proxy_host = dup_host(url, (size_t)(colon - url));
    client->proxy_port = (uint16_t)port;
    if (client->proxy_host == NULL)
        return UV_ENOMEM;
    if (strlen(client->proxy_host) > PROXY_HOST_MAX || strpbrk(client->proxy_host, " /") != NULL)
        return UV_EINVAL;
    return 0;
}

static bool sound(const struct ddp_client_options *o)
{
    size_t host_len = strlen(o->host);

    return host_len > 0 && host_len <= (o->proxy != NULL ? PROXIED_HOST_MAX : HOST_MAX) &&
           strpbrk(o->host, " /\r\n") == NULL && o->port > 0 && o->path[0] == '/' &&
           strlen(o->path) <= PATH_MAX_BYTES && strpbrk(o->path, " \r\n") == NULL &&
           o->max_frame_bytes > 0 && o->connect_timeout_ms > 0 && o->ping_ms > 0 &&
           o->dead_ms > o->ping_ms;
}

static int set_options(struct ddp_client *client, const struct ddp_client_options *options)
{
    struct ddp_client_options *o = &client->options;

    if (!sound(options))
        return UV_EINVAL;
    *o = *options;
    o->ca_file = o->client_cert_file = o->client_key_file = o->proxy =
        NULL; /* used at the start only */
    o->host = dup_host(options->host, strlen(options->host));
    o->path = strdup(options->path);
    if (o->host == NULL || o->path == NULL || !set_names(client))
        return UV_ENOMEM;
    return options->proxy == NULL ? 0 : set_proxy(client, options->proxy);
}

/* --- life --- */

static void free_memory(struct ddp_client *client)
{
    SSL_CTX_free(client->tls);
    timer_wheel_free(client->connector_timers);
    timer_wheel_free(client->call_timers);
    ddp_reassembly_free(&client->reassembly);
    byte_buf_free(&client->scratch);
    free((char *)(uintptr_t)client->options.host);
    free((char *)(uintptr_t)client->options.path);
    free(client->host_header);
    free(client->connect_host);
    free(client->proxy_host);
    free(client->proxy_auth);
    free(client);
}

static void release(void *arg)
{
    struct ddp_client *client = arg;
    void (*freed)(void *) = client->freed;
    void *freed_arg = client->freed_arg;

    if (--client->holders > 0)
        return;
    free_memory(client);
    if (freed != NULL)
        freed(freed_arg);
}

static void on_handle_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void close_handles(struct ddp_client *client)
{
    uv_close((uv_handle_t *)&client->connector_tick, on_handle_closed);
    uv_close((uv_handle_t *)&client->call_tick, on_handle_closed);
    uv_close((uv_handle_t *)&client->turn, on_handle_closed);
    ddp_resolver_close(&client->resolver, release, client);
}

static void on_destroy_turn(uv_timer_t *turn)
{
    struct ddp_client *client = turn->data;

    if (ddp_socket_destroy_done(client)) {
        uv_timer_stop(turn);
        close_handles(client);
    }
}

/* The server should learn of it: close frames need a moment to go out and be answered. */
static void on_linger_turn(uv_timer_t *turn)
{
    struct ddp_client *client = turn->data;

    if (client->nlingering > 0 && uv_now(client->loop) < client->linger_until_ms)
        return;
    ddp_socket_destroy_begin(client);
    uv_timer_start(turn, on_destroy_turn, 0, 1);
}

void ddp_client_free(struct ddp_client *client, void (*done)(void *), void *arg)
{
    assert(client->nconnectors == 0);
    client->freed = done;
    client->freed_arg = arg;
    client->linger_until_ms = uv_now(client->loop) + LINGER_MS;
    uv_timer_start(&client->turn, on_linger_turn, 0, 5);
}

/* What can fail is done before the first handle: handles need turns of the loop to go away. */
int ddp_client_new(uv_loop_t *loop, const struct ddp_client_options *options,
                   struct ddp_client **out)
{
    struct ddp_client *client = calloc(1, sizeof *client);
    int status = UV_ENOMEM;

    if (client == NULL)
        return UV_ENOMEM;
    client->loop = loop;
    client->queued_tail = &client->queued;
    client->waiting_tail = &client->waiting;
    client->reassembly.max_frame_bytes = options->max_frame_bytes;
    client->scratch.limit = DDP_MAX_OUT_BYTES;
    client->connector_timers =
        timer_wheel_new(uv_now(loop), TICK_MS, on_connector_timer, on_connector_wake, client);
    client->call_timers =
        timer_wheel_new(uv_now(loop), TICK_MS, on_call_timer, on_call_wake, client);
    if (client->connector_timers == NULL || client->call_timers == NULL)
        goto fail;
    status = set_options(client, options);
    if (status != 0)
        goto fail;
    status = UV_EINVAL;
    if (options->tls && (client->tls = ddp_tls_new(options, client->options.host)) == NULL)
        goto fail;
    status = UV_ENOTSUP;
    if (!ddp_socket_init(client))
        goto fail;
    uv_timer_init(loop, &client->connector_tick);
    uv_timer_init(loop, &client->call_tick);
    uv_timer_init(loop, &client->turn);
    client->connector_tick.data = client->call_tick.data = client->turn.data = client;
    ddp_resolver_init(&client->resolver, loop,
                      client->proxy_host != NULL ? client->proxy_host : client->options.host);
    client->holders = 4; /* three timers, the resolver */
    *out = client;
    return 0;
fail:
    free_memory(client);
    return status;
}
