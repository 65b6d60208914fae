#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "bridge/session/repair_desk.h"
#include <stdio.h>
#include <string.h>

static struct repair_desk *desk;
static char told[4096];

static void on_run(void *arg, unsigned asker, uint64_t ticket, int64_t since_ms)
{
    (void)arg;
    snprintf(told + strlen(told), sizeof told - strlen(told), "run %u:%d since %d\n", asker,
             (int)ticket, (int)since_ms);
}

static void on_answer(void *arg, unsigned asker, uint64_t ticket, int64_t covers_ms,
                      struct repair_answer *answer, const struct rc_error *error)
{
    (void)arg;
    snprintf(told + strlen(told), sizeof told - strlen(told), "%u:%d until %d %s\n", asker,
             (int)ticket, (int)covers_ms, answer != NULL ? "ok" : error->code);
}

static int setup(void **state)
{
    static const uint8_t seed[16] = "repair desk test";
    const struct repair_desk_host host = {on_run, on_answer, NULL};

    (void)state;
    hash_seed(seed);
    desk = repair_desk_new(&host);
    told[0] = '\0';
    return desk == NULL;
}

static int teardown(void **state)
{
    (void)state;
    repair_desk_free(desk);
    return 0;
}

static void expect(const char *want)
{
    assert_string_equal(told, want);
    told[0] = '\0';
}

/* What the asker was shown is of the time it asks at. */
static void ask(uint64_t now, const char *rid, unsigned shard, uint64_t ticket, int64_t since)
{
    assert_true(repair_desk_ask(desk, now, slice_of(rid), shard, ticket, since, (int64_t)now));
}

static void done(uint64_t now, const char *rid, uint64_t ticket, enum rc_result result)
{
    struct repair_answer *answer = result == RC_OK ? repair_answer_new(SLICE_LIT("[]")) : NULL;
    struct rc_error error;

    rc_error_of(&error, result);
    repair_desk_done(desk, now, slice_of(rid), ticket, answer, answer != NULL ? NULL : &error);
    repair_answer_unref(answer);
}

static void test_one_query_for_all(void **state)
{
    (void)state;
    ask(1000, "a", 0, 1, 500);
    ask(1010, "a", 1, 2, 400);
    ask(1020, "a", 1, 3, 600);
    repair_desk_turn(desk, 1069);
    expect("");
    assert_int_equal(repair_desk_due_ms(desk), 1070);
    repair_desk_turn(desk, 1070);
    expect("run 1:3 since 400\n");
    ask(1080, "a", 0, 4, 700); /* behind the query: the next one's */
    done(1090, "a", 3, RC_OK);
    expect("1:3 until 1020 ok\n1:2 until 1020 ok\n0:1 until 1020 ok\n");
    repair_desk_turn(desk, 1140);
    expect("run 0:4 since 700\n");
    done(1150, "a", 4, RC_OK);
    expect("0:4 until 1080 ok\n");
    assert_int_equal(repair_desk_rooms(desk), 0);
}

static void test_window_ends(void **state)
{
    (void)state;
    for (uint64_t t = 1; t <= 30; t++)
        ask(1000 + 20 * t, "a", 0, t, 5);
    assert_int_equal(repair_desk_due_ms(desk), 1020 + REPAIR_WINDOW_MAX_MS);
}

static void test_one_that_fails_shares_what_another_gets(void **state)
{
    (void)state;
    ask(1000, "a", 0, 1, 5);
    ask(1000, "a", 1, 2, 6);
    repair_desk_turn(desk, 1050);
    expect("run 1:2 since 5\n");
    done(1060, "a", 2, RC_RATE_LIMITED);
    expect("run 0:1 since 5\n");
    done(1070, "a", 2, RC_OK); /* late, and not the one that runs */
    expect("");
    done(1070, "a", 1, RC_OK);
    expect("1:2 until 1000 ok\n0:1 until 1000 ok\n");
    assert_int_equal(repair_desk_rooms(desk), 0);
    assert_int_equal(repair_desk_due_ms(desk), 1070 + REPAIR_KEPT_MS);
    repair_desk_turn(desk, 1070 + REPAIR_KEPT_MS);
    assert_true(repair_desk_due_ms(desk) == UINT64_MAX);
}

static void test_all_fail(void **state)
{
    (void)state;
    ask(1000, "a", 0, 1, 5);
    ask(1000, "a", 1, 2, 6);
    repair_desk_turn(desk, 1050);
    done(1060, "a", 2, RC_RATE_LIMITED);
    ask(1065, "a", 0, 3, 5);
    done(1070, "a", 1, RC_TIMED_OUT);
    expect("run 1:2 since 5\nrun 0:1 since 5\n1:2 until 1000 rate-limited\n0:1 until 1000 "
           "timed-out\n");
    repair_desk_turn(desk, 1120);
    expect("run 0:3 since 5\n");
}

