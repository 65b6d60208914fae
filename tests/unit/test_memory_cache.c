#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/timer_wheel.h"
#include "cache/memory_cache.h"
#include "cache/memory_cache_internal.h"
#include <stdio.h>
#include <stdlib.h>

enum { TTL = 100000, LOW = TTL * 9 / 10, HIGH = TTL * 11 / 10, MAX = 4 };

/* Everything that was told, in order, one line each. */
static char told[4096];
static uv_loop_t loop;
static struct token_cache *cache;
static uint64_t now;
static uint64_t last_ttl_left;

static uint64_t fake_now(void *arg)
{
    (void)arg;
    return now;
}

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...)
{
    size_t len = strlen(told);
    va_list args;

    va_start(args, format);
    vsnprintf(told + len, sizeof told - len, format, args);
    va_end(args);
}

#define S(slice) (int)(slice).len, (slice).ptr

static void on_answer(void *arg, enum token_cache_result result, const struct token_entry *e)
{
    static const char *const names[] = {"ok", "missing", "conflict", "full"};

    tell("%s:%s", (const char *)arg, names[result]);
    if (e != NULL)
        tell("(%.*s/%llu)", S(e->auth_token), (unsigned long long)e->epoch);
    tell("\n");
    last_ttl_left = e != NULL ? e->ttl_left_ms : 0;
}

static void on_notice(void *arg, const struct token_notice *n)
{
    static const char *const kinds[] = {"expired", "replaced", "removed"};
    static const char *const reasons[] = {"logout", "revoked", "refused"};

    tell("%s<%s", (const char *)arg, kinds[n->kind]);
    if (n->kind == TOKEN_NOTICE_REMOVED)
        tell(" %s", reasons[n->reason]);
    tell("(%.*s/%llu)\n", S(n->entry->auth_token), (unsigned long long)n->entry->epoch);
}

static void on_orphan(void *arg, struct slice key, const struct token_entry *e,
                      enum token_orphan why)
{
    static const char *const reasons[] = {"expired", "evicted", "drained"};

    (void)arg;
    tell("orphan %.*s %s(%.*s)\n", S(key), reasons[why], S(e->auth_token));
}

static void open_cache(bool sliding)
{
    struct memory_cache_options options = {
        .ttl_ms = TTL, .sliding = sliding, .max_entries = MAX, .on_orphan = on_orphan};

    cache = memory_cache_new_with_clock(&loop, &options, fake_now, NULL);
    assert_non_null(cache);
}

static int setup(void **state)
{
    (void)state;
    told[0] = '\0';
    now = 1000000;
    uv_loop_init(&loop);
    open_cache(false);
    return 0;
}

static int setup_sliding(void **state)
{
    (void)state;
    told[0] = '\0';
    now = 1000000;
    uv_loop_init(&loop);
    open_cache(true);
    return 0;
}

static void on_done(void *arg)
{
    *(bool *)arg = true;
}

static void close_cache(void)
{
    bool done = false;

    token_cache_free(cache, on_done, &done);
    assert_false(done);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(done);
    cache = NULL;
}

static int teardown(void **state)
{
    (void)state;
    if (cache != NULL)
        close_cache();
    return uv_loop_close(&loop);
}

/* Lets the loop tell what is due, and compares; nothing may have been told before. */
static void expect_told(const char *want)
{
    assert_string_equal(told, "");
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_string_equal(told, want);
    told[0] = '\0';
}

static struct token_entry entry_of(const char *token, uint64_t epoch)
{
    return (struct token_entry){
        .rc_user_id = SLICE_LIT("u9"),
        .rc_username = SLICE_LIT("ana"),
        .auth_token = slice_of(token),
        .ddp_session = SLICE_LIT("ddp1"),
        .instance = SLICE_LIT("i1"),
        .epoch = epoch,
        .issued_at_ms = 1714557600123,
    };
}

static void put_by(const char *key, const char *token, uint64_t epoch,
                   const struct token_expect *expect, const struct token_watch *by)
{
    struct token_entry e = entry_of(token, epoch);

    assert_true(token_cache_put(cache, slice_of(key), expect, &e, by, on_answer, "put"));
}

static void put(const char *key, const char *token, uint64_t epoch,
                const struct token_expect *expect)
{
    put_by(key, token, epoch, expect, NULL);
}

