/* bridge/login/login_pace.h - users who need one fresh login after the other.
 *
 * Whoever is let in may end tokens (users.logout, users.removeOtherTokens), and each end costs a
 * login of the few that Rocket.Chat gives this address a minute. A user's first LOGIN_PACE_FREE
 * logins in a row are free; behind each further one is a pause, 5 s doubling to 5 min. In a row:
 * with less than a minute of calm, and the pause, between them.
 *
 * Pure; no memory of its own. A fixed number of users is remembered, whatever their number: where
 * more log in at once than fit, those with the fewest logins are forgotten. */
#ifndef BRIDGE_LOGIN_LOGIN_PACE_H
#define BRIDGE_LOGIN_LOGIN_PACE_H

#include "base/slice.h"
#include <stdint.h>

enum { LOGIN_PACE_FREE = 6, LOGIN_PACE_SETS = 512, LOGIN_PACE_WAYS = 4 };

struct login_pace_user {
    uint64_t name; /* its hash */
    uint64_t last_ms;
    uint32_t wait_ms;
    uint32_t logins; /* in a row; 0: the place is free */
};

struct login_pace {
    struct login_pace_user users[LOGIN_PACE_SETS][LOGIN_PACE_WAYS];
};

void login_pace_note(struct login_pace *p, uint64_t now_ms, struct slice user); /* logged in */
/* 0: may log in. Else when. */
uint64_t login_pace_until(const struct login_pace *p, uint64_t now_ms, struct slice user);

#endif