static void test_one_that_may_not_ask_shares_nothing(void **state)
{
    (void)state;
    ask(1000, "a", 0, 1, 5);
    ask(1000, "a", 1, 2, 6);
    repair_desk_turn(desk, 1050);
    done(1060, "a", 2, RC_NOT_ALLOWED);
    expect("run 1:2 since 5\n1:2 until 1000 not-allowed\nrun 0:1 since 5\n");
    done(1070, "a", 1, RC_OK);
    expect("0:1 until 1000 ok\n");
}

static void test_a_slow_one_gets_a_second_beside_it(void **state)
{
    (void)state;
    ask(1000, "a", 0, 1, 5);
    ask(1000, "a", 1, 2, 6);
    ask(1000, "a", 1, 3, 7);
    repair_desk_turn(desk, 1050);
    assert_int_equal(repair_desk_due_ms(desk), 1050 + REPAIR_SLOW_MS);
    repair_desk_turn(desk, 1050 + REPAIR_SLOW_MS - 1);
    expect("run 1:3 since 5\n");
    repair_desk_turn(desk, 1050 + REPAIR_SLOW_MS);
    expect("run 1:2 since 5\n");
    repair_desk_turn(desk, 1050 + 10 * REPAIR_SLOW_MS); /* two are enough */
    expect("");
    assert_true(repair_desk_due_ms(desk) == UINT64_MAX);
    done(5000, "a", 3, RC_TIMED_OUT); /* the other one is still out */
    expect("");
    done(5010, "a", 2, RC_OK);
    expect("1:3 until 1000 ok\n1:2 until 1000 ok\n0:1 until 1000 ok\n");
    done(5020, "a", 3, RC_OK);
    expect("");
}

/* A big room's events take longer to come to all than a query takes: those who are shown nothing
 * newer than who asked before it share it, while it runs and for a while behind it. */
static void test_late_ones_share_what_covers_them(void **state)
{
    (void)state;
    assert_true(repair_desk_ask(desk, 1000, SLICE_LIT("a"), 0, 1, 500, 900));
    repair_desk_turn(desk, 1050);
    expect("run 0:1 since 500\n");
    assert_true(repair_desk_ask(desk, 1060, SLICE_LIT("a"), 1, 2, 500, 900));
    assert_true(repair_desk_ask(desk, 1060, SLICE_LIT("a"), 1, 3, 500, 901)); /* newer */
    assert_true(repair_desk_ask(desk, 1060, SLICE_LIT("a"), 1, 4, 499, 900)); /* from earlier on */
    done(1070, "a", 1, RC_OK);
    expect("1:2 until 900 ok\n0:1 until 900 ok\n");
    assert_true(repair_desk_ask(desk, 1080, SLICE_LIT("a"), 1, 5, 600, 800));
    expect("1:5 until 900 ok\n");
    repair_desk_turn(desk, 1120);
    expect("run 1:4 since 499\n");
    done(1130, "a", 4, RC_OK);
    expect("1:4 until 901 ok\n1:3 until 901 ok\n");
    assert_true(repair_desk_ask(desk, 1130 + REPAIR_KEPT_MS, SLICE_LIT("a"), 1, 6, 600,
                                800)); /* too late */
    expect("");
    assert_int_equal(repair_desk_rooms(desk), 1);
}

static void test_cancel(void **state)
{
    (void)state;
    ask(1000, "a", 0, 1, 5);
    repair_desk_cancel(desk, 1001, SLICE_LIT("a"), 1);
    repair_desk_cancel(desk, 1001, SLICE_LIT("a"), 1);
    assert_int_equal(repair_desk_rooms(desk), 0);
    ask(1000, "a", 0, 1, 5);
    ask(1000, "a", 1, 2, 6);
    ask(1000, "b", 1, 3, 7);
    repair_desk_turn(desk, 1050);
    assert_non_null(strstr(told, "run 1:2 since 5\n"));
    assert_non_null(strstr(told, "run 1:3 since 7\n"));
    told[0] = '\0';
    repair_desk_cancel(desk, 1051, SLICE_LIT("a"), 2); /* the runner: another runs */
    expect("run 0:1 since 5\n");
    ask(1052, "a", 0, 4, 5);
    repair_desk_cancel(desk, 1053, SLICE_LIT("a"),
                       1); /* the last runner: those who wait are next */
    assert_int_equal(repair_desk_due_ms(desk), 1053 + REPAIR_QUIET_MS);
    repair_desk_cancel(desk, 1054, SLICE_LIT("a"), 4);
    assert_int_equal(repair_desk_rooms(desk), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_query_for_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_window_ends, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_fails_shares_what_another_gets, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(test_all_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(test_one_that_may_not_ask_shares_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_slow_one_gets_a_second_beside_it, setup, teardown),
        cmocka_unit_test_setup_teardown(test_late_ones_share_what_covers_them, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancel, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
