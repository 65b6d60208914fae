#include "bridge/heap_trim.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void test_trims_when_many_have_left(void **state)
{
    struct heap_watch w = {0};

    (void)state;
    assert_false(heap_watch_due(&w, 0));
    assert_false(heap_watch_due(&w, 1000));
    assert_false(heap_watch_due(&w, 800)); /* a fifth */
    assert_false(heap_watch_due(&w, 800));
    assert_false(heap_watch_due(&w, 700)); /* enough, but still falling */
    assert_false(heap_watch_due(&w, 500));
    assert_true(heap_watch_due(&w, 500));
    assert_false(heap_watch_due(&w, 500)); /* done */
    assert_false(heap_watch_due(&w, 100));
    assert_true(heap_watch_due(&w, 120)); /* measured from there */
}

static void test_few_are_not_worth_it(void **state)
{
    struct heap_watch w = {0};

    (void)state;
    assert_false(heap_watch_due(&w, 199));
    assert_false(heap_watch_due(&w, 0));
    assert_false(heap_watch_due(&w, 0));
    assert_false(heap_watch_due(&w, 200));
    assert_false(heap_watch_due(&w, 0));
    assert_true(heap_watch_due(&w, 0));
}

static void test_growth_is_none_of_it(void **state)
{
    struct heap_watch w = {0};

    (void)state;
    for (uint64_t open = 0; open < 100000; open += 500)
        assert_false(heap_watch_due(&w, open));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_trims_when_many_have_left),
        cmocka_unit_test(test_few_are_not_worth_it),
        cmocka_unit_test(test_growth_is_none_of_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
