/* A process stops and another takes its place: what of the sessions goes over. */
#include "session_fakes.h"

#include "base/byte_buf.h"
#include "bridge/replay/replay_state.h"

#define MESSAGE(id, at)                                                                            \
    "{\"_id\":\"" id "\",\"rid\":\"r1\",\"msg\":\"hi\",\"ts\":{\"$date\":" at                      \
    "},\"_updatedAt\":{\"$date\":" at "}}"
#define ROOM(msgs, at, last)                                                                       \
    "{\"_id\":\"r1\",\"t\":\"c\",\"msgs\":" msgs ",\"_updatedAt\":{\"$date\":" at                  \
    "},\"lastMessage\":" last "}"
#define M1 MESSAGE("m1", "1700000000000")
#define M2 MESSAGE("m2", "1700000010000")
#define M3 MESSAGE("m3", "1700000020000")

static const char subscriptions[] = "[{\"_id\":\"s1\",\"rid\":\"r1\",\"t\":\"c\"}]";
static struct byte_buf records;

static int start(void **state)
{
    (void)state;
    world_start();
    set_replay();
    go_live_with(subscriptions, "[" ROOM("1", "1700000000000", M1) "]");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop();
    byte_buf_free(&records);
    return 0;
}

static void come(unsigned serial, uint64_t client)
{
    struct session_who who = {
        .key = slice_of(user_key), .username = SLICE_LIT("ana"), .client = client};

    assert_int_equal(session_table_attach(w.table, &who, 0, serial), SESSION_ATTACHED);
    settle();
}

/* It had received everything up to `number`. */
static void lose(unsigned serial, uint64_t client, uint64_t number, bool drained)
{
    struct session_loss loss = {.client = client, .drained = drained};

    hub_receipt_start(&loss.receipt, number, false, 0);
    hub_receipt_close(&loss.receipt, 0, 0, 0);
    session_table_detach(w.table, slice_of(user_key), 0, serial, &loss);
    settle();
}

static void room_event(const char *room)
{
    char args[1024];

    snprintf(args, sizeof args, "[\"updated\",%s]", room);
    event("rooms-changed", args);
}

/* The process ends, and the next one begins with what it left. */
static void restart(void)
{
    struct replay_state_user user;
    struct slice rest;

    byte_buf_clear(&records);
    session_table_save(w.table, &records);
    world_stop();
    world_start();
    set_replay();
    rest = byte_buf_slice(&records);
    while (rest.len > 0) {
        const char *begin = rest.ptr;

        assert_true(replay_state_next_user(&rest, &user));
        assert_true(session_table_restore(w.table, &user,
                                          (struct slice){begin, (size_t)(rest.ptr - begin)}));
        assert_false(session_table_restore(
            w.table, &user, (struct slice){begin, (size_t)(rest.ptr - begin)})); /* once */
    }
}

static void go_live_again(const char *rooms)
{
    ok_login("u9", "tok2", "ana");
    resumed("ddp2");
    lists(subscriptions, rooms);
    check_state(SESSION_LIVE);
}

static void answer_repair(const char *messages)
{
    char json[1024];

    snprintf(json, sizeof json, "{\"updated\":[%s],\"deleted\":[]}", messages);
    session_table_repair_run(w.table, w.repair_ticket, w.repair_since_ms);
    ddp_ok("messages/get", json);
}

static void test_what_was_missed_is_fetched(void **state)
{
    (void)state;
    detach(0, 1);
    come(2, CHROME);
    room_event(ROOM("2", "1700000010000", M2));
    lose(2, CHROME, session()->ring.last, true);
    restart();
    come(1, CHROME);
    assert_int_equal(w.start.from, session()->ring.last);
    assert_false(w.start.torn);
    go_live_again("[" ROOM("3", "1700000020000", M3) "]");
    assert_int_equal(w.repair_asks, 1);
    answer_repair(M2 "," M3);
    assert_true(was_pushed(0, "\"m3\""));
    assert_false(was_pushed(0, "\"m2\""));
    come(2, CHROME); /* nobody's slot is left */
    assert_int_equal(w.start.from, session()->ring.last);
}

/* Whoever comes later is sent what the repair brought. */
static void test_a_later_claimant(void **state)
{
    (void)state;
    detach(0, 1);
    come(2, CHROME);
    come(3, FIREFOX);
    lose(2, CHROME, session()->ring.last, true);
    lose(3, FIREFOX, session()->ring.last, true);
    restart();
    come(1, CHROME);
    go_live_again("[" ROOM("2", "1700000010000", M2) "]");
    answer_repair(M2);
    memset(w.told_one, 0, sizeof w.told_one);
    come(2, FIREFOX);
    assert_non_null(strstr(w.told_one, "\"m2\""));
}

#define FUTURE "4100000000000"

/* Its history has all that was written before it came; what was written since may not be in it. */
static void test_a_fresh_page_is_not_sent_what_it_has_loaded(void **state)
{
    (void)state;
    detach(0, 1);
    come(2, CHROME);
    lose(2, CHROME, session()->ring.last, true);
    restart();
    rest_clock_ahead_ms = 0;
    come(1, FIREFOX);
    assert_true(w.start.fresh_ms != 0);
    go_live_again("[" ROOM("3", FUTURE, MESSAGE("m9", FUTURE)) "]");
    answer_repair(M2 "," MESSAGE("m9", FUTURE));
    assert_true(was_pushed(
        0, "missed "
           "{\"type\":1,\"target\":\"getRoomMessageNotification\",\"arguments\":[{\"_id\":\"m2\""));
    assert_true(was_pushed(
        0,
        "\n{\"type\":1,\"target\":\"getRoomMessageNotification\",\"arguments\":[{\"_id\":\"m9\""));
    /* The one that was lost is sent both. */
    memset(w.told_one, 0, sizeof w.told_one);
    come(2, CHROME);
    assert_int_equal(w.start.fresh_ms, 0);
    assert_non_null(strstr(w.told_one, "\"m2\""));
    assert_non_null(strstr(w.told_one, "\"m9\""));
    rest_clock_ahead_ms = INT64_MIN;
}

