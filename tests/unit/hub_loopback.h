/* tests/unit/hub_loopback.h - a SignalR server on loopback and a raw client, in one thread.
 *
 * The client's waits pump the loop, so a test reads like a script and can look into the server
 * between any two lines. Two shards live on the one loop; a hand-over goes straight to the other.
 * Users: "Authorization: Bearer NAME" or "Bearer NAME@EXPIRY_MS"; none is anonymous, "refuse" 401.
 * Methods: Echo, Void, Later (completed by complete_later), Throw, Keep and Stream (kept open; the
 * test answers w->call); all others are unknown. */
#ifndef TESTS_UNIT_HUB_LOOPBACK_H
#define TESTS_UNIT_HUB_LOOPBACK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka wants the four above first */
#include <cmocka.h>

#include "base/hash.h"
#include "signalr/http/http_server.h"
#include "signalr/hub/signalr_server.h"
#include "signalr/protocol/hub_message.h"
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define RS "\x1e"
#define WAIT_MS 5000
#define JSON_HANDSHAKE "{\"protocol\":\"json\",\"version\":1}" RS
#define CLOSE_ERROR                                                                                \
    "{\"type\":7,\"error\":\"Connection closed with an error.\",\"allowReconnect\":true}" RS
#define CLOSE_RECONNECT "{\"type\":7,\"allowReconnect\":true}" RS

struct shard {
    struct world *world;
    unsigned number;
    struct http_server *http;
    struct signalr_server *signalr;
    uint16_t port;
};

struct world {
    uv_loop_t loop;
    struct shard shards[2];
    unsigned nshards, closing;
    /* what the host was told */
    unsigned connected, disconnected, users_out, handed_over;
    enum hub_end why;
    struct hub_receipt receipt;
    bool may_return, may_return_without_acks;
    struct hub_connection *last;
    char last_id[32]; /* of the invocation that was left open */
    char last_target[64];
    uint64_t call; /* the last one kept */
    enum hub_keep kept;
    unsigned calls_ended, resumed;
    uint64_t retry_ms;
};

/* ---- host ---- */

static inline enum signalr_auth world_authenticate(void *arg, const struct http_view *request,
                                                   struct signalr_user *out)
{
    struct shard *shard = arg;
    struct slice bearer;
    char text[128];
    char *at;

    if (!http_view_header(request, "Authorization", &bearer))
        return SIGNALR_AUTH_ANONYMOUS;
    assert_in_range(bearer.len, 8, sizeof text);
    snprintf(text, sizeof text, "%.*s", (int)bearer.len - 7, bearer.ptr + 7);
    if (strcmp(text, "refuse") == 0)
        return SIGNALR_AUTH_REFUSED;
    at = strchr(text, '@');
    if (at != NULL) {
        *at = '\0';
        out->expires_at_ms = strtoull(at + 1, NULL, 10);
    }
    snprintf(out->key, sizeof out->key, "%s", text);
    out->host_data = malloc(1); /* leaks show who forgot a release, ASan who released twice */
    shard->world->users_out++;
    return SIGNALR_AUTH_USER;
}

static inline void world_release_user(void *arg, void *host_data)
{
    ((struct shard *)arg)->world->users_out--;
    free(host_data);
}

static inline void world_connected(void *arg, struct hub_connection *c)
{
    struct world *w = ((struct shard *)arg)->world;

    w->connected++;
    w->last = c;
}

static inline void world_disconnected(void *arg, struct hub_connection *c, enum hub_end why)
{
    struct world *w = ((struct shard *)arg)->world;

    w->disconnected++;
    w->why = why;
    w->receipt = *hub_connection_receipt(c);
    w->may_return = hub_connection_may_return(c, true);
    w->may_return_without_acks = hub_connection_may_return(c, false);
    if (w->last == c)
        w->last = NULL;
}

