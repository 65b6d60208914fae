#include "rocketchat/rc_result.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_codes(void **state)
{
    static const struct {
        const char *code;
        enum rc_result want;
        bool transient;
    } cases[] = {
        {"403", RC_UNAUTHORIZED, false},
        {"401", RC_UNAUTHORIZED, false},
        {"404", RC_NOT_FOUND, false},
        {"500", RC_SERVER_ERROR, true},
        {"400", RC_FAILED, false},
        {"too-many-requests", RC_RATE_LIMITED, true},
        {"error-too-many-requests", RC_RATE_LIMITED, true},
        {"totp-required", RC_TWO_FACTOR, false},
        {"totp-max-attempts", RC_TWO_FACTOR, false},
        {"error-login-blocked-for-ip", RC_BLOCKED_IP, true},
        {"error-login-blocked-for-user", RC_BLOCKED_USER, true},
        {"error-user-is-not-activated", RC_DEACTIVATED, false},
        {"error-app-user-is-not-allowed-to-login", RC_REFUSED, false},
        {"not-allowed", RC_NOT_ALLOWED, false},
        {"error-anything", RC_FAILED, false},
        {"", RC_FAILED, false},
        {"4030", RC_FAILED, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_error e;
        rc_error_set(&e, slice_of(cases[i].code));
        assert_int_equal(e.result, cases[i].want);
        assert_string_equal(e.code, cases[i].code);
        assert_int_equal(rc_result_is_transient(e.result), cases[i].transient);
    }
}

static void test_code_is_cleaned_and_cut(void **state)
{
    struct rc_error e;
    char longer[200];

    (void)state;
    rc_error_set(&e, SLICE_LIT("a b\n\x1b\xc3\xa9\0z"));
    assert_string_equal(e.code, "a?b?????z");
    memset(longer, 'x', sizeof longer);
    rc_error_set(&e, (struct slice){longer, sizeof longer});
    assert_int_equal(strlen(e.code), sizeof e.code - 1);
}

static void test_login_narrowing(void **state)
{
    struct rc_error e;

    (void)state;
    rc_error_set(&e, SLICE_LIT("error-custom-hook"));
    rc_error_narrow_login(&e);
    assert_int_equal(e.result, RC_REFUSED);
    rc_error_set(&e, SLICE_LIT("400"));
    rc_error_narrow_login(&e);
    assert_int_equal(e.result, RC_FAILED);
    rc_error_set(&e, SLICE_LIT("error-login-blocked-for-ip"));
    rc_error_narrow_login(&e);
    assert_int_equal(e.result, RC_BLOCKED_IP);
}

static void test_every_result_has_a_name(void **state)
{
    (void)state;
    for (int r = 0; r < RC_NRESULTS; r++) {
        struct rc_error e;
        rc_error_of(&e, (enum rc_result)r);
        assert_int_equal(e.result, r);
        assert_string_equal(e.code, rc_result_name((enum rc_result)r));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codes),
        cmocka_unit_test(test_code_is_cleaned_and_cut),
        cmocka_unit_test(test_login_narrowing),
        cmocka_unit_test(test_every_result_has_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
