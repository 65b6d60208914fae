#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/timer_wheel.h"
#include <stdlib.h>

struct probe {
    struct wheel_timer timer; /* first: the callback casts back */
    unsigned fired;
    uint64_t fired_at;
    void (*then)(struct probe *p);
    struct probe *other;
};

static struct timer_wheel *wheel;
static uint64_t now, asked_ms; /* asked_ms 0: not since it was looked at */
static unsigned asks;

static void on_fire(struct wheel_timer *t, void *arg)
{
    struct probe *p = (struct probe *)t;

    assert_ptr_equal(arg, &now);
    assert_false(wheel_timer_armed(t));
    p->fired++;
    p->fired_at = now;
    if (p->then != NULL)
        p->then(p);
}

static void on_wake(uint64_t at_ms, void *arg)
{
    assert_ptr_equal(arg, &now);
    asked_ms = at_ms;
    asks++;
}

static void advance(uint64_t to)
{
    now = to;
    asked_ms = 0;
    timer_wheel_advance(wheel, now);
}

/* As the owner does: the clock goes on to what was asked for, no sooner. False: nothing was. */
static bool sleep_until_asked(void)
{
    const uint64_t at = asked_ms;

    asked_ms = 0;
    if (at != 0)
        advance(at > now ? at : now);
    return at != 0;
}

static int setup(void **state)
{
    (void)state;
    now = 5000;
    asked_ms = asks = 0;
    wheel = timer_wheel_new(now, 10, on_fire, on_wake, &now);
    return wheel == NULL;
}

static int teardown(void **state)
{
    (void)state;
    timer_wheel_free(wheel);
    return 0;
}

/* Never before the deadline, and at the first advance at or after it, for any distance: inside a
 * slot, across slots, several turns of the wheel away, already past. */
static void test_fires_on_time(void **state)
{
    (void)state;
    for (uint64_t distance = 0; distance < 40000; distance += distance < 100 ? 1 : 977) {
        struct probe p = {0};
        uint64_t deadline = now + distance;

        timer_wheel_arm(wheel, &p.timer, deadline);
        assert_true(wheel_timer_armed(&p.timer));
        for (uint64_t t = now; t < deadline; t += 1 + (deadline - t) / 3) {
            advance(t);
            assert_int_equal(p.fired, 0);
        }
        advance(deadline);
        assert_int_equal(p.fired, 1);
        assert_false(wheel_timer_armed(&p.timer));
        advance(deadline + 20000);
        assert_int_equal(p.fired, 1);
    }
    struct probe past = {0};
    timer_wheel_arm(wheel, &past.timer, now - 3000);
    advance(now);
    assert_int_equal(past.fired, 1);
}

static void test_one_big_step_is_taken_in_batches(void **state)
{
    enum { N = 1400 }; /* within one turn of the wheel: in order */
    struct probe *p = calloc(N, sizeof *p);

    (void)state;
    for (unsigned i = 0; i < N; i++)
        timer_wheel_arm(wheel, &p[i].timer, now + 7 * i);
    now += 7 * N;
    asked_ms = 0;
    for (unsigned fired = 0, most = WHEEL_BATCH; fired < N; most += WHEEL_BATCH) {
        advance(now + (fired > 0));
        fired = 0;
        for (unsigned i = 0; i < N; i++)
            fired += p[i].fired;
        assert_int_equal(fired, most < N ? most : N);
        for (unsigned i = 0; i + 2 < fired; i++) /* two share a slot */
            assert_int_equal(p[i].fired, 1);
        if (fired < N)
            assert_int_equal(asked_ms, now + 1); /* the rest very soon */
    }
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(p[i].fired, 1);
    free(p);
}

/* Those that a batch left over can still be cancelled and moved. */
static void test_change_the_left_over(void **state)
{
    enum { N = 3 * WHEEL_BATCH };
    struct probe p[N] = {0};
    unsigned fired = 0;

    (void)state;
    for (unsigned i = 0; i < N; i++)
        timer_wheel_arm(wheel, &p[i].timer, now + 5);
    advance(now + 5);
    for (unsigned i = 0; i < N; i += 2)
        timer_wheel_cancel(wheel, &p[i].timer);
    for (unsigned i = 1; i < N; i += 2)
        if (p[i].fired == 0)
            timer_wheel_arm(wheel, &p[i].timer, now + 500);
    advance(now + 100);
    for (unsigned i = 0; i < N; i++)
        fired += p[i].fired;
    assert_int_equal(fired, WHEEL_BATCH);
    while (sleep_until_asked())
        ;
    for (unsigned i = 1; i < N; i += 2)
        assert_int_equal(p[i].fired, 1);
}