static inline bool world_invoke(void *arg, struct hub_connection *c,
                                const struct hub_invocation *inv)
{
    struct world *w = ((struct shard *)arg)->world;
    const struct slice none = {0};

    snprintf(w->last_target, sizeof w->last_target, "%.*s", (int)inv->target.len, inv->target.ptr);
    if (slice_eq(inv->target, SLICE_LIT("Keep")) || slice_eq(inv->target, SLICE_LIT("Stream"))) {
        w->kept = HUB_KEEP_NOMEM;
        if (hub_connection_take_turn(c, &w->retry_ms))
            w->kept = hub_connection_keep(c, inv, &w->call);
        if (w->kept == HUB_KEPT)
            assert_true(hub_connection_set_call_data(c, w->call, w));
        return true;
    }
    if (!slice_eq_nocase(inv->target, SLICE_LIT("Echo")) &&
        !slice_eq_nocase(inv->target, SLICE_LIT("Void")) &&
        !slice_eq_nocase(inv->target, SLICE_LIT("Later")) &&
        !slice_eq_nocase(inv->target, SLICE_LIT("Throw")) &&
        !slice_eq_nocase(inv->target, SLICE_LIT("Close")))
        return false;
    if (inv->stream)
        hub_connection_refuse(c, inv, HUB_REFUSE_NOT_STREAMING);
    else if (inv->stream_ids > 0)
        hub_connection_refuse(c, inv, HUB_REFUSE_STREAM_IDS);
    else if (slice_eq_nocase(inv->target, SLICE_LIT("Echo")))
        /* the one argument, without the array's brackets */
        hub_connection_complete(c, inv->invocation_id,
                                (struct slice){inv->arguments.ptr + 1, inv->arguments.len - 2},
                                NULL);
    else if (slice_eq_nocase(inv->target, SLICE_LIT("Void")))
        hub_connection_complete(c, inv->invocation_id, none, NULL);
    else if (slice_eq_nocase(inv->target, SLICE_LIT("Throw")))
        hub_connection_refuse(c, inv, HUB_REFUSE_FAILED);
    else if (slice_eq_nocase(inv->target, SLICE_LIT("Close")))
        hub_connection_close(c, "done \"here\"", false);
    else
        snprintf(w->last_id, sizeof w->last_id, "%.*s", (int)inv->invocation_id.len,
                 inv->invocation_id.ptr);
    return true;
}

static inline void world_call_ended(void *arg, void *data)
{
    (void)arg;
    ((struct world *)data)->calls_ended++;
}

static inline void world_resumed(void *arg, struct hub_connection *c, uint64_t call, void *data)
{
    struct world *w = data;

    (void)arg, (void)c;
    assert_int_equal(call, w->call);
    w->resumed++;
}

static inline void world_hand_over(void *arg, unsigned home, struct http_handoff *handoff)
{
    struct world *w = ((struct shard *)arg)->world;

    w->handed_over++;
    http_server_adopt(w->shards[home].http, handoff);
}

static inline void world_on_request(void *arg, struct http_request *req)
{
    static const struct http_response not_found = {.status = 404};

    if (!signalr_server_handle(((struct shard *)arg)->signalr, req))
        http_respond(req, &not_found);
}

static inline void world_on_gone(void *arg, struct http_request *req)
{
    (void)arg;
    (void)req;
}

static inline void world_on_note(void *arg, enum http_note note, int status, const char *detail,
                                 struct slice client_address)
{
    (void)arg;
    (void)note;
    (void)status;
    (void)detail;
    (void)client_address;
}

static inline void world_on_written(void *arg, uint64_t born_ns)
{
    (void)arg;
    (void)born_ns;
}

/* ---- world ---- */

static inline struct signalr_options world_options(void)
{
    return (struct signalr_options){
        .hub_path = "/hub",
        .nshards = 1,
        .keepalive_ms = 60000,
        .client_timeout_ms = 60000,
        .handshake_timeout_ms = 60000,
        .negotiate_timeout_ms = 60000,
        .close_wait_ms = 2000,
        .max_message_bytes = 32768,
        .close_on_expiry = true,
    };
}

