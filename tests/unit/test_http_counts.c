/* The counts that several servers share, from several threads. */
#include "signalr/http/http_counts.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <uv.h>
/* after the four above */
#include <cmocka.h>

enum { THREADS = 4, ROUNDS = 2000, LIMIT = 3 };

static struct http_counts *counts;
static atomic_int inside, at_address;

static void come_and_go(void *arg)
{
    const struct http_addr *address = arg;

    for (int i = 0; i < ROUNDS; i++) {
        struct http_addr_slot *slot = http_counts_take_address(counts, address, LIMIT);

        if (slot != NULL && atomic_fetch_add(&at_address, 1) >= LIMIT)
            abort();
        if (http_counts_enter(counts) < LIMIT) {
            if (atomic_fetch_add(&inside, 1) >= LIMIT)
                abort();
            atomic_fetch_sub(&inside, 1);
        }
        http_counts_leave(counts);
        if (slot != NULL)
            atomic_fetch_sub(&at_address, 1);
        http_counts_drop_address(counts, slot);
    }
}

static void test_limits_hold_over_threads(void **state)
{
    uv_thread_t threads[THREADS];
    struct http_addr address;

    (void)state;
    assert_true(http_addr_parse(slice_of("192.0.2.7"), &address));
    counts = http_counts_new();
    assert_non_null(counts);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(uv_thread_create(&threads[i], come_and_go, &address), 0);
    for (int i = 0; i < THREADS; i++)
        uv_thread_join(&threads[i]);
    assert_int_equal(http_counts_enter(counts), 0); /* all have left */
    http_counts_leave(counts);
    http_counts_free(counts); /* asserts that no address is held */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_limits_hold_over_threads)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
