#include "bridge/im_proxy/im_logins.h"

#include "base/hash.h"
#include <stdlib.h>
#include <uv.h>

struct login {
    uint64_t at_ms, caller; /* its hash */
};

struct im_logins {
    uv_mutex_t lock;
    unsigned per_minute, count, next; /* next: the oldest, once count has reached per_minute */
    struct login logins[];
};

struct im_logins *im_logins_new(unsigned per_minute)
{
    struct im_logins *l = calloc(1, sizeof *l + per_minute * sizeof l->logins[0]);

    if (l != NULL && uv_mutex_init(&l->lock) != 0) {
        free(l);
        return NULL;
    }
    if (l != NULL)
        l->per_minute = per_minute;
    return l;
}

void im_logins_free(struct im_logins *l)
{
    if (l == NULL)
        return;
    uv_mutex_destroy(&l->lock);
    free(l);
}

static uint64_t wait_of(const struct login *login, uint64_t now_ms)
{
    uint64_t until_ms = login->at_ms + IM_LOGINS_WINDOW_MS;

    return until_ms > now_ms ? until_ms - now_ms : 0;
}

static uint64_t take(struct im_logins *l, uint64_t now_ms, uint64_t caller)
{
    uint64_t wait = 0;

    if (l->per_minute == 0)
        return IM_LOGINS_WINDOW_MS;
    if (l->count == l->per_minute)
        wait = wait_of(&l->logins[l->next], now_ms);
    for (unsigned i = 0; i < l->count; i++)
        if (l->logins[i].caller == caller && wait_of(&l->logins[i], now_ms) > wait)
            wait = wait_of(&l->logins[i], now_ms);
    if (wait > 0)
        return wait;
    l->logins[l->next] = (struct login){now_ms, caller};
    l->next = (l->next + 1) % l->per_minute;
    if (l->count < l->per_minute)
        l->count++;
    return 0;
}

uint64_t im_logins_take(struct im_logins *l, uint64_t now_ms, struct slice caller)
{
    uint64_t wait;

    uv_mutex_lock(&l->lock);
    wait = take(l, now_ms, hash_bytes(caller.ptr, caller.len));
    uv_mutex_unlock(&l->lock);
    return wait;
}
