#include "signalr/http/http_internal.h"
#include "tests/unit/loopback.h"

#include <sys/resource.h>

static struct loopback lb;
static struct received got;
static struct http_request *held;
static bool gone;
static unsigned notes[HTTP_NOTE_RESPONSE + 1], requests;
static struct http_handoff *handoff;

static void answer_text(struct http_request *req, int status, const char *text)
{
    http_respond(req, &(struct http_response){
                          .status = status, .content_type = "text/plain", .body = slice_of(text)});
}

static void echo(struct http_request *req)
{
    const struct http_view *v = http_request_view(req);
    char text[600];

    snprintf(text, sizeof text, "[%d %.*s ? %.*s host %.*s from %.*s %s tag %d body %.*s]",
             (int)v->method, (int)v->path.len, v->path.ptr, (int)v->query.len, v->query.ptr,
             (int)v->host.len, v->host.ptr, (int)v->client_address.len, v->client_address.ptr,
             v->secure ? "https" : "http", v->listener_tag, (int)v->body.len, v->body.ptr);
    answer_text(req, 200, text);
}

static void on_request(void *arg, struct http_request *req)
{
    static char big[3000000];
    const struct http_view *v = http_request_view(req);
    struct http_header injected = {SLICE_LIT("X"), SLICE_LIT("a\r\nEvil: 1")};

    (void)arg;
    requests++;
    http_request_set_data(req, &lb);
    assert_ptr_equal(http_request_data(req), &lb);
    if (slice_eq(v->path, SLICE_LIT("/hold"))) {
        assert_null(held);
        held = req;
    } else if (slice_eq(v->path, SLICE_LIT("/missing"))) {
        answer_text(req, 404, "");
    } else if (slice_eq(v->path, SLICE_LIT("/close"))) {
        http_respond(req, &(struct http_response){.status = 200, .close = true});
    } else if (slice_eq(v->path, SLICE_LIT("/inject"))) {
        http_respond(req,
                     &(struct http_response){.status = 200, .headers = &injected, .nheaders = 1});
    } else if (slice_eq(v->path, SLICE_LIT("/big"))) {
        memset(big, 'b', sizeof big);
        http_respond(req, &(struct http_response){.status = 200, .body = {big, sizeof big}});
    } else if (slice_eq(v->path, SLICE_LIT("/detach"))) {
        handoff = http_detach(req);
        assert_non_null(handoff);
    } else {
        echo(req);
    }
}

static void on_gone(void *arg, struct http_request *req)
{
    (void)arg;
    assert_ptr_equal(req, held);
    assert_ptr_equal(http_request_data(req), &lb);
    held = NULL;
    gone = true;
}

static bool on_refusal(void *arg, const struct http_view *head, int status, const char *why,
                       const char **content_type, struct byte_buf *body)
{
    (void)arg;
    if (!slice_eq(head->path, SLICE_LIT("/own-words")))
        return false;
    *content_type = "a/b";
    byte_buf_printf(body, "<%d %s>", status, why);
    return true;
}

static void on_note(void *arg, enum http_note note, int status, const char *detail,
                    struct slice client)
{
    (void)arg;
    (void)status;
    assert_non_null(detail);
    assert_true(client.len > 0);
    notes[note]++;
}

static const char *const origins[] = {"http://app.example", "https://app.example:8443", NULL};
static const char *const loopback_proxy[] = {"127.0.0.0/8", NULL};

static struct http_options options(void)
{
    return (struct http_options){
        .limits =
            {
                .head_bytes = 32768,
                .request_line_bytes = 16384,
                .body_bytes = 65536,
                .head_timeout_ms = 4000,
                .body_timeout_ms = 4000,
                .idle_timeout_ms = 4000,
            },
        .cors_origins = origins,
        .on_request = on_request,
        .on_gone = on_gone,
        .on_note = on_note,
        .on_refusal = on_refusal,
    };
}

