/* Life of a hub connection over loopback: handshake, messages, time-outs, ends, sending. */
#include "hub_loopback.h"

#define ALICE "Authorization: Bearer alice\r\n"
#define BOB "Authorization: Bearer bob\r\n"
#define ECHO_1 "{\"arguments\":[1],\"invocationId\":\"0\",\"target\":\"Echo\",\"type\":1}" RS
#define ECHO_1_ANSWER "{\"type\":3,\"invocationId\":\"0\",\"result\":1}" RS

static void test_handshake_failures(void **state)
{
#define UNEXPECTED "{\"error\":\"An unexpected error occurred during connection handshake.\"}" RS
    static char long_text[33000];
    const struct {
        const char *in, *out;
    } rows[] = {
        {"{\"protocol\":\"messagepack\",\"version\":1}" RS,
         "{\"error\":\"The protocol 'messagepack' is not supported.\"}" RS},
        {"{\"protocol\":\"json\",\"version\":3}" RS,
         "{\"error\":\"The server does not support version 3 of the 'json' protocol.\"}" RS},
        {"{\"type\":6}" RS, UNEXPECTED},
        {"junk" RS, UNEXPECTED},
        {RS, UNEXPECTED},
        {long_text, "{\"error\":\"Handshake was canceled.\"}" RS},
    };
    struct world *w = world_start(world_options());
    static struct client c;

    (void)state;
    memset(long_text, ' ', 32768);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(client_upgrade(&c, w, 0, "/hub", ALICE), 101);
        client_text(&c, rows[i].in);
        client_expect(&c, rows[i].out);
        client_expect_end(&c);
    }
    assert_int_equal(stats_of(w, 0).ended[HUB_END_HANDSHAKE], 6);
    assert_int_equal(w->connected, 0);
    world_stop(w);
}

/* Handshake, a message in the same frame, one over two frames, and one message a byte a frame. */
static void test_any_cut(void **state)
{
    static const char in[] = JSON_HANDSHAKE ECHO_1 "{\"type\":6}" RS ECHO_1;
    const size_t len = sizeof in - 1;
    struct world *w = world_start(world_options());
    static struct client c;

    (void)state;
    for (size_t cut = 0; cut <= len; cut++) {
        assert_int_equal(client_upgrade(&c, w, 0, "/hub", ""), 101);
        client_frame(&c, 1, in, cut);
        client_frame(&c, 2, in + cut, len - cut); /* the opcode does not matter */
        client_expect(&c, "{}" RS);
        client_expect(&c, ECHO_1_ANSWER);
        client_expect(&c, ECHO_1_ANSWER);
        client_leave(&c);
    }
    assert_int_equal(client_upgrade(&c, w, 0, "/hub", ""), 101);
    for (size_t i = 0; i < len; i++)
        client_frame(&c, 1, in + i, 1);
    client_expect(&c, "{}" RS);
    client_expect(&c, ECHO_1_ANSWER);
    client_expect(&c, ECHO_1_ANSWER);
    client_leave(&c);
    assert_int_equal(w->why, HUB_END_CLIENT);
    world_stop(w);
}

