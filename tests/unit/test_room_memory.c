#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/byte_buf.h"
#include "rocketchat/room_memory.h"
#include <stdio.h>
#include <stdlib.h>

/* Dates in seconds of server time, for short tables. */
#define T(seconds) ((int64_t)1714557600000 + (int64_t)((seconds)*1000))

static struct room_memory *m;

static void open_with(uint16_t rooms, uint16_t messages)
{
    room_memory_free(m);
    m = room_memory_new(rooms, messages);
    assert_non_null(m);
}

static int setup(void **state)
{
    (void)state;
    open_with(100, 64);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    room_memory_free(m);
    m = NULL;
    return 0;
}

static struct rc_message message(const char *rid, const char *id, double ts, double updated)
{
    return (struct rc_message){.raw = SLICE_LIT("{}"),
                               .id = slice_of(id),
                               .rid = slice_of(rid),
                               .ts_ms = T(ts),
                               .updated_ms = T(updated)};
}

/* rooms-changed updated at `at`; id NULL: no lastMessage. */
static enum room_sight changed(const char *rid, int64_t msgs, double at, const char *id, double ts,
                               double updated)
{
    struct rc_room room = {.id = slice_of(rid), .msgs = msgs, .updated_ms = T(at)};

    if (id != NULL)
        room.last_message = message(rid, id, ts, updated);
    return room_memory_see_room(m, RC_UPDATED, &room, NULL);
}

static enum room_sight stream(const char *rid, const char *id, double ts, double updated)
{
    struct rc_message msg = message(rid, id, ts, updated);

    return room_memory_see_message(m, &msg);
}

static bool inserted(const char *sub, const char *rid)
{
    struct rc_subscription s = {.id = slice_of(sub), .rid = slice_of(rid)};

    return room_memory_subscription_inserted(m, &s);
}

static void expect_removed(const char *sub, const char *rid, const char *want)
{
    struct rc_subscription s = {.id = slice_of(sub), .rid = slice_of(rid)};
    char buffer[ROOM_MEMORY_ID_MAX];
    struct slice got = room_memory_subscription_removed(m, &s, buffer);

    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr != NULL ? got.ptr : "", want, got.len);
}

static void fill_rooms(const char *json)
{
    assert_true(room_memory_fill_rooms(m, slice_of(json)));
}

/* Room r1 with 42 messages, the last of which is m42 of second 100. */
static void fill_one(void)
{
    fill_rooms("[{\"_id\":\"r1\",\"msgs\":42,\"_updatedAt\":{\"$date\":1714557700010},"
               "\"lastMessage\":{\"_id\":\"m42\",\"rid\":\"r1\",\"ts\":{\"$date\":1714557700000},"
               "\"_updatedAt\":{\"$date\":1714557700000}}}]");
}

static void test_first_later_repeat(void **state)
{
    (void)state;
    fill_one();
    assert_int_equal(changed("r1", 43, 110, "m43", 110, 110), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("r1", 43, 110, "m43", 110, 110), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("r1", 43, 111, "m43", 110, 111), ROOM_SIGHT_LATER);
    assert_int_equal(changed("r1", 43, 111, "m43", 110, 111), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("r1", 43, 112, "m43", 110, 110), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("r1", 43, 112, NULL, 0, 0), ROOM_SIGHT_NONE);
    /* By the room's own stream besides: once, whichever came first. */
    assert_int_equal(stream("r1", "m43", 110, 111), ROOM_SIGHT_REPEAT);
    assert_int_equal(stream("r1", "m43", 110, 112), ROOM_SIGHT_LATER);
    assert_int_equal(stream("r1", "m44", 113, 113), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("r1", 44, 113, "m44", 113, 113), ROOM_SIGHT_REPEAT);
    /* The same _id in another room's event is the same message. */
    assert_int_equal(changed("r2", 1, 113, "m44", 113, 113), ROOM_SIGHT_REPEAT);
}

static void test_nothing_old_looks_new(void **state)
{
    struct rc_room room = {.id = SLICE_LIT("r1"), .msgs = 42, .updated_ms = T(600)};

    (void)state;
    fill_one();
    /* The last message is deleted, and the one just before it is shown, not told. */
    assert_int_equal(changed("r1", 41, 101, "m41", 99.9, 99.9), ROOM_SIGHT_REPEAT);
    open_with(100, 64);
    fill_one();
    /* A new topic shows the last message of the list again. */
    assert_int_equal(changed("r1", 42, 500, "m42", 100, 100), ROOM_SIGHT_REPEAT);
    /* It was edited meanwhile. */
    assert_int_equal(changed("r1", 42, 501, "m42", 100, 501), ROOM_SIGHT_LATER);
    /* The last message is deleted: one from before our time shows again. */
    assert_int_equal(changed("r1", 41, 502, "m41", 99.5, 99.5), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("r1", 41, 503, "m41", 99.5, 503), ROOM_SIGHT_LATER);
    /* Deleted, and a thread reply at the same time: the counter alone would call it new. */
    assert_int_equal(changed("r1", 43, 504, "m39", 20, 20), ROOM_SIGHT_REPEAT);
    /* An old message shows for the first time, edited. */
    room.last_message = message("r1", "m38", 19, 600);
    room.last_message.edited = true;
    assert_int_equal(room_memory_see_room(m, RC_UPDATED, &room, NULL), ROOM_SIGHT_LATER);
}

static void test_rooms_without_a_list(void **state)
{
    (void)state;
    /* Joined: the room comes with a last message of long ago, or of right now. */
    assert_int_equal(changed("old", 7, 1000, "o7", 900, 900), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("old", 8, 1001, "o8", 1001, 1001), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("new", 1, 1000.05, "n1", 1000, 1000.02), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("new", 1, 1002, "n1", 1000, 1000.02), ROOM_SIGHT_REPEAT);
    /* The last message gives way to an older one, whose own date counts from then on. */
    assert_int_equal(changed("way", 7, 1000, "w7", 900, 950), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("way", 6, 1001, "w6", 890, 890), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("way", 6, 1002, "w6", 890, 940), ROOM_SIGHT_LATER);
    /* Empty when it came. */
    assert_int_equal(changed("empty", 0, 1000, NULL, 0, 0), ROOM_SIGHT_NONE);
    assert_int_equal(changed("empty", 1, 2000, "e1", 2000, 2000), ROOM_SIGHT_FIRST);
    /* A direct message room in which something was written before it was looked at. */
    fill_rooms("{\"update\":[{\"_id\":\"dm\",\"msgs\":0}],\"remove\":[]}");
    assert_int_equal(changed("dm", 1, 3000, "d1", 3000, 3000), ROOM_SIGHT_FIRST);
}

static void test_counter(void **state)
{
    (void)state;
    fill_one();
    /* The counter rose: new, though a slow clock dates it before what was seen. */
    assert_int_equal(changed("r1", 43, 100.5, "m43", 97, 97), ROOM_SIGHT_FIRST);
    /* An old one deleted and a new one written in one step. */
    assert_int_equal(changed("r1", 43, 110, "m44", 109, 109), ROOM_SIGHT_FIRST);
    /* No counter: the overlap of some seconds counts for the message. */
    assert_int_equal(changed("r1", RC_NO_COUNT, 111, "m45", 106, 106), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("r1", RC_NO_COUNT, 112, "m30", 101, 101), ROOM_SIGHT_REPEAT);
    /* Thread reply: counted, the last message stays. */
    assert_int_equal(changed("r1", 45, 113, "m45", 106, 106), ROOM_SIGHT_REPEAT);
    /* A counter beyond ours is none. */
    assert_int_equal(changed("r1", INT64_C(1) << 40, 114, "m46", 114, 114), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("r1", (INT64_C(1) << 40) + 1, 115, "m47", 115, 115), ROOM_SIGHT_FIRST);
}

