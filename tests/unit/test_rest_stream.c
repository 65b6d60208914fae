/* rest_stream against a server in the same loop: our own for what is well formed, and a bare socket
 * that answers by script for the rest. */
#include "tests/unit/loopback.h"

#include "rocketchat/rest_stream.h"
#include "signalr/http/http_stream.h"

static struct loopback lb;
static struct rest_stream_client *client;
static bool client_freed;

/* ---- the server: /echo gives the body back, /sink swallows it, /source?N writes N bytes, /refuse
 * answers at once, /hold waits ---- */

static struct {
    struct http_request *req;
    uint64_t got, to_write;
    bool echo, read, waits, hold;
    char target[300], headers[2000];
} srv;

static void srv_pump(void)
{
    static char piece[20000];
    size_t n;

    while (srv.req != NULL && srv.read && !srv.waits) {
        switch (http_stream_read(srv.req, piece, sizeof piece, &n)) {
        case HTTP_STREAM_EMPTY:
            return;
        case HTTP_STREAM_DATA:
            srv.got += n;
            if (srv.echo)
                srv.waits = !http_stream_write(srv.req, (struct slice){piece, n});
            break;
        case HTTP_STREAM_END:
            srv.read = false;
            break;
        }
    }
    memset(piece, 's', sizeof piece);
    while (srv.req != NULL && !srv.waits && srv.to_write > 0) {
        n = srv.to_write < sizeof piece ? (size_t)srv.to_write : sizeof piece;
        srv.to_write -= n;
        srv.waits = !http_stream_write(srv.req, (struct slice){piece, n});
    }
    if (srv.req != NULL && !srv.hold && !srv.waits && !srv.read && srv.to_write == 0) {
        http_stream_end(srv.req);
        srv.req = NULL;
    }
}

static void srv_readable(void *arg)
{
    (void)arg;
    srv_pump();
}

static void srv_writable(void *arg)
{
    (void)arg;
    srv.waits = false;
    srv_pump();
}

static void srv_gone(void *arg)
{
    (void)arg;
    srv.req = NULL;
}

static bool srv_streams(void *arg, const struct http_view *head, uint64_t *body_bytes)
{
    (void)arg, (void)head;
    *body_bytes = UINT64_C(1) << 40;
    return true;
}

static void srv_request(void *arg, struct http_request *req)
{
    static const struct http_stream_events events = {
        .readable = srv_readable, .writable = srv_writable, .gone = srv_gone};
    const struct http_view *v = http_request_view(req);
    const struct http_header more[] = {{SLICE_LIT("X-One"), SLICE_LIT("1")},
                                       {SLICE_LIT("X-Empty"), SLICE_LIT("")}};
    struct http_response ok = {.status = 200, .headers = more, .nheaders = 2};
    size_t at = 0;

    (void)arg;
    memset(&srv, 0, sizeof srv);
    srv.req = req;
    snprintf(srv.target, sizeof srv.target, "%d %.*s?%.*s", (int)v->method, (int)v->path.len,
             v->path.ptr, (int)v->query.len, v->query.ptr);
    for (size_t i = 0; i < v->nheaders; i++)
        at += (size_t)snprintf(srv.headers + at, sizeof srv.headers - at, "%.*s=%.*s|",
                               (int)v->headers[i].name.len, v->headers[i].name.ptr,
                               (int)v->headers[i].value.len, v->headers[i].value.ptr);
    if (slice_eq(v->path, SLICE_LIT("/p/refuse"))) {
        srv.req = NULL;
        http_respond(req, &(struct http_response){.status = 413, .body = SLICE_LIT("no")});
        return;
    }
    assert_true(http_stream_open(req, &events, 8000));
    srv.hold = slice_eq(v->path, SLICE_LIT("/p/hold"));
    if (srv.hold)
        return;
    srv.read = true;
    srv.echo = slice_eq(v->path, SLICE_LIT("/p/echo"));
    if (slice_eq(v->path, SLICE_LIT("/p/source")))
        srv.to_write = strtoull(v->query.ptr, NULL, 10);
    http_stream_head(req, &ok, srv.to_write > 0 ? srv.to_write : HTTP_LENGTH_UNKNOWN);
    srv_pump();
}

/* ---- the caller ---- */

