/* tests/signalr_host - a small program on signalr/'s own API, for tests with real clients and for
 * benches. Prints "listening on PORT" once it serves; SIGTERM drains and ends it.
 *
 * Users: a bearer (Authorization, or access_token in the query) NAME or NAME@EXPIRY_MS_SINCE_EPOCH
 * is believed; "refuse" is not; none is anonymous. Every connection joins its user at once.
 *
 * Hub /hub: Echo(x), Register(), GetCallerConnectionId(), Fail(), CloseMe(), ReconnectMe()
 * HTTP:  POST /push?user=U&target=T     the body, JSON values with commas between, goes to U
 *        POST /broadcast?target=T       ... to everybody
 *        POST /flood?count=N&to=one|all&bytes=B   N pushes of B bytes from every shard, each to the
 *                                       next connection or to all, as fast as they are taken, and
 *                                       with the time inside (@ns: and CLOCK_MONOTONIC)
 *        GET /stats                     what the whole program has seen
 */
#include "base/hash.h"
#include "signalr/http/http_server.h"
#include "signalr/hub/signalr_server.h"
#include "signalr/protocol/hub_message.h"
#include <arpa/inet.h>
#include <assert.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

enum { MAX_SHARDS = 64, FLOOD_BATCH = 64, FLOOD_MAX_BYTES = 65536 };

struct settings {
    unsigned port, shards, queue_bytes, stall_ms, drain_ms;
    struct signalr_options signalr;
};

/* What one shard tells another. */
struct mail {
    struct mail *next;
    enum { MAIL_HANDOFF, MAIL_PUSH, MAIL_FLOOD, MAIL_DRAIN } kind;
    struct http_handoff *handoff;
    struct hub_buf *message;
    unsigned count; /* MAIL_FLOOD, and so are the next two */
    bool to_all;
    size_t bytes;
    char user[320]; /* MAIL_PUSH; empty: everybody */
};

struct shard {
    unsigned number;
    uv_loop_t loop;
    uv_thread_t thread;
    uv_async_t wake;
    uv_idle_t flooding;
    uv_mutex_t lock;
    struct mail *first, **last; /* guarded by lock */
    struct http_server *http;
    struct signalr_server *signalr;
    struct mail *flood;
    struct hub_connection **open; /* a connection's data is its index here */
    size_t nopen, cap, next;      /* next: whose turn it is in the flood */
};

static struct settings settings = {
    .shards = 1,
    .queue_bytes = 1 << 20,
    .stall_ms = 10000,
    .drain_ms = 200,
    .signalr = {.hub_path = "/hub",
                .keepalive_ms = 15000,
                .client_timeout_ms = 30000,
                .handshake_timeout_ms = 15000,
                .negotiate_timeout_ms = 15000,
                .close_wait_ms = 5000,
                .expiry_spread_ms = 1000,
                .max_message_bytes = 32768,
                .close_on_expiry = true},
};
static struct shard shards[MAX_SHARDS];
static atomic_uint open_connections, handed_over, ended[HUB_END_NEND];
static atomic_ullong flood_left;

/* ---- between shards ---- */

static void post(struct shard *to, struct mail *mail)
{
    mail->next = NULL;
    uv_mutex_lock(&to->lock);
    *to->last = mail;
    to->last = &mail->next;
    uv_mutex_unlock(&to->lock);
    uv_async_send(&to->wake);
}

static void post_all(struct mail like)
{
    for (unsigned i = 0; i < settings.shards; i++) {
        struct mail *mail = malloc(sizeof *mail);

        assert(mail != NULL);
        *mail = like;
        if (mail->message != NULL)
            hub_buf_ref(mail->message);
        post(&shards[i], mail);
    }
    hub_buf_unref(like.message);
}

/* ---- flood ---- */

static struct hub_connection *next_connection(struct shard *shard)
{
    if (shard->nopen == 0)
        return NULL;
    if (shard->next >= shard->nopen)
        shard->next = 0;
    return shard->open[shard->next++];
}

static void end_flood(struct shard *shard)
{
    uv_idle_stop(&shard->flooding);
    atomic_fetch_sub(&flood_left, shard->flood->count);
    free(shard->flood);
    shard->flood = NULL;
}

/* A message of that many bytes, made anew as a real push is. */
static struct hub_buf *flood_message(size_t bytes)
{
    static const size_t around =
        sizeof "{\"type\":1,\"target\":\"flood\",\"arguments\":[]}\x1e" - 1;
    char text[FLOOD_MAX_BYTES];
    const size_t len = bytes - around;
    struct hub_buf *message;