static void begin(const struct http_options *o)
{
    memset(notes, 0, sizeof notes);
    requests = 0;
    held = NULL;
    gone = false;
    got.len = 0;
    got.eof = got.reset = false;
    lb_start(&lb, o);
}

static void fresh(void)
{
    got.len = 0;
    got.eof = got.reset = false;
}

#define HOST "Host: a.example\r\n"
#define GET(path) "GET " path " HTTP/1.1\r\n" HOST "\r\n"

/* One connection for each: what comes back, and whether the connection stays. */
static void test_answers(void **state)
{
    static const struct {
        const char *name, *in, *want[4];
        bool stays;
    } cases[] = {
        {"simple",
         GET("/a?b"),
         {"HTTP/1.1 200 OK\r\nDate: ", "\r\nContent-Type: text/plain\r\n",
          "[0 /a ? b host a.example from 127.0.0.1 http tag 7 body ]"},
         true},
        {"body", "POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\n\r\nxyz", {"body xyz]"}, true},
        {"chunks",
         "POST /a HTTP/1.1\r\n" HOST
         "Transfer-Encoding: chunked\r\n\r\n2\r\nxy\r\n1\r\nz\r\n0\r\n\r\n",
         {"body xyz]"},
         true},
        {"expect",
         "POST /a HTTP/1.1\r\n" HOST "Content-Length: 3\r\nExpect: 100-continue\r\n\r\n",
         {"HTTP/1.1 100 Continue\r\n\r\n"},
         true},
        {"404 of the handler", GET("/missing"), {"HTTP/1.1 404 Not Found\r\n"}, true},
        {"1.0 closes", "GET / HTTP/1.0\r\n\r\n", {"HTTP/1.1 200 OK", "Connection: close"}, false},
        {"1.0 keep-alive",
         "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
         {"Connection: keep-alive\r\n"},
         true},
        {"client closes",
         "GET / HTTP/1.1\r\n" HOST "Connection: close\r\n\r\n",
         {"Connection: close\r\n", "[0 / "},
         false},
        {"handler closes", GET("/close"), {"Connection: close\r\n"}, false},
        {"400", "GET / HTTP/1.1\r\n\r\n", {"HTTP/1.1 400 Bad Request\r\n", "Host"}, false},
        {"400, garbage", "\x16\x03\x01", {"HTTP/1.1 400 "}, false},
        {"411",
         "POST / HTTP/1.1\r\n" HOST "\r\n",
         {"HTTP/1.1 411 ", "\r\nContent-Type: text/plain\r\n"},
         false},
        {"411 in the host's words",
         "POST /own-words HTTP/1.1\r\n" HOST "\r\n",
         {"HTTP/1.1 411 ", "\r\nContent-Type: a/b\r\n", "\r\n\r\n<411 request without a length>"},
         false},
        {"413",
         "POST / HTTP/1.1\r\n" HOST "Content-Length: 65537\r\n\r\n",
         {"HTTP/1.1 413 "},
         false},
        {"413 can be read by the page",
         "POST / HTTP/1.1\r\n" HOST "Origin: http://app.example\r\nContent-Length: 65537\r\n\r\n",
         {"HTTP/1.1 413 ", "\r\nAccess-Control-Allow-Origin: http://app.example\r\n"},
         false},
        {"400 in the host's words, for the page",
         "GET /own-words HTTP/1.1\r\nOrigin: http://app.example\r\nHost: a b\r\n\r\n",
         {"HTTP/1.1 400 ", "\r\nAccess-Control-Allow-Origin: http://app.example\r\n",
          "\r\n\r\n<400 bad Host>"},
         false},
        {"400 at the field that breaks it",
         "GET /own-words HTTP/1.1\r\n" HOST "Origin: http://app.example\r\nno colon\r\n\r\n",
         {"HTTP/1.1 400 ", "\r\nAccess-Control-Allow-Origin: http://app.example\r\n",
          "\r\n\r\n<400 bad header field>"},
         false},
        {"400, the path not read",
         "GET /own-words\x01 HTTP/1.1\r\n" HOST "Origin: http://app.example\r\n\r\n",
         {"HTTP/1.1 400 ", "\r\nContent-Type: text/plain\r\n"},
         false},
        {"501", "BREW / HTTP/1.1\r\n" HOST "\r\n", {"HTTP/1.1 501 "}, false},
        {"505", "GET / HTTP/2.0\r\n" HOST "\r\n", {"HTTP/1.1 505 "}, false},
        {"426",
         "GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 8\r\n\r\n",
         {"HTTP/1.1 426 ", "\r\nSec-WebSocket-Version: 13\r\n"},
         false},
        {"no key",
         "GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Version: 13\r\n\r\n",
         {"HTTP/1.1 400 "},
         false},
        {"upgrade from elsewhere",
         "GET / HTTP/1.1\r\n" HOST "Connection: upgrade\r\nUpgrade: websocket\r\n"
         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
         "Origin: http://evil.example\r\n\r\n",
         {"HTTP/1.1 403 "},
         false},
        {"listed origin",
         "GET / HTTP/1.1\r\n" HOST "Origin: http://app.example\r\n\r\n",
         {"Access-Control-Allow-Origin: http://app.example\r\n",
          "Access-Control-Allow-Credentials: true\r\n", "Vary: Origin\r\n"},
         true},
        {"listed origin, 404",
         "GET /missing HTTP/1.1\r\n" HOST "Origin: http://app.example\r\n\r\n",
         {"HTTP/1.1 404 ", "Access-Control-Allow-Origin: http://app.example\r\n"},
         true},
        {"preflight",
         "OPTIONS /x HTTP/1.1\r\n" HOST "Origin: http://app.example\r\n"
         "Access-Control-Request-Method: POST\r\n"
         "Access-Control-Request-Headers: authorization,x-thing\r\n\r\n",
         {"HTTP/1.1 204 No Content\r\n", "Access-Control-Allow-Methods: POST\r\n",
          "Access-Control-Allow-Headers: authorization,x-thing\r\n",
          "Access-Control-Allow-Credentials: true\r\n"},
         true},
        {"OPTIONS is for the handler", "OPTIONS /x HTTP/1.1\r\n" HOST "\r\n", {"[6 /x "}, true},
        {"trusted headers of nobody",
         "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 9.9.9.9\r\nX-Forwarded-Proto: https\r\n\r\n",
         {"from 127.0.0.1 http "},
         true},
    };
    struct http_options o = options();

    (void)state;
    begin(&o);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = lb_connect(&lb);

        fresh();
        lb_send(fd, cases[i].in);
        for (size_t k = 0; k < 4 && cases[i].want[k] != NULL; k++)
            if (!lb_wait(&lb, fd, &got, cases[i].want[k]))
                fail_msg("%s: no \"%s\" in:\n%s", cases[i].name, cases[i].want[k], got.bytes);
        if (!cases[i].stays)
            assert_true(lb_wait(&lb, fd, &got, NULL) && !got.reset);
        lb_turn(&lb, 0);
        lb_poll(fd, &got);
        if (got.eof == cases[i].stays)
            fail_msg("%s: eof %d", cases[i].name, got.eof);
        close(fd);
    }
    assert_int_equal(notes[HTTP_NOTE_ORIGIN_REFUSED], 1);
    assert_true(notes[HTTP_NOTE_BAD_REQUEST] >= 8);
    lb_stop(&lb);
}

