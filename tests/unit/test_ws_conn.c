#include "signalr/http/ws_conn.h"

#include "signalr/protocol/hub_buf.h"
#include "tests/unit/loopback.h"
#include "tests/unit/ws_vectors.h"

static struct loopback lb;
static struct received got;

/* What the server side saw. One WebSocket at a time, but for the tests that say otherwise. */
static struct ws_conn *ws;
static struct byte_buf data;
static bool ended, inside_call;
static enum ws_end how;
static unsigned code, ends, written;
static uint64_t last_born;
static enum { DATA_KEEP, DATA_ECHO, DATA_CLOSE } on_data_does;

static void send_text(struct ws_conn *to, const char *text, bool over_limit, enum ws_send want)
{
    uint8_t head[WS_HEADER_MAX], *bytes;
    size_t len = strlen(text), n = ws_header_write(head, WS_OP_TEXT, len);
    struct hub_buf *b = hub_buf_alloc(n + len, &bytes);

    memcpy(bytes, head, n);
    memcpy(bytes + n, text, len);
    hub_buf_set_born(b, 77);
    inside_call = true;
    assert_int_equal(ws_conn_send(to, b, over_limit), want);
    inside_call = false;
    hub_buf_unref(b);
}

static void on_data(struct ws_conn *w, void *arg, const uint8_t *bytes, size_t len)
{
    assert_ptr_equal(arg, &lb);
    assert_ptr_equal(w, ws);
    assert_true(len > 0);
    byte_buf_append(&data, bytes, len);
    if (on_data_does == DATA_ECHO)
        send_text(w, "echo", false, WS_SEND_OK);
    if (on_data_does == DATA_CLOSE)
        ws_conn_close(w, 1000, 200);
}

static void on_end(struct ws_conn *w, void *arg, enum ws_end h, unsigned c)
{
    (void)arg;
    assert_false(inside_call);
    send_text(w, "too late", false, WS_SEND_CLOSED);
    ws_conn_close(w, 1000, 1);
    ended = true;
    how = h;
    code = c;
    ends++;
    ws = NULL;
}

static const struct ws_callbacks callbacks = {on_data, on_end, NULL};

static void on_request(void *arg, struct http_request *req)
{
    (void)arg;
    if (!http_request_view(req)->wants_websocket) {
        http_respond(req, &(struct http_response){.status = 404});
        return;
    }
    inside_call = true;
    ws = http_upgrade(req, &callbacks, &lb);
    inside_call = false;
    assert_non_null(ws);
}

static void on_written(void *arg, uint64_t born)
{
    (void)arg;
    last_born = born;
    written++;
}

static struct http_options options(void)
{
    return (struct http_options){
        .limits = {.head_bytes = 32768, .request_line_bytes = 16384, .body_bytes = 65536},
        .ws_queue_bytes = 100000,
        .ws_stall_ms = 5000,
        .on_request = on_request,
        .on_written = on_written,
    };
}

static void forget(void)
{
    byte_buf_free(&data);
    ended = false;
    ws = NULL;
    got.len = 0;
    got.eof = got.reset = false;
    on_data_does = DATA_KEEP;
    written = 0;
}

static void begin(const struct http_options *o)
{
    forget();
    ends = 0;
    lb_start(&lb, o);
}

static void finish(void)
{
    lb_stop(&lb);
    byte_buf_free(&data);
}

#define UPGRADE                                                                                    \
    "GET /ws HTTP/1.1\r\nHost: a.example\r\nConnection: keep-alive, Upgrade\r\n"                   \
    "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"                                          \
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

/* Upgrades; got is left empty behind the head of the answer. */
static int open_on(int fd)
{
    forget();
    lb_send(fd, UPGRADE);
    assert_true(lb_wait(&lb, fd, &got, "\r\n\r\n"));
    assert_non_null(ws);
    got.len = 0;
    return fd;
}

static int open_ws(void)
{
    return open_on(lb_connect(&lb));
}

/* With a small receive buffer, so that little is under way unseen. */
static int open_narrow(void)
{
    int size = 8192, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size), 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&lb.addr, sizeof(struct sockaddr_in)), 0);
    return open_on(fd);
}

