/* The way to the server: names, addresses, TLS, proxies. Names are answered by a resolver of our
 * own, which takes the C library's place. */
#include "ddp_probe.h"
#include "ws_double.h"
#include <dlfcn.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#define CONNECTED "{\"msg\":\"connected\",\"session\":\"tvJ4KxQqH2wLm8PzR\"}"

/* --- the resolver --- */

static atomic_uint lookups; /* of names; literals pass */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    static const struct {
        const char *name, *addresses[3];
        unsigned wait_ms;
    } names[] = {
        {"chat.test", {"127.0.0.1"}, 0},
        {"a.chat.test", {"127.0.0.1"}, 0},
        {"other.test", {"127.0.0.1"}, 0},
        {"proxy.test", {"127.0.0.1"}, 0},
        {"two.test", {"127.0.0.2", "127.0.0.1"}, 0},
        {"stalled.test", {"127.0.0.3", "127.0.0.1"}, 0},
        {"slow.test", {"127.0.0.1"}, 700},
    };
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    struct addrinfo **tail = out;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strchr(node, ':') != NULL || strspn(node, "0123456789.") == strlen(node))
        return real(node, service, hints, out);
    atomic_fetch_add(&lookups, 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(node, names[i].name) != 0)
            continue;
        usleep(names[i].wait_ms * 1000);
        for (size_t j = 0; names[i].addresses[j] != NULL; j++) {
            int status = real(names[i].addresses[j], service, hints, tail);

            if (status != 0)
                return status;
            tail = &(*tail)->ai_next;
        }
        return 0;
    }
    return EAI_NONAME;
}

/* --- how a connection attempt went --- */

/* libwebsockets hears that a connection is made, and asks. What may happen in between in life
 * happens here each time, while a test wants it: the server resets the connection. */
static atomic_bool resets_before_answer;
static atomic_uint questions, resets;

int getsockopt(int fd, int level, int name, void *value, socklen_t *len)
{
    int (*real)(int, int, int, void *, socklen_t *);

    *(void **)&real = dlsym(RTLD_NEXT, "getsockopt");
    if (level == SOL_SOCKET && name == SO_ERROR && atomic_load(&resets_before_answer)) {
        unsigned question = atomic_fetch_add(&questions, 1) + 1;

        while (atomic_load(&resets) < question)
            usleep(100);
    }
    return real(fd, level, name, value, len);
}

/* --- certificates --- */

struct credentials {
    X509 *cert;
    EVP_PKEY *key;
};

static struct credentials issue(const char *subject, const char *san, const struct credentials *by)
{
    struct credentials c = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *name = X509_get_subject_name(c.cert);
    X509_EXTENSION *ext;
    X509V3_CTX ctx;