    memset(text, 'x', len);
    snprintf(text, len, "\"@ns:%019" PRIu64, uv_hrtime());
    text[strlen(text)] = 'x';
    text[len - 1] = '"';
    message = hub_message_invocation(SLICE_LIT("flood"), (struct slice){text, len});
    assert(message != NULL);
    return message;
}

static void on_flood(uv_idle_t *idle)
{
    struct shard *shard = idle->data;
    struct mail *flood = shard->flood;
    struct hub_buf *message;

    for (int i = 0; i < FLOOD_BATCH && flood->count > 0; i++) {
        if (flood->to_all) {
            message = flood_message(flood->bytes);
            signalr_server_send_all(shard->signalr, message);
        } else {
            struct hub_connection *c = next_connection(shard);

            if (c == NULL)
                break;
            /* Full: its reader is behind, and so is the flood then. */
            if (hub_connection_queued_bytes(c) > settings.queue_bytes / 2)
                return;
            message = flood_message(flood->bytes);
            hub_connection_send(c, message);
        }
        hub_buf_unref(message);
        flood->count--;
        atomic_fetch_sub(&flood_left, 1);
        if (flood->to_all)
            return;
    }
    if (flood->count == 0 || shard->nopen == 0)
        end_flood(shard);
}

/* ---- mail ---- */

static void on_drained(void *arg)
{
    uv_stop(&((struct shard *)arg)->loop);
}

static void take(struct shard *shard, struct mail *mail)
{
    switch (mail->kind) {
    case MAIL_HANDOFF:
        http_server_adopt(shard->http, mail->handoff);
        break;
    case MAIL_PUSH:
        if (mail->user[0] == '\0')
            signalr_server_send_all(shard->signalr, mail->message);
        else
            signalr_server_send_user(shard->signalr, slice_of(mail->user), mail->message);
        hub_buf_unref(mail->message);
        break;
    case MAIL_FLOOD:
        if (shard->flood != NULL)
            end_flood(shard);
        shard->flood = mail;
        uv_idle_start(&shard->flooding, on_flood);
        return;
    case MAIL_DRAIN:
        http_server_stop_listening(shard->http);
        signalr_server_drain(shard->signalr, settings.drain_ms, on_drained, shard);
        break;
    }
    free(mail);
}

static void on_wake(uv_async_t *wake)
{
    struct shard *shard = wake->data;
    struct mail *mail, *next;

    uv_mutex_lock(&shard->lock);
    mail = shard->first;
    shard->first = NULL;
    shard->last = &shard->first;
    uv_mutex_unlock(&shard->lock);
    for (; mail != NULL; mail = next) {
        next = mail->next;
        take(shard, mail);
    }
}

/* ---- host of the hub ---- */

static enum signalr_auth authenticate(void *arg, const struct http_view *request,
                                      struct signalr_user *out)
{
    struct slice bearer, raw;
    char *at;
    size_t len;

    (void)arg;
    if (http_view_header(request, "Authorization", &bearer) && bearer.len > 7) {
        len = bearer.len - 7 < sizeof out->key - 1 ? bearer.len - 7 : sizeof out->key - 1;
        memcpy(out->key, bearer.ptr + 7, len);
    } else if (!http_query_get(request->query, "access_token", &raw) ||
               !http_percent_decode(raw, out->key, sizeof out->key - 1, &len)) {
        return SIGNALR_AUTH_ANONYMOUS;
    }
    out->key[len] = '\0';
    if (strcmp(out->key, "refuse") == 0)
        return SIGNALR_AUTH_REFUSED;
    at = strchr(out->key, '@');
    if (at != NULL) {
        *at = '\0';
        out->expires_at_ms = strtoull(at + 1, NULL, 10);
    }
    return SIGNALR_AUTH_USER;
}

static void release_user(void *arg, void *host_data)
{
    (void)arg;
    (void)host_data;
}

static void connected(void *arg, struct hub_connection *c)
{
    struct shard *shard = arg;

    if (shard->nopen == shard->cap) {
        shard->cap = shard->cap == 0 ? 1024 : shard->cap * 2;
        shard->open = realloc(shard->open, shard->cap * sizeof(struct hub_connection *));
        assert(shard->open != NULL);
    }
    hub_connection_set_data(c, (void *)(uintptr_t)shard->nopen);
    shard->open[shard->nopen++] = c;
    hub_connection_join_user(c, 0, false);
    atomic_fetch_add(&open_connections, 1);
}

