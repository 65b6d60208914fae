/* bridge/session/session_login_internal.h - one login under way, for the files that make it up.
 *
 *   session_login.c       the turn, REST, tokens that the administrator makes, the account's check
 *   session_login_ddp.c   the password on the user's own DDP connection
 *   session_late.c        the same, when its session waits no more
 */
#ifndef BRIDGE_SESSION_SESSION_LOGIN_INTERNAL_H
#define BRIDGE_SESSION_SESSION_LOGIN_INTERNAL_H

#include "bridge/session/user_session_internal.h"

struct provision;

struct session_login {
    UT_hash_handle hh; /* in table->logins, by ticket, until done was told */
    struct session_table *table;
    struct user_session *session; /* NULL: it has given this login up */
    uint64_t ticket;
    struct rest_call *call;
    struct provision *provision; /* under way */
    enum login_road road;
    bool granted;
    bool by_token;           /* whatever the road's name */
    bool ensured;            /* that Rocket.Chat knows the user: not asked twice */
    bool told;               /* done was told: what is under way only has to be cleaned up */
    struct rc_error refusal; /* what made us ask */
    struct rest_rate rate;
    bool asked;                /* on the DDP road: the password is on its way ... */
    uint64_t until_ms;         /* ... and waited for so long */
    char *seen_id, *seen_name; /* of the users document on the DDP road */
    /* session_late.c */
    struct session_login *prev, *next; /* in table->late */
    struct ddp_connector *link;
    char *late_user_id, *late_token; /* being logged out; the token is wiped */
};

int64_t session_login_unix_ms(void);
void session_login_free(struct session_login *l);
/* Gives the turn back; the governor never hears of this login again. */
void session_login_tell_done(struct session_login *l, const struct rc_error *error,
                             const struct rest_rate *rate);
/* What a failed login means for the session; the same on all roads. */
void session_login_fail(struct user_session *s, const struct rc_error *error);
/* Whose token this is is still to be seen: until then it must not be kept, nor left behind. False:
 * unfit, or no memory. */
bool session_login_take_token(struct user_session *s, struct slice user_id, struct slice token);
/* The account that the token is for is known: ours, and on to the cache, or refused. */
void session_login_accept(struct user_session *s, struct slice username);
/* True: a refused login is looked into, and goes on. */
bool session_login_ensure(struct session_login *l, const struct rc_error *error,
                          const struct rest_rate *rate);

/* ---- session_late.c ---- */
/* l's password is on its way over the connection of s, which parts with both. */
void session_late_begin(struct session_login *l, struct user_session *s);
void session_late_answered(struct session_login *l, struct slice result,
                           const struct rc_error *error);

#endif
