/* Two shards in two threads: every request comes in at the first and is answered by the second. */
#include "signalr/http/ws_conn.h"
#include "signalr/protocol/hub_buf.h"
#include "tests/unit/loopback.h"
#include "tests/unit/ws_vectors.h"

#include <pthread.h>

enum { QUEUE = 512 };

struct shard {
    pthread_t thread;
    uv_loop_t loop;
    uv_async_t async;
    struct http_server *server;
    struct shard *peer; /* NULL: answers itself */
    struct sockaddr_storage addr;
    pthread_mutex_t lock; /* for what follows */
    struct http_handoff *queue[QUEUE];
    size_t queued;
    bool stop;
};

static struct shard front, home;

static void post(struct shard *to, struct http_handoff *h)
{
    pthread_mutex_lock(&to->lock);
    assert_true(to->queued < QUEUE);
    to->queue[to->queued++] = h;
    pthread_mutex_unlock(&to->lock);
    uv_async_send(&to->async);
}

static void on_data(struct ws_conn *ws, void *arg, const uint8_t *bytes, size_t len)
{
    uint8_t head[WS_HEADER_MAX], *to;
    size_t n = ws_header_write(head, WS_OP_TEXT, len);
    struct hub_buf *b = hub_buf_alloc(n + len, &to);

    (void)arg;
    memcpy(to, head, n);
    memcpy(to + n, bytes, len);
    assert_int_equal(ws_conn_send(ws, b, false), WS_SEND_OK);
    hub_buf_unref(b);
}

static void on_end(struct ws_conn *ws, void *arg, enum ws_end how, unsigned code)
{
    (void)ws;
    (void)arg;
    (void)how;
    (void)code;
}

static const struct ws_callbacks callbacks = {on_data, on_end, NULL};

static void on_request(void *arg, struct http_request *req)
{
    struct shard *s = arg;
    const struct http_view *v = http_request_view(req);
    char text[400];

    if (s->peer != NULL) {
        struct http_handoff *h = http_detach(req);

        assert_non_null(h);
        post(s->peer, h);
        return;
    }
    if (v->wants_websocket) {
        assert_non_null(http_upgrade(req, &callbacks, s));
        return;
    }
    snprintf(text, sizeof text, "[%.*s from %.*s tag %d body %.*s]\n", (int)v->path.len,
             v->path.ptr, (int)v->client_address.len, v->client_address.ptr, v->listener_tag,
             (int)v->body.len, v->body.ptr);
    http_respond(req, &(struct http_response){.status = 200, .body = slice_of(text)});
}

static void on_closed(void *arg)
{
    (void)arg;
}

static void on_async(uv_async_t *async)
{
    struct shard *s = async->data;
    struct http_handoff *taken[QUEUE];
    size_t n;
    bool stop;

    pthread_mutex_lock(&s->lock);
    n = s->queued;
    memcpy(taken, s->queue, n * sizeof taken[0]);
    s->queued = 0;
    stop = s->stop;
    pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < n; i++)
        http_server_adopt(s->server, taken[i]);
    if (stop) {
        http_server_close(s->server, on_closed, s);
        uv_close((uv_handle_t *)&s->async, NULL);
    }
}

static void *shard_main(void *arg)
{
    struct shard *s = arg;

    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s->loop), 0);
    return NULL;
}

static void shard_start(struct shard *s, struct shard *peer, const struct http_options *options)
{
    struct http_options o = *options;

    memset(s, 0, sizeof *s);
    s->peer = peer;
    o.arg = s;
    pthread_mutex_init(&s->lock, NULL);
    assert_int_equal(uv_loop_init(&s->loop), 0);
    assert_int_equal(uv_async_init(&s->loop, &s->async, on_async), 0);
    s->async.data = s;
    assert_int_equal(http_server_new(&s->loop, &o, &s->server), 0);
    if (peer != NULL) {
        struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

        assert_int_equal(http_probe_bind((struct sockaddr *)&any, &s->addr), 0);
        assert_int_equal(http_server_listen(s->server, (struct sockaddr *)&s->addr, 5, true), 0);
    }
    assert_int_equal(pthread_create(&s->thread, NULL, shard_main, s), 0);
}

