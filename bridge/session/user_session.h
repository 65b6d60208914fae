/* bridge/session/user_session.h - the states of one user's Rocket.Chat session.
 *
 * One session per user, while the user has a connection (plus a linger): it keeps the user logged
 * in at Rocket.Chat, holds one DDP connection, and turns what happens there into hub messages.
 * Programs talk to sessions through session_table.h; the pieces of a session see
 * user_session_internal.h.
 *
 *   IDLE -> LOGGING_IN -> CONNECTING -> AUTHENTICATING -> SUBSCRIBING -> LIVE -> CLOSING -> IDLE
 *
 * with BACKOFF (something failed, a retry is due) and REFUSED (Rocket.Chat, or we, won't have this
 * user; the retry is minutes away) beside it. */
#ifndef BRIDGE_SESSION_USER_SESSION_H
#define BRIDGE_SESSION_USER_SESSION_H

enum session_state {
    SESSION_IDLE,       /* nothing held but, perhaps, a cached token */
    SESSION_LOGGING_IN, /* waiting for the governor, or for the answer to a REST login */
    SESSION_CONNECTING, /* DDP opened, `connected` not in yet */
    SESSION_AUTHENTICATING,
    SESSION_SUBSCRIBING, /* until every `ready` is in */
    SESSION_LIVE,
    SESSION_BACKOFF,
    SESSION_REFUSED,
    SESSION_CLOSING, /* DDP told to close, its end not in yet */
    SESSION_NSTATES,
};

const char *session_state_name(enum session_state state); /* "idle", "logging-in", ... */

#endif
