/* Bodies and answers in pieces: backpressure both ways, keep-alive, and every early end. */
#include "tests/unit/loopback.h"

#include "signalr/http/http_internal.h"
#include "signalr/http/http_stream.h"

/* One exchange of the handler under test. /echo sends the body back as it comes; /sink takes it
 * when told; /early answers at once; /source?N writes N bytes; /hold does nothing. */
struct exchange {
    struct http_request *req;
    uint64_t to_write, got, refused;
    bool sink, echo, length_known, ended, waits, told_gone;
    size_t first_whole;
    bool was_whole;
};

static struct loopback lb;
static struct received got;
static struct exchange x;
static unsigned gones, on_gones, timeouts;
static bool open_at_once;
static uint64_t body_limit;

static void finish(void)
{
    struct http_request *req = x.req;

    x.req = NULL;
    x.ended = true;
    http_stream_end(req);
}

static void pump(void)
{
    char piece[7000];
    size_t n;

    while (x.req != NULL && (x.sink || x.echo) && !x.waits) {
        switch (http_stream_read(x.req, piece, sizeof piece, &n)) {
        case HTTP_STREAM_EMPTY:
            return;
        case HTTP_STREAM_DATA:
            x.got += n;
            x.waits = x.echo && !http_stream_write(x.req, (struct slice){piece, n});
            break;
        case HTTP_STREAM_END:
            if (x.sink)
                http_stream_head(x.req, &(struct http_response){.status = 200}, 0);
            finish();
            return;
        }
    }
    while (x.req != NULL && x.to_write > 0 && !x.waits) {
        n = x.to_write < sizeof piece ? (size_t)x.to_write : sizeof piece;
        memset(piece, 's', sizeof piece);
        x.to_write -= n;
        x.waits = !http_stream_write(x.req, (struct slice){piece, n});
        if (x.to_write == 0 && !x.waits)
            finish();
    }
}

static void on_readable(void *arg)
{
    assert_ptr_equal(arg, &x);
    pump();
}

static void on_writable(void *arg)
{
    assert_ptr_equal(arg, &x);
    assert_true(x.waits);
    x.waits = false;
    if (!x.echo && !x.sink && x.to_write == 0)
        finish();
    pump();
}

static void on_stream_gone(void *arg)
{
    assert_ptr_equal(arg, &x);
    assert_non_null(x.req);
    x.req = NULL;
    x.told_gone = true;
    gones++;
}

static void on_gone(void *arg, struct http_request *req)
{
    (void)arg;
    assert_ptr_equal(req, x.req);
    x.req = NULL;
    on_gones++;
}

static void on_note(void *arg, enum http_note note, int status, const char *detail,
                    struct slice client)
{
    (void)arg, (void)status, (void)detail, (void)client;
    timeouts += note == HTTP_NOTE_TIMEOUT;
}

static bool streams(void *arg, const struct http_view *head, uint64_t *body_bytes)
{
    (void)arg;
    if (slice_eq(head->path, SLICE_LIT("/whole")))
        return false;
    *body_bytes = body_limit;
    return true;
}

static void open_stream(unsigned idle_ms)
{
    static const struct http_stream_events events = {
        .readable = on_readable, .writable = on_writable, .gone = on_stream_gone, .arg = &x};

    assert_true(http_stream_open(x.req, &events, idle_ms));
}

static void on_request(void *arg, struct http_request *req)
{
    const struct http_view *v = http_request_view(req);
    struct http_response ok = {.status = 200, .content_type = "text/plain"};

    (void)arg;
    x = (struct exchange){.req = req};
    if (slice_eq(v->path, SLICE_LIT("/whole"))) {
        ok.body = v->body;
        x.req = NULL;
        http_respond(req, &ok);
        return;
    }
    if (slice_eq(v->path, SLICE_LIT("/early"))) {
        x.req = NULL;
        ok.status = 401;
        ok.body = SLICE_LIT("early");
        http_respond(req, &ok);
        return;
    }
    x.was_whole = http_stream_is_whole(req, &x.first_whole);
    if (!open_at_once)
        return;
    open_stream(4000);
    if (slice_eq(v->path, SLICE_LIT("/sink"))) {
        x.sink = true;
    } else if (slice_eq(v->path, SLICE_LIT("/echo"))) {
        x.echo = true;
        http_stream_head(req, &ok, HTTP_LENGTH_UNKNOWN);
    } else if (slice_eq(v->path, SLICE_LIT("/source"))) {
        x.to_write = strtoull(v->query.ptr, NULL, 10);
        http_stream_head(req, &ok,
                         http_view_header(v, "x-chunked", &(struct slice){0}) ? HTTP_LENGTH_UNKNOWN
                                                                              : x.to_write);
    }
    pump();
}

