/* bridge/login/loan_queue.h - who waits for a token that is being looked into or fetched anew.
 *
 * All of them are answered at once when that is settled, or each once TOKEN_DESK_LIMIT_MS is over.
 * How many there are is bounded where they come from (token_desk.h). On one loop; embedded. */
#ifndef BRIDGE_LOGIN_LOAN_QUEUE_H
#define BRIDGE_LOGIN_LOAN_QUEUE_H

#include "bridge/session/session_table.h"
#include <uv.h>

struct loan_wait;

struct loan_queue {
    uv_timer_t timer;
    struct loan_wait *first, **last; /* all wait equally long */
    void (*closed)(void *arg);
    void *arg;
};

void loan_queue_init(struct loan_queue *q, uv_loop_t *loop);
/* fn runs once, later. False: no memory, and it never does. */
bool loan_queue_add(struct loan_queue *q, session_loan_fn fn, void *arg);
/* loan or error: what all are given; borrowed. */
void loan_queue_settle(struct loan_queue *q, const struct session_loan *loan,
                       const struct rc_error *error);
/* Nobody waits any more. closed: later, and q is the caller's again. */
void loan_queue_close(struct loan_queue *q, void (*closed)(void *arg), void *arg);

#endif
