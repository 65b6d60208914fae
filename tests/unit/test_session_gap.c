/* Pages that are opened while the user's DDP connection is away: they load their history by
 * themselves, and are told what came after it. */
#include "session_fakes.h"
#include "session_room.h"

#define SUBSCRIPTION(id, rid, since) "{\"_id\":\"" id "\",\"rid\":\"" rid "\",\"ts\":" since "}"

static uint64_t old_ms, page_ms; /* when they came fresh; 0: not so */

static uint64_t come(unsigned serial, uint64_t client)
{
    struct session_who who = {
        .key = slice_of(user_key), .username = SLICE_LIT("ana"), .client = client};

    assert_int_equal(session_table_attach(w.table, &who, 0, serial), SESSION_ATTACHED);
    settle();
    return w.start.fresh_ms;
}

/* Rocket.Chat's clock is so far from the beginning now. */
static void server_shows(int64_t ms)
{
    struct timespec wall;

    clock_gettime(CLOCK_REALTIME, &wall);
    rest_clock_ahead_ms =
        1700000000000 + ms - ((int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000);
}

/* An old tab, and message 10. */
static int start(void **state)
{
    start_world(state);
    set_replay();
    go_live_with("[" SUBSCRIPTION("s1", "r1", DATE(10)) "]", "[" ROOM(10) "]");
    old_ms = w.start.fresh_ms;
    advance(2 * SECOND);
    ddp_ok("rooms/get", "[" ROOM(10) "]");
    return 0;
}

static int stop(void **state)
{
    rest_clock_ahead_ms = INT64_MIN;
    return stop_world(state);
}

/* The connection is lost at 20; at 30 a page comes; at 35 the lists are there. */
static void gap(void)
{
    lose_connection();
    advance(10 * SECOND);
    page_ms = come(2, FIREFOX);
    advance(5 * SECOND);
    resumed("ddp2");
    server_shows(35 * SECOND);
    forget_pushes();
}

/* The lists come, and the room has moved. */
static void moved(const char *room)
{
    char rooms[1024];

    snprintf(rooms, sizeof rooms, "[%s]", room);
    lists("[" SUBSCRIPTION("s1", "r1", DATE(10)) "]", rooms);
}

static void answer(const char *messages)
{
    char json[1024];

    assert_true(w.repair_ticket != 0);
    snprintf(json, sizeof json, "[%s]", messages);
    session_table_repair_run(w.table, w.repair_ticket, w.repair_since_ms);
    ddp_ok("messages/get", json);
}

/* The nth of what was pushed to those who missed it. */
static bool hears(uint64_t fresh_ms, unsigned n)
{
    assert_true(n < w.nmissed);
    return fresh_ms == 0 || fresh_ms < w.missed_since_ms[n];
}

static void only_the_old_tab_hears_it(void)
{
    assert_true(hears(old_ms, 0));
    assert_false(hears(page_ms, 0));
}

static void test_a_page_hears_what_came_after_it(void **state)
{
    (void)state;
    gap();
    assert_true(old_ms != 0 && page_ms > old_ms);
    moved(ROOM(33));
    answer(MESSAGE(21) "," MESSAGE(26) "," MESSAGE(32) "," MESSAGE(33));
    assert_int_equal(w.nmissed, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_true(hears(old_ms, i));
        assert_true(hears(page_ms, i) == (i >= 2));
    }
}

/* The clocks of Rocket.Chat's instances differ by a second: what was written that long before the
 * page came may not be in its history, and what is as new as that goes to all. */
static void test_within_what_the_clocks_differ(void **state)
{
    (void)state;
    gap();
    moved(ROOM(36));
    server_shows(35500); /* the page came at 30.5 */
    answer(MESSAGE(30) "," MESSAGE(36));
    assert_true(hears(page_ms, 0));
    assert_int_equal(w.nmissed, 1);
    assert_true(was_pushed(0, "\n{\"type\":1,\"target\":\"getRoomMessageNotification\","
                              "\"arguments\":[{\"_id\":\"m36\""));
}

#define DATED_BACK(id, n)                                                                          \
    "{\"_id\":\"" id                                                                               \
    "\",\"rid\":\"r1\",\"msg\":\"hi\",\"ts\":" DATE(11) ",\"_updatedAt\":" DATE(n) "}"

/* It was written in the gap, whatever it says: the old tab can't have it, nor the page what was
 * written after it came. */
static void test_dated_back(void **state)
{
    (void)state;
    gap();
    moved(ROOM(25));
    answer(DATED_BACK("d1", 25) "," DATED_BACK("d2", 33));
    assert_true(was_pushed(0, "\"d1\""));
    assert_true(was_pushed(0, "\"d2\""));
    only_the_old_tab_hears_it();
    assert_true(hears(page_ms, 1));
}

static void test_a_room_joined_in_the_gap(void **state)
{
    (void)state;
    gap();
    lists("[" SUBSCRIPTION("s1", "r1", DATE(10)) "," SUBSCRIPTION("s2", "r2", DATE(22)) "]",
          "[" ROOM(10) "]");
    assert_true(was_pushed(0, "getRoomSubscriptionChangedNotification"));
    only_the_old_tab_hears_it();
}

/* The connection is lost again before the lists are there: the page still came in the gap. */
static void test_the_gap_goes_on(void **state)
{
    (void)state;
    gap();
    lose_connection();
    advance(2 * SECOND);
    resumed("ddp3");
    server_shows(37 * SECOND);
    moved(ROOM(25));
    answer(MESSAGE(25));
    only_the_old_tab_hears_it();
}

/* In the next one it is as old as the other. */
static void test_the_next_gap(void **state)
{
    (void)state;
    gap();
    moved(ROOM(25));
    answer(MESSAGE(25));
    advance(5 * SECOND);
    lose_connection();
    advance(5 * SECOND);
    resumed("ddp3");
    forget_pushes();
    server_shows(45 * SECOND);
    moved(ROOM(41));
    answer(MESSAGE(41));
    assert_true(hears(old_ms, 0));
    assert_true(hears(page_ms, 0));
}

/* What was asked for when the connection was lost is asked for again. */
static void test_a_repair_that_the_gap_cut_off(void **state)
{
    (void)state;
    event("rooms-changed", "[\"updated\"," ROOM(19) "]");
    assert_int_equal(w.repair_asks, 1);
    gap();
    moved(ROOM(19));
    answer(MESSAGE(17) "," MESSAGE(19));
    assert_true(was_pushed(0, "\"m17\""));
    only_the_old_tab_hears_it();
}

static void test_without_a_gap_all_hear_it(void **state)
{
    (void)state;
    page_ms = come(2, FIREFOX);
    server_shows(60 * SECOND);
    event("rooms-changed", "[\"updated\"," ROOM(13) "]");
    answer(MESSAGE(11) "," MESSAGE(12) "," MESSAGE(13));
    assert_true(was_pushed(0, "\"m11\""));
    assert_int_equal(w.nmissed, 0);
}

static void test_where_the_clock_is_not_known_all_hear_it(void **state)
{
    (void)state;
    gap();
    rest_clock_ahead_ms = INT64_MIN;
    moved(ROOM(25));
    answer(MESSAGE(25));
    assert_true(was_pushed(0, "\"m25\""));
    assert_int_equal(w.nmissed, 0);
}

/* Then a tab that was cut off and is back can't be told from a page that is opened. */
static void test_without_slots_nobody_is_fresh(void **state)
{
    (void)state;
    w.settings.replay.seconds_ms = 0;
    gap();
    assert_int_equal(page_ms, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_a_page_hears_what_came_after_it),
        T(test_within_what_the_clocks_differ),
        T(test_dated_back),
        T(test_a_room_joined_in_the_gap),
        T(test_the_gap_goes_on),
        T(test_the_next_gap),
        T(test_a_repair_that_the_gap_cut_off),
        T(test_without_a_gap_all_hear_it),
        T(test_where_the_clock_is_not_known_all_hear_it),
        T(test_without_slots_nobody_is_fresh),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