static void disconnected(void *arg, struct hub_connection *c, enum hub_end why)
{
    struct shard *shard = arg;
    const size_t at = (uintptr_t)hub_connection_data(c);
    struct hub_connection *last = shard->open[--shard->nopen];

    shard->open[at] = last;
    hub_connection_set_data(last, (void *)(uintptr_t)at);
    atomic_fetch_sub(&open_connections, 1);
    atomic_fetch_add(&ended[why], 1);
}

static void echo(struct hub_connection *c, const struct hub_invocation *inv)
{
    const struct slice inside = {inv->arguments.ptr + 1, inv->arguments.len - 2};

    hub_connection_complete(c, inv->invocation_id, inside, NULL);
}

static void register_(struct hub_connection *c, const struct hub_invocation *inv)
{
    hub_connection_complete(c, inv->invocation_id, (struct slice){0}, NULL);
}

static void get_caller_connection_id(struct hub_connection *c, const struct hub_invocation *inv)
{
    char text[64];
    const struct slice id = hub_connection_id(c);
    const int len = snprintf(text, sizeof text, "\"%.*s\"", (int)id.len, id.ptr);

    hub_connection_complete(c, inv->invocation_id, (struct slice){text, (size_t)len}, NULL);
}

static void fail(struct hub_connection *c, const struct hub_invocation *inv)
{
    hub_connection_refuse(c, inv, HUB_REFUSE_FAILED);
}

static void close_me(struct hub_connection *c, const struct hub_invocation *inv)
{
    (void)inv;
    hub_connection_close(c, "closed on demand", false);
}

static void reconnect_me(struct hub_connection *c, const struct hub_invocation *inv)
{
    (void)inv;
    hub_connection_close(c, NULL, true);
}

static bool invoke(void *arg, struct hub_connection *c, const struct hub_invocation *inv)
{
    static const struct {
        const char *name;
        void (*method)(struct hub_connection *c, const struct hub_invocation *inv);
    } methods[] = {
        {"Echo", echo},
        {"Register", register_},
        {"GetCallerConnectionId", get_caller_connection_id},
        {"Fail", fail},
        {"CloseMe", close_me},
        {"ReconnectMe", reconnect_me},
    };

    (void)arg;
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++) {
        if (!slice_eq_nocase(inv->target, slice_of(methods[i].name)))
            continue;
        if (inv->stream)
            hub_connection_refuse(c, inv, HUB_REFUSE_NOT_STREAMING);
        else if (inv->stream_ids > 0)
            hub_connection_refuse(c, inv, HUB_REFUSE_STREAM_IDS);
        else
            methods[i].method(c, inv);
        return true;
    }
    return false;
}

static void hand_over(void *arg, unsigned home, struct http_handoff *handoff)
{
    struct mail *mail = calloc(1, sizeof *mail);

    (void)arg;
    assert(mail != NULL);
    mail->kind = MAIL_HANDOFF;
    mail->handoff = handoff;
    atomic_fetch_add(&handed_over, 1);
    post(&shards[home], mail);
}

/* ---- HTTP routes ---- */

static void respond(struct http_request *req, int status, const char *type, const char *body)
{
    const struct http_response response = {
        .status = status, .content_type = type, .body = slice_of(body)};

    http_respond(req, &response);
}

static bool query_text(const struct http_view *view, const char *key, char *out, size_t cap)
{
    struct slice raw;
    size_t len;

    if (!http_query_get(view->query, key, &raw) || !http_percent_decode(raw, out, cap - 1, &len))
        return false;
    out[len] = '\0';
    return true;
}

static void push(struct http_request *req, const struct http_view *view, bool to_all)
{
    struct mail mail = {.kind = MAIL_PUSH};
    char target[128];

    if (!query_text(view, "target", target, sizeof target) ||
        (!to_all && !query_text(view, "user", mail.user, sizeof mail.user))) {
        respond(req, 400, "text/plain", "target or user missing");
        return;
    }
    mail.message = hub_message_invocation(slice_of(target), view->body);
    assert(mail.message != NULL);
    post_all(mail);
    respond(req, 202, NULL, "");
}