    X509_set_version(c.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.cert), by == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(c.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(c.cert), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(c.cert, by == NULL ? name : X509_get_subject_name(by->cert));
    X509_set_pubkey(c.cert, c.key);
    X509V3_set_ctx(&ctx, by == NULL ? c.cert : by->cert, c.cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, by == NULL ? NID_basic_constraints : NID_subject_alt_name,
                              by == NULL ? "critical,CA:TRUE" : san);
    X509_add_ext(c.cert, ext, -1);
    X509_EXTENSION_free(ext);
    X509_sign(c.cert, by == NULL ? c.key : by->key, EVP_sha256());
    return c;
}

static void discard(struct credentials *c)
{
    X509_free(c->cert);
    EVP_PKEY_free(c->key);
}

static char dir[] = "/tmp/ddp_socket_XXXXXX";
static char ca_file[64], other_ca_file[64], client_file[64], key_file[64], empty_file[64];
static struct credentials ca, other_ca, client;

static void write_pem(char *path, const char *name, X509 *cert, EVP_PKEY *key)
{
    FILE *f;

    snprintf(path, 64, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert(f != NULL);
    if (cert != NULL)
        PEM_write_X509(f, cert);
    if (key != NULL)
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static int make_files(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    ca = issue("test CA", NULL, NULL);
    other_ca = issue("other CA", NULL, NULL);
    client = issue("pushbridge", "DNS:bridge.test", &ca);
    write_pem(ca_file, "ca.pem", ca.cert, NULL);
    write_pem(other_ca_file, "other.pem", other_ca.cert, NULL);
    write_pem(client_file, "client.pem", client.cert, NULL);
    write_pem(key_file, "key.pem", NULL, client.key);
    write_pem(empty_file, "empty.pem", NULL, NULL);
    return 0;
}

static int remove_files(void **state)
{
    (void)state;
    discard(&ca);
    discard(&other_ca);
    discard(&client);
    unlink(ca_file);
    unlink(other_ca_file);
    unlink(client_file);
    unlink(key_file);
    unlink(empty_file);
    return rmdir(dir);
}

static SSL_CTX *server_tls(const char *san, bool ask_for_client)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct credentials c = issue("server", san, &ca);

    SSL_CTX_use_certificate(ctx, c.cert);
    SSL_CTX_use_PrivateKey(ctx, c.key);
    if (ask_for_client) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        SSL_CTX_load_verify_file(ctx, ca_file);
    }
    discard(&c);
    return ctx;
}

/* --- servers --- */

/* What the servers' threads saw last. */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static char seen_host[128], seen_sni[128], seen_connect[512];

static void see(char *seen, size_t cap, const char *text, size_t len)
{
    pthread_mutex_lock(&seen_lock);
    snprintf(seen, cap, "%.*s", (int)len, text);
    pthread_mutex_unlock(&seen_lock);
}

static const char *last(const char *seen)
{
    static char copy[512];

    pthread_mutex_lock(&seen_lock);
    snprintf(copy, sizeof copy, "%s", seen);
    pthread_mutex_unlock(&seen_lock);
    return copy;
}

static void greets(struct wsd_conn *c)
{
    char text[256];
    const char *host;

    if (!wsd_upgrade(c, ""))
        return;
    host = strstr(c->head, "Host: ");
    see(seen_host, sizeof seen_host, host + 6, strcspn(host + 6, "\r"));
    if (c->ssl != NULL) {
        const char *sni = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);

        see(seen_sni, sizeof seen_sni, sni == NULL ? "none" : sni, 100);
    }
    if (wsd_expect(c, text, sizeof text) && wsd_text(c, CONNECTED))
        wsd_drain(c);
}

static void greets_quietly(struct wsd_conn *c)
{
    char text[256];

    if (wsd_upgrade(c, "") && wsd_expect(c, text, sizeof text) && wsd_text(c, CONNECTED))
        wsd_drain(c);
}

/* Opens one connector and sees how that goes. */
static struct probe try_once(const struct ddp_client_options *o)
{
    struct ddp_client *ddp;
    struct probe p = {0};

    probe_loop_open();
    ddp = probe_client(o);
    probe_open(&p, ddp);
    while (p.connects + p.ends == 0)
        uv_run(&probe_loop, UV_RUN_ONCE);
    if (p.c != NULL)
        probe_close(&p);
    probe_until(&p.ends, 1);
    probe_client_free(ddp);
    probe_loop_close();
    return p;
}

static uint16_t closed_port(void)
{
    struct wsd *s = wsd_start(greets, NULL, NULL);
    uint16_t port = s->port;

    wsd_stop(s);
    return port;
}

/* --- names and addresses --- */

static void test_names(void **state)
{
    static const struct {
        const char *host, *want_host; /* NULL: unreachable */
    } cases[] = {
        {"127.0.0.1", "127.0.0.1"}, {"chat.test", "chat.test"}, {"two.test", "two.test"},
        {"slow.test", "slow.test"}, {"none.test", NULL},
    };
    struct wsd *s = wsd_start(greets, NULL, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ddp_client_options o = probe_options(s->port);
        char want[64];
        struct probe p;

        o.host = cases[i].host;
        p = try_once(&o);
        assert_int_equal(p.connects, cases[i].want_host != NULL);
        if (cases[i].want_host == NULL) {
            assert_int_equal(p.how, DDP_END_UNREACHABLE);
            assert_string_equal(p.detail, "unknown node or service");
            continue;
        }
        snprintf(want, sizeof want, "%s:%u", cases[i].want_host, (unsigned)s->port);
        assert_string_equal(last(seen_host), want);
    }
    wsd_stop(s);
}

