/* Rooms that tabs have opened: subscribing in Rocket.Chat's pace, who hears what, and every end. */
#include "base/json_slice.h"
#include "bridge/hub/hub_method.h"
#include "session_fakes.h"

static int start(void **state)
{
    (void)state;
    world_start();
    w.settings.methods.open_rooms = 5;
    w.settings.methods.open_rooms_per_user = 100;
    return 0;
}

static void call(const char *method, const char *rid, unsigned shard, uint64_t serial)
{
    char args[300];
    struct call_request request = {.id = {shard, serial, serial * 10},
                                   .method = hub_method_find(slice_of(method))};

    snprintf(args, sizeof args, "[\"%s\"]", rid);
    request.args = slice_of(args);
    session_table_call(w.table, slice_of(user_key), &request);
    settle();
}

static void open_room(const char *rid, unsigned shard, uint64_t serial)
{
    call("OpenRoom", rid, shard, serial);
}

static void check_answers(const char *want)
{
    assert_string_equal(w.answered, want);
    w.answered[0] = '\0';
}

#define SUB(id, rid) "{\"_id\":\"" id "\",\"rid\":\"" rid "\",\"t\":\"c\"}"

/* ana is in r1, not in r2; a second tab is on shard 1. */
static void two_tabs(void)
{
    go_live_with("[" SUB("s1", "r1") "]", "[{\"_id\":\"r1\",\"msgs\":0}]");
    attach(1, 2);
    forget_pushes();
    w.told_one[0] = '\0';
}

static void ready(void)
{
    ddp_ok("stream-room-messages", "");
}

static unsigned subscriptions_waiting(const char *stream)
{
    struct ddp_connector *c = link_now();
    unsigned n = 0;

    for (unsigned i = 0; i < c->ncalls; i++)
        n += !c->calls[i].answered && strcmp(c->calls[i].method, stream) == 0;
    return n;
}

static void event_of(const char *collection, const char *name, const char *args)
{
    const struct ddp_event e = {
        .collection = slice_of(collection), .event_name = slice_of(name), .args = slice_of(args)};

    link_now()->cb.on_event(link_now()->arg, &e);
}

static void message(const char *rid, const char *id, int64_t ms)
{
    char args[300];

    snprintf(
        args, sizeof args,
        "[{\"_id\":\"%s\",\"rid\":\"%s\",\"ts\":{\"$date\":%lld},\"_updatedAt\":{\"$date\":%lld}}]",
        id, rid, (long long)ms, (long long)ms);
    event_of("stream-room-messages", rid, args);
}

/* What the operator sees. */
static void check_report(const char *want)
{
    struct byte_buf json = {0};
    char text[200];

    session_report(session(), &json);
    assert_true(json_valid(json.data, json.len, JSON_MAX_DEPTH));
    snprintf(text, sizeof text, "\"openRooms\":%s", want);
    assert_non_null(memmem(json.data, json.len, text, strlen(text)));
    byte_buf_free(&json);
}

static void test_opened_and_closed(void **state)
{
    (void)state;
    two_tabs();
    open_room("r1", 0, 1);
    assert_string_equal(ddp_pending("stream-room-messages")->params, "[\"r1\",false]");
    assert_string_equal(ddp_pending("stream-notify-room")->params,
                        "[\"r1/deleteMessageBulk\",false]");
    check_answers("");
    open_room("r1", 1, 2); /* another tab, while the first still waits */
    assert_int_equal(subscriptions_waiting("stream-room-messages"), 1);
    ready();
    check_answers("1/2/20 result \n0/1/10 result \n");
    check_report("[{\"rid\":\"r1\",\"connections\":2,\"followed\":true}]");
    open_room("r1", 1, 2); /* again, and by one who has it open already: at once */
    check_answers("1/2/20 result \n");
    ddp_ok("stream-notify-room", "");
    call("CloseRoom", "r1", 0, 1);
    check_answers("0/1/10 result \n");
    assert_string_equal(link_now()->unsubscribed, "");
    call("CloseRoom", "r1", 1, 2);
    check_answers("1/2/20 result \n");
    assert_int_equal(strlen(link_now()->unsubscribed),
                     strlen("6 8 ")); /* the two that were ready */
    ddp_ok("stream-notify-room", ""); /* the third becomes so now */
    assert_int_equal(strlen(link_now()->unsubscribed), strlen("6 8 7 "));
    call("CloseRoom", "r1", 1, 2);
    check_answers("1/2/20 result \n");
}

