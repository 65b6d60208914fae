#include "bridge/heap_trim.h"
#include <malloc.h>

enum {
    LOOK_MS = 2000,
    SOCKET_BYTES = 2500, /* at least, with what stands behind it */
    WORTH_IT = 500 * 1000,
};

bool heap_watch_due(struct heap_watch *w, uint64_t bytes)
{
    bool falls = bytes < w->last;
    uint64_t gone;

    w->last = bytes;
    if (bytes > w->most)
        w->most = bytes;
    gone = w->most - bytes;
    if (falls || gone < WORTH_IT || gone < w->most / 4)
        return false;
    w->most = bytes;
    return true;
}

static void on_timer(uv_timer_t *timer)
{
    struct heap_trim *t = timer->data;
    uint64_t sockets = metrics_total(t->metrics, METRIC_HTTP_SOCKETS) +
                       metrics_total(t->metrics, METRIC_DDP_SOCKETS);
    uint64_t kept = metrics_total(t->metrics, METRIC_REPLAY_BYTES);

    if (!heap_watch_due(&t->watch, sockets * SOCKET_BYTES + kept))
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