static void test_preflight_of_stranger(void **state)
{
    struct http_options o = options();
    int fd;

    (void)state;
    begin(&o);
    fd = lb_connect(&lb);
    lb_send(fd, "OPTIONS /x HTTP/1.1\r\n" HOST "Origin: http://evil.example\r\n"
                "Access-Control-Request-Method: POST\r\n\r\n");
    assert_true(lb_wait(&lb, fd, &got, "\r\n\r\n"));
    assert_true(lb_has(&got, " 204 "));
    assert_false(lb_has(&got, "Access-Control"));
    assert_int_equal(requests, 0);
    fresh();
    lb_send(fd, GET("/inject"));
    assert_true(lb_wait(&lb, fd, &got, "\r\n\r\n"));
    assert_false(lb_has(&got, "Evil"));
    close(fd);
    lb_stop(&lb);
}

static void test_head_has_no_body(void **state)
{
    struct http_options o = options();
    int fd;

    (void)state;
    begin(&o);
    fd = lb_connect(&lb);
    lb_send(fd, "HEAD /x HTTP/1.1\r\n" HOST "\r\n" GET("/y"));
    assert_true(lb_wait(&lb, fd, &got, "[0 /y "));
    assert_false(lb_has(&got, "[1 /x"));
    assert_false(lb_has(&got, "Content-Length: 0"));
    close(fd);
    lb_stop(&lb);
}

