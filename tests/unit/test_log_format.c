#include "bridge/log/log.h"
#include "bridge/log/log_format.h"
#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define WHEN_MS 1738324800123 /* 2025-01-31T12:00:00.123Z */

static const struct log_style text_style = {LOG_FORMAT_TEXT, LOG_IDENTITY_PLAIN};
static const struct log_style json_style = {LOG_FORMAT_JSON, LOG_IDENTITY_PLAIN};

static const char *line_of(struct log_line *line)
{
    assert_true(line->len > 0 && line->len < LOG_LINE_MAX);
    assert_int_equal(line->bytes[line->len - 1], '\n');
    line->bytes[line->len - 1] = '\0';
    return line->bytes;
}

static void test_fields(void **state)
{
    const struct log_field fields[] = {LOG_ID("user", SLICE_LIT("42@1")),
                                       LOG_STR("session", "a b"),
                                       LOG_STR("empty", ""),
                                       LOG_STR("none", NULL),
                                       LOG_INT("ms", -5),
                                       LOG_UINT("big", UINT64_MAX),
                                       LOG_BOOL("ok", true),
                                       LOG_REQUEST(7),
                                       LOG_END_};
    struct log_line line;

    (void)state;
    log_format(&text_style, LOG_LEVEL_INFO, "ddp_connected", fields, WHEN_MS, &line);
    assert_string_equal(
        line_of(&line),
        "2025-01-31T12:00:00.123Z info ddp_connected user=42@1 session=\"a b\" empty=\"\" "
        "none=\"\" ms=-5 big=18446744073709551615 ok=true request=7");
    log_format(&json_style, LOG_LEVEL_WARN, "ddp_connected", fields, WHEN_MS, &line);
    assert_string_equal(
        line_of(&line),
        "{\"ts\":\"2025-01-31T12:00:00.123Z\",\"level\":\"warn\",\"event\":\"ddp_connected\","
        "\"user\":\"42@1\",\"session\":\"a b\",\"empty\":\"\",\"none\":\"\",\"ms\":-5,"
        "\"big\":18446744073709551615,\"ok\":true,\"request\":7}");
}

/* Nobody forges a line, a field, or a terminal's state. */
static void test_escapes(void **state)
{
    static const struct {
        struct slice in;
        const char *text, *json;
    } cases[] = {
        {{"a\nb", 3}, "\"a\\u000ab\"", "\"a\\u000ab\""},
        {{"a\" x=1", 6}, "\"a\\\" x=1\"", "\"a\\\" x=1\""},
        {{"a=b", 3}, "\"a=b\"", "\"a=b\""},
        {{"a\\", 2}, "\"a\\\\\"", "\"a\\\\\""},
        {{"\x1b[2J", 4}, "\"\\u001b[2J\"", "\"\\u001b[2J\""},
        {{"\x00", 1}, "\"\\u0000\"", "\"\\u0000\""},
        {{"\x7f", 1}, "\"\\u007f\"", "\"\\u007f\""},
        {{"\xc2\x9b", 2}, "\"\\u009b\"", "\"\\u009b\""},
        {{"\xe2\x80\xa8", 3}, "\"\\u2028\"", "\"\\u2028\""},
        {{"\xe2\x80\xae", 3}, "\"\\u202e\"", "\"\\u202e\""},
        {{"\xc3\xa9", 2}, "\"\xc3\xa9\"", "\"\xc3\xa9\""},
        {{"\xf0\x9f\x98\x80", 4}, "\"\xf0\x9f\x98\x80\"", "\"\xf0\x9f\x98\x80\""},
        {{"\xff"
          "a",
          2},
         "\"\\ufffda\"",
         "\"\\ufffda\""},
        {{"\xc3", 1}, "\"\\ufffd\"", "\"\\ufffd\""},
        {{"\xed\xa0\x80", 3}, "\"\\ufffd\\ufffd\\ufffd\"", "\"\\ufffd\\ufffd\\ufffd\""},
        {{"/a?b", 4}, "/a?b", "\"/a?b\""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct log_field fields[] = {LOG_SLICE("v", cases[i].in), LOG_END_};
        struct log_line line;
        char want[128];

        log_format(&text_style, LOG_LEVEL_INFO, "e", fields, WHEN_MS, &line);
        snprintf(want, sizeof want, "2025-01-31T12:00:00.123Z info e v=%s", cases[i].text);
        assert_string_equal(line_of(&line), want);
        log_format(&json_style, LOG_LEVEL_INFO, "e", fields, WHEN_MS, &line);
        snprintf(want, sizeof want, "\"v\":%s}", cases[i].json);
        assert_non_null(strstr(line_of(&line), want));
    }
}

/* However long its fields, a JSON line is whole. */
static void test_long(void **state)
{
    static char big[LOG_VALUE_MAX * 3];
    static const char fills[] = {'a', '\n', '\xff'};

    (void)state;
    for (size_t f = 0; f < sizeof fills; f++) {
        memset(big, fills[f], sizeof big);
        for (size_t len = 0; len < sizeof big; len += 97) {
            struct slice value = {big, len};
            const struct log_field fields[] = {LOG_SLICE("a", value),    LOG_SLICE("b", value),
                                               LOG_SLICE("c", value),    LOG_ID("d", value),
                                               LOG_SLICE("e", value),    LOG_SLICE("f", value),
                                               LOG_UINT("n", 123456789), LOG_END_};
            struct log_line line;
            json_t *root;

            log_format(&json_style, LOG_LEVEL_ERROR, "event", fields, WHEN_MS, &line);
            root = json_loads(line_of(&line), JSON_REJECT_DUPLICATES, NULL);
            assert_non_null(root);
            assert_true(json_object_get(root, "cut") != NULL || json_object_size(root) == 10);
            json_decref(root);
            log_format(&text_style, LOG_LEVEL_ERROR, "event", fields, WHEN_MS, &line);
            assert_null(strchr(line_of(&line), '\n'));
        }
    }
}

static void test_identity(void **state)
{
    char a[LOG_IDENTITY_MAX], b[LOG_IDENTITY_MAX], big[LOG_IDENTITY_MAX * 2];
    struct slice s;

    (void)state;
    s = log_format_identity(LOG_IDENTITY_PLAIN, SLICE_LIT("42@1"), a);
    assert_true(slice_eq(s, SLICE_LIT("42@1")));
    s = log_format_identity(LOG_IDENTITY_NONE, SLICE_LIT("42@1"), a);
    assert_true(slice_eq(s, SLICE_LIT("-")));
    s = log_format_identity(LOG_IDENTITY_HASH, SLICE_LIT("42@1"), a);
    assert_int_equal(s.len, 13);
    assert_int_equal(s.ptr[0], '#');
    assert_true(slice_eq(s, log_format_identity(LOG_IDENTITY_HASH, SLICE_LIT("42@1"), b)));
    assert_false(slice_eq(s, log_format_identity(LOG_IDENTITY_HASH, SLICE_LIT("42@2"), b)));
    memset(big, 'x', sizeof big);
    for (int how = LOG_IDENTITY_PLAIN; how <= LOG_IDENTITY_NONE; how++) {
        s = log_format_identity((enum settings_log_identity)how, (struct slice){big, sizeof big},
                                a);
        assert_true(s.len <= LOG_IDENTITY_MAX);
        s = log_format_identity((enum settings_log_identity)how, (struct slice){NULL, 0}, a);
        assert_true(s.len <= LOG_IDENTITY_MAX);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_escapes),
        cmocka_unit_test(test_long),
        cmocka_unit_test(test_identity),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