/* The event of an earlier message comes after that of a later one. */
static void test_events_overtake(void **state)
{
    (void)state;
    fill_one();
    assert_int_equal(changed("r1", 44, 111, "m44", 111, 111), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("r1", 43, 110, "m43", 110, 110), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("r1", 43, 110, "m43", 110, 110), ROOM_SIGHT_REPEAT);
    /* And has not turned the room back: its counter did not rise. */
    assert_int_equal(changed("r1", 44, 111.5, "m41", 99, 99), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("r1", 44, 112, "m44", 111, 111), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("r1", 45, 113, "m45", 113, 113), ROOM_SIGHT_FIRST);
    /* One that is late by far shows an old room. */
    assert_int_equal(changed("r1", 20, 80, "m20", 80, 80), ROOM_SIGHT_REPEAT);
}

static void test_stream(void **state)
{
    struct rc_message edited = message("fresh", "f0", 99, 99);

    (void)state;
    fill_one();
    assert_int_equal(stream("r1", "m43", 110, 110), ROOM_SIGHT_FIRST);
    assert_int_equal(stream("r1", "m42", 100, 100), ROOM_SIGHT_REPEAT);
    assert_int_equal(stream("r1", "m42", 100, 111), ROOM_SIGHT_LATER);
    assert_int_equal(stream("r1", "m10", 10, 112), ROOM_SIGHT_LATER); /* an old one edited */
    assert_int_equal(stream("r1", "m10", 10, 112), ROOM_SIGHT_REPEAT);
    assert_int_equal(stream("r1", "m44", 108.5, 108.5), ROOM_SIGHT_FIRST); /* out of order */
    assert_int_equal(stream("r1", "", 120, 120), ROOM_SIGHT_NONE);
    /* Rooms of which nothing is known. */
    edited.edited = true;
    assert_int_equal(room_memory_see_message(m, &edited), ROOM_SIGHT_LATER);
    assert_int_equal(stream("other", "x1", 10, 100), ROOM_SIGHT_LATER);
    assert_int_equal(stream("other", "x2", 100, 100.1), ROOM_SIGHT_FIRST);
    assert_int_equal(stream("other", "x0", 90, 90), ROOM_SIGHT_LATER);
}

static void test_dates_missing(void **state)
{
    struct rc_message msg = {.id = SLICE_LIT("a"), .rid = SLICE_LIT("r1")};
    struct rc_room room = {.id = SLICE_LIT("r9"), .msgs = RC_NO_COUNT, .updated_ms = RC_NO_DATE};

    (void)state;
    fill_one();
    msg.ts_ms = msg.updated_ms = RC_NO_DATE;
    assert_int_equal(room_memory_see_message(m, &msg), ROOM_SIGHT_FIRST);
    assert_int_equal(room_memory_see_message(m, &msg), ROOM_SIGHT_REPEAT);
    room.last_message = msg;
    room.last_message.id = SLICE_LIT("b");
    assert_int_equal(room_memory_see_room(m, RC_UPDATED, &room, NULL), ROOM_SIGHT_FIRST);
    assert_int_equal(room_memory_see_room(m, RC_UPDATED, &room, NULL), ROOM_SIGHT_REPEAT);
    /* The ends of the scale. */
    for (int i = 0; i < 2; i++) {
        msg.id = i == 0 ? SLICE_LIT("c") : SLICE_LIT("d");
        msg.ts_ms = msg.updated_ms = i == 0 ? INT64_MAX : INT64_MIN + 1;
        assert_int_not_equal(room_memory_see_message(m, &msg), ROOM_SIGHT_REPEAT);
        assert_int_equal(room_memory_see_message(m, &msg), ROOM_SIGHT_REPEAT);
    }
}

static void test_forgotten_message_is_not_new(void **state)
{
    char id[16];

    (void)state;
    fill_one();
    for (int i = 0; i < 200; i++) { /* forty a second: the overlap is longer than the memory */
        snprintf(id, sizeof id, "x%d", i);
        assert_int_equal(stream("r1", id, 200 + i * 0.025, 200 + i * 0.025), ROOM_SIGHT_FIRST);
    }
    assert_int_equal(stream("r1", "x199", 204.975, 204.975), ROOM_SIGHT_REPEAT);
    assert_int_equal(stream("r1", "x130", 203.25, 206), ROOM_SIGHT_LATER);
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "x%d", i);
        assert_int_equal(stream("r1", id, 200 + i * 0.025, 206), ROOM_SIGHT_LATER);
    }
    /* Never heard of, and as old as those that were forgotten: may be one of them. */
    assert_int_equal(stream("r1", "late", 200.5, 200.5), ROOM_SIGHT_LATER);
}

/* What was missed in a gap still looks new when it shows, and lists move nothing that is known. */
static void test_lists_fill_only_gaps(void **state)
{
    (void)state;
    fill_one();
    fill_rooms("[{\"_id\":\"r1\",\"msgs\":50,\"_updatedAt\":\"2024-05-01T10:03:20.000Z\","
               "\"lastMessage\":{\"_id\":\"m50\",\"ts\":\"2024-05-01T10:03:20.000Z\","
               "\"_updatedAt\":\"2024-05-01T10:03:20.000Z\"}},"
               "{\"_id\":\"r2\",\"msgs\":3,\"_updatedAt\":\"2024-05-01T10:03:20.000Z\","
               "\"lastMessage\":{\"_id\":\"b3\",\"ts\":\"2024-05-01T10:03:20.000Z\","
               "\"_updatedAt\":\"2024-05-01T10:03:20.000Z\"}}]");
    assert_int_equal(changed("r1", 50, 201, "m50", 200, 200), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("r2", 3, 201, "b3", 200, 200), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("r2", 4, 202, "b4", 202, 202), ROOM_SIGHT_FIRST);
}

static void test_subscriptions(void **state)
{
    (void)state;
    assert_true(room_memory_fill_subscriptions(
        m,
        SLICE_LIT("[{\"_id\":\"s1\",\"rid\":\"r1\"},{\"_id\":\"s2\",\"rid\":\"r2\",\"x\":[]}]")));
    assert_false(inserted("s1", "r1")); /* known from the start */
    assert_true(inserted("s3", "r3"));
    assert_false(inserted("s3", "r3"));
    assert_true(room_memory_is_member(m, SLICE_LIT("r3")));
    expect_removed("s3", "", "r3");
    expect_removed("s3", "", "");
    assert_false(room_memory_is_member(m, SLICE_LIT("r3")));
    assert_true(inserted("s3", "r3"));
    /* Left and come back: another subscription, and the old one's late end does not matter. */
    assert_true(inserted("s1b", "r1"));
    expect_removed("s1", "r1", "r1");
    assert_true(room_memory_is_member(m, SLICE_LIT("r1")));
    assert_false(inserted("s1b", "r1"));
    /* Only u and rid; only u; unknown with rid. */
    expect_removed("", "r2", "r2");
    assert_false(room_memory_is_member(m, SLICE_LIT("r2")));
    expect_removed("", "", "");
    expect_removed("s77", "r77", "r77");
    /* Without an id, the room stands for it. */
    assert_true(inserted("", "r5"));
    assert_false(inserted("", "r5"));
    assert_true(inserted("s6", ""));
    assert_true(inserted("s6", ""));
}

