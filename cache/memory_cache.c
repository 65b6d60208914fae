/* The token cache in memory: a hash table and a timer wheel. An operation changes the table at once
 * and leaves its answer to the teller, so results are decided in the order of the calls. */
#include "cache/memory_cache.h"
#include "base/hash.h"
#include "base/timer_wheel.h"
#include "cache/memory_cache_internal.h"
#include "cache/token_cache_internal.h"
#include "cache/token_teller_internal.h"
#include <assert.h>
#include <stdlib.h>

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

enum { EXPIRY_TICK_MS = 100, JITTER_PERCENT = 10 };

/* A key with an entry, a watch, or both. */
struct record {
    struct wheel_timer expiry; /* first: the wheel's callback casts back; armed with an entry */
    uint64_t deadline_ms;
    struct token_stored *stored;
    struct token_ear *ear;
    struct record *prev, *next; /* in the idle list: an entry and no watch */
    UT_hash_handle hh;
    size_t key_len;
    char key[];
};

struct memory_cache {
    struct token_cache base;
    struct memory_cache_options options;
    uint64_t (*now_ms)(void *arg);
    void *clock_arg;
    uint64_t draws; /* of the jitter */
    struct record *records;
    struct record *idle; /* unwatched longest first */
    struct timer_wheel *wheel;
    struct token_teller teller;
    uv_timer_t ticker;
    void (*done)(void *arg); /* of free; NULL: in use */
    void *done_arg;
};

static struct memory_cache *of(struct token_cache *cache)
{
    return (struct memory_cache *)cache;
}

/* --- records --- */

static uint64_t now_of(const struct memory_cache *m)
{
    return m->now_ms(m->clock_arg);
}

static uint64_t draw_ttl(struct memory_cache *m)
{
    uint64_t spread = m->options.ttl_ms * JITTER_PERCENT / 100;
    uint64_t draw[] = {(uintptr_t)m, m->draws++}; /* the hash's key is secret and random */

    return m->options.ttl_ms - spread + hash_bytes(draw, sizeof draw) % (2 * spread + 1);
}

static void start_ttl(struct memory_cache *m, struct record *r)
{
    uint64_t ttl = draw_ttl(m);

    r->stored->entry.ttl_left_ms = ttl;
    r->deadline_ms = now_of(m) + ttl;
    timer_wheel_arm(m->wheel, &r->expiry, r->deadline_ms);
}

static uint64_t ttl_left(const struct memory_cache *m, const struct record *r)
{
    return r->deadline_ms - now_of(m); /* find() has seen to it that this is above 0 */
}

static struct record *record_new(struct memory_cache *m, struct slice key)
{
    struct record *r = calloc(1, sizeof *r + key.len);

    if (r == NULL)
        return NULL;
    memcpy(r->key, key.ptr, key.len);
    r->key_len = key.len;
    HASH_ADD_KEYPTR(hh, m->records, r->key, r->key_len, r);
    if (r->hh.tbl == NULL) { /* no memory for the table */
        free(r);
        return NULL;
    }
    return r;
}

/* After every change of r's entry or watch: keeps the idle list true, and frees r when it has
 * neither. */
static void record_settle(struct memory_cache *m, struct record *r)
{
    bool is_idle = r->stored != NULL && r->ear == NULL;

    if (is_idle && r->prev == NULL) {
        DL_APPEND(m->idle, r);
    } else if (!is_idle && r->prev != NULL) {
        DL_DELETE(m->idle, r);
        r->prev = NULL;
    }
    if (r->stored == NULL && r->ear == NULL) {
        HASH_DEL(m->records, r);
        free(r);
    }
}

static struct token_stored *take_entry(struct memory_cache *m, struct record *r)
{
    struct token_stored *s = r->stored;

    timer_wheel_cancel(m->wheel, &r->expiry);
    r->stored = NULL;
    s->entry.ttl_left_ms = 0;
    m->base.stats.entries--;
    return s;
}

static void expire(struct memory_cache *m, struct record *r)
{
    struct token_stored *s = take_entry(m, r);

    m->base.stats.expirations++;
    if (r->ear != NULL)
        token_teller_notice(&m->teller, s, r->ear, TOKEN_NOTICE_EXPIRED);
    else
        token_teller_orphan(&m->teller, s, TOKEN_ORPHAN_EXPIRED);
    record_settle(m, r);
}

/* NULL: neither entry nor watch. An entry past its time is gone, whether or not the timer came
 * round to it. */
static struct record *find(struct memory_cache *m, struct slice key)
{
    struct record *r;
    bool stays;

    assert(m->done == NULL && key.len > 0);
    HASH_FIND(hh, m->records, key.ptr, key.len, r);
    if (r == NULL || r->stored == NULL || r->deadline_ms > now_of(m))
        return r;
    stays = r->ear != NULL;
    expire(m, r);
    return stays ? r : NULL;
}

