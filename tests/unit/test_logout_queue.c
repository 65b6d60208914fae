/* Tokens on their way out, with a faked REST client on a real loop. */
#include "bridge/login/logout_queue.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rest_fake.h"

static uv_loop_t loop;
static struct logout_queue *queue;
static bool freed;

static void on_freed(void *arg)
{
    (void)arg;
    freed = true;
}

static void turn_for(uint64_t ms)
{
    uint64_t end = uv_hrtime() + ms * 1000000;

    do {
        uv_run(&loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    } while (uv_hrtime() < end);
    for (int i = 0; i < 3; i++) /* a sleep may have been a long one */
        uv_run(&loop, UV_RUN_NOWAIT);
}

static int start(void **state)
{
    (void)state;
    freed = false;
    assert_int_equal(uv_loop_init(&loop), 0);
    return logout_queue_new(&loop, NULL, 20, &queue);
}

static int stop(void **state)
{
    (void)state;
    logout_queue_free(queue, on_freed, NULL);
    rest_answer_cancelled();
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(freed);
    assert_int_equal(uv_loop_close(&loop), 0);
    rest_free_all();
    return 0;
}

static void add(unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        logout_queue_add(queue, SLICE_LIT("u9"), SLICE_LIT("tok"));
    turn_for(5);
}

static void fail_all(enum rc_result result, uint64_t retry_after_ms)
{
    const unsigned n = nrests;
    struct rc_error error;

    rc_error_of(&error, result);
    error.retry_after_ms = retry_after_ms;
    for (unsigned i = 0; i < n; i++)
        if (!rests[i]->answered)
            rest_answer(rests[i], NULL, NULL, NULL, &error);
}

static void test_a_few_at_a_time(void **state)
{
    (void)state;
    add(6);
    assert_int_equal(rest_count(REST_LOGOUT), 4);
    assert_int_equal(logout_queue_pending(queue), 6);
    rest_answer(rest_pending(REST_LOGOUT), NULL, NULL, NULL, NULL);
    turn_for(5);
    assert_int_equal(rest_count(REST_LOGOUT), 5);
    assert_int_equal(logout_queue_pending(queue), 5);
}

static void test_full_queue_drops(void **state)
{
    (void)state;
    add(40);
    assert_true(logout_queue_pending(queue) <= 24);
}

static void test_failure_pauses(void **state)
{
    (void)state;
    add(1);
    fail_all(RC_SERVER_ERROR, 0);
    turn_for(50);
    assert_int_equal(rest_count(REST_LOGOUT), 1);
    assert_int_equal(logout_queue_pending(queue), 1);
    logout_queue_hurry(queue, 5000); /* the pause of before is cut short */
    turn_for(5);
    assert_int_equal(rest_count(REST_LOGOUT), 2);
}

static void test_hurried_failure_is_tried_again_soon(void **state)
{
    (void)state;
    logout_queue_hurry(queue, 5000);
    add(1);
    for (unsigned attempt = 1; attempt <= 3; attempt++) {
        assert_int_equal(rest_count(REST_LOGOUT), attempt);
        fail_all(RC_TIMED_OUT, 0);
        turn_for(150);
    }
    assert_int_equal(rest_count(REST_LOGOUT), 3);
    assert_int_equal(logout_queue_pending(queue), 0);
}

static void test_hurried_server_that_is_not_there(void **state)
{
    (void)state;
    add(12);
    logout_queue_hurry(queue, 60 * 1000);
    fail_all(RC_UNREACHABLE, 0);
    assert_int_equal(logout_queue_pending(queue), 0);
    turn_for(150);
    assert_int_equal(rest_count(REST_LOGOUT), 4);
}

static void test_hurried_limit_that_outlasts_us(void **state)
{
    (void)state;
    add(8);
    logout_queue_hurry(queue, 1000);
    rest_answer(rest_pending(REST_LOGOUT), NULL, NULL, NULL, NULL);
    fail_all(RC_RATE_LIMITED, 30 * 1000);
    assert_int_equal(logout_queue_pending(queue), 0);
}

static void test_free_gives_up(void **state)
{
    (void)state;
    add(8); /* stop() frees */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_a_few_at_a_time),
        T(test_full_queue_drops),
        T(test_failure_pauses),
        T(test_hurried_failure_is_tried_again_soon),
        T(test_hurried_server_that_is_not_there),
        T(test_hurried_limit_that_outlasts_us),
        T(test_free_gives_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
