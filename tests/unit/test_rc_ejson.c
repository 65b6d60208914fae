#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rocketchat/rc_ejson.h"

static void check(const char *rest, const char *want)
{
    struct byte_buf out = {0};

    rc_ejson_of_rest(slice_of(rest), &out);
    byte_buf_putc(&out, '\0');
    assert_false(byte_buf_failed(&out));
    assert_string_equal(out.data, want);
    byte_buf_free(&out);
}

static void test_dates_by_the_names_of_their_members(void **state)
{
    (void)state;
    check("", "");
    check("[]", "[]");
    check("{\"ts\":\"2024-05-01T10:00:00.123Z\"}", "{\"ts\":{\"$date\":1714557600123}}");
    check("{\"_id\":\"m\" , \"_updatedAt\" :\n \"1970-01-01T00:00:00.005Z\" ,\"msg\":\"x\"}",
          "{\"_id\":\"m\" , \"_updatedAt\" :\n {\"$date\":5} ,\"msg\":\"x\"}");
    check("{\"attachments\":[{\"ts\":\"1970-01-01T00:00:00.000Z\"}],\"editedAt\":null,\"ls\":7}",
          "{\"attachments\":[{\"ts\":{\"$date\":0}}],\"editedAt\":null,\"ls\":7}");
    check("{\"ts\":{\"$date\":5}}", "{\"ts\":{\"$date\":5}}");
}

/* What somebody wrote is theirs. */
static void test_texts_are_left_alone(void **state)
{
    static const char *const texts[] = {
        "{\"msg\":\"2024-05-01T10:00:00.123Z\"}",
        "{\"msg\":\"\\\"ts\\\":\\\"2024-05-01T10:00:00.123Z\\\"\"}",
        "{\"msg\":\"\\\\\",\"x\":\"ts\",\"y\":\"2024-05-01T10:00:00.123Z\"}",
        "[\"ts\",\"2024-05-01T10:00:00.123Z\"]",
        "{\"ts\":\"yesterday\",\"lm\":\"\"}",
        "{\"\\u0074s\":\"2024-05-01T10:00:00.123Z\"}",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        check(texts[i], texts[i]);
}

/* Callers have validated it; what breaks off all the same ends where it ends. */
static void test_what_breaks_off(void **state)
{
    const char whole[] = "{\"ts\":\"2024-05-01T10:00:00.123Z\",\"m\":\"\\\"\\\\\"}";

    (void)state;
    for (size_t len = 0; len < sizeof whole; len++) {
        char *copy =
            test_malloc(len + 1); /* of its exact size: a sanitizer sees what lies behind */
        struct byte_buf out = {0};

        memcpy(copy, whole, len);
        rc_ejson_of_rest((struct slice){copy, len}, &out);
        assert_false(byte_buf_failed(&out));
        byte_buf_free(&out);
        test_free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates_by_the_names_of_their_members),
        cmocka_unit_test(test_texts_are_left_alone),
        cmocka_unit_test(test_what_breaks_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
