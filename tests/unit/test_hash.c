#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"

/* Made with another implementation: CPython 3.11's bytes hash is SipHash-1-3, with a key of zeros
 * under PYTHONHASHSEED=0. Lengths 1 to 20 take every path through the last word. */
static void test_vectors(void **state)
{
    static const struct {
        const char *text;
        size_t len;
        int64_t want;
    } cases[] = {
        {"h", 1, INT64_C(-2476458669474647831)},
        {"hello w", 7, INT64_C(-2598208936026914565)},
        {"hello wo", 8, INT64_C(-8186413182324996915)},
        {"hello wor", 9, INT64_C(-1089141608987618554)},
        {"hello world1234", 15, INT64_C(4686473953263529908)},
        {"hello world12345", 16, INT64_C(8577983472297141076)},
        {"hello world123456", 17, INT64_C(4912751793128389724)},
        {"hello world123456789", 20, INT64_C(7447623311164294301)},
    };
    static const uint8_t zeros[16] = {0};

    (void)state;
    hash_seed(zeros);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true((int64_t)hash_bytes(cases[i].text, cases[i].len) == cases[i].want);
}

static void test_key_matters(void **state)
{
    static const uint8_t one[16] = {1}, other[16] = {[15] = 1};
    uint64_t a, b;

    (void)state;
    hash_seed(one);
    a = hash_bytes("user", 4);
    hash_seed(other);
    b = hash_bytes("user", 4);
    assert_true(a != b);
    hash_seed(one);
    assert_true(a == hash_bytes("user", 4));
    assert_true(hash_bytes("", 0) != hash_bytes("\0", 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_key_matters),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