static struct {
    struct rest_stream *st;
    uint64_t to_send, sent, got, length;
    bool hold_body, starve, starved, done;
    int status;
    char text[400], headers[2000];
    struct rc_error error;
} x;

static enum rest_stream_read on_read(void *arg, char *to, size_t cap, size_t *n)
{
    assert_ptr_equal(arg, &x);
    x.starved = x.starve;
    if (x.starve)
        return REST_STREAM_EMPTY;
    *n = x.to_send < cap ? (size_t)x.to_send : cap;
    memset(to, 'u', *n);
    x.to_send -= *n;
    x.sent += *n;
    return *n > 0 ? REST_STREAM_DATA : REST_STREAM_END;
}

static void on_header(void *arg, struct slice name, struct slice value)
{
    size_t at = strlen(x.headers);

    (void)arg;
    snprintf(x.headers + at, sizeof x.headers - at, "%.*s=%.*s|", (int)name.len, name.ptr,
             (int)value.len, value.ptr);
}

static void on_head(void *arg, int status, uint64_t length)
{
    (void)arg;
    assert_int_equal(x.status, 0);
    x.status = status;
    x.length = length;
}

static bool on_body(void *arg, struct slice bytes)
{
    size_t at = strlen(x.text);

    (void)arg;
    assert_int_not_equal(x.status, 0);
    x.got += bytes.len;
    snprintf(x.text + at, sizeof x.text - at, "%.*s", (int)bytes.len, bytes.ptr);
    return !x.hold_body;
}

static void on_done(void *arg, const struct rc_error *error)
{
    (void)arg;
    assert_false(x.done);
    x.done = true;
    x.error = error == NULL ? (struct rc_error){0} : *error;
}

static const struct rest_stream_events events = {on_read, on_header, on_head, on_body, on_done};

static void start(const char *method, const char *target, uint64_t body)
{
    static const struct rest_stream_header headers[] = {
        {SLICE_LIT("X-Auth-Token"), SLICE_LIT("tok")},
        {SLICE_LIT("Accept"), SLICE_LIT("a/b")},
        {SLICE_LIT("X-Empty"), SLICE_LIT("")}};
    bool posts = strcmp(method, "POST") == 0;
    const struct rest_stream_request r = {
        .method = method,
        .target = slice_of(target),
        .headers = headers,
        .nheaders = 3,
        .has_body = posts,
        .length = body,
    };
    uint64_t to_send = body == REST_LENGTH_UNKNOWN ? 5 : body;
    bool starve = x.starve, hold = x.hold_body;

    memset(&x, 0, sizeof x);
    x.starve = starve;
    x.hold_body = hold;
    x.to_send = to_send;
    x.st = rest_stream_start(client, &r, &events, &x);
    assert_non_null(x.st);
}

static void open_client(int port, unsigned idle_ms)
{
    char base[64];
    struct rest_client_options o = {.base_url = base,
                                    .tls_verify = true,
                                    .timeout_ms = idle_ms,
                                    .connect_timeout_ms = 5000,
                                    .max_connections = 4};

    snprintf(base, sizeof base, "http://127.0.0.1:%d/p", port);
    assert_int_equal(rest_stream_client_new(&lb.loop, &o, &client), 0);
}

static void begin(void)
{
    const struct http_options o = {
        .limits = {.head_bytes = 32768,
                   .request_line_bytes = 16384,
                   .body_bytes = 10,
                   .head_timeout_ms = 8000,
                   .body_timeout_ms = 8000,
                   .idle_timeout_ms = 8000},
        .streams = srv_streams,
        .on_request = srv_request,
    };

    setenv("http_proxy", "http://127.0.0.1:1", 1); /* must not matter */
    lb_start(&lb, &o);
    memset(&x, 0, sizeof x);
    open_client(ntohs(((struct sockaddr_in *)&lb.addr)->sin_port), 8000);
}

static void on_client_freed(void *arg)
{
    (void)arg;
    client_freed = true;
}

static void stop(void)
{
    client_freed = false;
    rest_stream_client_free(client, on_client_freed, NULL);
    lb_stop(&lb);
    assert_true(client_freed);
}

static void wait_done(void)
{
    assert_true(lb_wait_flag(&lb, &x.done));
}