static void test_a_members_room(void **state)
{
    (void)state;
    two_tabs();
    open_room("r1", 0, 1);
    ready();
    message("r1", "m1", 1700000000000);
    assert_true(was_pushed(0, "getRoomMessageNotification") && was_pushed(0, "m1"));
    assert_true(was_pushed(1, "m1")); /* all of her tabs */
    assert_string_equal(w.told_one, "");
    forget_pushes();
    /* By rooms-changed once more: known. */
    event("rooms-changed",
          "[\"updated\",{\"_id\":\"r1\",\"msgs\":1,\"_updatedAt\":{\"$date\":1700000000010},"
          "\"lastMessage\":{\"_id\":\"m1\",\"rid\":\"r1\",\"ts\":{\"$date\":1700000000000},"
          "\"_updatedAt\":{\"$date\":1700000000000}}}]");
    assert_int_equal(w.pushes[0], 0);
    event_of("stream-notify-room", "r1/deleteMessage", "[{\"_id\":\"m1\"}]");
    event_of("stream-notify-room", "r1/deleteMessage", "[{\"_id\":\"m1\"}]");
    assert_int_equal(w.pushes[0], 1);
    assert_true(
        was_pushed(1, "getRoomMessageDeletedNotification\",\"arguments\":[{\"_id\":\"m1\",\"rid\":"
                      "\"r1\"}]"));
    forget_pushes();
    event_of("stream-notify-room", "r1/deleteMessageBulk",
             "[{\"ids\":[\"m1\",7,\"m2\",\"\",\"m3\"]}]");
    assert_int_equal(w.pushes[0], 2);
    assert_true(was_pushed(0, "m2") && was_pushed(0, "m3"));
    forget_pushes();
    event_of("stream-notify-room", "r1/deleteMessageBulk", "[{\"ts\":{}}]");
    assert_true(was_pushed(0, "resyncRequired") && was_pushed(0, "pruned"));
}

static void test_a_room_she_is_not_in(void **state)
{
    (void)state;
    two_tabs();
    message("r2", "m0", 1700000000000);
    open_room("r2", 1, 2);
    message("r2", "m1", 1700000000000); /* not ready: whoever sends this, nobody asked yet */
    assert_string_equal(w.told_one, "");
    ready();
    message("r2", "m2", 1700000001000);
    event_of("stream-notify-room", "r2/deleteMessage", "[{\"_id\":\"m2\"}]");
    event_of("stream-notify-room", "r2/deleteMessageBulk", "[{\"ts\":{}}]");
    assert_int_equal(w.pushes[0] + w.pushes[1], 0);
    assert_ptr_equal(
        strstr(w.told_one, "1:2 {\"type\":1,\"target\":\"getRoomMessageNotification\""),
        w.told_one);
    assert_null(strstr(w.told_one, "m1"));
    assert_non_null(strstr(w.told_one, "getRoomMessageDeletedNotification"));
    assert_non_null(strstr(w.told_one, "{\"rid\":\"r2\",\"reason\":\"pruned\"}"));
    w.told_one[0] = '\0';
    call("CloseRoom", "r2", 1, 2);
    message("r2", "m3", 1700000002000); /* still on its way */
    assert_string_equal(w.told_one, "");
}

