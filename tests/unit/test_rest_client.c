/* rest_client against a scripted HTTP server on loopback: a thread that takes one connection after
 * the other and plays one script for each request. */
#include "rocketchat/rest_client.h"
#include <arpa/inet.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum after { AFTER_KEEP, AFTER_CLOSE, AFTER_RESET, AFTER_STALL };

struct script {
    const char *answer;
    enum after after;
};

static struct {
    int listener, port;
    SSL_CTX *tls; /* NULL: plain */
    struct script scripts[4];
    unsigned played;
    pthread_mutex_t lock; /* of request */
    char request[8192];   /* the last one, whole */
    int stop[2];
    pthread_t thread;
} server;

/* ---- the server thread ---- */

static bool wait_for(int fd)
{
    struct pollfd fds[2] = {{fd, POLLIN, 0}, {server.stop[0], POLLIN, 0}};
    return poll(fds, 2, 10000) > 0 && fds[1].revents == 0;
}

static ssize_t some(int fd, SSL *ssl, char *out, size_t cap)
{
    if (ssl != NULL && SSL_pending(ssl) > 0)
        return SSL_read(ssl, out, (int)cap);
    if (!wait_for(fd))
        return -1;
    return ssl != NULL ? SSL_read(ssl, out, (int)cap) : read(fd, out, cap);
}

static bool read_request(int fd, SSL *ssl)
{
    char request[sizeof server.request];
    size_t len = 0, want = sizeof request - 1;

    while (len < want) {
        ssize_t n = some(fd, ssl, request + len, sizeof request - 1 - len);
        const char *end, *length;
        if (n <= 0)
            return false;
        len += (size_t)n;
        request[len] = '\0';
        end = strstr(request, "\r\n\r\n");
        if (end == NULL)
            continue;
        length = strcasestr(request, "content-length:");
        want = (size_t)(end - request) + 4 + (length == NULL ? 0 : strtoul(length + 15, NULL, 10));
    }
    pthread_mutex_lock(&server.lock);
    memcpy(server.request, request, len + 1);
    pthread_mutex_unlock(&server.lock);
    return true;
}

static void serve(int fd)
{
    SSL *ssl = NULL;

    if (server.tls != NULL) {
        ssl = SSL_new(server.tls);
        SSL_set_fd(ssl, fd);
        if (SSL_accept(ssl) != 1)
            goto done;
    }
    while (read_request(fd, ssl)) {
        struct script *s = &server.scripts[server.played++ % 4];
        size_t len = strlen(s->answer);

        if (ssl != NULL)
            SSL_write(ssl, s->answer, (int)len);
        else if (write(fd, s->answer, len) < 0)
            break;
        if (s->after == AFTER_KEEP)
            continue;
        if (s->after == AFTER_STALL)
            wait_for(server.stop[0]);
        if (s->after == AFTER_RESET) {
            struct linger now = {1, 0};
            setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
        }
        break;
    }
done:
    SSL_free(ssl);
    close(fd);
}

static void *run_server(void *arg)
{
    (void)arg;
    while (wait_for(server.listener)) {
        int fd = accept(server.listener, NULL, NULL);
        if (fd >= 0)
            serve(fd);
    }
    return NULL;
}

static void server_start(SSL_CTX *tls)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;

    memset(&server, 0, sizeof server);
    pthread_mutex_init(&server.lock, NULL);
    server.tls = tls;
    server.listener = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(bind(server.listener, (struct sockaddr *)&addr, len), 0);
    assert_int_equal(listen(server.listener, 16), 0);
    getsockname(server.listener, (struct sockaddr *)&addr, &len);
    server.port = ntohs(addr.sin_port);
    assert_int_equal(pipe(server.stop), 0);
}

static void server_go(const struct script *s)
{
    for (int i = 0; i < 4; i++)
        server.scripts[i] = *s;
    assert_int_equal(pthread_create(&server.thread, NULL, run_server, NULL), 0);
}

static void server_stop(void)
{
    assert_int_equal(write(server.stop[1], "x", 1), 1);
    pthread_join(server.thread, NULL);
    close(server.stop[0]);
    close(server.stop[1]);
    close(server.listener);
    SSL_CTX_free(server.tls);
}

static bool server_saw(const char *text)
{
    bool saw;

    pthread_mutex_lock(&server.lock);
    saw = strstr(server.request, text) != NULL;
    pthread_mutex_unlock(&server.lock);
    return saw;
}

