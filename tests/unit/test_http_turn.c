/* A crowd comes or goes at once, and a turn of the loop takes no more of it than it may. */
#include "signalr/http/http_internal.h"
#include "signalr/protocol/hub_buf.h"
#include "tests/unit/loopback.h"
#include "tests/unit/ws_vectors.h"

enum { CROWD = 100 };

#define HOST "Host: a.example\r\n"
#define WAIT "GET /wait HTTP/1.1\r\n" HOST "\r\n"
#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"                    \
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

static struct loopback lb;
static struct received got;
static unsigned requests;

static struct tab {
    struct ws_conn *ws; /* NULL: ended */
    unsigned place;     /* among those that ended */
    enum ws_end how;
    unsigned code;
} tabs[CROWD + 1];
static unsigned opened, ended;

static void on_data(struct ws_conn *ws, void *arg, const uint8_t *bytes, size_t len)
{
    (void)ws, (void)arg, (void)bytes, (void)len;
}

static void on_end(struct ws_conn *ws, void *arg, enum ws_end how, unsigned code)
{
    struct tab *tab = arg;

    assert_ptr_equal(ws, tab->ws);
    *tab = (struct tab){.place = ended++, .how = how, .code = code};
}

static void on_request(void *arg, struct http_request *req)
{
    static const struct ws_callbacks callbacks = {on_data, on_end, NULL};
    const struct slice path = http_request_view(req)->path;

    (void)arg;
    requests++;
    if (http_request_view(req)->wants_websocket) {
        tabs[opened].ws = http_upgrade(req, &callbacks, &tabs[opened]);
        assert_non_null(tabs[opened++].ws);
        return;
    }
    http_respond(req, &(struct http_response){.status = 200, .body = path});
}

static void begin(void)
{
    const struct http_options options = {
        .limits = {.head_bytes = 32768, .request_line_bytes = 16384, .body_bytes = 65536},
        .ws_queue_bytes = 1 << 20,
        .ws_stall_ms = LB_LIMIT_MS,
        .on_request = on_request,
    };

    requests = opened = ended = 0;
    memset(tabs, 0, sizeof tabs);
    lb_start(&lb, &options);
}

static void turn(void)
{
    const size_t connections = http_server_connections(lb.server);
    const unsigned requests_before = requests, ended_before = ended;

    uv_run(&lb.loop, UV_RUN_NOWAIT);
    if (http_server_connections(lb.server) > connections)
        assert_in_range(http_server_connections(lb.server) - connections, 0, HTTP_TURN_ACCEPTS);
    assert_in_range(requests - requests_before, 0, HTTP_TURN_REQUESTS);
    assert_in_range(ended - ended_before, 0, HTTP_TURN_ENDS);
}

#define turn_until(condition)                                                                      \
    do {                                                                                           \
        for (uint64_t until_ = lb_ms() + LB_LIMIT_MS; !(condition) && lb_ms() < until_;)           \
            turn();                                                                                \
        assert_true(condition);                                                                    \
    } while (0)

static void fresh(void)
{
    got.len = 0;
    got.eof = got.reset = false;
}