static void flood(struct http_request *req, const struct http_view *view)
{
    struct mail mail = {.kind = MAIL_FLOOD};
    char count[32] = "", to[16] = "", bytes[32] = "400";

    query_text(view, "count", count, sizeof count);
    query_text(view, "to", to, sizeof to);
    query_text(view, "bytes", bytes, sizeof bytes);
    mail.count = (unsigned)strtoul(count, NULL, 10);
    mail.to_all = strcmp(to, "all") == 0;
    mail.bytes = strtoul(bytes, NULL, 10);
    if (mail.bytes < 128 || mail.bytes > FLOOD_MAX_BYTES) {
        respond(req, 400, "text/plain", "bytes: 128 to 65536");
        return;
    }
    atomic_fetch_add(&flood_left, (unsigned long long)mail.count * settings.shards);
    post_all(mail);
    respond(req, 202, NULL, "");
}

static void stats(struct http_request *req)
{
    static const char *const names[HUB_END_NEND] = {
        "client", "lost", "timeout", "handshake", "protocol", "slow", "expired", "host", "drain"};
    char body[1024];
    int len = snprintf(body, sizeof body, "{\"open\":%u,\"handedOver\":%u,\"floodLeft\":%llu",
                       atomic_load(&open_connections), atomic_load(&handed_over),
                       atomic_load(&flood_left));

    for (unsigned i = 0; i < HUB_END_NEND; i++)
        len += snprintf(body + len, sizeof body - (size_t)len, ",\"%s\":%u", names[i],
                        atomic_load(&ended[i]));
    snprintf(body + len, sizeof body - (size_t)len, "}");
    respond(req, 200, "application/json", body);
}

static void on_request(void *arg, struct http_request *req)
{
    struct shard *shard = arg;
    const struct http_view *view = http_request_view(req);

    if (signalr_server_handle(shard->signalr, req))
        return;
    if (view->method == HTTP_POST_ && slice_eq(view->path, SLICE_LIT("/push")))
        push(req, view, false);
    else if (view->method == HTTP_POST_ && slice_eq(view->path, SLICE_LIT("/broadcast")))
        push(req, view, true);
    else if (view->method == HTTP_POST_ && slice_eq(view->path, SLICE_LIT("/flood")))
        flood(req, view);
    else if (view->method == HTTP_GET_ && slice_eq(view->path, SLICE_LIT("/stats")))
        stats(req);
    else
        respond(req, 404, NULL, "");
}

static void on_gone(void *arg, struct http_request *req)
{
    (void)arg;
    (void)req; /* every request is answered at once */
}

static void on_note(void *arg, enum http_note note, int status, const char *detail,
                    struct slice client_address)
{
    (void)arg;
    (void)note;
    (void)status;
    (void)detail;
    (void)client_address;
}

static void on_written(void *arg, uint64_t born_ns)
{
    (void)arg;
    (void)born_ns;
}

/* ---- life ---- */

static void check(int rc, const char *what)
{
    if (rc == 0)
        return;
    fprintf(stderr, "%s: %s\n", what, uv_strerror(rc));
    exit(1);
}

static void start_shard(struct shard *shard, unsigned number, const struct sockaddr *addr)
{
    static const char *const none[] = {NULL};
    const struct http_options http = {
        .limits = {.head_bytes = 32768,
                   .request_line_bytes = 16384,
                   .body_bytes = 1 << 20,
                   .head_timeout_ms = 10000,
                   .body_timeout_ms = 10000,
                   .idle_timeout_ms = 60000},
        .cors_origins = none,
        .trusted_proxies = none,
        .ws_queue_bytes = settings.queue_bytes,
        .ws_stall_ms = settings.stall_ms,
        .on_request = on_request,
        .on_gone = on_gone,
        .on_note = on_note,
        .on_written = on_written,
        .arg = shard,
    };
    const struct signalr_host host = {
        .authenticate = authenticate,
        .release_user = release_user,
        .connected = connected,
        .disconnected = disconnected,
        .invoke = invoke,
        .hand_over = hand_over,
        .arg = shard,
    };
    struct signalr_options options = settings.signalr;

    shard->number = options.shard = number;
    options.nshards = settings.shards;
    shard->last = &shard->first;
    check(uv_mutex_init(&shard->lock), "mutex");
    check(uv_loop_init(&shard->loop), "loop");
    check(uv_async_init(&shard->loop, &shard->wake, on_wake), "async");
    check(uv_idle_init(&shard->loop, &shard->flooding), "idle");
    shard->wake.data = shard->flooding.data = shard;
    check(signalr_server_new(&shard->loop, &options, &host, &shard->signalr), "signalr");
    check(http_server_new(&shard->loop, &http, &shard->http), "http");
    check(http_server_listen(shard->http, addr, 0, true), "listen");
}

