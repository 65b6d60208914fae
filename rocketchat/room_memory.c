#include "base/json_slice.h"
#include "rocketchat/rc_list.h"
#include "rocketchat/room_memory_internal.h"
#include <assert.h>
#include <stdlib.h>

struct room_memory *room_memory_new(uint16_t max_rooms, uint16_t max_messages)
{
    struct room_memory *m = calloc(1, sizeof *m);

    assert(max_rooms > 0 && max_messages > 0);
    if (m == NULL)
        return NULL;
    m->rooms.max = max_rooms;
    m->max_messages = max_messages;
    m->floor_ms = m->messages_floor_ms = m->pinned_floor_ms = m->deleted_floor_ms = RC_NO_DATE;
    m->cap_messages = max_messages;
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
        .bytes = sizeof *m + m->cap_messages * sizeof *m->messages + room_table_bytes(&m->rooms),
    };
}

bool room_memory_is_full_for(const struct room_memory *m, struct slice rid)
{
    return m->rooms.count == m->rooms.max && room_table_find(&m->rooms, rid) == NULL;
}

/* NULL: no memory, or an id that is none. */
struct room *room_memory_room(struct room_memory *m, struct slice rid)
{
    struct room *quietest;

    if (rid.len == 0 || rid.len > ROOM_MEMORY_ID_MAX)
        return NULL;
    if (room_memory_is_full_for(m, rid)) {
        quietest = room_table_quietest(&m->rooms);
        room_raise(&m->floor_ms, quietest->mark_ms);
        m->forgotten_rooms++;
        room_table_remove(&m->rooms, quietest);
    }
    return room_table_use(&m->rooms, rid);
}

/* --- what is seen --- */

/* rooms-changed of a room of which nothing is known. */
static enum room_sight sight_in_new_room(const struct room_memory *m, const struct room *r,
                                         enum rc_action action, const struct rc_room *room)
{
    int64_t created = rc_message_created_ms(&room->last_message);

    if (r != NULL && r->since_ms != RC_NO_DATE)
        return room_is_before(r, created) ? ROOM_SIGHT_REPEAT : ROOM_SIGHT_FIRST;
    if (action == RC_INSERTED) /* joined; the subscription will say since when */
        return ROOM_SIGHT_REPEAT;
    if (room_is_old(created, OVERLAP_MS, room->updated_ms) || room_is_old(created, 0, m->floor_ms))
        return ROOM_SIGHT_REPEAT;
    return ROOM_SIGHT_FIRST;
}

static enum room_sight sight_in_room(const struct room_memory *m, const struct room *r,
                                     const struct rc_room *room)
{
    const struct rc_message *msg = &room->last_message;
    int64_t created = rc_message_created_ms(msg), mark = room_horizon(r);
    bool counted = r->msgs != ROOM_NO_COUNT && room->msgs != RC_NO_COUNT && !room_is_late(r, room);

    if (counted && room->msgs > r->msgs)
        return room_is_old(created, RC_BACKDATED_MS, mark) ||
                       room_is_old(created, OVERLAP_MS, room_began(r))
                   ? ROOM_SIGHT_REPEAT
                   : ROOM_SIGHT_FIRST;
    if (counted ? !room_is_old(created, 0, mark)
                : !room_is_behind(m, created, mark) && !room_is_before(r, created))
        return ROOM_SIGHT_FIRST;
    if (msg->updated_ms <= mark)
        return ROOM_SIGHT_REPEAT;
    /* What was dated back shows when those in front of it are deleted. */
    return room_is_dated_back(msg) ? ROOM_SIGHT_FIRST : ROOM_SIGHT_LATER;
}

/* The counter rose, so that what is shown may be news by a clock that is slow; but it is no newer
 * than messages that were forgotten, and may be one of them, when those behind it were deleted. */
static bool may_be_forgotten(const struct room_memory *m, const struct room *r, int64_t created_ms)
{
    return r != NULL && room_may_be_forgotten(m, created_ms, r->mark_ms);
}

/* An answer will tell: it has not come, or it is not asked for yet. */
static bool may_be_news(const struct room *r, int64_t created_ms)
{
    return r != NULL && !room_is_old(created_ms, OVERLAP_MS, room_whole_until(r));
}