static void send_frame(int fd, unsigned first, const void *payload, size_t len)
{
    struct byte_buf frame = {0};

    wsv_frame(&frame, first, payload, len, (const uint8_t *)"\x12\x34\x56\x78");
    lb_send_bytes(fd, frame.data, frame.len);
    byte_buf_free(&frame);
}

/* Cuts the next server frame out of got; returns its first byte, 0 when there is none whole. */
static unsigned next_frame(size_t *at, struct slice *payload)
{
    const uint8_t *p = (const uint8_t *)got.bytes + *at;
    size_t left = got.len - *at, head = 2, len;

    if (left < 2)
        return 0;
    len = p[1];
    assert_true(len < 127); /* and not masked */
    if (len == 126) {
        head = 4;
        if (left < 4)
            return 0;
        len = (size_t)p[2] << 8 | p[3];
    }
    if (left < head + len)
        return 0;
    *payload = (struct slice){(const char *)p + head, len};
    *at += head + len;
    return p[0];
}

static void test_handshake(void **state)
{
    struct http_options o = options();
    int fd;

    (void)state;
    begin(&o);
    fd = lb_connect(&lb);
    lb_send(fd, UPGRADE);
    assert_true(lb_wait(&lb, fd, &got, "\r\n\r\n"));
    assert_int_equal(strncmp(got.bytes, "HTTP/1.1 101 Switching Protocols\r\n", 34), 0);
    assert_true(lb_has(&got, "\r\nUpgrade: websocket\r\n"));
    assert_true(lb_has(&got, "\r\nConnection: Upgrade\r\n"));
    assert_true(lb_has(&got, "\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
    assert_int_equal(http_server_connections(lb.server), 1);
    close(fd);
    assert_true(lb_wait_flag(&lb, &ended));
    assert_int_equal(how, WS_END_LOST);
    assert_int_equal(code, 1006);
    finish();
}

static void check_pongs(const struct ws_vector *v, size_t *at)
{
    for (size_t i = 0; i < v->npongs; i++) {
        struct slice payload;
        unsigned first = next_frame(at, &payload);

        if (first != 0x8a || !slice_eq(payload, byte_buf_slice(&v->pongs[i])))
            fail_msg("%s: pong %zu is 0x%02x", v->name, i, first);
    }
}

static bool all_arrived(const struct ws_vector *v)
{
    return v->data.len == data.len && got.len >= v->npongs * 2;
}

/* cut: bytes in the first segment. */
static void vector_over_socket(const struct ws_vector *v, size_t cut)
{
    int fd = open_ws();
    size_t at = 0;
    uint64_t until = lb_ms() + 5000;
    struct slice payload;
    unsigned first;

    for (size_t done = 0; done < v->frames.len && !ended;) {
        size_t n = done < cut ? cut - done : v->frames.len - done;
        ssize_t sent = send(fd, v->frames.data + done, n, MSG_DONTWAIT | MSG_NOSIGNAL);

        done += sent > 0 ? (size_t)sent : 0;
        lb_turn(&lb, 0);
    }
    if (v->close == 0 && v->end == 0) {
        while (!all_arrived(v) && lb_ms() < until) {
            lb_turn(&lb, 0);
            lb_poll(fd, &got);
        }
        assert_true(slice_eq(byte_buf_slice(&data), byte_buf_slice(&v->data)));
        assert_false(ended);
        check_pongs(v, &at);
        assert_int_equal(at, got.len);
        close(fd);
        assert_true(lb_wait_flag(&lb, &ended));
        return;
    }
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_false(got.reset);
    assert_true(lb_wait_flag(&lb, &ended));
    check_pongs(v, &at);
    first = next_frame(&at, &payload);
    if (first != 0x88 || at != got.len)
        fail_msg("%s: 0x%02x, %zu of %zu", v->name, first, at, got.len);
    if (v->close == 1005) {
        assert_int_equal(payload.len, 0);
    } else {
        assert_int_equal(payload.len, 2);
        assert_int_equal((uint8_t)payload.ptr[0] << 8 | (uint8_t)payload.ptr[1], v->close + v->end);
    }
    assert_int_equal(how, v->end != 0 ? WS_END_PROTOCOL : WS_END_CLEAN);
    assert_int_equal(code, v->close + v->end);
    close(fd);
}

static void vector_whole_and_cut(const struct ws_vector *v)
{
    vector_over_socket(v, 0);
    vector_over_socket(v, v->frames.len / 2);
    vector_over_socket(v, 1);
}

static void test_vectors(void **state)
{
    struct http_options o = options();

    (void)state;
    begin(&o);
    wsv_each(vector_whole_and_cut);
    finish();
}

/* Frames in the same segment as the request, more than one read buffer of them. */
static void test_early_frames(void **state)
{
    struct http_options o = options();
    struct byte_buf all = {0};
    char *big = malloc(200000);
    int fd;

    (void)state;
    begin(&o);
    memset(big, 'e', 200000);
    for (size_t len = 1; len <= 200000; len = len * 3 + 1) {
        byte_buf_clear(&all);
        byte_buf_puts(&all, UPGRADE);
        wsv_frame(&all, 0x82, big, len, (const uint8_t *)"abcd");
        wsv_frame(&all, 0x89, "x", 1, (const uint8_t *)"abcd");
        forget();
        fd = lb_connect(&lb);
        for (size_t at = 0; at < all.len;) {
            ssize_t n = send(fd, all.data + at, all.len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

            at += n > 0 ? (size_t)n : 0;
            lb_turn(&lb, 0);
        }
        assert_true(lb_wait(&lb, fd, &got, "\x8a\x01x"));
        assert_int_equal(data.len, len);
        close(fd);
        assert_true(lb_wait_flag(&lb, &ended));
    }
    byte_buf_free(&all);
    free(big);
    finish();
}

static void test_send_order(void **state)
{
    struct http_options o = options();
    size_t at = 0;
    int fd;

    (void)state;
    begin(&o);
    fd = open_ws();
    for (int i = 0; i < 1000; i++) {
        char text[16];

        snprintf(text, sizeof text, "m%d", i);
        send_text(ws, text, false, WS_SEND_OK);
    }
    lb_poll(fd, &got);
    assert_int_equal(got.len, 0); /* nothing leaves inside a send */
    assert_true(ws_conn_queued_bytes(ws) > 5000);
    assert_true(lb_wait(&lb, fd, &got, "m999"));
    for (int i = 0; i < 1000; i++) {
        struct slice payload;
        char text[16];

        snprintf(text, sizeof text, "m%d", i);
        assert_int_equal(next_frame(&at, &payload), 0x81);
        assert_true(slice_eq(payload, slice_of(text)));
    }
    assert_int_equal(written, 1000);
    assert_int_equal(last_born, 77);
    assert_int_equal(ws_conn_queued_bytes(ws), 0);
    assert_true(ws_conn_last_write_ms(ws) != 0);
    close(fd);
    assert_true(lb_wait_flag(&lb, &ended));
    finish();
}

static void test_callbacks_that_act(void **state)
{
    struct http_options o = options();
    int fd;

    (void)state;
    begin(&o);
    fd = open_ws();
    on_data_does = DATA_ECHO;
    send_frame(fd, 0x81, "hi", 2);
    assert_true(lb_wait(&lb, fd, &got,
                        "\x81\x04"
                        "echo"));
    close(fd);
    assert_true(lb_wait_flag(&lb, &ended));

    fd = open_ws();
    on_data_does = DATA_CLOSE;
    for (int i = 0; i < 3; i++)
        send_frame(fd, 0x81, "hi", 2); /* only the first is told */
    send_frame(fd, 0x88, "\x03\xe8", 2);
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_true(lb_wait_flag(&lb, &ended));
    assert_int_equal(data.len, 2);
    assert_int_equal(how, WS_END_CLEAN);
    assert_int_equal(code, 1000);
    close(fd);
    finish();
}

static void test_closing(void **state)
{
    static const struct {
        const char *name;
        bool answer, leave;
        enum ws_end how;
        unsigned code;
    } cases[] = {
        {"answered", true, false, WS_END_CLEAN, 1001},
        {"not answered", false, false, WS_END_TIMEOUT, 1006},
        {"TCP ends instead", false, true, WS_END_LOST, 1006},
    };
    struct http_options o = options();

    (void)state;
    begin(&o);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = open_ws();
        struct slice payload;
        size_t at = 0;

        send_text(ws, "before", false, WS_SEND_OK);
        inside_call = true;
        ws_conn_close(ws, 1000, 150);
        ws_conn_close(ws, 1001, 1); /* the first one counts */
        inside_call = false;
        send_text(ws, "after", true, WS_SEND_CLOSED);
        assert_true(lb_wait(&lb, fd, &got, "\x03\xe8"));
        assert_int_equal(next_frame(&at, &payload), 0x81);
        assert_int_equal(next_frame(&at, &payload), 0x88);
        assert_int_equal(at, got.len);
        send_frame(fd, 0x81, "ignored", 7);
        send_frame(fd, 0x89, "ignored", 7);
        lb_turn(&lb, 20);
        assert_false(ended);
        if (cases[i].answer)
            send_frame(fd, 0x88, "\x03\xe9", 2);
        if (cases[i].leave)
            close(fd);
        assert_true(lb_wait_flag(&lb, &ended));
        if (how != cases[i].how || code != cases[i].code)
            fail_msg("%s: how %d code %u", cases[i].name, how, code);
        assert_int_equal(data.len, 0);
        if (!cases[i].leave)
            close(fd);
    }
    finish();
}

static enum ws_send send_len(size_t len)
{
    uint8_t head[WS_HEADER_MAX], *bytes;
    size_t h = ws_header_write(head, WS_OP_TEXT, len);
    struct hub_buf *b = hub_buf_alloc(h + len, &bytes);
    enum ws_send rc;

    memcpy(bytes, head, h);
    memset(bytes + h, 's', len);
    rc = ws_conn_send(ws, b, false);
    hub_buf_unref(b);
    return rc;
}

/* Sends until the queue is full; returns how many went in. */
static unsigned fill_up(void)
{
    unsigned n = 0;

    for (;;) {
        enum ws_send rc = send_len(10000);

        if (rc == WS_SEND_FULL)
            return n;
        assert_int_equal(rc, WS_SEND_OK);
        n++;
        assert_true(n < 10000);
        lb_turn(&lb, 0);
    }
}

static void test_slow_reader(void **state)
{
    struct http_options o = options();
    size_t total = 0, want;
    int fd;

    (void)state;
    begin(&o);
    fd = open_ws();
    want = (size_t)fill_up() * 10004;
    assert_true(ws_conn_queued_bytes(ws) > 80000);
    assert_true(ws_conn_queued_bytes(ws) <= 100000);
    assert_int_equal(http_server_queued_bytes(lb.server), ws_conn_queued_bytes(ws));
    send_text(ws, "Close", true, WS_SEND_OK);
    want += 7;
    /* The reader wakes up: nothing is missing. */
    while (total < want) {
        got.len = 0;
        lb_turn(&lb, 0);
        lb_poll(fd, &got);
        assert_false(got.eof);
        total += got.len;
    }
    assert_int_equal(total, want);
    assert_int_equal(ws_conn_queued_bytes(ws), 0);
    assert_int_equal(http_server_queued_bytes(lb.server), 0);
    close(fd);
    assert_true(lb_wait_flag(&lb, &ended));
    finish();
}

static void test_behind_a_large_frame(void **state)
{
    static const size_t large = 32 << 20; /* more than the kernel takes in */
    struct http_options o = options();
    size_t total = 0;
    int fd;

    (void)state;
    begin(&o);
    fd = open_ws();
    assert_int_equal(send_len(large), WS_SEND_OK);
    lb_turn(&lb, 50);
    assert_true(ws_conn_queued_bytes(ws) > 100000);
    assert_int_equal(fill_up(), 9); /* as many as the limit takes by itself */
    assert_int_equal(send_len(large), WS_SEND_FULL);
    while (total < large + 10 + (size_t)9 * 10004) {
        got.len = 0;
        lb_turn(&lb, 0);
        lb_poll(fd, &got);
        assert_false(got.eof);
        total += got.len;
    }
    assert_int_equal(ws_conn_queued_bytes(ws), 0);
    fill_up(); /* and then as ever */
    assert_true(ws_conn_queued_bytes(ws) <= 100000);
    close(fd);
    assert_true(lb_wait_flag(&lb, &ended));
    finish();
}

static void test_stall(void **state)
{
    struct http_options o = options();
    uint64_t from;
    int fd;

    (void)state;
    o.ws_stall_ms = 150;
    begin(&o);
    fd = open_ws();
    lb_turn(&lb, 300);
    assert_false(ended); /* idle is not stalled */
    fill_up();
    from = lb_ms();
    assert_true(lb_wait_flag(&lb, &ended));
    assert_int_equal(how, WS_END_TIMEOUT);
    assert_true(lb_ms() - from >= 100);
    close(fd);

    /* Closing a connection that takes nothing ends too. */
    o.ws_stall_ms = 0;
    finish();
    begin(&o);
    fd = open_ws();
    fill_up();
    assert_false(ws_conn_abandon(ws));
    ws_conn_close(ws, 1000, 100);
    assert_true(lb_wait_flag(&lb, &ended));
    assert_int_equal(how, WS_END_TIMEOUT);
    while (!got.eof && !got.reset) {
        got.len = 0;
        lb_poll(fd, &got);
    }
    assert_false(got.reset); /* which could cost it what it has not read yet */
    close(fd);
    finish();
}

/* A reader that is slow but alive is not stalled. Small buffers: the kernel tells of room only when
 * a third of what it may hold has gone. */
static void test_slow_is_not_stalled(void **state)
{
    struct http_options o = options();
    uint64_t until;
    int fd;

    (void)state;
    o.ws_stall_ms = 300;
    begin(&o);
    fd = open_narrow();
    until = lb_ms() + 1500;
    while (lb_ms() < until && !ended) {
        char some[60000];

        fill_up();
        lb_turn(&lb, 10);
        (void)recv(fd, some, sizeof some, MSG_DONTWAIT);
    }
    assert_false(ended);
    close(fd);
    assert_true(lb_wait_flag(&lb, &ended));
    finish();
}

/* Pings without end and nobody reading the pongs: the queue stays small, the newest is answered. */
static void test_ping_flood(void **state)
{
    struct http_options o = options();
    struct byte_buf flood = {0};
    size_t most = 0;
    int fd;

    (void)state;
    begin(&o);
    fd = open_narrow();
    for (int i = 0; i < 5000; i++)
        wsv_frame(&flood, 0x89, "0123456789", 10, (const uint8_t *)"mask");
    for (int round = 0; round < 100; round++) {
        for (size_t at = 0; at < flood.len;) {
            ssize_t n = send(fd, flood.data + at, flood.len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

            at += n > 0 ? (size_t)n : 0;
            lb_turn(&lb, 0);
            if (ws_conn_queued_bytes(ws) > most)
                most = ws_conn_queued_bytes(ws);
        }
    }
    assert_true(most <= 17 * 12);
    send_frame(fd, 0x89, "last", 4);
    assert_true(lb_wait(&lb, fd, &got, "\x8a\x04last"));
    /* An empty ping costs nothing, and the connection lives. */
    send_frame(fd, 0x81, "alive", 5);
    lb_turn(&lb, 10);
    assert_int_equal(data.len, 5);
    close(fd);
    assert_true(lb_wait_flag(&lb, &ended));
    byte_buf_free(&flood);
    finish();
}

/* Nothing follows our close frame, not even the answer to a ping that was put off. */
static void test_close_frame_is_last(void **state)
{
    struct http_options o = options();
    struct byte_buf all = {0};
    struct slice payload;
    size_t at = 0;
    int fd;

    (void)state;
    begin(&o);
    fd = open_ws();
    on_data_does = DATA_CLOSE;
    for (int i = 0; i < 20; i++)
        wsv_frame(&all, 0x89, "p", 1, (const uint8_t *)"mask");
    wsv_frame(&all, 0x81, "end", 3, (const uint8_t *)"mask");
    lb_send_bytes(fd, all.data, all.len);
    assert_true(lb_wait(&lb, fd, &got, "\x03\xe8"));
    assert_true(lb_wait_flag(&lb, &ended));
    lb_turn(&lb, 10);
    lb_poll(fd, &got);
    for (int i = 0; i < 16; i++)
        assert_int_equal(next_frame(&at, &payload), 0x8a);
    assert_int_equal(next_frame(&at, &payload), 0x88);
    assert_int_equal(at, got.len);
    byte_buf_free(&all);
    close(fd);
    finish();
}

/* What was queued before the peer's close frame came still leaves in front of ours. */
static void test_queued_before_close(void **state)
{
    struct http_options o = options();
    struct byte_buf all = {0};
    struct slice payload;
    size_t at = 0;
    int fd;

    (void)state;
    begin(&o);
    fd = open_ws();
    on_data_does = DATA_ECHO;
    wsv_frame(&all, 0x81, "hi", 2, (const uint8_t *)"mask");
    wsv_frame(&all, 0x88, "\x03\xe8", 2, (const uint8_t *)"mask");
    lb_send_bytes(fd, all.data, all.len);
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_int_equal(next_frame(&at, &payload), 0x81);
    assert_int_equal(next_frame(&at, &payload), 0x88);
    assert_int_equal(at, got.len);
    assert_int_equal(how, WS_END_CLEAN);
    byte_buf_free(&all);
    close(fd);
    finish();
}

static void test_server_closes(void **state)
{
    struct http_options o = options();
    int fd;

    (void)state;
    begin(&o);
    fd = open_ws();
    send_text(ws, "x", false, WS_SEND_OK);
    finish();
    assert_true(ended);
    assert_int_equal(how, WS_END_LOST);
    close(fd);

    begin(&o);
    fd = open_ws();
    fill_up(); /* a write is under way */
    finish();
    assert_true(ended);
    close(fd);
}

static void test_connect_disconnect(void **state)
{
    struct http_options o = options();

    (void)state;
    begin(&o);
    for (int i = 0; i < 400; i++) {
        int fd = open_ws();

        if (i % 4 == 1)
            send_frame(fd, 0x88, "\x03\xe8", 2);
        if (i % 4 == 2)
            ws_conn_close(ws, 1000, 50);
        if (i % 4 == 3)
            lb_send_bytes(fd, "\x81\xfe", 2); /* half a header */
        if (i % 20 == 0)
            send_text(ws, "bye", false, WS_SEND_OK);
        lb_turn(&lb, 0);
        close(fd);
        assert_true(lb_wait_flag(&lb, &ended));
    }
    assert_int_equal(ends, 400);
    assert_true(lb_wait_connections(&lb, 0));
    finish();
}

/* A WebSocket counts for its address as long as it lives, also behind a proxy. */
static void test_counted_by_address(void **state)
{
    static const char *const trusted[] = {"127.0.0.1", NULL};
    struct http_options o = options();
    int first, second;

    (void)state;
    for (int proxied = 0; proxied < 2; proxied++) {
        o.trusted_proxies = proxied ? trusted : NULL;
        o.limits.max_per_address = 1;
        begin(&o);
        first = lb_connect(&lb);
        lb_send(first, "GET /ws HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\n");
        lb_send(first, &UPGRADE[strlen("GET /ws HTTP/1.1\r\n")]);
        assert_true(lb_wait(&lb, first, &got, "HTTP/1.1 101"));
        second = lb_connect(&lb);
        got.len = 0;
        lb_send(second, "GET /ws HTTP/1.1\r\nX-Forwarded-For: 203.0.113.9\r\n");
        lb_send(second, &UPGRADE[strlen("GET /ws HTTP/1.1\r\n")]);
        assert_true(lb_wait(&lb, second, &got, "HTTP/1.1 503"));
        close(first);
        close(second);
        assert_true(lb_wait_flag(&lb, &ended));
        assert_true(lb_wait_connections(&lb, 0));
        first = open_ws();
        close(first);
        finish();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake),
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_early_frames),
        cmocka_unit_test(test_send_order),
        cmocka_unit_test(test_callbacks_that_act),
        cmocka_unit_test(test_closing),
        cmocka_unit_test(test_slow_reader),
        cmocka_unit_test(test_behind_a_large_frame),
        cmocka_unit_test(test_stall),
        cmocka_unit_test(test_slow_is_not_stalled),
        cmocka_unit_test(test_ping_flood),
        cmocka_unit_test(test_close_frame_is_last),
        cmocka_unit_test(test_queued_before_close),
        cmocka_unit_test(test_server_closes),
        cmocka_unit_test(test_connect_disconnect),
        cmocka_unit_test(test_counted_by_address),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
