/* signalr/hub/hub_receipt.h - how much of what a connection was sent its client has.
 *
 * A host may number the messages it sends to a user, each by one more than the one before
 * (hub_buf_set_number). For every connection it is kept which number went out last, and where in
 * the connection's stream of bytes; when the connection has ended, the number up to which the
 * client has them all follows from how many of the last bytes are unacknowledged. What else stands
 * in the stream (pings, completions, the Close message) is told apart by its length: all of it
 * behind the last numbered message, and the last HUB_RECEIPT_RUNS times that some of it stood
 * between two numbered ones. Older ones are taken for numbered bytes, so that the answer is too
 * low rather than too high: a message is repeated rather than lost.
 *
 * Pure; offsets are modulo 2^32, which no socket buffer reaches. */
#ifndef SIGNALR_HUB_HUB_RECEIPT_H
#define SIGNALR_HUB_HUB_RECEIPT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    HUB_RECEIPT_RUNS = 4,
    /* A sign of life proves that everything sent this long before it has come in. */
    HUB_RECEIPT_TRIP_MS = 5000,
};

struct hub_receipt {
    uint64_t first; /* this number, and those before, were not for this connection */
    uint64_t last;  /* sent last; first: none yet */
    uint64_t alive; /* the client has lived at least HUB_RECEIPT_TRIP_MS after it was sent */
    uint64_t heard; /* sent last when the client showed life at heard_ms */
    uint64_t heard_ms;
    uint32_t end;     /* offset in the stream behind `last` */
    uint32_t behind;  /* bytes behind `last`; this and the next two once closed */
    uint32_t unacked; /* bytes, the last ones, that the peer's TCP has not acknowledged ... */
    uint32_t unsent;  /* ... and of these those that never reached a kernel */
    struct {
        uint32_t number; /* the other bytes stand behind it; low 32 bits */
        uint32_t bytes;  /* 0: no run */
    } runs[HUB_RECEIPT_RUNS];
    bool torn; /* some numbers before first + 1 were for this connection, but were not sent */
    bool closed;
};

/* Nothing can be said: what of it came through lies before a gap. */
#define HUB_RECEIPT_UNKNOWN UINT64_MAX

/* From now on the connection is to hear everything past `first`. offset: of the stream, now. */
void hub_receipt_start(struct hub_receipt *r, uint64_t first, bool torn, uint32_t offset);
/* A numbered message was queued, from `begin` to `end` in the stream. */
void hub_receipt_sent(struct hub_receipt *r, uint64_t number, uint32_t begin, uint32_t end);
void hub_receipt_heard(struct hub_receipt *r, uint64_t now_ms); /* the client showed life */
/* The connection has ended, or is beyond hope; the first time counts. */
void hub_receipt_close(struct hub_receipt *r, uint32_t offset, uint32_t unacked, uint32_t unsent);

/* Of a closed one: nothing that was for the connection is unacknowledged. */
static inline bool hub_receipt_is_complete(const struct hub_receipt *r)
{
    return r->unacked <= r->behind || (r->last == r->first && !r->torn);
}
/* The highest number up to which all lie before the last `bytes` of the stream: unacked, or unsent.
 * length: of a numbered message, 0 where it is not known any more; asked from `last` downwards.
 * floor: up to here all came through, as an earlier answer said; later ones may know less. */
uint64_t hub_receipt_before(const struct hub_receipt *r, uint32_t bytes, uint64_t floor,
                            uint32_t (*length)(void *arg, uint64_t number), void *arg);

#endif
