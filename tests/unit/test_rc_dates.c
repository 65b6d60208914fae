/* All dates of a document in one form, and nothing else touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/byte_buf.h"
#include "rocketchat/rc_date.h"
#include "rocketchat/rc_dates.h"

static void check(const char *json, const char *want, enum rc_date_form form)
{
    struct byte_buf out = {0};

    rc_dates_write(&out, slice_of(json), form);
    byte_buf_append(&out, "", 1);
    assert_string_equal(out.data, want);
    byte_buf_free(&out);
}

#define SAME(json)                                                                                 \
    {                                                                                              \
        json, json                                                                                 \
    }

static void test_iso(void **state)
{
    static const struct {
        const char *json, *want;
    } rows[] = {
        {"{\"$date\":1714557600123}", "\"2024-05-01T10:00:00.123Z\""},
        {"{\"ts\":{\"$date\":0},\"n\":1.10}", "{\"ts\":\"1970-01-01T00:00:00.000Z\",\"n\":1.10}"},
        {"[ { \"$date\" : -1 } , {\"$date\":\n253402300799999}]",
         "[ \"1969-12-31T23:59:59.999Z\" , \"9999-12-31T23:59:59.999Z\"]"},
        {"{\"a\":[{\"b\":{\"$date\":951782400000}}],\"c\":{\"$date\":5}}",
         "{\"a\":[{\"b\":\"2000-02-29T00:00:00.000Z\"}],\"c\":\"1970-01-01T00:00:00.005Z\"}"},
        SAME(""),
        SAME("{}"),
        SAME("{\"msg\":\"{\\\"$date\\\":1}\"}"), /* what somebody wrote */
        SAME("{\"msg\":\"\\\\\",\"x\":\"{\\\"$date\\\":5}\"}"),
        SAME("{\"$date\":1.5}"),
        SAME("{\"$date\":1e3}"),
        SAME("{\"$date\":\"1\"}"),
        SAME("{\"$date\":null}"),
        SAME("{\"$date\":1,\"more\":2}"),
        SAME("{\"more\":2,\"$date\":1}"),
        SAME("{\"$date\":253402300800000}"), /* the year 10000 */
        SAME("{\"$date\":99999999999999999999999}"),
        SAME("{\"ts\":\"2024-05-01T10:00:00.123Z\"}"),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(rows[i].json, rows[i].want, RC_DATES_ISO);
}

static void test_ejson(void **state)
{
    static const struct {
        const char *json, *want;
    } rows[] = {
        {"{\"ts\":\"2024-05-01T10:00:00.123Z\",\"n\":1.10}",
         "{\"ts\":{\"$date\":1714557600123},\"n\":1.10}"},
        {"[{\"_updatedAt\" : \"1970-01-01T00:00:00.000Z\" , \"u\":{\"lastLogin\":\n"
         "\"2000-02-29T00:00:00.000Z\"}}]",
         "[{\"_updatedAt\" : {\"$date\":0} , \"u\":{\"lastLogin\":\n{\"$date\":951782400000}}}]"},
        /* a text is a text, whatever it looks like */
        SAME("{\"msg\":\"2024-05-01T10:00:00.123Z\",\"ts\":null}"),
        SAME("{\"a\":[\"ts\",\"2024-05-01T10:00:00.123Z\"]}"),
        SAME("{\"ts\":[\"2024-05-01T10:00:00.123Z\"]}"),
        SAME("{\"ts\":{\"$date\":1}}"),
        SAME("{\"ts\":\"2024-05-01\",\"lm\":\"2024-13-01T10:00:00.123Z\"}"),
        SAME("{\"x\":\"ts\",\"msg\":\"2024-05-01T10:00:00.123Z\"}"),
        SAME("{\"\\\"ts\":\"2024-05-01T10:00:00.123Z\"}"),
        SAME("\"ts\""),
        SAME(""),
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check(rows[i].json, rows[i].want, RC_DATES_EJSON);
}

/* There and back, over the years with their leap days. */
static void test_round_trip(void **state)
{
    char iso[RC_DATE_ISO_LEN + 1];

    (void)state;
    for (int64_t ms = INT64_C(-62135596800000); ms < INT64_C(253402300799999);
         ms += INT64_C(86400000) * 97 + 12345) {
        assert_true(rc_date_to_iso(ms, iso));
        assert_int_equal(rc_date_of_iso(slice_of(iso)), ms);
    }
    assert_false(rc_date_to_iso(INT64_MIN, iso));
    assert_false(rc_date_to_iso(INT64_MAX, iso));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso),
        cmocka_unit_test(test_ejson),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