static void get(const char *key)
{
    assert_true(token_cache_get(cache, slice_of(key), on_answer, "get"));
}

static void remove_by(const char *key, const struct token_expect *expect, enum token_removal reason,
                      const struct token_watch *by)
{
    assert_true(token_cache_remove(cache, slice_of(key), expect, reason, by, on_answer, "remove"));
}

static struct token_expect is(const char *token, uint64_t epoch)
{
    return (struct token_expect){slice_of(token), epoch};
}

static struct token_watch *watch(const char *key, const char *name)
{
    struct token_watch *w = token_cache_watch(cache, slice_of(key), on_notice, (void *)name);

    assert_non_null(w);
    return w;
}

static void advance(uint64_t ms)
{
    now += ms;
    memory_cache_tick(cache);
}

static void check_whole_entry(void *arg, enum token_cache_result result,
                              const struct token_entry *e)
{
    (void)arg;
    assert_int_equal(result, TOKEN_CACHE_OK);
    assert_true(slice_eq(e->rc_user_id, SLICE_LIT("u9")));
    assert_true(slice_eq(e->rc_username, SLICE_LIT("ana")));
    assert_true(slice_eq(e->auth_token, SLICE_LIT("tok")));
    assert_true(slice_eq(e->ddp_session, SLICE_LIT("ddp1")));
    assert_true(slice_eq(e->instance, SLICE_LIT("i1")));
    assert_int_equal(e->epoch, 7);
    assert_int_equal(e->issued_at_ms, 1714557600123);
    tell("checked\n");
}

static void test_put_and_get(void **state)
{
    char token[] = "tok", key[] = "alice";

    (void)state;
    get("alice");
    put(key, token, 7, NULL);
    memset(token, 'x', 3); /* slices are copied */
    memset(key, 'x', 5);
    assert_true(token_cache_get(cache, SLICE_LIT("alice"), check_whole_entry, NULL));
    get("bob");
    expect_told("get:missing\nput:ok(tok/7)\nchecked\nget:missing\n");
    assert_int_equal(token_cache_stats(cache)->entries, 1);
}

static void test_compare_and_set(void **state)
{
    struct token_expect wrong_token = is("other", 1), wrong_epoch = is("t1", 2),
                        right = is("t1", 1);

    (void)state;
    put("a", "t0", 1, &right); /* expects one where there is none */
    expect_told("put:conflict\n");
    put("a", "t1", 1, NULL);
    put("a", "t2", 1, NULL);
    put("a", "t2", 1, &wrong_token);
    put("a", "t2", 1, &wrong_epoch);
    put("a", "t2", 2, &right);
    put("a", "t3", 3, &right); /* the late loser */
    get("a");
    expect_told("put:ok(t1/1)\nput:conflict(t1/1)\nput:conflict(t1/1)\nput:conflict(t1/1)\n"
                "put:ok(t2/2)\nput:conflict(t2/2)\nget:ok(t2/2)\n");
    assert_int_equal(token_cache_stats(cache)->conflicts, 5);
    assert_int_equal(token_cache_stats(cache)->entries, 1);
}

static void test_compare_and_remove(void **state)
{
    struct token_expect wrong_token = is("t2", 1), wrong_epoch = is("t1", 0), right = is("t1", 1);

    (void)state;
    remove_by("a", &right, TOKEN_REMOVAL_REFUSED, NULL);
    put("a", "t1", 1, NULL);
    remove_by("a", &wrong_token, TOKEN_REMOVAL_REFUSED, NULL);
    remove_by("a", &wrong_epoch, TOKEN_REMOVAL_REFUSED, NULL);
    remove_by("a", &right, TOKEN_REMOVAL_REFUSED, NULL);
    get("a");
    put("a", "t5", 5, NULL);
    remove_by("a", NULL, TOKEN_REMOVAL_REVOKED, NULL);
    expect_told("remove:missing\nput:ok(t1/1)\nremove:conflict(t1/1)\nremove:conflict(t1/1)\n"
                "remove:ok(t1/1)\nget:missing\nput:ok(t5/5)\nremove:ok(t5/5)\n");
    assert_int_equal(token_cache_stats(cache)->conflicts, 2);
    assert_int_equal(token_cache_stats(cache)->entries, 0);
}

