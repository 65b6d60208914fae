#include "bridge/identity/jwks_source.h"

#include "tests/unit/jwt_sign.h"

#include <curl/curl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define EC                                                                                         \
    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","      \
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\""
#define ONE "{\"keys\":[{" EC ",\"kid\":\"1\"}]}"
#define TWO "{\"keys\":[{" EC ",\"kid\":\"2\"},{" EC ",\"kid\":\"3\"},{}]}"
#define OK "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
#define TEST_LIMIT_MS 20000

/* A source and, for URLs, the server it reads from; both on one loop. */
struct world {
    uv_loop_t loop;
    uv_timer_t limit;
    uv_tcp_t listener;
    bool listening;
    int port;
    const char *answer; /* what every request gets, until the connection is closed; NULL: silence */
    unsigned requests;

    struct jwt_keys *base;
    struct jwks_source *source;
    unsigned reports, stop_after, closed;
    struct jwks_source_report last;
    unsigned last_keys;      /* number of keys in the last set */
    const char *next_answer; /* given from the first report on; NULL: the same */
};

static void on_limit(uv_timer_t *timer)
{
    (void)timer;
    fail_msg("timed out");
}

static void on_closed(void *arg)
{
    struct world *w = arg;

    w->closed++;
    w->source = NULL;
}

static void on_report(void *arg, const struct jwks_source_report *report)
{
    struct world *w = arg;

    assert_true((report->result == JWKS_SOURCE_NEW_KEYS) == (report->keys != NULL));
    assert_non_null(report->detail);
    w->last = *report;
    w->last_keys = report->keys == NULL ? 0 : jwt_keys_count(report->keys);
    w->last.keys = NULL;
    if (w->next_answer != NULL)
        w->answer = w->next_answer;
    if (++w->reports == w->stop_after)
        uv_stop(&w->loop);
}

/* ---- the server ---- */

static void on_peer_closed(uv_handle_t *handle)
{
    free(handle);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    static char bytes[65536];

    (void)handle, (void)suggested;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static void on_written(uv_write_t *req, int status)
{
    (void)status;
    if (!uv_is_closing((uv_handle_t *)req->handle))
        uv_close((uv_handle_t *)req->handle, on_peer_closed);
    free(req);
}

static void on_read(uv_stream_t *peer, ssize_t n, const uv_buf_t *buf)
{
    struct world *w = peer->data;
    uv_write_t *req;
    uv_buf_t out;

    if (n < 0) {
        uv_close((uv_handle_t *)peer, on_peer_closed);
        return;
    }
    (void)buf; /* a GET fits one segment */
    w->requests++;
    if (w->answer == NULL)
        return;
    uv_read_stop(peer);
    req = malloc(sizeof *req);
    out = uv_buf_init((char *)(uintptr_t)w->answer, (unsigned)strlen(w->answer));
    assert_int_equal(uv_write(req, peer, &out, 1, on_written), 0);
}

static void on_connection(uv_stream_t *listener, int status)
{
    uv_tcp_t *peer = malloc(sizeof *peer);

    assert_int_equal(status, 0);
    uv_tcp_init(listener->loop, peer);
    peer->data = listener->data;
    assert_int_equal(uv_accept(listener, (uv_stream_t *)peer), 0);
    assert_int_equal(uv_read_start((uv_stream_t *)peer, on_alloc, on_read), 0);
}

static void listen_on_loopback(struct world *w)
{
    struct sockaddr_in addr;
    int len = sizeof addr;

    uv_ip4_addr("127.0.0.1", 0, &addr);
    uv_tcp_init(&w->loop, &w->listener);
    w->listener.data = w;
    assert_int_equal(uv_tcp_bind(&w->listener, (struct sockaddr *)&addr, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&w->listener, 16, on_connection), 0);
    uv_tcp_getsockname(&w->listener, (struct sockaddr *)&addr, &len);
    w->port = ntohs(addr.sin_port);
    w->listening = true;
}

/* ---- */

static void start(struct world *w, const struct jwks_source_options *options)
{
    w->source = jwks_source_new(&w->loop, options, w->base, on_report, w);
    assert_non_null(w->source);
    assert_int_equal(w->reports, 0);
}

static void run_until(struct world *w, unsigned reports)
{
    w->stop_after = reports;
    if (w->reports < reports)
        uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->reports, reports);
}

static void world_init(struct world *w)
{
    *w = (struct world){.answer = OK ONE};
    uv_loop_init(&w->loop);
    uv_timer_init(&w->loop, &w->limit);
    uv_timer_start(&w->limit, on_limit, TEST_LIMIT_MS, 0);
    uv_unref((uv_handle_t *)&w->limit);
    w->base = sign_hmac_set(SIGN_KEY);
}

