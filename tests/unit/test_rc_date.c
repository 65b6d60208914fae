#include "base/json_slice.h"
#include "rocketchat/rc_date.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *json;
    int64_t ms;
} cases[] = {
    {"{\"$date\":1714557600123}", 1714557600123},
    {"{ \"x\":[1], \"$d\\u0061te\" : 0 }", 0},
    {"{\"$date\":-1}", -1},
    {"{\"$date\":8640000000000000}", 8640000000000000},
    {"{\"$date\":8640000000000001}", RC_NO_DATE},
    {"{\"$date\":-8640000000000001}", RC_NO_DATE},
    {"{\"$date\":99999999999999999999999999}", RC_NO_DATE},
    {"{\"$date\":1.5}", RC_NO_DATE},
    {"{\"$date\":1e3}", RC_NO_DATE},
    {"{\"$date\":\"1\"}", RC_NO_DATE},
    {"{\"$date\":null}", RC_NO_DATE},
    {"{\"$dat\":1}", RC_NO_DATE},
    {"{}", RC_NO_DATE},
    {"null", RC_NO_DATE},
    {"1714557600123", RC_NO_DATE},
    {"[1714557600123]", RC_NO_DATE},
    {"\"2024-05-01T10:00:00.123Z\"", 1714557600123},
    {"\"2024-05-01T12:00:00.123+02:00\"", 1714557600123},
    {"\"2024-05-01T04:30:00.123-05:30\"", 1714557600123},
    {"\"2024-05-01T10:00:00Z\"", 1714557600000},
    {"\"2024-05-01T10:00:00.1Z\"", 1714557600100},
    {"\"2024-05-01T10:00:00.123999Z\"", 1714557600123},
    {"\"1970-01-01T00:00:00.000Z\"", 0},
    {"\"1969-12-31T23:59:59.999Z\"", -1},
    {"\"2000-02-29T00:00:00Z\"", 951782400000},
    {"\"2000-03-01T00:00:00Z\"", 951868800000},
    {"\"2023-12-31T23:59:59.999Z\"", 1704067199999},
    {"\"0001-01-01T00:00:00Z\"", -62135596800000},
    {"\"9999-12-31T23:59:59.999Z\"", 253402300799999},
    {"\"1900-02-29T00:00:00Z\"", RC_NO_DATE},
    {"\"2023-02-29T00:00:00Z\"", RC_NO_DATE},
    {"\"2024-13-01T00:00:00Z\"", RC_NO_DATE},
    {"\"2024-00-01T00:00:00Z\"", RC_NO_DATE},
    {"\"2024-04-31T00:00:00Z\"", RC_NO_DATE},
    {"\"2024-05-01T24:00:00Z\"", RC_NO_DATE},
    {"\"2024-05-01T10:60:00Z\"", RC_NO_DATE},
    {"\"2024-05-01T10:00:60Z\"", RC_NO_DATE},
    {"\"2024-05-01T10:00:00\"", RC_NO_DATE},
    {"\"2024-05-01T10:00:00.Z\"", RC_NO_DATE},
    {"\"2024-05-01T10:00:00.1234567890Z\"", RC_NO_DATE},
    {"\"2024-05-01T10:00:00+24:00\"", RC_NO_DATE},
    {"\"2024-05-01T10:00:00+0200\"", RC_NO_DATE},
    {"\"2024-05-01T10:00:00ZZ\"", RC_NO_DATE},
    {"\"2024-05-01 10:00:00Z\"", RC_NO_DATE},
    {"\"0000-01-01T00:00:00Z\"", RC_NO_DATE},
    {"\"\"", RC_NO_DATE},
    {"\"now\"", RC_NO_DATE},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct json_reader r;
        int64_t ms;

        json_reader_init(&r, cases[i].json, strlen(cases[i].json), JSON_MAX_DEPTH);
        ms = rc_date_read(&r);
        if (ms != cases[i].ms)
            fail_msg("%s: %lld", cases[i].json, (long long)ms);
        assert_true(json_end(&r)); /* the whole value was consumed, date or not */
    }
}

/* Every prefix of an ISO date is none, and reading stays inside it. */
static void test_every_cut(void **state)
{
    static const char text[] = "2024-05-01T12:00:00.123+02:00";

    (void)state;
    for (size_t cut = 0; cut < sizeof text - 1; cut++) {
        char *part = malloc(cut + 1);

        assert_non_null(part);
        memcpy(part, text, cut);
        assert_true(rc_date_of_iso((struct slice){part, cut}) == RC_NO_DATE);
        free(part);
    }
}

static void test_to_iso(void **state)
{
    static const struct {
        int64_t ms;
        const char *iso;
    } dates[] = {
        {0, "1970-01-01T00:00:00.000Z"},         {1714557600123, "2024-05-01T10:00:00.123Z"},
        {-1, "1970-01-01T00:00:00.000Z"},        {RC_NO_DATE, "1970-01-01T00:00:00.000Z"},
        {INT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    char iso[RC_DATE_ISO_SIZE];

    (void)state;
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        rc_date_to_iso(dates[i].ms, iso);
        assert_string_equal(iso, dates[i].iso);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases),
                                       cmocka_unit_test(test_every_cut),
                                       cmocka_unit_test(test_to_iso)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