static void test_subscriptions_of_later_lists(void **state)
{
    struct rc_subscription updated = {.id = SLICE_LIT("s3"), .rid = SLICE_LIT("r3")};

    (void)state;
    assert_true(room_memory_fill_subscriptions(m, SLICE_LIT("[]")));
    /* Came up in a gap: nobody was told, so its `inserted` still counts. */
    assert_true(room_memory_fill_subscriptions(m, SLICE_LIT("[{\"_id\":\"s1\",\"rid\":\"r1\"}]")));
    assert_true(room_memory_is_member(m, SLICE_LIT("r1")));
    assert_true(inserted("s1", "r1"));
    assert_false(inserted("s1", "r1"));
    /* `updated` overtakes `inserted`. */
    room_memory_subscription_updated(m, &updated);
    expect_removed("s3", "", "r3");
    room_memory_subscription_updated(m, &updated);
    assert_true(inserted("s3", "r3"));
}

static void test_deleted_room_keeps_its_id_for_the_subscription(void **state)
{
    struct rc_room room = {.id = SLICE_LIT("r1")};

    (void)state;
    fill_one();
    assert_true(inserted("s1", "r1"));
    assert_int_equal(room_memory_see_room(m, RC_REMOVED, &room, NULL), ROOM_SIGHT_NONE);
    expect_removed("s1", "", "r1");
    assert_false(room_memory_is_member(m, SLICE_LIT("r1")));
    room.id = SLICE_LIT("r2");
    room_memory_see_room(m, RC_REMOVED, &room, NULL);
}

static void test_list_forms(void **state)
{
    static const struct {
        const char *json;
        bool ok;
        uint16_t rooms;
    } cases[] = {
        {"[]", true, 0},
        {"[{\"_id\":\"s\",\"rid\":\"r\"}]", true, 1},
        {"{\"update\":[{\"_id\":\"s\",\"rid\":\"r\"}],\"remove\":[{\"_id\":\"x\"}]}", true, 1},
        {"{\"success\":true,\"remove\":[],\"update\":[{\"rid\":\"r\",\"_id\":\"s\"}]}", true, 1},
        {"[{\"_id\":\"s\"},{\"rid\":\"\"},{\"rid\":null},7,null,\"x\",[],{}]", true, 0},
        {"[{\"_id\":5,\"rid\":\"r\"}]", true, 1},
        {"{\"success\":false,\"error\":\"x\"}", false, 0},
        {"{\"update\":{}}", false, 0},
        {"{\"update\":null}", false, 0},
        {"{}", false, 0},
        {"null", false, 0},
        {"\"x\"", false, 0},
        {"", false, 0},
        {"[{\"_id\":\"s\",\"rid\":\"r\"}", false, 0},
        {"[{\"_id\":\"s\",\"rid\":\"r\"}],", false, 0},
        {"<html>", false, 0},
    };
    struct room_memory_stats stats;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_with(10, 10);
        if (room_memory_fill_subscriptions(m, slice_of(cases[i].json)) != cases[i].ok)
            fail_msg("%s", cases[i].json);
        room_memory_stats(m, &stats);
        assert_int_equal(stats.rooms, cases[i].rooms);
    }
    /* No prefix of a list is one. */
    static const char list[] = "{\"update\":[{\"_id\":\"r1\",\"msgs\":1},{\"_id\":\"r2\"}]}";
    for (size_t len = 0; len < sizeof list - 1; len++) {
        open_with(10, 10);
        assert_false(room_memory_fill_rooms(m, (struct slice){list, len}));
        room_memory_stats(m, &stats);
        assert_int_equal(stats.rooms, 0);
    }
}

static void test_long_ids(void **state)
{
    char id[2][ROOM_MEMORY_ID_MAX + 2];
    struct room_memory_stats stats;

    (void)state;
    memset(id, 'a', sizeof id);
    id[0][ROOM_MEMORY_ID_MAX] = '\0';
    id[1][ROOM_MEMORY_ID_MAX + 1] = '\0';
    assert_true(inserted(id[0], id[0]));
    assert_false(inserted(id[0], id[0]));
    expect_removed(id[0], "", id[0]);
    assert_true(inserted(id[1], id[1]));
    assert_true(inserted(id[1], id[1]));
    expect_removed(id[1], "", "");
    assert_int_equal(changed(id[1], 1, 100, "x", 100, 100), ROOM_SIGHT_FIRST);
    assert_int_equal(changed(id[1], 1, 100, "x", 100, 100), ROOM_SIGHT_REPEAT);
    room_memory_stats(m, &stats);
    assert_int_equal(stats.rooms, 0);
}

static void test_bound(void **state)
{
    struct room_memory_stats stats;

    (void)state;
    open_with(3, 4);
    assert_true(inserted("sa", "a"));
    assert_true(inserted("sb", "b"));
    assert_true(inserted("sc", "c"));
    changed("a", 1, 100, "a1", 100, 100);
    changed("b", 1, 101, "b1", 101, 101);
    changed("c", 1, 102, "c1", 102, 102);
    changed("a", 2, 103, "a2", 103, 103);
    changed("d", 1, 104, "d1", 104, 104); /* b was quiet longest */
    assert_true(room_memory_is_member(m, SLICE_LIT("a")));
    assert_false(room_memory_is_member(m, SLICE_LIT("b")));
    changed("e", 1, 105, "e1", 105, 105); /* then c */
    changed("d", 2, 106, "d2", 106, 106);
    changed("e", 2, 107, "e2", 107, 107);
    room_memory_stats(m, &stats);
    assert_int_equal(stats.rooms, 3);
    assert_int_equal(stats.messages, 4);
    assert_int_equal(stats.forgotten_rooms, 2);
    /* Messages and rooms both forgotten; shown again right then, they are not new. */
    assert_int_equal(changed("b", 1, 101.5, "b1", 101, 101), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("c", 1, 102.5, "c1", 102, 102), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("b", 2, 120, "b2", 120, 120), ROOM_SIGHT_FIRST);
    /* A list pushes nothing out. */
    room_memory_stats(m, &stats);
    fill_rooms("[{\"_id\":\"x\",\"lastMessage\":{\"_id\":\"x1\",\"_updatedAt\":{\"$date\":"
               "1714557730000}}},{\"_id\":\"y\"},{\"_id\":\"z\"}]");
    assert_int_equal(changed("b", 2, 121, "b2", 120, 120), ROOM_SIGHT_REPEAT);
    assert_int_equal(changed("x", 1, 130, "x1", 130, 130), ROOM_SIGHT_REPEAT);
    assert_true(room_memory_fill_subscriptions(m, SLICE_LIT("[{\"_id\":\"s\",\"rid\":\"w\"}]")));
    assert_false(room_memory_is_member(m, SLICE_LIT("w")));
    room_memory_stats(m, &stats);
    assert_int_equal(stats.rooms, 3);
}

/* Nor does what can't be remembered push out what can. */
static void test_unfit_ids_push_nothing_out(void **state)
{
    char long_id[ROOM_MEMORY_ID_MAX + 2];
    struct room_memory_stats stats;

    (void)state;
    open_with(2, 4);
    memset(long_id, 'a', sizeof long_id);
    long_id[ROOM_MEMORY_ID_MAX + 1] = '\0';
    inserted("sa", "a");
    inserted("sb", "b");
    inserted("sx", "");
    inserted("sy", long_id);
    stream("", "m1", 100, 100);
    changed(long_id, 1, 101, "m2", 101, 101);
    room_memory_stats(m, &stats);
    assert_int_equal(stats.rooms, 2);
    assert_int_equal(stats.forgotten_rooms, 0);
    assert_true(room_memory_is_member(m, SLICE_LIT("a")));
}