/* ---- the client's side ---- */

static uv_loop_t loop;
static struct rest_client *client;

struct got {
    int calls;
    enum rc_result result;
    char code[64], user_id[64], token[64], username[64], json[256];
    uint64_t wait_ms;
    struct rest_rate rate;
    long status;
};

static void note(struct got *g, const struct rc_error *error)
{
    g->calls++;
    g->result = error == NULL ? RC_OK : error->result;
    if (error != NULL) {
        snprintf(g->code, sizeof g->code, "%s", error->code);
        g->wait_ms = error->retry_after_ms;
    }
}

static void put(char *out, size_t cap, struct slice s)
{
    snprintf(out, cap, "%.*s", (int)s.len, s.ptr == NULL ? "" : s.ptr);
}

static void on_login(void *arg, const struct rest_login *login, const struct rc_error *error,
                     const struct rest_rate *rate)
{
    struct got *g = arg;

    note(g, error);
    g->rate = *rate;
    assert_true((login == NULL) == (error != NULL));
    if (login != NULL) {
        put(g->user_id, sizeof g->user_id, login->user_id);
        put(g->token, sizeof g->token, login->auth_token);
        put(g->username, sizeof g->username, login->username);
    }
}

static void on_me(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    struct got *g = arg;

    note(g, error);
    if (me != NULL) {
        put(g->user_id, sizeof g->user_id, me->user_id);
        put(g->username, sizeof g->username, me->username);
    }
}

static void on_json(void *arg, struct slice json, const struct rc_error *error)
{
    note(arg, error);
    put(((struct got *)arg)->json, sizeof((struct got *)arg)->json, json);
}

static void on_done(void *arg, const struct rc_error *error)
{
    note(arg, error);
}

/* Some call, where it does not matter which. */
static struct rest_call *ask(struct got *g)
{
    return rest_rooms_get(client, SLICE_LIT("u9"), SLICE_LIT("tok"), on_json, g);
}

static void on_any(void *arg, long status, struct slice body, const struct rc_error *error)
{
    struct got *g = arg;

    note(g, error);
    g->status = status;
    put(g->json, sizeof g->json, body);
}

static void set_flag(void *arg)
{
    *(bool *)arg = true;
}

static unsigned patience_ms = 2000;

static void client_start(const char *scheme_host, const char *ca, const char *proxy)
{
    char url[128];
    struct rest_client_options o = {
        .base_url = url,
        .ca_file = ca,
        .proxy = proxy,
        .tls_verify = true,
        .timeout_ms = patience_ms,
        .connect_timeout_ms = patience_ms / 2,
        .max_body_bytes = 4096,
        .max_connections = 2,
    };

    snprintf(url, sizeof url, "%s:%d/chat", scheme_host, server.port);
    uv_loop_init(&loop);
    assert_int_equal(rest_client_new(&loop, &o, &client), 0);
}

static void run_until(const int *calls, int want)
{
    while (*calls < want)
        if (uv_run(&loop, UV_RUN_ONCE) == 0)
            assert_int_equal(*calls, want); /* nothing left that could answer */
}