static bool make_room(struct memory_cache *m)
{
    struct record *oldest = m->idle;

    if (m->base.stats.entries < m->options.max_entries)
        return true;
    if (oldest == NULL) {
        m->base.stats.refusals++;
        return false;
    }
    m->base.stats.evictions++;
    token_teller_orphan(&m->teller, take_entry(m, oldest), TOKEN_ORPHAN_EVICTED);
    record_settle(m, oldest);
    return true;
}

/* --- the operations --- */

static bool is_expected(const struct token_stored *s, const struct token_expect *expect)
{
    return slice_eq(s->entry.auth_token, expect->auth_token) && s->entry.epoch == expect->epoch;
}

static struct token_watch *memory_watch(struct token_cache *cache, struct slice key,
                                        token_notice_fn fn, void *arg)
{
    struct memory_cache *m = of(cache);
    struct record *r = find(m, key);
    struct token_ear *ear = calloc(1, sizeof *ear);

    if (ear != NULL && r == NULL)
        r = record_new(m, key);
    if (ear == NULL || r == NULL) {
        free(ear);
        return NULL;
    }
    assert(r->ear == NULL);
    *ear = (struct token_ear){.base.cache = cache, .fn = fn, .arg = arg, .owner = r};
    r->ear = ear;
    record_settle(m, r);
    return &ear->base;
}

static void memory_unwatch(struct token_watch *watch)
{
    struct token_ear *ear = (struct token_ear *)watch;
    struct record *r = ear->owner;

    r->ear = NULL;
    record_settle(of(watch->cache), r);
    token_ear_close(ear);
}

static bool memory_get(struct token_cache *cache, struct slice key, token_cache_fn fn, void *arg)
{
    struct memory_cache *m = of(cache);
    struct token_answer *a = token_answer_new(fn, arg);
    struct record *r;

    if (a == NULL)
        return false;
    r = find(m, key);
    if (r != NULL && r->stored != NULL)
        token_teller_answer(&m->teller, a, TOKEN_CACHE_OK, r->stored, ttl_left(m, r));
    else
        token_teller_answer(&m->teller, a, TOKEN_CACHE_MISSING, NULL, 0);
    return true;
}

/* Puts s, whose reference goes over to the table, in the place of r's entry. */
static void replace(struct memory_cache *m, struct record *r, struct token_stored *s,
                    const struct token_watch *by)
{
    struct token_stored *old = r->stored;

    r->stored = s;
    start_ttl(m, r);
    if (old == NULL) {
        m->base.stats.entries++;
    } else if (r->ear != NULL && &r->ear->base != by) {
        old->successor = token_stored_ref(s);
        token_teller_notice(&m->teller, old, r->ear, TOKEN_NOTICE_REPLACED);
    } else {
        token_stored_unref(old);
    }
    record_settle(m, r);
}

static bool memory_put(struct token_cache *cache, struct slice key,
                       const struct token_expect *expect, const struct token_entry *entry,
                       const struct token_watch *by, token_cache_fn fn, void *arg)
{
    struct memory_cache *m = of(cache);
    struct record *r = find(m, key);
    struct token_stored *current = r != NULL ? r->stored : NULL, *s = NULL;
    struct token_answer *a = token_answer_new(fn, arg);

    if (a == NULL)
        return false;
    if (expect == NULL ? current != NULL : current == NULL || !is_expected(current, expect)) {
        m->base.stats.conflicts++;
        token_teller_answer(&m->teller, a, TOKEN_CACHE_CONFLICT, current,
                            current != NULL ? ttl_left(m, r) : 0);
        return true;
    }
    s = token_stored_new(key, entry);
    if (s != NULL && r == NULL)
        r = record_new(m, key);
    if (s == NULL || r == NULL) {
        token_stored_unref(s);
        free(a);
        return false;
    }
    if (current == NULL && !make_room(m)) {
        token_stored_unref(s);
        record_settle(m, r);
        token_teller_answer(&m->teller, a, TOKEN_CACHE_FULL, NULL, 0);
        return true;
    }
    replace(m, r, s, by);
    token_teller_answer(&m->teller, a, TOKEN_CACHE_OK, s, ttl_left(m, r));
    return true;
}