static void test_size(void **state)
{
    struct room_memory_stats stats;
    struct byte_buf rooms = {0}, subs = {0};
    char id[20];

    (void)state;
    open_with(1000, 64);
    for (int i = 0; i < 20; i++) { /* half of them direct: two user ids make the room's */
        byte_buf_printf(&rooms, "%c{\"_id\":\"room%013d%s\",\"msgs\":%d}", i ? ',' : '[', i,
                        i % 2 ? "uAna000000000001x" : "", i);
        byte_buf_printf(&subs, "%c{\"_id\":\"subs%013d\",\"rid\":\"room%013d%s\"}", i ? ',' : '[',
                        i, i, i % 2 ? "uAna000000000001x" : "");
    }
    byte_buf_putc(&rooms, ']');
    byte_buf_putc(&subs, ']');
    assert_true(room_memory_fill_subscriptions(m, byte_buf_slice(&subs)));
    assert_true(room_memory_fill_rooms(m, byte_buf_slice(&rooms)));
    for (int i = 0; i < 100; i++) {
        snprintf(id, sizeof id, "mess%013d", i);
        stream("room0000000000000", id, i, i);
    }
    room_memory_stats(m, &stats);
    assert_int_equal(stats.rooms, 20);
    assert_int_equal(stats.messages, 64);
    assert_in_range(stats.bytes, 1, 4400); /* of the 9 KB of a session */
    byte_buf_free(&rooms);
    byte_buf_free(&subs);
}

/* ---- what is lacking ---- */

static struct room_hint hinted(int64_t msgs, double at, const char *id, double ts)
{
    struct rc_room room = {.id = SLICE_LIT("r"), .msgs = msgs, .updated_ms = T(at)};
    struct room_hint hint;

    if (id != NULL)
        room.last_message = message("r", id, ts, ts);
    room_memory_see_room(m, RC_UPDATED, &room, &hint);
    return hint;
}

static bool lacking(int64_t msgs, double at, const char *id, double ts)
{
    return hinted(msgs, at, id, ts).lacking;
}

static enum room_sight repaired(const char *id, double ts, double updated)
{
    struct rc_message msg = message("r", id, ts, updated);
    int64_t since = room_memory_lacking_since(m, SLICE_LIT("r"));

    return room_memory_see_repaired(m, &msg, since != RC_NO_DATE ? since : 0);
}

static void test_lacking(void **state)
{
    (void)state;
    assert_false(lacking(10, 1, "a", 1)); /* the first sight of the room */
    assert_false(lacking(11, 3, "b", 3));
    assert_false(lacking(11, 5, "b", 3)); /* a topic, say */
    assert_true(lacking(13, 7, "d", 7));
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == T(3) - 5000);
    assert_true(lacking(14, 9, "e", 9)); /* still */
    assert_int_equal(repaired("c", 6, 6), ROOM_SIGHT_FIRST);
    assert_int_equal(repaired("d", 7, 7), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("b", 3, 3), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("a", 1, 8), ROOM_SIGHT_LATER); /* edited meanwhile */
    room_memory_repaired(m, SLICE_LIT("r"), RC_NO_DATE);
    assert_false(lacking(15, 11, "f", 11));
    assert_true(lacking(14, 13, "f", 11)); /* something was deleted */
    room_memory_repaired(m, SLICE_LIT("r"), RC_NO_DATE);
    assert_true(lacking(14, 13, "f", 11)); /* two changes, read when both had happened */
    room_memory_repaired(m, SLICE_LIT("r"), RC_NO_DATE);
    assert_true(lacking(15, 15, NULL, 0)); /* Store_Last_Message is off */
}

static void test_counter_behind_the_stream(void **state)
{
    (void)state;
    lacking(10, 1, "a", 1);
    stream("r", "b", 3, 3);
    stream("r", "c", 4, 4);
    assert_false(lacking(11, 4.2, "b", 3));
    assert_false(lacking(12, 4.2, "c", 4));
    assert_true(lacking(14, 8, "e", 8));
}

/* Nobody was shown the reply of second 3: what came with it was undone when the next event was
 * read, which came first. */
static void test_overtaken_event_shows_nothing_new(void **state)
{
    struct room_hint hint;

    (void)state;
    lacking(28, 1, "a", 1);
    assert_false(lacking(28, 5, "a", 1)); /* fits */
    hint = hinted(29, 3, "a", 1);
    assert_true(hint.missed && hint.lacking && !hint.burst);
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == T(1) - 5000);
    assert_true(hinted(30, 4, "a", 1).missed); /* a question under way may have come before it */
    assert_int_equal(repaired("reply", 3, 3), ROOM_SIGHT_FIRST);
    assert_int_equal(repaired("a", 1, 1), ROOM_SIGHT_REPEAT);
    room_memory_repaired(m, SLICE_LIT("r"), T(5));
    assert_false(lacking(30, 4, "a", 1)); /* the answer has it all */
    /* The counter may be alike, too. */
    assert_false(lacking(29, 9, "b", 9));
    assert_true(lacking(29, 7, "a", 1));
    room_memory_repaired(m, SLICE_LIT("r"), T(9));
    /* It shows a new one, and the later one does not count it: that, or another one, was deleted.
     */
    assert_false(lacking(30, 13, "c", 13));
    assert_true(lacking(31, 12, "d", 12));
}

/* Messages were told after the one that is missing: they are known. */
static void test_overtaken_behind_the_mark(void **state)
{
    char id[16];

    (void)state;
    lacking(28, 1, "a", 1);
    assert_false(lacking(29, 6, "b", 6)); /* and c, inside a thread; and one was deleted */
    assert_true(lacking(29, 3, "a", 1));
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == T(2) - 5000);
    room_memory_pin(m, true);
    assert_int_equal(repaired("c", 3, 3), ROOM_SIGHT_FIRST);
    assert_int_equal(repaired("b", 6, 6), ROOM_SIGHT_REPEAT);
    assert_int_equal(room_memory_take_doubtful(m), 0);
    room_memory_repaired(m, SLICE_LIT("r"), T(6));
    room_memory_pin(m, false);
    /* ... or were forgotten, and then nobody can say. */
    assert_false(lacking(29, 20, "b", 6));
    assert_false(lacking(30, 21, "d", 21));
    for (int i = 0; i < 64; i++) {
        snprintf(id, sizeof id, "x%d", i);
        stream("other", id, 22 + i * 0.01, 22 + i * 0.01);
    }
    assert_true(lacking(31, 19, "b", 6));
    room_memory_pin(m, true);
    assert_int_equal(repaired("e", 19, 19), ROOM_SIGHT_REPEAT);
    assert_int_equal(room_memory_take_doubtful(m), 1);
    assert_int_equal(repaired("f", 23, 23), ROOM_SIGHT_FIRST);
    assert_int_equal(room_memory_take_doubtful(m), 0);
}

static void test_bursts(void **state)
{
    (void)state;
    assert_false(hinted(10, 1, "a", 1).burst);
    assert_false(hinted(11, 2.5, "b", 2.5).burst);
    assert_true(hinted(12, 3, "c", 3).burst);
    room_memory_doubt(m, SLICE_LIT("r"), T(2));
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == T(2) - 5000);
    assert_false(hinted(11, 2.5, "b", 2.5).burst); /* overtaken: its time is over */
}

static void test_joined_room_starts_at_its_subscription(void **state)
{
    const struct rc_subscription sub = {
        .id = SLICE_LIT("s"), .rid = SLICE_LIT("r"), .ts_ms = T(10)};

    (void)state;
    assert_true(room_memory_subscription_inserted(m, &sub));
    assert_true(lacking(7, 12, "c", 12));
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == T(10) - 5000);
    assert_int_equal(repaired("a", 9, 9), ROOM_SIGHT_REPEAT); /* before her time */
    assert_int_equal(repaired("b", 11, 11), ROOM_SIGHT_FIRST);
}

