/* tests/bench/ddp_answers.h - the DDP source's side of the conversation: REST login, me, logout and
 * info; DDP connect, login, sub, subscriptions/get, rooms/get, ping. Every user exists and any
 * password is right. Facts: rocketchat.md 1 to 3 and 5. */
#ifndef TESTS_BENCH_DDP_ANSWERS_H
#define TESTS_BENCH_DDP_ANSWERS_H

#include "tests/bench/bench_net.h"

#define ANSWERS_NO_USER ((unsigned)-1) /* not logged in, or a name that is not one of the uN */

struct ddp_login {
    unsigned user;
    unsigned ready;   /* subscriptions confirmed */
    bool asked_rooms; /* rooms/get was answered: the session is live */
};

/* One message of the client; what goes back is sent to p. */
void answer_ddp(struct peer *p, struct ddp_login *login, const uint8_t *text, size_t len);

/* One whole HTTP request (not an upgrade). Answered by p unless the user in it is stalled. */
void answer_rest(struct peer *p, const uint8_t *request, size_t len, const char *body,
                 size_t body_len);

/* Tokens given out so far are worth nothing from now on. */
void answers_revoke(void);
/* REST logins of these users get no answer; first > last: nobody's. */
void answers_stall(unsigned first, unsigned last);
bool answers_stalled(unsigned user);
uint64_t answers_logins(void); /* by password, REST and DDP */

#endif
