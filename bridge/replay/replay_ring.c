#include "bridge/replay/replay_ring.h"
#include "signalr/protocol/hub_buf.h"
#include <stdlib.h>

enum { FIRST_CAPACITY = 8 };

void replay_ring_init(struct replay_ring *r)
{
    *r = (struct replay_ring){.last = REPLAY_RING_START};
}

static struct replay_event *at(const struct replay_ring *r, uint32_t i)
{
    return &r->events[(r->head + i) % r->capacity];
}

static size_t length(struct hub_buf *message)
{
    size_t len;

    hub_buf_bytes(message, &len);
    return len;
}

static void drop_oldest(struct replay_ring *r)
{
    struct hub_buf *message = at(r, 0)->message;

    r->bytes -= (uint32_t)length(message);
    hub_buf_unref(message);
    r->head = (r->head + 1) % r->capacity;
    if (--r->count > 0)
        return;
    free(r->events);
    r->events = NULL;
    r->capacity = r->head = 0;
}

void replay_ring_free(struct replay_ring *r)
{
    while (r->count > 0)
        drop_oldest(r);
}

static bool resize(struct replay_ring *r, uint32_t capacity)
{
    struct replay_event *events = malloc(capacity * sizeof *events);

    if (events == NULL)
        return false;
    for (uint32_t i = 0; i < r->count; i++)
        events[i] = *at(r, i);
    free(r->events);
    r->events = events;
    r->capacity = capacity;
    r->head = 0;
    return true;
}

void replay_ring_add(struct replay_ring *r, struct hub_buf *message, uint64_t now_ms,
                     uint32_t max_events, size_t max_bytes)
{
    const size_t len = length(message);

    hub_buf_set_number(message, ++r->last);
    while (r->count > 0 && (r->count >= max_events || r->bytes + len > max_bytes))
        drop_oldest(r);
    if (max_events == 0 || len > max_bytes)
        return;
    if (r->count == r->capacity && !resize(r, r->count == 0 ? FIRST_CAPACITY : r->count * 2)) {
        replay_ring_free(r);
        return;
    }
    *at(r, r->count++) = (struct replay_event){hub_buf_ref(message), now_ms};
    r->bytes += (uint32_t)len;
}

static void shrink(struct replay_ring *r)
{
    uint32_t capacity = r->capacity;

    while (capacity > FIRST_CAPACITY && r->count <= capacity / 4)
        capacity /= 2;
    if (capacity < r->capacity)
        resize(r, capacity); /* no memory: then it stays as it is */
}

void replay_ring_trim(struct replay_ring *r, uint64_t before_ms, uint64_t upto)
{
    while (r->count > 0 && at(r, 0)->at_ms < before_ms && replay_ring_base(r) < upto)
        drop_oldest(r);
    shrink(r);
}

void replay_ring_release(struct replay_ring *r, uint64_t upto)
{
    replay_ring_trim(r, UINT64_MAX, upto);
    if (upto > r->released)
        r->released = upto < r->last ? upto : r->last;
}

struct hub_buf *replay_ring_at(const struct replay_ring *r, uint64_t number)
{
    if (number > r->last || r->last - number >= r->count)
        return NULL;
    return at(r, (uint32_t)(r->count - 1 - (r->last - number)))->message;
}

bool replay_ring_reaches(const struct replay_ring *r, uint64_t position)
{
    return position <= r->last && r->last - position <= r->count;
}

uint64_t replay_ring_oldest_ms(const struct replay_ring *r)
{
    return r->count == 0 ? 0 : at(r, 0)->at_ms;
}
