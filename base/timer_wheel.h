/* base/timer_wheel.h - many coarse timers for little memory (keep-alives, time-outs, expiries).
 *
 * A hashed wheel: arming, moving and cancelling are O(1); advancing visits only the slots that have
 * come due. Time is passed in, in milliseconds of any monotonic clock. A timer fires at the first
 * advance at or after its deadline, never before it. Nodes are embedded in what they time; the
 * owner keeps them alive while armed. A callback may arm or cancel any timer, its own included, and
 * free its own node's owner. */
#ifndef BASE_TIMER_WHEEL_H
#define BASE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

struct wheel_timer {
    struct wheel_timer *_next, **_link; /* _link NULL: not armed */
    uint64_t _deadline_ms;
};

typedef void (*wheel_fn)(struct wheel_timer *timer, void *arg);

struct timer_wheel;

/* tick_ms: the width of a slot. fire gets every due timer with arg. NULL: no memory. */
struct timer_wheel *timer_wheel_new(uint64_t now_ms, unsigned tick_ms, wheel_fn fire, void *arg);
void timer_wheel_free(struct timer_wheel *w); /* armed timers are dropped without firing */
void timer_wheel_arm(struct timer_wheel *w, struct wheel_timer *t,
                     uint64_t deadline_ms);                            /* moves it if armed */
void timer_wheel_cancel(struct timer_wheel *w, struct wheel_timer *t); /* not armed: nothing */
void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms);
static inline bool wheel_timer_armed(const struct wheel_timer *t)
{
    return t->_link != 0;
}

#endif
