/* A session that misses messages of a room: what waits, what is asked for, what goes out in which
 * order, and what the tabs are told when it can't be kept. */
#include "session_fakes.h"
#include "session_room.h"

#define NOTIFIED(n)                                                                                \
    "{\"type\":1,\"target\":\"getRoomMessageNotification\",\"arguments\":[" MESSAGE(n) "]}\n"

static void live(void)
{
    go_live_with("[{\"_id\":\"s1\",\"rid\":\"r1\"}]", "[" ROOM(10) "]");
    advance(2000);
    ddp_ok("rooms/get", "[" ROOM(10) "]"); /* the second look: nothing moved */
    forget_pushes();
}

static void changed(const char *room)
{
    char args[1024];

    snprintf(args, sizeof args, "[\"updated\",%s]", room);
    event("rooms-changed", args);
}

static void expect(const char *want)
{
    assert_string_equal(w.pushed[0], want);
    forget_pushes();
}

/* The desk lets this session ask; its query is out. */
static void run(void)
{
    session_table_repair_run(w.table, w.repair_ticket, w.repair_since_ms);
}

static void test_missed_ones_come_first(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    expect("");
    assert_int_equal(w.repair_asks, 1);
    assert_string_equal(w.repair_rid, "r1");
    assert_true(w.repair_since_ms == 1700000010000 - 5000);
    run();
    assert_string_equal(ddp_pending("messages/get")->params,
                        "[\"r1\",{\"lastUpdate\":{\"$date\":1700000005000}}]");
    ddp_ok("messages/get", "{\"updated\":[" MESSAGE(13) "," MESSAGE(12) "," MESSAGE(11) "," MESSAGE(
                               10) "],\"deleted\":[{\"_id\":\"m09\"}]}");
    expect(NOTIFIED(11) NOTIFIED(12) NOTIFIED(
        13) "{\"type\":1,\"target\":\"getRoomMessageDeletedNotification\",\"arguments\":[{\"_id\":"
            "\"m09\",\"rid\":\"r1\"}]}\n");
    changed(ROOM(14));
    expect(NOTIFIED(14));
    assert_int_equal(w.repair_asks, 1);
}

/* Renamed, a user has all messages changed by one update, without a word in them: not dated back.
 */
static void test_a_renamed_user_makes_no_news(void **state)
{
#define RENAMED(n)                                                                                 \
    "{\"_id\":\"old" #n "\",\"rid\":\"r1\",\"msg\":\"hi\",\"ts\":{\"$date\":16000000000" #n        \
    "},\"_updatedAt\":" DATE(11) "}"
    (void)state;
    live();
    changed(ROOM(12));
    run();
    ddp_ok("messages/get", "[" MESSAGE(12) "," RENAMED(11) "," RENAMED(10) "]");
    assert_non_null(strstr(w.pushed[0], NOTIFIED(12)));
    assert_non_null(strstr(w.pushed[0], "UpdatedNotification\",\"arguments\":[" RENAMED(10)));
    assert_null(strstr(w.pushed[0], "getRoomMessageNotification\",\"arguments\":[{\"_id\":\"old"));
}

/* The two before the one that is out already. */
static void expect_late(void)
{
    run();
    ddp_ok("messages/get", "[" MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(12) "{\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{"
                                     "\"rid\":\"r1\",\"reason\":\"late\"}]}\n");
}

static void test_nothing_waits_longer_than_three_seconds(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    advance(2500);
    expect("");
    advance(1000);
    expect(NOTIFIED(13));
    expect_late();
}

static void test_failure_is_tried_again_and_told_in_the_end(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    for (unsigned i = 0; i < 3; i++) {
        run();
        ddp_fail("messages/get", "500", 0);
        advance(5000);
        assert_int_equal(w.repair_asks, i + 2);
    }
    expect(NOTIFIED(13));
    run();
    ddp_fail("messages/get", "500", 0);
    expect("{\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{\"rid\":\"r1\",\"reason\":"
           "\"repair-failed\"}]}\n");
    changed(ROOM(14));
    expect(NOTIFIED(14));
}

