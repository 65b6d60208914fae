#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/utf8.h"
#include "tests/unit/utf8_reference.h"
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name, *text;
    bool ok;
} cases[] = {
    {"empty", "", true},
    {"ascii", "plain text that is longer than one word", true},
    {"two bytes", "\xc2\x80\xdf\xbf", true},
    {"three bytes", "\xe0\xa0\x80\xe2\x82\xac\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", true},
    {"four bytes", "\xf0\x90\x80\x80\xf0\x9f\x98\x80\xf4\x8f\xbf\xbf", true},
    {"mixed", "a\xc3\xa9 12345678 \xe2\x82\xac 12345678 \xf0\x9f\x98\x80 12345678", true},
    {"lone tail", "\x80", false},
    {"lone tail after text", "12345678\xbf", false},
    {"cut 2", "12345678\xc3", false},
    {"cut 3", "\xe2\x82", false},
    {"cut 4", "\xf0\x9f\x98", false},
    {"lead then ascii", "\xc3z1234567", false},
    {"overlong 2", "\xc0\xaf", false},
    {"overlong 2 high", "\xc1\xbf", false},
    {"overlong 3", "\xe0\x9f\xbf", false},
    {"overlong 4", "\xf0\x8f\xbf\xbf", false},
    {"surrogate low end", "\xed\xa0\x80", false},
    {"surrogate high end", "\xed\xbf\xbf", false},
    {"past U+10FFFF", "\xf4\x90\x80\x80", false},
    {"F5", "\xf5\x80\x80\x80", false},
    {"FF", "\xff", false},
    {"third byte wrong", "\xe2\x82(", false},
    {"fourth byte wrong", "\xf0\x9f\x98(", false},
};

static void test_whole_and_every_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].text);
        char *text = malloc(len + 1); /* no NUL behind: ASan sees a read past the end */

        memcpy(text, cases[i].text, len);
        if (utf8_valid(text, len) != cases[i].ok)
            fail_msg("%s", cases[i].name);
        for (size_t a = 0; a <= len; a++)
            for (size_t b = a; b <= len; b++) {
                struct utf8_check u;
                bool ok;

                utf8_check_init(&u);
                ok = utf8_check_feed(&u, text, a) && utf8_check_feed(&u, text + a, b - a) &&
                     utf8_check_feed(&u, text + b, len - b) && utf8_check_done(&u);
                if (ok != cases[i].ok)
                    fail_msg("%s, split at %zu and %zu", cases[i].name, a, b);
            }
        free(text);
    }
}

/* Every sequence of up to three bytes, and the four-byte ones of one last byte. */
static void test_all_short_inputs(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 1u << 24; v++) {
        uint8_t p[4] = {(uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v, 0xbf};

        /* Four bytes where the first leads four, else three. */
        size_t len = p[0] >= 0xf0 ? 4 : 3;

        if (utf8_valid(p, len) != utf8_reference(p, len))
            fail_msg("%06x", v);
    }
}

/* Fails at the first byte that can't belong, not at the end of the sequence or chunk. */
static void test_fails_early(void **state)
{
    static const char *const dead[] = {
        "\xc0",     "\xf5",     "\xff",     "\x80",  "\xe0\x9f",
        "\xed\xa0", "\xf0\x8f", "\xf4\x90", "\xe2(", "12345678\xed\xa0"};

    (void)state;
    for (size_t i = 0; i < sizeof dead / sizeof dead[0]; i++) {
        struct utf8_check u;

        utf8_check_init(&u);
        assert_false(utf8_check_feed(&u, dead[i], strlen(dead[i])));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole_and_every_split),
        cmocka_unit_test(test_all_short_inputs),
        cmocka_unit_test(test_fails_early),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
