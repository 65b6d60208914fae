#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/byte_buf.h"
#include "base/json_slice.h"
#include <stdlib.h>

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

/* A copy with nothing behind it, so that ASan sees a read past the end. */
static char *exact(const char *text, size_t len)
{
    char *p = malloc(len > 0 ? len : 1);

    assert_non_null(p);
    if (len > 0)
        memcpy(p, text, len);
    return p;
}

static bool valid(const char *text, size_t len, unsigned depth)
{
    char *copy = exact(text, len);
    bool ok = json_valid(copy, len, depth);

    free(copy);
    return ok;
}

static const char *const good[] = {
    "0",
    "-0",
    "-0.0e+00",
    "1.1",
    "1e2",
    "123456789012345678901234567890",
    "true",
    "false",
    "null",
    "\"\"",
    " \t\r\n1 \t\r\n",
    "[]",
    "{}",
    "[ ]",
    "{ }",
    "[1,2 , 3]",
    "{\"a\":1,\"b\" : [ {} , [] ] }",
    "{\"\":\"\"}",
    "{\"a\":1,\"a\":2}",
    "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\uD83D\\uDE00\"",
    "\"\\u0000 lone \\ud800 \\udc00\"",
    "\"12345678\"",
    "\"1234567\\n\"",
    "\"\x7f\"",
    "\"h\xc3\xa9llo \xd0\xbf\xd1\x80 \xe2\x82\xac \xf0\x9f\x98\x80\"",
    "\"\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\xf4\x8f\xbf\xbf\"",
    "[[[[1]]],{\"a\":{\"b\":{}}}]",
};

static const char *const bad[] = {
    "",
    " ",
    "nul",
    "nulll",
    "True",
    "tru e",
    "+1",
    "01",
    "-",
    "-a",
    "1.",
    ".5",
    "1e",
    "1e+",
    "1.e1",
    "0x10",
    "NaN",
    "-Infinity",
    "1 2",
    "{} {}",
    "[1]]",
    "]",
    "}",
    ",",
    ":",
    "[",
    "{",
    "[1",
    "[1,",
    "[1,]",
    "[,1]",
    "[1,,2]",
    "[1 2]",
    "[1}",
    "{]",
    "{\"a\"}",
    "{\"a\":}",
    "{\"a\":1,}",
    "{,\"a\":1}",
    "{\"a\" 1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1]",
    "{a:1}",
    "{1:1}",
    "{\"a\":1",
    "{\"a\":",
    "{\"a\"",
    "{\"a",
    "\"",
    "\"abc",
    "\"abcdefgh",
    "'a'",
    "\"\\\"",
    "\"\\a\"",
    "\"\\u12\"",
    "\"\\u12g4\"",
    "\"\\u",
    "\"\\",
    "\"\n\"",
    "\"1234567\t\"",
    "\"\x1f\"",
    "\"\x80\"",
    "\"\xc3\"",
    "\"\xc0\xaf\"",
    "\"\xc1\xbf\"",
    "\"\xe0\x9f\xbf\"",
    "\"\xed\xa0\x80\"",
    "\"\xf0\x8f\xbf\xbf\"",
    "\"\xf4\x90\x80\x80\"",
    "\"\xf5\x80\x80\x80\"",
    "\"\xd0\xbf\n\"",
    "\"\xe2\x82",
    "\"\xf0\x9f\x98",
    "// comment\n1",
    "[1]//",
    "\xef\xbb\xbf{}",
};

static void test_valid(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++)
        if (!valid(good[i], strlen(good[i]), 64))
            fail_msg("refused: %s", good[i]);
    for (size_t i = 0; i < COUNT(bad); i++)
        if (valid(bad[i], strlen(bad[i]), 64))
            fail_msg("accepted: %s", bad[i]);
    assert_false(valid("1\0", 2, 64));
    assert_false(valid("\"a\0b\"", 5, 64));
    assert_false(json_valid(NULL, 0, 64));
}