static void test_invocations(void **state)
{
    static const struct {
        const char *in, *out; /* NULL: no answer, seen by the Echo that follows */
    } rows[] = {
        {"{\"type\":1,\"invocationId\":\"a\",\"target\":\"ECHO\",\"arguments\":[{\"x\": 1.10}]}",
         "{\"type\":3,\"invocationId\":\"a\",\"result\":{\"x\": 1.10}}"},
        {"{\"type\":1,\"invocationId\":\"\\u0061\\\"\",\"target\":\"\\u0045cho\",\"arguments\":"
         "[\"\\u0061\"]}",
         "{\"type\":3,\"invocationId\":\"a\\\"\",\"result\":\"\\u0061\"}"},
        {"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Void\",\"arguments\":[]}",
         "{\"type\":3,\"invocationId\":\"1\",\"result\":null}"},
        {"{\"type\":1,\"target\":\"Void\",\"arguments\":[]}", NULL},
        {"{\"type\":1,\"invocationId\":\"1\",\"target\":\"No\\n\",\"arguments\":[]}",
         "{\"type\":3,\"invocationId\":\"1\",\"error\":\"Failed to invoke 'No\\n' due to an error "
         "on "
         "the server. HubException: Method does not exist.\"}"},
        {"{\"type\":1,\"target\":\"No\",\"arguments\":[]}", NULL},
        {"{\"type\":1,\"invocationId\":\"\",\"target\":\"No\",\"arguments\":[]}", NULL},
        {"{\"type\":4,\"invocationId\":\"1\",\"target\":\"No\",\"arguments\":[]}",
         "{\"type\":3,\"invocationId\":\"1\",\"error\":\"Failed to invoke 'No' due to an error on "
         "the server. HubException: Method does not exist.\"}"},
        {"{\"type\":4,\"invocationId\":\"1\",\"target\":\"eCHo\",\"arguments\":[1]}",
         "{\"type\":3,\"invocationId\":\"1\",\"error\":\"The client attempted to invoke the "
         "non-streaming 'eCHo' method with a streaming invocation.\"}"},
        {"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Echo\",\"arguments\":[],\"streamIds\":"
         "[\"2\",\"3\"]}",
         "{\"type\":3,\"invocationId\":\"1\",\"error\":\"An unexpected error occurred invoking "
         "'Echo' on the server. HubException: Client sent 2 stream(s), Hub method expects 0.\"}"},
        {"{\"type\":1,\"invocationId\":\"1\",\"target\":\"Throw\",\"arguments\":[]}",
         "{\"type\":3,\"invocationId\":\"1\",\"error\":\"An unexpected error occurred invoking "
         "'Throw' on the server.\"}"},
        {"{\"type\":2,\"invocationId\":\"9\",\"item\":1}", NULL},
        {"{\"type\":3,\"invocationId\":\"9\",\"result\":1}", NULL},
        {"{\"type\":5,\"invocationId\":\"9\"}", NULL},
        {"{\"type\":6}", NULL},
        {"{\"type\":8,\"sequenceId\":1}", NULL},
        {"{\"type\":9,\"sequenceId\":1}", NULL},
        {"{\"type\":99,\"what\":\"ever\"}", NULL},
    };
    struct world *w = world_start(world_options());
    static struct client c;

    (void)state;
    client_connect(&c, w, 0, ALICE);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];

        snprintf(text, sizeof text, "%s" RS, rows[i].in);
        client_text(&c, text);
        if (rows[i].out != NULL) {
            snprintf(text, sizeof text, "%s" RS, rows[i].out);
            client_expect(&c, text);
        }
        client_text(&c, ECHO_1);
        client_expect(&c, ECHO_1_ANSWER);
    }
    assert_int_equal(stats_of(w, 0).unknown_methods, 4);
    /* completed later, when others have been answered */
    client_text(&c, "{\"type\":1,\"invocationId\":\"L\",\"target\":\"Later\",\"arguments\":[]}" RS);
    client_text(&c, ECHO_1);
    client_expect(&c, ECHO_1_ANSWER);
    hub_connection_complete(w->last, slice_of(w->last_id), SLICE_LIT("[]"), "sorry");
    client_expect(&c, "{\"type\":3,\"invocationId\":\"L\",\"error\":\"sorry\"}" RS);
    client_leave(&c);
    world_stop(w);
}

static void test_broken_messages(void **state)
{
    static char long_text[33000];
    const char *rows[] = {
        "x" RS,
        RS,
        "{}" RS,
        "{\"type\":\"1\"}" RS,
        "{\"type\":1,\"target\":\"Echo\"}" RS,
        "{\"type\":3,\"invocationId\":\"1\",\"result\":1,\"error\":\"e\"}" RS,
        "{\"type\":1,\"target\":\"\\udc00\",\"arguments\":[]}" RS,
        "{\"type\":1,\"invocationId\":\"\\ud800x\",\"target\":\"Echo\",\"arguments\":[]}" RS,
        long_text,
    };
    struct world *w = world_start(world_options());
    static struct client c;

    (void)state;
    memset(long_text, ' ', 32768);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        client_connect(&c, w, 0, ALICE);
        client_text(&c, ECHO_1);
        client_text(&c, rows[i]);
        client_text(&c, ECHO_1); /* too late */
        client_expect(&c, ECHO_1_ANSWER);
        client_expect(&c, CLOSE_ERROR);
        client_expect_end(&c);
        pump_until(w, w->disconnected == i + 1);
        assert_int_equal(w->why, HUB_END_PROTOCOL);
    }
    world_stop(w);
}