static void test_deletions_are_told_once(void **state)
{
    (void)state;
    lacking(10, 1, "a", 1);
    assert_true(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("a"), RC_NO_DATE, 0));
    assert_false(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("a"), RC_NO_DATE, 0));
    assert_false(room_memory_see_deleted(m, SLICE_LIT("other"), SLICE_LIT("a"), RC_NO_DATE, 0));
    assert_false(lacking(9, 2, NULL, 0)); /* told before it was counted */
    assert_int_equal(repaired("a", 1, 5), ROOM_SIGHT_REPEAT);
}

/* The overlap brings a deletion again that was told and forgotten. */
static void test_forgotten_deletions_are_not_told_again(void **state)
{
    char id[16];

    (void)state;
    lacking(10, 1, "a", 1);
    lacking(9, 3, "a", 1);
    assert_true(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("b"), T(3), T(1) - 5000));
    room_memory_repaired(m, SLICE_LIT("r"), RC_NO_DATE);
    for (int i = 0; i < 64; i++) {
        snprintf(id, sizeof id, "x%d", i);
        stream("r", id, 4 + i * 0.01, 4 + i * 0.01);
    }
    assert_false(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("b"), T(3), T(5) - 5000));
    assert_true(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("c"), T(6), T(5) - 5000));
    /* Nor does a deletion that was forgotten make everything look old. */
    assert_int_equal(repaired("y", 4.9, 4.9), ROOM_SIGHT_FIRST);
}

/* A deletion newer than all messages moves the mark, or the next answers would go on bringing it.
 */
static void test_deletions_move_the_mark(void **state)
{
    (void)state;
    lacking(10, 1, "a", 1);
    lacking(9, 30, "a", 1);
    assert_true(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("b"), T(30), T(1) - 5000));
    room_memory_repaired(m, SLICE_LIT("r"), T(30));
    room_memory_doubt(m, SLICE_LIT("r"), RC_NO_DATE);
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == T(30) - 5000);
}

/* An answer that brings more than is remembered otherwise tells nothing twice. */
static void test_pinned(void **state)
{
    struct room_memory_stats stats;
    char id[16];

    (void)state;
    lacking(10, 1, "a", 1);
    lacking(300, 2, "b", 2);
    room_memory_pin(m, true);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < 200; i++) {
            snprintf(id, sizeof id, "x%d", i);
            assert_int_equal(repaired(id, 3 + i * 0.01, 3 + i * 0.01),
                             round == 0 ? ROOM_SIGHT_FIRST : ROOM_SIGHT_REPEAT);
        }
    room_memory_pin(m, false);
    room_memory_stats(m, &stats);
    assert_int_equal(stats.messages, 64);
    /* More than it holds at all: what may have been told is held back, and counted. */
    room_memory_pin(m, true);
    for (int i = 0; i < 5000; i++) {
        snprintf(id, sizeof id, "y%d", i);
        repaired(id, 10 + i * 0.01, 10 + i * 0.01);
    }
    assert_int_equal(room_memory_take_doubtful(m), 0);
    assert_int_equal(repaired("y0", 10, 10), ROOM_SIGHT_REPEAT);
    assert_int_equal(room_memory_take_doubtful(m), 1);
    assert_int_equal(room_memory_take_doubtful(m), 0);
}

/* The room's own event may come before the subscription's: which message is news, it can't tell. */
static void test_room_before_its_subscription(void **state)
{
    const struct rc_subscription sub = {
        .id = SLICE_LIT("s"), .rid = SLICE_LIT("r"), .ts_ms = T(10)};
    struct rc_room room = {.id = SLICE_LIT("r"), .msgs = 7, .updated_ms = T(10)};

    (void)state;
    room.last_message = message("r", "a", 9, 9);
    assert_int_equal(room_memory_see_room(m, RC_INSERTED, &room, NULL), ROOM_SIGHT_REPEAT);
    assert_true(room_memory_subscription_inserted(m, &sub));
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == T(9) - 5000);
    assert_int_equal(repaired("a", 9, 9), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("b", 10, 10), ROOM_SIGHT_FIRST);
}

/* ... and it may be the last one, which the room's event has shown already. */
static void test_shown_before_its_subscription(void **state)
{
    const struct rc_subscription sub = {
        .id = SLICE_LIT("s"), .rid = SLICE_LIT("r"), .ts_ms = T(10)};
    struct rc_room room = {.id = SLICE_LIT("r"), .msgs = 7, .updated_ms = T(11)};

    (void)state;
    room.last_message = message("r", "b", 10, 10);
    assert_int_equal(room_memory_see_room(m, RC_INSERTED, &room, NULL), ROOM_SIGHT_REPEAT);
    assert_int_equal(room_memory_see_room(m, RC_UPDATED, &room, NULL), ROOM_SIGHT_REPEAT);
    assert_true(room_memory_subscription_inserted(m, &sub));
    assert_int_equal(room_memory_see_room(m, RC_UPDATED, &room, NULL), ROOM_SIGHT_REPEAT);
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == T(10) - 5000);
    assert_int_equal(repaired("a", 9, 9), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("b", 10, 10), ROOM_SIGHT_FIRST);
    assert_int_equal(repaired("b", 10, 10), ROOM_SIGHT_REPEAT);
}

/* The last message came by an answer, and was forgotten since. An event that shows it again is
 * about another one. */
static void test_last_of_an_answer_is_known(void **state)
{
    struct rc_message reply = message("r", "reply", 4.5, 4.5);
    char id[16];

    (void)state;
    lacking(10, 1, "a", 1);
    room_memory_gap(m);
    assert_int_equal(repaired("b", 3, 3), ROOM_SIGHT_FIRST);
    assert_int_equal(repaired("c", 4, 4), ROOM_SIGHT_FIRST);
    reply.tmid = SLICE_LIT("a");
    assert_int_equal(room_memory_see_repaired(m, &reply, T(1) - 5000), ROOM_SIGHT_FIRST);
    room_memory_repaired(m, SLICE_LIT("r"), T(4));
    for (int i = 0; i < 64; i++) {
        snprintf(id, sizeof id, "x%d", i);
        stream("other", id, 5 + i * 0.01, 5 + i * 0.01);
    }
    assert_int_equal(changed("r", 14, 20, "c", 4, 4), ROOM_SIGHT_REPEAT);
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) != RC_NO_DATE);
}

/* Dated back, it does not show until the last one is deleted; edited, it seems an old one. */
static void test_dated_back_and_shown(void **state)
{
    struct rc_room room = {.id = SLICE_LIT("r"), .msgs = 10, .updated_ms = T(111)};

    (void)state;
    lacking(10, 100, "a", 100);
    lacking(11, 110, "a", 100);
    room.last_message = message("r", "b", 20, 109);
    room.last_message.edited = true;
    assert_int_equal(room_memory_see_room(m, RC_UPDATED, &room, NULL), ROOM_SIGHT_LATER);
    room.last_message = message("r", "c", 20, 110);
    assert_int_equal(room_memory_see_room(m, RC_UPDATED, &room, NULL), ROOM_SIGHT_FIRST);
    assert_int_equal(repaired("c", 20, 110), ROOM_SIGHT_REPEAT);
}

