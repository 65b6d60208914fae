/* What a room memory knows to be missing, and how it takes in what was asked for: the answers to
 * messages/get, and the lists that follow a gap. Facts: rocketchat.md 6.3, 6.4. */
#include "base/json_slice.h"
#include "rocketchat/json_fields_internal.h"
#include "rocketchat/room_memory_internal.h"

/* --- what is lacking --- */

int64_t room_memory_changed_ms(const struct room_memory *m, struct slice rid)
{
    const struct room *r = room_table_find(&m->rooms, rid);

    return r == NULL ? RC_NO_DATE : r->changed_ms;
}

int64_t room_memory_told_ms(const struct room_memory *m, struct slice rid)
{
    const struct room *r = room_table_find(&m->rooms, rid);

    return r == NULL ? RC_NO_DATE : r->told_ms;
}

int64_t room_memory_lacking_since(const struct room_memory *m, struct slice rid)
{
    const struct room *r = room_table_find(&m->rooms, rid);

    if (r == NULL || r->lacking_ms == RC_NO_DATE)
        return RC_NO_DATE;
    return r->lacking_ms < OVERLAP_MS ? 0 : r->lacking_ms - OVERLAP_MS;
}

void room_memory_doubt(struct room_memory *m, struct slice rid, int64_t since_ms)
{
    struct room *r = room_table_find(&m->rooms, rid);

    if (r == NULL)
        return;
    room_lack_from(r, since_ms);
}

void room_memory_gap(struct room_memory *m)
{
    for (uint16_t i = 0; i < m->rooms.count; i++) {
        struct room *r = &m->rooms.rooms[i];
        bool by_gap = r->lacking_ms == RC_NO_DATE || r->by_gap;

        room_lack(r);
        r->by_gap = by_gap;
        r->ahead = r->gone = 0;
    }
}

void room_memory_repaired(struct room_memory *m, struct slice rid, int64_t covers_ms)
{
    struct room *r = room_table_find(&m->rooms, rid);

    if (r == NULL)
        return;
    r->lacking_ms = RC_NO_DATE;
    r->whole = r->changed_ms <= covers_ms;
    if (r->whole && r->told_ms <= r->changed_ms)
        r->ahead = r->gone = 0; /* the counter as it was shown then has all that was told */
    room_end_absence(r);
}

static void give_up(struct room *r)
{
    room_raise(&r->mark_ms, r->changed_ms);
    r->lacking_ms = RC_NO_DATE;
    room_end_absence(r);
}

void room_memory_give_up(struct room_memory *m, struct slice rid)
{
    struct room *r = room_table_find(&m->rooms, rid);

    if (r != NULL)
        give_up(r);
}

void room_memory_give_up_all(struct room_memory *m)
{
    for (uint16_t i = 0; i < m->rooms.count; i++)
        give_up(&m->rooms.rooms[i]);
}

/* --- answers --- */

/* What is dated before that was complete when it was asked for. */
static int64_t behind_overlap(int64_t since_ms)
{
    return since_ms <= INT64_MAX - OVERLAP_MS ? since_ms + OVERLAP_MS : INT64_MAX;
}

/* The newest of those told is what the room's next event shows again, if that is about a message
 * which it does not show: it must be known then, however many others came since. */
static void note_last(struct room *r, const struct rc_message *msg, uint64_t id,
                      enum room_sight sight)
{
    if (sight != ROOM_SIGHT_FIRST || rc_message_created_ms(msg) != r->told_ms ||
        (msg->tmid.len > 0 && !msg->tshow) || room_is_dated_back(msg) || room_is_removed(msg))
        return;
    if (r->last != id)
        r->last_updated_ms = RC_NO_DATE;
    r->last = id;
    r->unsure = 0;
}

enum room_sight room_memory_see_repaired(struct room_memory *m, const struct rc_message *msg,
                                         int64_t since_ms)
{
    int64_t created = rc_message_created_ms(msg), from;
    enum room_sight sight = ROOM_SIGHT_FIRST;
    const struct room *known;
    struct room *r;
    uint64_t id;

    if (msg->id.len == 0)
        return ROOM_SIGHT_NONE;
    id = room_memory_hash(msg->id);
    r = room_memory_room(m, msg->rid);
    if (r == NULL)
        return ROOM_SIGHT_REPEAT;
    from = behind_overlap(since_ms);
    known = r->unsure && r->since_ms != RC_NO_DATE ? NULL : r;
    if (!room_memory_sight_of_known(m, known, id, msg->updated_ms, &sight)) {
        /* Touched in the time asked for, but written before it, and then it was told already. What
         * nobody has touched is back-dated (rocketchat.md 6.4), and news. */
        bool foreign = room_is_before(r, created) || room_is_between(r, created);
        bool old = foreign || room_is_behind(m, created, from);
        bool news = !old || room_is_dated_back(msg);

        if (old && room_is_behind(m, msg->updated_ms, from))
            return ROOM_SIGHT_REPEAT; /* of the overlap: nothing new in it */
        if (foreign && (room_is_before(r, msg->updated_ms) || room_is_between(r, msg->updated_ms)))
            return ROOM_SIGHT_REPEAT; /* nothing of it is from the user's time */
        if (news && room_is_old(old ? msg->updated_ms : created, 0, m->pinned_floor_ms)) {
            if (m->forgotten_news < UINT16_MAX)
                m->forgotten_news++;
            return ROOM_SIGHT_REPEAT;
        }
        sight = news ? ROOM_SIGHT_FIRST : ROOM_SIGHT_LATER;
    }
    if (sight != ROOM_SIGHT_REPEAT)
        room_memory_remember(m, id, msg->updated_ms);
    room_note_told(r, msg, sight);
    note_last(r, msg, id, sight);
    room_count_ahead(r, msg, sight);
    room_raise(&r->mark_ms, msg->updated_ms);
    if (r->last == id) {
        room_raise(&r->last_updated_ms, msg->updated_ms);
        r->unsure = 0;
    }
    return sight;
}

