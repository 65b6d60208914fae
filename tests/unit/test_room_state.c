#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/byte_buf.h"
#include "base/hash.h"
#include "base/json_slice.h"
#include "rocketchat/room_state.h"
#include <stdio.h>
#include <string.h>

#define MESSAGE(id, at)                                                                            \
    "{\"_id\":\"" id "\",\"rid\":\"r1\",\"msg\":\"hi\",\"ts\":{\"$date\":" at                      \
    "},\"_updatedAt\":{\"$date\":" at "}}"
#define ROOM(id, msgs, at, last)                                                                   \
    "{\"_id\":\"" id "\",\"msgs\":" msgs ",\"_updatedAt\":{\"$date\":" at                          \
    "},\"lastMessage\":" last "}"
#define M1 MESSAGE("m1", "1700000000000")
#define M2 MESSAGE("m2", "1700000010000")
#define M3 MESSAGE("m3", "1700000020000")

static struct room_memory *m;
static struct byte_buf state_bytes;
static char moved[256];

static int start(void **state)
{
    static const uint8_t key[16] = "room state tests";

    (void)state;
    hash_seed(key);
    m = room_memory_new(10, 16);
    assert_true(room_memory_fill_subscriptions(
        m, SLICE_LIT("[{\"_id\":\"s1\",\"rid\":\"r1\"},{\"_id\":\"s2\",\"rid\":\"r2\"}]")));
    assert_true(room_memory_fill_rooms(
        m, SLICE_LIT("[" ROOM("r1", "1", "1700000000000",
                              M1) ",{\"_id\":\"r2\",\"msgs\":0,"
                                  "\"_updatedAt\":{\"$date\":1700000000000}}]")));
    return 0;
}

static int stop(void **state)
{
    (void)state;
    room_memory_free(m);
    byte_buf_free(&state_bytes);
    moved[0] = '\0';
    return 0;
}

static struct rc_message message_of(const char *json)
{
    struct json_reader r;
    struct rc_message message;

    json_reader_init(&r, json, strlen(json), 20);
    rc_message_read(&r, &message);
    return message;
}

static enum room_sight see_room(const char *json)
{
    struct json_reader r;
    struct rc_room room;

    json_reader_init(&r, json, strlen(json), 20);
    rc_room_read(&r, &room);
    return room_memory_see_room(m, RC_UPDATED, &room, NULL);
}

static void take_over(uint16_t max_rooms, uint16_t max_messages)
{
    byte_buf_clear(&state_bytes);
    room_state_write(m, &state_bytes);
    assert_false(byte_buf_failed(&state_bytes));
    room_memory_free(m);
    m = room_state_read(byte_buf_slice(&state_bytes), max_rooms, max_messages);
}

static void on_moved(void *arg, struct slice rid, int64_t by)
{
    (void)arg;
    snprintf(moved + strlen(moved), sizeof moved - strlen(moved), "%.*s%+d ", (int)rid.len, rid.ptr,
             (int)by);
}

static const char *check_rooms(const char *rooms)
{
    moved[0] = '\0';
    room_memory_gap(m);
    assert_true(room_memory_check_rooms(m, slice_of(rooms), on_moved, NULL));
    return moved;
}

static void test_what_was_told_stays_told(void **state)
{
    (void)state;
    see_room(ROOM("r1", "2", "1700000010000", M2));
    take_over(10, 16);
    assert_non_null(m);
    assert_true(room_memory_is_member(m, SLICE_LIT("r1")));
    assert_true(room_memory_is_member(m, SLICE_LIT("r2")));
    assert_string_equal(check_rooms("[" ROOM("r1", "2", "1700000010000", M2) "]"), "");
    assert_int_equal(see_room(ROOM("r1", "2", "1700000010000", M2)), ROOM_SIGHT_REPEAT);
    assert_string_equal(check_rooms("[" ROOM("r1", "3", "1700000020000", M3) "]"), "r1+1 ");
    assert_int_equal(room_memory_lacking_since(m, SLICE_LIT("r1")), 1700000010000 - 5000);
}

/* What did not arrive looks new in the answer to the repair, and only that. */
static void test_unseen_messages_are_fetched(void **state)
{
    struct rc_message m1 = message_of(M1), m2 = message_of(M2), m3 = message_of(M3);
    int64_t since;

    (void)state;
    see_room(ROOM("r1", "2", "1700000010000", M2));
    see_room(ROOM("r1", "3", "1700000020000", M3));
    room_state_unsee(m, &m3);
    take_over(10, 16);
    /* The counter did not move, and yet the room is looked at. */
    assert_string_equal(check_rooms("[" ROOM("r1", "3", "1700000020000", M3) "]"), "r1+0 ");
    since = room_memory_lacking_since(m, SLICE_LIT("r1"));
    assert_true(since <= 1700000020000 - 1);
    assert_int_equal(room_memory_see_repaired(m, &m1, since), ROOM_SIGHT_REPEAT);
    assert_int_equal(room_memory_see_repaired(m, &m2, since), ROOM_SIGHT_REPEAT);
    assert_int_equal(room_memory_see_repaired(m, &m3, since), ROOM_SIGHT_FIRST);
    assert_int_equal(room_memory_see_repaired(m, &m3, since), ROOM_SIGHT_REPEAT);
}

static void test_smaller_bounds(void **state)
{
    struct room_memory_stats stats;

    (void)state;
    see_room(ROOM("r1", "2", "1700000010000", M2));
    see_room(ROOM("r1", "3", "1700000020000", M3));
    take_over(1, 1);
    assert_non_null(m);
    room_memory_stats(m, &stats);
    assert_int_equal(stats.rooms, 1);
    assert_int_equal(stats.messages, 1);
}

/* Cut anywhere it is none; any byte of it may be anything, and nothing breaks. */
static void test_every_damage(void **state)
{
    (void)state;
    see_room(ROOM("r1", "2", "1700000010000", M2));
    take_over(10, 16);
    for (size_t len = 0; len < state_bytes.len; len++)
        assert_null(room_state_read((struct slice){state_bytes.data, len}, 10, 16));
    for (size_t i = 0; i < state_bytes.len; i++)
        for (unsigned bit = 0; bit < 8; bit++) {
            state_bytes.data[i] = (char)(state_bytes.data[i] ^ 1 << bit);
            room_memory_free(room_state_read(byte_buf_slice(&state_bytes), 10, 16));
            state_bytes.data[i] = (char)(state_bytes.data[i] ^ 1 << bit);
        }
}

static void test_ids_that_are_none(void **state)
{
    char *rid;

    (void)state;
    take_over(10, 16);
    rid = memmem(state_bytes.data, state_bytes.len, "r1", 2);
    assert_non_null(rid);
    rid[1] = '"'; /* it would go into a question to Rocket.Chat */
    assert_null(room_state_read(byte_buf_slice(&state_bytes), 10, 16));
    rid[1] = '\n';
    assert_null(room_state_read(byte_buf_slice(&state_bytes), 10, 16));
    rid[1] = '\\'; /* and would take the quote behind it along */
    assert_null(room_state_read(byte_buf_slice(&state_bytes), 10, 16));
    rid[1] = '\xff';
    assert_null(room_state_read(byte_buf_slice(&state_bytes), 10, 16));
    rid[1] = '1';
    room_memory_free(m);
    m = room_state_read(byte_buf_slice(&state_bytes), 10, 16);
    assert_non_null(m);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_what_was_told_stays_told), T(test_unseen_messages_are_fetched),
        T(test_smaller_bounds),           T(test_every_damage),
        T(test_ids_that_are_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