/* A refused connection is told once, at every address, and leaves no handle on the loop. */
static void test_refused(void **state)
{
    struct ddp_client_options o = probe_options(closed_port());
    struct probe p;

    (void)state;
    p = try_once(&o);
    assert_int_equal(p.how, DDP_END_UNREACHABLE);
    assert_int_equal(p.code, 1006);
    assert_string_equal(p.detail, "127.0.0.1: connection refused");
    o.host = "two.test";
    p = try_once(&o);
    assert_int_equal(p.how, DDP_END_UNREACHABLE);
    assert_string_equal(p.detail, "127.0.0.1: connection refused");
    o.host = "255.255.255.255"; /* connect() itself says no */
    p = try_once(&o);
    assert_int_equal(p.how, DDP_END_UNREACHABLE);
    assert_string_equal(p.detail, "255.255.255.255: cannot be reached");
}

static void test_refused_often(void **state)
{
    struct ddp_client_options o = probe_options(closed_port());
    static struct probe p[100];
    struct ddp_client *ddp;

    (void)state;
    memset(p, 0, sizeof p);
    probe_loop_open();
    ddp = probe_client(&o);
    for (size_t i = 0; i < 100; i++)
        probe_open(&p[i], ddp);
    for (size_t i = 0; i < 100; i++)
        probe_until(&p[i].ends, 1);
    probe_client_free(ddp);
    probe_loop_close();
}

static void resets_when_asked(struct wsd_conn *c)
{
    const struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    while (atomic_load(&questions) <= c->index)
        usleep(100);
    if (connect(c->fd, &nowhere, sizeof nowhere) != 0) /* a reset, at once */
        abort();
    atomic_fetch_add(&resets, 1);
}

/* A connection that is made, and gone before libwebsockets looks, leaves nothing behind, and its
 * poll handle is stopped no more once it is closing. */
static void test_reset_at_once(void **state)
{
    struct wsd *s = wsd_start(resets_when_asked, NULL, NULL);
    struct ddp_client_options o = probe_options(s->port);
    struct probe p[5] = {0};
    struct ddp_client *ddp;

    (void)state;
    atomic_store(&questions, 0);
    atomic_store(&resets, 0);
    atomic_store(&resets_before_answer, true);
    probe_loop_open();
    ddp = probe_client(&o);
    for (int i = 0; i < 5; i++) {
        probe_open(&p[i], ddp);
        probe_until(&p[i].ends, 1);
        assert_int_equal(p[i].how, DDP_END_UNREACHABLE);
    }
    assert_int_equal(atomic_load(&questions), 5);
    atomic_store(&resets_before_answer, false);
    probe_client_free(ddp);
    probe_loop_close();
    wsd_stop(s);
}

/* An address that takes the connection and says nothing must not eat the time of the next one. */
static void test_stalled_address(void **state)
{
    struct sockaddr_in address = {.sin_family = AF_INET};
    struct wsd *s = wsd_start(greets, NULL, NULL);
    struct ddp_client_options o = probe_options(s->port);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct probe p;

    (void)state;
    address.sin_port = htons(s->port);
    inet_pton(AF_INET, "127.0.0.3", &address.sin_addr);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    o.host = "stalled.test";
    o.connect_timeout_ms = 5000;
    p = try_once(&o);
    assert_int_equal(p.connects, 1);
    close(fd);
    wsd_stop(s);
}

static unsigned beats;

static void on_beat(uv_timer_t *t)
{
    (void)t;
    beats++;
}