static void test_expires_by_the_clock(void **state)
{
    struct token_watch *w = watch("a", "w");

    (void)state;
    put("a", "t1", 1, NULL);
    put("b", "t2", 1, NULL);
    expect_told("put:ok(t1/1)\nput:ok(t2/1)\n");
    advance(LOW - 1);
    expect_told("");
    assert_int_equal(token_cache_stats(cache)->entries, 2);
    advance(HIGH - LOW + 1);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_non_null(strstr(told, "w<expired(t1/1)\n"));
    assert_non_null(strstr(told, "orphan b expired(t2)\n"));
    told[0] = '\0';
    get("a");
    put("a", "t1", 1, NULL); /* the kept token again */
    expect_told("get:missing\nput:ok(t1/1)\n");
    assert_int_equal(token_cache_stats(cache)->expirations, 2);
    assert_int_equal(token_cache_stats(cache)->entries, 1);
    token_cache_unwatch(w);
}

/* Past its time means gone, even where the timer has not come round yet. */
static void test_expired_entry_is_never_given(void **state)
{
    struct token_expect e = is("t1", 1);
    struct token_watch *w = watch("a", "w");

    (void)state;
    put("a", "t1", 1, NULL);
    put("b", "t1", 1, NULL);
    expect_told("put:ok(t1/1)\nput:ok(t1/1)\n");
    now += HIGH;
    get("a");
    put("b", "t2", 1, &e);
    memory_cache_tick(cache);
    expect_told("w<expired(t1/1)\nget:missing\norphan b expired(t1)\nput:conflict\n");
    assert_int_equal(token_cache_stats(cache)->expirations, 2);
    token_cache_unwatch(w);
}

static void test_put_restarts_the_ttl(void **state)
{
    struct token_expect e = is("t1", 1);

    (void)state;
    put("a", "t1", 1, NULL);
    advance(LOW - 1);
    put("a", "t1", 1, &e);
    advance(LOW - 1);
    get("a");
    expect_told("put:ok(t1/1)\nput:ok(t1/1)\nget:ok(t1/1)\n");
}

static void test_touch_absolute(void **state)
{
    struct token_expect e = is("t1", 1);

    (void)state;
    put("a", "t1", 1, NULL);
    for (int i = 0; i < 11; i++) {
        advance(TTL / 10);
        token_cache_touch(cache, SLICE_LIT("a"), &e);
    }
    expect_told("put:ok(t1/1)\norphan a expired(t1)\n");
}

static void test_touch_sliding(void **state)
{
    struct token_expect right = is("t1", 1), wrong = is("t1", 2);

    (void)state;
    put("a", "t1", 1, NULL);
    for (int i = 0; i < 30; i++) {
        advance(TTL / 2);
        token_cache_touch(cache, SLICE_LIT("a"), &right);
    }
    token_cache_touch(cache, SLICE_LIT("b"), &right);
    get("a");
    expect_told("put:ok(t1/1)\nget:ok(t1/1)\n");
    assert_in_range(last_ttl_left, LOW, HIGH);
    advance(TTL / 2);
    token_cache_touch(cache, SLICE_LIT("a"), &wrong); /* a loser does not keep it alive */
    advance(HIGH - TTL / 2);
    expect_told("orphan a expired(t1)\n");
}

static void test_jitter(void **state)
{
    uint64_t lowest = UINT64_MAX, highest = 0;

    (void)state;
    for (int i = 0; i < 500; i++) {
        put("a", "t1", 1, NULL);
        uv_run(&loop, UV_RUN_DEFAULT);
        assert_in_range(last_ttl_left, LOW, HIGH);
        lowest = last_ttl_left < lowest ? last_ttl_left : lowest;
        highest = last_ttl_left > highest ? last_ttl_left : highest;
        remove_by("a", NULL, TOKEN_REMOVAL_LOGOUT, NULL);
        uv_run(&loop, UV_RUN_DEFAULT);
        told[0] = '\0';
    }
    assert_true(lowest < LOW + TTL / 50);
    assert_true(highest > HIGH - TTL / 50);
}

