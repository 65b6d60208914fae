#include "rocketchat/room_memory.h"
#include "base/hash.h"
#include "base/json_slice.h"
#include "rocketchat/json_fields_internal.h"
#include "rocketchat/room_table_internal.h"
#include <assert.h>
#include <stdlib.h>

enum {
    /* Clock skew between Rocket.Chat's instances, ties, events out of order: rocketchat.md 6.3. */
    OVERLAP_MS = 5 * 1000,
    /* Rocket.Chat does not make a message the last one when it is dated further back. */
    BACKDATED_MS = 60 * 1000,
};

struct message {
    uint64_t id; /* hash */
    int64_t updated_ms;
};

struct room_memory {
    struct room_table rooms;
    struct message *messages; /* oldest first */
    uint16_t nmessages, max_messages;
    bool listed;               /* a list of subscriptions was filled in */
    int64_t floor_ms;          /* highest mark of the rooms forgotten */
    int64_t messages_floor_ms; /* highest date of the messages forgotten */
    uint64_t forgotten_rooms;
};

struct room_memory *room_memory_new(uint16_t max_rooms, uint16_t max_messages)
{
    struct room_memory *m = calloc(1, sizeof *m);

    assert(max_rooms > 0 && max_messages > 0);
    if (m == NULL)
        return NULL;
    m->rooms.max = max_rooms;
    m->max_messages = max_messages;
    m->floor_ms = m->messages_floor_ms = RC_NO_DATE;
    m->messages = malloc(max_messages * sizeof *m->messages);
    if (m->messages == NULL) {
        free(m);
        return NULL;
    }
    return m;
}

void room_memory_free(struct room_memory *m)
{
    if (m == NULL)
        return;
    room_table_clear(&m->rooms);
    free(m->messages);
    free(m);
}

void room_memory_stats(const struct room_memory *m, struct room_memory_stats *out)
{
    *out = (struct room_memory_stats){
        .rooms = m->rooms.count,
        .messages = m->nmessages,
        .forgotten_rooms = m->forgotten_rooms,
        .bytes = sizeof *m + m->max_messages * sizeof *m->messages + room_table_bytes(&m->rooms),
    };
}

static void raise(int64_t *ms, int64_t to)
{
    if (to > *ms)
        *ms = to;
}

static bool is_full_for(const struct room_memory *m, struct slice rid)
{
    return m->rooms.count == m->rooms.max && room_table_find(&m->rooms, rid) == NULL;
}

/* NULL: no memory, or an id that is none. */
static struct room *find_or_add_room(struct room_memory *m, struct slice rid)
{
    struct room *quietest;

    if (rid.len == 0 || rid.len > ROOM_MEMORY_ID_MAX)
        return NULL;
    if (is_full_for(m, rid)) {
        quietest = room_table_quietest(&m->rooms);
        raise(&m->floor_ms, quietest->mark_ms);
        m->forgotten_rooms++;
        room_table_remove(&m->rooms, quietest);
    }
    return room_table_use(&m->rooms, rid);
}

/* --- messages --- */

static uint64_t hash_id(struct slice id)
{
    uint64_t hash = hash_bytes(id.ptr, id.len);

    return hash != 0 ? hash : 1; /* 0 says none */
}

static struct message *find_message(const struct room_memory *m, uint64_t id)
{
    for (uint16_t i = m->nmessages; i-- > 0;) /* the newest are asked for most */
        if (m->messages[i].id == id)
            return &m->messages[i];
    return NULL;
}

static void drop_message(struct room_memory *m, struct message *msg)
{
    size_t behind = (size_t)(m->messages + m->nmessages - (msg + 1));

    memmove(msg, msg + 1, behind * sizeof *msg);
    m->nmessages--;
}

static void remember_message(struct room_memory *m, uint64_t id, int64_t updated_ms)
{
    struct message *known = find_message(m, id);

    if (known != NULL) {
        drop_message(m, known);
    } else if (m->nmessages == m->max_messages) {
        raise(&m->messages_floor_ms, m->messages[0].updated_ms);
        drop_message(m, &m->messages[0]);
    }
    m->messages[m->nmessages++] = (struct message){id, updated_ms};
}

