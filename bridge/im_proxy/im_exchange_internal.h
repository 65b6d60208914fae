/* bridge/im_proxy/im_exchange_internal.h - one proxied call.
 *
 *   im_exchange.c   the caller's side and Rocket.Chat's: the request there, the answer back
 *   im_as.c         the token it is made with
 */
#ifndef BRIDGE_IM_PROXY_IM_EXCHANGE_INTERNAL_H
#define BRIDGE_IM_PROXY_IM_EXCHANGE_INTERNAL_H

#include "bridge/admin/metrics.h"
#include "bridge/im_proxy/im_proxy_internal.h"
#include "rocketchat/rest_answer.h"

struct im_exchange {
    struct im_proxy *proxy;
    struct http_request *req;
    struct im_count *count;
    struct im_who who;
    struct slice call; /* of req's path */
    uint64_t id;       /* in logs */
    uint64_t began_ms;

    char user_id[64], auth_token[256]; /* it is made with, once token_in */
    bool token_in;
    struct token_request *loan;    /* asked for */
    struct im_identity_wait *wait; /* `me` is asked */
    struct rest_stream *upstream;

    struct byte_buf body; /* of the request, when it is taken in whole */
    size_t body_at;
    bool whole;      /* it is */
    bool collecting; /* it is being taken in */
    bool body_ended; /* nothing of it is left at the caller's */
    uint64_t passed; /* bytes of it, when it is not */

    struct im_headers headers; /* of the answer */
    struct rest_headers limits;
    int status;
    uint64_t length;
    bool held; /* the answer may not be the last word, and waits in kept */
    bool head_sent, retried;
    struct byte_buf kept;
};

/* ---- im_exchange.c ---- */
/* The token is in: sends the call, as soon as a small body is here. */
void im_exchange_send(struct im_exchange *ex);
/* The answer that was held is the last word. */
void im_exchange_release(struct im_exchange *ex);
void im_exchange_over(struct im_exchange *ex, enum metric how); /* req is answered, or gone */

/* ---- im_as.c ---- */
void im_as_start(struct im_exchange *ex); /* finds a token and sends the call, or refuses */
/* The token got a 401. If it was dead the call is sent again, or answered with 503 where its body
 * is gone; else it is released. */
void im_as_retry(struct im_exchange *ex);
void im_as_logged_out(struct im_exchange *ex); /* the caller's own token has ended */
/* Counts a login that the call is or may be. False: it was one too many, and ex is gone. */
bool im_as_take_login(struct im_exchange *ex);
void im_as_abandon(struct im_exchange *ex); /* nothing is waited for any more */

#endif