static void test_nonsense_is_a_failure(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    run();
    ddp_ok("messages/get", "{\"updated\":7}");
    advance(1000);
    assert_int_equal(w.repair_asks, 2);
    run();
    /* Another room's messages are nobody's business here. */
    ddp_ok("messages/get",
           "[{\"_id\":\"x\",\"rid\":\"r2\",\"ts\":{\"$date\":1700000012000}}," MESSAGE(
               12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(12) NOTIFIED(13));
}

/* Back again, and about to ask for the lists. */
static void resume(void)
{
    advance(2000); /* longer than the first pause, shorter than anything waits */
    resumed("ddp2");
}

static void reconnect(const char *rooms)
{
    resume();
    lists("[{\"_id\":\"s1\",\"rid\":\"r1\"}]", rooms);
}

static void test_what_waits_finds_its_place_after_a_lost_connection(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    lose_connection();
    assert_int_equal(w.repair_cancels, 1);
    run(); /* the desk had not heard it yet */
    session_table_repair_answered(w.table, w.repair_ticket, 0, NULL, NULL);
    assert_int_equal(w.repair_dones, 0);
    reconnect("[" ROOM(13) "]"); /* which shows nothing new: it was lacking before */
    forget_pushes();
    assert_int_equal(w.repair_asks, 2);
    assert_true(w.repair_since_ms == 1700000010000 - 5000);
    run();
    ddp_ok("messages/get", "[" MESSAGE(13) "," MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(12) NOTIFIED(13));
}

static void test_what_waits_does_not_wait_for_a_connection(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    lose_connection();
    forget_pushes();
    advance(3100);
    assert_true(was_pushed(0, NOTIFIED(13)));
}

static void refuse(void)
{
    lose_connection();
    advance(2000);
    connected("ddp2");
    ddp_fail("login", "error-user-is-not-activated", 0);
    check_state(SESSION_REFUSED);
}

/* The lists have not come, so the room's counter tells nothing: its latest message goes out, and
 * only that it is shown again tells that more had been written. */
static void test_late_in_a_room_without_a_counter(void **state)
{
    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    resumed("ddp1");
    ddp_fail("subscriptions/get", "too-many-requests", 0);
    forget_pushes();
    changed(ROOM(13));
    expect(NOTIFIED(13));
    changed(ROOM(13));
    expect("");
    expect_late();
}

/* One message and one deletion had been missed when the next message came: the counter fitted, and
 * it went out. The second look at the lists shows that there is more. */
static void test_late_behind_a_counter_that_fitted(void **state)
{
    (void)state;
    go_live_with("[{\"_id\":\"s1\",\"rid\":\"r1\"}]", "[" ROOM(10) "]");
    forget_pushes();
    changed(
        "{\"_id\":\"r1\",\"msgs\":11,\"_updatedAt\":" DATE(12) ",\"lastMessage\":" MESSAGE(12) "}");
    expect(NOTIFIED(12));
    assert_int_equal(w.repair_asks, 0);
    advance(2000);
    ddp_ok("rooms/get", "[" ROOM(13) "]");
    assert_int_equal(w.repair_asks, 1);
    run();
    ddp_ok("messages/get", "[" MESSAGE(13) "," MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(13) "{\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{"
                                     "\"rid\":\"r1\",\"reason\":\"late\"}]}\n");
}

/* The answer that is under way is older than the list that shows what else is missing. */
static void test_list_behind_a_question(void **state)
{
    (void)state;
    go_live_with("[{\"_id\":\"s1\",\"rid\":\"r1\"}]", "[" ROOM(10) "]");
    forget_pushes();
    changed(ROOM(12));
    assert_int_equal(w.repair_asks, 1);
    run();
    advance(2000);
    ddp_ok("rooms/get", "[" ROOM(13) "]");
    assert_int_equal(w.repair_asks, 1);
    ddp_ok("messages/get", "[" MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(12));
    assert_int_equal(w.repair_asks, 2);
    run();
    ddp_ok("messages/get", "[" MESSAGE(13) "," MESSAGE(12) "]");
    expect(NOTIFIED(13));
}

/* Its event was overtaken by that of a newer one, which did not wait: the counter fitted. */
static void test_overtaken_and_told_late(void **state)
{
    (void)state;
    live();
    changed(
        "{\"_id\":\"r1\",\"msgs\":11,\"_updatedAt\":" DATE(12) ",\"lastMessage\":" MESSAGE(12) "}");
    expect(NOTIFIED(12));
    changed(ROOM(11)); /* the other did not count it: something was deleted */
    expect("");
    run();
    ddp_ok("messages/get", "[" MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) "{\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{"
                        "\"rid\":\"r1\",\"reason\":\"late\"}]}\n");
    /* Rocket.Chat's clocks may differ; the room's own order is that of its changes. */
    changed("{\"_id\":\"r1\",\"msgs\":12,\"_updatedAt\":" DATE(
        14) ",\"lastMessage\":{\"_id\":\"m0\","
            "\"rid\":\"r1\",\"ts\":{\"$date\":1700000011900},\"_updatedAt\":" DATE(14) "}}");
    assert_null(strstr(w.pushed[0], "resyncRequired"));
    assert_non_null(strstr(w.pushed[0], "m0"));
}