/* By (_id, _updatedAt); r may be NULL. False: the _id is not known. */
static bool sight_of_known(const struct room_memory *m, const struct room *r, uint64_t id,
                           int64_t updated_ms, enum room_sight *sight)
{
    const struct message *known = find_message(m, id);
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

static int64_t created_ms(const struct rc_message *msg)
{
    return msg->ts_ms != RC_NO_DATE ? msg->ts_ms : msg->updated_ms;
}

/* ms lies at least gap_ms before mark_ms. What has no date does not. */
static bool is_old(int64_t ms, int64_t gap_ms, int64_t mark_ms)
{
    return ms != RC_NO_DATE && mark_ms > INT64_MIN + gap_ms && ms <= mark_ms - gap_ms;
}

/* --- what is seen --- */

/* rooms-changed of a room of which nothing is known. */
static enum room_sight sight_in_new_room(const struct room_memory *m, const struct rc_room *room)
{
    int64_t created = created_ms(&room->last_message);

    if (is_old(created, OVERLAP_MS, room->updated_ms) || is_old(created, 0, m->floor_ms))
        return ROOM_SIGHT_REPEAT;
    return ROOM_SIGHT_FIRST;
}

/* Shown as it was before the last time: events can overtake each other. */
static bool is_late(const struct room *r, const struct rc_room *room)
{
    return room->updated_ms != RC_NO_DATE && room->updated_ms < r->changed_ms;
}

static enum room_sight sight_in_room(const struct room *r, const struct rc_room *room)
{
    const struct rc_message *msg = &room->last_message;
    int64_t created = created_ms(msg);
    bool counted = r->msgs != ROOM_NO_COUNT && room->msgs != RC_NO_COUNT && !is_late(r, room);

    if (counted && room->msgs > r->msgs)
        return is_old(created, BACKDATED_MS, r->mark_ms) ? ROOM_SIGHT_REPEAT : ROOM_SIGHT_FIRST;
    if (!is_old(created, counted ? 0 : OVERLAP_MS, r->mark_ms))
        return ROOM_SIGHT_FIRST;
    return msg->updated_ms > r->mark_ms ? ROOM_SIGHT_LATER : ROOM_SIGHT_REPEAT;
}

/* r is as Rocket.Chat shows it. */
static void take_over(struct room *r, const struct rc_room *room)
{
    const struct rc_message *msg = &room->last_message;
    uint64_t id;

    if (msg->id.len > 0)
        raise(&r->mark_ms, msg->updated_ms);
    if (is_late(r, room))
        return;
    r->seen = 1;
    raise(&r->changed_ms, room->updated_ms);
    if (room->msgs != RC_NO_COUNT)
        r->msgs = room->msgs < INT32_MAX ? (int32_t)room->msgs : ROOM_NO_COUNT;
    if (msg->id.len == 0)
        return;
    id = hash_id(msg->id);
    if (r->last != id)
        r->last_updated_ms = RC_NO_DATE;
    r->last = id;
    raise(&r->last_updated_ms, msg->updated_ms);
}

static void room_deleted(struct room_memory *m, struct slice rid)
{
    struct room *r = room_table_find(&m->rooms, rid);

    if (r == NULL)
        return;
    if (r->sub_len == 0)
        room_table_remove(&m->rooms, r);
    else
        r->seen = 0; /* the subscription's own removal is still to come, and needs the room's id */
}

enum room_sight room_memory_see_room(struct room_memory *m, enum rc_action action,
                                     const struct rc_room *room)
{
    const struct rc_message *msg = &room->last_message;
    enum room_sight sight = ROOM_SIGHT_NONE;
    struct room *r;
    uint64_t id;

    if (action == RC_REMOVED) {
        room_deleted(m, room->id);
        return ROOM_SIGHT_NONE;
    }
    r = find_or_add_room(m, room->id);
    if (msg->id.len > 0) {
        id = hash_id(msg->id);
        if (!sight_of_known(m, r, id, msg->updated_ms, &sight))
            sight = r != NULL && r->seen ? sight_in_room(r, room) : sight_in_new_room(m, room);
        if (sight != ROOM_SIGHT_REPEAT)
            remember_message(m, id, msg->updated_ms);
    }
    if (r != NULL)
        take_over(r, room);
    return sight;
}

enum room_sight room_memory_see_message(struct room_memory *m, const struct rc_message *msg)
{
    int64_t created = created_ms(msg), mark;
    enum room_sight sight;
    struct room *r;
    uint64_t id;
    bool old;

    if (msg->id.len == 0)
        return ROOM_SIGHT_NONE;
    id = hash_id(msg->id);
    r = find_or_add_room(m, msg->rid);
    mark = r != NULL && r->mark_ms != RC_NO_DATE ? r->mark_ms : m->floor_ms;
    if (!sight_of_known(m, r, id, msg->updated_ms, &sight)) {
        /* The overlap reaches back no further than the memory of messages does. */
        old = is_old(created, OVERLAP_MS, mark) ||
              (is_old(created, 0, mark) && is_old(created, 0, m->messages_floor_ms));
        if (mark == RC_NO_DATE) /* edited, or touched long after it was written */
            old = msg->edited || is_old(created, OVERLAP_MS, msg->updated_ms);
        sight = old ? ROOM_SIGHT_LATER : ROOM_SIGHT_FIRST;
    }
    if (sight != ROOM_SIGHT_REPEAT)
        remember_message(m, id, msg->updated_ms);
    if (r != NULL) {
        raise(&r->mark_ms, msg->updated_ms);
        if (r->last == id)
            raise(&r->last_updated_ms, msg->updated_ms);
    }
    return sight;
}

/* --- subscriptions --- */

/* The room of sub, which it is the subscription of from now on. NULL: can't be remembered. */
static struct room *learn_subscription(struct room_memory *m, const struct rc_subscription *sub)
{
    struct room *r = find_or_add_room(m, sub->rid);

    if (r == NULL || sub->id.len == 0 || sub->id.len > ROOM_MEMORY_ID_MAX ||
        slice_eq(room_table_subscription(&m->rooms, r), sub->id))
        return r;
    r->told = 0; /* another subscription: the user left and came back */
    return room_table_set_subscription(&m->rooms, r, sub->id) ? r : NULL;
}

bool room_memory_subscription_inserted(struct room_memory *m, const struct rc_subscription *sub)
{
    struct room *r = learn_subscription(m, sub);
    bool first = r == NULL || !r->told;

    if (r != NULL)
        r->told = 1;
    return first;
}

void room_memory_subscription_updated(struct room_memory *m, const struct rc_subscription *sub)
{
    learn_subscription(m, sub);
}

struct slice room_memory_subscription_removed(struct room_memory *m,
                                              const struct rc_subscription *sub,
                                              char buffer[ROOM_MEMORY_ID_MAX])
{
    struct room *r = room_table_find_subscription(&m->rooms, sub->id);
    struct slice rid = sub->rid;

    if (r == NULL && rid.len > 0)
        r = room_table_find(&m->rooms, rid);
    if (r == NULL)
        return rid;
    if (rid.len == 0) {
        rid = room_table_rid(&m->rooms, r);
        memcpy(buffer, rid.ptr, rid.len);
        rid.ptr = buffer;
    }
    /* A late removal of the one before must not take the present one along. */
    if (sub->id.len == 0 || r->sub_len == 0 ||
        slice_eq(room_table_subscription(&m->rooms, r), sub->id))
        room_table_remove(&m->rooms, r);
    return rid;
}

bool room_memory_is_member(const struct room_memory *m, struct slice rid)
{
    const struct room *r = room_table_find(&m->rooms, rid);

    return r != NULL && (r->sub_len > 0 || r->told);
}

/* --- lists --- */

static void fill_subscription(struct room_memory *m, struct json_reader *list)
{
    struct rc_subscription sub;
    struct room *r;

    rc_subscription_read(list, &sub);
    if (sub.rid.len == 0 || is_full_for(m, sub.rid))
        return; /* a list pushes nothing out: what is there was of use */
    r = learn_subscription(m, &sub);
    if (r != NULL && !m->listed)
        r->told = 1;
}

static void fill_room(struct room_memory *m, struct json_reader *list)
{
    struct rc_room room;
    struct room *r;

    rc_room_read(list, &room);
    if (room.id.len == 0)
        return;
    if (is_full_for(m, room.id)) {
        raise(&m->floor_ms, room.last_message.updated_ms); /* as if it had been forgotten */
        m->forgotten_rooms++;
        return;
    }
    r = find_or_add_room(m, room.id);
    if (r != NULL && !r->seen)
        take_over(r, &room);
}

/* json is valid; the reader stands before the list, if there is one. */
static bool enter_list(struct json_reader *r)
{
    struct json_key key;

    if (json_peek(r) == JSON_KIND_ARRAY)
        return json_enter_array(r);
    if (!json_enter_object(r))
        return false;
    while (json_next_plain_key(r, &key)) {
        if (json_key_is(&key, "update"))
            return json_enter_array(r);
        json_skip(r);
    }
    return false;
}

/* Looked through before anything is taken from it: a list that breaks off is none. */
static bool fill(struct room_memory *m, struct slice json,
                 void (*each)(struct room_memory *m, struct json_reader *list))
{
    struct json_reader r;

    if (!json_valid(json.ptr, json.len, JSON_MAX_DEPTH))
        return false;
    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    if (!enter_list(&r))
        return false;
    while (json_next_item(&r))
        each(m, &r);
    return true;
}

bool room_memory_fill_subscriptions(struct room_memory *m, struct slice json)
{
    bool ok = fill(m, json, fill_subscription);

    m->listed |= ok;
    return ok;
}

bool room_memory_fill_rooms(struct room_memory *m, struct slice json)
{
    return fill(m, json, fill_room);
}