/* A stop byte at each place of the eight-byte step, each kind of stop. */
static void test_string_steps(void **state)
{
    static const struct {
        const char *text;
        bool ok;
    } stops[] = {{"\"", false},   {"\\n", true}, {"\\x", false},     {"\x01", false},
                 {"\x1f", false}, {" ", true},   {"\xc3\xa9", true}, {"\xff", false},
                 {"\xc3", false}, {"!", true},   {"[", true},        {"\x7f", true}};

    (void)state;
    for (size_t at = 0; at < 40; at++)
        for (size_t s = 0; s < COUNT(stops); s++)
            for (size_t tail = 0; tail < 17; tail++) {
                char text[80];
                size_t len = 0, n = strlen(stops[s].text);

                text[len++] = '"';
                memset(text + len, 'a', at);
                len += at;
                memcpy(text + len, stops[s].text, n);
                len += n;
                memset(text + len, '~', tail);
                len += tail;
                text[len++] = '"';
                assert_int_equal(valid(text, len, 1), stops[s].ok);
                for (size_t cut = 0; cut < len; cut++)
                    if (stops[s].ok)
                        assert_false(valid(text, cut, 1));
            }
}

/* No proper prefix of a closed document is one. */
static void test_every_prefix(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        size_t len = strlen(good[i]);
        char first = good[i][0], last = good[i][len - 1];

        if (first != last && first != '[' && first != '{')
            continue; /* numbers and words may have valid prefixes */
        if (strchr("\"[{", first) == NULL)
            continue;
        for (size_t cut = 0; cut < len; cut++)
            if (valid(good[i], cut, 64))
                fail_msg("accepted %zu bytes of: %s", cut, good[i]);
    }
}

static void test_depth(void **state)
{
    char text[2 * 300 + 1];

    (void)state;
    for (unsigned depth = 1; depth <= 300; depth++) {
        memset(text, '[', depth);
        memset(text + depth, ']', depth);
        assert_int_equal(valid(text, 2 * depth, 64), depth <= 64);
        assert_int_equal(valid(text, 2 * depth, 10000), depth <= JSON_MAX_DEPTH);
    }
    assert_true(valid("1", 1, 0));
    assert_false(valid("[]", 2, 0));
    for (size_t i = 0; i < 600; i++)
        text[i] = i % 2 ? '[' : '{';
    assert_false(valid(text, 600, 128));
    /* Which bracket closes which is remembered past 64 levels. */
    for (unsigned depth = 1; depth <= 128; depth++) {
        struct byte_buf b = {0};

        for (unsigned i = 0; i < depth; i++)
            byte_buf_puts(&b, i % 3 ? "[" : "{\"k\":");
        byte_buf_puts(&b, "1");
        for (unsigned i = depth; i-- > 0;)
            byte_buf_puts(&b, i % 3 ? "]" : "}");
        assert_true(valid(b.data, b.len, 128));
        b.data[b.len - depth] = b.data[b.len - depth] == ']' ? '}' : ']';
        assert_false(valid(b.data, b.len, 128));
        byte_buf_free(&b);
    }
}

