#include "bridge/repair_desk.h"
#include "base/hash.h"
#include <stdlib.h>

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) (element)->lost = true
#include <uthash.h>

struct asker {
    struct asker *next;
    uint64_t ticket;
    int64_t since_ms;
    uint64_t granted_ms; /* of its query */
    unsigned shard;
    bool tried;   /* it runs the query, or has failed to */
    bool running; /* now */
    struct rc_error error;
};

struct room {
    UT_hash_handle hh;
    struct asker *sharing;         /* of the query under way; newest first */
    struct asker *waiting;         /* for the next one; newest first */
    uint64_t first_ask_ms, due_ms; /* of those that wait */
    uint64_t slow_ms;              /* the query under way is slow from then on */
    bool lost;                     /* uthash_nonfatal_oom */
    size_t rid_len;
    char rid[];
};

struct repair_desk {
    struct repair_desk_host host;
    struct room *rooms;
};

/* ---- answers ---- */

struct repair_answer *repair_answer_new(struct slice json)
{
    struct repair_answer *a = malloc(sizeof *a + json.len);

    if (a == NULL)
        return NULL;
    atomic_init(&a->refs, 1);
    a->len = json.len;
    if (json.len > 0)
        memcpy(a->json, json.ptr, json.len);
    return a;
}

struct repair_answer *repair_answer_ref(struct repair_answer *a)
{
    atomic_fetch_add_explicit(&a->refs, 1, memory_order_relaxed);
    return a;
}

void repair_answer_unref(struct repair_answer *a)
{
    if (a != NULL && atomic_fetch_sub_explicit(&a->refs, 1, memory_order_acq_rel) == 1)
        free(a);
}

/* ---- rooms ---- */

struct repair_desk *repair_desk_new(const struct repair_desk_host *host)
{
    struct repair_desk *d = calloc(1, sizeof *d);

    if (d != NULL)
        d->host = *host;
    return d;
}

static void free_askers(struct asker *a)
{
    struct asker *next;

    for (; a != NULL; a = next) {
        next = a->next;
        free(a);
    }
}

static void forget(struct repair_desk *d, struct room *r)
{
    HASH_DEL(d->rooms, r);
    free_askers(r->sharing);
    free_askers(r->waiting);
    free(r);
}

void repair_desk_free(struct repair_desk *d)
{
    struct room *r, *next;

    if (d == NULL)
        return;
    HASH_ITER(hh, d->rooms, r, next)
    forget(d, r);
    free(d);
}

static struct room *find(const struct repair_desk *d, struct slice rid)
{
    struct room *r;

    HASH_FIND(hh, d->rooms, rid.ptr, rid.len, r);
    return r;
}

static struct room *find_or_add(struct repair_desk *d, struct slice rid)
{
    struct room *r = find(d, rid);

    if (r != NULL)
        return r;
    r = calloc(1, sizeof *r + rid.len);
    if (r == NULL)
        return NULL;
    memcpy(r->rid, rid.ptr, rid.len);
    r->rid_len = rid.len;
    HASH_ADD_KEYPTR(hh, d->rooms, r->rid, r->rid_len, r);
    if (r->lost) {
        free(r);
        return NULL;
    }
    return r;
}

/* ---- queries ---- */

static int64_t lowest_since(const struct asker *a)
{
    int64_t since = a->since_ms;

    for (; a != NULL; a = a->next)
        if (a->since_ms < since)
            since = a->since_ms;
    return since;
}

/* Nobody shares a query: those that wait are next, or the room is done. */
static void settle(struct repair_desk *d, struct room *r, uint64_t now_ms)
{
    if (r->waiting != NULL) {
        r->first_ask_ms = now_ms;
        r->due_ms = now_ms + REPAIR_QUIET_MS;
    } else {
        forget(d, r);
    }
}

/* To one that has not tried yet; false: there is none. */
static bool grant(struct repair_desk *d, struct room *r, uint64_t now_ms)
{
    struct asker *a = r->sharing;

    while (a != NULL && a->tried)
        a = a->next;
    if (a == NULL)
        return false;
    a->tried = a->running = true;
    a->granted_ms = now_ms;
    r->slow_ms = now_ms + REPAIR_SLOW_MS;
    d->host.run(d->host.arg, a->shard, a->ticket, lowest_since(r->sharing));
    return true;
}

static unsigned running(const struct room *r)
{
    unsigned n = 0;

    for (const struct asker *a = r->sharing; a != NULL; a = a->next)
        n += a->running;
    return n;
}

/* answer NULL: each hears its own error. */
static void answer_all(struct repair_desk *d, struct room *r, uint64_t granted_ms,
                       struct repair_answer *answer)
{
    struct asker *a;

