#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/replay/lost_slots.h"

static struct lost_slots l;

static int stop(void **state)
{
    (void)state;
    lost_slots_free(&l);
    return 0;
}

static bool add(uint64_t position, uint64_t client, uint64_t until_ms)
{
    return lost_slots_add(
        &l, &(struct lost_slot){.position = position, .client = client, .until_ms = until_ms});
}

/* 999: nothing to claim. */
static uint64_t claim(uint64_t client)
{
    uint64_t position;

    return lost_slots_claim(&l, client, &position) ? position : 999;
}

static void test_one_of_each_kind(void **state)
{
    (void)state;
    assert_int_equal(claim(1), 999);
    assert_int_equal(lost_slots_first_end_ms(&l), 0);
    assert_int_equal(lost_slots_last_end_ms(&l), 0);
    assert_true(lost_slots_needed_after(&l) == UINT64_MAX);
    assert_true(add(10, 1, 500));
    assert_true(add(20, 2, 400));
    assert_int_equal(lost_slots_first_end_ms(&l), 400);
    assert_int_equal(lost_slots_last_end_ms(&l), 500);
    assert_int_equal(lost_slots_needed_after(&l), 10);
    assert_int_equal(claim(3), 999);
    assert_int_equal(claim(1), 10);
    assert_int_equal(claim(1), 999); /* once */
    assert_int_equal(claim(2), 20);
    assert_null(l.slots);
}

/* Whoever comes first, nobody comes short. */
static void test_each_gets_the_lowest(void **state)
{
    (void)state;
    add(30, 1, 700);
    add(10, 1, 500);
    add(20, 1, 600);
    add(5, 2, 100);
    assert_int_equal(claim(1), 10);
    assert_int_equal(claim(1), 10);
    assert_int_equal(lost_slots_last_end_ms(&l), 700); /* the one lost last may be still away */
    assert_int_equal(claim(1), 10);
    assert_int_equal(claim(1), 999);
    assert_int_equal(claim(2), 5);
}

static void test_unknown_is_the_lowest(void **state)
{
    (void)state;
    add(30, 1, 700);
    add(LOST_SLOT_UNKNOWN, 1, 700);
    assert_int_equal(lost_slots_needed_after(&l), 30);
    assert_int_equal(claim(1), LOST_SLOT_UNKNOWN);
    assert_int_equal(claim(1), LOST_SLOT_UNKNOWN);
}

static void test_ends(void **state)
{
    (void)state;
    add(1, 1, 100);
    add(2, 1, 300);
    add(3, 2, 200);
    assert_int_equal(lost_slots_expire(&l, 99), 0);
    assert_int_equal(lost_slots_expire(&l, 200), 2);
    assert_int_equal(claim(2), 999);
    assert_int_equal(claim(1), 2);
    assert_int_equal(lost_slots_expire(&l, 1000), 0);
}

static bool doubt(uint64_t connection, uint64_t position)
{
    const struct lost_slot slot = {
        .position = position, .client = 1, .until_ms = 1000, .connection = connection};

    return lost_slots_doubt(&l, &slot, false);
}

static void test_in_doubt_and_dead(void **state)
{
    (void)state;
    assert_true(doubt(5, 10));
    assert_false(doubt(5, 10)); /* one slot for one connection */
    assert_int_equal(claim(1), 10);
    assert_false(doubt(5, 10)); /* ... ever */
    assert_int_equal(claim(1), 999);
    assert_false(lost_slots_end_doubt(&l, 5, true, 10)); /* that was it */
    assert_true(doubt(6, 10));
    assert_false(lost_slots_end_doubt(&l, 6, true, 10)); /* not claimed yet, and stays */
    assert_int_equal(claim(1), 10);
    assert_true(lost_slots_end_doubt(&l, 7, true, 10)); /* never was in doubt */
}

