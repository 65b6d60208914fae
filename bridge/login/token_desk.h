/* bridge/login/token_desk.h - borrow a Rocket.Chat token from any shard: a user's, or the admin's;
 * and ask about a user's session.
 *
 * The question travels by mail to the user's session (session_table_lend()) or to the admin agent
 * on shard 0, and the answer comes back. Tokens travel inside the process only and are wiped behind
 * the answer. Waiting requests are bounded by Limits:TokenRequests. */
#ifndef BRIDGE_LOGIN_TOKEN_DESK_H
#define BRIDGE_LOGIN_TOKEN_DESK_H

#include "bridge/session/session_table.h"

#define TOKEN_DESK_LIMIT_MS 3000 /* what a browser of the sample app waits for (abp.md 2.4) */

struct shard;
struct token_request;

/* fn runs once, later, on this shard: see session_loan_fn. NULL: no memory, or too many requests
 * wait; fn never runs. */
struct token_request *token_desk_ask(struct shard *s, const struct session_ask *ask,
                                     session_loan_fn fn, void *arg);
/* The admin's own token, for what an operator lets the admin do. refused: as in session_ask, and as
 * there looked into first; see admin_agent_lend(). */
struct token_request *token_desk_ask_admin(struct shard *s, struct slice refused,
                                           session_loan_fn fn, void *arg);
/* A token of the class that is handed out to browsers: see session_table.h. end: logs it out; fn
 * gets neither a loan nor an error. */
struct token_request *token_desk_ask_handed(struct shard *s, const struct session_ask *ask,
                                            session_loan_fn fn, void *arg);
struct token_request *token_desk_end_handed(struct shard *s, struct slice key, session_loan_fn fn,
                                            void *arg);
void token_request_abandon(struct token_request *r); /* fn will not run */

#endif
