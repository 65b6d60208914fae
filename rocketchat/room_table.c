#include "base/hash.h"
#include "rocketchat/rc_date.h"
#include "rocketchat/room_memory.h"
#include "rocketchat/room_table_internal.h"
#include <stdlib.h>

void room_table_clear(struct room_table *t)
{
    free(t->rooms);
    free(t->slots);
    free(t->text);
    *t = (struct room_table){.max = t->max};
}

size_t room_table_bytes(const struct room_table *t)
{
    return t->cap * sizeof *t->rooms + t->nslots * sizeof *t->slots + t->text_cap;
}

struct slice room_table_rid(const struct room_table *t, const struct room *r)
{
    return (struct slice){t->text + r->text_at, r->rid_len};
}

struct slice room_table_subscription(const struct room_table *t, const struct room *r)
{
    return (struct slice){t->text + r->text_at + r->rid_len, r->sub_len};
}

static uint32_t home_slot(const struct room_table *t, struct slice rid)
{
    return (uint32_t)hash_bytes(rid.ptr, rid.len) & (t->nslots - 1);
}

/* The slot of rid, or the free one where it belongs. */
static uint32_t slot_of(const struct room_table *t, struct slice rid)
{
    uint32_t at = home_slot(t, rid);

    while (t->slots[at] != 0 && !slice_eq(room_table_rid(t, &t->rooms[t->slots[at] - 1]), rid))
        at = (at + 1) & (t->nslots - 1);
    return at;
}

struct room *room_table_find(const struct room_table *t, struct slice rid)
{
    uint16_t index = t->nslots > 0 ? t->slots[slot_of(t, rid)] : 0;

    return index > 0 ? &t->rooms[index - 1] : NULL;
}

/* Rare enough (inserted, removed) to look through all rooms. */
struct room *room_table_find_subscription(const struct room_table *t, struct slice sub)
{
    for (uint16_t i = 0; i < t->count; i++)
        if (sub.len > 0 && slice_eq(room_table_subscription(t, &t->rooms[i]), sub))
            return &t->rooms[i];
    return NULL;
}

static void fill_slots(struct room_table *t)
{
    memset(t->slots, 0, t->nslots * sizeof *t->slots);
    for (uint16_t i = 0; i < t->count; i++)
        t->slots[slot_of(t, room_table_rid(t, &t->rooms[i]))] = (uint16_t)(i + 1);
}

/* Place for one more, at most two thirds of the slots taken. */
static bool grow_rooms(struct room_table *t)
{
    uint32_t nslots = t->nslots > 0 ? t->nslots : 8;
    uint32_t cap = t->cap + 4u + t->cap / 4u;
    struct room *rooms;
    uint16_t *slots;

    if (t->count == t->cap) {
        if (cap > t->max)
            cap = t->max;
        rooms = realloc(t->rooms, cap * sizeof *rooms);
        if (rooms == NULL)
            return false;
        t->rooms = rooms;
        t->cap = (uint16_t)cap;
    }
    while (3 * (t->count + 1u) > 2 * nslots)
        nslots *= 2;
    if (nslots > t->nslots) {
        slots = realloc(t->slots, nslots * sizeof *slots);
        if (slots == NULL)
            return false;
        t->slots = slots;
        t->nslots = nslots;
        fill_slots(t);
    }
    return true;
}

static bool grow_text(struct room_table *t, size_t more)
{
    uint32_t cap = t->text_len + (uint32_t)more;
    char *text;

    if (cap <= t->text_cap)
        return true;
    cap += cap / 8 + 32;
    text = realloc(t->text, cap);
    if (text == NULL)
        return false;
    t->text = text;
    t->text_cap = cap;
    return true;
}

