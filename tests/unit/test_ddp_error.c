#include "rocketchat/ddp_error.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define DAY_MS (24 * 3600 * 1000)

static void test_cases(void **state)
{
    static const struct {
        const char *json, *code;
        enum rc_result result;
        uint64_t wait_ms;
    } cases[] = {
        {"{\"isClientSafe\":true,\"error\":403,\"reason\":\"You've been logged out by the server. "
         "Please log in again.\",\"message\":\"... [403]\",\"errorType\":\"Meteor.Error\"}",
         "403", RC_UNAUTHORIZED, 0},
        {"{\"error\":404,\"reason\":\"Method 'x' not found\"}", "404", RC_NOT_FOUND, 0},
        {"{\"error\":500,\"reason\":\"Internal server error\"}", "500", RC_SERVER_ERROR, 0},
        {"{\"error\":\"not-allowed\"}", "not-allowed", RC_NOT_ALLOWED, 0},
        {"{\"error\":\"totp-required\",\"details\":{\"method\":\"totp\",\"availableMethods\":[]}}",
         "totp-required", RC_TWO_FACTOR, 0},
        {"{\"details\":{\"timeToReset\":4321},\"error\":\"too-many-requests\"}",
         "too-many-requests", RC_RATE_LIMITED, 4321},
        {"{\"error\":\"too-many-requests\",\"details\":{\"timeToReset\":12.75}}",
         "too-many-requests", RC_RATE_LIMITED, 12},
        {"{\"error\":\"too-many-requests\",\"details\":{\"timeToReset\":1e300}}",
         "too-many-requests", RC_RATE_LIMITED, 1},
        {"{\"error\":\"too-many-requests\",\"details\":{\"timeToReset\":-5}}", "too-many-requests",
         RC_RATE_LIMITED, 0},
        {"{\"error\":\"too-many-requests\",\"details\":{\"timeToReset\":99999999999999999999999}}",
         "too-many-requests", RC_RATE_LIMITED, DAY_MS},
        {"{\"error\":\"too-many-requests\",\"details\":[\"timeToReset\",7]}", "too-many-requests",
         RC_RATE_LIMITED, 0},
        {"{\"err\\u006fr\":\"n\\u006ft-allowed\"}", "not-allowed", RC_NOT_ALLOWED, 0},
        /* a code is never a way into our log */
        {"{\"error\":\"a\\nb \xc3\xa9\"}", "a?b???", RC_FAILED, 0},
        {"{\"error\":\"\\ud800\"}", "\\ud800", RC_FAILED, 0},
        {"{\"error\":\"\"}", "", RC_FAILED, 0},
        {"{\"error\":null,\"reason\":\"r\"}", "malformed", RC_MALFORMED, 0},
        {"{\"reason\":\"r\"}", "malformed", RC_MALFORMED, 0},
        {"\"403\"", "malformed", RC_MALFORMED, 0},
        {"{\"error\":403", "malformed", RC_MALFORMED, 0},
        {"", "malformed", RC_MALFORMED, 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_error e;

        ddp_error_parse(slice_of(cases[i].json), &e);
        assert_string_equal(e.code, cases[i].code);
        assert_int_equal(e.result, cases[i].result);
        assert_int_equal(e.retry_after_ms, cases[i].wait_ms);
    }
}

static void test_long_code(void **state)
{
    char json[400] = "{\"error\":\"";
    struct rc_error e;

    (void)state;
    memset(json + 10, 'x', 300);
    memcpy(json + 310, "\"}", 3);
    ddp_error_parse(slice_of(json), &e);
    assert_int_equal(e.result, RC_FAILED);
    assert_int_equal(strlen(e.code), sizeof e.code - 1);
}

static void test_reasons(void **state)
{
    static const struct {
        const char *json, *reason; /* NULL: none */
    } rows[] = {
        {"{\"error\":404,\"reason\":\"Method \\u0027x\\u0027 not found\",\"message\":\"m [404]\"}",
         "Method 'x' not found"},
        {"{\"message\":\"Not allowed [error-not-allowed]\",\"error\":\"error-not-allowed\"}",
         "error-not-allowed"},
        {"{\"success\":false,\"error\":\"Invalid room [error-invalid-room]\"}",
         "Invalid room [error-invalid-room]"},
        {"{\"error\":403}", NULL},
        {"{\"reason\":7}", NULL},
        {"{\"reason\":\"\\ud800\"}", NULL},
        {"{\"reason\":\"cut", NULL},
        {"{\"reason\":\"0123456789012345678901234567890\"}", "0123456789012345678901234567890"},
        {"{\"reason\":\"01234567890123456789012345678901234567\"}", NULL}, /* too long */
        {"[]", NULL},
        {"", NULL},
    };
    char reason[38];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const bool has = ddp_error_reason(slice_of(rows[i].json), reason, sizeof reason);

        assert_int_equal(has, rows[i].reason != NULL);
        if (has)
            assert_string_equal(reason, rows[i].reason);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_cases),
                                       cmocka_unit_test(test_long_code),
                                       cmocka_unit_test(test_reasons)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