/* Without it nobody can say what came before: rather twice than not at all. So by a clock that is
 * behind: what seems to be old may be new. */
static void test_a_fresh_page_where_the_servers_clock_is_not_known(void **state)
{
    (void)state;
    for (int known = 0; known < 2; known++) {
        detach(0, 1);
        come(2, CHROME);
        lose(2, CHROME, session()->ring.last, true);
        restart();
        rest_clock_ahead_ms = known == 0 ? INT64_MIN : -2000000000000;
        come(1, FIREFOX);
        go_live_again(known == 0 ? "[" ROOM("2", "1700000010000", M2) "]"
                                 : "[" ROOM("3", "1700000020000", M3) "]");
        answer_repair(known == 0 ? M2 : M3);
        assert_true(was_pushed(0, known == 0 ? "\"m2\"" : "\"m3\""));
        assert_false(was_pushed(0, "missed"));
    }
    rest_clock_ahead_ms = INT64_MIN;
}

static void test_what_was_not_acknowledged_is_fetched(void **state)
{
    (void)state;
    detach(0, 1);
    come(2, CHROME);
    room_event(ROOM("2", "1700000010000", M2));
    event("subscriptions-changed", "[\"updated\",{\"_id\":\"s1\",\"rid\":\"r1\",\"unread\":1}]");
    lose(2, CHROME, session()->ring.last - 2, true);
    restart();
    come(1, CHROME);
    assert_false(w.start.torn);
    go_live_again("[" ROOM("2", "1700000010000", M2) "]"); /* as it was */
    assert_int_equal(w.repair_asks, 1);
    answer_repair(M1 "," M2);
    assert_true(was_pushed(0, "\"m2\""));
    assert_false(was_pushed(0, "\"m1\""));
}

static void test_what_cannot_be_fetched_is_told(void **state)
{
    (void)state;
    detach(0, 1);
    come(2, CHROME);
    event("message", "[{\"_id\":\"ephemeral\"}]");
    lose(2, CHROME, session()->ring.last - 1, true);
    restart();
    come(1, CHROME);
    assert_true(w.start.torn);
    assert_non_null(strstr(w.told_one, "replay-too-long"));
}

/* One that was lost before missed what the others have: they are not sent it twice. */
static void test_lost_before_the_stop(void **state)
{
    (void)state;
    detach(0, 1);
    come(2, CHROME);
    come(3, FIREFOX);
    lose(3, FIREFOX, session()->ring.last, false);
    room_event(ROOM("2", "1700000010000", M2));
    lose(2, CHROME, session()->ring.last, true);
    restart();
    come(1, CHROME);
    assert_false(w.start.torn);
    go_live_again("[" ROOM("2", "1700000010000", M2) "]");
    assert_int_equal(w.repair_asks, 0);
    come(2, FIREFOX);
    assert_true(w.start.torn);
}

static void test_too_late(void **state)
{
    (void)state;
    lose(1, 0, session()->ring.last, true);
    restart();
    assert_non_null(w.table->restored);
    advance(91 * SECOND);
    assert_null(w.table->restored);
    come(1, 0);
    assert_null(session()->rooms);
}

static void test_another_account(void **state)
{
    (void)state;
    lose(1, 0, session()->ring.last, true);
    restart();
    assert_true(attach_as(user_key, "somebody else", NULL, 0, 1));
    assert_null(session()->rooms);
}

static void test_nothing_to_leave(void **state)
{
    (void)state;
    assert_int_equal(session_table_save(w.table, &records), 0); /* no slot */
    lose(1, 0, session()->ring.last, true);
    w.settings.message_source = SOURCE_LAST_MESSAGE;
    assert_int_equal(session_table_save(w.table, &records), 0); /* nothing would be fetched */
    w.settings.message_source = SOURCE_REPAIR;
    records.limit = 20;
    assert_int_equal(session_table_save(w.table, &records), 0); /* no room */
    assert_int_equal(records.len, 0);
    records.limit = 0;
}

static void test_memory_that_is_damaged(void **state)
{
    struct replay_state_user user = {.key = slice_of(user_key),
                                     .username = SLICE_LIT("ana"),
                                     .nslots = 1,
                                     .rooms = SLICE_LIT("\1 is no memory of rooms")};

    (void)state;
    detach(0, 1);
    world_stop();
    world_start();
    set_replay();
    user.slots[0] = (struct replay_state_slot){.client = CHROME, .ends_ms = INT64_MAX};
    replay_state_put_user(&records, &user);
    assert_true(session_table_restore(
        w.table, &(struct replay_state_user){.key = {records.data + 2, strlen(user_key)}},
        byte_buf_slice(&records)));
    come(1, CHROME);
    assert_true(w.start.torn);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_what_was_missed_is_fetched),
        T(test_a_later_claimant),
        T(test_a_fresh_page_is_not_sent_what_it_has_loaded),
        T(test_a_fresh_page_where_the_servers_clock_is_not_known),
        T(test_what_was_not_acknowledged_is_fetched),
        T(test_what_cannot_be_fetched_is_told),
        T(test_lost_before_the_stop),
        T(test_too_late),
        T(test_another_account),
        T(test_nothing_to_leave),
        T(test_memory_that_is_damaged),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
