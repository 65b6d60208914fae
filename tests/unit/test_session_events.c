/* What a live session makes of Rocket.Chat's events, and what the operator sees of it. */
#include "base/json_slice.h"
#include "session_fakes.h"

#define MESSAGE(id, ts, updated)                                                                   \
    "{\"_id\":\"" id "\",\"rid\":\"r1\",\"msg\":\"hi\",\"ts\":{\"$date\":" ts                      \
    "},\"_updatedAt\":{\"$date\":" updated "}}"
#define ROOM(msgs, updated, last)                                                                  \
    "{\"_id\":\"r1\",\"t\":\"c\",\"msgs\":" msgs ",\"_updatedAt\":{\"$date\":" updated             \
    "},\"lastMessage\":" last "}"

#define M1 MESSAGE("m1", "1700000000000", "1700000000000")
#define M2 MESSAGE("m2", "1700000010000", "1700000010000")
#define M2_EDITED MESSAGE("m2", "1700000010000", "1700000020000")

static const char subscriptions[] = "[{\"_id\":\"s1\",\"rid\":\"r1\",\"t\":\"c\"}]";
static const char rooms[] = "[" ROOM("1", "1700000000010", M1) "]";

static void room_event(const char *room)
{
    char args[1024];

    snprintf(args, sizeof args, "[\"updated\",%s]", room);
    event("rooms-changed", args);
}

/* The one push since forget_pushes(), whole. */
static void check_push(const char *target, const char *argument)
{
    char want[1024];

    snprintf(want, sizeof want, "{\"type\":1,\"target\":\"%s\",\"arguments\":[%s]}\n", target,
             argument);
    assert_string_equal(w.pushed[0], want);
    forget_pushes();
}

static void check_silence(void)
{
    assert_string_equal(w.pushed[0], "");
}

static void test_message_once_at_first_sight(void **state)
{
    (void)state;
    go_live_with(subscriptions, rooms);
    check_silence(); /* the lists are taken in silence */
    room_event(ROOM("2", "1700000010010", M2));
    check_push("getRoomMessageNotification", M2);
    room_event(ROOM("2", "1700000010020", M2)); /* somebody read it */
    check_silence();
    room_event(ROOM("1", "1700000000010", M1)); /* known from the list */
    check_silence();
}

static void test_no_message(void **state)
{
    (void)state;
    go_live_with(subscriptions, rooms);
    room_event("{\"_id\":\"r1\",\"msgs\":2,\"lastMessage\":null}");
    room_event("{\"_id\":\"r1\",\"msgs\":2}");
    room_event("{}");
    check_silence();
}

static void test_later_versions(void **state)
{
    static const struct {
        enum settings_updates updates;
        const char *target; /* NULL: nothing */
    } cases[] = {
        {UPDATES_SEPARATE, "getRoomMessageUpdatedNotification"},
        {UPDATES_SAME, "getRoomMessageNotification"},
        {UPDATES_OFF, NULL},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        if (i > 0)
            start_world(state);
        w.settings.events.updates = cases[i].updates;
        go_live_with(subscriptions, rooms);
        room_event(ROOM("2", "1700000010010", M2));
        forget_pushes();
        room_event(ROOM("2", "1700000020010", M2_EDITED));
        if (cases[i].target == NULL)
            check_silence();
        else
            check_push(cases[i].target, M2_EDITED);
        room_event(ROOM("2", "1700000020010", M2_EDITED)); /* once */
        check_silence();
        if (i + 1 < sizeof cases / sizeof cases[0])
            stop_world(state);
    }
}

/* What was told stays told over a reconnect; what was missed still is new. */
static void test_memory_outlives_the_connection(void **state)
{
    (void)state;
    go_live_with(subscriptions, rooms);
    room_event(ROOM("2", "1700000010010", M2));
    lose_connection();
    advance(1100);
    resumed("ddp2");
    forget_pushes();
    lists(subscriptions, "[" ROOM("2", "1700000010010", M2) "]");
    room_event(ROOM("2", "1700000010030", M2));
    check_silence();
    room_event(ROOM("3", "1700000030010", MESSAGE("m3", "1700000030000", "1700000030000")));
    check_push("getRoomMessageNotification", MESSAGE("m3", "1700000030000", "1700000030000"));
}

static void test_event_between_ready_and_the_lists(void **state)
{
    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    resumed("ddp1");
    room_event(ROOM("2", "1700000010010", M2)); /* just written: it can't be old */
    check_push("getRoomMessageNotification", M2);
    lists(subscriptions, "[" ROOM("2", "1700000010010", M2) "]");
    room_event(ROOM("2", "1700000010040", M2));
    check_silence();
}

