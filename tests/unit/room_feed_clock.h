/* tests/unit/room_feed_clock.h - what is to happen when, in a time that costs nothing; and chance,
 * the same in every run from one seed. */
#ifndef TESTS_UNIT_ROOM_FEED_CLOCK_H
#define TESTS_UNIT_ROOM_FEED_CLOCK_H

#include "room_feed_rooms.h"
#include <stdarg.h>

/* ---- chance (splitmix64) ---- */

struct feed_chance {
    uint64_t state;
};

static uint64_t feed_draw(struct feed_chance *c)
{
    uint64_t z = (c->state += 0x9e3779b97f4a7c15u);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static unsigned feed_below(struct feed_chance *c, unsigned bound)
{
    return bound == 0 ? 0 : (unsigned)(feed_draw(c) % bound);
}

static bool feed_hits(struct feed_chance *c, unsigned percent)
{
    return feed_below(c, 100) < percent;
}

/* Up to max, small ones as likely as large ones. */
static unsigned feed_span(struct feed_chance *c, unsigned max)
{
    unsigned bound = 1;

    while (bound < max && feed_hits(c, 75))
        bound *= 4;
    return feed_below(c, (bound < max ? bound : max) + 1);
}

/* ---- time ---- */

struct feed_task {
    int64_t at_ms;
    uint64_t order; /* of those of one millisecond */
    void (*fn)(const struct feed_task *task);
    unsigned room, link, late_ms, again_ms;
    bool joined; /* a room's first event */
    uint64_t number;
    int64_t since_ms;
    struct feed_answer *answer;
    union {
        struct rc_room shown;
        struct rc_message message;
    };
};

enum { FEED_TASKS = 1024 };

static struct feed_clock {
    struct feed_task tasks[FEED_TASKS];
    unsigned ntasks;
    uint64_t order;
    bool traced; /* what happens is printed */
} feed_clock;

static void feed_after(int64_t ms, struct feed_task task)
{
    assert(feed_clock.ntasks < FEED_TASKS);
    task.at_ms = feed.now_ms + ms;
    task.order = feed_clock.order++;
    feed_clock.tasks[feed_clock.ntasks++] = task;
}

/* NULL: nothing is to come. */
static struct feed_task *feed_next(void)
{
    struct feed_task *next = NULL;

    for (unsigned i = 0; i < feed_clock.ntasks; i++) {
        struct feed_task *t = &feed_clock.tasks[i];

        if (next == NULL || t->at_ms < next->at_ms ||
            (t->at_ms == next->at_ms && t->order < next->order))
            next = t;
    }
    return next;
}

static void feed_do(struct feed_task *next)
{
    const struct feed_task task = *next;

    *next = feed_clock.tasks[--feed_clock.ntasks];
    if (task.at_ms > feed.now_ms)
        feed.now_ms = task.at_ms;
    task.fn(&task);
}

/* ---- the record ---- */

enum { FEED_BEGIN_MS = 10 * 1000 * 1000 };

__attribute__((format(printf, 1, 2))) static void feed_trace(const char *format, ...)
{
    va_list args;

    if (!feed_clock.traced)
        return;
    printf("%9" PRId64 "  ", feed.now_ms - FEED_BEGIN_MS);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

#endif
