#include "signalr/hub/hub_ids.h"

#include "signalr/hub/hub_internal.h"
#include <stdlib.h>

enum { FIRST_CAP = 16 };

static size_t home_slot(const struct hub_ids *ids, const struct hub_connection *c)
{
    return hash_bytes(c->id, sizeof c->id) & (ids->cap - 1);
}

static size_t next_slot(const struct hub_ids *ids, size_t i)
{
    return (i + 1) & (ids->cap - 1);
}

static void put(struct hub_ids *ids, struct hub_connection *c)
{
    size_t i = home_slot(ids, c);

    while (ids->slots[i] != NULL)
        i = next_slot(ids, i);
    ids->slots[i] = c;
}

static bool grow(struct hub_ids *ids)
{
    struct hub_ids bigger = {.cap = ids->cap == 0 ? FIRST_CAP : ids->cap * 2, .count = ids->count};

    bigger.slots = calloc(bigger.cap, sizeof *bigger.slots);
    if (bigger.slots == NULL)
        return false;
    for (size_t i = 0; i < ids->cap; i++)
        if (ids->slots[i] != NULL)
            put(&bigger, ids->slots[i]);
    free(ids->slots);
    *ids = bigger;
    return true;
}

bool hub_ids_add(struct hub_ids *ids, struct hub_connection *c)
{
    /* A quarter stays free, so that chains stay short. */
    if ((ids->count + 1) * 4 > ids->cap * 3 && !grow(ids))
        return false;
    put(ids, c);
    ids->count++;
    return true;
}

void hub_ids_remove(struct hub_ids *ids, struct hub_connection *c)
{
    size_t hole, i;

    if (ids->cap == 0)
        return;
    for (hole = home_slot(ids, c); ids->slots[hole] != c; hole = next_slot(ids, hole))
        if (ids->slots[hole] == NULL)
            return;
    /* What stands behind the hole moves into it, unless its home lies between the two: a search
     * ends at the first free slot. */
    for (i = next_slot(ids, hole); ids->slots[i] != NULL; i = next_slot(ids, i)) {
        const size_t home = home_slot(ids, ids->slots[i]);

        if (((i - home) & (ids->cap - 1)) < ((i - hole) & (ids->cap - 1)))
            continue;
        ids->slots[hole] = ids->slots[i];
        hole = i;
    }
    ids->slots[hole] = NULL;
    ids->count--;
}

struct hub_connection *hub_ids_find(const struct hub_ids *ids, struct slice id)
{
    if (ids->cap == 0 || id.len != HUB_TOKEN_LEN)
        return NULL;
    for (size_t i = hash_bytes(id.ptr, id.len) & (ids->cap - 1); ids->slots[i] != NULL;
         i = next_slot(ids, i))
        if (memcmp(ids->slots[i]->id, id.ptr, id.len) == 0)
            return ids->slots[i];
    return NULL;
}

void hub_ids_free(struct hub_ids *ids)
{
    free(ids->slots);
    *ids = (struct hub_ids){0};
}
