#include "signalr/hub/hub_inbox.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka wants the three above first */
#include <cmocka.h>

static const char stream[] = "{\"protocol\":\"json\"}\x1e\x1e{\"type\":6}\x1e{\"type\":7}\x1e";
static const char *const bodies[] = {"{\"protocol\":\"json\"}", "", "{\"type\":6}", "{\"type\":7}"};

static unsigned feed(struct hub_inbox *in, const char *at, size_t len, unsigned seen)
{
    /* A copy of its own size: reading past the piece is an ASan report. */
    char *piece = test_malloc(len == 0 ? 1 : len);
    struct slice bytes = {piece, len}, body;

    memcpy(piece, at, len);
    while (hub_inbox_next(in, &bytes, 64, &body) == HUB_INBOX_MESSAGE) {
        assert_true(slice_eq(body, slice_of(bodies[seen])));
        seen++;
    }
    assert_int_equal(bytes.len, 0);
    test_free(piece);
    return seen;
}

static void test_every_split(void **state)
{
    const size_t len = sizeof stream - 1;

    (void)state;
    for (size_t a = 0; a <= len; a++)
        for (size_t b = a; b <= len; b++) {
            struct hub_inbox in = {0};
            unsigned seen = feed(&in, stream, a, 0);

            seen = feed(&in, stream + a, b - a, seen);
            seen = feed(&in, stream + b, len - b, seen);
            assert_int_equal(seen, 4);
            assert_null(in._bytes); /* nothing is kept once all messages are whole */
        }
}

static void test_byte_by_byte(void **state)
{
    struct hub_inbox in = {0};
    unsigned seen = 0;

    (void)state;
    for (size_t i = 0; i < sizeof stream - 1; i++)
        seen = feed(&in, stream + i, 1, seen);
    assert_int_equal(seen, 4);
}

/* The limit holds for a message whole, cut in two, and growing for ever. */
static void test_limit(void **state)
{
    char text[66];
    struct slice body;

    (void)state;
    memset(text, 'x', sizeof text);
    for (size_t len = 60; len <= 65; len++)
        for (size_t cut = 0; cut <= len; cut++) {
            struct hub_inbox in = {0};
            struct slice first = {text, cut}, rest = {text + cut, len + 1 - cut};
            enum hub_inbox_result result;

            text[len] = '\x1e';
            result = hub_inbox_next(&in, &first, 64, &body);
            if (result == HUB_INBOX_EMPTY)
                result = hub_inbox_next(&in, &rest, 64, &body);
            assert_int_equal(result, len < 64 ? HUB_INBOX_MESSAGE : HUB_INBOX_TOO_LARGE);
            if (result == HUB_INBOX_MESSAGE)
                assert_int_equal(body.len, len);
            text[len] = 'x';
            hub_inbox_free(&in);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_split),
        cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_limit),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