static void shard_stop(struct shard *s)
{
    pthread_mutex_lock(&s->lock);
    s->stop = true;
    pthread_mutex_unlock(&s->lock);
    uv_async_send(&s->async);
    pthread_join(s->thread, NULL);
    for (size_t i = 0; i < s->queued; i++)
        http_handoff_free(s->queue[i]);
    pthread_mutex_destroy(&s->lock);
}

static void start(bool proxy)
{
    static const char *const trusted[] = {"127.0.0.1", NULL};
    struct http_options o = {
        .limits = {.head_bytes = 32768, .request_line_bytes = 16384, .body_bytes = 65536},
        .on_request = on_request,
        .trusted_proxies = proxy ? trusted : NULL,
        .proxy_protocol = proxy,
    };

    hash_seed((const uint8_t[16]){1});
    shard_start(&home, NULL, &o);
    shard_start(&front, &home, &o);
}

static void stop(void)
{
    shard_stop(&front);
    shard_stop(&home);
}

static int connect_front(void)
{
    struct timeval five = {5, 0};
    int fd = lb_connect_to(&front.addr);

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &five, sizeof five), 0);
    return fd;
}

/* Blocks until needle has come, for at most five seconds of silence. */
static bool wait_for(int fd, struct received *r, const char *needle)
{
    while (!lb_has(r, needle)) {
        ssize_t n = recv(fd, r->bytes + r->len, sizeof r->bytes - 1 - r->len, 0);

        if (n <= 0)
            return false;
        r->len += (size_t)n;
        r->bytes[r->len] = '\0';
    }
    return true;
}

static struct received got;

#define HOST "Host: a.example\r\n"

static void test_requests(void **state)
{
    static const struct {
        const char *in, *want;
    } cases[] = {
        {"GET /a HTTP/1.1\r\n" HOST "\r\n", "[/a from 127.0.0.1 tag 5 body ]"},
        {"POST /b HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz",
         "[/b from 127.0.0.1 tag 5 body xyz]"},
        {"POST /c HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
         "2\r\nxy\r\n1\r\nz\r\n0\r\n\r\n",
         "[/c from 127.0.0.1 tag 5 body xyz]"},
        {"POST /d HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         "[/d from 127.0.0.1 tag 5 body ]"},
        {"GET /e HTTP/1.1\r\n" HOST "\r\nGET /f HTTP/1.1\r\n" HOST "\r\n",
         "[/f from 127.0.0.1 tag 5 body ]"},
        {"GET /g HTTP/1.1\r\n" HOST "\r\nGET /h HT", "[/g from 127.0.0.1 tag 5 body ]"},
    };

    (void)state;
    start(false);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = connect_front();

        got.len = 0;
        got.bytes[0] = '\0';
        lb_send(fd, cases[i].in);
        if (!wait_for(fd, &got, cases[i].want))
            fail_msg("%zu: %s", i, got.bytes);
        /* And it goes on there. */
        got.len = 0;
        lb_send(fd, i == 5 ? "TP/1.1\r\n" HOST "\r\n" : "GET /h HTTP/1.1\r\n" HOST "\r\n");
        assert_true(wait_for(fd, &got, "[/h from 127.0.0.1 tag 5 body ]"));
        close(fd);
    }
    stop();
}

/* The PROXY header is read once; who it named stays the client. */
static void test_proxy_header(void **state)
{
    int fd;

    (void)state;
    start(true);
    fd = connect_front();
    got.len = 0;
    lb_send(fd, "PROXY TCP4 203.0.113.9 10.0.0.1 1 2\r\nGET /a HTTP/1.1\r\n" HOST "\r\n");
    assert_true(wait_for(fd, &got, "[/a from 203.0.113.9 tag 5 body ]"));
    lb_send(fd, "GET /b HTTP/1.1\r\n" HOST "\r\n");
    assert_true(wait_for(fd, &got, "[/b from 203.0.113.9 tag 5 body ]"));
    close(fd);
    stop();
}