/* Many requests in one write, whole and byte by byte; one in the middle is answered late. */
static void test_pipelining(void **state)
{
    struct http_options o = options();
    const char *three = GET("/1") GET("/hold") GET("/3");
    int fd;

    (void)state;
    begin(&o);
    for (int bytewise = 0; bytewise < 2; bytewise++) {
        fd = lb_connect(&lb);
        fresh();
        if (bytewise)
            for (const char *p = three; *p != '\0'; p++) {
                lb_send_bytes(fd, p, 1);
                lb_turn(&lb, 0);
            }
        else
            lb_send(fd, three);
        assert_true(lb_wait(&lb, fd, &got, "[0 /1 "));
        lb_turn(&lb, 20);
        lb_poll(fd, &got);
        assert_false(lb_has(&got, "[0 /3 "));
        assert_non_null(held);
        answer_text(held, 200, "held");
        held = NULL;
        assert_false(lb_has(&got, "[0 /3 ")); /* not inside the answer */
        assert_true(lb_wait(&lb, fd, &got, "[0 /3 "));
        assert_int_equal(lb_count(&got, "HTTP/1.1 200"), 3);
        assert_true(strstr(got.bytes, "held") < strstr(got.bytes, "[0 /3 "));
        close(fd);
    }
    lb_stop(&lb);
}

static void test_many_pipelined(void **state)
{
    static char many[300000];
    struct http_options o = options();
    size_t len = 0;
    int fd;

    (void)state;
    for (int i = 0; i < 1000; i++)
        len += (size_t)sprintf(many + len,
                               "POST /%d HTTP/1.1\r\n" HOST "Content-Length: 2\r\n\r\nok", i);
    begin(&o);
    fd = lb_connect(&lb);
    for (size_t at = 0; at < len;) {
        ssize_t n = send(fd, many + at, len - at, MSG_DONTWAIT | MSG_NOSIGNAL);

        at += n > 0 ? (size_t)n : 0;
        lb_turn(&lb, 0);
        lb_poll(fd, &got);
    }
    assert_true(lb_wait(&lb, fd, &got, "[2 /999 "));
    assert_int_equal(lb_count(&got, "HTTP/1.1 200"), 1000);
    assert_int_equal(requests, 1000);
    close(fd);
    lb_stop(&lb);
}

/* While an answer is owed, only so much is read ahead; then the kernel holds the peer up. */
static void test_read_ahead_is_bounded(void **state)
{
    static char junk[1 << 20];
    struct http_options o = options();
    size_t sent = 0, quiet = 0;
    int fd;

    (void)state;
    o.limits.head_bytes = 1024;
    begin(&o);
    fd = lb_connect(&lb);
    lb_send(fd, GET("/hold"));
    lb_turn(&lb, 10);
    while (quiet < 200 && sent < 64 * sizeof junk) {
        ssize_t n = send(fd, junk, sizeof junk, MSG_DONTWAIT | MSG_NOSIGNAL);

        quiet = n > 0 ? 0 : quiet + 1;
        sent += n > 0 ? (size_t)n : 0;
        lb_turn(&lb, 0);
    }
    assert_true(sent < 64 * sizeof junk);
    assert_non_null(held);
    answer_text(held, 200, "held");
    held = NULL;
    assert_true(lb_wait(&lb, fd, &got, "HTTP/1.1 400"));
    close(fd);
    lb_stop(&lb);
}