void room_table_fit(struct room_table *t)
{
    struct room *rooms = NULL;
    char *text = NULL;

    if (t->count > 0 && t->count < t->cap)
        rooms = realloc(t->rooms, t->count * sizeof *rooms);
    if (t->text_len > 0 && t->text_len < t->text_cap)
        text = realloc(t->text, t->text_len);
    if (rooms != NULL) {
        t->rooms = rooms;
        t->cap = t->count;
    }
    if (text != NULL) {
        t->text = text;
        t->text_cap = t->text_len;
    }
}

static void drop_text(struct room_table *t, const struct room *r)
{
    uint32_t at = r->text_at, len = r->rid_len + r->sub_len;

    t->text_len -= len;
    memmove(t->text + at, t->text + at + len, t->text_len - at);
    for (uint16_t i = 0; i < t->count; i++)
        if (t->rooms[i].text_at > at)
            t->rooms[i].text_at = (t->rooms[i].text_at - len) & ROOM_TEXT_AT_MAX;
}

/* Linear probing: what was displaced by the one that goes moves up. */
static void free_slot(struct room_table *t, uint32_t at)
{
    uint32_t mask = t->nslots - 1, next = at, home;

    for (;;) {
        next = (next + 1) & mask;
        if (t->slots[next] == 0)
            break;
        home = home_slot(t, room_table_rid(t, &t->rooms[t->slots[next] - 1]));
        if (((next - home) & mask) >= ((next - at) & mask)) {
            t->slots[at] = t->slots[next];
            at = next;
        }
    }
    t->slots[at] = 0;
}

void room_table_remove(struct room_table *t, struct room *r)
{
    struct room *last = &t->rooms[t->count - 1];

    free_slot(t, slot_of(t, room_table_rid(t, r)));
    if (r != last)
        t->slots[slot_of(t, room_table_rid(t, last))] = (uint16_t)(r - t->rooms + 1);
    drop_text(t, r);
    *r = *last; /* behind drop_text, which moves its text too */
    t->count--;
}

/* Moves the room's ids to the end of text, with the subscription's new one. */
bool room_table_set_subscription(struct room_table *t, struct room *r, struct slice sub)
{
    struct room old = *r;

    if (!grow_text(t, r->rid_len + sub.len))
        return false;
    r->text_at = t->text_len & ROOM_TEXT_AT_MAX;
    r->sub_len = (unsigned)sub.len & 0x1ff;
    memcpy(t->text + t->text_len, t->text + old.text_at, r->rid_len);
    memcpy(t->text + t->text_len + r->rid_len, sub.ptr, sub.len);
    t->text_len += r->rid_len + r->sub_len;
    drop_text(t, &old);
    return true;
}

struct room *room_table_use(struct room_table *t, struct slice rid)
{
    struct room *r = room_table_find(t, rid);

    if (r == NULL) {
        if (rid.len == 0 || rid.len > ROOM_MEMORY_ID_MAX || t->count == t->max || !grow_rooms(t) ||
            !grow_text(t, rid.len))
            return NULL;
        r = &t->rooms[t->count];
        *r = (struct room){.mark_ms = RC_NO_DATE,
                           .told_ms = RC_NO_DATE,
                           .changed_ms = RC_NO_DATE,
                           .last_updated_ms = RC_NO_DATE,
                           .since_ms = RC_NO_DATE,
                           .lacking_ms = RC_NO_DATE,
                           .left_ms = RC_NO_DATE,
                           .again_ms = RC_NO_DATE,
                           .msgs = ROOM_NO_COUNT,
                           .text_at = t->text_len & ROOM_TEXT_AT_MAX,
                           .rid_len = (unsigned)rid.len & 0x1ff};
        memcpy(t->text + t->text_len, rid.ptr, rid.len);
        t->text_len += (uint32_t)rid.len;
        t->slots[slot_of(t, rid)] = ++t->count;
    }
    r->used = ++t->clock;
    return r;
}

struct room *room_table_quietest(const struct room_table *t)
{
    struct room *quietest = &t->rooms[0];

    for (uint16_t i = 1; i < t->count; i++)
        if (t->rooms[i].used < quietest->used)
            quietest = &t->rooms[i];
    return quietest;
}