/* Asked to wake at the end of the first deadline's tick, and again only for an earlier one. */
static void test_asks_for_the_first(void **state)
{
    struct probe p[4] = {0};

    (void)state;
    timer_wheel_arm(wheel, &p[0].timer, now + 501);
    assert_int_equal(asked_ms, now + 510);
    timer_wheel_arm(wheel, &p[1].timer, now + 700);
    timer_wheel_arm(wheel, &p[2].timer, now + 505);
    assert_int_equal(asks, 1);
    timer_wheel_arm(wheel, &p[3].timer, now + 20);
    assert_int_equal(asked_ms, now + 20);
    timer_wheel_cancel(wheel, &p[0].timer);
    assert_int_equal(asks, 2);
    advance(now + 20);
    assert_int_equal(p[3].fired, 1);
    assert_int_equal(asked_ms, now - 20 + 510);
    advance(asked_ms);
    assert_int_equal(p[2].fired, 1);
    assert_int_equal(asked_ms, 5000 + 700);
    asked_ms = 0;
    advance(5000 + 700);
    assert_int_equal(asked_ms, 0); /* nothing is armed */
    timer_wheel_arm(wheel, &p[0].timer, now + 30);
    assert_int_equal(asked_ms, now + 30);
    timer_wheel_cancel(wheel, &p[0].timer);
    asked_ms = 0;
    advance(now + 30); /* in vain, and not again */
    assert_int_equal(asked_ms, 0);
    timer_wheel_arm(wheel, &p[0].timer, now - 1);
    assert_true(asked_ms > 0 && asked_ms <= now);
    timer_wheel_cancel(wheel, &p[0].timer);
}

/* An hour is many turns of the wheel: woken once for each, and in time. */
static void test_sleeps_long(void **state)
{
    struct probe far = {0};
    const uint64_t deadline = now + 3600000;

    (void)state;
    timer_wheel_arm(wheel, &far.timer, deadline);
    for (uint64_t t = now; t < deadline - 20000; t += 20000) /* others come and go meanwhile */
        advance(t);
    while (sleep_until_asked())
        ;
    assert_int_equal(far.fired, 1);
    assert_in_range(far.fired_at, deadline, deadline + 9);
    asks = 0;
    timer_wheel_arm(wheel, &far.timer, now + 3600000);
    while (sleep_until_asked())
        ;
    assert_int_equal(far.fired, 2);
    assert_in_range(asks, 1, 2);
    timer_wheel_arm(wheel, &far.timer, UINT64_MAX);
    advance(now + 1);
    assert_int_equal(far.fired, 2);
    timer_wheel_cancel(wheel, &far.timer);
}

/* Driven by nothing but its own asking, every timer fires within a tick of its deadline. */
static void test_asking_is_enough(void **state)
{
    enum { N = WHEEL_BATCH };
    struct probe p[N] = {0};
    uint64_t deadline[N] = {0};
    uint32_t seed = 999;
    unsigned fired = 0, wakings = 0;

    (void)state;
    while (fired < 20000) {
        for (unsigned i = 0; i < N; i++) {
            if (wheel_timer_armed(&p[i].timer))
                continue;
            if (deadline[i] != 0) {
                fired++;
                assert_in_range(p[i].fired_at, deadline[i], deadline[i] + 9);
            }
            seed = seed * 1664525u + 1013904223u;
            deadline[i] = now + 1 + (seed >> 12) % (i == 0 ? 200000 : 3000);
            timer_wheel_arm(wheel, &p[i].timer, deadline[i]);
        }
        assert_true(sleep_until_asked());
        wakings++;
    }
    assert_in_range(wakings, 1, fired + 200000 / 10240 * 2);
    for (unsigned i = 0; i < N; i++)
        timer_wheel_cancel(wheel, &p[i].timer);
}

static void test_cancel_and_move(void **state)
{
    struct probe p[3] = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        timer_wheel_arm(wheel, &p[i].timer, now + 50);
    timer_wheel_cancel(wheel, &p[1].timer); /* the middle of a list */
    timer_wheel_cancel(wheel, &p[1].timer);
    timer_wheel_arm(wheel, &p[2].timer, now + 500);
    advance(now + 50);
    assert_int_equal(p[0].fired, 1);
    assert_int_equal(p[1].fired, 0);
    assert_int_equal(p[2].fired, 0);
    timer_wheel_arm(wheel, &p[2].timer, now + 10);
    advance(now + 10);
    assert_int_equal(p[2].fired, 1);
}