static inline void shard_start(struct world *w, unsigned number, struct signalr_options options,
                               size_t ws_queue_bytes)
{
    struct shard *shard = &w->shards[number];
    const struct signalr_host host = {
        .authenticate = world_authenticate,
        .release_user = world_release_user,
        .connected = world_connected,
        .disconnected = world_disconnected,
        .invoke = world_invoke,
        .hand_over = world_hand_over,
        .stream_resumed = world_resumed,
        .call_ended = world_call_ended,
        .arg = shard,
    };
    static const char *const none[] = {NULL};
    const struct http_options http = {
        .limits = {.head_bytes = 32768,
                   .request_line_bytes = 16384,
                   .body_bytes = 65536,
                   .head_timeout_ms = 10000,
                   .body_timeout_ms = 10000,
                   .idle_timeout_ms = 10000},
        .cors_origins = none,
        .trusted_proxies = none,
        .ws_queue_bytes = ws_queue_bytes,
        .ws_stall_ms = 10000,
        .on_request = world_on_request,
        .on_gone = world_on_gone,
        .on_note = world_on_note,
        .on_written = world_on_written,
        .arg = shard,
    };
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr_storage bound;

    shard->world = w;
    shard->number = options.shard = number;
    assert_int_equal(http_server_new(&w->loop, &http, &shard->http), 0);
    assert_int_equal(signalr_server_new(&w->loop, &options, &host, &shard->signalr), 0);
    assert_int_equal(http_probe_bind((struct sockaddr *)&any, &bound), 0);
    shard->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
    assert_int_equal(http_server_listen(shard->http, (struct sockaddr *)&bound, 0, true), 0);
}

static inline struct world *world_start_queue(struct signalr_options options, size_t ws_queue_bytes)
{
    struct world *w = calloc(1, sizeof *w);

    assert_int_equal(uv_loop_init(&w->loop), 0);
    w->nshards = options.nshards;
    for (unsigned i = 0; i < w->nshards; i++)
        shard_start(w, i, options, ws_queue_bytes);
    return w;
}

static inline struct world *world_start(struct signalr_options options)
{
    return world_start_queue(options, 1 << 20);
}

static inline void world_closed(void *arg)
{
    (*(unsigned *)arg)--;
}

static inline void world_stop(struct world *w)
{
    for (unsigned i = 0; i < w->nshards; i++, w->closing++)
        http_server_close(w->shards[i].http, world_closed, &w->closing);
    while (w->closing > 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    for (unsigned i = 0; i < w->nshards; i++, w->closing++)
        signalr_server_free(w->shards[i].signalr, world_closed, &w->closing);
    while (w->closing > 0)
        uv_run(&w->loop, UV_RUN_ONCE);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    assert_int_equal(w->connected, w->disconnected);
    assert_int_equal(w->users_out, 0);
    free(w);
}

static inline uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static inline uint64_t wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static inline void pump_for(struct world *w, unsigned ms)
{
    for (uint64_t end = now_ms() + ms; now_ms() < end;) {
        uv_run(&w->loop, UV_RUN_NOWAIT);
        poll(NULL, 0, 1);
    }
}

#define pump_until(w, condition)                                                                   \
    do {                                                                                           \
        for (uint64_t end_ = now_ms() + WAIT_MS; !(condition) && now_ms() < end_;) {               \
            uv_run(&(w)->loop, UV_RUN_NOWAIT);                                                     \
            poll(NULL, 0, 1);                                                                      \
        }                                                                                          \
        assert_true(condition);                                                                    \
    } while (0)

static inline struct signalr_stats stats_of(struct world *w, unsigned shard)
{
    struct signalr_stats stats;

    signalr_server_stats(w->shards[shard].signalr, &stats);
    return stats;
}

/* ---- client ---- */

struct client {
    struct world *world;
    int fd;
    char in[1 << 16];
    size_t len;
    bool ended; /* the server's TCP end */
};

static inline void client_open(struct client *c, struct world *w, unsigned shard)
{
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
                             .sin_port = htons(w->shards[shard].port)};

    c->world = w;
    c->len = 0;
    c->ended = false;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(c->fd, (struct sockaddr *)&to, sizeof to), 0);
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
}

