#include "rocketchat/rc_result.h"
#include <assert.h>

static const char *const names[RC_NRESULTS] = {
    [RC_OK] = "ok",
    [RC_UNREACHABLE] = "unreachable",
    [RC_TIMED_OUT] = "timed-out",
    [RC_RATE_LIMITED] = "rate-limited",
    [RC_SERVER_ERROR] = "server-error",
    [RC_MALFORMED] = "malformed",
    [RC_BLOCKED_IP] = "blocked-ip",
    [RC_BLOCKED_USER] = "blocked-user",
    [RC_UNAUTHORIZED] = "unauthorized",
    [RC_TWO_FACTOR] = "two-factor",
    [RC_DEACTIVATED] = "deactivated",
    [RC_REFUSED] = "refused",
    [RC_NOT_FOUND] = "not-found",
    [RC_NOT_ALLOWED] = "not-allowed",
    [RC_FAILED] = "failed",
    [RC_NOMEM] = "no-memory",
    [RC_CANCELLED] = "cancelled",
};

static const struct {
    const char *code;
    enum rc_result result;
} codes[] = {
    {"401", RC_UNAUTHORIZED},
    {"403", RC_UNAUTHORIZED},
    {"404", RC_NOT_FOUND},
    {"429", RC_RATE_LIMITED},
    {"500", RC_SERVER_ERROR},
    {"502", RC_SERVER_ERROR},
    {"503", RC_SERVER_ERROR},
    {"504", RC_SERVER_ERROR},
    {"unauthorized", RC_UNAUTHORIZED},
    {"Unauthorized", RC_UNAUTHORIZED},
    {"too-many-requests", RC_RATE_LIMITED},
    {"error-too-many-requests", RC_RATE_LIMITED},
    {"totp-required", RC_TWO_FACTOR},
    {"totp-invalid", RC_TWO_FACTOR},
    {"totp-max-attempts", RC_TWO_FACTOR},
    {"error-login-blocked-for-ip", RC_BLOCKED_IP},
    {"error-login-blocked-for-user", RC_BLOCKED_USER},
    {"error-user-is-not-activated", RC_DEACTIVATED},
    {"error-user-has-no-roles", RC_REFUSED},
    {"error-app-user-is-not-allowed-to-login", RC_REFUSED},
    {"error-invalid-email", RC_REFUSED},
    {"not-allowed", RC_NOT_ALLOWED},
    {"error-not-allowed", RC_NOT_ALLOWED},
    {"error-unauthorized", RC_NOT_ALLOWED},
    {"error-forbidden", RC_NOT_ALLOWED},
};

const char *rc_result_name(enum rc_result r)
{
    assert((unsigned)r < RC_NRESULTS);
    return names[r];
}

bool rc_result_is_transient(enum rc_result r)
{
    return r >= RC_UNREACHABLE && r <= RC_BLOCKED_USER;
}

enum rc_result rc_result_of_code(struct slice code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (slice_eq(code, slice_of(codes[i].code)))
            return codes[i].result;
    return RC_FAILED;
}

void rc_error_set(struct rc_error *e, struct slice code)
{
    size_t n = code.len < sizeof e->code - 1 ? code.len : sizeof e->code - 1;

    e->result = rc_result_of_code(code);
    e->retry_after_ms = 0;
    for (size_t i = 0; i < n; i++) {
        char c = code.ptr[i];
        e->code[i] = c > ' ' && c < 0x7f ? c : '?';
    }
    e->code[n] = '\0';
}

void rc_error_of(struct rc_error *e, enum rc_result result)
{
    rc_error_set(e, slice_of(rc_result_name(result)));
    e->result = result;
}

void rc_error_narrow_login(struct rc_error *e)
{
    if (e->result == RC_FAILED && strncmp(e->code, "error-", 6) == 0)
        e->result = RC_REFUSED;
}
