#include "bridge/session/room_merge.h"
#include <stdlib.h>
#include <string.h>

enum { BULK_OVER_MS = 10 * 1000 };

void room_merge_add(struct room_merge *m, const struct rc_message *message, enum room_sight sight)
{
    if (m->count == m->cap) {
        size_t cap = m->cap == 0 ? 32 : 2 * m->cap;
        struct room_merge_item *items = realloc(m->items, cap * sizeof *items);

        if (items == NULL) {
            m->failed = true;
            return;
        }
        m->items = items;
        m->cap = cap;
    }
    m->items[m->count++] = (struct room_merge_item){*message, sight};
}

/* The room's order: (ts, _id), and a message's versions as they came to be; then what is gone. */
static int in_order(const void *left, const void *right)
{
    const struct rc_message *a = &((const struct room_merge_item *)left)->message;
    const struct rc_message *b = &((const struct room_merge_item *)right)->message;
    const bool a_gone = ((const struct room_merge_item *)left)->sight == ROOM_SIGHT_NONE;
    const bool b_gone = ((const struct room_merge_item *)right)->sight == ROOM_SIGHT_NONE;
    const int64_t a_ms = rc_message_created_ms(a), b_ms = rc_message_created_ms(b);
    size_t shorter = a->id.len < b->id.len ? a->id.len : b->id.len;
    int by_id;

    if (a_gone != b_gone)
        return a_gone ? 1 : -1;
    if (a_ms != b_ms)
        return a_ms < b_ms ? -1 : 1;
    by_id = memcmp(a->id.ptr, b->id.ptr, shorter);
    if (by_id == 0 && a->id.len != b->id.len)
        by_id = a->id.len < b->id.len ? -1 : 1;
    if (by_id != 0)
        return by_id;
    return (a->updated_ms > b->updated_ms) - (a->updated_ms < b->updated_ms);
}

void room_merge_sort(struct room_merge *m)
{
    if (m->count > 0)
        qsort(m->items, m->count, sizeof *m->items, in_order);
}

static int by_change(const void *left, const void *right)
{
    const int64_t a = (*(struct rc_message *const *)left)->updated_ms;
    const int64_t b = (*(struct rc_message *const *)right)->updated_ms;

    return (a > b) - (a < b);
}

void room_merge_mark_bulk(struct room_merge *m)
{
    struct rc_message **old = malloc(m->count * sizeof *old + 1);
    int64_t bulk = RC_NO_DATE; /* the last date that two of them bear */
    size_t n = 0;

    if (old == NULL) {
        m->failed = true;
        return;
    }
    for (size_t i = 0; i < m->count; i++)
        if (rc_message_is_changed_late(&m->items[i].message))
            old[n++] = &m->items[i].message;
    qsort(old, n, sizeof *old, by_change);
    for (size_t i = 0; i < n; i++) {
        if (i + 1 < n && old[i + 1]->updated_ms == old[i]->updated_ms)
            bulk = old[i]->updated_ms;
        old[i]->touched |= bulk != RC_NO_DATE && old[i]->updated_ms - bulk < BULK_OVER_MS;
    }
    free(old);
}

void room_merge_free(struct room_merge *m)
{
    free(m->items);
    *m = (struct room_merge){0};
}