/* What waits while a newer one does goes out before it, though the answer does not come. */
static void test_what_waits_goes_out_in_order(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    changed(ROOM(12));
    expect("");
    advance(3100);
    expect(NOTIFIED(12) NOTIFIED(13));
    changed(ROOM(11)); /* that did not wait */
    expect(NOTIFIED(11) "{\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{"
                        "\"rid\":\"r1\",\"reason\":\"late\"}]}\n");
}

/* It went out before those that it was to wait for, and so they are late, whatever the user was
 * kept out for in between. */
static void test_what_was_let_go_before_a_refusal_is_not_forgotten(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    refuse();
    advance(3100);
    assert_true(was_pushed(0, NOTIFIED(13)));
    advance(70 * 1000);
    reconnect("[" ROOM(13) "]");
    forget_pushes();
    expect_late();
}

static void test_a_refused_session_that_nobody_returns_to_ends(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    refuse();
    detach(0, 1);
    advance(70 * 1000);
    assert_null(session());
}

/* The list comes behind an event that shows the same, while the room is asked for. */
static void test_a_list_after_a_gap_does_not_end_a_repair(void **state)
{
    (void)state;
    live();
    lose_connection();
    resume();
    changed(ROOM(23));
    assert_int_equal(w.repair_asks, 1);
    assert_true(w.repair_since_ms == 1700000010000 - 5000);
    run();
    lists("[{\"_id\":\"s1\",\"rid\":\"r1\"}]", "[" ROOM(23) "]");
    forget_pushes();
    ddp_ok("messages/get", "[" MESSAGE(23) "," MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(12) NOTIFIED(23));
}

/* A query that has to wait for its turn is no failure, and does not give the room up. */
static void test_limits_are_waited_for(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    for (unsigned i = 0; i < 20; i++) {
        run();
        ddp_fail("messages/get", "too-many-requests", 9000);
        assert_int_equal(w.repair_asks, i + 1);
        changed(ROOM(13)); /* shows that it lacks messages, which is known */
        assert_int_equal(w.repair_asks, i + 1);
        advance(9100);
        assert_int_equal(w.repair_asks, i + 2);
    }
    forget_pushes();
    run();
    ddp_ok("messages/get", "[" MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(12) "{\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{"
                                     "\"rid\":\"r1\",\"reason\":\"late\"}]}\n");
}