static void client_stop(void)
{
    bool freed = false;

    rest_client_free(client, set_flag, &freed);
    assert_false(freed);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(freed);
    assert_int_equal(uv_loop_close(&loop), 0);
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#define LOGIN_BODY                                                                                 \
    "{\"status\":\"success\",\"data\":{\"userId\":\"u9\",\"authToken\":\"tok\",\"me\":{\"_id\":"   \
    "\"u9\",\"username\":\"ana\"}}}"

static void test_calls_on_one_connection(void **state)
{
    struct script s = {.after = AFTER_KEEP};
    struct got g = {0};

    (void)state;
    server_start(NULL);
    s.answer = OK_HEAD "X-RateLimit-Limit: 10\r\nX-RateLimit-Remaining: 9\r\nContent-Length: "
                       "96\r\n\r\n" LOGIN_BODY;
    assert_int_equal(strlen(LOGIN_BODY), 96);
    server_go(&s);
    client_start("http://127.0.0.1", NULL, NULL);

    assert_non_null(rest_login(client, SLICE_LIT("a\"na@x"), SLICE_LIT("p\\w"), on_login, &g));
    assert_int_equal(g.calls, 0); /* never inside the call */
    run_until(&g.calls, 1);
    assert_int_equal(g.result, RC_OK);
    assert_string_equal(g.user_id, "u9");
    assert_string_equal(g.token, "tok");
    assert_string_equal(g.username, "ana");
    assert_true(g.rate.known);
    assert_int_equal(g.rate.remaining, 9);
    assert_true(server_saw("POST /chat/api/v1/login HTTP/1.1\r\n"));
    assert_true(server_saw("Content-Type: application/json\r\n"));
    assert_true(server_saw("\r\n\r\n{\"username\":\"a\\\"na@x\",\"password\":\"p\\\\w\"}"));

    assert_non_null(rest_logout(client, SLICE_LIT("u9"), SLICE_LIT("tok"), on_done, &g));
    run_until(&g.calls, 2);
    assert_int_equal(g.result, RC_OK);
    assert_true(server_saw("POST /chat/api/v1/logout HTTP/1.1\r\n"));
    assert_true(server_saw("X-User-Id: u9\r\n"));
    assert_true(server_saw("X-Auth-Token: tok\r\n"));

    assert_non_null(rest_subscriptions_get(client, SLICE_LIT("u9"), SLICE_LIT("tok"), on_json, &g));
    run_until(&g.calls, 3);
    assert_string_equal(g.json, LOGIN_BODY); /* any JSON object will do */
    assert_true(server_saw("GET /chat/api/v1/subscriptions.get HTTP/1.1\r\n"));
    assert_non_null(rest_rooms_get(client, SLICE_LIT("u9"), SLICE_LIT("tok"), on_json, &g));
    run_until(&g.calls, 4);
    assert_true(server_saw("GET /chat/api/v1/rooms.get HTTP/1.1\r\n"));

    assert_non_null(rest_me(client, SLICE_LIT("u9"), SLICE_LIT("tok"), on_me, &g));
    run_until(&g.calls, 5);
    assert_int_equal(g.result, RC_MALFORMED); /* a login's answer is no `me` */
    assert_false(server_saw("X-Forwarded-For"));
    assert_non_null(
        rest_me_for(client, SLICE_LIT("u9"), SLICE_LIT("tok"), SLICE_LIT("10.0.0.7"), on_me, &g));
    run_until(&g.calls, 6);
    assert_true(server_saw("X-Forwarded-For: 10.0.0.7\r\n"));
    assert_non_null(rest_messages_since(client, SLICE_LIT("u9"), SLICE_LIT("tok"), SLICE_LIT("r&1"),
                                        1714557600123, on_json, &g));
    run_until(&g.calls, 7);
    assert_true(server_saw("GET /chat/api/v1/chat.syncMessages?roomId=r%261&lastUpdate="
                           "2024-05-01T10%3A00%3A00.123Z HTTP/1.1\r\n"));
    assert_int_equal(server.played, 7);
    client_stop();
    server_stop();
}

/* By the last answer that had a date, whatever it says else. */
static void test_the_servers_clock(void **state)
{
    const int64_t y2040 = 2208988800000; /* Sun, 01 Jan 2040 00:00:00 GMT */
    struct script dated = {"HTTP/1.1 401 x\r\nDate: Sun, 01 Jan 2040 00:00:00 GMT\r\n"
                           "Content-Length: 2\r\n\r\n{}",
                           AFTER_KEEP};
    struct script undated = {OK_HEAD "Content-Length: 2\r\n\r\n{}", AFTER_KEEP};
    struct timespec before, after;
    struct got g = {0};
    int64_t ahead;

    (void)state;
    server_start(NULL);
    server_go(&undated);
    server.scripts[1] = dated;
    client_start("http://127.0.0.1", NULL, NULL);
    assert_false(rest_client_clock(client, &ahead));
    assert_non_null(ask(&g));
    run_until(&g.calls, 1);
    assert_false(rest_client_clock(client, &ahead));
    clock_gettime(CLOCK_REALTIME, &before);
    for (int i = 2; i <= 3; i++) {
        assert_non_null(ask(&g));
        run_until(&g.calls, i);
        clock_gettime(CLOCK_REALTIME, &after);
        assert_true(rest_client_clock(client, &ahead));
        assert_true(ahead <= y2040 - before.tv_sec * 1000);
        assert_true(ahead >= y2040 - (after.tv_sec + 1) * 1000);
    }
    client_stop();
    server_stop();
}

static void test_any_call(void **state)
{
    struct script s = {OK_HEAD "Content-Length: 16\r\n\r\n{\"success\":true}", AFTER_KEEP};
    struct rest_request request = {.path = SLICE_LIT("users.info"),
                                   .query = SLICE_LIT("username=a%20b"),
                                   .user_id = SLICE_LIT("u9"),
                                   .token = SLICE_LIT("tok")};
    struct got g = {0};

    (void)state;
    server_start(NULL);
    server_go(&s);
    client_start("http://127.0.0.1", NULL, NULL);
    assert_non_null(rest_request(client, &request, on_any, &g));
    run_until(&g.calls, 1);
    assert_int_equal(g.result, RC_OK);
    assert_int_equal(g.status, 200);
    assert_string_equal(g.json, "{\"success\":true}");
    assert_true(server_saw("GET /chat/api/v1/users.info?username=a%20b HTTP/1.1\r\n"));
    assert_true(server_saw("X-Auth-Token: tok\r\n"));
    assert_false(server_saw("X-Forwarded-For"));
    request = (struct rest_request){.post = true,
                                    .client_address = SLICE_LIT("10.0.0.7"),
                                    .path = SLICE_LIT("users.create"),
                                    .body = SLICE_LIT("{\"name\":\"b\"}"),
                                    .user_id = SLICE_LIT("u9"),
                                    .token = SLICE_LIT("tok")};
    assert_non_null(rest_request(client, &request, on_any, &g));
    run_until(&g.calls, 2);
    assert_true(server_saw("POST /chat/api/v1/users.create HTTP/1.1\r\n"));
    assert_true(server_saw("\r\n\r\n{\"name\":\"b\"}"));
    assert_true(server_saw("X-Forwarded-For: 10.0.0.7\r\n"));
    client_stop();
    server_stop();
}

static void test_any_call_tells_the_errors_body(void **state)
{
    struct script s = {"HTTP/1.1 400 x\r\nContent-Length: 42\r\n\r\n"
                       "{\"success\":false,\"error\":\"no [code-7] no\"}",
                       AFTER_KEEP};
    const struct rest_request request = {
        .path = SLICE_LIT("x"), .user_id = SLICE_LIT("u9"), .token = SLICE_LIT("tok")};
    struct got g = {0};

    (void)state;
    server_start(NULL);
    server_go(&s);
    client_start("http://127.0.0.1", NULL, NULL);
    assert_non_null(rest_request(client, &request, on_any, &g));
    run_until(&g.calls, 1);
    assert_int_equal(g.result, RC_FAILED);
    assert_int_equal(g.status, 400);
    assert_string_equal(g.json, "{\"success\":false,\"error\":\"no [code-7] no\"}");
    client_stop();
    server_stop();
}

static const struct {
    const char *name;
    struct script script;
    enum rc_result want;
    const char *code;
    uint64_t wait_ms;
} bad[] = {
    {"429",
     {"HTTP/1.1 429 x\r\nContent-Length: 26\r\n\r\n{\"error\":\"wait 7 seconds\"}", AFTER_CLOSE},
     RC_RATE_LIMITED,
     "http-429",
     7000},
    {"stall", {"", AFTER_STALL}, RC_TIMED_OUT, "timed-out", 0},
    {"stall in the body",
     {OK_HEAD "Content-Length: 100\r\n\r\n{\"a\":", AFTER_STALL},
     RC_TIMED_OUT,
     "timed-out",
     0},
    {"truncated",
     {OK_HEAD "Content-Length: 100\r\n\r\n{\"a\":", AFTER_CLOSE},
     RC_UNREACHABLE,
     "answer-truncated",
     0},
    {"truncated without a length",
     {OK_HEAD "Connection: close\r\n\r\n{\"a\":", AFTER_CLOSE},
     RC_MALFORMED,
     "malformed",
     0},
    {"nothing", {"", AFTER_CLOSE}, RC_UNREACHABLE, "connection-lost", 0},
    {"reset", {"", AFTER_RESET}, RC_UNREACHABLE, "connection-lost", 0},
    {"reset in the body",
     {OK_HEAD "Content-Length: 100\r\n\r\n{\"a\":", AFTER_RESET},
     RC_UNREACHABLE,
     "connection-lost",
     0},
    {"not HTTP", {"SSH-2.0-OpenSSH\r\n", AFTER_CLOSE}, RC_MALFORMED, "http-broken", 0},
    {"HTML",
     {"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>", AFTER_CLOSE},
     RC_SERVER_ERROR,
     "http-502",
     0},
    {"redirect",
     {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
      AFTER_CLOSE},
     RC_SERVER_ERROR,
     "http-302",
     0},
    {"announced too large",
     {OK_HEAD "Content-Length: 5000\r\n\r\n", AFTER_STALL},
     RC_MALFORMED,
     "answer-too-large",
     0},
    {"wrong password",
     {"HTTP/1.1 401 x\r\nContent-Length: 13\r\n\r\n{\"error\":403}", AFTER_CLOSE},
     RC_UNAUTHORIZED,
     "403",
     0},
};

static void test_bad_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct got g = {0};

        server_start(NULL);
        server_go(&bad[i].script);
        client_start("http://127.0.0.1", NULL, NULL);
        assert_non_null(rest_login(client, SLICE_LIT("ana"), SLICE_LIT("pw"), on_login, &g));
        run_until(&g.calls, 1);
        if (g.result != bad[i].want || strcmp(g.code, bad[i].code) != 0 ||
            g.wait_ms != bad[i].wait_ms)
            fail_msg("%s: %s, code %s, wait %llu", bad[i].name, rc_result_name(g.result), g.code,
                     (unsigned long long)g.wait_ms);
        client_stop();
        server_stop();
    }
}

