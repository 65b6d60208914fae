#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/byte_buf.h"

static void test_append(void **state)
{
    struct byte_buf b = {0};

    (void)state;
    assert_int_equal(byte_buf_slice(&b).len, 0);
    byte_buf_append(&b, NULL, 0);
    byte_buf_append(&b, "ab", 2);
    byte_buf_putc(&b, 'c');
    byte_buf_puts(&b, "de");
    byte_buf_put(&b, SLICE_LIT("f"));
    byte_buf_printf(&b, "%d-%s", 42, "x");
    assert_true(slice_eq(byte_buf_slice(&b), SLICE_LIT("abcdef42-x")));
    byte_buf_consume(&b, 3);
    assert_true(slice_eq(byte_buf_slice(&b), SLICE_LIT("def42-x")));
    byte_buf_consume(&b, 0);
    byte_buf_consume(&b, 7);
    assert_int_equal(b.len, 0);
    assert_false(byte_buf_failed(&b));
    byte_buf_free(&b);
    assert_null(b.data);
    byte_buf_puts(&b, "again");
    assert_true(slice_eq(byte_buf_slice(&b), SLICE_LIT("again")));
    byte_buf_free(&b);
}

static void test_grows(void **state)
{
    struct byte_buf b = {0};

    (void)state;
    for (unsigned i = 0; i < 100000; i++)
        byte_buf_putc(&b, (char)(i % 251));
    assert_int_equal(b.len, 100000);
    for (unsigned i = 0; i < 100000; i++)
        assert_int_equal((unsigned char)b.data[i], i % 251);
    byte_buf_free(&b);
}

static void test_limit_is_exact(void **state)
{
    struct byte_buf b = {.limit = 100};
    char bytes[101] = {0};

    (void)state;
    byte_buf_append(&b, bytes, 100);
    assert_false(byte_buf_failed(&b));
    assert_true(b.cap <= 100);
    byte_buf_putc(&b, 'x');
    assert_true(byte_buf_failed(&b));
    assert_int_equal(b.len, 100);
    /* Sticky, even for what would fit. */
    byte_buf_consume(&b, 50);
    byte_buf_putc(&b, 'x');
    byte_buf_printf(&b, "x");
    assert_int_equal(b.len, 50);
    byte_buf_clear(&b);
    byte_buf_append(&b, bytes, 100);
    assert_false(byte_buf_failed(&b));
    byte_buf_clear(&b);
    byte_buf_append(&b, bytes, 101);
    assert_true(byte_buf_failed(&b));
    byte_buf_free(&b);
    assert_int_equal(b.limit, 100);
}

static void test_absurd_size_fails(void **state)
{
    struct byte_buf b = {0};

    (void)state;
    byte_buf_putc(&b, 'x');
    assert_false(byte_buf_reserve(&b, SIZE_MAX));
    assert_true(byte_buf_failed(&b));
    assert_int_equal(b.len, 1);
    byte_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_append),
        cmocka_unit_test(test_grows),
        cmocka_unit_test(test_limit_is_exact),
        cmocka_unit_test(test_absurd_size_fails),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
