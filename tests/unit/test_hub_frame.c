#include "signalr/protocol/hub_frame.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka wants the three above first */
#include <cmocka.h>

static const struct {
    const char *name;
    const char *in;
    size_t len, max;
    enum hub_frame_result want;
    size_t body_len, consumed;
} cases[] = {
    {"nothing", "", 0, 10, HUB_FRAME_NEED_MORE, 0, 0},
    {"no separator yet", "{}", 2, 10, HUB_FRAME_NEED_MORE, 0, 0},
    {"one message", "{}\x1e", 3, 10, HUB_FRAME_OK, 2, 3},
    {"empty record", "\x1e", 1, 10, HUB_FRAME_OK, 0, 1},
    {"second message stays",
     "a\x1e"
     "bc\x1e",
     5, 10, HUB_FRAME_OK, 1, 2},
    {"exactly the limit", "abc\x1e", 4, 4, HUB_FRAME_OK, 3, 4},
    {"one past the limit", "abcd\x1e", 5, 4, HUB_FRAME_TOO_LARGE, 0, 0},
    {"limit reached, separator can't fit", "abcd", 4, 4, HUB_FRAME_TOO_LARGE, 0, 0},
    {"one short of the limit", "abc", 3, 4, HUB_FRAME_NEED_MORE, 0, 0},
    {"limit counts the first message only",
     "a\x1e"
     "bcdef",
     7, 4, HUB_FRAME_OK, 1, 2},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct hub_frame f = {0};
        enum hub_frame_result got = hub_frame_text(cases[i].in, cases[i].len, cases[i].max, &f);

        if (got != cases[i].want || f.body.len != cases[i].body_len ||
            f.consumed != cases[i].consumed)
            fail_msg("%s: result %d, body %zu, consumed %zu", cases[i].name, got, f.body.len,
                     f.consumed);
    }
}

/* Whatever the split, the same bodies come out. */
static void test_every_split(void **state)
{
    static const char in[] = "{\"a\":1}\x1e\x1e{}\x1e";
    const size_t len = sizeof in - 1;

    (void)state;
    for (size_t split = 0; split <= len; split++) {
        size_t at = 0, ends[] = {split, len};
        unsigned count = 0;

        for (int step = 0; step < 2; step++) {
            struct hub_frame f;

            while (hub_frame_text(in + at, ends[step] - at, 64, &f) == HUB_FRAME_OK) {
                static const size_t want[] = {7, 0, 2};

                assert_int_equal(f.body.len, want[count]);
                count++;
                at += f.consumed;
            }
        }
        assert_int_equal(count, 3);
        assert_int_equal(at, len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_every_split),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