/* The largest message that is allowed is served, with its separator counted. */
static void test_largest_message(void **state)
{
    struct world *w = world_start(world_options());
    static struct client c;
    static char text[32769];
    const size_t tail = strlen(ECHO_1);

    (void)state;
    client_connect(&c, w, 0, "");
    memset(text, ' ', 32768 - tail);
    strcpy(text + 32768 - tail, ECHO_1);
    client_text(&c, text);
    client_expect(&c, ECHO_1_ANSWER);
    client_leave(&c);
    world_stop(w);
}

static void test_ends(void **state)
{
    struct world *w = world_start(world_options());
    static struct client c;

    (void)state;
    /* the client's Close message */
    client_connect(&c, w, 0, ALICE);
    client_text(&c, "{\"type\":7}" RS);
    client_expect(&c, "{\"type\":7}" RS);
    client_expect_end(&c);
    pump_until(w, w->disconnected == 1);
    assert_int_equal(w->why, HUB_END_CLIENT);
    /* TCP without a close frame */
    client_connect(&c, w, 0, ALICE);
    client_close(&c);
    pump_until(w, w->disconnected == 2);
    assert_int_equal(w->why, HUB_END_LOST);
    /* the host, from inside an invocation */
    client_connect(&c, w, 0, ALICE);
    client_text(&c, "{\"type\":1,\"target\":\"Close\",\"arguments\":[]}" RS ECHO_1);
    client_expect(&c, "{\"type\":7,\"error\":\"done \\\"here\\\"\"}" RS);
    client_expect_end(&c);
    pump_until(w, w->disconnected == 3);
    assert_int_equal(w->why, HUB_END_HOST);
    /* the host, from outside; a second close says nothing more */
    client_connect(&c, w, 0, ALICE);
    hub_connection_close(w->last, NULL, true);
    hub_connection_close(w->last, "again", false);
    client_expect(&c, CLOSE_RECONNECT);
    client_expect_end(&c);
    /* a bad WebSocket frame: 1002 */
    client_connect(&c, w, 0, ALICE);
    client_send(&c, "\xf1\x80\x00\x00\x00\x00", 6);
    pump_until(w, w->disconnected == 5);
    assert_int_equal(w->why, HUB_END_PROTOCOL);
    client_close(&c);
    assert_int_equal(stats_of(w, 0).open + stats_of(w, 0).closing, 0);
    assert_int_equal(stats_of(w, 0).opened, 5);
    world_stop(w);
}

/* From the decision to close on, the token is unknown, nothing is sent and no user send counts it.
 */
static void test_closing_is_the_end(void **state)
{
    struct world *w = world_start(world_options());
    struct hub_buf *hi = hub_message_invocation(SLICE_LIT("hi"), (struct slice){0});
    static struct client c, again;
    struct hub_connection *conn;
    char token[32], target[64];

    (void)state;
    negotiate(w, 0, ALICE, token);
    snprintf(target, sizeof target, "/hub?id=%s", token);
    assert_int_equal(client_upgrade(&c, w, 0, target, ALICE), 101);
    client_text(&c, JSON_HANDSHAKE);
    client_expect(&c, "{}" RS);
    conn = w->last;
    hub_connection_close(conn, NULL, true);
    hub_connection_join_user(conn, 1, false);
    hub_connection_send(conn, hi);
    assert_int_equal(signalr_server_send_user(w->shards[0].signalr, SLICE_LIT("alice"), hi), 0);
    assert_int_equal(signalr_server_send_all(w->shards[0].signalr, hi), 0);
    assert_null(signalr_server_find(w->shards[0].signalr, hub_connection_serial(conn)));
    assert_int_equal(client_upgrade(&again, w, 0, target, ALICE), 404);
    client_close(&again);
    client_expect(&c, CLOSE_RECONNECT);
    client_expect_end(&c);
    hub_buf_unref(hi);
    world_stop(w);
}