/* r is as Rocket.Chat shows it. */
void room_memory_take_over(struct room *r, const struct rc_room *room)
{
    const struct rc_message *msg = &room->last_message;
    uint64_t id;

    if (msg->id.len > 0)
        room_raise(&r->mark_ms, msg->updated_ms);
    if (room_is_late(r, room))
        return;
    room_take_counter(r, room);
    if (msg->id.len == 0)
        return;
    id = room_memory_hash(msg->id);
    if (r->last != id)
        r->last_updated_ms = RC_NO_DATE;
    r->last = id;
    room_raise(&r->last_updated_ms, msg->updated_ms);
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
                                     const struct rc_room *room, struct room_hint *hint)
{
    struct room_hint unasked;

    const struct rc_message *msg = &room->last_message;
    enum room_sight sight = ROOM_SIGHT_NONE;
    int64_t created = rc_message_created_ms(msg);
    bool guessed_old = false; /* an answer is to tell whether it is news */
    bool forgotten = false;   /* ... if anybody can */
    struct room *r;
    uint64_t id = 0;

    if (hint == NULL)
        hint = &unasked;
    *hint = (struct room_hint){.told_ms = RC_NO_DATE};
    if (action == RC_REMOVED) {
        room_deleted(m, room->id);
        return ROOM_SIGHT_NONE;
    }
    r = room_memory_room(m, room->id);
    if (msg->id.len > 0) {
        id = room_memory_hash(msg->id);
        if (room_memory_sight_of_known(m, NULL, id, msg->updated_ms, &sight)) {
            guessed_old = false;
        } else if (room_memory_sight_of_known(m, r, id, msg->updated_ms, &sight)) {
            guessed_old = r->unsure;
        } else {
            sight = r != NULL && r->seen ? sight_in_room(m, r, room)
                                         : sight_in_new_room(m, r, action, room);
            if (r != NULL && room_awaits_subscription(m, r))
                sight = ROOM_SIGHT_REPEAT;
            forgotten = sight == ROOM_SIGHT_FIRST && may_be_forgotten(m, r, created);
            if (forgotten)
                sight = ROOM_SIGHT_REPEAT;
            guessed_old = sight == ROOM_SIGHT_REPEAT ||
                          (sight == ROOM_SIGHT_LATER && may_be_news(r, created));
        }
        if (guessed_old && r != NULL && room_is_late(r, room))
            sight = ROOM_SIGHT_REPEAT; /* not the last one, of which that would be noted */
        if (r != NULL && room_is_between(r, created))
            sight = ROOM_SIGHT_REPEAT;
        if (sight != ROOM_SIGHT_REPEAT && !guessed_old)
            room_memory_remember(m, id, msg->updated_ms);
    }
    if (r != NULL) {
        hint->told_ms = r->told_ms;
        room_memory_judge(m, r, room, sight, hint);
        if (forgotten && hint->missed)
            room_memory_lack_from_change(m, r, created);
        room_note_told(r, msg, sight);
        room_memory_take_over(r, room);
        if (id != 0 && r->last == id && (guessed_old || sight != ROOM_SIGHT_REPEAT))
            r->unsure = guessed_old;
    }
    return sight;
}

/* A message on the room's own stream, of which only an answer can say what it is: nothing is known
 * yet of the user's time; or the room is asked for from further back than what was told and may
 * have been forgotten. */
static bool is_for_an_answer(const struct room_memory *m, const struct room *r, int64_t created_ms,
                             enum room_sight sight)
{
    if (sight == ROOM_SIGHT_LATER)
        return r->seen && room_awaits_subscription(m, r);
    return room_whole_until(r) < r->mark_ms && may_be_forgotten(m, r, created_ms);
}

enum room_sight room_memory_see_message(struct room_memory *m, const struct rc_message *msg)
{
    int64_t created = rc_message_created_ms(msg), mark;
    enum room_sight sight;
    struct room *r;
    uint64_t id;
    bool old;

    if (msg->id.len == 0)
        return ROOM_SIGHT_NONE;
    id = room_memory_hash(msg->id);
    r = room_memory_room(m, msg->rid);
    mark = r != NULL && r->mark_ms != RC_NO_DATE ? room_whole_until(r) : m->floor_ms;
    if (!room_memory_sight_of_known(m, r != NULL && r->unsure ? NULL : r, id, msg->updated_ms,
                                    &sight)) {
        old = room_is_behind(m, created, mark);
        if (r == NULL ||
            r->since_ms == RC_NO_DATE) /* edited, or touched long after it was written */
            old |= msg->edited || room_is_old(created, OVERLAP_MS, msg->updated_ms);
        sight = old ? ROOM_SIGHT_LATER : ROOM_SIGHT_FIRST;
        if (r != NULL && (room_is_before(r, created) || room_is_between(r, created)))
            sight = ROOM_SIGHT_LATER;
        if (r != NULL && is_for_an_answer(m, r, created, sight))
            sight = ROOM_SIGHT_REPEAT;
    }
    if (sight != ROOM_SIGHT_REPEAT)
        room_memory_remember(m, id, msg->updated_ms);
    if (r != NULL) {
        room_note_told(r, msg, sight);
        room_count_ahead(r, msg, sight);
        if (sight != ROOM_SIGHT_REPEAT && room_is_removed(msg))
            room_count_gone(r);
        room_raise(&r->mark_ms, msg->updated_ms);
        if (r->last == id)
            room_raise(&r->last_updated_ms, msg->updated_ms);
    }
    return sight;
}

/* --- subscriptions --- */

/* The room of sub, which it is the subscription of from now on. NULL: can't be remembered. */
struct room *room_memory_learn(struct room_memory *m, const struct rc_subscription *sub)
{
    struct room *r = room_memory_room(m, sub->rid);