unsigned room_memory_take_doubtful(struct room_memory *m)
{
    unsigned count = m->forgotten_news;

    m->forgotten_news = 0;
    return count;
}

/* It may be one of those that were told and forgotten. */
static bool is_forgotten(const struct room_memory *m, int64_t deleted_ms, int64_t since_ms)
{
    return m->deleted_floor_ms != RC_NO_DATE &&
           (room_is_old(deleted_ms, 0, m->deleted_floor_ms) ||
            room_is_old(deleted_ms, 0, behind_overlap(since_ms)));
}

bool room_memory_see_deleted(struct room_memory *m, struct slice rid, struct slice id,
                             int64_t deleted_ms, int64_t since_ms)
{
    struct room *r = room_table_find(&m->rooms, rid);
    uint64_t hash = room_memory_hash(id);
    enum room_sight sight;

    if (r == NULL || id.len == 0 || room_is_before(r, deleted_ms))
        return false;
    /* Complete up to there, too: else the next answer brings it again, forgotten or not. */
    room_raise(&r->mark_ms, deleted_ms);
    if (room_memory_sight_of_known(m, NULL, hash, ROOM_DELETED, &sight) &&
        sight == ROOM_SIGHT_REPEAT)
        return false;
    if (is_forgotten(m, deleted_ms, since_ms))
        return false;
    room_memory_remember_deleted(m, hash, deleted_ms);
    room_count_gone(r);
    return true;
}

/* --- lists after a gap --- */

struct room_check {
    void (*fn)(void *arg, struct slice rid, int64_t moved);
    void *arg;
};

static void check_room(struct room_memory *m, struct json_reader *list, void *arg)
{
    const struct room_check *to = arg;
    struct rc_room room;
    struct room *r;
    int64_t moved;

    rc_room_read(list, &room);
    if (room.id.len == 0)
        return;
    r = room_table_find(&m->rooms, room.id);
    if (room_awaits_subscription(m, r))
        return;
    if (r == NULL || (!r->seen && r->since_ms == RC_NO_DATE)) {
        if (!room_memory_is_full_for(m, room.id) && (r = room_memory_room(m, room.id)) != NULL) {
            room_memory_begin_behind(m, r, &room);
            r->lacking_ms = RC_NO_DATE;
        }
        return;
    }
    moved = r->msgs == ROOM_NO_COUNT || room.msgs == RC_NO_COUNT ? 0 : room.msgs - r->msgs;
    if (r->seen && moved == 0 && room.updated_ms != RC_NO_DATE &&
        room.updated_ms <= r->changed_ms) {
        if (r->by_gap)
            room_memory_repaired(m, room.id, RC_NO_DATE);
    } else if (!r->seen || r->by_gap || !room_is_old(room.updated_ms, 1, r->changed_ms)) {
        room_lack(r);
        /* The counter and the date, but not the last message: that is still to be told. */
        room_take_counter(r, &room);
        r->ahead = r->gone = 0;
    } /* else an event was quicker, and shows a later state than the list */
    if (r->lacking_ms != RC_NO_DATE)
        to->fn(to->arg, room.id, moved);
}

bool room_memory_check_rooms(struct room_memory *m, struct slice json,
                             void (*fn)(void *arg, struct slice rid, int64_t moved), void *arg)
{
    struct room_check to = {fn, arg};
    bool ok = room_memory_fill(m, json, &to, check_room);

    m->rooms_listed |= ok; /* over REST a session's first list is compared, too */
    return ok;
}

static void mark_listed(struct room_memory *m, struct json_reader *list, void *arg)
{
    const struct room_membership *to = arg;
    struct rc_subscription sub;
    struct room *r;

    rc_subscription_read(list, &sub);
    if (sub.rid.len == 0)
        return;
    r = room_table_find(&m->rooms, sub.rid);
    if ((r == NULL && room_memory_is_full_for(m, sub.rid)) ||
        (r != NULL && r->told && slice_eq(room_table_subscription(&m->rooms, r), sub.id))) {
        if (r != NULL) {
            r->listed = 1;
            if (r->again_ms == RC_NO_DATE)
                r->left_ms = RC_NO_DATE; /* the user is in it, whatever we took for a leave */
        }
        return;
    }
    if (room_memory_subscription_inserted(m, &sub))
        to->joined(to->arg, &sub);
    r = room_table_find(&m->rooms, sub.rid);
    if (r != NULL)
        r->listed = 1;
}

bool room_memory_check_subscriptions(struct room_memory *m, struct slice json,
                                     const struct room_membership *to)
{
    for (uint16_t i = 0; i < m->rooms.count; i++)
        m->rooms.rooms[i].listed = 0;
    if (!room_memory_fill(m, json, (void *)(uintptr_t)to, mark_listed))
        return false;
    for (uint16_t i = m->rooms.count; i-- > 0;) { /* removing moves the last one here */
        struct room *r = &m->rooms.rooms[i];

        if (r->listed || (r->sub_len == 0 && !r->told))
            continue;
        to->left(to->arg, room_table_subscription(&m->rooms, r), room_table_rid(&m->rooms, r));
        room_table_remove(&m->rooms, r);
    }
    return true;
}