static bool memory_remove(struct token_cache *cache, struct slice key,
                          const struct token_expect *expect, enum token_removal reason,
                          const struct token_watch *by, token_cache_fn fn, void *arg)
{
    struct memory_cache *m = of(cache);
    struct record *r = find(m, key);
    struct token_answer *a = token_answer_new(fn, arg);
    struct token_stored *s;

    if (a == NULL)
        return false;
    if (r == NULL || r->stored == NULL) {
        token_teller_answer(&m->teller, a, TOKEN_CACHE_MISSING, NULL, 0);
        return true;
    }
    if (expect != NULL && !is_expected(r->stored, expect)) {
        m->base.stats.conflicts++;
        token_teller_answer(&m->teller, a, TOKEN_CACHE_CONFLICT, r->stored, ttl_left(m, r));
        return true;
    }
    s = take_entry(m, r);
    s->reason = (uint8_t)reason;
    if (r->ear != NULL && &r->ear->base != by)
        token_teller_notice(&m->teller, token_stored_ref(s), r->ear, TOKEN_NOTICE_REMOVED);
    token_teller_answer(&m->teller, a, TOKEN_CACHE_OK, s, 0);
    token_stored_unref(s);
    record_settle(m, r);
    return true;
}

static void memory_touch(struct token_cache *cache, struct slice key,
                         const struct token_expect *expect)
{
    struct memory_cache *m = of(cache);
    struct record *r;

    if (!m->options.sliding)
        return;
    r = find(m, key);
    if (r != NULL && r->stored != NULL && is_expected(r->stored, expect))
        start_ttl(m, r);
}

static void memory_drain(struct token_cache *cache)
{
    struct memory_cache *m = of(cache);
    struct record *r, *next;

    HASH_ITER(hh, m->records, r, next)
    {
        if (r->stored == NULL)
            continue;
        token_teller_orphan(&m->teller, take_entry(m, r), TOKEN_ORPHAN_DRAINED);
        record_settle(m, r);
    }
}

static void on_ticker_closed(uv_handle_t *ticker)
{
    struct memory_cache *m = ticker->data;
    struct record *r, *next;

    HASH_ITER(hh, m->records, r, next)
    {
        assert(r->ear == NULL);
        token_stored_unref(take_entry(m, r));
        record_settle(m, r);
    }
    timer_wheel_free(m->wheel);
    m->done(m->done_arg);
    free(m);
}

static void on_teller_closed(void *arg)
{
    struct memory_cache *m = arg;

    uv_close((uv_handle_t *)&m->ticker, on_ticker_closed);
}

static void memory_free(struct token_cache *cache, void (*done)(void *arg), void *arg)
{
    struct memory_cache *m = of(cache);

    assert(m->done == NULL);
    m->done = done;
    m->done_arg = arg;
    uv_timer_stop(&m->ticker);
    token_teller_close(&m->teller, on_teller_closed, m);
}

static const struct token_cache_ops memory_ops = {
    .watch = memory_watch,
    .unwatch = memory_unwatch,
    .get = memory_get,
    .put = memory_put,
    .remove = memory_remove,
    .touch = memory_touch,
    .drain = memory_drain,
    .free = memory_free,
};

/* --- life --- */

static void on_expiry(struct wheel_timer *timer, void *arg)
{
    expire(arg, (struct record *)timer);
}

void memory_cache_tick(struct token_cache *cache)
{
    struct memory_cache *m = of(cache);

    timer_wheel_advance(m->wheel, now_of(m));
}

static void on_ticker(uv_timer_t *ticker)
{
    memory_cache_tick(ticker->data);
}

static void on_wake(uint64_t at_ms, void *arg)
{
    struct memory_cache *m = arg;
    const uint64_t now = now_of(m);

    uv_timer_start(&m->ticker, on_ticker, at_ms > now ? at_ms - now : 0, 0);
}

static uint64_t loop_now(void *loop)
{
    return uv_now(loop);
}

struct token_cache *memory_cache_new_with_clock(uv_loop_t *loop,
                                                const struct memory_cache_options *options,
                                                uint64_t (*now_ms)(void *arg), void *arg)
{
    struct memory_cache *m = calloc(1, sizeof *m);

    assert(options->ttl_ms > 0 && options->max_entries > 0 && options->on_orphan != NULL);
    if (m == NULL)
        return NULL;
    m->base.ops = &memory_ops;
    m->options = *options;
    m->now_ms = now_ms;
    m->clock_arg = arg;
    m->wheel = timer_wheel_new(now_of(m), EXPIRY_TICK_MS, on_expiry, on_wake, m);
    if (m->wheel == NULL) {
        free(m);
        return NULL;
    }
    token_teller_init(&m->teller, loop, m->options.on_orphan, m->options.orphan_arg);
    uv_timer_init(loop, &m->ticker);
    uv_unref((uv_handle_t *)&m->ticker); /* expiry alone is no reason to run */
    m->ticker.data = m;
    return &m->base;
}

struct token_cache *memory_cache_new(uv_loop_t *loop, const struct memory_cache_options *options)
{
    return memory_cache_new_with_clock(loop, options, loop_now, loop);
}