static void test_in_doubt_and_alive(void **state)
{
    (void)state;
    doubt(5, 10);
    assert_true(lost_slots_end_doubt(&l, 5, false, 0)); /* left in good order: nobody's slot */
    assert_int_equal(claim(1), 999);
    doubt(5, 10);
    assert_true(doubt(5, 12)); /* it had more, so it lived then, and is in doubt again */
    assert_int_equal(l.count, 1);
    assert_true(lost_slots_end_doubt(&l, 5, true, 15)); /* and again: lost at another place */
    assert_int_equal(claim(1), 999);
    assert_null(l.doubts);
}

/* Closing, it can't be sent more, but may acknowledge some of what it was. */
static void test_in_doubt_and_closing(void **state)
{
    const struct lost_slot slot = {.position = 10, .client = 1, .until_ms = 1000, .connection = 5};

    (void)state;
    assert_true(lost_slots_doubt(&l, &slot, true));
    assert_int_equal(claim(1), 10);
    assert_false(doubt(5, 12));
    assert_false(lost_slots_end_doubt(&l, 5, true, 13));
    assert_int_equal(claim(1), 999);
    assert_true(doubt(5, 10));
    assert_false(lost_slots_doubt(&l, &slot, true)); /* open then, closing now */
    assert_false(lost_slots_end_doubt(&l, 5, true, 13));
}

static void lives(uint64_t connection)
{
    assert_true(lost_slots_end_doubt(&l, connection, false, 0));
}

/* What a claim took of one that lives, it takes of the next highest. */
static void test_claimed_and_alive(void **state)
{
    (void)state;
    add(10, 1, 500); /* lost for certain */
    add(5, 2, 500);
    doubt(5, 40);
    doubt(6, 30);
    assert_int_equal(claim(1), 10);
    assert_int_equal(lost_slots_needed_after(&l), 5);
    lives(5); /* then it was not that one that came back */
    lives(6); /* nor that one */
    assert_int_equal(claim(1), 999);
    assert_int_equal(claim(2), 5);
    assert_null(l.slots);
}

static void test_claimed_in_part_and_alive(void **state)
{
    (void)state;
    doubt(5, 40);
    doubt(6, 30);
    assert_int_equal(claim(1), 30);
    lives(5);
    assert_int_equal(claim(1), 999); /* it was 6 */
    assert_false(lost_slots_end_doubt(&l, 6, true, 30));
    assert_null(l.slots);
    doubt(5, 40);
    doubt(6, 30);
    assert_int_equal(claim(1), 30);
    lives(6);
    assert_int_equal(claim(1), 999); /* it was 5 */
}

/* Nobody comes back before it was lost. */
static void test_claimed_before_the_next_was_lost(void **state)
{
    (void)state;
    doubt(5, 40);
    assert_int_equal(claim(1), 40);
    add(50, 1, 900);
    assert_int_equal(lost_slots_expire(&l, 500), 0);
    lives(5);
    assert_int_equal(claim(1), 50);
    doubt(5, 60);
    assert_int_equal(claim(1), 60);
    assert_int_equal(lost_slots_expire(&l, 1000), 0); /* what was claimed does not expire */
    lives(5);
}

static void test_bounded(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < LOST_SLOTS_MAX; i++)
        assert_true(add(100 + i, 1, 1000 - i));
    assert_false(add(500, 2, 2000)); /* the last, which would have ended first, is gone */
    assert_int_equal(l.count, LOST_SLOTS_MAX);
    assert_int_equal(lost_slots_first_end_ms(&l), 1000 - LOST_SLOTS_MAX + 2);
    assert_int_equal(claim(2), 500);
}

int main(void)
{
#define T(f) cmocka_unit_test_teardown(f, stop)
    const struct CMUnitTest tests[] = {
        T(test_one_of_each_kind),
        T(test_each_gets_the_lowest),
        T(test_unknown_is_the_lowest),
        T(test_ends),
        T(test_in_doubt_and_dead),
        T(test_in_doubt_and_alive),
        T(test_in_doubt_and_closing),
        T(test_claimed_and_alive),
        T(test_claimed_in_part_and_alive),
        T(test_claimed_before_the_next_was_lost),
        T(test_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
