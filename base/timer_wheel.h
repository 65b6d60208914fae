/* base/timer_wheel.h - many coarse timers for little memory (keep-alives, time-outs, expiries).
 *
 * A hashed wheel: arming, moving and cancelling are O(1); advancing visits only the slots that have
 * come due. Time is passed in, in milliseconds of any monotonic clock. The wheel tells when it must
 * be advanced next, so that its owner sleeps while nothing is due. A timer never fires before its
 * deadline, and at the first advance at or after it; but an advance fires WHEEL_BATCH timers at
 * most, those of earlier slots first, and wants the next one a millisecond later: a thousand that
 * are due at once must not hold up everything else. Nodes are embedded in what they time; the owner
 * keeps them alive while armed. A callback may arm or cancel any timer, its own included, and free
 * its own node's owner. */
#ifndef BASE_TIMER_WHEEL_H
#define BASE_TIMER_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

enum { WHEEL_BATCH = 32 };

struct wheel_timer {
    struct wheel_timer *_next, **_link; /* _link NULL: not armed */
    uint64_t _deadline_ms;
};

typedef void (*wheel_fn)(struct wheel_timer *timer, void *arg);
/* Advance at at_ms or as soon after it as can be; instead of what was asked for before. Comes from
 * timer_wheel_arm() and at the end of timer_wheel_advance(); with nothing armed it does not come.
 * Times are multiples of tick_ms, so that timers near each other cost one waking. */
typedef void (*wheel_wake_fn)(uint64_t at_ms, void *arg);

struct timer_wheel;

/* tick_ms: the width of a slot. fire gets every due timer. NULL: no memory. */
struct timer_wheel *timer_wheel_new(uint64_t now_ms, unsigned tick_ms, wheel_fn fire,
                                    wheel_wake_fn wake, void *arg);
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