static void test_subscription_inserted_once_until_removed(void **state)
{
    static const char inserted[] = "[\"inserted\",{\"_id\":\"s2\",\"rid\":\"r2\"}]";
    static const char argument[] =
        "{\"msg\":{\"_id\":\"s2\",\"rid\":\"r2\"},\"method\":\"insert\"}";

    (void)state;
    go_live_with(subscriptions, rooms);
    event("subscriptions-changed", inserted);
    check_push("getRoomSubscriptionChangedNotification", argument);
    event("subscriptions-changed", inserted);
    check_silence();
    event("subscriptions-changed", "[\"inserted\",{\"_id\":\"s1\",\"rid\":\"r1\"}]");
    check_silence(); /* it was there when we came */
    event("subscriptions-changed", "[\"updated\",{\"_id\":\"s2\",\"rid\":\"r2\",\"unread\":1}]");
    check_push("getRoomSubscriptionChangedNotification",
               "{\"msg\":{\"_id\":\"s2\",\"rid\":\"r2\",\"unread\":1},\"method\":\"update\"}");
    event("subscriptions-changed", "[\"removed\",{\"_id\":\"s2\"}]");
    check_push("getRoomSubscriptionChangedNotification",
               "{\"msg\":{\"rid\":\"r2\",\"_id\":\"s2\"},\"method\":\"remove\"}");
    event("subscriptions-changed", inserted);
    check_push("getRoomSubscriptionChangedNotification", argument);
}

static void test_raw_subscription_methods(void **state)
{
    (void)state;
    w.settings.events.raw_subscription_methods = true;
    go_live_with(subscriptions, rooms);
    event("subscriptions-changed", "[\"updated\",{\"_id\":\"s1\",\"rid\":\"r1\"}]");
    check_push("getRoomSubscriptionChangedNotification",
               "{\"msg\":{\"_id\":\"s1\",\"rid\":\"r1\"},\"method\":\"updated\"}");
}

static void test_ephemeral_message(void **state)
{
    (void)state;
    go_live_with(subscriptions, rooms);
    event("message", "[{\"_id\":\"1714557600555\",\"private\":true,\"msg\":\"no such command\"}]");
    check_push("getEphemeralMessageNotification",
               "{\"_id\":\"1714557600555\",\"private\":true,\"msg\":\"no such command\"}");
}

static void room_stream(const char *room, const char *args)
{
    struct ddp_event e = {.collection = SLICE_LIT("stream-room-messages"),
                          .event_name = slice_of(room),
                          .args = slice_of(args)};

    link_now()->cb.on_event(link_now()->arg, &e);
}

static void test_room_stream(void **state)
{
    (void)state;
    go_live_with(subscriptions, rooms);
    room_stream("r1", "[" M2 "]");
    check_push("getRoomMessageNotification", M2);
    room_event(ROOM("2", "1700000010010", M2)); /* the same by the other road */
    check_silence();
    room_stream("r1", "[" M2_EDITED "]");
    check_push("getRoomMessageUpdatedNotification", M2_EDITED);
    /* A room the user is not in, and one that they could read. */
    room_stream("r7", "[{\"_id\":\"x\",\"rid\":\"r7\",\"ts\":{\"$date\":1800000000000}}]");
    room_stream("__my_messages__",
                "[" MESSAGE("m9", "1800000000000", "1800000000000") ",{"
                                                                    "\"roomParticipant\":false}]");
    check_silence();
}

static void test_what_is_none_of_ours(void **state)
{
    static const char *const args[] = {
        "[]", "[null]", "[1,2]", "[\"updated\"]", "[[[]]]", "[\"updated\",[]]", "[\"renamed\",{}]"};
    struct ddp_event other = {.collection = SLICE_LIT("stream-notify-user"),
                              .event_name = SLICE_LIT("u8/message"),
                              .args = SLICE_LIT("[{\"_id\":\"x\"}]")};

    (void)state;
    go_live_with(subscriptions, rooms);
    link_now()->cb.on_event(link_now()->arg, &other); /* another user's */
    for (size_t i = 0; i < sizeof args / sizeof args[0]; i++) {
        event("rooms-changed", args[i]);
        event("subscriptions-changed", args[i]);
        event("userData", args[i]);
        room_stream("r1", args[i]);
    }
    event("message", "[]");
    check_silence();
    check_state(SESSION_LIVE);
}

static void test_one_push_for_each_shard_with_a_tab(void **state)
{
    (void)state;
    go_live_with(subscriptions, rooms);
    attach(0, 2);
    attach(2, 3);
    room_event(ROOM("2", "1700000010010", M2));
    assert_int_equal(w.pushes[0], 1); /* for both tabs there */
    assert_int_equal(w.pushes[1], 0);
    assert_int_equal(w.pushes[2], 1);
    detach(0, 1);
    detach(0, 2);
    forget_pushes();
    room_event(ROOM("3", "1700000030010", MESSAGE("m3", "1700000030000", "1700000030000")));
    assert_int_equal(w.pushes[0], 0);
    assert_int_equal(w.pushes[2], 1);
}

