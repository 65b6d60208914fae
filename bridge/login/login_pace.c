#include "bridge/login/login_pace.h"
#include "base/hash.h"
#include <stdbool.h>
#include <stddef.h>

enum { FIRST_MS = 5 * 1000, LONGEST_MS = 5 * 60 * 1000, CALM_MS = 60 * 1000 };

static bool is_over(const struct login_pace_user *u, uint64_t now_ms)
{
    return u->logins == 0 || now_ms - u->last_ms >= u->wait_ms + (uint64_t)CALM_MS;
}

/* The user's own place, else the one it costs least to give up. */
static struct login_pace_user *place(struct login_pace_user *set, uint64_t now_ms, uint64_t name)
{
    struct login_pace_user *best = set;

    for (size_t i = 0; i < LOGIN_PACE_WAYS; i++)
        if (set[i].logins > 0 && set[i].name == name)
            return &set[i];
    for (size_t i = 0; i < LOGIN_PACE_WAYS; i++) {
        if (is_over(&set[i], now_ms))
            return &set[i];
        if (set[i].logins < best->logins)
            best = &set[i];
    }
    return best;
}

void login_pace_note(struct login_pace *p, uint64_t now_ms, struct slice user)
{
    uint64_t name = hash_bytes(user.ptr, user.len);
    struct login_pace_user *u = place(p->users[name % LOGIN_PACE_SETS], now_ms, name);

    if (u->name != name || is_over(u, now_ms))
        *u = (struct login_pace_user){.name = name};
    u->last_ms = now_ms;
    if (++u->logins <= LOGIN_PACE_FREE)
        return;
    u->wait_ms = u->wait_ms == 0 ? FIRST_MS : 2 * u->wait_ms;
    if (u->wait_ms > LONGEST_MS)
        u->wait_ms = LONGEST_MS;
}

uint64_t login_pace_until(const struct login_pace *p, uint64_t now_ms, struct slice user)
{
    uint64_t name = hash_bytes(user.ptr, user.len);
    const struct login_pace_user *set = p->users[name % LOGIN_PACE_SETS];

    for (size_t i = 0; i < LOGIN_PACE_WAYS; i++)
        if (set[i].logins > 0 && set[i].name == name && now_ms < set[i].last_ms + set[i].wait_ms)
            return set[i].last_ms + set[i].wait_ms;
    return 0;
}