static void crowd_connects(int fds[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        fds[i] = lb_connect(&lb);
    turn_until(http_server_connections(lb.server) == n);
}

static void close_all(const int fds[], size_t n)
{
    for (size_t i = 0; i < n; i++)
        close(fds[i]);
}

/* ---- those who come ---- */

/* Taken in over several turns, in order, and nobody is forgotten. The loop needs no other event to
 * go on with those who wait. */
static void test_crowd(void **state)
{
    int fds[CROWD];
    char text[64];

    (void)state;
    begin();
    crowd_connects(fds, CROWD);
    for (int i = 0; i < CROWD; i++) {
        sprintf(text, "GET /%d HTTP/1.1\r\n" HOST "\r\n", i);
        lb_send(fds[i], text);
    }
    turn();
    turn();
    assert_in_range(requests, 1, CROWD - 1);
    assert_int_equal(uv_backend_timeout(&lb.loop), 0);
    turn_until(requests == CROWD);
    turn();
    assert_int_not_equal(uv_backend_timeout(&lb.loop), 0);
    for (int i = 0; i < CROWD; i++) {
        sprintf(text, "\r\n\r\n/%d", i);
        fresh();
        assert_true(lb_wait(&lb, fds[i], &got, text));
    }
    close_all(fds, CROWD);
    lb_stop(&lb);
}

/* Nobody overtakes those who wait, and who leaves meanwhile is not asked for. */
static void test_leaving_the_crowd(void **state)
{
    enum { LEAVE = 30 };
    int fds[CROWD];

    (void)state;
    begin();
    crowd_connects(fds, CROWD);
    for (int i = 0; i < CROWD - 1; i++)
        lb_send(fds[i], WAIT);
    turn(); /* all have been read, few handled */
    assert_int_equal(requests, HTTP_TURN_REQUESTS);
    close_all(&fds[CROWD - 1 - LEAVE], LEAVE);
    lb_send(fds[CROWD - 1], "GET /last HTTP/1.1\r\n" HOST "\r\n");
    fresh();
    assert_true(lb_wait(&lb, fds[CROWD - 1], &got, "/last"));
    assert_int_equal(requests, CROWD - LEAVE);
    assert_true(lb_wait_connections(&lb, CROWD - LEAVE));
    close_all(fds, CROWD - 1 - LEAVE);
    close(fds[CROWD - 1]);
    lb_stop(&lb);
}

/* The server goes while some wait. */
static void test_close_before_the_crowd(void **state)
{
    int fds[CROWD];

    (void)state;
    begin();
    crowd_connects(fds, CROWD);
    for (int i = 0; i < CROWD; i++)
        lb_send(fds[i], WAIT);
    turn();
    lb_stop(&lb);
    assert_int_equal(requests, HTTP_TURN_REQUESTS);
    close_all(fds, CROWD);
}

/* ---- those who go ---- */

/* tabs[i] is fds[i]'s. */
static void crowd_opens(int fds[], unsigned n)
{
    crowd_connects(fds, n);
    for (unsigned i = 0; i < n; i++)
        lb_send(fds[i], UPGRADE);
    turn_until(opened == n);
    for (unsigned i = 0; i < n; i++) {
        fresh();
        assert_true(lb_wait(&lb, fds[i], &got, "\r\n\r\n"));
    }
}

static enum ws_send send_text(struct ws_conn *ws, const char *text)
{
    const size_t len = strlen(text);
    uint8_t *bytes;
    struct hub_buf *b = hub_buf_alloc(2 + len, &bytes);
    enum ws_send sent;

    bytes[0] = 0x81;
    bytes[1] = (uint8_t)len;
    memcpy(bytes + 2, text, len);
    sent = ws_conn_send(ws, b, false);
    hub_buf_unref(b);
    return sent;
}

static void send_close(int fd, const char *code)
{
    struct byte_buf frame = {0};

    wsv_frame(&frame, 0x88, code, 2, (const uint8_t *)"mask");
    lb_send_bytes(fd, frame.data, frame.len);
    byte_buf_free(&frame);
}

static void reset(int fd)
{
    const struct linger linger = {.l_onoff = 1};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger), 0);
    close(fd);
}

/* Their close frames have been read by now, but few ends were told. */
static unsigned waiting_tabs(void)
{
    unsigned n = 0;

    for (unsigned i = 0; i < CROWD; i++)
        n += tabs[i].ws != NULL && ws_conn_has_ended(tabs[i].ws);
    return n;
}

/* Each is told once, in order, and sent nothing more; each client gets what was queued for it, and
 * its close frame back. Whoever stays is sent to in every turn. */
static void test_leaving_together(void **state)
{
    int fds[CROWD + 1];
    uint64_t gone_ms;

    (void)state;
    begin();
    crowd_opens(fds, CROWD + 1);
    gone_ms = lb_ms();
    for (unsigned i = 0; i < CROWD; i++)
        send_close(fds[i], "\x03\xe9");
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(send_text(tabs[i].ws, "before"), WS_SEND_OK);
    turn();
    turn();
    assert_in_range(waiting_tabs(), 1, CROWD);
    assert_int_equal(uv_backend_timeout(&lb.loop), 0);
    for (unsigned i = 0; i < CROWD; i++)
        if (tabs[i].ws != NULL && ws_conn_has_ended(tabs[i].ws))
            assert_int_equal(send_text(tabs[i].ws, "after"), WS_SEND_CLOSED);
    for (uint64_t until = lb_ms() + LB_LIMIT_MS; ended < CROWD && lb_ms() < until;) {
        assert_int_equal(send_text(tabs[CROWD].ws, "stays"), WS_SEND_OK);
        turn();
        assert_int_equal(ws_conn_queued_bytes(tabs[CROWD].ws), 0);
    }
    assert_int_equal(ended, CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(tabs[i].place, i);
        assert_int_equal(tabs[i].how, WS_END_CLEAN);
        assert_int_equal(tabs[i].code, 1001);
        fresh();
        assert_true(lb_wait(&lb, fds[i], &got, NULL));
        assert_false(got.reset);
        assert_int_equal(got.len, 12);
        assert_memory_equal(got.bytes,
                            "\x81\x06"
                            "before\x88\x02\x03\xe9",
                            12);
    }
    close_all(fds, CROWD);
    while (lb.server->nlingering > 0) { /* these go in turns, too */
        const size_t before = lb.server->nlingering;

        turn();
        if (lb_ms() < gone_ms + HTTP_LINGER_MS / 2) /* else their time is over */
            assert_in_range(before - lb.server->nlingering, 0, HTTP_TURN_ENDS);
    }
    assert_int_equal(http_server_connections(lb.server), 1);
    close(fds[CROWD]);
    lb_stop(&lb);
}