static void again(struct probe *p)
{
    timer_wheel_arm(wheel, &p->timer, now);
}

/* Armed for now out of its own call: the next advance, not an endless one. */
static void test_rearm_in_callback(void **state)
{
    struct probe p = {.then = again};

    (void)state;
    timer_wheel_arm(wheel, &p.timer, now + 1);
    for (unsigned i = 1; i < 5; i++) {
        advance(now + 1);
        assert_int_equal(p.fired, i);
    }
    timer_wheel_cancel(wheel, &p.timer);
}

static struct probe *survivor;

static void kill_other(struct probe *p)
{
    timer_wheel_cancel(wheel, &p->other->timer);
    free(p->other);
    survivor = p;
}

/* Two due at once; whoever comes first frees the other. */
static void test_cancel_due_one_in_callback(void **state)
{
    struct probe *a = calloc(1, sizeof *a), *b = calloc(1, sizeof *b);

    (void)state;
    *a = (struct probe){.then = kill_other, .other = b};
    *b = (struct probe){.then = kill_other, .other = a};
    timer_wheel_arm(wheel, &a->timer, now + 5);
    timer_wheel_arm(wheel, &b->timer, now + 5);
    advance(now + 5);
    assert_int_equal(survivor->fired, 1);
    free(survivor);
}

static void free_self(struct probe *p)
{
    free(p);
}

static void test_free_own_owner(void **state)
{
    (void)state;
    for (int i = 0; i < WHEEL_BATCH; i++) {
        struct probe *p = calloc(1, sizeof *p);

        p->then = free_self;
        timer_wheel_arm(wheel, &p->timer, now + 30);
    }
    advance(now + 100);
}

static void test_time_does_not_run_back(void **state)
{
    struct probe p = {0};

    (void)state;
    timer_wheel_arm(wheel, &p.timer, now + 50);
    timer_wheel_advance(wheel, now - 4000);
    assert_int_equal(p.fired, 0);
    advance(now + 50);
    assert_int_equal(p.fired, 1);
}

static void test_free_drops_armed(void **state)
{
    struct probe p = {0};

    (void)state;
    timer_wheel_arm(wheel, &p.timer, now + 50);
    timer_wheel_free(wheel);
    wheel = NULL;
    assert_false(wheel_timer_armed(&p.timer));
    assert_int_equal(p.fired, 0);
}

/* Random arms, moves, cancels and advances against a plain list. */
static void test_against_model(void **state)
{
    enum { N = 64 };
    struct probe p[N] = {0};
    uint64_t deadline[N] = {0}; /* 0: not armed */
    uint32_t seed = 12345;

    (void)state;
    for (unsigned step = 0; step < 20000; step++) {
        unsigned i, what;

        seed = seed * 1664525u + 1013904223u;
        i = seed >> 8 & (N - 1);
        what = seed >> 16 & 7;
        if (what < 4) {
            deadline[i] = now + (seed >> 19) % (what == 0 ? 30000 : 300);
            timer_wheel_arm(wheel, &p[i].timer, deadline[i]);
        } else if (what == 4) {
            deadline[i] = 0;
            timer_wheel_cancel(wheel, &p[i].timer);
        } else {
            unsigned before[N];

            for (unsigned k = 0; k < N; k++)
                before[k] = p[k].fired;
            advance(now + (seed >> 19) % (what == 7 ? 3000 : 40));
            for (unsigned rest = 0; rest < N / WHEEL_BATCH; rest++)
                advance(now);
            for (unsigned k = 0; k < N; k++) {
                bool due = deadline[k] != 0 && deadline[k] <= now;

                assert_int_equal(p[k].fired - before[k], due);
                if (due)
                    deadline[k] = 0;
                assert_int_equal(wheel_timer_armed(&p[k].timer), deadline[k] != 0);
            }
        }
    }
    for (unsigned i = 0; i < N; i++)
        timer_wheel_cancel(wheel, &p[i].timer); /* the wheel outlives them */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(test_fires_on_time),
        T(test_one_big_step_is_taken_in_batches),
        T(test_change_the_left_over),
        T(test_asks_for_the_first),
        T(test_sleeps_long),
        T(test_asking_is_enough),
        T(test_cancel_and_move),
        T(test_rearm_in_callback),
        T(test_cancel_due_one_in_callback),
        T(test_free_own_owner),
        T(test_time_does_not_run_back),
        T(test_free_drops_armed),
        T(test_against_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
