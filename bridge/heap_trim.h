/* bridge/heap_trim.h - gives memory back to the system when much of it has become free.
 *
 * glibc keeps what is freed in the middle of its heaps. After 1,000 users that is 5 MB by ws and
 * 24 MB by wss of the 11 and 30 MB they took, and behind a busy time nearly all that was kept for
 * lost tabs in it. malloc_trim() gives it back, at some 0.25 ms of CPU for a megabyte, in which it
 * holds the lock of a heap. So it runs on the main thread, when what is known to be in use (open
 * sockets, messages kept) has fallen by a quarter, and then only once it does not fall further. */
#ifndef BRIDGE_HEAP_TRIM_H
#define BRIDGE_HEAP_TRIM_H

#include "bridge/admin/metrics.h"
#include <stdbool.h>
#include <uv.h>

struct heap_watch {
    uint64_t most; /* at once since the last trim; bytes */
    uint64_t last;
};

/* Takes what is in use now. True: trim. */
bool heap_watch_due(struct heap_watch *w, uint64_t bytes);

struct heap_trim {
    struct heap_watch watch;
    struct metrics *metrics;
    uv_timer_t timer;
};

/* Zeroed before. The timer is closed by its owner. */
void heap_trim_start(struct heap_trim *t, uv_loop_t *loop, struct metrics *metrics);

#endif