static void close_peers(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (handle->type == UV_TCP && !uv_is_closing(handle) && handle->data != NULL)
        uv_close(handle, on_peer_closed);
}

static void world_done(struct world *w)
{
    if (w->source != NULL)
        jwks_source_close(w->source, on_closed, w);
    if (w->listening) {
        w->listener.data = NULL;
        uv_close((uv_handle_t *)&w->listener, NULL);
    }
    uv_walk(&w->loop, close_peers, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    uv_close((uv_handle_t *)&w->limit, NULL);
    uv_run(&w->loop, UV_RUN_DEFAULT);
    assert_int_equal(w->closed, 1);
    assert_int_equal(uv_loop_close(&w->loop), 0);
    jwt_keys_unref(w->base);
}

static void write_file(const char *path, const char *text)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    fputs(text, f);
    fclose(f);
}

static void test_file(void **state)
{
    char path[] = "/tmp/pushbridge_test_jwks_XXXXXX";
    const struct jwks_source_options options = {
        .location = path, .timeout_ms = 5000, .refresh_ms = 10, .min_gap_ms = 10};
    struct world w;
    int fd = mkstemp(path);

    (void)state;
    assert_true(fd >= 0);
    close(fd);
    write_file(path, ONE);
    world_init(&w);
    start(&w, &options);
    run_until(&w, 1);
    assert_int_equal(w.last.result, JWKS_SOURCE_NEW_KEYS);
    assert_int_equal(w.last_keys, 2);
    run_until(&w, 2);
    assert_int_equal(w.last.result, JWKS_SOURCE_UNCHANGED);
    write_file(path, TWO);
    run_until(&w, 3);
    assert_int_equal(w.last.result, JWKS_SOURCE_NEW_KEYS);
    assert_int_equal(w.last_keys, 3);
    assert_int_equal(w.last.passed_over, 1);
    write_file(path, "{");
    run_until(&w, 4);
    assert_int_equal(w.last.result, JWKS_SOURCE_MALFORMED);
    write_file(path, "{\"keys\":[]}");
    run_until(&w, 5);
    assert_int_equal(w.last.result, JWKS_SOURCE_NO_USABLE_KEY);
    unlink(path);
    run_until(&w, 6);
    assert_int_equal(w.last.result, JWKS_SOURCE_UNREACHABLE);
    write_file(path, TWO); /* what the failures left is still known */
    run_until(&w, 7);
    assert_int_equal(w.last.result, JWKS_SOURCE_UNCHANGED);
    unlink(path);
    world_done(&w);
}

static struct jwks_source_options url_options(const struct world *w, char url[64])
{
    snprintf(url, 64, "http://127.0.0.1:%d/jwks", w->port);
    return (struct jwks_source_options){
        .location = url, .timeout_ms = 5000, .refresh_ms = 3600000, .min_gap_ms = 3600000};
}

static void test_url_answers(void **state)
{
    static char large[300 * 1024] = OK;
    static const struct {
        const char *answer;
        enum jwks_source_result want;
        long status;
    } cases[] = {
        {OK ONE, JWKS_SOURCE_NEW_KEYS, 200},
        {OK "<html>", JWKS_SOURCE_MALFORMED, 200},
        {OK, JWKS_SOURCE_MALFORMED, 200},
        {OK "{\"keys\":[{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODw\"}]}",
         JWKS_SOURCE_NO_USABLE_KEY, 200},
        {"HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n" ONE, JWKS_SOURCE_BAD_STATUS, 404},
        {"HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n",
         JWKS_SOURCE_BAD_STATUS, 302},
        {"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n" ONE, JWKS_SOURCE_UNREACHABLE, 200},
        {"not HTTP\r\n\r\n", JWKS_SOURCE_UNREACHABLE, 0},
        {large, JWKS_SOURCE_TOO_LARGE, 200},
    };
    char url[64];

    (void)state;
    memset(large + strlen(OK), ' ', sizeof large - strlen(OK) - 1);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct world w;

        world_init(&w);
        listen_on_loopback(&w);
        w.answer = cases[i].answer;
        struct jwks_source_options options = url_options(&w, url);
        start(&w, &options);
        run_until(&w, 1);
        if (w.last.result != cases[i].want || w.last.http_status != cases[i].status)
            fail_msg("row %zu: %s, status %ld, %s", i, jwks_source_result_text(w.last.result),
                     w.last.http_status, w.last.detail);
        assert_int_equal(w.requests, 1); /* a redirect isn't followed */
        world_done(&w);
    }
}

