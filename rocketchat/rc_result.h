/* rocketchat/rc_result.h - what Rocket.Chat answered, over REST or DDP, in one vocabulary.
 *
 * Sources: rocketchat.md 1.7, 2.3, 5.1, 5.2. */
#ifndef ROCKETCHAT_RC_RESULT_H
#define ROCKETCHAT_RC_RESULT_H

#include "base/slice.h"
#include <stdint.h>

enum rc_result {
    RC_OK,
    /* transient: try again later */
    RC_UNREACHABLE, /* name, TCP, TLS, proxy; or the DDP link went down before the answer */
    RC_TIMED_OUT,
    RC_RATE_LIMITED, /* 429 or too-many-requests; retry_after_ms says how long */
    RC_SERVER_ERROR, /* 5xx, error 500, a proxy's HTML page */
    RC_MALFORMED,    /* an answer that makes no sense; also one past the size limit */
    RC_BLOCKED_IP,   /* error-login-blocked-for-ip: everybody's logins suffer */
    RC_BLOCKED_USER, /* error-login-blocked-for-user */
    /* for good, until somebody changes something */
    RC_UNAUTHORIZED, /* 401/403: wrong user or password, token unknown, revoked or expired */
    RC_TWO_FACTOR,   /* totp-required and its kin */
    RC_DEACTIVATED,  /* error-user-is-not-activated */
    RC_REFUSED,      /* other error-... codes of a login: no roles, app user, unverified e-mail */
    RC_NOT_FOUND,    /* 404: no such method, route or subscription */
    RC_NOT_ALLOWED,  /* not-allowed, error-not-allowed, missing permission */
    RC_FAILED,       /* any other error answer; code says which */
    RC_NOMEM,
    RC_CANCELLED, /* by us */
    RC_NRESULTS,
};

/* How long Rocket.Chat refuses a user or an address it has blocked, by default, counted from the
 * last failed try, so that every try prolongs it (rocketchat.md 2.3). */
#define RC_LOGIN_BLOCK_MS (5 * 60 * 1000)

const char *rc_result_name(enum rc_result r); /* "ok", "rate-limited", ... for logs and metrics */
bool rc_result_is_transient(enum rc_result r);

/* An error answer's details; code is Rocket.Chat's ("403", "totp-required"), bounded and cleaned to
 * printable ASCII so that it can go to a log. Never holds a token or a reason text of the peer. */
struct rc_error {
    enum rc_result result;
    char code[64];
    uint64_t retry_after_ms; /* 0: not told */
};

/* The shared mapping from an error code (string or number as text) to a result; unknown: RC_FAILED.
 */
enum rc_result rc_result_of_code(struct slice code);

/* Fills *e from an error code: mapped, cleaned and cut, retry_after_ms 0. */
void rc_error_set(struct rc_error *e, struct slice code);
/* The same for a result that no peer's code stands behind (RC_TIMED_OUT, ...): code is its name. */
void rc_error_of(struct rc_error *e, enum rc_result result);
/* e answers a login: an unknown "error-..." code is a refusal there, not a mere failure. */
void rc_error_narrow_login(struct rc_error *e);

#endif
