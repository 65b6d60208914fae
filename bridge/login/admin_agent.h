/* bridge/login/admin_agent.h - the bridge's own login at Rocket.Chat.
 *
 * Logs in at start with the admin's password, or uses the user id and personal access token it is
 * given, and keeps trying while Rocket.Chat is down: the bridge serves meanwhile and says degraded.
 * Renews its token before the entry's TTL ends and logs out at stop. One per process, on the shard
 * of the governor. A user's failed login never falls back to it. */
#ifndef BRIDGE_LOGIN_ADMIN_AGENT_H
#define BRIDGE_LOGIN_ADMIN_AGENT_H

#include "bridge/login/login_gate.h"
#include "bridge/session/session_table.h"
#include <uv.h>

struct admin_agent;
struct settings;

enum admin_state {
    ADMIN_OFF,        /* no admin account configured */
    ADMIN_LOGGING_IN, /* first login under way, or being retried */
    ADMIN_READY,
    ADMIN_REFUSED, /* wrong password, 2FA, ...: tried again in minutes */
    ADMIN_NSTATES,
};

struct admin_agent_options {
    uv_loop_t *loop;
    const struct settings *settings; /* outlive the agent, like the rest client */
    struct rest_client *rest;
    struct login_gate gate; /* acquire is called with the key "admin" behind a NUL, no user's key */
    uint64_t ticket_base;   /* tickets are ticket_base + 1, + 2, ... */
    /* Who the admin is became known, or changed. Comes from the loop, never inside a call. */
    void (*on_identity)(void *arg, struct slice user_id, struct slice username);
    void *arg;
};

int admin_agent_new(const struct admin_agent_options *options, struct admin_agent **out);
void admin_agent_login_granted(struct admin_agent *a, uint64_t ticket, enum login_road road);
void admin_agent_login_refused(struct admin_agent *a, uint64_t ticket,
                               const struct rc_error *error);
enum admin_state admin_agent_state(const struct admin_agent *a, const char **last_error_code);
/* Lends the token at hand, inside the call. refused: what a caller was lent before and Rocket.Chat
 * answered 401 to: the agent asks whether it is dead, and if so logs in afresh; the caller waits
 * for the outcome, TOKEN_DESK_LIMIT_MS at most (RC_TIMED_OUT). The same token again: it is alive.
 * Not ready: RC_UNREACHABLE, off: RC_REFUSED; code says why. */
void admin_agent_lend(struct admin_agent *a, struct slice refused, session_loan_fn fn, void *arg);
/* Logs out what a password logged in (never a personal access token), within limit_ms; then done,
 * once and later, and the agent is gone. No login_granted or login_refused from here on: an answer
 * that is on its way is the host's to give back. */
void admin_agent_stop(struct admin_agent *a, unsigned limit_ms, void (*done)(void *arg), void *arg);

#endif