static void begin(unsigned ms)
{
    const struct http_options o = {
        .limits = {.head_bytes = 32768,
                   .request_line_bytes = 16384,
                   .body_bytes = 10,
                   .head_timeout_ms = ms,
                   .body_timeout_ms = ms,
                   .idle_timeout_ms = ms},
        .streams = streams,
        .on_request = on_request,
        .on_gone = on_gone,
        .on_note = on_note,
    };

    x = (struct exchange){0};
    gones = on_gones = timeouts = 0;
    open_at_once = true;
    body_limit = UINT64_C(1) << 40;
    got.len = 0;
    got.eof = got.reset = false;
    lb_start(&lb, &o);
}

static void fresh(void)
{
    got.len = 0;
    got.eof = got.reset = false;
}

/* Sends a request, when no other is under way, and waits until the handler has it. */
static void ask(int fd, const char *text)
{
    uint64_t until = lb_ms() + LB_LIMIT_MS;

    x.req = NULL;
    lb_send(fd, text);
    while (x.req == NULL && lb_ms() < until)
        lb_turn(&lb, 1);
    assert_non_null(x.req);
}

#define HOST "Host: a.example\r\n"
#define POST(path, length) "POST " path " HTTP/1.1\r\n" HOST "Content-Length: " length "\r\n\r\n"
#define CHUNKED(path) "POST " path " HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

/* What comes back, bytewise too, and whether the connection stays for another request. */
static void test_exchanges(void **state)
{
    static const struct {
        const char *name, *in, *want, *not ;
        bool stays;
    } cases[] = {
        {"echo, length", POST("/echo", "5") "hello", "\r\n5\r\nhello\r\n0\r\n\r\n", NULL, true},
        {"echo, chunks", CHUNKED("/echo") "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "llo\r\n0\r\n\r\n",
         "Content-Length", true},
        {"no body", POST("/echo", "0"), "\r\n\r\n0\r\n\r\n", NULL, true},
        {"no body, GET", GET("/echo"), "\r\n\r\n0\r\n\r\n", NULL, true},
        {"trailers", CHUNKED("/sink") "1\r\nx\r\n0\r\nX-T: 1\r\n\r\n", "Content-Length: 0\r\n\r\n",
         NULL, true},
        {"length known", GET("/source?9"), "Content-Length: 9\r\n\r\nsssssssss", "chunked", true},
        {"1.0 gets no chunks", "GET /echo HTTP/1.0\r\n\r\n", "Connection: close\r\n", "chunked",
         false},
        {"1.0, length known", "GET /source?3 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         "Content-Length: 3\r\n\r\nsss", NULL, true},
        {"HEAD", "HEAD /source?9 HTTP/1.1\r\n" HOST "\r\n", "Content-Length: 9\r\n\r\n", "sss",
         true},
        {"HEAD, chunked", "HEAD /source?9 HTTP/1.1\r\n" HOST "x-chunked: 1\r\n\r\n", "\r\n\r\n",
         "sss", true},
        {"early, little left", POST("/early", "5") "hello", "early", "close", true},
        {"early, nothing there yet", POST("/early", "5"), "early", "close", false},
        {"early, much left", POST("/early", "100000") "x", "Connection: close\r\n", NULL, false},
        {"early, nobody knows", CHUNKED("/early") "1\r\nx\r\n", "Connection: close\r\n", NULL,
         false},
        {"whole beside it", POST("/whole", "5") "hello", "\r\n\r\nhello", NULL, true},
        {"too long, whole", POST("/whole", "11"), " 413 ", NULL, false},
        {"client closes",
         "POST /echo HTTP/1.1\r\n" HOST "Connection: close\r\n"
         "Content-Length: 2\r\n\r\nhi",
         "\r\n0\r\n\r\n", NULL, false},
    };

    (void)state;
    for (int bytewise = 0; bytewise < 2; bytewise++) {
        begin(4000);
        for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
            int fd = lb_connect(&lb);

            fresh();
            if (bytewise)
                for (const char *p = cases[i].in; *p != '\0'; p++) {
                    lb_send_bytes(fd, p, 1);
                    lb_turn(&lb, 0);
                }
            else
                lb_send(fd, cases[i].in);
            if (!bytewise || strstr(cases[i].want, "hello") == NULL || cases[i].not != NULL)
                if (!lb_wait(&lb, fd, &got, bytewise ? "\r\n\r\n" : cases[i].want))
                    fail_msg("%s: no \"%s\" in:\n%s", cases[i].name, cases[i].want, got.bytes);
            if (cases[i].not != NULL && lb_has(&got, cases[i].not ))
                fail_msg("%s: \"%s\" in:\n%s", cases[i].name, cases[i].not, got.bytes);
            if (cases[i].stays) {
                lb_send(fd, GET("/source?4"));
                if (!lb_wait(&lb, fd, &got, "Content-Length: 4\r\n\r\nssss"))
                    fail_msg("%s: no second answer behind:\n%s", cases[i].name, got.bytes);
            } else if (strstr(cases[i].name, "nothing there") == NULL &&
                       (!lb_wait(&lb, fd, &got, NULL) || got.reset)) {
                fail_msg("%s: stays open, or was reset", cases[i].name);
            }
            close(fd);
        }
        assert_int_equal(gones, 0);
        lb_stop(&lb);
    }
}

