/* bridge/replay/replay_ring.h - a user's last events, numbered, for connections that lost some.
 *
 * Every event gets the next number, whether it is kept or not. What is kept are references to the
 * messages as they were sent, oldest first; an empty ring holds no memory. Pure. */
#ifndef BRIDGE_REPLAY_REPLAY_RING_H
#define BRIDGE_REPLAY_REPLAY_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct hub_buf;

/* The first event has the number after this, so that 0 is nobody's position. */
#define REPLAY_RING_START 1

struct replay_event {
    struct hub_buf *message;
    uint64_t at_ms;
};

struct replay_ring {
    struct replay_event *events; /* a circle; NULL while there are none */
    uint32_t head, count, capacity;
    uint32_t bytes;    /* of the messages kept; at most 1 GiB */
    uint64_t last;     /* number of the newest event, kept or not */
    uint64_t released; /* nobody will ask for what came up to here */
};

void replay_ring_init(struct replay_ring *r);
void replay_ring_free(struct replay_ring *r); /* may go on being used, with higher numbers */

/* Numbers the message, which nobody else may have yet, and keeps a reference; older ones go until
 * there are at most max_events with max_bytes. Without room or memory it is not kept, and nothing
 * before it either: what is kept has no holes. */
void replay_ring_add(struct replay_ring *r, struct hub_buf *message, uint64_t now_ms,
                     uint32_t max_events, size_t max_bytes);
/* Drops what came before before_ms, up to the number `upto`. */
void replay_ring_trim(struct replay_ring *r, uint64_t before_ms, uint64_t upto);
/* Drops what came up to that number. */
void replay_ring_release(struct replay_ring *r, uint64_t upto);

/* The number before the oldest that is kept. */
static inline uint64_t replay_ring_base(const struct replay_ring *r)
{
    return r->last - r->count;
}
struct hub_buf *replay_ring_at(const struct replay_ring *r, uint64_t number); /* NULL: not kept */
/* Everything past `position` is kept. */
bool replay_ring_reaches(const struct replay_ring *r, uint64_t position);
uint64_t replay_ring_oldest_ms(const struct replay_ring *r); /* when it came; 0: nothing is kept */

#endif
