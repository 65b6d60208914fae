#include "bridge/session/repair_desk.h"
#include "base/hash.h"
#include <stdlib.h>

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) (element)->lost = true
#include <uthash.h>

struct asker {
    struct asker *next;
    uint64_t ticket;
    int64_t since_ms, until_ms;
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
    int64_t since_ms, covers_ms;   /* of the query under way; then of the answer kept */
    struct repair_answer *kept;    /* NULL: none */
    uint64_t kept_until_ms;
    bool lost; /* uthash_nonfatal_oom */
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
    repair_answer_unref(r->kept);
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
    r->since_ms = INT64_MAX;
    r->covers_ms = INT64_MIN;
    HASH_ADD_KEYPTR(hh, d->rooms, r->rid, r->rid_len, r);
    if (r->lost) {
        free(r);
        return NULL;
    }
    return r;
}

/* ---- queries ---- */

static void keep(struct room *r, struct repair_answer *answer, uint64_t now_ms)
{
    if (answer->len > REPAIR_KEPT_BYTES)
        return;
    r->kept = repair_answer_ref(answer);
    r->kept_until_ms = now_ms + REPAIR_KEPT_MS;
}

static void drop_kept(struct room *r)
{
    repair_answer_unref(r->kept);
    r->kept = NULL;
}

/* All that wait share the next query. */
static void gather(struct room *r)
{
    r->sharing = r->waiting;
    r->waiting = NULL;
    drop_kept(r);
    r->since_ms = INT64_MAX;
    r->covers_ms = INT64_MIN;
    for (const struct asker *a = r->sharing; a != NULL; a = a->next) {
        if (a->since_ms < r->since_ms)
            r->since_ms = a->since_ms;
        if (a->until_ms > r->covers_ms)
            r->covers_ms = a->until_ms;
    }
}

/* Nobody shares a query: those that wait are next, or the room is done. */
static void settle(struct repair_desk *d, struct room *r, uint64_t now_ms)
{
    if (r->waiting != NULL) {
        r->first_ask_ms = now_ms;
        r->due_ms = now_ms + REPAIR_QUIET_MS;
    } else if (r->kept == NULL) {
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
    r->slow_ms = now_ms + REPAIR_SLOW_MS;
    d->host.run(d->host.arg, a->shard, a->ticket, r->since_ms);
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
static void answer_all(struct repair_desk *d, struct room *r, struct repair_answer *answer)
{
    struct asker *a;

    while ((a = r->sharing) != NULL) {
        r->sharing = a->next;
        d->host.answer(d->host.arg, a->shard, a->ticket, r->covers_ms, answer,
                       answer == NULL ? &a->error : NULL);
        free(a);
    }
}

/* One that ran the query does so no more. */
static void go_on(struct repair_desk *d, struct room *r, uint64_t now_ms)
{
    if (running(r) > 0 || grant(d, r, now_ms))
        return;
    answer_all(d, r, NULL);
    settle(d, r, now_ms);
}

bool repair_desk_ask(struct repair_desk *d, uint64_t now_ms, struct slice rid, unsigned asker,
                     uint64_t ticket, int64_t since_ms, int64_t until_ms)
{
    struct asker *a = calloc(1, sizeof *a);
    struct room *r = a != NULL ? find_or_add(d, rid) : NULL;

    if (r == NULL) {
        free(a);
        return false;
    }
    *a = (struct asker){
        .ticket = ticket, .since_ms = since_ms, .until_ms = until_ms, .shard = asker};
    rc_error_of(&a->error, RC_UNREACHABLE); /* all that could run it cancelled */
    if (since_ms >= r->since_ms && until_ms <= r->covers_ms) {
        if (r->kept != NULL && r->kept_until_ms > now_ms) {
            d->host.answer(d->host.arg, asker, ticket, r->covers_ms, r->kept, NULL);
            free(a);
            return true;
        }
        if (r->sharing != NULL) {
            a->next = r->sharing;
            r->sharing = a;
            return true;
        }
    }
    a->next = r->waiting;
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
        if (r->sharing == NULL && r->waiting == NULL && r->kept == NULL)
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
        answer_all(d, r, answer);
        keep(r, answer, now_ms);
        settle(d, r, now_ms);
        return;
    }
    a->running = false;
    a->error = *error;
    if (!rc_result_is_transient(error->result)) {
        /* Its own affair: what others are shown is not for one that may not ask. */
        take_out(&r->sharing, ticket);
        d->host.answer(d->host.arg, a->shard, a->ticket, r->covers_ms, NULL, error);
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
    } else if (r->waiting != NULL && r->due_ms <= now_ms) {
        gather(r);
        grant(d, r, now_ms);
    } else if (r->waiting == NULL && r->kept_until_ms <= now_ms) {
        forget(d, r);
    }
}

uint64_t repair_desk_due_ms(const struct repair_desk *d)
{
    uint64_t due = UINT64_MAX;
    struct room *r, *next;

    HASH_ITER(hh, d->rooms, r, next)
    {
        if (r->sharing == NULL && r->waiting == NULL && r->kept_until_ms < due)
            due = r->kept_until_ms;
        else if (r->sharing == NULL && r->waiting != NULL && r->due_ms < due)
            due = r->due_ms;
        else if (r->sharing != NULL && r->slow_ms < due && may_double(r))
            due = r->slow_ms;
    }
    return due;
}

unsigned repair_desk_rooms(const struct repair_desk *d)
{
    struct room *r, *next;
    unsigned n = 0;

    HASH_ITER(hh, d->rooms, r, next)
    n += r->sharing != NULL || r->waiting != NULL;
    return n;
}
