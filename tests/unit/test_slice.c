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

static void test_trim(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""}, {" ", ""}, {" \t a b\t", "a b"}, {"ab", "ab"}, {"\na ", "\na"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(slice_eq(slice_trim(slice_of(cases[i].in), " \t"), slice_of(cases[i].out)));
    assert_int_equal(slice_trim(slice_of(NULL), " ").len, 0);
    assert_int_equal(slice_trim((struct slice){"\0", 1}, " ").len, 1); /* the set ends at its NUL */
}

static void test_cut(void **state)
{
    struct slice s = SLICE_LIT("/users/7/session"), none = {0};

    (void)state;
    assert_false(slice_cut_prefix(&s, SLICE_LIT("users/")));
    assert_false(slice_cut_suffix(&s, SLICE_LIT("/users/7/session/")));
    assert_true(slice_cut_prefix(&s, SLICE_LIT("/users/")));
    assert_true(slice_cut_suffix(&s, SLICE_LIT("/session")));
    assert_true(slice_eq(s, SLICE_LIT("7")));
    assert_true(slice_cut_prefix(&s, SLICE_LIT("7")));
    assert_true(slice_cut_suffix(&s, SLICE_LIT("")));
    assert_true(slice_cut_prefix(&none, SLICE_LIT("")));
    assert_false(slice_cut_suffix(&none, SLICE_LIT("x")));
}

static void test_read_digits(void **state)
{
    static const struct {
        const char *text;
        uint64_t max, value;
        bool ok;
    } cases[] = {
        {"0", 0, 0, true},
        {"1", 0, 0, false},
        {"7", 7, 7, true},
        {"8", 7, 0, false},
        {"0007", 7, 7, true},
        {"65535", UINT16_MAX, UINT16_MAX, true},
        {"65536", UINT16_MAX, 0, false},
        {"18446744073709551615", UINT64_MAX, UINT64_MAX, true},
        {"18446744073709551616", UINT64_MAX, 0, false},
        {"99999999999999999999", UINT64_MAX, 0, false},
        {"", 9, 0, false},
        {"-1", 9, 0, false},
        {"+1", 9, 0, false},
        {" 1", 9, 0, false},
        {"1 ", 9, 0, false},
        {"1.0", 99, 0, false},
        {"\xb1", 9, 0, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t value = 4711;

        assert_int_equal(slice_read_digits(slice_of(cases[i].text), cases[i].max, &value),
                         cases[i].ok);
        assert_true(value == (cases[i].ok ? cases[i].value : 4711));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal), cmocka_unit_test(test_trim), cmocka_unit_test(test_cut),
        cmocka_unit_test(test_read_digits), cmocka_unit_test(test_dup)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
