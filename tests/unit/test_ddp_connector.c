/* The connector against a scripted server on the loopback: greeting, time, and callers that act
 * from inside callbacks. */
#include "ddp_script.h"

/* --- greeting --- */

static void test_connects(void **state)
{
    struct fixture f = start(greet_and_wait, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    assert_false(probe_call(&p, "login", "[]", 1000)); /* not yet */
    assert_int_equal(probe_subscribe(&p, "[]", 1000), 0);
    probe_until(&p.connects, 1);
    assert_string_equal(p.session, MONOLITH_ID);
    assert_true(ddp_connector_is_monolith(p.c));
    probe_close(&p);
    probe_close(&p); /* twice is fine */
    assert_false(probe_call(&p, "login", "[]", 1000));
    probe_until(&p.ends, 1);
    assert_int_equal(p.how, DDP_END_LOCAL);
    assert_int_equal(p.code, 1000);
    finish(&f);
}

/* The streamer may ping before it has read connect, and takes no pong before it. */
static void streamer(struct wsd_conn *c)
{
    if (!wsd_upgrade(c, "") || !wsd_text(c, "{\"msg\":\"ping\"}") ||
        !wsd_text(c, "{\"server_id\":\"0\"}") ||
        !wsd_text(c, "{\"msg\":\"server_id\",\"server_id\":\"0\"}"))
        return;
    want_text(c, CONNECT);
    want_text(c, "{\"msg\":\"pong\"}");
    wsd_text(c, "{\"msg\":\"connected\",\"session\":\"2f1e6ef0-07a1-11ef-9262-0242ac120002\"}");
    wsd_text(c, "{\"msg\":\"connected\",\"session\":\"again\"}");
    wsd_text(c, "{\"msg\":\"ping\",\"id\":\"a\\\"1\"}");
    want_text(c, "{\"msg\":\"pong\",\"id\":\"a\\\"1\"}");
    wsd_text(c, EVENT("[]"));
    wsd_drain(c);
}

static void test_streamer(void **state)
{
    struct fixture f = start(streamer, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.events, 1);
    assert_int_equal(p.connects, 1);
    assert_false(ddp_connector_is_monolith(p.c));
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

/* The first frame in the segment of the upgrade's answer. */
static void greets_in_one_segment(struct wsd_conn *c)
{
    if (!wsd_upgrade_and(c, "", "\x81\x0e{\"msg\":\"ping\"}"))
        return;
    want_text(c, CONNECT);
    want_text(c, "{\"msg\":\"pong\"}");
    wsd_text(c, CONNECTED);
    wsd_drain(c);
}

static void test_early_frame(void **state)
{
    struct fixture f = start(greets_in_one_segment, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

/* --- closed in the very moment of the upgrade's answer --- */

static atomic_bool asked, may_answer, answered;

static void answers_when_told(struct wsd_conn *c)
{
    atomic_store(&asked, true);
    while (!atomic_load(&may_answer))
        usleep(1000);
    wsd_upgrade(c, "");
    atomic_store(&answered, true);
    wsd_drain(c);
}

static void close_now(uv_async_t *async)
{
    probe_close(async->data);
    uv_close((uv_handle_t *)async, NULL);
}

/* The loop reads both in one go: first our wish to close, then the answer. */
static void test_closed_before_the_answer_is_read(void **state)
{
    struct fixture f;
    struct probe p = {0};
    uv_async_t closer;

    (void)state;
    atomic_store(&asked, false);
    atomic_store(&may_answer, false);
    atomic_store(&answered, false);
    f = start(answers_when_told, NULL);
    uv_async_init(&probe_loop, &closer, close_now);
    closer.data = &p;
    probe_open(&p, f.client);
    for (int i = 0; i < 2000 && !atomic_load(&asked); i++) {
        uv_run(&probe_loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    for (int i = 0; i < 50; i++) { /* the request is on its way, too */
        uv_run(&probe_loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    uv_async_send(&closer);
    atomic_store(&may_answer, true);
    for (int i = 0; i < 2000 && !atomic_load(&answered); i++)
        usleep(1000);
    usleep(20 * 1000);
    probe_until(&p.ends, 1);
    assert_int_equal(p.how, DDP_END_LOCAL);
    assert_int_equal(p.connects, 0);
    finish(&f);
}

/* --- time --- */

static void stays_mute(struct wsd_conn *c)
{
    if (!greet(c))
        return;
    want_text(c, "{\"msg\":\"ping\"}");
    wsd_text(c, "{\"msg\":\"pong\"}");
    want_text(c, "{\"msg\":\"ping\"}"); /* once for each silence */
    wsd_frame(c, 0x8a, "x", 1);         /* any sign of life counts */
    want_text(c, "{\"msg\":\"ping\"}");
    wsd_drain(c);
    want(c->closed == 0, "a dead connection is dropped");
}

static void test_liveness(void **state)
{
    struct ddp_client_options o;
    struct fixture f;
    struct probe p = {0};
    uint64_t started;

    (void)state;
    f = start(stays_mute, NULL);
    probe_client_free(f.client);
    o = probe_options(f.server->port);
    o.ping_ms = 200;
    o.dead_ms = 600;
    f.client = probe_client(&o);
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    started = uv_hrtime();
    probe_until(&p.ends, 1);
    assert_int_equal(p.how, DDP_END_DEAD);
    assert_int_equal(p.code, 1006);
    /* 200 to the first ping, 200 to the second, 600 of silence */
    assert_in_range((uv_hrtime() - started) / 1000000, 950, 2500);
    finish(&f);
}

static void upgrades_only(struct wsd_conn *c)
{
    if (wsd_upgrade(c, ""))
        wsd_drain(c);
}

static void reads_only(struct wsd_conn *c)
{
    char byte;

    while (wsd_read(c, &byte, 1))
        ;
}

static void test_connect_time_out(void **state)
{
    static const struct {
        wsd_script script;
        const char *detail;
    } cases[] = {{upgrades_only, "no answer to connect"}, {reads_only, "connecting took too long"}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture f = start(cases[i].script, NULL);
        struct ddp_client_options o = probe_options(f.server->port);
        struct probe p = {0};

        probe_client_free(f.client);
        o.connect_timeout_ms = 200;
        f.client = probe_client(&o);
        probe_open(&p, f.client);
        probe_until(&p.ends, 1);
        assert_int_equal(p.how, DDP_END_TIMED_OUT);
        assert_string_equal(p.detail, cases[i].detail);
        finish(&f);
    }
}

/* --- callers that act from inside callbacks --- */

static void close_from_inside(struct probe *p)
{
    probe_close(p);
    assert_false(probe_call(p, "a", "[]", 1000));
}

static void sends_three(struct wsd_conn *c)
{
    unsigned char all[1024], *at = all;
    static const char event[] = EVENT("[]");

    if (!greet(c))
        return;
    for (int i = 0; i < 3; i++) { /* one segment, so that two follow the close */
        *at++ = 0x81;
        *at++ = sizeof event - 1;
        at = mempcpy(at, event, sizeof event - 1);
    }
    wsd_write(c, all, (size_t)(at - all));
    wsd_drain(c);
    want(c->closed == 1000, "close 1000");
}

static void test_close_inside(void **state)
{
    struct fixture f = start(sends_three, NULL);
    struct probe at_event = {.on_event = close_from_inside},
                 at_connected = {.on_connected = close_from_inside};

    (void)state;
    probe_open(&at_event, f.client);
    probe_open(&at_connected, f.client);
    probe_until(&at_event.ends, 1);
    probe_until(&at_connected.ends, 1);
    assert_int_equal(at_event.events, 1);
    assert_int_equal(at_connected.events, 0);
    assert_int_equal(at_event.how, DDP_END_LOCAL);
    finish(&f);
}

static void greets_whoever_stays(struct wsd_conn *c)
{
    char text[256];

    if (wsd_upgrade(c, "") && wsd_expect(c, text, sizeof text) && wsd_text(c, CONNECTED))
        wsd_drain(c);
}

static void readies_both(struct wsd_conn *c)
{
    char text[256];

    if (!greet(c) || !wsd_expect(c, text, sizeof text) || !wsd_expect(c, text, sizeof text))
        return;
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"1\",\"2\"]}");
    wsd_drain(c);
}

static unsigned good_answers;

static void close_at_answer(void *arg, struct slice result, const struct rc_error *error)
{
    struct probe *p = arg;

    (void)result;
    p->answers++;
    good_answers += error == NULL;
    if (error != NULL)
        assert_int_equal(error->result, RC_CANCELLED);
    else
        probe_close(p);
}

/* The rest of a frame is not for a connector that was closed in its midst. */
static void test_close_at_ready(void **state)
{
    struct fixture f = start(readies_both, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    for (int i = 0; i < 2; i++)
        assert_true(ddp_connector_subscribe(p.c, "x", SLICE_LIT("[]"), 5000, close_at_answer, &p) !=
                    0);
    good_answers = 0;
    probe_until(&p.ends, 1);
    assert_int_equal(p.answers, 2);
    assert_int_equal(good_answers, 1);
    finish(&f);
}

/* Closed at every stage of opening, which is told once and leaves nothing behind. */
static void test_close_while_opening(void **state)
{
    struct fixture f = start(greets_whoever_stays, NULL);

    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        struct probe p = {0};

        probe_open(&p, f.client);
        for (int i = 0; i < turns && p.connects == 0; i++)
            uv_run(&probe_loop, UV_RUN_ONCE);
        probe_close(&p);
        probe_until(&p.ends, 1);
        assert_int_equal(p.how, DDP_END_LOCAL);
    }
    finish(&f);
}

static void pings_without_reading(struct wsd_conn *c)
{
    char ping[1024];

    memset(ping, 'x', sizeof ping);
    memcpy(ping, "{\"msg\":\"ping\",\"id\":\"", 20);
    memcpy(ping + sizeof ping - 3, "\"}", 3);
    if (!greet(c))
        return;
    for (int i = 0; i < 8000; i++) /* more than kernel and queue take of the pongs */
        if (!wsd_text(c, ping))
            return;
    wsd_text(c, EVENT("[]"));
    wsd_drain(c);
}

/* The pongs that find no room are dropped; the connection goes on. */
static void test_ping_flood(void **state)
{
    struct fixture f = start(pings_without_reading, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.events, 1);
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

/* --- many --- */

static void test_many(void **state)
{
    enum { AT_ONCE = 200, ROUNDS = 5 };
    struct fixture f = start(greets_and_reads, NULL);
    static struct probe p[AT_ONCE];

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        memset(p, 0, sizeof p);
        for (int i = 0; i < AT_ONCE; i++)
            probe_open(&p[i], f.client);
        for (int i = 0; i < AT_ONCE; i++)
            probe_until(&p[i].connects, 1);
        for (int i = 0; i < AT_ONCE; i++)
            probe_close(&p[i]);
        for (int i = 0; i < AT_ONCE; i++)
            probe_until(&p[i].ends, 1);
    }
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connects),
        cmocka_unit_test(test_streamer),
        cmocka_unit_test(test_early_frame),
        cmocka_unit_test(test_closed_before_the_answer_is_read),
        cmocka_unit_test(test_liveness),
        cmocka_unit_test(test_connect_time_out),
        cmocka_unit_test(test_close_inside),
        cmocka_unit_test(test_close_at_ready),
        cmocka_unit_test(test_close_while_opening),
        cmocka_unit_test(test_ping_flood),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
