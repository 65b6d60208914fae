/* bridge/session/session_calls_internal.h - one hub call at its session, for the files that carry
 * it out.
 *
 *   session_calls.c    coming in, waiting, pace, answers
 *   session_ask.c      one question to Rocket.Chat, by DDP or by REST
 *   session_methods.c  what each hub method asks, and what becomes of the answers
 *   session_typing.c   Typing, under the name that Rocket.Chat takes
 *   session_opened.c   OpenRoom and CloseRoom */
#ifndef BRIDGE_SESSION_SESSION_CALLS_INTERNAL_H
#define BRIDGE_SESSION_SESSION_CALLS_INTERNAL_H

#include "bridge/hub/hub_method.h"
#include "bridge/session/user_session_internal.h"

enum { CALL_NEW_ID_LEN = 17 };

/* What Rocket.Chat answered to a call's question; with an error json is its details. By DDP a
 * result, by REST a body. It answers the call, or asks on. */
typedef void (*call_step_fn)(struct session_call *call, struct slice json,
                             const struct rc_error *error);

struct session_call {
    struct session_call *next; /* in calls->waiting, calls->rest or a room's list */
    struct user_session *session;
    struct call_id id;
    const struct hub_method *method;
    struct hub_args args; /* point into text, or new_id */
    const char *ddp;      /* the DDP method; static, or a setting's */
    uint64_t due_ms;      /* while it waits */
    call_step_fn step;    /* of the question under way */
    struct rest_call *rest;
    bool by_rest;                     /* the last question went there */
    struct byte_buf first;            /* ACTION_ROOMS: the first list; ACTION_SEND: REST's error */
    char new_id[CALL_NEW_ID_LEN + 3]; /* with quotes and NUL */
    size_t args_len, address_len;
    char text[]; /* the arguments, then the client's address */
};

struct session_calls {
    struct session_call *waiting, **waiting_end; /* oldest first */
    struct session_call *rest;                   /* in the REST client's hands */
    struct call_windows windows;
    unsigned nwaiting, running;
};

/* ---- session_calls.c, besides what all of the session's files use ---- */
void session_call_fail_nomem(struct session_call *call);
void session_call_fail_not_live(struct session_call *call);

/* ---- session_ask.c ---- */
/* Each leads to one step, later, or has answered the call, at once. */
void session_ask_ddp(struct session_call *call, const char *method, struct slice params,
                     call_step_fn step);
/* path: below /api/v1/; body: of a POST, empty: a GET. */
void session_ask_rest(struct session_call *call, const char *path, struct slice query,
                      struct slice body, call_step_fn step);
/* The DDP method that was asked for is not there. */
bool session_ask_missed(const struct session_call *call, const struct rc_error *error);

/* ---- session_methods.c ---- */
void session_method_run(struct session_call *call);
void session_method_send(struct session_call *call); /* the row's DDP method, with its template */

/* ---- session_typing.c ---- */
void session_typing_run(struct session_call *call);

#endif