/* Of the last message's millisecond, in the list, another may be news. */
static void test_ties_with_the_list(void **state)
{
    (void)state;
    fill_rooms(
        "[{\"_id\":\"r\",\"msgs\":5,\"_updatedAt\":{\"$date\":9000000},\"lastMessage\":{\"_id\":"
        "\"a\",\"ts\":{\"$date\":9000000},\"_updatedAt\":{\"$date\":9000000}}}]");
    room_memory_doubt(m, SLICE_LIT("r"), RC_NO_DATE);
    for (int i = 0; i < 2; i++) {
        struct rc_message msg = {.id = i == 0 ? SLICE_LIT("a") : SLICE_LIT("b"),
                                 .rid = SLICE_LIT("r"),
                                 .ts_ms = 9000000,
                                 .updated_ms = 9000000};

        assert_int_equal(room_memory_see_repaired(m, &msg, 9000000 - 5000),
                         i == 0 ? ROOM_SIGHT_REPEAT : ROOM_SIGHT_FIRST);
    }
}

static void test_absence(void **state)
{
    const struct rc_subscription again = {
        .id = SLICE_LIT("s2"), .rid = SLICE_LIT("r"), .ts_ms = T(10)};

    (void)state;
    inserted("s", "r");
    lacking(10, 1, "a", 1);
    assert_true(room_memory_subscription_inserted(m, &again));
    lacking(20, 12, "x", 12);
    /* Since when she was away is not known yet: all of it is none of hers. */
    assert_int_equal(repaired("b", 4, 4), ROOM_SIGHT_REPEAT);
    assert_true(room_memory_left(m, SLICE_LIT("r"), T(5)));
    assert_int_equal(repaired("c", 4, 4), ROOM_SIGHT_FIRST);
    assert_int_equal(repaired("d", 6, 6), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("e", 10, 10), ROOM_SIGHT_FIRST);
    assert_int_equal(repaired("d", 6, 11), ROOM_SIGHT_LATER); /* edited in her time */
    room_memory_repaired(m, SLICE_LIT("r"), RC_NO_DATE);
    assert_false(room_memory_left(m, SLICE_LIT("r"), T(5))); /* before her time, now */
    assert_true(room_memory_left(m, SLICE_LIT("r"), T(13)));
    assert_int_equal(changed("r", 21, 14, "f", 14, 14), ROOM_SIGHT_REPEAT);
    room_memory_returned(m, SLICE_LIT("r"), T(15));
    assert_int_equal(changed("r", 22, 16, "g", 16, 16), ROOM_SIGHT_FIRST);
}

static char compared[256];

static void on_moved(void *arg, struct slice rid, int64_t moved)
{
    (void)arg;
    snprintf(compared + strlen(compared), sizeof compared - strlen(compared), "%.*s%+d ",
             (int)rid.len, rid.ptr, (int)moved);
}

static void on_joined(void *arg, const struct rc_subscription *sub)
{
    (void)arg;
    snprintf(compared + strlen(compared), sizeof compared - strlen(compared), "+%.*s ",
             (int)sub->rid.len, sub->rid.ptr);
}

static void on_left(void *arg, struct slice sub_id, struct slice rid)
{
    (void)arg;
    snprintf(compared + strlen(compared), sizeof compared - strlen(compared), "-%.*s/%.*s ",
             (int)sub_id.len, sub_id.ptr, (int)rid.len, rid.ptr);
}

static void test_gap(void **state)
{
    const struct room_membership to = {on_joined, on_left, NULL};

    (void)state;
    compared[0] = '\0';
    assert_true(room_memory_fill_subscriptions(
        m, SLICE_LIT("[{\"_id\":\"s\",\"rid\":\"r\"},{\"_id\":\"t\",\"rid\":\"q\"}]")));
    assert_true(room_memory_fill_rooms(
        m, SLICE_LIT("[{\"_id\":\"r\",\"msgs\":5,\"_updatedAt\":{\"$date\":9000000}},"
                     "{\"_id\":\"q\",\"msgs\":5,\"_updatedAt\":{\"$date\":9000000}}]")));
    room_memory_gap(m);
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == 9000000 - 5000);
    assert_false(room_memory_check_subscriptions(m, SLICE_LIT("7"), &to)); /* nobody has left */
    assert_true(room_memory_check_subscriptions(
        m, SLICE_LIT("[{\"_id\":\"s\",\"rid\":\"r\"},{\"_id\":\"u\",\"rid\":\"n\"}]"), &to));
    assert_string_equal(compared, "+n -t/q ");
    compared[0] = '\0';
    assert_true(room_memory_check_rooms(
        m, SLICE_LIT("[{\"_id\":\"r\",\"msgs\":5,\"_updatedAt\":{\"$date\":9000000}}]"), on_moved,
        NULL));
    assert_string_equal(compared, "");
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == RC_NO_DATE);
    assert_true(room_memory_check_rooms(
        m, SLICE_LIT("[{\"_id\":\"r\",\"msgs\":8,\"_updatedAt\":{\"$date\":9001000}}]"), on_moved,
        NULL));
    assert_string_equal(compared, "r+3 ");
    room_memory_give_up(m, SLICE_LIT("r"));
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == RC_NO_DATE);
}

/* What a list or an event has shown to be missing stays so until it is repaired: neither a second
 * look at the rooms nor another gap before that makes it complete. */
static void test_lacking_survives_looks_and_gaps(void **state)
{
    const struct slice later =
        SLICE_LIT("[{\"_id\":\"r\",\"msgs\":8,\"_updatedAt\":{\"$date\":9001000}}]");

    (void)state;
    fill_rooms("[{\"_id\":\"r\",\"msgs\":5,\"_updatedAt\":{\"$date\":9000000}}]");
    room_memory_gap(m);
    for (int i = 0; i < 3; i++) {
        compared[0] = '\0';
        assert_true(room_memory_check_rooms(m, later, on_moved, NULL));
        assert_string_equal(compared, i == 0 ? "r+3 " : "r+0 ");
        assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == 9000000 - 5000);
        if (i > 0)
            room_memory_gap(m);
    }
    room_memory_repaired(m, SLICE_LIT("r"), RC_NO_DATE);
    room_memory_gap(m);
    compared[0] = '\0';
    assert_true(room_memory_check_rooms(m, later, on_moved, NULL));
    assert_string_equal(compared, "");
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) == RC_NO_DATE);

    room_memory_doubt(m, SLICE_LIT("r"), RC_NO_DATE);
    assert_true(room_memory_check_rooms(m, later, on_moved, NULL));
    assert_string_equal(compared, "r+0 ");
}

/* ---- what test_room_feed_model found ---- */

static void fill_with(int64_t msgs, double at, const char *id, double ts)
{
    struct byte_buf json = {0};

    byte_buf_printf(&json, "[{\"_id\":\"r\",\"msgs\":%d,\"_updatedAt\":{\"$date\":%lld}", (int)msgs,
                    (long long)T(at));
    if (id != NULL)
        byte_buf_printf(&json,
                        ",\"lastMessage\":{\"_id\":\"%s\",\"rid\":\"r\",\"ts\":{\"$date\":%lld},"
                        "\"_updatedAt\":{\"$date\":%lld}}",
                        id, (long long)T(ts), (long long)T(ts));
    byte_buf_puts(&json, "}]");
    assert_true(room_memory_fill_rooms(m, byte_buf_slice(&json)));
    byte_buf_free(&json);
}

/* What was there before is known by the list, though an event came before it ... */
static void test_list_behind_an_event(void **state)
{
    (void)state;
    lacking(5, 100, "c", 20);
    fill_with(5, 100, "c", 20);
    room_memory_gap(m);
    assert_int_equal(repaired("b", 19.9, 19.9), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("c", 20, 20), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("d", 101, 101), ROOM_SIGHT_FIRST);
    /* ... and it brings back nothing that was deleted meanwhile. */
    open_with(100, 64);
    lacking(5, 100, "c", 100);
    assert_true(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("c"), T(101), 0));
    fill_with(5, 100, "c", 100);
    assert_false(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("c"), T(101), 0));
}

