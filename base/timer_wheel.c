#include "base/timer_wheel.h"
#include <assert.h>
#include <stdlib.h>

/* A deadline further away than one turn stays in its slot and is looked at once a turn. */
enum { SLOTS = 1024 };

struct timer_wheel {
    wheel_fn fire;
    wheel_wake_fn wake;
    void *arg;
    uint64_t tick_ms;
    uint64_t tick;    /* the last one visited; visited again, for what was armed into it since */
    uint64_t wake_ms; /* asked for; UINT64_MAX: nothing */
    bool advancing;   /* asks at the end */
    struct wheel_timer *due;
    struct wheel_timer *slots[SLOTS];
};

static void push(struct wheel_timer **head, struct wheel_timer *t)
{
    t->_next = *head;
    if (t->_next != NULL)
        t->_next->_link = &t->_next;
    *head = t;
    t->_link = head;
}

static void unlink_timer(struct wheel_timer *t)
{
    *t->_link = t->_next;
    if (t->_next != NULL)
        t->_next->_link = t->_link;
    t->_next = NULL;
    t->_link = NULL;
}

struct timer_wheel *timer_wheel_new(uint64_t now_ms, unsigned tick_ms, wheel_fn fire,
                                    wheel_wake_fn wake, void *arg)
{
    struct timer_wheel *w = calloc(1, sizeof *w);

    assert(tick_ms > 0);
    if (w == NULL)
        return NULL;
    w->fire = fire;
    w->wake = wake;
    w->wake_ms = UINT64_MAX;
    w->arg = arg;
    w->tick_ms = tick_ms;
    w->tick = now_ms / tick_ms;
    return w;
}

void timer_wheel_free(struct timer_wheel *w)
{
    if (w == NULL)
        return;
    for (size_t i = 0; i < SLOTS; i++)
        while (w->slots[i] != NULL)
            unlink_timer(w->slots[i]);
    while (w->due != NULL)
        unlink_timer(w->due);
    free(w);
}

/* The first multiple of the tick at or after it. */
static uint64_t round_up(const struct timer_wheel *w, uint64_t deadline_ms)
{
    const uint64_t over = deadline_ms % w->tick_ms;

    return over == 0 || deadline_ms > UINT64_MAX - w->tick_ms ? deadline_ms
                                                              : deadline_ms + w->tick_ms - over;
}

static void ask(struct timer_wheel *w, uint64_t at_ms)
{
    if (w->advancing || at_ms >= w->wake_ms)
        return;
    w->wake_ms = at_ms;
    w->wake(at_ms, w->arg);
}

void timer_wheel_arm(struct timer_wheel *w, struct wheel_timer *t, uint64_t deadline_ms)
{
    uint64_t tick = deadline_ms / w->tick_ms;

    if (t->_link != NULL)
        unlink_timer(t);
    t->_deadline_ms = deadline_ms;
    /* A deadline already past would sit in a slot that comes round a whole turn later. */
    push(&w->slots[(tick < w->tick ? w->tick : tick) % SLOTS], t);
    ask(w, round_up(w, deadline_ms));
}

void timer_wheel_cancel(struct timer_wheel *w, struct wheel_timer *t)
{
    (void)w;
    if (t->_link != NULL)
        unlink_timer(t);
}

static void collect_due(struct timer_wheel *w, struct wheel_timer *t, uint64_t now_ms)
{
    struct wheel_timer *next;

    for (; t != NULL; t = next) {
        next = t->_next;
        if (t->_deadline_ms <= now_ms) {
            unlink_timer(t);
            push(&w->due, t);
        }
    }
}

static void collect_all_due(struct timer_wheel *w, uint64_t now_ms)
{
    const uint64_t tick = now_ms / w->tick_ms;
    uint64_t visits;

    if (tick < w->tick)
        return;
    visits = tick - w->tick + 1;
    if (visits > SLOTS)
        visits = SLOTS;
    /* Backwards, because push puts in front: so earlier slots fire first. */
    for (uint64_t i = 0; i < visits; i++)
        collect_due(w, w->slots[(tick - i) % SLOTS], now_ms);
    w->tick = tick;
}

/* When the next timer is due. What lies more than a turn ahead is looked for again by then. */
static uint64_t next_ms(const struct timer_wheel *w)
{
    uint64_t first = UINT64_MAX;
    bool any = false;

    for (uint64_t tick = w->tick; tick < w->tick + SLOTS && first == UINT64_MAX; tick++) {
        for (const struct wheel_timer *t = w->slots[tick % SLOTS]; t != NULL; t = t->_next) {
            any = true;
            if (t->_deadline_ms < first && t->_deadline_ms / w->tick_ms <= tick)
                first = t->_deadline_ms;
        }
    }
    if (first == UINT64_MAX && any)
        return (w->tick + SLOTS) * w->tick_ms;
    return round_up(w, first);
}

void timer_wheel_advance(struct timer_wheel *w, uint64_t now_ms)
{
    uint64_t next;

    w->advancing = true;
    w->wake_ms = UINT64_MAX;
    /* All due timers first, calls afterwards: a callback may change any list, and a timer that it
     * arms for now waits for the next advance instead of spinning this one. Those that a batch left
     * over come before any that are due since. */
    if (w->due == NULL)
        collect_all_due(w, now_ms);
    for (unsigned i = 0; w->due != NULL && i < WHEEL_BATCH; i++) {
        struct wheel_timer *t = w->due;

        unlink_timer(t);
        w->fire(t, w->arg);
    }
    w->advancing = false;
    next = w->due != NULL ? now_ms : next_ms(w);
    if (next != UINT64_MAX)
        ask(w, next > now_ms ? next : now_ms + 1);
}
