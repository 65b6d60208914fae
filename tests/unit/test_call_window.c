#include "base/hash.h"
#include "bridge/session/call_window.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

/* However the calls fall, no span of Rocket.Chat's length sees more than it takes. */
static void test_no_span_sees_more(void **state)
{
    static const struct {
        const char *method;
        unsigned calls;
        uint64_t span_ms;
    } rows[] = {
        {"sendMessage", 10, 10000},
        {"stream-notify-room", 40, 40000},
        {"messages/get", 2, 10000},
        {"rooms/get", 6, 10000},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct call_windows w = {0};
        uint64_t sent[1000], now = 1000;
        unsigned n = 0;

        for (unsigned step = 0; n < 1000; step++) {
            const uint64_t wait = call_windows_take(&w, rows[i].method, now);

            if (wait == 0)
                sent[n++] = now;
            now += wait > 0 && step % 3 == 0 ? wait : step % 7 * 100;
        }
        for (unsigned k = rows[i].calls; k < n; k++)
            assert_true(sent[k] - sent[k - rows[i].calls] > rows[i].span_ms);
        call_windows_free(&w);
    }
}

static void test_waits(void **state)
{
    struct call_windows w = {0};

    (void)state;
    for (unsigned i = 0; i < 10; i++)
        assert_int_equal(call_windows_take(&w, "a", 5000 + i * 100), 0);
    assert_in_range(call_windows_take(&w, "a", 6000), 9000, 9500);
    assert_int_equal(call_windows_take(&w, "b", 6000), 0); /* each method by itself */
    assert_in_range(call_windows_take(&w, "a", 14999), 1, 500);
    assert_int_equal(call_windows_take(&w, "a", 15350), 0);
    assert_in_range(call_windows_take(&w, "a", 15350), 1, 100); /* until the second is old enough */
    call_windows_free(&w);
}

static void test_many_methods(void **state)
{
    struct call_windows w = {0};
    char name[16];

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "m%u", i);
        assert_int_equal(call_windows_take(&w, name, i), 0);
        assert_in_range(w.count, 1, 32);
    }
    for (unsigned i = 0; i < 9; i++) /* the busy one is not the one forgotten */
        assert_int_equal(call_windows_take(&w, "m999", 1000), 0);
    snprintf(name, sizeof name, "another");
    assert_int_equal(call_windows_take(&w, name, 1001), 0);
    assert_true(call_windows_take(&w, "m999", 1002) > 0);
    call_windows_free(&w);
}

int main(void)
{
    static const uint8_t key[16] = "a fixed test key";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_span_sees_more),
        cmocka_unit_test(test_waits),
        cmocka_unit_test(test_many_methods),
    };

    hash_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
