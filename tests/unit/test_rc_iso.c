/* All dates of a document become texts, and nothing else is touched. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/byte_buf.h"
#include "rocketchat/rc_date.h"
#include "rocketchat/rc_iso.h"

static void check(const char *json, const char *want)
{
    struct byte_buf out = {0};

    rc_iso_of_ejson(slice_of(json), &out);
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
        check(rows[i].json, rows[i].want);
}

/* There and back, over the years with their leap days. */
static void test_round_trip(void **state)
{
    char iso[RC_DATE_ISO_SIZE];

    (void)state;
    for (int64_t ms = INT64_C(-62135596800000); ms < INT64_C(253402300799999);
         ms += INT64_C(86400000) * 97 + 12345) {
        assert_true(rc_date_iso(ms, iso));
        assert_int_equal(rc_date_of_iso(slice_of(iso)), ms);
    }
    assert_false(rc_date_iso(INT64_MIN, iso));
    assert_false(rc_date_iso(INT64_MAX, iso));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso),
        cmocka_unit_test(test_round_trip),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
