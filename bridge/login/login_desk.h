/* bridge/login/login_desk.h - the one login governor of the process, where all shards can reach it.
 *
 * The governor (login_governor.h) and the admin agent live on shard 0. A session asks through its
 * shard's gate: acquire, cancel and done travel there by mail, grants and refusals travel back. */
#ifndef BRIDGE_LOGIN_LOGIN_DESK_H
#define BRIDGE_LOGIN_LOGIN_DESK_H

#include "base/slice.h"
#include "bridge/login/login_gate.h"
#include "bridge/session/session_table.h"

struct login_desk;
struct shard;

/* On shard 0, before its loop runs. 0 or a negative libuv error. Starts the admin agent. */
int login_desk_open(struct shard *shard0, struct login_desk **out);
struct login_gate login_desk_gate(struct shard *s); /* for the sessions of any shard */

/* Any thread. */
bool login_desk_admin_ok(const struct login_desk *d); /* logged in, or none configured */
bool login_desk_paused(const struct login_desk *d);   /* the queue waits for a block to end */

/* On shard 0. */
/* The admin's token, lent at once or not at all: fn runs inside the call. */
void login_desk_lend_admin(struct login_desk *d, struct slice refused, session_loan_fn fn,
                           void *arg);
/* No login is granted from here on. */
void login_desk_admin_stop(struct login_desk *d, unsigned limit_ms, void (*done)(void *arg),
                           void *arg);
/* Behind admin_stop, when no shard asks any more. Its handle goes with the loop. */
void login_desk_close(struct login_desk *d);
/* When no shard runs any more: mail on the way names the desk to the end. */
void login_desk_free(struct login_desk *d);

#endif
