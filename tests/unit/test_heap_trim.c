#include "bridge/heap_trim.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { EACH = 2500 };

static void test_trims_when_much_has_gone(void **state)
{
    struct heap_watch w = {0};

    (void)state;
    assert_false(heap_watch_due(&w, 0));
    assert_false(heap_watch_due(&w, 1000 * EACH));
    assert_false(heap_watch_due(&w, 800 * EACH)); /* a fifth */
    assert_false(heap_watch_due(&w, 800 * EACH));
    assert_false(heap_watch_due(&w, 700 * EACH)); /* enough, but still falling */
    assert_false(heap_watch_due(&w, 500 * EACH));
    assert_true(heap_watch_due(&w, 500 * EACH));
    assert_false(heap_watch_due(&w, 500 * EACH)); /* done */
    assert_false(heap_watch_due(&w, 100 * EACH));
    assert_true(heap_watch_due(&w, 120 * EACH)); /* measured from there */
}

static void test_little_is_not_worth_it(void **state)
{
    struct heap_watch w = {0};

    (void)state;
    assert_false(heap_watch_due(&w, 199 * EACH));
    assert_false(heap_watch_due(&w, 0));
    assert_false(heap_watch_due(&w, 0));
    assert_false(heap_watch_due(&w, 200 * EACH));
    assert_false(heap_watch_due(&w, 0));
    assert_true(heap_watch_due(&w, 0));
}

static void test_growth_is_none_of_it(void **state)
{
    struct heap_watch w = {0};

    (void)state;
    for (uint64_t bytes = 0; bytes < 100000 * EACH; bytes += 500 * EACH)
        assert_false(heap_watch_due(&w, bytes));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trims_when_much_has_gone),
        cmocka_unit_test(test_little_is_not_worth_it),
        cmocka_unit_test(test_growth_is_none_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