static void test_refused(void **state)
{
    (void)state;
    two_tabs();
    open_room("r3", 0, 1);
    open_room("r3", 1, 2);
    ddp_fail("stream-room-messages", "not-allowed", 0);
    check_answers("1/2/20 error not-allowed: not allowed\n0/1/10 error not-allowed: not allowed\n");
    assert_null(session()->opened);
    ddp_ok("stream-notify-room", ""); /* what had been asked for besides is given back */
    ddp_fail("stream-notify-room", "not-allowed", 0);
    assert_int_equal(strlen(link_now()->unsubscribed), 2);
    /* The other streams are nothing to fail for. */
    open_room("r1", 0, 1);
    ddp_fail("stream-notify-room", "not-allowed", 0);
    ready();
    check_answers("0/1/10 result \n");
}

static void test_rate_limited(void **state)
{
    (void)state;
    two_tabs();
    open_room("r1", 0, 1);
    ddp_fail("stream-room-messages", "too-many-requests", 3000);
    check_answers("");
    advance(2800);
    assert_null(ddp_pending("stream-room-messages"));
    advance(400);
    ready();
    check_answers("0/1/10 result \n");
}

static void test_paced(void **state)
{
    char rid[16];

    (void)state;
    w.settings.methods.open_rooms = 60;
    two_tabs();
    for (int i = 0; i < 45; i++) {
        snprintf(rid, sizeof rid, "room%d", i);
        open_room(rid, 0, 1);
    }
    assert_int_equal(subscriptions_waiting("stream-room-messages"), 40);
    assert_int_equal(subscriptions_waiting("stream-notify-room"), 40);
    while (ddp_pending("stream-room-messages") != NULL)
        ready();
    w.answered[0] = '\0';
    advance(39000);
    assert_null(ddp_pending("stream-room-messages"));
    advance(2000);
    assert_int_equal(subscriptions_waiting("stream-room-messages"), 5);
    for (int i = 0; i < 5; i++)
        ready();
    assert_non_null(strstr(w.answered, "0/1/10 result \n0/1/10 result \n"));
    w.answered[0] = '\0';
}

static void test_bounds(void **state)
{
    static const char *const rids[] = {"a", "b", "c", "d", "e"};

    (void)state;
    w.settings.methods.open_rooms_per_user = 6;
    two_tabs();
    for (int i = 0; i < 5; i++)
        open_room(rids[i], 0, 1);
    open_room("a", 0, 1); /* it has that one */
    check_answers("");
    open_room("f", 0, 1);
    check_answers(
        "0/1/10 error too-many-rooms: this connection has as many rooms open as it may\n");
    open_room("f", 1, 2);
    open_room("g", 1, 2);
    check_answers("1/2/20 error too-many-rooms: the user has as many rooms open as may be\n");
    open_room("a", 1, 2); /* open already, for the other */
    check_answers("");
    detach(0, 1);
    assert_non_null(strstr(w.answered, "0/1/10 error closed: the room was closed meanwhile\n"));
    w.answered[0] = '\0';
    open_room("g", 1, 2);
    check_answers("");
}

static void go_live_again(const char *ddp_session, const char *subs)
{
    advance(31000);
    resumed(ddp_session);
    lists(subs, "[{\"_id\":\"r1\",\"msgs\":0}]");
    check_state(SESSION_LIVE);
}

