/* bridge/login/login_governor.h - when and by which road the next user may log in to Rocket.Chat.
 *
 * Pure: no I/O, no clock (times are milliseconds of one monotonic clock), no threads. One per
 * process. Logins queue first come, first served; the owner asks login_governor_next() after every
 * call and at login_governor_wakeup_ms(), and reports each granted login's end. That a user has one
 * login at a time is the session's matter.
 *
 * Roads: REST while its window has room (Rocket.Chat: 10 calls in 60 s for one address and route,
 * login included), else a password login on the user's own DDP connection. What X-RateLimit-* and
 * 429 answers tell replaces our own count.
 *
 * Refusals (wrong password, unknown, deactivated, 2FA) are remembered per user, 1 min doubling to
 * 30 min, and hold for both roads: each failed try counts at Rocket.Chat against the user and
 * against this address. The address blocked, or 20 refusals in 5 min, which is about to get it
 * blocked, pauses everybody: 5 min doubling to 30 min, until a login succeeds again.
 *
 * Successes are paced by user (login_pace.h).
 *
 * Sources: rocketchat.md 2.3, 5.2, 7.1. */
#ifndef BRIDGE_LOGIN_LOGIN_GOVERNOR_H
#define BRIDGE_LOGIN_LOGIN_GOVERNOR_H

#include "base/slice.h"
#include "bridge/login/login_gate.h"
#include "bridge/settings/settings.h"
#include "rocketchat/rc_result.h"
#include "rocketchat/rest_client.h"
#include <stdint.h>

struct login_governor;

struct login_governor_options {
    enum settings_login_via via;
    uint32_t rest_calls; /* per rest_window_ms, until the server tells otherwise; > 0 */
    uint64_t rest_window_ms;
    uint32_t ddp_per_second; /* 0: as many as come */
    uint32_t max_running;    /* > 0 */
    size_t max_queued;
    size_t max_refused_users; /* > 0; past it the oldest refusal is forgotten */
};

/* Embedded in what asks; zero-initialised but for ahead. Lives until it was granted and done, or
 * cancelled. */
struct login_ticket {
    bool ahead; /* of all others, however many wait or run: the administrator, for whom they wait */
    struct login_ticket *prev, *next;
    enum { LOGIN_TICKET_IDLE, LOGIN_TICKET_QUEUED, LOGIN_TICKET_RUNNING } state;
    enum login_road road; /* once granted */
};

enum login_request_result {
    LOGIN_REQUEST_QUEUED,
    LOGIN_REQUEST_FULL,    /* try later */
    LOGIN_REQUEST_REFUSED, /* see login_governor_refused_until() */
    LOGIN_REQUEST_PACED,   /* see login_governor_paced_until() */
};

enum login_pause { LOGIN_PAUSE_NONE, LOGIN_PAUSE_BLOCKED_IP, LOGIN_PAUSE_REFUSALS };

struct login_governor_stats {
    uint64_t queued, running; /* now */
    uint64_t granted_rest, granted_ddp;
    uint64_t succeeded, refused, failed; /* of the granted; failed: for a passing reason */
    uint64_t turned_away_full, turned_away_refused, turned_away_paced;
    uint64_t cancelled;
    uint64_t rate_limited;
    uint64_t pauses;
};

struct login_governor *login_governor_new(const struct login_governor_options *options);
void login_governor_free(struct login_governor *g); /* tickets still queued are forgotten */

enum login_request_result login_governor_request(struct login_governor *g, uint64_t now_ms,
                                                 struct slice user, struct login_ticket *ticket);
/* The next login to start, its road in the ticket; NULL: none may start now. */
struct login_ticket *login_governor_next(struct login_governor *g, uint64_t now_ms);
/* How a granted login ended. user: the one of the request. error NULL: logged in; RC_CANCELLED: it
 * came to nothing, tells nothing about the user. rate NULL: nothing was said of it. */
void login_governor_done(struct login_governor *g, uint64_t now_ms, struct login_ticket *ticket,
                         struct slice user, const struct rc_error *error,
                         const struct rest_rate *rate);
/* Queued: it leaves. Running: done without an outcome. Idle: nothing. */
void login_governor_cancel(struct login_governor *g, struct login_ticket *ticket);

/* When next() may have something, if nothing else happens before; UINT64_MAX: never. */
uint64_t login_governor_wakeup_ms(const struct login_governor *g, uint64_t now_ms);

/* The server does not take passwords by one road (a streamer that only resumes): use the other. */
void login_governor_use(struct login_governor *g, enum settings_login_via via);

/* 0: may try. Else when; *why (may be NULL) is what the last try ended with. */
uint64_t login_governor_refused_until(const struct login_governor *g, uint64_t now_ms,
                                      struct slice user, enum rc_result *why);

/* 0: may log in. Else when: too many logins in a row (login_pace.h). */
uint64_t login_governor_paced_until(const struct login_governor *g, uint64_t now_ms,
                                    struct slice user);

/* Why everybody waits, for logs and status; *until_ms (may be NULL) when it ends. */
enum login_pause login_governor_pause(const struct login_governor *g, uint64_t now_ms,
                                      uint64_t *until_ms);
const struct login_governor_stats *login_governor_stats(const struct login_governor *g);

#endif