static void test_big_answer(void **state)
{
    struct http_options o = options();
    size_t total = 0;
    int fd;

    (void)state;
    begin(&o);
    fd = lb_connect(&lb);
    lb_send(fd, GET("/big") GET("/next"));
    while (lb_wait(&lb, fd, &got, "b") && total < 3000000) {
        total += got.len;
        if (lb_has(&got, "[0 /next "))
            break;
        got.len = 0;
        lb_turn(&lb, 0);
    }
    assert_true(total > 3000000);
    lb_wait(&lb, fd, &got, "[0 /next ");
    assert_true(lb_has(&got, "[0 /next "));
    close(fd);
    lb_stop(&lb);
}

static void test_timeouts(void **state)
{
    static const struct {
        const char *name, *in, *want; /* NULL: closed without a word */
        const char *after;            /* sent first, with its answer awaited */
    } cases[] = {
        {"slow head", "GET / HT", "HTTP/1.1 408 Request Timeout\r\n", NULL},
        {"slow header", "GET / HTTP/1.1\r\nHost: a", "HTTP/1.1 408 ", NULL},
        {"slow header, in the host's words", "GET /own-words HTTP/1.1\r\nHost: a",
         "\r\n\r\n<408 request not complete in time>", NULL},
        {"slow body", "POST / HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nab", "HTTP/1.1 408 ",
         NULL},
        {"silent", "", NULL, NULL},
        {"only empty lines", "\r\n", NULL, NULL},
        {"idle", "", NULL, GET("/")},
        {"slow second head", "G", "HTTP/1.1 408 ", GET("/")},
    };
    struct http_options o = options();

    (void)state;
    o.limits.head_timeout_ms = o.limits.body_timeout_ms = o.limits.idle_timeout_ms = 100;
    begin(&o);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int fd = lb_connect(&lb);
        uint64_t from = lb_ms();

        fresh();
        if (cases[i].after != NULL) {
            lb_send(fd, cases[i].after);
            assert_true(lb_wait(&lb, fd, &got, "tag 7 body ]"));
            fresh();
        }
        lb_send(fd, cases[i].in);
        assert_true(lb_wait(&lb, fd, &got, NULL));
        if (cases[i].want == NULL ? got.len != 0 : !lb_has(&got, cases[i].want))
            fail_msg("%s: %s", cases[i].name, got.bytes);
        assert_true(lb_ms() - from >= 95);
        close(fd);
    }
    lb_stop(&lb);
}

static void test_held_request_has_no_timeout(void **state)
{
    struct http_options o = options();
    int fd;

    (void)state;
    o.limits.head_timeout_ms = o.limits.body_timeout_ms = o.limits.idle_timeout_ms = 50;
    begin(&o);
    fd = lb_connect(&lb);
    lb_send(fd, GET("/hold"));
    lb_turn(&lb, 250);
    assert_non_null(held);
    answer_text(held, 200, "late");
    held = NULL;
    assert_true(lb_wait(&lb, fd, &got, "late"));
    close(fd);
    lb_stop(&lb);
}

static void test_gone(void **state)
{
    struct http_options o = options();
    int fd;

    (void)state;
    begin(&o);
    fd = lb_connect(&lb);
    lb_send(fd, GET("/hold"));
    lb_turn(&lb, 10);
    assert_non_null(held);
    close(fd);
    assert_true(lb_wait_flag(&lb, &gone));
    assert_int_equal(http_server_connections(lb.server), 0);

    /* The same by the server's own end. */
    gone = false;
    fd = lb_connect(&lb);
    lb_send(fd, GET("/hold"));
    lb_turn(&lb, 10);
    assert_non_null(held);
    lb_stop(&lb);
    assert_true(gone);
    close(fd);
}