static void count_down(void *arg)
{
    (*(int *)arg)--;
}

static void close_shard(struct shard *shard)
{
    int open = 1;

    if (shard->flood != NULL)
        end_flood(shard);
    http_server_close(shard->http, count_down, &open);
    while (open > 0)
        uv_run(&shard->loop, UV_RUN_ONCE);
    open = 1;
    signalr_server_free(shard->signalr, count_down, &open);
    while (open > 0)
        uv_run(&shard->loop, UV_RUN_ONCE);
    uv_close((uv_handle_t *)&shard->wake, NULL);
    uv_close((uv_handle_t *)&shard->flooding, NULL);
    uv_run(&shard->loop, UV_RUN_DEFAULT);
    check(uv_loop_close(&shard->loop), "loop close");
    free(shard->open);
}

static void run_shard(void *arg)
{
    struct shard *shard = arg;

    uv_run(&shard->loop, UV_RUN_DEFAULT);
}

static void on_signal(uv_signal_t *signal, int number)
{
    (void)number;
    uv_close((uv_handle_t *)signal, NULL);
    post_all((struct mail){.kind = MAIL_DRAIN});
}

static void read_options(int argc, char **argv)
{
    static const struct {
        const char *name;
        unsigned *value;
    } options[] = {
        {"port", &settings.port},
        {"shards", &settings.shards},
        {"queue-bytes", &settings.queue_bytes},
        {"stall-ms", &settings.stall_ms},
        {"drain-ms", &settings.drain_ms},
        {"keepalive-ms", &settings.signalr.keepalive_ms},
        {"client-timeout-ms", &settings.signalr.client_timeout_ms},
        {"handshake-timeout-ms", &settings.signalr.handshake_timeout_ms},
        {"negotiate-timeout-ms", &settings.signalr.negotiate_timeout_ms},
        {"close-wait-ms", &settings.signalr.close_wait_ms},
        {"expiry-spread-ms", &settings.signalr.expiry_spread_ms},
    };
    enum { COUNT = sizeof options / sizeof options[0] };
    struct option table[COUNT + 1] = {0};
    int at, c;

    for (size_t i = 0; i < COUNT; i++)
        table[i] = (struct option){.name = options[i].name, .has_arg = required_argument};
    while ((c = getopt_long(argc, argv, "", table, &at)) != -1) {
        if (c != 0) {
            fprintf(stderr, "usage: %s [--NAME NUMBER]..., with NAME one of:\n", argv[0]);
            for (size_t i = 0; i < COUNT; i++)
                fprintf(stderr, "  %-22s %u\n", options[i].name, *options[i].value);
            exit(2);
        }
        *options[at].value = (unsigned)strtoul(optarg, NULL, 10);
    }
    if (settings.shards < 1 || settings.shards > MAX_SHARDS) {
        fprintf(stderr, "shards: 1 to %d\n", MAX_SHARDS);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;
    uint8_t key[16];
    uv_signal_t sigterm;

    read_options(argc, argv);
    signal(SIGPIPE, SIG_IGN);
    assert(getrandom(key, sizeof key, 0) == (ssize_t)sizeof key);
    hash_seed(key);
    any.sin_port = htons((uint16_t)settings.port);
    check(http_probe_bind((struct sockaddr *)&any, &bound), "bind");
    for (unsigned i = 0; i < settings.shards; i++)
        start_shard(&shards[i], i, (struct sockaddr *)&bound);
    check(uv_signal_init(&shards[0].loop, &sigterm), "signal");
    check(uv_signal_start(&sigterm, on_signal, SIGTERM), "signal");
    for (unsigned i = 1; i < settings.shards; i++)
        check(uv_thread_create(&shards[i].thread, run_shard, &shards[i]), "thread");
    printf("listening on %u\n", ntohs(((struct sockaddr_in *)&bound)->sin_port));
    fflush(stdout);
    run_shard(&shards[0]);
    for (unsigned i = 1; i < settings.shards; i++)
        uv_thread_join(&shards[i].thread);
    for (unsigned i = 0; i < settings.shards; i++)
        close_shard(&shards[i]);
    return 0;
}