/* A client that does not answer our close frame is dropped, and it is told why it ended. */
static void test_close_unanswered(void **state)
{
    struct signalr_options options = world_options();
    struct world *w;
    static struct client c;

    (void)state;
    options.close_wait_ms = 100;
    w = world_start(options);
    client_connect(&c, w, 0, ALICE);
    hub_connection_close(w->last, NULL, false);
    assert_int_equal(stats_of(w, 0).closing, 1);
    pump_until(w, w->disconnected == 1);
    assert_int_equal(w->why, HUB_END_HOST);
    client_close(&c);
    world_stop(w);
}

static void test_handshake_timeout(void **state)
{
    struct signalr_options options = world_options();
    struct world *w;
    static struct client c;

    (void)state;
    options.handshake_timeout_ms = 150;
    w = world_start(options);
    assert_int_equal(client_upgrade(&c, w, 0, "/hub", ""), 101);
    client_text(&c, "{\"protocol\":\"json\",\"version\":1}"); /* no separator */
    client_expect(&c, "{\"error\":\"Handshake was canceled.\"}" RS);
    client_expect_end(&c);
    world_stop(w);
}

static void test_keepalive(void **state)
{
    struct signalr_options options = world_options();
    struct world *w;
    static struct client c;
    uint64_t start;

    (void)state;
    options.keepalive_ms = 100;
    w = world_start(options);
    client_connect(&c, w, 0, "");
    start = now_ms();
    for (int i = 0; i < 4; i++)
        client_expect(&c, "{\"type\":6}" RS);
    assert_in_range(now_ms() - start, 300, 3000);
    client_leave(&c);
    world_stop(w);
}

/* Silence ends a connection only once it has pinged, and any message counts as life. */
static void test_client_timeout(void **state)
{
    struct signalr_options options = world_options();
    struct world *w;
    static struct client quiet, c;
    uint64_t start;

    (void)state;
    options.client_timeout_ms = 600;
    w = world_start(options);
    client_connect(&quiet, w, 0, "");
    client_connect(&c, w, 0, ALICE);
    client_text(&c, "{\"type\":6}" RS);
    for (int i = 0; i < 6; i++) {
        pump_for(w, 150);
        client_text(&c, ECHO_1);
        client_expect(&c, ECHO_1_ANSWER);
    }
    start = now_ms();
    client_expect(&c, CLOSE_ERROR);
    assert_in_range(now_ms() - start, 500, 3000);
    client_expect_end(&c);
    pump_until(w, w->disconnected == 1);
    assert_int_equal(w->why, HUB_END_TIMEOUT);
    client_text(&quiet, ECHO_1);
    client_expect(&quiet, ECHO_1_ANSWER);
    client_leave(&quiet);
    world_stop(w);
}

static void test_expiry(void **state)
{
    enum { N = 20, SPREAD = 800 };
    struct signalr_options options = world_options();
    struct world *w;
    static struct client clients[N], forever;
    const uint64_t expiry = wall_ms() + 2500; /* all are connected by then */
    char user[64];
    unsigned steps = 0;

    (void)state;
    options.expiry_spread_ms = SPREAD;
    options.handshake_timeout_ms = 800; /* the shortest time-out sets the tick, here 50 ms */
    w = world_start(options);
    snprintf(user, sizeof user, "Authorization: Bearer alice@%llu\r\n", (unsigned long long)expiry);
    for (int i = 0; i < N; i++)
        client_connect(&clients[i], w, 0, user);
    client_connect(&forever, w, 0, BOB);
    /* Equal tokens don't strike in one instant: the count rises in many steps. */
    for (unsigned open = N + 1; open > 1;) {
        const unsigned now_open = stats_of(w, 0).open;

        if (now_open < open) {
            assert_true(wall_ms() >= expiry);
            steps++;
        }
        open = now_open;
        assert_true(wall_ms() < expiry + SPREAD + 20000);
        pump_for(w, 5);
    }
    assert_in_range(steps, 3, N);
    for (int i = 0; i < N; i++) {
        client_expect(&clients[i], CLOSE_RECONNECT);
        client_expect_end(&clients[i]);
    }
    pump_until(w, w->disconnected == N);
    assert_int_equal(w->why, HUB_END_EXPIRED);
    assert_int_equal(stats_of(w, 0).ended[HUB_END_EXPIRED], N);
    client_leave(&forever);
    world_stop(w);
}

