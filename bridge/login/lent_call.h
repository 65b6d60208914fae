/* bridge/login/lent_call.h - one call of Rocket.Chat's REST API with a lent token.
 *
 * As a user (token_desk_ask()) or as the bridge's own account (token_desk_ask_admin()). Where
 * Rocket.Chat answers 401 the token is asked for again, and the call made once more if another one
 * comes. */
#ifndef BRIDGE_LOGIN_LENT_CALL_H
#define BRIDGE_LOGIN_LENT_CALL_H

#include "bridge/session/session_table.h"
#include "rocketchat/rest_client.h"

struct lent_call;
struct shard;

struct lent_call_request {
    struct rest_client *rest;      /* whose connections it uses */
    const struct session_who *who; /* NULL: the admin */
    bool post;
    struct slice path, query, body; /* as in struct rest_request; copied, body wiped */
    struct slice second_factor;     /* as in struct rest_request; copied, wiped */
    unsigned limit_ms;              /* for the token; the call itself has the REST client's limit */
};

struct lent_answer {
    long status;       /* 0: nothing came from Rocket.Chat */
    struct slice body; /* as it came; borrowed for the call */
    bool no_token;     /* the error is that of a loan (session_loan_fn) */
};
/* error NULL: it worked. Runs once, later. */
typedef void (*lent_call_fn)(void *arg, const struct lent_answer *answer,
                             const struct rc_error *error);

/* NULL: no memory, or too many tokens are asked for; fn never runs. */
struct lent_call *lent_call_start(struct shard *s, const struct lent_call_request *request,
                                  lent_call_fn fn, void *arg);
void lent_call_cancel(struct lent_call *c); /* fn runs soon, with RC_CANCELLED at the latest */

#endif
