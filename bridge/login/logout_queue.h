/* bridge/login/logout_queue.h - tokens on their way out: logged out over REST, a few at a time.
 *
 * Rocket.Chat keeps at most 50 tokens a user and evicts the oldest, so a token that nobody will use
 * again is logged out, lest it push a live one out (rocketchat.md 2.4). logout is rate-limited like
 * every route: a 429 pauses the queue for as long as the server says; other failures that may pass
 * are tried three times. A full queue drops the token (it ends by itself after 90 days) and says
 * so. */
#ifndef BRIDGE_LOGIN_LOGOUT_QUEUE_H
#define BRIDGE_LOGIN_LOGOUT_QUEUE_H

#include "base/slice.h"
#include <uv.h>

struct logout_queue;
struct rest_client;

/* 0, or a negative libuv error. */
int logout_queue_new(uv_loop_t *loop, struct rest_client *rest, size_t max_waiting,
                     struct logout_queue **out);
/* Copies both; wiped afterwards. */
void logout_queue_add(struct logout_queue *q, struct slice user_id, struct slice token);
/* The program is stopping: no pause is longer than a moment, and a server that answers nobody, or
 * wants us to wait past limit_ms, is waited for no longer: all that waits is given up. */
void logout_queue_hurry(struct logout_queue *q, unsigned limit_ms);
size_t logout_queue_pending(const struct logout_queue *q); /* waiting and under way */
/* What still waits is given up. done is called later, once. */
void logout_queue_free(struct logout_queue *q, void (*done)(void *arg), void *arg);

#endif