static void test_passes_through(void **state)
{
    static const char *const targets[] = {
        "/source?3",
        "/echo/a.b?x=%20+&y=[1]&z={\"a\":1}&&=",
        "/echo/../x/./y",
        "/echo?",
        "/echo?q=%C3%A9|\\^`'",
        "/echo;v=1,2",
    };

    (void)state;
    begin();
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char want[300];

        start("GET", targets[i], 0);
        wait_done();
        assert_int_equal(x.error.result, RC_OK);
        if (x.status != 200)
            fail_msg("%s: %d %s", targets[i], x.status, x.text);
        snprintf(want, sizeof want, "0 /p%s", targets[i]);
        if (strncmp(srv.target, want, strlen(want)) != 0)
            fail_msg("sent %s\n got %s", want, srv.target);
    }
    assert_non_null(strstr(srv.headers, "X-Auth-Token=tok|"));
    assert_non_null(strstr(srv.headers, "Accept=a/b|"));
    assert_non_null(strstr(srv.headers, "X-Empty=|"));
    assert_null(strcasestr(srv.headers, "user-agent"));
    assert_null(strcasestr(srv.headers, "expect"));
    assert_non_null(strstr(x.headers, "X-One=1|"));
    assert_non_null(strstr(x.headers, "X-Empty=|"));
    start("GET", "/source?3", 0);
    wait_done();
    assert_int_equal(x.length, 3);
    assert_string_equal(x.text, "sss");
    start("HEAD", "/source?3", 0);
    wait_done();
    assert_int_equal(x.error.result, RC_OK);
    assert_int_equal(x.length, 3);
    assert_string_equal(x.text, "");
    for (int known = 0; known < 2; known++) {
        start("POST", "/echo", known ? 5 : REST_LENGTH_UNKNOWN);
        wait_done();
        assert_string_equal(x.text, "uuuuu");
        assert_true(x.length == REST_LENGTH_UNKNOWN);
        assert_non_null(strstr(srv.headers, known ? "Content-Length=5|" : "Transfer-Encoding=chu"));
        assert_null(strcasestr(srv.headers, "content-type"));
    }
    start("POST", "/echo", 0);
    wait_done();
    assert_non_null(strstr(srv.headers, "Content-Length=0|"));
    start("DELETE", "/echo", 0);
    wait_done();
    assert_non_null(strstr(srv.target, "5 /p/echo"));
    stop();
}

/* Neither side runs ahead of the other by more than the buffers. */
static void test_backpressure(void **state)
{
    const uint64_t all = 64u << 20, bound = 32u << 20;

    (void)state;
    begin();
    /* Nobody reads at the server. */
    start("POST", "/hold", all);
    lb_turn(&lb, 300);
    assert_true(x.sent > 0 && x.sent < bound);
    rest_stream_cancel(x.st);
    /* The caller has nothing to send, and then something again. */
    x.starve = true;
    start("POST", "/echo", 5);
    assert_true(lb_wait_flag(&lb, &x.starved));
    lb_turn(&lb, 20);
    assert_false(x.done);
    x.starve = false;
    rest_stream_more(x.st);
    wait_done();
    assert_string_equal(x.text, "uuuuu");
    /* The caller takes nothing more. */
    x.hold_body = true;
    start("GET", "/source?67108864", 0);
    lb_turn(&lb, 300);
    assert_int_equal(x.length, all);
    assert_true(x.got > 0 && x.got < bound);
    x.hold_body = false;
    rest_stream_go_on(x.st);
    wait_done();
    assert_int_equal(x.error.result, RC_OK);
    assert_int_equal(x.got, all);
    /* Much, both ways at once. */
    start("POST", "/echo", all);
    wait_done();
    assert_int_equal(x.got, all);
    stop();
}

static void test_early_answer_and_cancel(void **state)
{
    (void)state;
    begin();
    start("POST", "/refuse", 64u << 20);
    wait_done();
    assert_int_equal(x.error.result, RC_OK);
    assert_int_equal(x.status, 413);
    assert_string_equal(x.text, "no");
    start("GET", "/hold", 0);
    rest_stream_cancel(x.st);
    start("GET", "/hold", 0);
    lb_turn(&lb, 50);
    assert_non_null(srv.req);
    rest_stream_cancel(x.st);
    assert_true(lb_wait_connections(&lb, 0));
    assert_false(x.done);
    /* The answer breaks off. */
    start("GET", "/hold", 0);
    lb_turn(&lb, 50);
    http_stream_head(srv.req, &(struct http_response){.status = 200}, 9);
    http_stream_write(srv.req, SLICE_LIT("part"));
    lb_turn(&lb, 20);
    http_stream_abort(srv.req);
    srv.req = NULL;
    wait_done();
    assert_string_equal(x.text, "part");
    assert_string_equal(x.error.code, "answer-truncated");
    stop();
}