static void test_after_a_loss(void **state)
{
    (void)state;
    two_tabs();
    open_room("r1", 0, 1);
    ready();
    open_room("r2", 1, 2);
    ready();
    open_room("r3", 0, 1); /* not followed yet */
    w.answered[0] = '\0';
    ddp_end(link_now(), DDP_END_DEAD);
    settle();
    check_answers(
        "0/1/10 error unreachable: the connection to Rocket.Chat was lost before it answered\n");
    forget_pushes();
    w.told_one[0] = '\0';
    go_live_again("ddp2", "[" SUB("s1", "r1") "]");
    assert_int_equal(subscriptions_waiting("stream-room-messages"), 2);
    ready();
    ready();
    assert_string_equal(w.told_one,
                        "1:2 {\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{\"rid\":"
                        "\"r2\",\"reason\":\"reconnected\"}]}\n");
    w.told_one[0] = '\0';
    message("r2", "m1", 1700000000000);
    assert_non_null(strstr(w.told_one, "m1"));
    check_answers("");

    /* This time one of them may not be read any more. */
    ddp_end(link_now(), DDP_END_DEAD);
    settle();
    w.told_one[0] = '\0';
    go_live_again("ddp3", "[" SUB("s1", "r1") "]");
    ddp_fail("stream-room-messages", "not-allowed", 0);
    assert_non_null(strstr(w.told_one, "\"reason\":\"room-closed\""));
    ready();
    assert_int_equal(subscriptions_waiting("stream-room-messages"), 0);
}

static void test_left_and_kicked(void **state)
{
    (void)state;
    two_tabs();
    open_room("r1", 0, 1);
    ready();
    while (ddp_pending("stream-notify-room") != NULL)
        ddp_ok("stream-notify-room", "");
    event("subscriptions-changed", "[\"removed\",{\"_id\":\"s1\"}]"); /* no rid: we know it */
    assert_int_equal(strlen(link_now()->unsubscribed), 6);
    assert_null(session()->opened);
    forget_pushes();
    message("r1", "m1", 1700000000000);
    assert_int_equal(w.pushes[0], 0);
    assert_string_equal(w.told_one, "");
    open_room("r1", 0, 1);
    w.answered[0] = '\0';
    event("subscriptions-changed", "[\"removed\",{\"_id\":\"s1\",\"rid\":\"r1\"}]");
    check_answers("0/1/10 error error-not-allowed: the user has left the room\n");
}

static void test_left_in_a_gap(void **state)
{
    (void)state;
    two_tabs();
    open_room("r1", 0, 1);
    ready();
    ddp_end(link_now(), DDP_END_DEAD);
    settle();
    go_live_again("ddp2", "[]");
    assert_null(session()->opened);
    ready();
    assert_int_equal(strlen(link_now()->unsubscribed), 2);
}

static void test_ended_by_the_server(void **state)
{
    uint32_t messages, deletions;

    (void)state;
    two_tabs();
    open_room("r1", 0, 1);
    messages = ddp_pending("stream-room-messages")->sub_id;
    ready();
    deletions = ddp_pending("stream-notify-room")->sub_id;
    ddp_ok("stream-notify-room", "");
    link_now()->cb.on_subscription_end(link_now()->arg, deletions, NULL);
    check_state(SESSION_LIVE);
    link_now()->cb.on_subscription_end(link_now()->arg, messages, NULL);
    check_state(SESSION_LIVE);
    assert_string_equal(w.told_one,
                        "0:1 {\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{\"rid\":"
                        "\"r1\",\"reason\":\"room-closed\"}]}\n");
    assert_null(session()->opened);
    link_now()->cb.on_subscription_end(link_now()->arg, 1, NULL); /* one of the session's own */
    settle();
    check_state(SESSION_BACKOFF);
}

static void test_no_deletions_wanted(void **state)
{
    (void)state;
    w.settings.events.deleted = false;
    two_tabs();
    open_room("r1", 0, 1);
    assert_int_equal(subscriptions_waiting("stream-notify-room"), 0);
    ready();
    check_answers("0/1/10 result \n");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_opened_and_closed),
        T(test_a_members_room),
        T(test_a_room_she_is_not_in),
        T(test_refused),
        T(test_rate_limited),
        T(test_paced),
        T(test_bounds),
        T(test_after_a_loss),
        T(test_left_and_kicked),
        T(test_left_in_a_gap),
        T(test_ended_by_the_server),
        T(test_no_deletions_wanted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