static void upgrade_bytes(struct byte_buf *out, size_t early)
{
    byte_buf_puts(out, "GET /ws HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"
                       "Sec-WebSocket-Version: 13\r\n"
                       "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
    for (size_t i = 0; i < early; i++)
        wsv_frame(out, 0x81, "early", 5, (const uint8_t *)"mask");
}

/* The payloads of the frames from at on, joined; a frame cut on its way comes back as several. */
static void echoed(int fd, size_t at, const char *want)
{
    struct byte_buf joined = {0};

    while (joined.len < strlen(want)) {
        while (got.len < at + 2 || got.len < at + 2 + (size_t)got.bytes[at + 1]) {
            ssize_t n = recv(fd, got.bytes + got.len, sizeof got.bytes - got.len, 0);

            assert_true(n > 0);
            got.len += (size_t)n;
        }
        assert_int_equal((uint8_t)got.bytes[at], 0x81);
        byte_buf_append(&joined, got.bytes + at + 2, (size_t)got.bytes[at + 1]);
        at += 2 + (size_t)got.bytes[at + 1];
    }
    assert_true(slice_eq(byte_buf_slice(&joined), slice_of(want)));
    byte_buf_free(&joined);
}

/* Cut anywhere: bytes reach the front, the new home, or lie in the socket while it moves. */
static void test_upgrade(void **state)
{
    struct byte_buf all = {0};

    (void)state;
    start(false);
    upgrade_bytes(&all, 3);
    for (size_t cut = 0; cut < all.len; cut += 5) {
        int fd = connect_front();
        size_t at;

        got.len = 0;
        got.bytes[0] = '\0';
        lb_send_bytes(fd, all.data, cut);
        lb_send_bytes(fd, all.data + cut, all.len - cut);
        assert_true(wait_for(fd, &got, "\r\n\r\n"));
        at = (size_t)(strstr(got.bytes, "\r\n\r\n") - got.bytes) + 4;
        echoed(fd, at, "earlyearlyearly");
        assert_memory_equal(got.bytes, "HTTP/1.1 101 ", 13);
        close(fd);
    }
    byte_buf_free(&all);
    stop();
}

/* Many at once, some of which leave while they move. */
static void test_crowd(void **state)
{
    enum { CROWD = 100 };
    struct byte_buf all = {0};
    int fds[CROWD];

    (void)state;
    start(false);
    upgrade_bytes(&all, 1);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < CROWD; i++) {
            fds[i] = connect_front();
            lb_send_bytes(fds[i], all.data, all.len);
            if (i % 7 == 0) {
                close(fds[i]);
                fds[i] = -1;
            }
        }
        for (int i = 0; i < CROWD; i++) {
            if (fds[i] < 0)
                continue;
            got.len = 0;
            got.bytes[0] = '\0';
            assert_true(wait_for(fds[i], &got, "\r\n\r\n"));
            echoed(fds[i], (size_t)(strstr(got.bytes, "\r\n\r\n") - got.bytes) + 4, "early");
            close(fds[i]);
        }
    }
    byte_buf_free(&all);
    stop();
}

/* Stopping while sockets are between two shards loses nothing that could leak. */
static void test_stop_while_moving(void **state)
{
    struct byte_buf all = {0};
    int fds[50];

    (void)state;
    upgrade_bytes(&all, 1);
    start(false);
    for (int i = 0; i < 50; i++) {
        fds[i] = connect_front();
        lb_send_bytes(fds[i], all.data, all.len);
    }
    shard_stop(&front);
    shard_stop(&home);
    for (int i = 0; i < 50; i++)
        close(fds[i]);
    byte_buf_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_requests),          cmocka_unit_test(test_proxy_header),
        cmocka_unit_test(test_upgrade),           cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_stop_while_moving),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