static inline void client_close(struct client *c)
{
    close(c->fd);
}

static inline void client_send(struct client *c, const void *bytes, size_t len)
{
    assert_int_equal(send(c->fd, bytes, len, MSG_NOSIGNAL), len);
}

/* Pumps the loop once and takes what has come. */
static inline void client_pump(struct client *c)
{
    ssize_t n;

    uv_run(&c->world->loop, UV_RUN_NOWAIT);
    poll(&(struct pollfd){.fd = c->fd, .events = POLLIN}, 1, 1);
    n = recv(c->fd, c->in + c->len, sizeof c->in - c->len, 0);
    if (n > 0)
        c->len += (size_t)n;
    else if (n == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
        c->ended = true;
}

static inline void client_drop(struct client *c, size_t len)
{
    memmove(c->in, c->in + len, c->len - len);
    c->len -= len;
}

/* One HTTP answer: its status; the body, NUL-terminated, in body. */
static inline int client_answer(struct client *c, char *body, size_t cap)
{
    const char *head_end = NULL, *length;
    size_t head = 0, body_len = 0;
    int status;

    for (uint64_t end = now_ms() + WAIT_MS; now_ms() < end; client_pump(c)) {
        head_end = memmem(c->in, c->len, "\r\n\r\n", 4);
        if (head_end != NULL) {
            head = (size_t)(head_end - c->in) + 4;
            length = memmem(c->in, head, "Content-Length: ", 16);
            body_len = length == NULL ? 0 : strtoul(length + 16, NULL, 10);
            if (c->len >= head + body_len)
                break;
            head_end = NULL;
        }
    }
    assert_non_null(head_end);
    assert_memory_equal(c->in, "HTTP/1.1 ", 9);
    status = atoi(c->in + 9);
    assert_true(body_len < cap);
    memcpy(body, c->in + head, body_len);
    body[body_len] = '\0';
    client_drop(c, head + body_len);
    return status;
}

/* One request on a connection of its own; extra: header lines, each with CR LF. */
static inline int request(struct world *w, unsigned shard, const char *method, const char *target,
                          const char *extra, char *body, size_t cap)
{
    static struct client c;
    char text[4096];
    int len = snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: test\r\n%s%s\r\n", method,
                       target, extra, method[0] == 'P' ? "Content-Length: 0\r\n" : "");
    int status;

    client_open(&c, w, shard);
    client_send(&c, text, (size_t)len);
    status = client_answer(&c, body, cap);
    client_close(&c);
    return status;
}

static inline void copy_member(const char *json, const char *name, char out[32])
{
    const char *at = strstr(json, name);

    assert_non_null(at);
    at += strlen(name) + 3;
    snprintf(out, 32, "%.*s", (int)strcspn(at, "\""), at);
}

/* Negotiates version 1; the token in token. */
static inline void negotiate(struct world *w, unsigned shard, const char *extra, char token[32])
{
    char body[1024];

    assert_int_equal(
        request(w, shard, "POST", "/hub/negotiate?negotiateVersion=1", extra, body, sizeof body),
        200);
    copy_member(body, "connectionToken", token);
    assert_int_equal(strlen(token), 22);
}

/* Opens a WebSocket; the status that came. target: with the query. */
static inline int client_upgrade(struct client *c, struct world *w, unsigned shard,
                                 const char *target, const char *extra)
{
    char text[2048], body[1024];
    int len = snprintf(text, sizeof text,
                       "GET %s HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n"
                       "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n%s\r\n",
                       target, extra);

    client_open(c, w, shard);
    client_send(c, text, (size_t)len);
    return client_answer(c, body, sizeof body);
}

