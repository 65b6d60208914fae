/* The way to the server by TLS and through proxies. */
#include "ddp_hosts.h"

/* --- TLS --- */

static void test_tls(void **state)
{
    static const struct {
        const char *name, *san, *host, *ca_file;
        bool verify, client_cert, ask;
        const char *detail; /* NULL: connects */
        const char *sni;
    } cases[] = {
        {"good", "DNS:chat.test", "chat.test", ca_file, true, false, false, NULL, "chat.test"},
        {"wildcard", "DNS:*.chat.test", "a.chat.test", ca_file, true, false, false, NULL,
         "a.chat.test"},
        {"address", "IP:127.0.0.1", "127.0.0.1", ca_file, true, false, false, NULL, "none"},
        {"address, named", "DNS:127.0.0.1", "127.0.0.1", ca_file, true, false, false,
         "127.0.0.1: certificate: IP address mismatch", NULL},
        {"wrong name", "DNS:other.test", "chat.test", ca_file, true, false, false,
         "127.0.0.1: certificate: hostname mismatch", NULL},
        {"unknown CA", "DNS:chat.test", "chat.test", other_ca_file, true, false, false,
         "127.0.0.1: certificate: unable to get local issuer certificate", NULL},
        {"the system's CAs", "DNS:chat.test", "chat.test", NULL, true, false, false,
         "127.0.0.1: certificate: unable to get local issuer certificate", NULL},
        {"wrong name, not verified", "DNS:other.test", "chat.test", NULL, false, false, false, NULL,
         "chat.test"},
        {"client certificate", "DNS:chat.test", "chat.test", ca_file, true, true, true, NULL,
         "chat.test"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        SSL_CTX *tls = server_tls(cases[i].san, cases[i].ask);
        struct wsd *s = wsd_start(greets, NULL, tls);
        struct ddp_client_options o = probe_options(s->port);
        struct probe p;

        o.host = cases[i].host;
        o.tls = true;
        o.ca_file = cases[i].ca_file;
        o.tls_verify = cases[i].verify;
        if (cases[i].client_cert) {
            o.client_cert_file = client_file;
            o.client_key_file = key_file;
        }
        p = try_once(&o);
        if (p.connects != (cases[i].detail == NULL))
            fail_msg("%s: %s", cases[i].name, p.detail);
        if (cases[i].detail != NULL && strcmp(p.detail, cases[i].detail) != 0)
            fail_msg("%s: %s", cases[i].name, p.detail);
        if (cases[i].sni != NULL)
            assert_string_equal(last(seen_sni), cases[i].sni);
        wsd_stop(s);
        SSL_CTX_free(tls);
    }
}

static bool have_ipv6(void)
{
    struct sockaddr_in6 loopback = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    int fd = socket(AF_INET6, SOCK_STREAM, 0);
    bool have = fd >= 0 && bind(fd, (struct sockaddr *)&loopback, sizeof loopback) == 0;

    if (fd >= 0)
        close(fd);
    return have;
}

/* libwebsockets by itself would take "[" for the name. */
static void test_ipv6(void **state)
{
    (void)state;
    if (!have_ipv6())
        skip();
    for (int with_tls = 0; with_tls < 2; with_tls++) {
        SSL_CTX *tls = with_tls ? server_tls("IP:::1", false) : NULL;
        struct wsd *s = wsd_start_at("::1", greets, NULL, tls);
        struct ddp_client_options o = probe_options(s->port);
        char want[32];
        struct probe p;

        o.host = with_tls ? "[::1]" : "::1";
        o.tls = with_tls;
        o.ca_file = ca_file;
        p = try_once(&o);
        if (p.connects != 1)
            fail_msg("%s", p.detail);
        snprintf(want, sizeof want, "[::1]:%u", (unsigned)s->port);
        assert_string_equal(last(seen_host), want);
        wsd_stop(s);
        SSL_CTX_free(tls);
    }
    assert_string_equal(last(seen_sni), "none");
}

static void test_tls_refused_client(void **state)
{
    SSL_CTX *tls = server_tls("DNS:chat.test", true);
    struct wsd *s = wsd_start(greets, NULL, tls);
    struct ddp_client_options o = probe_options(s->port);
    struct probe p;

    (void)state;
    o.host = "chat.test";
    o.tls = true;
    o.ca_file = ca_file;
    p = try_once(&o);
    assert_int_equal(p.connects, 0);
    assert_int_equal(p.how, DDP_END_UNREACHABLE);
    print_message("    no client certificate: %s\n", p.detail);
    wsd_stop(s);
    SSL_CTX_free(tls);
}

/* Shards come and go, each with its own loop and client, while others are at work. */
static struct ddp_client_options shard_options;

static void *run_shard(void *arg)
{
    for (int round = 0; round < 5; round++) {
        struct ddp_client *ddp;
        struct probe p[8] = {0};

        probe_loop_open();
        ddp = probe_client(&shard_options);
        for (int i = 0; i < 8; i++)
            probe_open(&p[i], ddp);
        for (int i = 0; i < 8; i++) {
            while (p[i].connects + p[i].ends == 0)
                uv_run(&probe_loop, UV_RUN_ONCE);
            *(unsigned *)arg += p[i].connects;
            if (p[i].c != NULL)
                probe_close(&p[i]);
            probe_until(&p[i].ends, 1);
        }
        probe_client_free(ddp);
        probe_loop_close();
    }
    return NULL;
}

static void test_shards(void **state)
{
    SSL_CTX *tls = server_tls("DNS:chat.test", false);
    struct wsd *s = wsd_start(greets_quietly, NULL, tls);
    pthread_t threads[4];
    unsigned connects[4] = {0};

    (void)state;
    shard_options = probe_options(s->port);
    shard_options.host = "chat.test";
    shard_options.tls = true;
    shard_options.ca_file = ca_file;
    for (int i = 0; i < 4; i++)
        pthread_create(&threads[i], NULL, run_shard, &connects[i]);
    for (int i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(connects[i], 40);
    }
    wsd_stop(s);
    SSL_CTX_free(tls);
}

/* Opens a descriptor in each turn of the loop. */
static int opened[100];
static size_t nopened;

static void on_check(uv_check_t *check)
{
    (void)check;
    if (nopened < sizeof opened / sizeof opened[0])
        opened[nopened++] = eventfd(0, EFD_CLOEXEC);
}

/* A client that ends closes what is its own, once: whoever opens a descriptor meanwhile keeps it.
 */
static void test_descriptors(void **state)
{
    struct ddp_client_options o = probe_options(1);
    struct ddp_client *ddp;
    unsigned freed = 0;
    uv_check_t check;

    (void)state;
    probe_loop_open();
    ddp = probe_client(&o);
    nopened = 0;
    uv_check_init(&probe_loop, &check);
    check.data = NULL; /* the client's end looks at every handle's */
    uv_check_start(&check, on_check);
    ddp_client_free(ddp, probe_freed, &freed);
    probe_until(&freed, 1);
    uv_close((uv_handle_t *)&check, NULL);
    uv_run(&probe_loop, UV_RUN_DEFAULT);
    assert_in_range(nopened, 2, 100);
    while (nopened > 0)
        assert_int_equal(close(opened[--nopened]), 0);
    probe_loop_close();
}

/* What is no TLS at all. */
static void answers_plainly(struct wsd_conn *c)
{
    char byte;

    if (wsd_read(c, &byte, 1) && wsd_puts(c, "HTTP/1.1 400 Bad Request\r\n\r\n"))
        while (wsd_read(c, &byte, 1))
            ;
}

static void test_tls_to_plain(void **state)
{
    struct wsd *s = wsd_start(answers_plainly, NULL, NULL);
    struct ddp_client_options o = probe_options(s->port);
    struct probe p;

    (void)state;
    o.tls = true;
    o.ca_file = ca_file;
    p = try_once(&o);
    assert_int_equal(p.how, DDP_END_UNREACHABLE);
    assert_string_equal(p.detail, "127.0.0.1: TLS handshake failed");
    wsd_stop(s);
}

/* --- proxies --- */

static char seen_connect[512];

static void relay(struct wsd_conn *c, uint16_t port)
{
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char buf[4096];
    ssize_t n;

    if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0)
        abort();
    for (;;) {
        struct pollfd p[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = fd, .events = POLLIN}};

        if (poll(p, 2, WSD_WAIT_S * 1000) <= 0)
            break;
        if (p[0].revents != 0) {
            n = recv(c->fd, buf, sizeof buf, 0);
            if (n <= 0 || send(fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
                break;
        }
        if (p[1].revents != 0) {
            n = recv(fd, buf, sizeof buf, 0);
            if (n <= 0 || send(c->fd, buf, (size_t)n, MSG_NOSIGNAL) != n)
                break;
        }
    }
    close(fd);
}

static void proxies(struct wsd_conn *c)
{
    if (!wsd_read_head(c))
        return;
    see(seen_connect, sizeof seen_connect, c->head, 500);
    if (wsd_puts(c, "HTTP/1.1 200 Connection established\r\n\r\n"))
        relay(c, *(uint16_t *)c->server->arg);
}

static void refuses_to_proxy(struct wsd_conn *c)
{
    if (wsd_read_head(c))
        wsd_puts(c, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n");
}

static void test_proxy(void **state)
{
    (void)state;
    for (int with_tls = 0; with_tls < 2; with_tls++) {
        SSL_CTX *tls = with_tls ? server_tls("DNS:hidden.test", false) : NULL;
        struct wsd *s = wsd_start(greets, NULL, tls), *proxy;
        struct ddp_client_options o = probe_options(s->port);
        char url[128], want[128];
        struct probe p;

        proxy = wsd_start(proxies, &s->port, NULL);
        snprintf(url, sizeof url, "http://user:secret@proxy.test:%u", (unsigned)proxy->port);
        o.host = "hidden.test"; /* only the proxy can resolve it */
        o.proxy = url;
        o.tls = with_tls;
        o.ca_file = ca_file;
        p = try_once(&o);
        if (p.connects != 1)
            fail_msg("%s", p.detail);
        snprintf(want, sizeof want, "CONNECT hidden.test:%u HTTP/1.1\r\n", (unsigned)s->port);
        assert_true(strncmp(last(seen_connect), want, strlen(want)) == 0);
        /* base64("user:secret") */
        assert_non_null(strstr(last(seen_connect), "basic dXNlcjpzZWNyZXQ=\r\n"));
        snprintf(want, sizeof want, "hidden.test:%u", (unsigned)s->port);
        assert_string_equal(last(seen_host), want);
        wsd_stop(proxy);
        wsd_stop(s);
        SSL_CTX_free(tls);
    }
}

static void test_proxy_refuses(void **state)
{
    struct wsd *proxy = wsd_start(refuses_to_proxy, NULL, NULL);
    struct ddp_client_options o = probe_options(3000);
    char url[64];
    struct probe p;

    (void)state;
    snprintf(url, sizeof url, "127.0.0.1:%u/", (unsigned)proxy->port);
    o.host = "hidden.test";
    o.proxy = url;
    p = try_once(&o);
    assert_int_equal(p.how, DDP_END_UNREACHABLE);
    assert_string_equal(p.detail, "127.0.0.1: the proxy did not connect");
    wsd_stop(proxy);
}

/* A proxy that is set for other programs is none for us. */
static void test_environment(void **state)
{
    struct wsd *s = wsd_start(greets, NULL, NULL);
    struct ddp_client_options o = probe_options(s->port);
    struct probe p;

    (void)state;
    setenv("http_proxy", "http://127.0.0.1:1", 1);
    setenv("https_proxy", "http://127.0.0.1:1", 1);
    setenv("all_proxy", "http://127.0.0.1:1", 1);
    setenv("socks_proxy", "127.0.0.1:1", 1);
    p = try_once(&o);
    assert_int_equal(p.connects, 1);
    unsetenv("http_proxy");
    unsetenv("https_proxy");
    unsetenv("all_proxy");
    unsetenv("socks_proxy");
    wsd_stop(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_tls_refused_client),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_tls_to_plain),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_proxy_refuses),
        cmocka_unit_test(test_environment),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