/* ---- by script ---- */

static int raw_listener(int *port)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof any;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&any, len), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&any, &len), 0);
    *port = ntohs(any.sin_port);
    return fd;
}

static void play(int listener, const char *answer, bool closes)
{
    uint64_t until = lb_ms() + 5000;
    int fd = -1;

    start("GET", "/x", 0);
    while (fd < 0 && lb_ms() < until) {
        lb_turn(&lb, 1);
        fd = accept(listener, NULL, NULL);
    }
    assert_true(fd >= 0);
    lb_send(fd, answer);
    if (closes)
        shutdown(fd, SHUT_WR);
    wait_done();
    close(fd);
}

static void test_scripts(void **state)
{
    static char many[100000];
    static const struct {
        const char *name, *answer, *text, *headers, *code;
        int status;
        uint64_t length;
    } cases[] = {
        {"interim answers",
         "HTTP/1.1 100 Continue\r\nX-I: 1\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
         "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
         "ok", "Content-Length=2|", "", 200, 2},
        {"trailers",
         "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-T: 1\r\n\r\n",
         "ok", "Transfer-Encoding=chunked|", "", 200, REST_LENGTH_UNKNOWN},
        {"chunks win over a length",
         "HTTP/1.1 200 OK\r\nContent-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n"
         "2\r\nok\r\n0\r\n\r\n",
         "ok", "Content-Length=9|Transfer-Encoding=chunked|", "", 200, REST_LENGTH_UNKNOWN},
        {"a redirect is an answer",
         "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "",
         "Location=http://127.0.0.1:1/|Content-Length=0|", "", 302, 0},
        {"until the end", "HTTP/1.0 200 OK\r\nX:  spaced \r\n\r\nall of it", "all of it",
         "X=spaced|", "", 200, REST_LENGTH_UNKNOWN},
        {"compressed stays so",
         "HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\n\x1f\x8b",
         "\x1f\x8b", "Content-Encoding=gzip|Content-Length=2|", "", 200, 2},
        {"no answer", "", "", "", "connection-lost", 0, 0},
        {"not HTTP", "hello\r\n\r\n", "", "", "http-broken", 0, 0},
        {"no status there is", "HTTP/1.1 600 Odd\r\nX: 1\r\nContent-Length: 2\r\n\r\nok", "", "",
         "http-broken", 0, 0},
        {"a switch nobody asked for",
         "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nok",
         "", "", "http-broken", 0, 0},
    };
    int port, listener;

    (void)state;
    begin();
    client_freed = false;
    rest_stream_client_free(client, on_client_freed, NULL);
    assert_true(lb_wait_flag(&lb, &client_freed));
    listener = raw_listener(&port);
    open_client(port, 1000);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        play(listener, cases[i].answer, true);
        if (strcmp(x.text, cases[i].text) != 0 || strcmp(x.headers, cases[i].headers) != 0 ||
            strcmp(x.error.code, cases[i].code) != 0 || x.status != cases[i].status ||
            x.length != cases[i].length)
            fail_msg("%s: %d, %s, %s, '%s'", cases[i].name, x.status, x.headers, x.text,
                     x.error.code);
    }
    strcpy(many, "HTTP/1.1 200 OK\r\n");
    for (size_t at = strlen(many); at < sizeof many - 20; at += 7)
        memcpy(many + at, "X: 12\r\n", 8);
    play(listener, many, true);
    assert_string_equal(x.error.code, "answer-too-large");
    /* Silence, for longer than the idle time. */
    play(listener, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart", false);
    assert_int_equal(x.error.result, RC_TIMED_OUT);
    close(listener);
    start("GET", "/x", 0);
    wait_done();
    assert_string_equal(x.error.code, "connection-refused");
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_passes_through),
        cmocka_unit_test(test_backpressure),
        cmocka_unit_test(test_early_answer_and_cancel),
        cmocka_unit_test(test_scripts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
