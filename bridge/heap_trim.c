#include "bridge/heap_trim.h"
#include <malloc.h>

enum { LOOK_MS = 2000, WORTH_IT = 200 /* sockets: half a megabyte at least */ };

bool heap_watch_due(struct heap_watch *w, uint64_t open)
{
    bool falls = open < w->last;
    uint64_t left;

    w->last = open;
    if (open > w->most)
        w->most = open;
    left = w->most - open;
    if (falls || left < WORTH_IT || left < w->most / 4)
        return false;
    w->most = open;
    return true;
}

static void on_timer(uv_timer_t *timer)
{
    struct heap_trim *t = timer->data;
    uint64_t open = metrics_total(t->metrics, METRIC_HTTP_SOCKETS) +
                    metrics_total(t->metrics, METRIC_DDP_SOCKETS);

    if (!heap_watch_due(&t->watch, open))
        return;
    malloc_trim(0);
    metrics_add_shared(t->metrics, METRIC_HEAP_TRIMS, 1);
}

void heap_trim_start(struct heap_trim *t, uv_loop_t *loop, struct metrics *metrics)
{
    t->metrics = metrics;
    t->timer.data = t;
    uv_timer_init(loop, &t->timer); /* cannot fail in libuv 1.x */
    uv_timer_start(&t->timer, on_timer, LOOK_MS, LOOK_MS);
}