static void test_sliding_time_to_live_follows_use(void **state)
{
    struct memory_cache_options sliding = {
        .ttl_ms = 60 * 1000, .sliding = true, .max_entries = 10, .on_orphan = on_orphan};
    struct token_cache *first = w.cache;

    (void)state;
    w.settings.token_cache.sliding = true;
    w.cache = memory_cache_new_with_clock(&w.loop, &sliding, cache_clock, NULL);
    w.table->options.cache = w.cache;
    go_live_with(subscriptions, rooms);
    for (int i = 0; i < 10; i++) {
        advance(30 * 1000);
        event("message", "[{\"_id\":\"e\"}]");
    }
    assert_int_equal(nconns, 1);
    advance(70 * 1000);
    assert_int_equal(nconns, 2);
    token_cache_free(first, set_true, &w.cache_freed);
    settle();
}

static void test_sliding_time_to_live_may_be_short(void **state)
{
    struct memory_cache_options sliding = {
        .ttl_ms = 2000, .sliding = true, .max_entries = 10, .on_orphan = on_orphan};
    struct token_cache *first = w.cache;

    (void)state;
    w.settings.token_cache.sliding = true;
    w.settings.token_cache.ttl_ms = 2000;
    w.cache = memory_cache_new_with_clock(&w.loop, &sliding, cache_clock, NULL);
    w.table->options.cache = w.cache;
    go_live_with(subscriptions, rooms);
    for (int i = 0; i < 10; i++) {
        advance(1000);
        event("message", "[{\"_id\":\"e\"}]");
    }
    assert_int_equal(nconns, 1);
    advance(2500);
    assert_int_equal(nconns, 2);
    token_cache_free(first, set_true, &w.cache_freed);
    settle();
}

static void test_report(void **state)
{
    struct byte_buf json = {0};
    struct slice key;

    (void)state;
    go_live_with(subscriptions, rooms);
    event("message", "[{\"_id\":\"e\"}]");
    assert_false(session_table_find(w.table, SLICE_LIT("nobody"), &key));
    assert_true(session_table_find(w.table, SLICE_LIT("ana"), &key));
    assert_true(slice_eq(key, slice_of(user_key)));
    assert_true(session_table_find(w.table, SLICE_LIT("u9"), &key));
    assert_true(session_table_find(w.table, slice_of(user_key), &key));
    assert_true(session_table_describe(w.table, key, &json));
    byte_buf_putc(&json, '\0');
    assert_true(json_valid(json.data, json.len - 1, 10));
    assert_non_null(strstr(json.data, "\"state\":\"live\""));
    assert_non_null(strstr(json.data, "\"subscriptions-changed\":\"ready\""));
    assert_non_null(strstr(json.data, "\"ddpSession\":\"ddp1\""));
    assert_non_null(strstr(json.data, "\"eventsIn\":1,\"eventsOut\":1"));
    assert_non_null(strstr(json.data, "\"login\":\"has a token\",\"lastError\":null"));
    assert_null(strstr(json.data, "tok1")); /* no secrets */
    byte_buf_clear(&json);
    lose_connection();
    advance(1100);
    resumed("ddp2");
    assert_true(session_table_describe(w.table, key, &json));
    byte_buf_putc(&json, '\0');
    assert_true(json_valid(json.data, json.len - 1, 10));
    assert_non_null(strstr(json.data, "\"state\":\"live\",\"code\":null"));
    assert_non_null(strstr(json.data, "\"lastError\":\"connection-lost\"")); /* kept */
    byte_buf_clear(&json);
    assert_false(session_table_describe(w.table, SLICE_LIT("nobody"), &json));
    byte_buf_free(&json);
}

static void test_resync_and_stats(void **state)
{
    struct session_stats stats;

    (void)state;
    go_live_with(subscriptions, rooms);
    session_table_resync(w.table, slice_of(user_key), 0, "overload");
    check_push("resyncRequired", "{\"rid\":null,\"reason\":\"overload\"}");
    session_table_stats(w.table, &stats);
    assert_int_equal(stats.sessions, 1);
    assert_int_equal(stats.by_state[SESSION_LIVE], 1);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_message_once_at_first_sight),
        T(test_no_message),
        T(test_later_versions),
        T(test_memory_outlives_the_connection),
        T(test_event_between_ready_and_the_lists),
        T(test_subscription_inserted_once_until_removed),
        T(test_raw_subscription_methods),
        T(test_ephemeral_message),
        T(test_room_stream),
        T(test_what_is_none_of_ours),
        T(test_one_push_for_each_shard_with_a_tab),
        T(test_sliding_time_to_live_follows_use),
        T(test_sliding_time_to_live_may_be_short),
        T(test_report),
        T(test_resync_and_stats),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