/* The rest of a body that nobody wants is swallowed, and is not the next request. */
static void test_rest_is_swallowed(void **state)
{
    int fd;

    (void)state;
    begin(4000);
    fd = lb_connect(&lb);
    lb_send(fd, POST("/early", "60000"));
    assert_true(lb_wait(&lb, fd, &got, "early"));
    assert_false(lb_has(&got, "close"));
    for (int i = 0; i < 60; i++) {
        char line[1000];

        memset(line, 'G', sizeof line);
        lb_send_bytes(fd, line, sizeof line);
        lb_turn(&lb, 0);
    }
    lb_send(fd, GET("/source?3"));
    assert_true(lb_wait(&lb, fd, &got, "\r\n\r\nsss"));
    assert_int_equal(lb_count(&got, "HTTP/1.1 "), 2);
    close(fd);
    lb_stop(&lb);
}

/* Sends until the server takes no more; the bytes that went in. */
static uint64_t send_all_it_takes(int fd, uint64_t most)
{
    static char junk[1 << 16];
    uint64_t sent = 0;
    unsigned quiet = 0;

    memset(junk, 'j', sizeof junk);
    while (quiet < 300 && sent < most) {
        size_t want = most - sent < sizeof junk ? (size_t)(most - sent) : sizeof junk;
        ssize_t n = send(fd, junk, want, MSG_DONTWAIT | MSG_NOSIGNAL);

        quiet = n > 0 ? 0 : quiet + 1;
        sent += n > 0 ? (uint64_t)n : 0;
        lb_turn(&lb, 0);
    }
    return sent;
}

static void test_upload_waits_for_the_reader(void **state)
{
    const uint64_t all = 64u << 20;
    uint64_t sent;
    int fd;

    (void)state;
    begin(4000);
    fd = lb_connect(&lb);
    lb_send(fd, POST("/hold", "67108864"));
    sent = send_all_it_takes(fd, all);
    assert_true(sent < all); /* the rest is in nobody's memory */
    assert_non_null(x.req);
    x.sink = true;
    pump();
    while (sent < all && x.req != NULL) {
        uint64_t n = send_all_it_takes(fd, all - sent);

        assert_true(n > 0);
        sent += n;
    }
    assert_true(lb_wait(&lb, fd, &got, "Content-Length: 0\r\n\r\n"));
    assert_int_equal(x.got, all);
    fresh();
    lb_send(fd, GET("/source?3"));
    assert_true(lb_wait(&lb, fd, &got, "\r\n\r\nsss"));
    close(fd);
    lb_stop(&lb);
}

static void test_download_waits_for_the_peer(void **state)
{
    static char junk[1 << 16];
    uint64_t total = 0;
    int fd;

    (void)state;
    begin(4000);
    fd = lb_connect(&lb);
    ask(fd, GET("/source?67108864"));
    assert_true(lb_wait_flag(&lb, &x.waits));
    assert_true(x.to_write > 32u << 20); /* the handler was held up long before the end */
    lb_wait(&lb, fd, &got, "\r\n\r\n");
    total = got.len - (size_t)(strstr(got.bytes, "\r\n\r\n") + 4 - got.bytes);
    while (total < 67108864) {
        ssize_t n = recv(fd, junk, sizeof junk, MSG_DONTWAIT);

        assert_true(n != 0);
        total += n > 0 ? (uint64_t)n : 0;
        lb_turn(&lb, 0);
    }
    assert_int_equal(total, 67108864);
    assert_true(x.ended);
    close(fd);
    lb_stop(&lb);
}

