#include "signalr/hub/hub_receipt.h"
#include <string.h>

void hub_receipt_start(struct hub_receipt *r, uint64_t first, bool torn, uint32_t offset)
{
    r->first = r->last = r->alive = r->heard = first;
    r->torn = torn;
    r->end = offset;
}

static void add_run(struct hub_receipt *r, uint32_t bytes)
{
    memmove(&r->runs[1], &r->runs[0], sizeof r->runs - sizeof r->runs[0]);
    r->runs[0].number = (uint32_t)r->last;
    r->runs[0].bytes = bytes;
}

void hub_receipt_sent(struct hub_receipt *r, uint64_t number, uint32_t begin, uint32_t end)
{
    if (number != r->last + 1) { /* dropped on the way here */
        memset(r->runs, 0, sizeof r->runs);
        r->first = r->last = number - 1;
        r->torn = true;
    } else if (begin != r->end) {
        add_run(r, begin - r->end);
    }
    r->last = number;
    r->end = end;
}

void hub_receipt_heard(struct hub_receipt *r, uint64_t now_ms)
{
    if (now_ms - r->heard_ms < HUB_RECEIPT_TRIP_MS)
        return;
    r->alive = r->heard;
    r->heard = r->last;
    r->heard_ms = now_ms;
}

void hub_receipt_close(struct hub_receipt *r, uint32_t offset, uint32_t unacked, uint32_t unsent)
{
    if (r->closed)
        return;
    r->closed = true;
    r->behind = offset - r->end;
    r->unacked = unacked;
    r->unsent = unsent;
}

static uint32_t others_behind(const struct hub_receipt *r, uint64_t number)
{
    if (number == r->last)
        return r->behind;
    for (unsigned i = 0; i < HUB_RECEIPT_RUNS; i++)
        if (r->runs[i].bytes > 0 && r->runs[i].number == (uint32_t)number)
            return r->runs[i].bytes;
    return 0;
}

uint64_t hub_receipt_before(const struct hub_receipt *r, uint32_t bytes, uint64_t floor,
                            uint32_t (*length)(void *arg, uint64_t number), void *arg)
{
    uint64_t number = r->last;

    for (;; number--) {
        uint32_t others = others_behind(r, number), len;

        if (bytes <= others)
            return number;
        bytes -= others;
        if (number == r->first)
            return r->torn ? HUB_RECEIPT_UNKNOWN : number;
        if (number <= floor)
            return number;
        len = length(arg, number);
        if (len == 0)
            return HUB_RECEIPT_UNKNOWN;
        bytes = bytes > len ? bytes - len : 0;
    }
}