static void test_endless_answers_are_cut(void **state)
{
    struct script s = {.after = AFTER_STALL};
    struct got g = {0};
    char *text = malloc(200000);
    size_t n;

    (void)state;
    /* A body without a length, then headers without an end. */
    n = (size_t)sprintf(text, OK_HEAD "Connection: close\r\n\r\n");
    memset(text + n, ' ', 6000);
    text[n + 6000] = '\0';
    s.answer = text;
    for (int i = 0; i < 2; i++) {
        server_start(NULL);
        server_go(&s);
        client_start("http://127.0.0.1", NULL, NULL);
        ask(&g);
        run_until(&g.calls, i + 1);
        assert_int_equal(g.result, RC_MALFORMED);
        assert_string_equal(g.code, "answer-too-large");
        client_stop();
        server_stop();
        n = (size_t)sprintf(text, OK_HEAD);
        while (n < 150000)
            n += (size_t)sprintf(text + n, "X-More: 0123456789012345678901234567890123456789\r\n");
    }
    free(text);
}

static void test_unreachable(void **state)
{
    struct got g = {0};

    (void)state;
    server_start(NULL); /* bound, then closed: nobody listens there */
    close(server.listener);
    client_start("http://127.0.0.1", NULL, NULL);
    ask(&g);
    run_until(&g.calls, 1);
    assert_int_equal(g.result, RC_UNREACHABLE);
    assert_string_equal(g.code, "connection-refused");
    client_stop();
    close(server.stop[0]);
    close(server.stop[1]);
}