/* The body is asked for only when somebody wants it. */
static void test_expect(void **state)
{
    const char *head = "POST /hold HTTP/1.1\r\n" HOST "Content-Length: 3\r\n"
                       "Expect: 100-continue\r\n\r\n";
    int fd;

    (void)state;
    begin(4000);
    fd = lb_connect(&lb);
    ask(fd, head);
    lb_turn(&lb, 30);
    lb_poll(fd, &got);
    assert_int_equal(got.len, 0);
    x.sink = true;
    pump();
    assert_true(lb_wait(&lb, fd, &got, "HTTP/1.1 100 Continue\r\n\r\n"));
    lb_send(fd, "abc");
    assert_true(lb_wait(&lb, fd, &got, "HTTP/1.1 200 OK\r\n"));
    assert_int_equal(lb_count(&got, "100 Continue"), 1);
    close(fd);
    /* Refused unasked: whether the body comes nobody knows. */
    fd = lb_connect(&lb);
    fresh();
    lb_send(fd,
            "POST /early HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_true(lb_has(&got, "HTTP/1.1 401 "));
    assert_false(lb_has(&got, "100 Continue"));
    close(fd);
    lb_stop(&lb);
}

static void test_limits_of_a_stream(void **state)
{
    int fd;

    (void)state;
    begin(4000);
    body_limit = 20;
    fd = lb_connect(&lb);
    lb_send(fd, POST("/sink", "21"));
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_true(lb_has(&got, "HTTP/1.1 413 "));
    assert_null(x.req); /* never handed out */
    close(fd);
    /* Found out on the way, before and behind the answer's head. */
    for (int answered = 0; answered < 2; answered++) {
        fd = lb_connect(&lb);
        fresh();
        gones = 0;
        ask(fd, answered ? CHUNKED("/echo") "5\r\nhello\r\n" : CHUNKED("/sink") "5\r\nhello\r\n");
        if (answered)
            assert_true(lb_wait(&lb, fd, &got, "hello"));
        lb_send(fd, "10\r\n0123456789abcdef\r\n");
        assert_true(lb_wait(&lb, fd, &got, NULL));
        assert_int_equal(gones, 1);
        assert_true(lb_has(&got, answered ? "hello" : "HTTP/1.1 413 "));
        assert_int_equal(lb_has(&got, "413"), !answered);
        close(fd);
    }
    /* A body that can't be read is refused the same way. */
    fd = lb_connect(&lb);
    fresh();
    lb_send(fd, CHUNKED("/sink") "5\r\nhelloo\r\n");
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_true(lb_has(&got, "HTTP/1.1 400 "));
    close(fd);
    lb_stop(&lb);
}

static void test_timeouts(void **state)
{
    static char junk[1 << 16];
    int fd;

    (void)state;
    begin(100);
    /* The body stalls: 408, and the handler hears of it. */
    fd = lb_connect(&lb);
    open_at_once = false;
    ask(fd, POST("/sink", "5") "he");
    open_stream(100);
    x.sink = true;
    pump();
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_true(lb_has(&got, "HTTP/1.1 408 "));
    assert_int_equal(gones, 1);
    assert_int_equal(timeouts, 1);
    close(fd);
    /* The handler takes its time: nobody's fault. */
    fd = lb_connect(&lb);
    fresh();
    ask(fd, POST("/hold", "2") "hi");
    lb_turn(&lb, 300);
    open_stream(100);
    lb_turn(&lb, 300);
    assert_non_null(x.req);
    assert_true(x.was_whole);
    assert_int_equal(x.first_whole, 2);
    x.sink = true;
    pump();
    assert_true(lb_wait(&lb, fd, &got, "HTTP/1.1 200 OK"));
    close(fd);
    /* The answer is not taken. */
    gones = 0;
    fd = lb_connect(&lb);
    ask(fd, GET("/source?67108864"));
    open_stream(100);
    x.to_write = 67108864;
    http_stream_head(x.req, &(struct http_response){.status = 200}, x.to_write);
    pump();
    assert_true(lb_wait_flag(&lb, &x.told_gone));
    assert_int_equal(gones, 1);
    while (recv(fd, junk, sizeof junk, 0) > 0)
        ;
    close(fd);
    lb_stop(&lb);
}

static void test_gone(void **state)
{
    int fd;

    (void)state;
    begin(4000);
    fd = lb_connect(&lb);
    ask(fd, POST("/sink", "5") "he");
    close(fd);
    assert_true(lb_wait_flag(&lb, &x.told_gone));
    assert_true(lb_wait_connections(&lb, 0));
    /* Never opened: on_gone as ever. */
    open_at_once = false;
    fd = lb_connect(&lb);
    ask(fd, POST("/sink", "5") "he");
    close(fd);
    assert_true(lb_wait_connections(&lb, 0));
    assert_int_equal(on_gones, 1);
    /* An answer that breaks off is not taken for whole. */
    open_at_once = true;
    fd = lb_connect(&lb);
    fresh();
    ask(fd, GET("/hold"));
    http_stream_head(x.req, &(struct http_response){.status = 200}, HTTP_LENGTH_UNKNOWN);
    http_stream_write(x.req, SLICE_LIT("part"));
    lb_turn(&lb, 10);
    http_stream_abort(x.req);
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_true(lb_has(&got, "part\r\n"));
    assert_false(lb_has(&got, "0\r\n\r\n"));
    close(fd);
    /* So is one that ends too soon, or would be too long. */
    for (int longer = 0; longer < 2; longer++) {
        fd = lb_connect(&lb);
        fresh();
        gones = 0;
        ask(fd, GET("/hold"));
        http_stream_head(x.req, &(struct http_response){.status = 200}, 3);
        http_stream_write(x.req, longer ? SLICE_LIT("four") : SLICE_LIT("xy"));
        http_stream_end(x.req);
        assert_true(lb_wait(&lb, fd, &got, NULL));
        assert_false(lb_has(&got, "four"));
        assert_true(longer || lb_has(&got, "\r\n\r\nxy")); /* what there was, not nothing */
        assert_int_equal(gones, 0);
        close(fd);
    }
    /* The server's own end. */
    fd = lb_connect(&lb);
    gones = 0;
    ask(fd, POST("/sink", "5") "he");
    lb_stop(&lb);
    assert_int_equal(gones, 1);
    close(fd);
}

/* A request behind a streamed one waits for it, wherever the bytes are cut. */
static void test_pipelined(void **state)
{
    const char *two =
        POST("/echo", "3") "abc" CHUNKED("/echo") "3\r\nxyz\r\n0\r\n\r\n" GET("/source?2")
            POST("/whole", "2") "ok";
    int fd;

    (void)state;
    begin(4000);
    for (size_t cut = 1; cut < strlen(two); cut++) {
        fd = lb_connect(&lb);
        fresh();
        lb_send_bytes(fd, two, cut);
        lb_turn(&lb, 0);
        lb_send(fd, two + cut);
        if (!lb_wait(&lb, fd, &got, "\r\n\r\nok") || lb_count(&got, "HTTP/1.1 200") != 4)
            fail_msg("cut at %zu:\n%s", cut, got.bytes);
        close(fd);
    }
    lb_stop(&lb);
}

/* An upload behind as many requests as a turn takes: its body comes while it waits, and after. */
static void test_waits_for_its_turn(void **state)
{
    static char part[3000];
    int others[HTTP_TURN_REQUESTS], fd;

    (void)state;
    memset(part, 'u', sizeof part);
    for (int all_at_once = 0; all_at_once < 2; all_at_once++) {
        begin(4000);
        for (int i = 0; i < HTTP_TURN_REQUESTS; i++)
            others[i] = lb_connect(&lb);
        fd = lb_connect(&lb);
        assert_true(lb_wait_connections(&lb, HTTP_TURN_REQUESTS + 1));
        fresh();
        for (int i = 0; i < HTTP_TURN_REQUESTS; i++)
            lb_send(others[i], "GET /whole HTTP/1.1\r\nHost: a\r\n\r\n");
        lb_send(fd, "POST /sink HTTP/1.1\r\nHost: a\r\nContent-Length: 6000\r\n\r\n");
        lb_send_bytes(fd, part, sizeof part);
        if (all_at_once)
            lb_send_bytes(fd, part, sizeof part);
        uv_run(&lb.loop, UV_RUN_NOWAIT);
        assert_false(x.sink);
        if (!all_at_once)
            lb_send_bytes(fd, part, sizeof part);
        assert_true(lb_wait(&lb, fd, &got, "HTTP/1.1 200"));
        assert_int_equal(x.got, 2 * sizeof part);
        for (int i = 0; i < HTTP_TURN_REQUESTS; i++)
            close(others[i]);
        close(fd);
        lb_stop(&lb);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exchanges),
        cmocka_unit_test(test_rest_is_swallowed),
        cmocka_unit_test(test_upload_waits_for_the_reader),
        cmocka_unit_test(test_download_waits_for_the_peer),
        cmocka_unit_test(test_expect),
        cmocka_unit_test(test_limits_of_a_stream),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_pipelined),
        cmocka_unit_test(test_waits_for_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
