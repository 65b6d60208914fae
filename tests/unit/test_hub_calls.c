/* Calls that are answered later: several at once, streams, their room in the queue, their bounds.
 */
#include "hub_loopback.h"

#define ALICE "Authorization: Bearer alice\r\n"
#define CALL(type, id, target)                                                                     \
    "{\"type\":" type ",\"invocationId\":\"" id "\",\"target\":\"" target "\",\"arguments\":[]"    \
    "}" RS
#define CANCEL(id) "{\"type\":5,\"invocationId\":\"" id "\"}" RS
#define PING "{\"type\":1,\"invocationId\":\"p\",\"target\":\"Void\",\"arguments\":[]}" RS
#define PONG "{\"type\":3,\"invocationId\":\"p\",\"result\":null}" RS

static const struct slice none = {0};
static struct client c;

/* The text has been taken in when the answer to a call behind it is here. */
static void say(struct client *from, const char *text)
{
    client_text(from, text);
    client_text(from, PING);
    client_expect(from, PONG);
}

static void test_answers_in_any_order(void **state)
{
    struct world *w = world_start(world_options());
    uint64_t first, second;

    (void)state;
    client_connect(&c, w, 0, ALICE);
    say(&c, CALL("1", "a", "Keep"));
    first = w->call;
    say(&c, CALL("1", "a", "Keep")); /* .NET does not mind either */
    second = w->call;
    assert_int_equal(stats_of(w, 0).open_calls, 2);
    hub_connection_answer(w->last, second, SLICE_LIT("[1.50]"), NULL);
    client_expect(&c, "{\"type\":3,\"invocationId\":\"a\",\"result\":[1.50]}" RS);
    hub_connection_answer(w->last, first, SLICE_LIT("2"), "error-x: \"why\"");
    client_expect(&c, "{\"type\":3,\"invocationId\":\"a\",\"error\":\"error-x: \\\"why\\\"\"}" RS);
    hub_connection_answer(w->last, first, none, NULL); /* over */
    assert_int_equal(w->calls_ended, 2);
    assert_int_equal(stats_of(w, 0).open_calls, 0);
    say(&c, "{\"type\":1,\"target\":\"Keep\",\"arguments\":[]}" RS); /* wants no answer */
    hub_connection_answer(w->last, w->call, SLICE_LIT("1"), NULL);
    say(&c, CANCEL("a"));
    assert_int_equal(w->calls_ended, 3);
    client_leave(&c);
    world_stop(w);
}

static void test_streams(void **state)
{
    struct world *w = world_start(world_options());
    uint64_t stream;

    (void)state;
    client_connect(&c, w, 0, ALICE);
    say(&c, CALL("4", "s", "Stream"));
    stream = w->call;
    assert_int_equal(hub_connection_item(w->last, stream, SLICE_LIT("{\"a\":1}")), HUB_ITEM_SENT);
    client_expect(&c, "{\"type\":2,\"invocationId\":\"s\",\"item\":{\"a\":1}}" RS);
    client_text(&c, CALL("4", "s", "Stream"));
    client_expect(&c, "{\"type\":3,\"invocationId\":\"s\",\"error\":\"Invocation ID 's' is already "
                      "in use.\"}" RS);
    assert_int_equal(w->kept, HUB_KEEP_ID_IN_USE);
    hub_connection_answer(w->last, stream, SLICE_LIT("1"), NULL);
    client_expect(&c, "{\"type\":3,\"invocationId\":\"s\"}" RS);
    say(&c, CALL("4", "s", "Stream"));
    hub_connection_answer(w->last, w->call, none, "broken");
    client_expect(&c, "{\"type\":3,\"invocationId\":\"s\",\"error\":\"broken\"}" RS);

    /* Cancelled: it ends at once, without an error; what comes for it later is dropped. */
    say(&c, CALL("4", "s", "Stream"));
    client_text(&c, CANCEL("\\u0073"));
    client_expect(&c, "{\"type\":3,\"invocationId\":\"s\"}" RS);
    assert_int_equal(w->calls_ended, 3);
    assert_int_equal(hub_connection_item(w->last, w->call, SLICE_LIT("1")), HUB_ITEM_GONE);
    hub_connection_answer(w->last, w->call, none, NULL);
    say(&c, CANCEL("s"));
    say(&c, CALL("1", "k", "Keep"));
    say(&c, CANCEL("k")); /* only streams are cancelled */
    hub_connection_answer(w->last, w->call, none, NULL);
    client_expect(&c, "{\"type\":3,\"invocationId\":\"k\",\"result\":null}" RS);
    client_leave(&c);
    world_stop(w);
}

