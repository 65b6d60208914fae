#include "bridge/logout_queue.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <uv.h>

#include <cmocka.h>

#include "rest_fake.h"

static uv_loop_t loop;
static struct logout_queue *queue;

static int setup(void **state)
{
    (void)state;
    uv_loop_init(&loop);
    return logout_queue_new(&loop, NULL, 8, &queue);
}

static void turn(void)
{
    uv_run(&loop, UV_RUN_NOWAIT);
}

static void on_freed(void *arg)
{
    *(bool *)arg = true;
}

static int teardown(void **state)
{
    bool freed = false;

    (void)state;
    turn();
    logout_queue_free(queue, on_freed, &freed);
    assert_false(freed);
    rest_answer_cancelled();
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(freed);
    rest_free_all();
    assert_int_equal(uv_loop_close(&loop), 0);
    return 0;
}

static void add(const char *token)
{
    logout_queue_add(queue, SLICE_LIT("u9"), slice_of(token));
}

static void test_a_few_at_a_time(void **state)
{
    (void)state;
    for (int i = 0; i < 6; i++)
        add((char[]){(char)('a' + i), '\0'});
    assert_int_equal(nrests, 0); /* never inside the call */
    turn();
    assert_int_equal(nrests, 4);
    assert_int_equal(logout_queue_pending(queue), 6);
    assert_string_equal(rests[0]->user, "u9");
    assert_string_equal(rests[0]->token, "a");
    rest_answer(rests[0], NULL, NULL, NULL, NULL);
    rest_fail(rests[1], RC_UNAUTHORIZED, NULL); /* gone already: done */
    turn();
    assert_int_equal(nrests, 6);
    for (unsigned i = 2; i < 6; i++)
        rest_answer(rests[i], NULL, NULL, NULL, NULL);
    assert_int_equal(logout_queue_pending(queue), 0);
}

static void test_limited_pauses_everybody_as_long_as_told(void **state)
{
    struct rc_error error;
    uint64_t start;

    (void)state;
    for (int i = 0; i < 5; i++)
        add("t");
    turn();
    rc_error_of(&error, RC_RATE_LIMITED);
    error.retry_after_ms = 100;
    start = uv_now(&loop);
    rest_answer(rests[0], NULL, NULL, NULL, &error);
    rest_answer(rests[1], NULL, NULL, NULL,
                NULL); /* its place is not taken before the pause ends */
    turn();
    assert_int_equal(nrests, 4);
    assert_int_equal(logout_queue_pending(queue), 4);
    while (nrests == 4 && uv_now(&loop) < start + 2000)
        uv_run(&loop, UV_RUN_ONCE);
    assert_true(uv_now(&loop) >= start + 100);
    assert_int_equal(nrests, 6); /* the one refused is tried again */
    for (unsigned i = 2; i < 6; i++)
        rest_answer(rests[i], NULL, NULL, NULL, NULL);
}

static void test_failures_are_given_up(void **state)
{
    (void)state;
    add("t");
    turn();
    rest_fail(rests[0], RC_NOT_FOUND, NULL); /* no such route: it will not come */
    turn();
    assert_int_equal(nrests, 1);
    assert_int_equal(logout_queue_pending(queue), 0);
}

static void test_full(void **state)
{
    (void)state;
    for (int i = 0; i < 12; i++)
        add("t");
    assert_int_equal(logout_queue_pending(queue), 8);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_a_few_at_a_time),
        T(test_limited_pauses_everybody_as_long_as_told),
        T(test_failures_are_given_up),
        T(test_full),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