    while ((a = r->sharing) != NULL) {
        r->sharing = a->next;
        d->host.answer(d->host.arg, a->shard, a->ticket, granted_ms, answer,
                       answer == NULL ? &a->error : NULL);
        free(a);
    }
}

/* One that ran the query does so no more. */
static void go_on(struct repair_desk *d, struct room *r, uint64_t now_ms)
{
    if (running(r) > 0 || grant(d, r, now_ms))
        return;
    answer_all(d, r, now_ms, NULL);
    settle(d, r, now_ms);
}

bool repair_desk_ask(struct repair_desk *d, uint64_t now_ms, struct slice rid, unsigned asker,
                     uint64_t ticket, int64_t since_ms)
{
    struct asker *a = calloc(1, sizeof *a);
    struct room *r = a != NULL ? find_or_add(d, rid) : NULL;

    if (r == NULL) {
        free(a);
        return false;
    }
    *a = (struct asker){.next = r->waiting, .ticket = ticket, .since_ms = since_ms, .shard = asker};
    rc_error_of(&a->error, RC_UNREACHABLE); /* all that could run it cancelled */
    if (r->waiting == NULL)
        r->first_ask_ms = now_ms;
    r->waiting = a;
    r->due_ms = now_ms + REPAIR_QUIET_MS;
    if (r->due_ms > r->first_ask_ms + REPAIR_WINDOW_MAX_MS)
        r->due_ms = r->first_ask_ms + REPAIR_WINDOW_MAX_MS;
    return true;
}

static struct asker *take_out(struct asker **list, uint64_t ticket)
{
    struct asker *a;

    for (; (a = *list) != NULL; list = &a->next)
        if (a->ticket == ticket) {
            *list = a->next;
            return a;
        }
    return NULL;
}

void repair_desk_cancel(struct repair_desk *d, uint64_t now_ms, struct slice rid, uint64_t ticket)
{
    struct room *r = find(d, rid);
    struct asker *a;

    if (r == NULL)
        return;
    if ((a = take_out(&r->waiting, ticket)) != NULL) {
        free(a);
        if (r->sharing == NULL && r->waiting == NULL)
            forget(d, r);
    } else if ((a = take_out(&r->sharing, ticket)) != NULL) {
        bool ran = a->running;

        free(a);
        if (ran || r->sharing == NULL)
            go_on(d, r, now_ms);
    }
}

void repair_desk_done(struct repair_desk *d, uint64_t now_ms, struct slice rid, uint64_t ticket,
                      struct repair_answer *answer, const struct rc_error *error)
{
    struct room *r = find(d, rid);
    struct asker *a = r != NULL ? r->sharing : NULL;

    while (a != NULL && a->ticket != ticket)
        a = a->next;
    if (a == NULL || !a->running)
        return;
    if (answer != NULL) {
        answer_all(d, r, a->granted_ms, answer);
        settle(d, r, now_ms);
        return;
    }
    a->running = false;
    a->error = *error;
    if (!rc_result_is_transient(error->result)) {
        /* Its own affair: what others are shown is not for one that may not ask. */
        take_out(&r->sharing, ticket);
        d->host.answer(d->host.arg, a->shard, a->ticket, a->granted_ms, NULL, error);
        free(a);
    }
    go_on(d, r, now_ms);
}

/* Is it time for a second one to run the query? */
static bool may_double(const struct room *r)
{
    const struct asker *a = r->sharing;

    while (a != NULL && a->tried)
        a = a->next;
    return a != NULL && running(r) == 1;
}

void repair_desk_turn(struct repair_desk *d, uint64_t now_ms)
{
    struct room *r, *next;

    HASH_ITER(hh, d->rooms, r, next)
    if (r->sharing != NULL) {
        if (r->slow_ms <= now_ms && may_double(r))
            grant(d, r, now_ms);
    } else if (r->due_ms <= now_ms) {
        r->sharing = r->waiting;
        r->waiting = NULL;
        grant(d, r, now_ms);
    }
}

uint64_t repair_desk_due_ms(const struct repair_desk *d)
{
    uint64_t due = UINT64_MAX;
    struct room *r, *next;

    HASH_ITER(hh, d->rooms, r, next)
    {
        if (r->sharing == NULL && r->due_ms < due)
            due = r->due_ms;
        else if (r->sharing != NULL && r->slow_ms < due && may_double(r))
            due = r->slow_ms;
    }
    return due;
}

unsigned repair_desk_rooms(const struct repair_desk *d)
{
    return HASH_COUNT(d->rooms);
}
