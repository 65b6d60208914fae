#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/slice.h"
#include <stdlib.h>

static void test_equal(void **state)
{
    static const struct {
        const char *a, *b;
        bool same, nocase;
    } cases[] = {
        {"", "", true, true},         {"a", "", false, false},
        {"abc", "abc", true, true},   {"Abc", "aBC", false, true},
        {"abc", "abd", false, false}, {"abc", "abcd", false, false},
        {"[", "{", false, false},     {"@", "`", false, false},
        {"Z", "z", false, true},      {"\xc3\x89", "\xc3\xa9", false, false}, /* ASCII only */
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice a = slice_of(cases[i].a), b = slice_of(cases[i].b);

        assert_int_equal(slice_eq(a, b), cases[i].same);
        assert_int_equal(slice_eq(b, a), cases[i].same);
        assert_int_equal(slice_eq_nocase(a, b), cases[i].nocase);
        assert_int_equal(slice_eq_nocase(b, a), cases[i].nocase);
    }
    assert_true(slice_eq(slice_of(NULL), SLICE_LIT("")));
    assert_true(slice_eq_nocase(slice_of(NULL), SLICE_LIT("")));
}

static void test_dup(void **state)
{
    char *copy = slice_dup((struct slice){"abcdef", 3});

    (void)state;
    assert_string_equal(copy, "abc");
    free(copy);
    copy = slice_dup((struct slice){NULL, 0});
    assert_string_equal(copy, "");
    free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal), cmocka_unit_test(test_dup)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
