#include "signalr/http/http_addr_table.h"

#include "base/hash.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

static struct http_addr addr_of(const char *text)
{
    struct http_addr addr;

    assert_true(http_addr_parse(slice_of(text), &addr));
    return addr;
}

static void test_limit(void **state)
{
    struct http_addr_table t = {0};
    struct http_addr a = addr_of("192.0.2.7"), b = addr_of("192.0.2.8");
    struct http_addr_slot *first, *second, *other;

    (void)state;
    first = http_addr_take(&t, &a, 2);
    second = http_addr_take(&t, &a, 2);
    assert_non_null(first);
    assert_ptr_equal(first, second);
    assert_null(http_addr_take(&t, &a, 2));
    other = http_addr_take(&t, &b, 2);
    assert_non_null(other);
    http_addr_drop(&t, first);
    assert_ptr_equal(http_addr_take(&t, &a, 2), second);
    http_addr_drop(&t, second);
    http_addr_drop(&t, second);
    http_addr_drop(&t, other);
    http_addr_drop(&t, NULL);
    http_addr_table_free(&t);
}

/* A host chooses its last 64 bits as it likes. */
static void test_ipv6_network(void **state)
{
    struct http_addr_table t = {0};
    struct http_addr a = addr_of("2001:db8:0:1::1"), same = addr_of("2001:db8:0:1:ffff::9");
    struct http_addr next = addr_of("2001:db8:0:2::1");
    struct http_addr_slot *first, *second;

    (void)state;
    first = http_addr_take(&t, &a, 1);
    assert_null(http_addr_take(&t, &same, 1));
    second = http_addr_take(&t, &next, 1);
    assert_non_null(second);
    http_addr_drop(&t, first);
    http_addr_drop(&t, second);
    http_addr_table_free(&t);
}

static void test_many(void **state)
{
    enum { MANY = 5000 };
    static struct http_addr_slot *slots[MANY];
    struct http_addr_table t = {0};

    (void)state;
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY; i++) {
            char text[20];
            struct http_addr addr;

            snprintf(text, sizeof text, "10.1.%d.%d", i / 256, i % 256);
            addr = addr_of(text);
            slots[i] = http_addr_take(&t, &addr, 1);
            assert_non_null(slots[i]);
            assert_null(http_addr_take(&t, &addr, 1));
        }
        for (int i = 0; i < MANY; i++)
            http_addr_drop(&t, slots[(i * 7) % MANY]);
    }
    http_addr_table_free(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_ipv6_network),
        cmocka_unit_test(test_many),
    };

    hash_seed((const uint8_t[16]){1});
    return cmocka_run_group_tests(tests, NULL, NULL);
}