/* The last message of a list need not be the last that was written: replies inside threads are not,
 * and a room may show none at all. */
static void test_list_of_a_room_that_goes_on_behind_its_last_message(void **state)
{
    (void)state;
    fill_with(5, 100, "c", 20);
    room_memory_doubt(m, SLICE_LIT("r"), RC_NO_DATE);
    assert_int_equal(repaired("reply", 90, 90), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("d", 99, 99), ROOM_SIGHT_FIRST); /* by a clock that is slow */
    open_with(100, 64);
    fill_with(5, 100, NULL, 0);
    assert_int_equal(changed("r", 4, 101, "a", 20, 20), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("b", 99, 99), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("d", 101, 101), ROOM_SIGHT_FIRST);
}

/* Dated back in the overlap: news if it is not known, as others are. */
static void test_dated_back_in_the_overlap(void **state)
{
    (void)state;
    fill_with(5, 10, "a", 10);
    assert_false(lacking(6, 200, "b", 200));
    assert_true(lacking(7, 200, "b", 200));
    assert_int_equal(repaired("c", 20, 200), ROOM_SIGHT_FIRST);
    assert_int_equal(repaired("d", 20, 194), ROOM_SIGHT_REPEAT);
}

static void forget_all(double at)
{
    char id[16];

    for (int i = 0; i < 64; i++) {
        snprintf(id, sizeof id, "x%d", i);
        stream("other", id, at + i * 0.001, at + i * 0.001);
    }
}

/* Told, forgotten, and shown again. */
static void test_forgotten_and_shown_again(void **state)
{
    (void)state;
    fill_with(5, 10, "a", 10);
    assert_false(lacking(6, 20, "b", 20));
    assert_false(lacking(7, 22, "c", 22));
    forget_all(23);
    assert_int_equal(changed("r", 6, 20, "b", 20, 20), ROOM_SIGHT_REPEAT); /* late */
    room_memory_repaired(m, SLICE_LIT("r"), T(22));
    /* c was deleted, and two replies inside threads came. Or b is news, by a slow clock. */
    assert_int_equal(changed("r", 8, 24, "b", 20, 20), ROOM_SIGHT_REPEAT);
    room_memory_pin(m, true);
    assert_int_equal(repaired("b", 20, 20), ROOM_SIGHT_REPEAT);
    assert_int_equal(room_memory_take_doubtful(m), 1);
    assert_int_equal(repaired("d", 23.5, 23.5), ROOM_SIGHT_FIRST);
    assert_int_equal(room_memory_take_doubtful(m), 0);
    /* Told and forgotten is also what somebody has touched since. */
    assert_int_equal(repaired("c", 22, 24), ROOM_SIGHT_REPEAT);
    assert_int_equal(room_memory_take_doubtful(m), 1);
}

/* Asked for from further back than what was told, an answer brings deletions again. */
static void test_forgotten_deletion_behind_the_mark(void **state)
{
    (void)state;
    fill_with(5, 10, "a", 10);
    lacking(4, 20, "a", 10);
    assert_true(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("b"), T(20), T(10) - 5000));
    room_memory_repaired(m, SLICE_LIT("r"), T(20));
    forget_all(21);
    assert_false(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("b"), T(20), T(12)));
    assert_true(room_memory_see_deleted(m, SLICE_LIT("r"), SLICE_LIT("c"), T(22), T(12)));
}

/* Seen before it counted, and counted by an event that misses another one: it counts no more. */
static void test_counted_ahead_only_until_something_is_missed(void **state)
{
    (void)state;
    fill_with(10, 10, "a", 10);
    stream("r", "b", 20, 20);
    assert_true(lacking(12, 21, "b", 20));
    assert_int_equal(repaired("c", 20.5, 20.5), ROOM_SIGHT_FIRST);
    room_memory_repaired(m, SLICE_LIT("r"), T(21));
    assert_true(lacking(13, 30, "b", 20));
}

/* What was told some time ago has been counted, or something was undone. */
static void test_counted_by_then(void **state)
{
    (void)state;
    fill_with(10, 10, "a", 10);
    stream("r", "b", 20, 20);
    stream("r", "c", 20.1, 20.1);
    assert_false(lacking(11, 20.2, "b", 20)); /* it may lag a little */
    assert_false(lacking(12, 20.3, "c", 20.1));
    stream("r", "d", 22, 22);
    stream("r", "e", 22.1, 22.1);
    assert_true(lacking(13, 22.5, "e", 22.1)); /* one was deleted */
    room_memory_repaired(m, SLICE_LIT("r"), T(22.5));
    assert_true(lacking(14, 30, "e", 22.1));
    room_memory_repaired(m, SLICE_LIT("r"), T(30));
    /* An answer that has all that the counter has ends the doubt. */
    stream("r", "g", 40, 40);
    stream("r", "h", 40.1, 40.1);
    assert_false(lacking(15, 40.2, "h", 40.1)); /* one was deleted, after all */
    room_memory_repaired(m, SLICE_LIT("r"), T(40.2));
    assert_true(lacking(16, 40.3, "h", 40.1));
}

/* While messages are lacking the one that is shown may be one of them, and counted. */
static void test_lacking_ones_are_counted(void **state)
{
    (void)state;
    fill_with(10, 10, "a", 10);
    assert_true(lacking(13, 20, "c", 19));
    assert_true(hinted(14, 21, "b", 19.5).missed); /* c was deleted, two replies came */
    assert_false(hinted(15, 22, "d", 22).missed);
    /* By a clock that is slow, or from before the list. */
    room_memory_repaired(m, SLICE_LIT("r"), T(22));
    assert_true(hinted(16, 23, "e", 9).missed);
}

/* It was on its way when an event overtook it. */
static void test_list_older_than_an_event(void **state)
{
    (void)state;
    fill_with(5, 10, "a", 10);
    compared[0] = '\0';
    assert_false(lacking(6, 20, "b", 20));
    assert_true(room_memory_check_rooms(
        m, SLICE_LIT("[{\"_id\":\"r\",\"msgs\":5,\"_updatedAt\":{\"$date\":1714557610000}}]"),
        on_moved, NULL));
    assert_string_equal(compared, "");
    assert_false(lacking(7, 30, "c", 30));
}

/* Taken for an old one, and shown again in a later version, it is still for the answer to tell. */
static void test_later_version_of_one_that_may_be_news(void **state)
{
    struct rc_message edited = message("r", "b", 20, 22);

    (void)state;
    fill_with(10, 10, "a", 10);
    assert_true(lacking(12, 21, "c", 21));
    assert_int_equal(changed("r", 11, 21.5, "b", 20, 20), ROOM_SIGHT_REPEAT); /* c is gone */
    assert_int_equal(changed("r", 11, 22, "b", 20, 22), ROOM_SIGHT_LATER);
    edited.edited = true;
    assert_int_equal(room_memory_see_repaired(m, &edited, T(10) - 5000), ROOM_SIGHT_FIRST);
    assert_int_equal(room_memory_see_repaired(m, &edited, T(10) - 5000), ROOM_SIGHT_REPEAT);
}

