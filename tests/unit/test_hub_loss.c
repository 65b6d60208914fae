/* What is known of a client when its connection has ended, over real sockets whose network the test
 * cuts by a filter: the kernel drops what comes to the client, and acknowledges nothing. */
#include "hub_loopback.h"
#include "signalr/http/ws_conn.h"
#include "signalr/hub/hub_internal.h"

#include <linux/filter.h>

#define ALICE "Authorization: Bearer alice\r\n"
#define PING "{\"type\":6}" RS

static struct world *w;
static struct client c;
static struct hub_buf *messages[10]; /* by number */

static struct signalr_options options(unsigned keepalive_ms)
{
    struct signalr_options o = world_options();

    o.keepalive_ms = keepalive_ms;
    return o;
}

/* A connection that is to hear what follows number 1. */
static void begin_with(struct signalr_options o)
{
    w = world_start(o);
    client_connect(&c, w, 0, ALICE);
    hub_connection_join_user(w->last, 1, false);
}

static void begin(unsigned keepalive_ms)
{
    begin_with(options(keepalive_ms));
}

static int stop(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        hub_buf_unref(messages[i]);
        messages[i] = NULL;
    }
    world_stop(w);
    return 0;
}

static void say(unsigned number)
{
    char text[32];

    snprintf(text, sizeof text, "%u", number);
    messages[number] = hub_message_invocation(SLICE_LIT("m"), (struct slice){text, strlen(text)});
    hub_buf_set_number(messages[number], number);
    hub_connection_send(w->last, messages[number]);
    pump_for(w, 5);
}

/* Pings aside. */
static void expect(unsigned number)
{
    struct slice payload = SLICE_LIT(PING);
    char text[64];

    snprintf(text, sizeof text, "{\"type\":1,\"target\":\"m\",\"arguments\":[%u]}" RS, number);
    while (slice_eq(payload, SLICE_LIT(PING)))
        assert_int_equal(client_next(&c, &payload), 1);
    assert_true(slice_eq(payload, slice_of(text)));
}

static void hear(unsigned number)
{
    expect(number);
    /* Acknowledgements may be delayed by the kernel, but not behind bytes that go the other way. */
    client_text(&c, PING);
    pump_for(w, 5);
}

static void set_cut(bool cut)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &nothing};
    int none = 0;

    if (cut)
        assert_int_equal(setsockopt(c.fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program),
                         0);
    else
        setsockopt(c.fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
}

static void reset(void)
{
    const struct linger now = {.l_onoff = 1};

    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(c.fd);
    pump_until(w, w->disconnected == 1);
}

static void send_close_frame(unsigned code)
{
    const char payload[2] = {(char)(code >> 8), (char)code};

    client_frame(&c, 8, payload, 2);
    pump_until(w, w->disconnected == 1);
    client_close(&c);
}

static uint32_t length_of(void *arg, uint64_t number)
{
    size_t len;

    (void)arg;
    hub_buf_bytes(messages[number], &len);
    return (uint32_t)len;
}

/* The number up to which it has all. */
static uint64_t had(void)
{
    return hub_receipt_before(&w->receipt, w->receipt.unacked, 0, length_of, NULL);
}

static void test_a_reset(void **state)
{
    (void)state;
    begin(60000);
    say(2);
    say(3);
    hear(2);
    hear(3);
    set_cut(true);
    say(4);
    say(5);
    reset();
    assert_int_equal(w->why, HUB_END_LOST);
    assert_true(w->may_return);
    assert_int_equal(had(), 3);
    assert_int_equal(w->receipt.last, 5);
    assert_int_equal(w->receipt.unsent, 0);
}

static void test_nothing_was_lost(void **state)
{
    (void)state;
    begin(60000);
    say(2);
    hear(2);
    reset();
    assert_true(w->may_return);
    assert_int_equal(had(), 2);
}

/* More than the socket takes: what waits with us is told apart. */
static void test_what_never_left(void **state)
{
    static char text[200000];

    (void)state;
    begin(60000);
    memset(text, '1', sizeof text);
    set_cut(true);
    for (unsigned i = 2; i < 10; i++) {
        messages[i] = hub_message_invocation(SLICE_LIT("m"), (struct slice){text, sizeof text});
        hub_buf_set_number(messages[i], i);
        hub_connection_send(w->last, messages[i]);
        pump_for(w, 5);
    }
    if (w->last != NULL)
        reset();
    assert_int_equal(had(), 1);
    assert_true(w->receipt.unsent <= w->receipt.unacked);
    assert_true(w->receipt.last > 1);
}

