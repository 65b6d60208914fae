#include "bridge/im_proxy/im_logins.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static uint64_t take(struct im_logins *l, uint64_t now_ms, const char *caller)
{
    return im_logins_take(l, now_ms, slice_of(caller));
}

static void test_all_have_a_few(void **state)
{
    struct im_logins *l = im_logins_new(3);

    (void)state;
    assert_int_equal(take(l, 1000, "a"), 0);
    assert_int_equal(take(l, 2000, "b"), 0);
    assert_int_equal(take(l, 3000, "c"), 0);
    assert_int_equal(take(l, 3000, "d"), 58000); /* when a's is over */
    assert_int_equal(take(l, 60999, "d"), 1);
    assert_int_equal(take(l, 61000, "d"), 0);
    assert_int_equal(take(l, 61000, "e"), 1000); /* b's */
    im_logins_free(l);
}

static void test_each_has_one(void **state)
{
    struct im_logins *l = im_logins_new(3);

    (void)state;
    assert_int_equal(take(l, 1000, "a"), 0);
    assert_int_equal(take(l, 31000, "a"), 30000);
    assert_int_equal(take(l, 31000, "b"), 0); /* what was not granted is not counted */
    assert_int_equal(take(l, 61000, "a"), 0);
    assert_int_equal(take(l, 61000, "b"), 30000);
    im_logins_free(l);
}

static void test_none(void **state)
{
    struct im_logins *l = im_logins_new(0);

    (void)state;
    assert_int_equal(take(l, 1000, "a"), 60000);
    im_logins_free(l);
    im_logins_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_have_a_few),
        cmocka_unit_test(test_each_has_one),
        cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
