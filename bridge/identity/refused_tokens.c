#include "bridge/identity/refused_tokens.h"

#include <stdio.h>

static void copy(char *to, size_t cap, struct slice from)
{
    const size_t n = from.len < cap - 1 ? from.len : cap - 1;

    if (n > 0)
        memcpy(to, from.ptr, n);
    to[n] = '\0';
}

/* The same user's for that reason, else the one to give up: free or oldest. */
static struct refused_token *place(struct refused_tokens *t, struct slice key, const char *reason)
{
    struct refused_token *oldest = &t->rows[0];

    for (size_t i = 0; i < REFUSED_TOKENS_MAX; i++) {
        struct refused_token *row = &t->rows[i];

        if (row->times > 0 && strcmp(row->reason, reason) == 0 && slice_eq(slice_of(row->key), key))
            return row;
        if (row->times == 0 ? oldest->times > 0 : oldest->times > 0 && row->at_ms < oldest->at_ms)
            oldest = row;
    }
    oldest->times = 0;
    return oldest;
}

void refused_tokens_note(struct refused_tokens *t, struct slice key, struct slice username,
                         const char *reason, struct slice address, uint64_t now_ms)
{
    struct refused_token *row;

    if (key.len > REFUSED_TOKEN_NAME_MAX)
        key.len = REFUSED_TOKEN_NAME_MAX;
    row = place(t, key, reason);
    copy(row->key, sizeof row->key, key);
    copy(row->username, sizeof row->username, username);
    copy(row->address, sizeof row->address, address);
    row->reason = reason;
    row->at_ms = now_ms;
    row->times++;
}

const struct refused_token *refused_tokens_find(const struct refused_tokens *t, struct slice who)
{
    const struct refused_token *latest = NULL;

    for (const struct refused_token *row = t->rows; row < t->rows + REFUSED_TOKENS_MAX; row++)
        if (row->times > 0 && (latest == NULL || row->at_ms >= latest->at_ms) &&
            (slice_eq(slice_of(row->key), who) || slice_eq(slice_of(row->username), who)))
            latest = row;
    return latest;
}