static void test_good_byes(void **state)
{
    static const struct {
        unsigned code; /* 0: by the Close message */
        bool has_all, may_return;
    } cases[] = {
        {0, true, false},    {0, false, false},    {1000, true, false},
        {1000, false, true}, {1001, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (i > 0)
            stop(state);
        begin(60000);
        say(2);
        hear(2);
        if (!cases[i].has_all) {
            set_cut(true);
            say(3);
        }
        if (cases[i].code != 0) {
            send_close_frame(cases[i].code);
        } else {
            client_text(&c, "{\"type\":7}" RS);
            pump_for(w, 10);
            client_close(&c);
            pump_until(w, w->disconnected == 1);
        }
        assert_int_equal(w->why, HUB_END_CLIENT);
        assert_int_equal(w->may_return, cases[i].may_return);
        if (cases[i].may_return)
            assert_int_equal(had(), 2);
        assert_true(w->may_return_without_acks == (cases[i].code == 1000));
    }
}

/* After a stall the kernel takes in, and acknowledges, what the client has given up on. */
static void test_given_up_after_a_stall(void **state)
{
    (void)state;
    begin(40);
    say(2);
    hear(2);
    pump_for(w, 100);
    set_cut(true);
    say(3);
    pump_for(w, 100); /* a look, at least */
    set_cut(false);
    expect(3);
    send_close_frame(1000);
    assert_true(w->may_return);
    assert_int_equal(had(), 2);
}

static void test_alive_after_a_stall(void **state)
{
    struct hub_receipt now;

    (void)state;
    begin(40);
    set_cut(true);
    say(2);
    pump_for(w, 100);
    assert_true(hub_connection_in_doubt(w->last, true, &now));
    set_cut(false);
    expect(2);
    /* It goes on living. At some looks a ping of ours may just be on its way. */
    for (int i = 0; i < 500 && hub_connection_in_doubt(w->last, true, &now); i++) {
        client_text(&c, PING);
        pump_for(w, 20);
    }
    assert_false(hub_connection_in_doubt(w->last, true, &now));
    reset();
}

/* Number 3 is sent in it. */
static void begin_stall(struct signalr_options o)
{
    begin_with(o);
    say(2);
    hear(2);
    set_cut(true);
    say(3);
}

/* What it still gets after its receipt was taken, it hears twice. */
static void expect_none_but_the_end(void)
{
    struct slice payload = SLICE_LIT(PING);

    /* A reset that was dropped is not repeated, unless somebody asks. */
    (void)!send(c.fd, "", 1, MSG_NOSIGNAL);
    while (slice_eq(payload, SLICE_LIT(PING)))
        if (client_next(&c, &payload) < 0)
            return;
    fail_msg("got '%.*s'", (int)payload.len, payload.ptr);
}

/* Its network is back right after it was given up on, and it never noticed. */
static void test_timed_out_in_a_stall(void **state)
{
    struct signalr_options o = options(40);

    (void)state;
    o.client_timeout_ms = 1000;
    begin_stall(o);
    pump_until(w, w->last == NULL || w->last->state == CONN_CLOSING);
    set_cut(false);
    expect_none_but_the_end();
    pump_until(w, w->disconnected == 1);
    assert_int_equal(w->why, HUB_END_TIMEOUT);
    assert_true(w->may_return);
    assert_int_equal(had(), 2);
    client_close(&c);
}

/* As if all that time had passed. */
static void let_pass(uint64_t *since_ms)
{
    *since_ms -= 60000;
    hub_connection_rearm(w->last);
}

/* Number 3 is heard when the network is back. */
static void stall(void)
{
    begin_stall(options(60000));
    hub_loss_look(w->last, uv_now(&w->loop));
    assert_non_null(w->last->doubt);
    set_cut(false);
    expect(3);
    pump_until(w, ws_conn_unacked(w->last->ws).all == 0);
    w->last->doubt->again_ms = UINT64_MAX; /* too late for that */
}

/* It would have been given up on just now. Only its word is late: its kernel sends it again in the
 * end. */
static void test_not_timed_out_behind_a_stall(void **state)
{
    (void)state;
    stall();
    let_pass(&w->last->heard_ms);
    pump_until(w, w->last->doubt->lived_ms != 0);
    say(4);
    hear(4);
    let_pass(&w->last->due_ms);
    pump_until(w, w->last->doubt == NULL);
    assert_int_equal(w->last->state, CONN_OPEN);
    let_pass(&w->last->heard_ms);
    pump_until(w, w->last->state == CONN_CLOSING);
    send_close_frame(1000);
    assert_int_equal(had(), 4);
}

/* It may have given up before it took that in, and nothing it says tells otherwise. */
static void test_silent_behind_a_stall(void **state)
{
    (void)state;
    stall();
    let_pass(&w->last->heard_ms);
    pump_until(w, w->last->doubt->lived_ms != 0);
    assert_int_equal(w->last->state, CONN_OPEN);
    let_pass(&w->last->doubt->lived_ms);
    pump_until(w, w->last->state == CONN_CLOSING);
    send_close_frame(1000);
    assert_int_equal(w->why, HUB_END_TIMEOUT);
    assert_int_equal(had(), 2);
}

/* Closed to have it back, but it does not answer, and is let go. */
static void test_closed_in_a_stall(void **state)
{
    struct signalr_options o = options(60000);

    (void)state;
    o.close_wait_ms = 800;
    begin_stall(o);
    hub_connection_close(w->last, NULL, true);
    pump_until(w, w->disconnected == 1);
    set_cut(false);
    pump_for(w, 1500); /* the kernel would have tried again by then, as it does for a while */
    expect_none_but_the_end();
    assert_true(w->may_return);
    assert_int_equal(had(), 2);
    client_close(&c);
}

/* Looked at while it was on its way: acknowledged a moment later, before the client says a word. */
static void test_on_its_way(void **state)
{
    struct hub_receipt now;

    (void)state;
    begin(60000);
    set_cut(true);
    say(2);
    hub_loss_look(w->last, 1000);
    assert_in_range(w->last->doubt->again_ms, 1001, 1000 + 60000 / 4);
    hub_loss_look_again(w->last); /* not acknowledged: it stands */
    assert_true(w->last->doubt->again_ms == UINT64_MAX);
    set_cut(false);
    expect(2);
    pump_until(w, ws_conn_unacked(w->last->ws).all == 0);
    assert_true(hub_connection_in_doubt(w->last, true, &now));
    w->last->doubt->again_ms = uv_now(&w->loop);
    hub_connection_rearm(w->last);
    pump_until(w, w->last->doubt == NULL);
    assert_false(hub_connection_in_doubt(w->last, true, &now));
    reset();
}

/* From before the last ping: a client may give up while we look. */
static void test_too_old_to_be_on_its_way(void **state)
{
    (void)state;
    begin(60000);
    set_cut(true);
    say(2);
    w->last->pinged_to = ws_conn_pushed(w->last->ws);
    say(3);
    hub_loss_look(w->last, 1000);
    assert_true(w->last->doubt->again_ms == UINT64_MAX);
    reset();
    assert_int_equal(had(), 1);
}

static void test_in_doubt_before_its_end(void **state)
{
    struct hub_receipt now;

    (void)state;
    begin(60000);
    say(2);
    hear(2);
    assert_false(hub_connection_in_doubt(w->last, true, &now));
    assert_true(hub_connection_in_doubt(w->last, false, &now)); /* it lived right behind it */
    assert_int_equal(now.alive, 1);
    for (int i = 0; i < 2; i++)
        hub_receipt_heard(&w->last->receipt, w->last->receipt.heard_ms + HUB_RECEIPT_TRIP_MS);
    assert_false(hub_connection_in_doubt(w->last, false, &now));
    set_cut(true);
    say(3);
    assert_true(hub_connection_in_doubt(w->last, true, &now));
    assert_int_equal(hub_receipt_before(&now, now.unacked, 0, length_of, NULL), 2);
    assert_true(hub_connection_in_doubt(w->last, false, &now));
    assert_int_equal(now.alive, 2);
    reset();
}

/* Its end waits for its turn, and its client may come back meanwhile: what is sent goes nowhere. */
static void test_lost_before_its_end_is_told(void **state)
{
    const struct linger now_linger = {.l_onoff = 1};
    struct hub_receipt now;

    (void)state;
    begin(60000);
    say(2);
    hear(2);
    setsockopt(c.fd, SOL_SOCKET, SO_LINGER, &now_linger, sizeof now_linger);
    close(c.fd);
    while (!ws_conn_has_ended(w->last->ws))
        uv_run(&w->loop, UV_RUN_NOWAIT);
    assert_int_equal(w->disconnected, 0);
    assert_false(hub_connection_is_open(w->last));
    assert_true(hub_connection_in_doubt(w->last, true, &now));
    assert_int_equal(hub_receipt_before(&now, now.unacked, 0, length_of, NULL), 2);
    messages[3] = hub_buf_ref(messages[2]);
    hub_connection_send(w->last, messages[3]);
    pump_until(w, w->disconnected == 1);
    assert_int_equal(had(), 2);
}

int main(void)
{
    static const uint8_t key[16] = "a fixed test key";
#define T(f) cmocka_unit_test_teardown(f, stop)
    const struct CMUnitTest tests[] = {
        T(test_a_reset),
        T(test_nothing_was_lost),
        T(test_what_never_left),
        T(test_good_byes),
        T(test_given_up_after_a_stall),
        T(test_alive_after_a_stall),
        T(test_on_its_way),
        T(test_too_old_to_be_on_its_way),
        T(test_in_doubt_before_its_end),
        T(test_lost_before_its_end_is_told),
        T(test_timed_out_in_a_stall),
        T(test_not_timed_out_behind_a_stall),
        T(test_silent_behind_a_stall),
        T(test_closed_in_a_stall),
    };

    hash_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
