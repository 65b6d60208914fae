/* Every code a login can end with has its words, whoever gave it; unknown ones have none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/identity/rc_account.h"
#include "bridge/login/login_hint.h"
#include "rocketchat/rc_result.h"

static void test_hints(void **state)
{
    static const struct {
        const char *code, *says;
    } rows[] = {
        {"403", "Im:DefaultPassword"},
        {"unauthorized", "Im:DefaultPassword"},
        {"totp-required", "second factor"},
        {"error-user-is-not-activated", "deactivated"},
        {"error-login-blocked-for-ip", "whitelist"},
        {"too-many-requests", "rate limit"},
        {"error-no-such-thing-known", "does not let this account"},
        {"unreachable", "Im:Address"},
        {"tenant-template", "Im:UserNameTemplate"},
        {"account-other-name", "letter case"},
        {"provision-no-email", "EmailTemplates"},
        {"user-unknown", "Provisioning:Enabled"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *hint = login_hint(rows[i].code);

        if (hint == NULL || strstr(hint, rows[i].says) == NULL)
            fail_msg("%s: %s", rows[i].code, hint);
    }
    for (int i = RC_ACCOUNT_OK + 1; i < RC_ACCOUNT_NRESULTS; i++)
        assert_non_null(login_hint(rc_account_code((enum rc_account_result)i)));
    assert_null(login_hint("resume-refused"));
    assert_null(login_hint(""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_hints)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
