#include "bridge/replay/lost_slots.h"
#include <stdlib.h>

enum { FIRST_CAPACITY = 2 };

void lost_slots_free(struct lost_slots *l)
{
    free(l->slots);
    free(l->doubts);
    *l = (struct lost_slots){0};
}

static void drop(struct lost_slots *l, struct lost_slot *slot)
{
    *slot = l->slots[l->count - 1];
    if (--l->count > 0)
        return;
    free(l->slots);
    l->slots = NULL;
    l->capacity = 0;
}

static struct lost_slot *ends_first(const struct lost_slots *l)
{
    struct lost_slot *first = l->slots;

    for (unsigned i = 1; i < l->count; i++)
        if (l->slots[i].until_ms < first->until_ms)
            first = &l->slots[i];
    return first;
}

bool lost_slots_add(struct lost_slots *l, const struct lost_slot *slot)
{
    bool full = l->count == LOST_SLOTS_MAX;

    if (full)
        drop(l, ends_first(l));
    if (l->count == l->capacity) {
        unsigned capacity = l->capacity == 0 ? FIRST_CAPACITY : l->capacity * 2u;
        struct lost_slot *slots = realloc(l->slots, capacity * sizeof *slots);

        if (slots == NULL)
            return false;
        l->slots = slots;
        l->capacity = (uint16_t)capacity;
    }
    l->slots[l->count] = *slot;
    l->slots[l->count].made = ++l->clock;
    l->slots[l->count++].taken = 0;
    return !full;
}

/* One whose connection may yet prove to live is kept, in case the claim was none of it. */
static void take(struct lost_slots *l, struct lost_slot *slot, uint64_t when)
{
    if (slot->connection != 0)
        slot->taken = when;
    else
        drop(l, slot);
}

/* The claimant takes the highest position and the nearest end with it: the rest stays for those
 * that may have more to hear, and longer. before: of those made by then. NULL: there is none. */
static struct lost_slot *to_take(struct lost_slots *l, uint64_t client, uint64_t before)
{
    struct lost_slot *highest = NULL, *nearest = NULL;
    uint64_t until_ms;

    for (unsigned i = 0; i < l->count; i++) {
        struct lost_slot *slot = &l->slots[i];

        if (slot->client != client || lost_slot_is_taken(slot) || slot->made > before)
            continue;
        if (highest == NULL || slot->position > highest->position)
            highest = slot;
        if (nearest == NULL || slot->until_ms < nearest->until_ms)
            nearest = slot;
    }
    if (highest == NULL)
        return NULL;
    until_ms = nearest->until_ms;
    nearest->until_ms = highest->until_ms;
    highest->until_ms = until_ms;
    return highest;
}

bool lost_slots_claim(struct lost_slots *l, uint64_t client, uint64_t *position)
{
    const uint64_t now = ++l->clock;
    uint64_t lowest = UINT64_MAX;
    struct lost_slot *taken;

    for (unsigned i = 0; i < l->count; i++) {
        const struct lost_slot *slot = &l->slots[i];

        if (slot->client == client && !lost_slot_is_taken(slot) && slot->position < lowest)
            lowest = slot->position;
    }
    taken = to_take(l, client, now);
    if (taken == NULL)
        return false;
    take(l, taken, now);
    *position = lowest;
    return true;
}

unsigned lost_slots_expire(struct lost_slots *l, uint64_t now_ms)
{
    unsigned gone = 0;

    for (unsigned i = l->count; i-- > 0;)
        if (l->slots[i].until_ms <= now_ms) {
            gone += !lost_slot_is_taken(&l->slots[i]);
            drop(l, &l->slots[i]);
        }
    return gone;
}

uint64_t lost_slots_needed_after(const struct lost_slots *l)
{
    uint64_t lowest = UINT64_MAX;

    for (unsigned i = 0; i < l->count; i++)
        if (l->slots[i].position != LOST_SLOT_UNKNOWN && !lost_slot_is_taken(&l->slots[i]) &&
            l->slots[i].position < lowest)
            lowest = l->slots[i].position;
    return lowest;
}

uint64_t lost_slots_first_end_ms(const struct lost_slots *l)
{
    return l->count == 0 ? 0 : ends_first(l)->until_ms;
}

uint64_t lost_slots_last_end_ms(const struct lost_slots *l)
{
    uint64_t last = 0;

    for (unsigned i = 0; i < l->count; i++)
        if (l->slots[i].until_ms > last)
            last = l->slots[i].until_ms;
    return last;
}

/* ---- connections in doubt ---- */

static struct lost_doubt *find_doubt(const struct lost_slots *l, uint64_t connection)
{
    for (unsigned i = 0; i < l->ndoubts; i++)
        if (l->doubts[i].connection == connection)
            return &l->doubts[i];
    return NULL;
}

static struct lost_slot *slot_of(const struct lost_slots *l, uint64_t connection)
{
    for (unsigned i = 0; i < l->count; i++)
        if (l->slots[i].connection == connection)
            return &l->slots[i];
    return NULL;
}

static struct lost_doubt *add_doubt(struct lost_slots *l, const struct lost_slot *slot)
{
    struct lost_doubt *doubts;

    if (l->ndoubts == LOST_SLOTS_MAX)
        return NULL;
    doubts = realloc(l->doubts, (l->ndoubts + 1u) * sizeof *doubts);
    if (doubts == NULL)
        return NULL;
    l->doubts = doubts;
    doubts[l->ndoubts] =
        (struct lost_doubt){.connection = slot->connection, .client = slot->client};
    return &doubts[l->ndoubts++];
}

/* The connection lived. */
static void strike_out(struct lost_slots *l, uint64_t connection)
{
    struct lost_slot *slot = slot_of(l, connection), *instead = NULL;
    struct lost_slot it;

    if (slot == NULL)
        return;
    it = *slot;
    drop(l, slot);
    if (lost_slot_is_taken(&it))
        instead = to_take(l, it.client, it.taken);
    if (instead != NULL)
        take(l, instead, it.taken);
}

bool lost_slots_doubt(struct lost_slots *l, const struct lost_slot *slot, bool closing)
{
    struct lost_doubt *doubt = find_doubt(l, slot->connection);

    if (doubt != NULL && (doubt->closing || doubt->position == slot->position)) {
        doubt->closing |= closing;
        return false;
    }
    if (doubt == NULL)
        doubt = add_doubt(l, slot);
    if (doubt == NULL)
        return false;
    doubt->position = slot->position;
    doubt->closing = closing;
    strike_out(l, slot->connection);
    return lost_slots_add(l, slot);
}

bool lost_slots_end_doubt(struct lost_slots *l, uint64_t connection, bool lost, uint64_t position)
{
    struct lost_doubt *doubt = find_doubt(l, connection);
    struct lost_slot *slot = slot_of(l, connection);
    bool had_it = doubt != NULL && lost && (doubt->closing || doubt->position == position);

    if (doubt != NULL)
        *doubt = l->doubts[--l->ndoubts];
    if (l->ndoubts == 0) {
        free(l->doubts);
        l->doubts = NULL;
    }
    if (!had_it)
        strike_out(l, connection);
    else if (slot != NULL && lost_slot_is_taken(slot))
        drop(l, slot);
    else if (slot != NULL)
        slot->connection = 0;
    return !had_it;
}
