/* The way to the server: names and addresses, options, and a server that fails at every moment. */
#include "ddp_hosts.h"

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
        cmocka_unit_test(test_storm),
        cmocka_unit_test(test_options),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
