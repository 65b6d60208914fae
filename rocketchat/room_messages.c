/* The messages that a room memory knows, by hash and date: a bounded list, oldest first. What it
 * forgets leaves floors behind, so that nobody takes an old message for a new one. */
#include "base/hash.h"
#include "rocketchat/room_memory_internal.h"
#include <stdlib.h>

uint64_t room_memory_hash(struct slice id)
{
    uint64_t hash = hash_bytes(id.ptr, id.len);

    return hash != 0 ? hash : 1; /* 0 says none */
}

static struct known_message *find_message(const struct room_memory *m, uint64_t id)
{
    for (uint16_t i = m->nmessages; i-- > 0;) /* the newest are asked for most */
        if (m->messages[i].id == id)
            return &m->messages[i];
    return NULL;
}

static void forget_oldest(struct room_memory *m, uint16_t count)
{
    for (uint16_t i = 0; i < count; i++) {
        int64_t updated_ms = m->messages[i].updated_ms;

        if (updated_ms >= ROOM_DELETED) {
            updated_ms -= ROOM_DELETED;
            room_raise(&m->deleted_floor_ms, updated_ms);
        }
        room_raise(&m->messages_floor_ms, updated_ms);
        if (m->pinned)
            room_raise(&m->pinned_floor_ms, updated_ms);
    }
    m->nmessages = (uint16_t)(m->nmessages - count);
    memmove(m->messages, m->messages + count, m->nmessages * sizeof *m->messages);
}

static bool resize_messages(struct room_memory *m, unsigned cap)
{
    struct known_message *messages = realloc(m->messages, cap * sizeof *messages);

    if (messages == NULL)
        return false;
    m->messages = messages;
    m->cap_messages = (uint16_t)cap;
    return true;
}

/* Room for one more. */
static void make_room(struct room_memory *m)
{
    unsigned cap = 2u * m->cap_messages;

    if (m->nmessages < m->cap_messages)
        return;
    if (cap > PINNED_MESSAGES)
        cap = PINNED_MESSAGES;
    if (!m->pinned || m->cap_messages >= cap || !resize_messages(m, cap))
        forget_oldest(m, 1);
}

void room_memory_pin(struct room_memory *m, bool answers_under_way)
{
    m->pinned = answers_under_way;
    if (m->pinned)
        return;
    m->pinned_floor_ms = RC_NO_DATE;
    if (m->cap_messages == m->max_messages)
        return;
    if (m->nmessages > m->max_messages)
        forget_oldest(m, (uint16_t)(m->nmessages - m->max_messages));
    resize_messages(m, m->max_messages); /* no memory to give memory back: then later */
}

static void drop_message(struct room_memory *m, struct known_message *msg)
{
    size_t behind = (size_t)(m->messages + m->nmessages - (msg + 1));

    memmove(msg, msg + 1, behind * sizeof *msg);
    m->nmessages--;
}

void room_memory_remember(struct room_memory *m, uint64_t id, int64_t updated_ms)
{
    struct known_message *known = find_message(m, id);

    if (known != NULL)
        drop_message(m, known);
    else
        make_room(m);
    m->messages[m->nmessages++] = (struct known_message){id, updated_ms};
}

void room_memory_remember_deleted(struct room_memory *m, uint64_t id, int64_t deleted_ms)
{
    const struct known_message *known = find_message(m, id);

    if (deleted_ms == RC_NO_DATE && known != NULL)
        deleted_ms = known->updated_ms; /* not before that */
    if (deleted_ms < 0 || deleted_ms >= ROOM_DELETED)
        deleted_ms = 0;
    room_memory_remember(m, id, ROOM_DELETED + deleted_ms);
}

/* By (_id, _updatedAt); r may be NULL. False: the _id is not known. */
bool room_memory_sight_of_known(const struct room_memory *m, const struct room *r, uint64_t id,
                                int64_t updated_ms, enum room_sight *sight)
{
    const struct known_message *known = find_message(m, id);
    int64_t known_ms;

    if (known != NULL)
        known_ms = known->updated_ms;
    else if (r != NULL && r->last == id)
        known_ms = r->last_updated_ms;
    else
        return false;
    *sight = updated_ms > known_ms ? ROOM_SIGHT_LATER : ROOM_SIGHT_REPEAT;
    return true;
}
