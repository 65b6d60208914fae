#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/byte_buf.h"
#include "bridge/replay/replay_state.h"
#include <string.h>

static struct byte_buf records, file;

static int stop(void **state)
{
    (void)state;
    byte_buf_free(&records);
    byte_buf_free(&file);
    return 0;
}

static void put(const char *key, unsigned nslots)
{
    struct replay_state_user user = {.key = slice_of(key),
                                     .username = SLICE_LIT("ana"),
                                     .nslots = nslots,
                                     .rooms = SLICE_LIT("rooms")};

    for (unsigned i = 0; i < nslots; i++)
        user.slots[i] = (struct replay_state_slot){i + 1, -5 + (int64_t)i, i % 2 == 1};
    replay_state_put_user(&records, &user);
}

static void write_file(void)
{
    struct replay_state state = {.saved_ms = 1700000000000,
                                 .hash_key = "sixteen bytes ..",
                                 .records = byte_buf_slice(&records)};

    byte_buf_clear(&file);
    replay_state_write(&file, &state);
    assert_false(byte_buf_failed(&file));
}

static void test_round_trip(void **state)
{
    struct replay_state read;
    struct replay_state_user user;

    (void)state;
    put("42@1", 3);
    put("43", LOST_SLOTS_MAX);
    put("44", 0);
    write_file();
    assert_null(replay_state_read(byte_buf_slice(&file), &read));
    assert_int_equal(read.saved_ms, 1700000000000);
    assert_memory_equal(read.hash_key, "sixteen bytes ..", 16);
    assert_true(replay_state_next_user(&read.records, &user));
    assert_true(slice_eq(user.key, SLICE_LIT("42@1")));
    assert_true(slice_eq(user.username, SLICE_LIT("ana")));
    assert_true(slice_eq(user.rooms, SLICE_LIT("rooms")));
    assert_int_equal(user.nslots, 3);
    assert_int_equal(user.slots[1].client, 2);
    assert_int_equal(user.slots[1].ends_ms, -4);
    assert_true(user.slots[1].behind && !user.slots[2].behind);
    assert_true(replay_state_next_user(&read.records, &user));
    assert_int_equal(user.nslots, LOST_SLOTS_MAX);
    assert_true(replay_state_next_user(&read.records, &user));
    assert_int_equal(read.records.len, 0);
    assert_false(replay_state_next_user(&read.records, &user));
}

/* Whatever byte is changed, and wherever it breaks off, it is refused. */
static void test_every_damage(void **state)
{
    struct replay_state read;

    (void)state;
    put("42@1", 2);
    write_file();
    for (size_t len = 0; len < file.len; len++)
        assert_non_null(replay_state_read((struct slice){file.data, len}, &read));
    for (size_t i = 0; i < file.len; i++) {
        file.data[i] = (char)(file.data[i] ^ 0x40);
        assert_non_null(replay_state_read(byte_buf_slice(&file), &read));
        file.data[i] = (char)(file.data[i] ^ 0x40);
    }
    byte_buf_putc(&file, 'x');
    assert_non_null(replay_state_read(byte_buf_slice(&file), &read));
}

static void test_broken_records(void **state)
{
    struct replay_state_user user;

    (void)state;
    put("42@1", 2);
    for (size_t len = 0; len < records.len; len++) {
        struct slice rest = {records.data, len};

        assert_false(replay_state_next_user(&rest, &user));
        assert_int_equal(rest.len, len);
    }
    records.data[2 + 4 + 2 + 3] = LOST_SLOTS_MAX + 1; /* the number of slots */
    assert_false(replay_state_next_user(&(struct slice){records.data, records.len}, &user));
    memset(records.data, 0, records.len); /* a key of no bytes */
    assert_false(replay_state_next_user(&(struct slice){records.data, records.len}, &user));
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, stop)
    const struct CMUnitTest tests[] = {
        T(test_round_trip),
        T(test_every_damage),
        T(test_broken_records),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