/* Written in a gap and touched behind it, it comes by the stream before the answer does. */
static void test_touched_behind_a_gap(void **state)
{
    struct rc_message edited = message("r", "b", 20, 30);

    (void)state;
    edited.edited = true;
    for (int i = 0; i < 2; i++) {
        open_with(100, 64);
        fill_with(10, 10, "a", 10);
        room_memory_gap(m);
        assert_int_equal(stream("r", "c", 30, 30), ROOM_SIGHT_FIRST);
        if (i == 0)
            assert_int_equal(room_memory_see_message(m, &edited), ROOM_SIGHT_FIRST);
        else
            assert_int_equal(changed("r", 12, 30, "b", 20, 30), ROOM_SIGHT_FIRST);
        assert_int_equal(room_memory_see_repaired(m, &edited, T(10) - 5000), ROOM_SIGHT_REPEAT);
    }
    open_with(100, 64);
    fill_with(10, 10, "a", 10);
    room_memory_gap(m);
    assert_int_equal(stream("r", "c", 30, 30), ROOM_SIGHT_FIRST);
    assert_int_equal(changed("r", 10, 31, "b", 20, 31), ROOM_SIGHT_LATER); /* one was deleted */
    edited.updated_ms = T(31);
    assert_int_equal(room_memory_see_repaired(m, &edited, T(10) - 5000), ROOM_SIGHT_FIRST);
}

/* In no list, and before its subscription's event, a room waits for that: only it says which
 * messages are from the user's time. */
static void test_room_awaits_its_subscription(void **state)
{
    const struct rc_subscription sub = {
        .id = SLICE_LIT("s"), .rid = SLICE_LIT("r"), .ts_ms = T(10)};
    struct room_hint hint;

    (void)state;
    assert_true(room_memory_fill_subscriptions(m, SLICE_LIT("[]")));
    fill_rooms("[]");
    for (int i = 0; i < 2; i++) { /* by the first it was seen */
        assert_int_equal(changed("r", 5 + i, 11 + i, "a", 9, 9), ROOM_SIGHT_REPEAT);
        hint = hinted(5 + i, 11 + i, "b", 11);
        assert_false(hint.lacking || hint.missed || hint.burst);
        compared[0] = '\0';
        assert_true(room_memory_check_rooms(
            m, SLICE_LIT("[{\"_id\":\"r\",\"msgs\":9,\"_updatedAt\":{\"$date\":1714557620000}}]"),
            on_moved, NULL));
        assert_string_equal(compared, "");
    }
    assert_true(room_memory_subscription_inserted(m, &sub));
    assert_true(room_memory_lacking_since(m, SLICE_LIT("r")) <= T(10) - 5000);
    assert_int_equal(repaired("a", 9, 9), ROOM_SIGHT_REPEAT);
    assert_int_equal(repaired("b", 11, 11), ROOM_SIGHT_FIRST);
    /* Late, it shows what was there before. */
    room_memory_repaired(m, SLICE_LIT("r"), T(20));
    assert_false(lacking(7, 12.5, "c", 12.5));
    assert_int_equal(changed("r", 8, 11.5, "d", 9.5, 9.5), ROOM_SIGHT_REPEAT);
    /* A subscription without a date is nothing to wait for. */
    assert_true(inserted("s2", "r2"));
    assert_int_equal(changed("r2", 1, 20, "e", 20, 20), ROOM_SIGHT_FIRST);
}

/* The newest of an answer is not the room's last one if that is gone, or dated back. */
static void test_last_of_an_answer_that_is_gone(void **state)
{
    struct rc_message gone = message("r", "b", 20, 22);

    (void)state;
    fill_with(10, 10, "a", 10);
    assert_false(lacking(11, 20, "b", 20));
    assert_true(lacking(10, 22, "a", 10));
    gone.type = SLICE_LIT("rm");
    assert_int_equal(room_memory_see_repaired(m, &gone, T(10) - 5000), ROOM_SIGHT_LATER);
    room_memory_repaired(m, SLICE_LIT("r"), T(22));
    forget_all(23);
    assert_true(lacking(11, 30, "a", 10)); /* a reply inside a thread */
}

/* What remains of a message on its room's own stream is a deletion that is still to be counted. */
static void test_removed_by_the_stream(void **state)
{
    struct rc_message gone = message("r", "a", 10, 20);

    (void)state;
    fill_with(10, 10, "a", 10);
    gone.type = SLICE_LIT("rm");
    assert_int_equal(room_memory_see_message(m, &gone), ROOM_SIGHT_LATER);
    assert_false(lacking(9, 20, NULL, 0));
}

/* Random comings and goings of rooms against plain arrays: the table never mixes ids up. */
static void test_table_against_model(void **state)
{
    enum { N = 60 };
    bool here[N] = {0};
    char rid[16], sub[16];
    uint32_t seed = 4242;

    (void)state;
    open_with(N, 8);
    for (int step = 0; step < 20000; step++) {
        unsigned i;

        seed = seed * 1664525u + 1013904223u;
        i = (seed >> 8) % N;
        snprintf(rid, sizeof rid, "r%u%.*s", i, (int)(i % 7), "xxxxxxx");
        snprintf(sub, sizeof sub, "s%u", i);
        if (seed >> 31) {
            assert_int_equal(inserted(sub, rid), !here[i]);
            here[i] = true;
        } else {
            expect_removed(sub, "", here[i] ? rid : "");
            here[i] = false;
        }
        if (step % 50 == 0)
            for (i = 0; i < N; i++) {
                snprintf(rid, sizeof rid, "r%u%.*s", i, (int)(i % 7), "xxxxxxx");
                assert_int_equal(room_memory_is_member(m, slice_of(rid)), here[i]);
            }
    }
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_first_later_repeat),
        TEST(test_nothing_old_looks_new),
        TEST(test_rooms_without_a_list),
        TEST(test_counter),
        TEST(test_events_overtake),
        TEST(test_stream),
        TEST(test_dates_missing),
        TEST(test_forgotten_message_is_not_new),
        TEST(test_lists_fill_only_gaps),
        TEST(test_subscriptions),
        TEST(test_subscriptions_of_later_lists),
        TEST(test_deleted_room_keeps_its_id_for_the_subscription),
        TEST(test_list_forms),
        TEST(test_long_ids),
        TEST(test_bound),
        TEST(test_unfit_ids_push_nothing_out),
        TEST(test_size),
        TEST(test_lacking),
        TEST(test_counter_behind_the_stream),
        TEST(test_overtaken_event_shows_nothing_new),
        TEST(test_overtaken_behind_the_mark),
        TEST(test_bursts),
        TEST(test_joined_room_starts_at_its_subscription),
        TEST(test_deletions_are_told_once),
        TEST(test_forgotten_deletions_are_not_told_again),
        TEST(test_deletions_move_the_mark),
        TEST(test_pinned),
        TEST(test_room_before_its_subscription),
        TEST(test_shown_before_its_subscription),
        TEST(test_last_of_an_answer_is_known),
        TEST(test_dated_back_and_shown),
        TEST(test_ties_with_the_list),
        TEST(test_absence),
        TEST(test_gap),
        TEST(test_lacking_survives_looks_and_gaps),
        TEST(test_list_behind_an_event),
        TEST(test_list_of_a_room_that_goes_on_behind_its_last_message),
        TEST(test_dated_back_in_the_overlap),
        TEST(test_forgotten_and_shown_again),
        TEST(test_forgotten_deletion_behind_the_mark),
        TEST(test_counted_ahead_only_until_something_is_missed),
        TEST(test_counted_by_then),
        TEST(test_lacking_ones_are_counted),
        TEST(test_list_older_than_an_event),
        TEST(test_later_version_of_one_that_may_be_news),
        TEST(test_touched_behind_a_gap),
        TEST(test_room_awaits_its_subscription),
        TEST(test_last_of_an_answer_that_is_gone),
        TEST(test_removed_by_the_stream),
        TEST(test_table_against_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