static void test_limits(void **state)
{
    struct http_options o = options();
    int fds[4];

    (void)state;
    for (int by_address = 0; by_address < 2; by_address++) {
        o.limits.max_connections = by_address ? 0 : 3;
        o.limits.max_per_address = by_address ? 3 : 0;
        begin(&o);
        for (int i = 0; i < 4; i++)
            fds[i] = lb_connect(&lb);
        assert_true(lb_wait(&lb, fds[3], &got, NULL));
        assert_false(got.reset);
        assert_true(lb_has(&got, "HTTP/1.1 503 "));
        assert_int_equal(notes[HTTP_NOTE_TOO_MANY], 1);
        fresh();
        lb_send(fds[2], GET("/ok"));
        assert_true(lb_wait(&lb, fds[2], &got, "[0 /ok "));
        close(fds[3]);
        close(fds[2]);
        assert_true(lb_wait_connections(&lb, 2));
        fds[2] = lb_connect(&lb);
        fresh();
        lb_send(fds[2], GET("/again"));
        assert_true(lb_wait(&lb, fds[2], &got, "[0 /again "));
        for (int i = 0; i < 3; i++)
            close(fds[i]);
        lb_stop(&lb);
    }
}

static void test_behind_proxy(void **state)
{
    static const struct {
        const char *headers, *want;
    } cases[] = {
        {"X-Forwarded-For: 203.0.113.9\r\nX-Forwarded-Proto: https\r\n"
         "X-Forwarded-Host: app.example\r\n",
         "host app.example from 203.0.113.9 https tag"},
        {"X-Forwarded-For: 1.1.1.1, 203.0.113.9, 127.0.0.5\r\n",
         "host a.example from 203.0.113.9 http tag"},
        {"X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 2001:db8::1\r\n", "from 2001:db8::1 http"},
        {"X-Forwarded-For: nonsense\r\n", "from 127.0.0.1 http"},
        {"", "from 127.0.0.1 http"},
    };
    struct http_options o = options();
    int fd;

    (void)state;
    o.trusted_proxies = loopback_proxy;
    begin(&o);
    fd = lb_connect(&lb);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[500];

        fresh();
        snprintf(text, sizeof text, "GET / HTTP/1.1\r\n" HOST "%s\r\n", cases[i].headers);
        lb_send(fd, text);
        if (!lb_wait(&lb, fd, &got, cases[i].want))
            fail_msg("%zu: %s", i, got.bytes);
    }
    close(fd);
    lb_stop(&lb);
}

/* Requests of one client through a proxy count while they wait, whatever sockets they came on. */
static void test_limit_behind_proxy(void **state)
{
    struct http_options o = options();
    int first, second;

    (void)state;
    o.trusted_proxies = loopback_proxy;
    o.limits.max_per_address = 1;
    begin(&o);
    first = lb_connect(&lb);
    second = lb_connect(&lb);
    lb_send(first, "GET /hold HTTP/1.1\r\n" HOST "X-Forwarded-For: 203.0.113.9\r\n\r\n");
    lb_turn(&lb, 10);
    assert_non_null(held);
    lb_send(second, "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 203.0.113.8\r\n\r\n");
    assert_true(lb_wait(&lb, second, &got, "from 203.0.113.8"));
    lb_send(second, "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 203.0.113.9\r\n\r\n");
    assert_true(lb_wait(&lb, second, &got, "HTTP/1.1 503 "));
    answer_text(held, 200, "now");
    held = NULL;
    fresh();
    assert_true(lb_wait(&lb, first, &got, "now"));
    lb_send(first, "GET / HTTP/1.1\r\n" HOST "X-Forwarded-For: 203.0.113.9\r\n\r\n");
    assert_true(lb_wait(&lb, first, &got, "from 203.0.113.9"));
    close(first);
    close(second);
    lb_stop(&lb);
}