/* More was missed while the query was out: what shows it waits for the next answer. */
static void test_shown_behind_the_query(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    run();
    changed(ROOM(16));
    ddp_ok("messages/get", "[" MESSAGE(13) "," MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(12) NOTIFIED(13));
    assert_int_equal(w.repair_asks, 2);
    run();
    changed(ROOM(17));
    ddp_ok("messages/get",
           "[" MESSAGE(17) "," MESSAGE(16) "," MESSAGE(15) "," MESSAGE(14) "," MESSAGE(13) "]");
    expect(NOTIFIED(14) NOTIFIED(15) NOTIFIED(16) NOTIFIED(17));
    assert_int_equal(w.repair_asks, 2);
}

/* ... but no longer than three seconds, and then they are late. */
static void test_shown_behind_a_slow_query(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    run();
    advance(2000);
    changed(ROOM(16));
    ddp_ok("messages/get", "[" MESSAGE(13) "," MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(12) NOTIFIED(13));
    advance(1100);
    expect(NOTIFIED(16));
    run();
    ddp_ok("messages/get", "[" MESSAGE(16) "," MESSAGE(15) "," MESSAGE(14) "]");
    expect(NOTIFIED(14) NOTIFIED(15) "{\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{"
                                     "\"rid\":\"r1\",\"reason\":\"late\"}]}\n");
}

