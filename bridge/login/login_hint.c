#include "bridge/login/login_hint.h"

#include "bridge/identity/rc_account.h"
#include "rocketchat/rc_result.h"

static const char *const by_account[RC_ACCOUNT_NRESULTS] = {
    [RC_ACCOUNT_TENANT_TEMPLATE] =
        "the token has a tenant: Im:UserNameTemplate must say how tenant and name make a "
        "Rocket.Chat user name",
    [RC_ACCOUNT_CLAIM_MISSING] = "a claim that Im:UserNameTemplate names is missing in the token",
    [RC_ACCOUNT_BAD_NAME] = "the token's claims give no possible Rocket.Chat user name",
    [RC_ACCOUNT_RESERVED] =
        "that Rocket.Chat name is the administrator's or one of PushBridge:ReservedUserNames",
    [RC_ACCOUNT_OTHER_NAME] =
        "Rocket.Chat logged another account in; the names must be equal, letter case included",
    [RC_ACCOUNT_ADMIN] = "that Rocket.Chat account is the administrator's",
};

/* provisioner.c's codes */
static const struct {
    const char *code, *hint;
} by_provisioning[] = {
    {"provision-no-email", "the account is to be created, but the token's claims fill none of "
                           "PushBridge:Provisioning:EmailTemplates"},
    {"provision-failed", "the administrator may not, or could not, create the account or its "
                         "token: provision_failed in the log names the call and its error"},
    {"provision-unavailable", "the administrator, who is to create the account or its token, "
                              "can't be used now: see the log"},
    {"user-unknown",
     "no such account at Rocket.Chat, and PushBridge:Provisioning:Enabled is false"},
};

static const char *by_result(enum rc_result result)
{
    switch (result) {
    case RC_UNREACHABLE:
        return "Rocket.Chat can't be reached: check Im:Address, the network and its TLS";
    case RC_TIMED_OUT:
        return "Rocket.Chat did not answer in time";
    case RC_RATE_LIMITED:
        return "Rocket.Chat's rate limit is reached; it passes, or raise the limit there";
    case RC_SERVER_ERROR:
        return "Rocket.Chat, or a proxy before it, is in trouble itself";
    case RC_MALFORMED:
        return "what answers is not Rocket.Chat, or a proxy garbles it: check Im:Address";
    case RC_BLOCKED_IP:
        return "Rocket.Chat blocks logins from the bridge's address: whitelist it there under "
               "Block multiple failed logins";
    case RC_BLOCKED_USER:
        return "Rocket.Chat blocks this account after too many failed logins; it passes";
    case RC_UNAUTHORIZED:
        return "no such account at Rocket.Chat, or its password is not Im:DefaultPassword";
    case RC_TWO_FACTOR:
        return "the account asks for a second factor, which the bridge can't give: switch it off "
               "for this account at Rocket.Chat";
    case RC_DEACTIVATED:
        return "the account is deactivated at Rocket.Chat";
    case RC_REFUSED:
        return "Rocket.Chat does not let this account log in (roles, e-mail, kind of user)";
    default:
        return NULL;
    }
}

const char *login_hint(const char *code)
{
    for (int i = RC_ACCOUNT_OK + 1; i < RC_ACCOUNT_NRESULTS; i++)
        if (strcmp(code, rc_account_code((enum rc_account_result)i)) == 0)
            return by_account[i];
    for (size_t i = 0; i < sizeof by_provisioning / sizeof by_provisioning[0]; i++)
        if (strcmp(code, by_provisioning[i].code) == 0)
            return by_provisioning[i].hint;
    for (int i = RC_OK + 1; i < RC_NRESULTS; i++)
        if (strcmp(code, rc_result_name((enum rc_result)i)) == 0)
            return by_result((enum rc_result)i);
    if (strncmp(code, "error-", 6) == 0 && rc_result_of_code(slice_of(code)) == RC_FAILED)
        return by_result(RC_REFUSED);
    return by_result(rc_result_of_code(slice_of(code)));
}