static void test_proxy_protocol(void **state)
{
    struct http_options o = options();
    static const char v1[] = "PROXY TCP4 203.0.113.9 10.0.0.1 5000 80\r\n" GET("/p") GET("/q");
    int fd;

    (void)state;
    o.trusted_proxies = loopback_proxy;
    o.proxy_protocol = true;
    o.limits.head_timeout_ms = 200;
    begin(&o);
    for (size_t cut = 0; cut < sizeof v1 - 1; cut += 3) {
        fd = lb_connect(&lb);
        fresh();
        lb_send_bytes(fd, v1, cut);
        lb_turn(&lb, 0);
        lb_send_bytes(fd, v1 + cut, sizeof v1 - 1 - cut);
        assert_true(lb_wait(&lb, fd, &got, "[0 /q "));
        assert_int_equal(lb_count(&got, "from 203.0.113.9"), 2);
        close(fd);
    }
    fd = lb_connect(&lb);
    fresh();
    lb_send(fd, GET("/no-header"));
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_int_equal(got.len, 0);
    assert_int_equal(notes[HTTP_NOTE_BAD_PROXY_HEADER], 1);
    close(fd);
    fd = lb_connect(&lb);
    fresh();
    lb_send(fd, "PROXY TCP4 ");
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_int_equal(got.len, 0);
    close(fd);
    lb_stop(&lb);
}

static void test_busy_port(void **state)
{
    struct http_options o = options();
    struct sockaddr_storage again;

    (void)state;
    begin(&o);
    assert_int_equal(http_probe_bind((struct sockaddr *)&lb.addr, &again), UV_EADDRINUSE);
    /* Another shard's listener shares it. */
    assert_int_equal(http_server_listen(lb.server, (struct sockaddr *)&lb.addr, 8, true), 0);
    lb_stop(&lb);
}

static void test_bad_trusted_proxy(void **state)
{
    static const char *const wrong[] = {"10.0.0.0/8", "somewhere", NULL};
    struct http_options o = options();
    struct http_server *s;
    uv_loop_t loop;

    (void)state;
    o.trusted_proxies = wrong;
    assert_int_equal(uv_loop_init(&loop), 0);
    assert_int_equal(http_server_new(&loop, &o, &s), UV_EINVAL);
    assert_int_equal(uv_loop_close(&loop), 0);
}

static void test_ipv6(void **state)
{
    struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr_storage bound;
    struct http_options o = options();
    int fd, probe;

    (void)state;
    probe = http_probe_bind((struct sockaddr *)&six, &bound);
    if (probe == UV_EADDRNOTAVAIL || probe == UV_EAFNOSUPPORT)
        skip();
    assert_int_equal(probe, 0);
    begin(&o);
    assert_int_equal(http_server_listen(lb.server, (struct sockaddr *)&bound, 9, true), 0);
    fd = lb_connect_to(&bound);
    lb_send(fd, GET("/six"));
    assert_true(lb_wait(&lb, fd, &got, "from ::1 http tag 9 "));
    close(fd);
    lb_stop(&lb);
}

/* Connections that the kernel has taken already are served, not reset. */
static void test_stop_listening(void **state)
{
    struct http_options o = options();
    int fds[20], late;

    (void)state;
    begin(&o);
    for (int i = 0; i < 20; i++) {
        fds[i] = lb_connect(&lb);
        lb_send(fds[i], GET("/queued"));
    }
    http_server_stop_listening(lb.server);
    for (int i = 0; i < 20; i++) {
        fresh();
        assert_true(lb_wait(&lb, fds[i], &got, "[0 /queued "));
        close(fds[i]);
    }
    late = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(late, (struct sockaddr *)&lb.addr, sizeof(struct sockaddr_in)), -1);
    close(late);
    lb_stop(&lb);
}