/* Only what went out before its time is late: not what nothing waited for. */
static void test_a_slow_answer_alone_is_not_late(void **state)
{
    (void)state;
    live();
    changed("{\"_id\":\"r1\",\"msgs\":12,\"_updatedAt\":" DATE(12) ",\"lastMessage\":" MESSAGE(
        10) "}"); /* thread replies */
    advance(10000);
    run();
    ddp_ok("messages/get", "[" MESSAGE(12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED(12));
}

static void test_left_room_lets_go(void **state)
{
    (void)state;
    live();
    changed(ROOM(13));
    event("subscriptions-changed", "[\"removed\",{\"_id\":\"s1\",\"rid\":\"r1\"}]");
    assert_int_equal(w.repair_cancels, 1);
    assert_true(was_pushed(0, NOTIFIED(13)));
}

static void test_look_behind_a_burst(void **state)
{
    (void)state;
    live();
    changed(ROOM(11));
    changed(
        "{\"_id\":\"r1\",\"msgs\":12,\"_updatedAt\":{\"$date\":1700000011500},\"lastMessage\":"
        "{\"_id\":\"b\",\"rid\":\"r1\",\"ts\":{\"$date\":1700000011500},\"_updatedAt\":{\"$date\":"
        "1700000011500}}}");
    assert_int_equal(w.repair_asks, 0);
    forget_pushes();
    advance(1500);
    assert_int_equal(w.repair_asks, 1);
    run();
    ddp_ok("messages/get", "{\"updated\":[],\"deleted\":[]}");
    advance(5000);
    expect("");
    assert_int_equal(w.repair_asks, 1);
}

static void test_queries_are_paced(void **state)
{
    struct byte_buf subs = {0}, rooms = {0};
    char room[256];

    (void)state;
    for (int i = 0; i < 10; i++) {
        byte_buf_printf(&subs, "%c{\"_id\":\"s%d\",\"rid\":\"p%d\"}", i > 0 ? ',' : '[', i, i);
        byte_buf_printf(&rooms, "%c{\"_id\":\"p%d\",\"msgs\":1,\"_updatedAt\":" DATE(10) "}",
                        i > 0 ? ',' : '[', i);
    }
    byte_buf_append(&subs, "]", 2);
    byte_buf_append(&rooms, "]", 2);
    go_live_with(subs.data, rooms.data);
    byte_buf_free(&subs);
    byte_buf_free(&rooms);
    for (int i = 0; i < 10; i++) {
        snprintf(room, sizeof room, "{\"_id\":\"p%d\",\"msgs\":3,\"_updatedAt\":" DATE(20) "}", i);
        changed(room);
        run();
    }
    assert_int_equal(w.repair_asks, 10);
    assert_int_equal(w.repair_dones, 2); /* without a query: Rocket.Chat takes 10 in 10 s */
}

/* Neither the second look at the rooms nor another gap makes a room whole that was to be repaired.
 */
static void test_limited_repair_outlasts_looks_and_gaps(void **state)
{
    (void)state;
    live();
    lose_connection();
    resume();
    lists("[{\"_id\":\"s1\",\"rid\":\"r1\"}]", "[" ROOM(12) "]");
    assert_int_equal(w.repair_asks, 1);
    run();
    ddp_fail("messages/get", "too-many-requests", 5000);
    advance(1200); /* the second look */
    ddp_ok("rooms/get", "[" ROOM(12) "]");
    assert_int_equal(w.repair_asks, 1); /* it waits as it was told */
    advance(5000);
    assert_int_equal(w.repair_asks, 2);
    lose_connection();
    resume();
    lists("[{\"_id\":\"s1\",\"rid\":\"r1\"}]", "[" ROOM(12) "]");
    assert_int_equal(w.repair_asks, 3);
}

/* Over REST there is one look, and after a gap it is the later one. */
static void test_lists_over_rest_after_a_gap(void **state)
{
    (void)state;
    live();
    lose_connection();
    resume();
    ddp_ok("subscriptions/get", "[{\"_id\":\"s1\",\"rid\":\"r1\"}]");
    ddp_fail("rooms/get", "404", 0);
    assert_null(rest_pending(REST_ROOMS));
    advance(1100);
    ddp_fail("rooms/get", "404", 0);
    rest_answer(rest_pending(REST_ROOMS), NULL, NULL,
                "{\"update\":[" ROOM(12) "],\"remove\":[],\"success\":true}", NULL);
    assert_int_equal(w.repair_asks, 1);
    advance(2000);
    assert_null(ddp_pending("rooms/get"));
}

static void test_gap_without_lists_is_told(void **state)
{
    (void)state;
    live();
    lose_connection();
    resume();
    for (int i = 0; i < 5; i++) {
        assert_false(was_pushed(0, "resyncRequired"));
        ddp_fail("subscriptions/get", "500", 0);
        advance(32100);
    }
    assert_true(was_pushed(0, "{\"rid\":null,\"reason\":\"no-lists\"}"));
    assert_null(ddp_pending("subscriptions/get"));
}

/* A server without messages/get is asked over REST; its answer's dates become those of DDP. */
static void test_over_rest_where_there_is_no_method(void **state)
{
    struct rest_call *call;

    (void)state;
    live();
    changed(ROOM(12));
    run();
    ddp_fail("messages/get", "404", 0);
    assert_string_equal(rest_pending(REST_MESSAGES)->token, "tok1");
    rest_answer(rest_pending(REST_MESSAGES), NULL, NULL,
                "{\"result\":{\"updated\":[{\"_id\":\"m11\",\"rid\":\"r1\",\"msg\":\"hi\",\"ts\":"
                "\"2023-11-14T22:13:31.000Z\",\"_updatedAt\":\"2023-11-14T22:13:31.000Z\"}],"
                "\"deleted\":[]},\"success\":true}",
                NULL);
    expect(NOTIFIED(11) NOTIFIED(12));
    changed(ROOM(15));
    run(); /* asks no more for the method */
    assert_null(ddp_pending("messages/get"));
    assert_non_null(rest_pending(REST_MESSAGES));
    rest_fail(rest_pending(REST_MESSAGES), RC_RATE_LIMITED, NULL);
    advance(9000);
    assert_int_equal(w.repair_asks, 2); /* the limit is everybody's: no call before its end */
    advance(12000);
    assert_int_equal(w.repair_asks, 3);
    run();
    call = rest_pending(REST_MESSAGES);
    lose_connection(); /* nobody waits for it any more */
    assert_true(call->cancelled && call->answered);
}

static void test_too_much_in_a_gap(void **state)
{
    (void)state;
    live();
    w.settings.catch_up.max_messages = 5;
    lose_connection();
    reconnect("[" ROOM(40) "]");
    assert_true(was_pushed(0, "{\"rid\":\"r1\",\"reason\":\"too-many-messages\"}"));
    assert_int_equal(w.repair_asks, 0);
}

#define OWN(type, n)                                                                               \
    "{\"_id\":\"o" #n "\",\"rid\":\"r1\",\"t\":\"" type                                            \
    "\",\"msg\":\"ana\",\"ts\":" DATE(n) ",\"_updatedAt\":" DATE(n) "}"
#define NOTIFIED_OWN(type, n)                                                                      \
    "{\"type\":1,\"target\":\"getRoomMessageNotification\",\"arguments\":[" OWN(type, n) "]}\n"

/* She was removed and added again while the connection was lost. */
static void test_nothing_from_an_absence(void **state)
{
    (void)state;
    live();
    lose_connection();
    resume();
    lists("[{\"_id\":\"s2\",\"rid\":\"r1\",\"ts\":" DATE(14) "}]", "[" ROOM(16) "]");
    forget_pushes();
    run();
    ddp_ok("messages/get",
           "[" MESSAGE(16) "," OWN("au", 14) "," MESSAGE(13) "," OWN("ru", 12) "," MESSAGE(11) "]");
    expect(NOTIFIED(11) NOTIFIED_OWN("ru", 12) NOTIFIED_OWN("au", 14) NOTIFIED(16));
}

/* Rocket.Chat may go on sending a room that the user was removed from. */
static void test_nothing_behind_the_own_leave(void **state)
{
    (void)state;
    live();
    changed("{\"_id\":\"r1\",\"msgs\":11,\"_updatedAt\":" DATE(11) ",\"lastMessage\":" OWN("ul",
                                                                                           11) "}");
    expect(NOTIFIED_OWN("ul", 11));
    changed(ROOM(12));
    expect("");
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, start_world, stop_world)
    const struct CMUnitTest tests[] = {
        TEST(test_missed_ones_come_first),
        TEST(test_a_renamed_user_makes_no_news),
        TEST(test_nothing_waits_longer_than_three_seconds),
        TEST(test_failure_is_tried_again_and_told_in_the_end),
        TEST(test_nonsense_is_a_failure),
        TEST(test_what_waits_finds_its_place_after_a_lost_connection),
        TEST(test_what_waits_does_not_wait_for_a_connection),
        TEST(test_what_was_let_go_before_a_refusal_is_not_forgotten),
        TEST(test_a_refused_session_that_nobody_returns_to_ends),
        TEST(test_a_list_after_a_gap_does_not_end_a_repair),
        TEST(test_limits_are_waited_for),
        TEST(test_late_in_a_room_without_a_counter),
        TEST(test_late_behind_a_counter_that_fitted),
        TEST(test_overtaken_and_told_late),
        TEST(test_list_behind_a_question),
        TEST(test_what_waits_goes_out_in_order),
        TEST(test_shown_behind_the_query),
        TEST(test_shown_behind_a_slow_query),
        TEST(test_a_slow_answer_alone_is_not_late),
        TEST(test_left_room_lets_go),
        TEST(test_look_behind_a_burst),
        TEST(test_queries_are_paced),
        TEST(test_limited_repair_outlasts_looks_and_gaps),
        TEST(test_lists_over_rest_after_a_gap),
        TEST(test_gap_without_lists_is_told),
        TEST(test_over_rest_where_there_is_no_method),
        TEST(test_too_much_in_a_gap),
        TEST(test_nothing_from_an_absence),
        TEST(test_nothing_behind_the_own_leave),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