static void test_expiry_not_enforced(void **state)
{
    struct signalr_options options = world_options();
    struct world *w;
    static struct client c;

    (void)state;
    options.close_on_expiry = false;
    w = world_start(options);
    client_connect(&c, w, 0, "Authorization: Bearer alice@1\r\n");
    pump_for(w, 400);
    assert_int_equal(stats_of(w, 0).open, 1);
    client_leave(&c);
    world_stop(w);
}

static void on_drained(void *arg)
{
    (*(unsigned *)arg)++;
}

static void test_drain(void **state)
{
    enum { N = 8 };
    struct signalr_options options = world_options();
    struct world *w;
    static struct client clients[N], handshaking;
    char token[32], body[1024];
    unsigned drained = 0;

    (void)state;
    options.negotiate_timeout_ms = 800; /* a tick of 50 ms */
    w = world_start(options);
    for (int i = 0; i < N; i++)
        client_connect(&clients[i], w, 0, ALICE);
    negotiate(w, 0, ALICE, token);
    assert_int_equal(client_upgrade(&handshaking, w, 0, "/hub", ""), 101);
    signalr_server_drain(w->shards[0].signalr, 1000, on_drained, &drained);
    assert_int_equal(drained, 0);
    assert_int_equal(
        request(w, 0, "POST", "/hub/negotiate?negotiateVersion=1", ALICE, body, sizeof body), 503);
    pump_until(w, stats_of(w, 0).open < N);
    assert_in_range(stats_of(w, 0).open, 2, N - 1); /* not all in one instant */
    for (int i = 0; i < N; i++) {
        client_expect(&clients[i], CLOSE_RECONNECT);
        assert_int_equal(drained, 0);
        client_expect_end(&clients[i]);
    }
    client_expect_end(&handshaking);
    pump_until(w, drained == 1);
    assert_int_equal(w->why, HUB_END_DRAIN);
    pump_for(w, 50);
    assert_int_equal(drained, 1);
    world_stop(w);
}

static void test_drain_of_nothing(void **state)
{
    struct world *w = world_start(world_options());
    unsigned drained = 0;

    (void)state;
    signalr_server_drain(w->shards[0].signalr, 10000, on_drained, &drained);
    assert_int_equal(drained, 0); /* never inside the call */
    pump_until(w, drained == 1);
    world_stop(w);
}

static void count_and_close(struct hub_connection *c, void *arg)
{
    (*(unsigned *)arg)++;
    hub_connection_close(c, NULL, false);
}

/* A crowd has closed, and most ends are still to be told when the host wants them away: they have
 * left in good order all the same. */
static void test_client_was_first(void **state)
{
    enum { N = 20 };
    struct world *w = world_start(world_options());
    struct signalr_server *s = w->shards[0].signalr;
    static struct client clients[N];
    struct slice payload;
    unsigned closed = 0;

    (void)state;
    for (int i = 0; i < N; i++)
        client_connect(&clients[i], w, 0, ALICE);
    for (int i = 0; i < N; i++)
        client_frame(&clients[i], 8, "\x03\xe8", 2);
    uv_run(&w->loop, UV_RUN_NOWAIT);
    signalr_server_each_of_user(s, SLICE_LIT("alice"), count_and_close, &closed);
    assert_in_range(closed, 1, N);
    pump_until(w, w->disconnected == N);
    assert_int_equal(stats_of(w, 0).ended[HUB_END_CLIENT], N);
    assert_false(w->may_return);
    for (int i = 0; i < N; i++) {
        assert_int_equal(client_next(&clients[i], &payload), 8);
        assert_int_equal(client_next(&clients[i], &payload), -1);
        client_close(&clients[i]);
    }
    world_stop(w);
}