/* Without descriptors new connections are turned away, and nothing spins or hangs. */
static void test_out_of_descriptors(void **state)
{
    struct http_options o = options();
    struct rlimit was, now;
    int kept, refused, fd;

    (void)state;
    begin(&o);
    kept = lb_connect(&lb);
    lb_send(kept, GET("/1"));
    assert_true(lb_wait(&lb, kept, &got, "[0 /1 "));
    refused = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
    now = was;
    now.rlim_cur = (rlim_t)refused + 1; /* the lowest free one is out of reach */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
    assert_int_equal(connect(refused, (struct sockaddr *)&lb.addr, sizeof(struct sockaddr_in)), 0);
    fresh();
    assert_true(lb_wait(&lb, refused, &got, NULL));
    assert_int_equal(got.len, 0);
    assert_int_equal(notes[HTTP_NOTE_TOO_MANY], 1);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
    fresh();
    lb_send(kept, GET("/2"));
    assert_true(lb_wait(&lb, kept, &got, "[0 /2 "));
    fd = lb_connect(&lb);
    lb_send(fd, GET("/3"));
    assert_true(lb_wait(&lb, fd, &got, "[0 /3 "));
    close(fd);
    close(kept);
    close(refused);
    lb_stop(&lb);
}

/* The answer to a bad request arrives although the peer goes on sending. */
static void test_error_is_not_lost(void **state)
{
    static char junk[200000];
    struct http_options o = options();
    int fd;

    (void)state;
    begin(&o);
    memset(junk, 'x', sizeof junk);
    fd = lb_connect(&lb);
    lb_send(fd, "POST / HTTP/1.1\r\n" HOST "Content-Length: 200000\r\n\r\n");
    lb_send_bytes(fd, junk, sizeof junk / 2);
    lb_turn(&lb, 10);
    lb_send_bytes(fd, junk, sizeof junk / 2);
    assert_true(lb_wait(&lb, fd, &got, NULL));
    assert_false(got.reset);
    assert_true(lb_has(&got, "HTTP/1.1 413 "));
    close(fd);
    lb_stop(&lb);
}

static void test_detach_and_adopt_here(void **state)
{
    struct http_options o = options();
    int fd;

    (void)state;
    begin(&o);
    fd = lb_connect(&lb);
    lb_send(fd, GET("/detach") GET("/behind"));
    for (uint64_t until = lb_ms() + LB_LIMIT_MS; handoff == NULL && lb_ms() < until;)
        lb_turn(&lb, 1);
    assert_non_null(handoff);
    assert_true(lb_wait_connections(&lb, 0));
    /* Nobody wants it: the peer sees the end. */
    http_handoff_free(handoff);
    handoff = NULL;
    assert_true(lb_wait(&lb, fd, &got, NULL));
    close(fd);
    lb_stop(&lb);
}

static void test_many_connections(void **state)
{
    struct http_options o = options();

    (void)state;
    begin(&o);
    for (int i = 0; i < 300; i++) {
        int fd = lb_connect(&lb);

        fresh();
        if (i % 3 != 0)
            lb_send_bytes(fd, GET("/x"), (size_t)(i % 30 + 5));
        if (i % 5 == 0)
            lb_turn(&lb, 0);
        close(fd);
    }
    assert_true(lb_wait_connections(&lb, 0));
    lb_stop(&lb);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_preflight_of_stranger),
        cmocka_unit_test(test_head_has_no_body),
        cmocka_unit_test(test_pipelining),
        cmocka_unit_test(test_many_pipelined),
        cmocka_unit_test(test_read_ahead_is_bounded),
        cmocka_unit_test(test_big_answer),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_held_request_has_no_timeout),
        cmocka_unit_test(test_gone),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_behind_proxy),
        cmocka_unit_test(test_limit_behind_proxy),
        cmocka_unit_test(test_proxy_protocol),
        cmocka_unit_test(test_busy_port),
        cmocka_unit_test(test_bad_trusted_proxy),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_stop_listening),
        cmocka_unit_test(test_out_of_descriptors),
        cmocka_unit_test(test_error_is_not_lost),
        cmocka_unit_test(test_detach_and_adopt_here),
        cmocka_unit_test(test_many_connections),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