/* The environment's proxy would lead nowhere. */
static void test_environment_ignored(void **state)
{
    struct jwks_source_options options;
    struct world w;
    char url[64];

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    world_init(&w);
    listen_on_loopback(&w);
    options = url_options(&w, url);
    start(&w, &options);
    run_until(&w, 1);
    assert_int_equal(w.last.result, JWKS_SOURCE_NEW_KEYS);
    unsetenv("http_proxy");
    unsetenv("ALL_PROXY");
    world_done(&w);
}

/* A proxy that is set is used, whatever no_proxy says. */
static void test_proxy(void **state)
{
    struct jwks_source_options options;
    struct world w;
    char url[64], proxy[64];

    (void)state;
    setenv("no_proxy", "*", 1);
    world_init(&w);
    listen_on_loopback(&w);
    options = url_options(&w, url);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", w.port);
    options.proxy = proxy;
    options.location = "http://identity.invalid/jwks";
    start(&w, &options);
    run_until(&w, 1);
    assert_int_equal(w.last.result, JWKS_SOURCE_NEW_KEYS);
    unsetenv("no_proxy");
    world_done(&w);
}

/* However many hints, one fetch per gap; without hints none before the refresh. */
static void test_hints(void **state)
{
    struct jwks_source_options options;
    struct world w;
    uint64_t started, took;
    char url[64];

    (void)state;
    world_init(&w);
    listen_on_loopback(&w);
    options = url_options(&w, url);
    options.min_gap_ms = 300;
    w.next_answer = OK TWO;
    start(&w, &options);
    started = uv_hrtime();
    run_until(&w, 1);
    for (int i = 0; i < 1000; i++)
        jwks_source_hint(w.source);
    run_until(&w, 2);
    took = (uv_hrtime() - started) / 1000000;
    assert_true(took >= 290);
    assert_int_equal(w.last.result, JWKS_SOURCE_NEW_KEYS);
    assert_int_equal(w.last_keys, 3);
    for (int i = 0; i < 50; i++) {
        jwks_source_hint(w.source);
        uv_run(&w.loop, UV_RUN_NOWAIT);
    }
    assert_int_equal(w.requests, 2);
    world_done(&w);
}

/* After failures it tries again sooner than the refresh, and more slowly each time. */
static void test_retries(void **state)
{
    struct jwks_source_options options;
    struct world w;
    uint64_t started;
    char url[64];

    (void)state;
    world_init(&w);
    listen_on_loopback(&w);
    w.answer = "HTTP/1.1 503 No\r\nConnection: close\r\n\r\n";
    options = url_options(&w, url);
    options.min_gap_ms = 20;
    start(&w, &options);
    started = uv_hrtime();
    run_until(&w, 4); /* at 0, 20, 60 and 140 ms */
    assert_true((uv_hrtime() - started) / 1000000 >= 135);
    assert_int_equal(w.last.result, JWKS_SOURCE_BAD_STATUS);
    world_done(&w);
}

static void test_timeout(void **state)
{
    struct jwks_source_options options;
    struct world w;
    char url[64];

    (void)state;
    world_init(&w);
    listen_on_loopback(&w);
    w.answer = NULL;
    options = url_options(&w, url);
    options.timeout_ms = 100;
    start(&w, &options);
    run_until(&w, 1);
    assert_int_equal(w.last.result, JWKS_SOURCE_UNREACHABLE);
    assert_true(strlen(w.last.detail) > 0);
    world_done(&w);
}

/* Closed before it began, and in the middle of a fetch that would never end by itself. */
static void test_close(void **state)
{
    struct jwks_source_options options;
    struct world w;
    uint64_t started;
    char url[64];

    (void)state;
    world_init(&w);
    listen_on_loopback(&w);
    options = url_options(&w, url);
    start(&w, &options);
    world_done(&w);
    assert_int_equal(w.reports, 0);

    world_init(&w);
    listen_on_loopback(&w);
    w.answer = NULL;
    options = url_options(&w, url);
    options.timeout_ms = 600000;
    start(&w, &options);
    while (w.requests == 0)
        uv_run(&w.loop, UV_RUN_ONCE);
    started = uv_hrtime();
    jwks_source_close(w.source, on_closed, &w);
    while (w.closed == 0)
        uv_run(&w.loop, UV_RUN_ONCE);
    assert_true((uv_hrtime() - started) / 1000000 < 5000);
    assert_int_equal(w.reports, 0);
    world_done(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_file),
        cmocka_unit_test(test_url_answers),
        cmocka_unit_test(test_environment_ignored),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_hints),
        cmocka_unit_test(test_retries),
        cmocka_unit_test(test_timeout),
        cmocka_unit_test(test_close),
    };
    int failed;

    curl_global_init(CURL_GLOBAL_DEFAULT);
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    curl_global_cleanup();
    return failed;
}