static void assert_slice(struct slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void test_walk(void **state)
{
    static const char text[] = " { \"a\" : 1 , \"b\":[ \"x\\n\" , {\"c\":null}, 2.50 ], "
                               "\"raw\" : {\"k\": [1,  2]} ,\"t\":true,\"f\":false, \"n\":-12 } ";
    struct json_reader r;
    struct slice key, value;
    int64_t n;
    bool flag;

    (void)state;
    json_reader_init(&r, text, sizeof text - 1, 64);
    assert_int_equal(json_peek(&r), JSON_KIND_OBJECT);
    assert_true(json_enter_object(&r));
    assert_true(json_next_key(&r, &key));
    assert_slice(key, "a");
    assert_int_equal(json_peek(&r), JSON_KIND_NUMBER);
    assert_true(json_read_int64(&r, &n));
    assert_int_equal(n, 1);
    assert_true(json_next_key(&r, &key));
    assert_slice(key, "b");
    assert_true(json_enter_array(&r));
    assert_true(json_next_item(&r));
    assert_true(json_read_string(&r, &value));
    assert_slice(value, "x\\n");
    assert_true(json_next_item(&r));
    assert_true(json_enter_object(&r));
    assert_true(json_next_key(&r, &key));
    assert_slice(key, "c");
    assert_int_equal(json_peek(&r), JSON_KIND_NULL);
    assert_true(json_skip(&r));
    assert_false(json_next_key(&r, &key));
    assert_true(json_next_item(&r));
    assert_true(json_read_raw(&r, &value));
    assert_slice(value, "2.50");
    assert_int_equal(json_peek(&r), JSON_KIND_NONE);
    assert_false(json_next_item(&r));
    assert_true(json_next_key(&r, &key));
    assert_true(json_read_raw(&r, &value));
    assert_slice(value, "{\"k\": [1,  2]}");
    assert_true(json_next_key(&r, &key));
    assert_true(json_read_bool(&r, &flag));
    assert_true(flag);
    assert_true(json_next_key(&r, &key));
    assert_true(json_read_bool(&r, &flag));
    assert_false(flag);
    assert_true(json_next_key(&r, &key));
    assert_true(json_read_int64(&r, &n));
    assert_int_equal(n, -12);
    assert_false(json_next_key(&r, &key));
    assert_true(json_end(&r));
    assert_false(json_failed(&r));
}

static void test_enter_or_skip(void **state)
{
    const char text[] = "[[{}],{\"a\":1},\"x\",tru]";
    struct json_reader r;
    struct slice s;

    (void)state;
    json_reader_init(&r, text, sizeof text - 1, 64);
    assert_true(json_enter_array(&r));
    assert_true(json_next_item(&r));
    assert_false(json_enter_object_or_skip(&r)); /* an array is skipped whole */
    assert_true(json_next_item(&r));
    assert_true(json_enter_object_or_skip(&r));
    assert_true(json_next_key(&r, &s));
    assert_true(json_skip(&r));
    assert_false(json_next_key(&r, &s));
    assert_true(json_next_item(&r));
    assert_false(json_enter_object_or_skip(&r));
    assert_false(json_failed(&r));
    assert_true(json_next_item(&r));
    assert_false(json_enter_object_or_skip(&r)); /* no value at all */
    assert_true(json_failed(&r));
}

static void test_sticky(void **state)
{
    struct json_reader r;
    struct slice s;
    int64_t n;
    bool flag;

    (void)state;
    json_reader_init(&r, "{\"a\":1}", 7, 64);
    assert_false(json_enter_array(&r));
    assert_true(json_failed(&r));
    assert_false(json_enter_object(&r));
    assert_false(json_next_key(&r, &s));
    assert_false(json_next_item(&r));
    assert_false(json_skip(&r));
    assert_false(json_read_raw(&r, &s));
    assert_false(json_read_string(&r, &s));
    assert_false(json_read_int64(&r, &n));
    assert_false(json_read_bool(&r, &flag));
    assert_int_equal(json_peek(&r), JSON_KIND_NONE);
    assert_false(json_end(&r));

    /* An unread value, a second value, a document left open. */
    json_reader_init(&r, "{\"a\":1,\"b\":2}", 13, 64);
    assert_true(json_enter_object(&r));
    assert_true(json_next_key(&r, &s));
    assert_false(json_next_key(&r, &s));
    assert_true(json_failed(&r));
    json_reader_init(&r, "[1,]", 4, 64);
    assert_true(json_enter_array(&r));
    assert_true(json_next_item(&r));
    assert_true(json_skip(&r));
    assert_false(json_next_item(&r));
    assert_true(json_failed(&r));
    json_reader_init(&r, "1 2", 3, 64);
    assert_true(json_skip(&r));
    assert_int_equal(json_peek(&r), JSON_KIND_NONE);
    assert_false(json_skip(&r));
    json_reader_init(&r, "[1]", 3, 64);
    assert_true(json_enter_array(&r));
    assert_false(json_end(&r));
    json_reader_init(&r, "1", 1, 64);
    assert_false(json_end(&r));
}

static void test_int64(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        int64_t value;
    } cases[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"7", true, 7},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"-9223372036854775809", false, 0},
        {"18446744073709551616", false, 0},
        {"99999999999999999999999999", false, 0},
        {"1.0", false, 0},
        {"1e2", false, 0},
        {"\"1\"", false, 0},
        {"null", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct json_reader r;
        int64_t n = 42;

        json_reader_init(&r, cases[i].text, strlen(cases[i].text), 1);
        assert_int_equal(json_read_int64(&r, &n), cases[i].ok);
        assert_int_equal(json_end(&r), cases[i].ok);
        if (cases[i].ok)
            assert_true(n == cases[i].value);
    }
}