/* Neither the loop nor those who wait for the same name pay more than once for a slow resolver. */
static void test_slow_resolver(void **state)
{
    struct wsd *s = wsd_start(greets, NULL, NULL);
    struct ddp_client_options o = probe_options(s->port);
    struct probe p[20] = {0}, hasty = {0};
    struct ddp_client *ddp;
    uv_timer_t beat;
    unsigned before;
    uint64_t started;

    (void)state;
    o.host = "slow.test";
    probe_loop_open();
    ddp = probe_client(&o);
    beats = 0;
    uv_timer_init(&probe_loop, &beat);
    uv_timer_start(&beat, on_beat, 10, 10);
    before = atomic_load(&lookups);
    started = uv_hrtime();
    for (int i = 0; i < 20; i++)
        probe_open(&p[i], ddp);
    probe_open(&hasty, ddp);
    probe_close(&hasty); /* while it is looked up */
    probe_until(&hasty.ends, 1);
    assert_in_range((uv_hrtime() - started) / 1000000, 0, 400);
    for (int i = 0; i < 20; i++)
        probe_until(&p[i].connects, 1);
    assert_in_range(beats, 30, 100000);
    assert_int_equal(atomic_load(&lookups) - before, 1);
    for (int i = 0; i < 20; i++)
        probe_close(&p[i]);
    for (int i = 0; i < 20; i++)
        probe_until(&p[i].ends, 1);
    uv_close((uv_handle_t *)&beat, NULL);
    probe_client_free(ddp);
    probe_loop_close();
    wsd_stop(s);
}

static void test_resolver_too_slow(void **state)
{
    struct ddp_client_options o = probe_options(1);
    struct probe p;

    (void)state;
    o.host = "slow.test";
    o.connect_timeout_ms = 200;
    p = try_once(&o); /* the client goes away while the lookup still runs */
    assert_int_equal(p.how, DDP_END_TIMED_OUT);
    assert_string_equal(p.detail, "resolving took too long");
}

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

/* --- a server that fails at every moment --- */

enum { STORM_SOCKETS = 24, STORM_CONNECTIONS = 1500 };

/* Some of what a connection is about, then its end. arg: how many of the moments come. */
static void fails(struct wsd_conn *c)
{
    unsigned moment = c->index % *(unsigned *)c->server->arg;
    char bytes[64];

    if (c->index / 12 % 3 > 0)
        wsd_reset(c); /* else a proper end of the stream */
    if (moment < 3) {
        wsd_read(c, bytes, moment * 16);
        return;
    }
    if ((moment == 3 && !wsd_read_head(c)) ||
        (moment == 4 && (!wsd_read_head(c) || !wsd_puts(c, "HTTP/1.1 101 Switching"))) ||
        (moment == 5 && (!wsd_read_head(c) || !wsd_puts(c, "HTTP/1.1 503 Later\r\n\r\n"))))
        return;
    if (moment < 6 || !wsd_upgrade(c, "") || moment == 6)
        return;
    if (moment == 7)
        wsd_write(c, "\x81", 1);
    else if (moment == 8) /* of 64 KiB */
        wsd_write(c, "\x81\x7f\0\0\0\0\0\1\0\0{\"msg\":", 17);
    else if (moment == 9)
        wsd_close(c, 1012, "restart");
    else if (wsd_text(c, CONNECTED) && moment == 11)
        wsd_write(c, "\x81\x10{\"msg\"", 8);
}

/* Many sockets at once, on one loop with others that are refused, so that each number of a
 * descriptor is soon another's. Some are given up by us, at any moment. */