static void test_cancel_and_free(void **state)
{
    struct script s = {"", AFTER_STALL};
    struct got a = {0}, b = {0};
    struct rest_call *call;
    bool freed = false;

    (void)state;
    server_start(NULL);
    server_go(&s);
    client_start("http://127.0.0.1", NULL, NULL);
    call = ask(&a);
    ask(&b);
    uv_run(&loop, UV_RUN_NOWAIT);
    rest_call_cancel(call);
    rest_call_cancel(call); /* twice is once */
    assert_int_equal(a.calls, 0);
    run_until(&a.calls, 1);
    assert_int_equal(a.result, RC_CANCELLED);
    rest_client_free(client, set_flag, &freed);
    assert_int_equal(b.calls, 0);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(freed);
    assert_int_equal(b.result, RC_CANCELLED);
    assert_int_equal(a.calls + b.calls, 2);
    assert_int_equal(uv_loop_close(&loop), 0);
    server_stop();
}

static void test_environment_is_ignored(void **state)
{
    struct script s = {OK_HEAD "Content-Length: 2\r\n\r\n{}", AFTER_KEEP};
    struct got g = {0};
    char proxy[64];

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    setenv("no_proxy", "*", 1);
    server_start(NULL);
    server_go(&s);
    client_start("http://127.0.0.1", NULL, NULL);
    ask(&g);
    run_until(&g.calls, 1);
    assert_int_equal(g.result, RC_OK);
    client_stop();

    /* With a proxy it is asked for the whole URL, whatever no_proxy says. */
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", server.port);
    client_start("http://chat.invalid", NULL, proxy);
    ask(&g);
    run_until(&g.calls, 2);
    assert_int_equal(g.result, RC_OK);
    assert_true(server_saw("GET http://chat.invalid:"));
    client_stop();
    server_stop();
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("no_proxy");
}