/* Cut off: by a reset, and without one. */
static void test_lost_together(void **state)
{
    int fds[CROWD];

    (void)state;
    begin();
    crowd_opens(fds, CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(send_text(tabs[i].ws, "on its way"), WS_SEND_OK);
        if (i % 2 == 0)
            reset(fds[i]);
        else
            close(fds[i]);
    }
    turn_until(ended == CROWD);
    for (unsigned i = 0; i < CROWD; i++) {
        assert_int_equal(tabs[i].how, WS_END_LOST);
        assert_int_equal(tabs[i].code, 1006);
    }
    assert_true(lb_wait_connections(&lb, 0));
    assert_int_equal(http_server_queued_bytes(lb.server), 0);
    lb_stop(&lb);
}

/* One alone does not wait for anything. */
static void test_leaving_alone(void **state)
{
    int fd;

    (void)state;
    begin();
    crowd_opens(&fd, 1);
    send_close(fd, "\x03\xe8");
    turn(); /* reads */
    turn(); /* writes */
    assert_int_equal(ended, 1);
    turn_until(uv_backend_timeout(&lb.loop) != 0);
    close(fd);
    lb_stop(&lb);
}

/* The server goes while some wait: their clients had closed all the same. */
static void test_close_before_the_ends(void **state)
{
    int fds[CROWD];

    (void)state;
    begin();
    crowd_opens(fds, CROWD);
    for (unsigned i = 0; i < CROWD; i++)
        send_close(fds[i], "\x03\xe8");
    turn();
    turn();
    assert_in_range(waiting_tabs(), 1, CROWD);
    lb_stop(&lb);
    assert_int_equal(ended, CROWD);
    for (unsigned i = 0; i < CROWD; i++)
        assert_int_equal(tabs[i].how, WS_END_CLEAN);
    close_all(fds, CROWD);
}

/* Connections without a request, or with half of one. */
static void test_idle_ones_leave_together(void **state)
{
    int fds[CROWD];

    (void)state;
    begin();
    crowd_connects(fds, CROWD);
    for (int i = 0; i < CROWD; i += 2)
        lb_send(fds[i], "GET / HT");
    turn();
    close_all(fds, CROWD);
    while (http_server_connections(lb.server) > 0) {
        const size_t before = http_server_connections(lb.server);

        turn();
        assert_in_range(before - http_server_connections(lb.server), 0, HTTP_TURN_ENDS);
    }
    assert_int_equal(requests, 0);
    lb_stop(&lb);
}

/* What a slow reader was sent before it closed reaches it, though a write is under way when its
 * turn comes. */
static void test_slow_reader_in_the_crowd(void **state)
{
    int fds[CROWD], narrow = 4096, wide = 1 << 20;
    const int slow = CROWD - 1;
    size_t sent = 0, came = 0;
    char text[101] = "";

    (void)state;
    memset(text, 's', sizeof text - 1);
    begin();
    crowd_opens(fds, CROWD);
    assert_int_equal(setsockopt(fds[slow], SOL_SOCKET, SO_RCVBUF, &narrow, sizeof narrow), 0);
    while (ws_conn_queued_bytes(tabs[slow].ws) == 0) {
        for (int i = 0; i < 1000; i++) {
            assert_int_equal(send_text(tabs[slow].ws, text), WS_SEND_OK);
            sent += 2 + strlen(text);
        }
        turn();
    }
    for (unsigned i = 0; i < CROWD; i++)
        send_close(fds[i], "\x03\xe8");
    turn_until(ended == CROWD - 1);
    assert_true(ws_conn_has_ended(tabs[slow].ws));
    assert_int_equal(setsockopt(fds[slow], SOL_SOCKET, SO_RCVBUF, &wide, sizeof wide), 0);
    fresh();
    for (uint64_t until = lb_ms() + LB_LIMIT_MS; !got.eof && lb_ms() < until; got.len = 0) {
        turn();
        lb_poll(fds[slow], &got);
        came += got.len;
    }
    assert_true(got.eof);
    assert_int_equal(came, sent + 4);
    assert_int_equal(tabs[slow].how, WS_END_CLEAN);
    close_all(fds, CROWD);
    lb_stop(&lb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crowd),
        cmocka_unit_test(test_leaving_the_crowd),
        cmocka_unit_test(test_close_before_the_crowd),
        cmocka_unit_test(test_leaving_together),
        cmocka_unit_test(test_lost_together),
        cmocka_unit_test(test_leaving_alone),
        cmocka_unit_test(test_close_before_the_ends),
        cmocka_unit_test(test_idle_ones_leave_together),
        cmocka_unit_test(test_slow_reader_in_the_crowd),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
