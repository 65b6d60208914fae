#include "bridge/replay/replay_tail.h"
#include <stddef.h>
#include <stdlib.h>

static uint32_t not_known(void *arg, uint64_t number)
{
    (void)arg;
    (void)number;
    return 0;
}

uint64_t replay_tail_position(enum settings_replay_tail tail, const struct hub_receipt *r,
                              uint64_t floor, uint32_t (*length)(void *arg, uint64_t number),
                              void *arg)
{
    if (length == NULL)
        length = not_known;
    switch (tail) {
    case REPLAY_TAIL_ACKED:
        return hub_receipt_before(r, r->unacked, floor, length, arg);
    case REPLAY_TAIL_LAST_PING:
        return r->torn && r->alive <= r->first ? HUB_RECEIPT_UNKNOWN : r->alive;
    case REPLAY_TAIL_NONE:
        return hub_receipt_before(r, r->unsent, floor, length, arg);
    }
    abort();
}