static void test_string_text(void **state)
{
    static const struct {
        const char *raw, *meaning; /* NULL: has none */
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"a\\\"b\\\\c\\/d", "a\"b\\c/d"},
        {"\\b\\f\\n\\r\\t", "\b\f\n\r\t"},
        {"\\u0041\\u00e9\\u20AC", "A\xc3\xa9\xe2\x82\xac"},
        {"\\uD83D\\uDE00", "\xf0\x9f\x98\x80"},
        {"\\uDBFF\\uDFFF", "\xf4\x8f\xbf\xbf"},
        {"\\ud800", NULL},
        {"\\ud800x", NULL},
        {"\\ud800\\n", NULL},
        {"\\ud800\\ud800", NULL},
        {"\\ud800\\u0041", NULL},
        {"x\\udc00", NULL},
    };
    char out[64];
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct slice raw = slice_of(cases[i].raw);
        const char *meaning = cases[i].meaning;

        if (meaning == NULL) {
            assert_false(json_string_unescape(raw, out, sizeof out, &len));
            assert_false(json_string_is(raw, ""));
            assert_false(json_string_is(raw, "\xed\xa0\x80"));
            continue;
        }
        assert_true(json_string_unescape(raw, out, sizeof out, &len));
        assert_int_equal(len, strlen(meaning));
        assert_memory_equal(out, meaning, len);
        assert_true(json_string_is(raw, meaning));
        assert_false(json_string_is(raw, "something else"));
        assert_true(json_string_unescape(raw, out, strlen(meaning), &len));
        for (size_t cap = 0; cap < strlen(meaning); cap++) {
            assert_false(json_string_unescape(raw, out, cap, &len));
            assert_false(json_string_eq(raw, (struct slice){meaning, cap}));
        }
    }
    assert_true(json_string_eq(SLICE_LIT("a\\u0000b"), (struct slice){"a\0b", 3}));
    assert_false(json_string_is(SLICE_LIT("a\\u0000b"), "a"));
    assert_false(json_string_is(SLICE_LIT("abc"), "ab"));
}

static void test_write(void **state)
{
    static const struct {
        const char *text, *json;
    } cases[] = {
        {"", "\"\""},
        {"abc", "\"abc\""},
        {"\"\\/", "\"\\\"\\\\/\""},
        {"\b\f\n\r\t\x01\x1f\x7f", "\"\\b\\f\\n\\r\\t\\u0001\\u001f\x7f\""},
        {"\xc3\xa9\xf0\x9f\x98\x80", "\"\xc3\xa9\xf0\x9f\x98\x80\""},
        {"a\xff\xc3", "\"a\xef\xbf\xbd\xef\xbf\xbd\""},
        {"\xe2\x82x", "\"\xef\xbf\xbd\xef\xbf\xbdx\""},
    };

    (void)state;
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct byte_buf b = {0};

        json_write_string(&b, slice_of(cases[i].text));
        assert_slice(byte_buf_slice(&b), cases[i].json);
        assert_true(valid(b.data, b.len, 0));
        byte_buf_free(&b);
    }
    struct byte_buf small = {.limit = 4};
    json_write_string(&small, SLICE_LIT("too long"));
    assert_true(byte_buf_failed(&small));
    byte_buf_free(&small);
    struct byte_buf nul = {0};
    json_write_string(&nul, (struct slice){"a\0b", 3});
    assert_slice(byte_buf_slice(&nul), "\"a\\u0000b\"");
    byte_buf_free(&nul);
}

/* A value walked member by member, and its raw text from the same pass. */
static void test_mark(void **state)
{
    static const char text[] = "[ {\"a\" : [1, 2]} , \"s\" ]";
    struct json_reader r;
    struct slice key;
    const char *mark;

    (void)state;
    json_reader_init(&r, text, sizeof text - 1, JSON_MAX_DEPTH);
    assert_true(json_enter_array(&r) && json_next_item(&r));
    mark = json_mark(&r);
    assert_true(json_enter_object(&r));
    while (json_next_key(&r, &key))
        json_skip(&r);
    assert_true(slice_eq(json_since(&r, mark), SLICE_LIT("{\"a\" : [1, 2]}")));
    assert_true(json_next_item(&r));
    mark = json_mark(&r);
    assert_true(json_skip(&r));
    assert_true(slice_eq(json_since(&r, mark), SLICE_LIT("\"s\"")));
    assert_false(json_next_item(&r));
    assert_true(json_end(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_valid),        cmocka_unit_test(test_string_steps),
        cmocka_unit_test(test_every_prefix), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_walk),         cmocka_unit_test(test_enter_or_skip),
        cmocka_unit_test(test_sticky),       cmocka_unit_test(test_int64),
        cmocka_unit_test(test_string_text),  cmocka_unit_test(test_write),
        cmocka_unit_test(test_mark),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