static void test_users(void **state)
{
    struct world *w = world_start(world_options());
    struct signalr_server *s = w->shards[0].signalr;
    static struct client a1, a2, b, nobody;
    struct hub_buf *hi = hub_message_invocation(SLICE_LIT("hi"), SLICE_LIT("1"));
    struct hub_buf *all = hub_message_invocation(SLICE_LIT("all"), (struct slice){0});
    const char *hi_text = "{\"type\":1,\"target\":\"hi\",\"arguments\":[1]}" RS;
    const char *all_text = "{\"type\":1,\"target\":\"all\",\"arguments\":[]}" RS;
    unsigned count = 0;

    (void)state;
    client_connect(&a1, w, 0, ALICE);
    assert_int_equal(signalr_server_send_user(s, SLICE_LIT("alice"), hi), 0); /* not joined yet */
    hub_connection_join_user(w->last, 1, false);
    hub_connection_join_user(w->last, 1, false);
    client_connect(&a2, w, 0, ALICE);
    hub_connection_join_user(w->last, 1, false);
    client_connect(&b, w, 0, BOB);
    hub_connection_join_user(w->last, 1, false);
    client_connect(&nobody, w, 0, "");
    hub_connection_join_user(w->last, 1, false);

    assert_int_equal(signalr_server_send_user(s, SLICE_LIT("alice"), hi), 2);
    assert_int_equal(signalr_server_send_user(s, SLICE_LIT("carol"), hi), 0);
    assert_int_equal(signalr_server_send_user(s, SLICE_LIT(""), hi), 0);
    assert_int_equal(signalr_server_send_all(s, all), 4);
    client_expect(&a1, hi_text);
    client_expect(&a1, all_text);
    client_expect(&a2, hi_text);
    client_expect(&a2, all_text);
    client_expect(&b, all_text);
    client_expect(&nobody, all_text);

    signalr_server_each_of_user(s, SLICE_LIT("alice"), count_and_close, &count);
    assert_int_equal(count, 2);
    assert_int_equal(signalr_server_send_user(s, SLICE_LIT("alice"), hi), 0);
    client_expect(&a1, "{\"type\":7}" RS);
    client_expect_end(&a1);
    client_expect(&a2, "{\"type\":7}" RS);
    client_expect_end(&a2);
    hub_buf_unref(hi);
    hub_buf_unref(all);
    client_leave(&b);
    client_leave(&nobody);
    world_stop(w);
}

/* A reader that stops costs at most its queue; then it gets Close behind what is queued. */
static void test_slow_consumer(void **state)
{
    static char text[8192];
    struct world *w = world_start_queue(world_options(), 64 * 1024);
    static struct client c, other;
    struct hub_connection *slow;
    struct hub_buf *message;
    struct slice payload;
    unsigned sent = 0, received = 0;
    int opcode;

    (void)state;
    memset(text, '1', sizeof text);
    message = hub_message_invocation(SLICE_LIT("m"), (struct slice){text, sizeof text});
    client_connect(&c, w, 0, ALICE);
    slow = w->last;
    client_connect(&other, w, 0, BOB);
    while (stats_of(w, 0).closing == 0) {
        hub_connection_send(slow, message);
        uv_run(&w->loop, UV_RUN_NOWAIT);
        assert_true(hub_connection_queued_bytes(slow) < 64 * 1024 + 512);
        assert_true(++sent < 10000);
    }
    client_text(&other, ECHO_1);
    client_expect(&other, ECHO_1_ANSWER);
    while ((opcode = client_next(&c, &payload)) == 1 && payload.len > 1000)
        received++;
    assert_int_equal(opcode, 1);
    assert_true(slice_eq(payload, SLICE_LIT(CLOSE_RECONNECT)));
    assert_int_equal(received, sent - 1);
    client_expect_end(&c);
    pump_until(w, w->disconnected == 1);
    assert_int_equal(w->why, HUB_END_SLOW);
    hub_buf_unref(message);
    client_leave(&other);
    world_stop(w);
}

int main(void)
{
    static const uint8_t key[16] = "a fixed test key";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handshake_failures),
        cmocka_unit_test(test_any_cut),
        cmocka_unit_test(test_invocations),
        cmocka_unit_test(test_broken_messages),
        cmocka_unit_test(test_largest_message),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_closing_is_the_end),
        cmocka_unit_test(test_close_unanswered),
        cmocka_unit_test(test_handshake_timeout),
        cmocka_unit_test(test_keepalive),
        cmocka_unit_test(test_client_timeout),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_expiry_not_enforced),
        cmocka_unit_test(test_drain),
        cmocka_unit_test(test_drain_of_nothing),
        cmocka_unit_test(test_client_was_first),
        cmocka_unit_test(test_users),
        cmocka_unit_test(test_slow_consumer),
    };

    hash_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