static void test_gone_with_the_connection(void **state)
{
    struct world *w = world_start(world_options());

    (void)state;
    client_connect(&c, w, 0, ALICE);
    say(&c, CALL("1", "a", "Keep"));
    say(&c, CALL("4", "b", "Stream"));
    client_leave(&c);
    assert_int_equal(w->calls_ended, 2);
    assert_int_equal(stats_of(w, 0).open_calls, 0);
    world_stop(w);
}

/* Items and answers keep half of the queue free, and go on when the client has taken what is there.
 */
static void test_slow_client(void **state)
{
    enum { QUEUE = 64 * 1024, ITEM = 8000 };
    static char text[ITEM];
    struct world *w = world_start_queue(world_options(), QUEUE);
    unsigned sent = 0, received = 0;
    uint64_t stream, plain;
    struct slice payload;
    enum hub_item how;
    int opcode;

    (void)state;
    memset(text, '1', sizeof text);
    client_connect(&c, w, 0, ALICE);
    say(&c, CALL("1", "k", "Keep"));
    plain = w->call;
    say(&c, CALL("4", "s", "Stream"));
    stream = w->call;
    do {
        how = hub_connection_item(w->last, stream, (struct slice){text, ITEM});
        sent += how == HUB_ITEM_SENT;
        uv_run(&w->loop, UV_RUN_NOWAIT);
        assert_true(sent < 10000);
    } while (how == HUB_ITEM_SENT);
    assert_int_equal(how, HUB_ITEM_LATER);
    assert_in_range(hub_connection_queued_bytes(w->last), 1, QUEUE / 2);
    hub_connection_answer(w->last, plain, (struct slice){text, ITEM}, NULL);
    assert_int_equal(stats_of(w, 0).open_calls, 2); /* it waits, too */
    while (w->resumed == 0 && (opcode = client_next(&c, &payload)) == 1)
        received++;
    assert_int_equal(w->resumed, 1);
    hub_connection_answer(w->last, stream, none, NULL);
    while ((opcode = client_next(&c, &payload)) == 1 && payload.len > 1000)
        received++;
    assert_int_equal(opcode, 1);
    assert_true(slice_eq(payload, SLICE_LIT("{\"type\":3,\"invocationId\":\"s\"}" RS)));
    assert_int_equal(received, sent + 1);
    assert_int_equal(stats_of(w, 0).open_calls, 0);
    assert_int_equal(stats_of(w, 0).ended[HUB_END_SLOW], 0);
    client_leave(&c);
    world_stop(w);
}

static void test_bounds(void **state)
{
    struct signalr_options options = world_options();
    struct world *w;
    struct slice payload;

    (void)state;
    options.max_open_calls = 2;
    options.calls_per_second = 1;
    options.call_burst = 3;
    w = world_start(options);
    client_connect(&c, w, 0, ALICE);
    for (int i = 0; i < 3; i++)
        say(&c, CALL("1", "a", "Keep"));
    assert_int_equal(w->kept, HUB_KEEP_TOO_MANY);
    assert_int_equal(stats_of(w, 0).open_calls, 2);
    assert_int_equal(stats_of(w, 0).calls_too_many, 1);
    w->retry_ms = 0;
    for (int i = 0; i < 100 && w->retry_ms == 0; i++)
        say(&c, CALL("1", "a", "Keep"));
    assert_in_range(w->retry_ms, 1, 1000);
    assert_true(stats_of(w, 0).calls_too_fast > 0);
    hub_connection_answer(w->last, w->call, none, NULL);
    assert_int_equal(client_next(&c, &payload), 1);
    for (uint64_t until = now_ms() + WAIT_MS; w->kept != HUB_KEPT && now_ms() < until;) {
        pump_for(w, 50);
        say(&c, CALL("1", "a", "Keep"));
    }
    assert_int_equal(w->kept, HUB_KEPT);
    client_leave(&c);
    world_stop(w);
}

int main(void)
{
    static const uint8_t key[16] = "a fixed test key";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_in_any_order),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_gone_with_the_connection),
        cmocka_unit_test(test_slow_client),
        cmocka_unit_test(test_bounds),
    };

    hash_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
