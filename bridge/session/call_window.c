#include "bridge/session/call_window.h"

#include "base/hash.h"
#include <stdlib.h>
#include <string.h>

enum {
    METHODS_MAX = 32, /* then the one that was quiet longest is forgotten */
    CALLS = 10,
    SPAN_MS = 10 * 1000,
    STREAM_FACTOR = 4,
    MARGIN_MS = 300, /* calls don't travel at one speed */
    NO_MEMORY_MS = 1000,
};

struct call_window {
    struct call_window *next;
    uint64_t method; /* hash */
    unsigned most, sent, at;
    uint64_t span_ms, last_ms;
    uint64_t sent_ms[]; /* a ring of the last `most` */
};

static unsigned share_of(const char *method)
{
    static const struct {
        const char *name;
        unsigned calls;
    } shared[] = {
        /* The session's own: repairs, and the lists with their repetitions. */
        {"messages/get", 2},
        {"subscriptions/get", 6},
        {"rooms/get", 6},
    };

    for (size_t i = 0; i < sizeof shared / sizeof shared[0]; i++)
        if (strcmp(method, shared[i].name) == 0)
            return shared[i].calls;
    return CALLS;
}

static void forget_quietest(struct call_windows *w)
{
    struct call_window **quietest = &w->first, *gone;

    for (struct call_window **at = &w->first; *at != NULL; at = &(*at)->next)
        if ((*at)->last_ms < (*quietest)->last_ms)
            quietest = at;
    gone = *quietest;
    *quietest = gone->next;
    w->count--;
    free(gone);
}

static struct call_window *window_of(struct call_windows *w, const char *method)
{
    const uint64_t hash = hash_bytes(method, strlen(method));
    const unsigned factor = strncmp(method, "stream-", 7) == 0 ? STREAM_FACTOR : 1;
    const unsigned most = share_of(method) * factor;
    struct call_window *found = w->first;

    while (found != NULL && found->method != hash)
        found = found->next;
    if (found != NULL)
        return found;
    if (w->count == METHODS_MAX)
        forget_quietest(w);
    found = calloc(1, sizeof *found + most * sizeof found->sent_ms[0]);
    if (found == NULL)
        return NULL;
    found->method = hash;
    found->most = most;
    found->span_ms = (uint64_t)SPAN_MS * factor + MARGIN_MS;
    found->next = w->first;
    w->first = found;
    w->count++;
    return found;
}

uint64_t call_windows_take(struct call_windows *w, const char *method, uint64_t now_ms)
{
    struct call_window *of = window_of(w, method);
    uint64_t free_at_ms;

    if (of == NULL)
        return NO_MEMORY_MS;
    free_at_ms = of->sent < of->most ? 0 : of->sent_ms[of->at] + of->span_ms;
    if (now_ms < free_at_ms)
        return free_at_ms - now_ms;
    of->sent_ms[of->at] = of->last_ms = now_ms;
    of->at = (of->at + 1) % of->most;
    of->sent += of->sent < of->most;
    return 0;
}

void call_windows_free(struct call_windows *w)
{
    while (w->first != NULL)
        forget_quietest(w);
}