    if (r == NULL || sub->id.len == 0 || sub->id.len > ROOM_MEMORY_ID_MAX ||
        slice_eq(room_table_subscription(&m->rooms, r), sub->id))
        return r;
    r->told = 0; /* another subscription: the user left and came back */
    if (r->sub_len > 0 && sub->ts_ms != RC_NO_DATE)
        r->again_ms = sub->ts_ms;
    else
        r->since_ms = RC_NO_DATE;
    return room_table_set_subscription(&m->rooms, r, sub->id) ? r : NULL;
}

bool room_memory_subscription_inserted(struct room_memory *m, const struct rc_subscription *sub)
{
    struct room *r = room_memory_learn(m, sub);
    bool first = r == NULL || !r->told;

    if (r != NULL) {
        if (first && r->since_ms == RC_NO_DATE) {
            r->since_ms = sub->ts_ms;
            if (r->seen) /* the room's own event came first: it could not tell what is news */
                room_lack_from(r, sub->ts_ms);
        }
        r->told = 1;
    }
    return first;
}

bool room_memory_left(struct room_memory *m, struct slice rid, int64_t ts_ms)
{
    struct room *r = room_table_find(&m->rooms, rid);

    if (r == NULL || ts_ms == RC_NO_DATE || room_is_before(r, ts_ms))
        return false;
    if (r->again_ms != RC_NO_DATE && ts_ms >= r->again_ms)
        room_end_absence(r);
    r->left_ms = ts_ms;
    return true;
}

void room_memory_returned(struct room_memory *m, struct slice rid, int64_t ts_ms)
{
    struct room *r = room_table_find(&m->rooms, rid);

    if (r != NULL && ts_ms != RC_NO_DATE && r->left_ms != RC_NO_DATE && ts_ms >= r->left_ms &&
        r->again_ms == RC_NO_DATE)
        r->again_ms = ts_ms;
}

void room_memory_subscription_updated(struct room_memory *m, const struct rc_subscription *sub)
{
    room_memory_learn(m, sub);
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

static void fill_subscription(struct room_memory *m, struct json_reader *list, void *arg)
{
    struct rc_subscription sub;
    struct room *r;

    (void)arg;
    rc_subscription_read(list, &sub);
    if (sub.rid.len == 0 || room_memory_is_full_for(m, sub.rid))
        return; /* a list pushes nothing out: what is there was of use */
    r = room_memory_learn(m, &sub);
    if (r != NULL && !m->listed)
        r->told = 1;
}

void room_memory_begin_behind(struct room_memory *m, struct room *r, const struct rc_room *listed)
{
    const struct rc_message *msg = &listed->last_message;
    const uint64_t id = room_memory_hash(msg->id);
    const int64_t changed_ms = listed->updated_ms;
    int64_t last = msg->id.len > 0 ? rc_message_created_ms(msg) : RC_NO_DATE;
    enum room_sight sight;

    if (r->since_ms == RC_NO_DATE && last == RC_NO_DATE) {
        r->since_ms = changed_ms;
    } else if (r->since_ms == RC_NO_DATE && last < INT64_MAX) {
        r->since_ms = last;
        /* The last one is known by its id, so that others of its millisecond are news. A list
         * pushes nothing out for that. */
        if (m->nmessages == m->max_messages)
            r->since_ms++;
        else if (!room_memory_sight_of_known(m, NULL, id, msg->updated_ms, &sight))
            room_memory_remember(m, id, msg->updated_ms);
        if (changed_ms != RC_NO_DATE) /* replies inside threads and the like came after it */
            room_raise(&r->since_ms, changed_ms - OVERLAP_MS);
    }
    room_memory_take_over(r, listed);
}

static void fill_room(struct room_memory *m, struct json_reader *list, void *arg)
{
    struct rc_room room;
    struct room *r;

    (void)arg;
    rc_room_read(list, &room);
    if (room.id.len == 0)
        return;
    if (room_memory_is_full_for(m, room.id)) {
        room_raise(&m->floor_ms, room.last_message.updated_ms); /* as if it had been forgotten */
        m->forgotten_rooms++;
        return;
    }
    r = room_memory_room(m, room.id);
    /* An event before it could not tell what was there before. */
    if (r != NULL && (!r->seen || r->since_ms == RC_NO_DATE))
        room_memory_begin_behind(m, r, &room);
}

bool room_memory_fill(struct room_memory *m, struct slice json, void *arg,
                      void (*each)(struct room_memory *m, struct json_reader *list, void *arg))
{
    struct json_reader r;

    if (!json_valid(json.ptr, json.len, JSON_MAX_DEPTH))
        return false;
    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    if (!rc_list_enter(&r))
        return false;
    while (json_next_item(&r))
        each(m, &r, arg);
    room_table_fit(&m->rooms);
    return true;
}

bool room_memory_fill_subscriptions(struct room_memory *m, struct slice json)
{
    bool ok = room_memory_fill(m, json, NULL, fill_subscription);

    m->listed |= ok;
    return ok;
}

bool room_memory_fill_rooms(struct room_memory *m, struct slice json)
{
    bool ok = room_memory_fill(m, json, NULL, fill_room);

    m->rooms_listed |= ok;
    return ok;
}

bool room_memory_is_listed(const struct room_memory *m)
{
    return m->listed && m->rooms_listed;
}
