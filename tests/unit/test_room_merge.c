#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/session/room_merge.h"
#include <stdio.h>
#include <string.h>

static void add(struct room_merge *m, const char *id, int64_t ts, int64_t updated,
                enum room_sight sight)
{
    const struct rc_message message = {.id = slice_of(id), .ts_ms = ts, .updated_ms = updated};

    room_merge_add(m, &message, sight);
}

static void test_order(void **state)
{
    struct room_merge m = {0};
    char got[256] = "";

    (void)state;
    room_merge_sort(&m);
    add(&m, "gone", 0, 0, ROOM_SIGHT_NONE);
    add(&m, "b", 20, 90, ROOM_SIGHT_LATER);
    add(&m, "ca", 30, 30, ROOM_SIGHT_FIRST);
    add(&m, "c", 30, 30, ROOM_SIGHT_FIRST); /* of the same millisecond */
    add(&m, "b", 20, 20, ROOM_SIGHT_FIRST);
    add(&m, "undated", RC_NO_DATE, 25, ROOM_SIGHT_FIRST);
    for (int i = 0; i < 60; i++)
        add(&m, "a", 10, 10 + i, ROOM_SIGHT_LATER);
    room_merge_sort(&m);
    assert_int_equal(m.count, 66);
    assert_false(m.failed);
    for (size_t i = 60; i < m.count; i++)
        snprintf(got + strlen(got), sizeof got - strlen(got), "%.*s@%d ",
                 (int)m.items[i].message.id.len, m.items[i].message.id.ptr,
                 (int)m.items[i].message.updated_ms);
    assert_string_equal(got, "b@20 b@90 undated@25 c@30 ca@30 gone@0 ");
    for (size_t i = 0; i < 60; i++)
        assert_int_equal(m.items[i].message.updated_ms, 10 + i);
    room_merge_free(&m);
}

static void test_bulk(void **state)
{
    static const struct {
        int64_t ts, updated;
        bool touched;
    } rows[] = {
        {1000, 200000, true},        {2000, 200000, true}, /* one update of both */
        {3000, 205000, true},                              /* and what came of it */
        {4000, 220000, false},                             /* dated back */
        {5000, 190000, false},                             /* before it */
        {190000, 200000, false},                           /* just written */
        {RC_NO_DATE, 200000, false}, {6000, RC_NO_DATE, false},
    };
    struct room_merge m = {0};

    (void)state;
    room_merge_mark_bulk(&m);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        add(&m, "m", rows[i].ts, rows[i].updated, ROOM_SIGHT_FIRST);
    room_merge_mark_bulk(&m);
    assert_false(m.failed);
    for (size_t i = 0; i < m.count; i++)
        assert_int_equal(m.items[i].message.touched, rows[i].touched);
    room_merge_free(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_order), cmocka_unit_test(test_bulk)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