/* A whole client frame, masked with zeros but for its last byte. */
static inline void client_frame(struct client *c, unsigned opcode, const void *payload, size_t len)
{
    static uint8_t frame[1 << 17];
    size_t at = 0;

    frame[at++] = (uint8_t)(0x80 | opcode);
    if (len < 126) {
        frame[at++] = (uint8_t)(0x80 | len);
    } else {
        assert_in_range(len, 126, 65535);
        frame[at++] = 0x80 | 126;
        frame[at++] = (uint8_t)(len >> 8);
        frame[at++] = (uint8_t)len;
    }
    memset(frame + at, 0, 3);
    frame[at + 3] = 0x55;
    at += 4;
    for (size_t i = 0; i < len; i++)
        frame[at + i] = (uint8_t)(((const uint8_t *)payload)[i] ^ (i % 4 == 3 ? 0x55 : 0));
    client_send(c, frame, at + len);
}

static inline void client_text(struct client *c, const char *text)
{
    client_frame(c, 1, text, strlen(text));
}

/* The next frame of the server: its opcode and payload (in place, until the next call); -1: the
 * stream ended. */
static inline int client_next(struct client *c, struct slice *payload)
{
    static char copy[1 << 16];

    for (uint64_t end = now_ms() + WAIT_MS; now_ms() < end; client_pump(c)) {
        const uint8_t *p = (const uint8_t *)c->in;
        size_t header = 2, len;

        if (c->len >= 4) {
            len = p[1];
            if (len == 126) {
                header = 4;
                len = (size_t)p[2] << 8 | p[3];
            }
            assert_in_range(len, 0, sizeof copy - 1);
            if (c->len >= header + len) {
                int opcode = p[0] & 0xf;

                memcpy(copy, p + header, len);
                copy[len] = '\0';
                *payload = (struct slice){copy, len};
                client_drop(c, header + len);
                return opcode;
            }
        } else if (c->len >= 2 && p[1] == 0) {
            int opcode = p[0] & 0xf;

            client_drop(c, 2);
            *payload = (struct slice){copy, 0};
            return opcode;
        }
        if (c->ended)
            return -1;
    }
    fail_msg("no frame in %d ms", WAIT_MS);
    return -1;
}

#define client_expect(c, want)                                                                     \
    do {                                                                                           \
        struct slice got_;                                                                         \
        int opcode_ = client_next(c, &got_);                                                       \
        if (opcode_ != 1 || !slice_eq(got_, slice_of(want)))                                       \
            fail_msg("got opcode %d, '%.*s'; want '%s'", opcode_, opcode_ < 0 ? 0 : (int)got_.len, \
                     opcode_ < 0 ? "" : got_.ptr, want);                                           \
    } while (0)

/* The close frame 1000, answered, and then the end. */
#define client_expect_end(c)                                                                       \
    do {                                                                                           \
        struct slice got_;                                                                         \
        assert_int_equal(client_next(c, &got_), 8);                                                \
        assert_int_equal(got_.len, 2);                                                             \
        assert_memory_equal(got_.ptr, "\x03\xe8", 2);                                              \
        client_frame(c, 8, "\x03\xe8", 2);                                                         \
        assert_int_equal(client_next(c, &got_), -1);                                               \
        client_close(c);                                                                           \
    } while (0)

/* A connection past its handshake. user: "" or an Authorization line. */
static inline void client_connect(struct client *c, struct world *w, unsigned shard,
                                  const char *user)
{
    char token[32], target[64];

    negotiate(w, shard, user, token);
    snprintf(target, sizeof target, "/hub?id=%s", token);
    assert_int_equal(client_upgrade(c, w, shard, target, user), 101);
    client_text(c, JSON_HANDSHAKE);
    client_expect(c, "{}" RS);
}

/* The client's own end: a close frame, then TCP. */
static inline void client_leave(struct client *c)
{
    const unsigned before = c->world->disconnected;

    client_frame(c, 8, "", 0);
    pump_until(c->world, c->world->disconnected > before);
    client_close(c);
}

#endif