static void storm(const struct ddp_client_options *o)
{
    struct ddp_client_options closed = probe_options(closed_port());
    struct probe p[STORM_SOCKETS] = {0};
    unsigned opened_so_far = 0, random = 1, ends = 0, freed = 0;
    struct ddp_client *clients[2];
    uint64_t limit = uv_hrtime() + 8 * (uint64_t)PROBE_LIMIT_MS * 1000000;

    probe_loop_open();
    clients[0] = probe_client(o);
    clients[1] = probe_client(&closed);
    for (;;) {
        for (unsigned i = 0; i < STORM_SOCKETS; i++) {
            ends += p[i].ends;
            p[i].ends = 0;
            if (p[i].c == NULL && opened_so_far < STORM_CONNECTIONS) {
                probe_open(&p[i], clients[i % 4 == 0]);
                opened_so_far++;
            }
        }
        if (ends == STORM_CONNECTIONS)
            break;
        random = random * 1103515245 + 12345;
        if (random >> 28 == 0 && p[(random >> 16) % STORM_SOCKETS].c != NULL)
            probe_close(&p[(random >> 16) % STORM_SOCKETS]);
        if (uv_hrtime() > limit)
            fail_msg("%u of %d", ends, STORM_CONNECTIONS);
        uv_run(&probe_loop, UV_RUN_ONCE);
    }
    ddp_client_free(clients[1], probe_freed, &freed);
    probe_client_free(clients[0]);
    assert_int_equal(freed, 1);
    probe_loop_close();
}

static void test_storm(void **state)
{
    (void)state;
    for (int way = 0; way < 3; way++) {
        SSL_CTX *tls = way == 2 ? server_tls("DNS:chat.test", false) : NULL;
        unsigned moments = way == 1 ? 3 : 12;
        struct wsd *s = wsd_start(fails, &moments, tls);
        struct ddp_client_options o = probe_options(s->port);

        o.host = "chat.test";
        o.tls = way > 0; /* 1: it ends within the handshake */
        o.ca_file = ca_file;
        storm(&o);
        wsd_stop(s);
        SSL_CTX_free(tls);
    }
}

/* --- options --- */

static void test_options(void **state)
{
    static char long_name[300], long_path[2000] = "/";
    struct ddp_client_options o[18];
    size_t n = sizeof o / sizeof o[0];

    (void)state;
    memset(long_name, 'a', sizeof long_name - 1);
    memset(long_path + 1, 'a', sizeof long_path - 2);
    for (size_t i = 0; i < n; i++)
        o[i] = probe_options(80);
    o[0].host = "";
    o[1].host = "a b";
    o[2].host = long_name;
    o[3].path = "websocket";
    o[4].path = "/a\r\nX: y";
    o[5].path = long_path;
    o[6].port = 0;
    o[7].max_frame_bytes = 0;
    o[8].dead_ms = o[8].ping_ms;
    o[9].connect_timeout_ms = 0;
    o[10].proxy = "proxy.test";
    o[11].proxy = "proxy.test:0";
    o[12].proxy = "proxy.test:80x";
    o[13].proxy = "https://proxy.test:80";
    o[14].proxy = ":80";
    o[15].tls = true;
    o[15].ca_file = "/nonexistent";
    o[16].tls = true;
    o[16].ca_file = empty_file;
    o[17].tls = true;
    o[17].client_cert_file = client_file; /* without its key */
    probe_loop_open();
    for (size_t i = 0; i < n; i++) {
        struct ddp_client *ddp = NULL;

        if (ddp_client_new(&probe_loop, &o[i], &ddp) != UV_EINVAL)
            fail_msg("options %zu were taken", i);
        assert_null(ddp);
    }
    probe_loop_close();
}

/* --- proxies --- */

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
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_refused_often),
        cmocka_unit_test(test_reset_at_once),
        cmocka_unit_test(test_stalled_address),
        cmocka_unit_test(test_slow_resolver),
        cmocka_unit_test(test_resolver_too_slow),
        cmocka_unit_test(test_tls),
        cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_tls_refused_client),
        cmocka_unit_test(test_tls_to_plain),
        cmocka_unit_test(test_shards),
        cmocka_unit_test(test_descriptors),
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_options),
        cmocka_unit_test(test_proxy),
        cmocka_unit_test(test_proxy_refuses),
        cmocka_unit_test(test_environment),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