/* ---- TLS with an authority of our own ---- */

static X509 *make_cert(const char *name, const char *san, EVP_PKEY *key, X509 *issuer,
                       EVP_PKEY *issuer_key)
{
    X509 *cert = X509_new();
    X509V3_CTX ctx;
    X509_EXTENSION *ext;

    X509_set_version(cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), issuer == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_set_pubkey(cert, key);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)name, -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(issuer == NULL ? cert : issuer));
    X509V3_set_ctx(&ctx, issuer == NULL ? cert : issuer, cert, NULL, NULL, 0);
    ext = issuer == NULL
              ? X509V3_EXT_conf_nid(NULL, &ctx, NID_basic_constraints, "critical,CA:TRUE")
              : X509V3_EXT_conf_nid(NULL, &ctx, NID_subject_alt_name, san);
    assert_non_null(ext);
    X509_add_ext(cert, ext, -1);
    X509_EXTENSION_free(ext);
    assert_true(X509_sign(cert, issuer == NULL ? key : issuer_key, EVP_sha256()) > 0);
    return cert;
}

static SSL_CTX *make_tls(const char *san, const char *ca_path)
{
    EVP_PKEY *ca_key = EVP_EC_gen("P-256"), *key = EVP_EC_gen("P-256");
    X509 *ca = make_cert("Test authority", NULL, ca_key, NULL, NULL);
    X509 *cert = make_cert("chat", san, key, ca, ca_key);
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    FILE *f = fopen(ca_path, "w");

    assert_non_null(f);
    PEM_write_X509(f, ca);
    fclose(f);
    assert_int_equal(SSL_CTX_use_certificate(ctx, cert), 1);
    assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
    X509_free(ca);
    X509_free(cert);
    EVP_PKEY_free(ca_key);
    EVP_PKEY_free(key);
    return ctx;
}

static void test_tls(void **state)
{
    static const struct {
        const char *name, *san;
        bool use_ca;
        enum rc_result want;
        const char *code;
    } tls[] = {
        {"our authority", "IP:127.0.0.1", true, RC_OK, ""},
        {"unknown authority", "IP:127.0.0.1", false, RC_UNREACHABLE, "certificate-refused"},
        {"other name", "DNS:other.example", true, RC_UNREACHABLE, "certificate-refused"},
    };
    struct script s = {OK_HEAD "Content-Length: 2\r\n\r\n{}", AFTER_CLOSE};
    char ca_path[] = "/tmp/test_rest_client_XXXXXX";

    (void)state;
    close(mkstemp(ca_path));
    patience_ms = 40000; /* reading all of the system's authorities takes a sanitizer its time */
    for (size_t i = 0; i < sizeof tls / sizeof tls[0]; i++) {
        struct got g = {0};

        server_start(make_tls(tls[i].san, ca_path));
        server_go(&s);
        client_start("https://127.0.0.1", tls[i].use_ca ? ca_path : NULL, NULL);
        ask(&g);
        run_until(&g.calls, 1);
        if (g.result != tls[i].want || strcmp(g.code, tls[i].code) != 0)
            fail_msg("%s: %s %s", tls[i].name, rc_result_name(g.result), g.code);
        client_stop();
        server_stop();
    }
    unlink(ca_path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_servers_clock),
        cmocka_unit_test(test_any_call),
        cmocka_unit_test(test_any_call_tells_the_errors_body),
        cmocka_unit_test(test_calls_on_one_connection),
        cmocka_unit_test(test_bad_answers),
        cmocka_unit_test(test_endless_answers_are_cut),
        cmocka_unit_test(test_unreachable),
        cmocka_unit_test(test_cancel_and_free),
        cmocka_unit_test(test_environment_is_ignored),
        cmocka_unit_test(test_tls),
    };
    signal(SIGPIPE, SIG_IGN);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
