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
static uint64_t now;

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

static void advance(uint64_t to)
{
    now = to;
    timer_wheel_advance(wheel, now);
}

static int setup(void **state)
{
    (void)state;
    now = 5000;
    wheel = timer_wheel_new(now, 10, on_fire, &now);
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

static void test_one_big_step_fires_all(void **state)
{
    enum { N = 5000 };
    struct probe *p = calloc(N, sizeof *p);

    (void)state;
    for (unsigned i = 0; i < N; i++)
        timer_wheel_arm(wheel, &p[i].timer, now + 7 * i);
    advance(now + 7 * N);
    for (unsigned i = 0; i < N; i++)
        assert_int_equal(p[i].fired, 1);
    free(p);
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
    for (int i = 0; i < 100; i++) {
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
        T(test_fires_on_time),          T(test_one_big_step_fires_all),     T(test_cancel_and_move),
        T(test_rearm_in_callback),      T(test_cancel_due_one_in_callback), T(test_free_own_owner),
        T(test_time_does_not_run_back), T(test_free_drops_armed),           T(test_against_model),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