static void test_ttl_left_counts_down(void **state)
{
    uint64_t first;

    (void)state;
    put("a", "t1", 1, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    first = last_ttl_left;
    assert_in_range(first, LOW, HIGH);
    advance(5000);
    get("a");
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(last_ttl_left, first - 5000);
}

static void test_notices(void **state)
{
    struct token_expect t1 = is("t1", 1), t2 = is("t2", 2), t3 = is("t3", 3);
    struct token_watch *w = watch("a", "w");

    (void)state;
    put_by("a", "t1", 1, NULL, w); /* one's own writes make no notice */
    put_by("a", "t2", 2, &t1, w);
    put("a", "t3", 3, &t2); /* another session's do */
    remove_by("a", &t3, TOKEN_REMOVAL_LOGOUT, NULL);
    put("a", "t4", 4, NULL); /* no entry before: the watch hears of ends, not of firsts */
    remove_by("a", NULL, TOKEN_REMOVAL_REVOKED, NULL);
    put_by("a", "t5", 5, NULL, w);
    remove_by("a", NULL, TOKEN_REMOVAL_REFUSED, w);
    expect_told("put:ok(t1/1)\nput:ok(t2/2)\nw<replaced(t3/3)\nput:ok(t3/3)\n"
                "w<removed logout(t3/3)\nremove:ok(t3/3)\nput:ok(t4/4)\n"
                "w<removed revoked(t4/4)\nremove:ok(t4/4)\nput:ok(t5/5)\nremove:ok(t5/5)\n");
    token_cache_unwatch(w);
}

static void test_no_notice_after_unwatch(void **state)
{
    struct token_watch *w = watch("a", "w");

    (void)state;
    put("a", "t1", 1, NULL);
    remove_by("a", NULL, TOKEN_REMOVAL_LOGOUT, NULL);
    token_cache_unwatch(w); /* a notice is queued */
    w = watch("a", "w2");
    expect_told("put:ok(t1/1)\nremove:ok(t1/1)\n");
    put("a", "t1", 1, NULL);
    expect_told("put:ok(t1/1)\n");
    advance(HIGH);
    token_cache_unwatch(w); /* the token must not be lost with the notice */
    expect_told("orphan a expired(t1)\n");
}

static void test_bound(void **state)
{
    struct token_watch *w[MAX];

    (void)state;
    w[0] = watch("k0", "w0");
    put("k0", "t0", 1, NULL);
    put("k1", "t1", 1, NULL);
    put("k2", "t2", 1, NULL);
    put("k3", "t3", 1, NULL);
    put("k4", "t4", 1, NULL);
    expect_told("put:ok(t0/1)\nput:ok(t1/1)\nput:ok(t2/1)\nput:ok(t3/1)\norphan k1 evicted(t1)\n"
                "put:ok(t4/1)\n");
    /* Watching and letting go makes k2 the newest of the unwatched. */
    w[1] = watch("k2", "w1");
    token_cache_unwatch(w[1]);
    put("k5", "t5", 1, NULL);
    expect_told("orphan k3 evicted(t3)\nput:ok(t5/1)\n");
    w[1] = watch("k2", "w1");
    w[2] = watch("k4", "w2");
    w[3] = watch("k5", "w3");
    put("k6", "t6", 1, NULL);
    get("k6");
    expect_told("put:full\nget:missing\n");
    /* A key that has an entry needs no room. */
    struct token_expect e = is("t0", 1);
    put("k0", "t0b", 2, &e);
    expect_told("w0<replaced(t0b/2)\nput:ok(t0b/2)\n");
    remove_by("k0", NULL, TOKEN_REMOVAL_LOGOUT, w[0]);
    put("k6", "t6", 1, NULL);
    expect_told("remove:ok(t0b/2)\nput:ok(t6/1)\n");
    assert_int_equal(token_cache_stats(cache)->evictions, 2);
    assert_int_equal(token_cache_stats(cache)->refusals, 1);
    assert_int_equal(token_cache_stats(cache)->entries, MAX);
    for (int i = 0; i < MAX; i++)
        token_cache_unwatch(w[i]);
}

static void test_drain(void **state)
{
    struct token_watch *w;

    (void)state;
    put("a", "t1", 1, NULL);
    put("b", "t2", 1, NULL);
    w = watch("b", "w");
    expect_told("put:ok(t1/1)\nput:ok(t2/1)\n");
    token_cache_drain(cache);
    token_cache_drain(cache);
    get("a");
    expect_told("orphan a drained(t1)\norphan b drained(t2)\nget:missing\n");
    token_cache_unwatch(w);
}

static void test_free_answers_what_is_due(void **state)
{
    (void)state;
    put("a", "t1", 1, NULL);
    get("a");
    token_cache_drain(cache);
    close_cache();
    assert_string_equal(told, "put:ok(t1/1)\nget:ok(t1/1)\n");
}

/* Callbacks may use the cache; what they ask for comes in a later turn. */
static unsigned chain_left;

static void on_chain(void *arg, enum token_cache_result result, const struct token_entry *e)
{
    (void)arg;
    (void)result;
    (void)e;
    if (chain_left-- > 1)
        assert_true(token_cache_get(cache, SLICE_LIT("a"), on_chain, NULL));
}

static void on_notice_removes_itself(void *arg, const struct token_notice *n)
{
    struct token_watch **w = arg;

    assert_int_equal(n->kind, TOKEN_NOTICE_EXPIRED);
    token_cache_unwatch(*w);
    *w = NULL;
    put("a", "again", 2, NULL);
}

static void test_calls_from_callbacks(void **state)
{
    struct token_watch *w;

    (void)state;
    chain_left = 5;
    assert_true(token_cache_get(cache, SLICE_LIT("a"), on_chain, NULL));
    for (unsigned turn = 5; turn-- > 0;) {
        uv_run(&loop, UV_RUN_ONCE);
        assert_int_equal(chain_left, turn);
    }
    w = token_cache_watch(cache, SLICE_LIT("a"), on_notice_removes_itself, &w);
    put("a", "t1", 1, NULL);
    expect_told("put:ok(t1/1)\n");
    advance(HIGH);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_null(w);
    assert_string_equal(told, "put:ok(again/2)\n");
}

static void on_nothing(uv_timer_t *timer)
{
    (void)timer;
}

/* On the loop's own clock and timer. */
static void test_real_time(void **state)
{
    struct memory_cache_options options = {
        .ttl_ms = 300, .max_entries = MAX, .on_orphan = on_orphan};
    uv_timer_t life; /* the cache alone keeps no loop running */
    uint64_t start;

    (void)state;
    close_cache();
    cache = memory_cache_new(&loop, &options);
    uv_timer_init(&loop, &life);
    uv_timer_start(&life, on_nothing, 10, 10);
    uv_update_time(&loop);
    start = uv_now(&loop);
    put("a", "t1", 1, NULL);
    while (strstr(told, "orphan a expired(t1)") == NULL) {
        uv_run(&loop, UV_RUN_ONCE);
        assert_true(uv_now(&loop) - start < 5000);
    }
    uv_close((uv_handle_t *)&life, NULL);
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_true(uv_now(&loop) - start >= 270);
}

static void test_many(void **state)
{
    enum { N = 2000 };
    struct memory_cache_options options = {.ttl_ms = TTL, .max_entries = N, .on_orphan = on_orphan};

    (void)state;
    close_cache();
    cache = memory_cache_new_with_clock(&loop, &options, fake_now, NULL);
    for (int i = 0; i < 2 * N; i++) {
        char key[16];

        snprintf(key, sizeof key, "user%d", i);
        put(key, "token", 1, NULL);
    }
    uv_run(&loop, UV_RUN_DEFAULT);
    assert_int_equal(token_cache_stats(cache)->entries, N);
    assert_int_equal(token_cache_stats(cache)->evictions, N);
    for (int ended = 0; ended < N; ended += WHEEL_BATCH) {
        assert_int_equal(token_cache_stats(cache)->expirations, ended);
        advance(ended == 0 ? HIGH : 1);
    }
    assert_int_equal(token_cache_stats(cache)->entries, 0);
    assert_int_equal(token_cache_stats(cache)->expirations, N);
    uv_run(&loop, UV_RUN_DEFAULT);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_put_and_get),
        T(test_compare_and_set),
        T(test_compare_and_remove),
        T(test_expires_by_the_clock),
        T(test_expired_entry_is_never_given),
        T(test_put_restarts_the_ttl),
        T(test_touch_absolute),
        cmocka_unit_test_setup_teardown(test_touch_sliding, setup_sliding, teardown),
        T(test_jitter),
        T(test_ttl_left_counts_down),
        T(test_notices),
        T(test_no_notice_after_unwatch),
        T(test_bound),
        T(test_drain),
        T(test_free_answers_what_is_due),
        T(test_calls_from_callbacks),
        T(test_real_time),
        T(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
