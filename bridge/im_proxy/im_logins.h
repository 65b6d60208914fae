/* bridge/im_proxy/im_logins.h - how often callers of the proxy may call Rocket.Chat's `login`,
 * by whichever road (im_path.h, im_method.h).
 *
 * Rocket.Chat takes 10 calls of it a minute from one address (rocketchat.md 5.2), and the address
 * is ours: what callers use up is missing to the logins of our own, and their wrong passwords get
 * the address blocked (2.3). So all callers together have a few a minute, and each has one.
 *
 * One for the process, any thread. Pure but for its lock: times are milliseconds of one clock. */
#ifndef BRIDGE_IM_PROXY_IM_LOGINS_H
#define BRIDGE_IM_PROXY_IM_LOGINS_H

#include "base/slice.h"
#include <stdint.h>

enum { IM_LOGINS_WINDOW_MS = 60 * 1000 };

struct im_logins;

struct im_logins *im_logins_new(unsigned per_minute); /* NULL: no memory */
void im_logins_free(struct im_logins *l);             /* NULL is fine */

/* 0: it may go, and is counted. Else in how many ms to come back. */
uint64_t im_logins_take(struct im_logins *l, uint64_t now_ms, struct slice caller);

#endif
