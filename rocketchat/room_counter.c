/* What an event tells beyond the message that it shows: whether the room's feed lacks something, by
 * the message counter and by the order of changes. Facts: rocketchat.md 3.4, 6.4. */
#include "rocketchat/room_memory_internal.h"

/* The counter moved by what was shown, or by some of what was seen before it counted. That takes it
 * no time worth mentioning: some of it left, or all of it at once, hides what was undone. */
static bool counter_fits(struct room *r, const struct rc_room *room, bool news)
{
    const int64_t more = room->msgs - r->msgs - news;
    const bool settled = r->ahead > 0 && room_is_old(r->told_ms, COUNTED_MS, room->updated_ms);
    const bool fits = !settled && more >= -r->gone && more <= r->ahead;

    if (!fits || more == 0)
        r->ahead = r->gone = 0; /* whatever was counted late stands in it by now, or is asked for */
    else if (more > 0)
        r->ahead = (unsigned)(r->ahead - more) & ROOM_LATE_MAX;
    else
        r->gone = (unsigned)(r->gone + more) & ROOM_LATE_MAX;
    return fits;
}

/* Of a new message that is shown: while others are lacking it may be one of them, counted before;
 * and one that is dated before the first list may be from then. */
static bool is_counted_now(const struct room *r, const struct rc_room *room, enum room_sight sight)
{
    int64_t created = rc_message_created_ms(&room->last_message);

    return sight == ROOM_SIGHT_FIRST && !room_is_before(r, created) &&
           (r->lacking_ms == RC_NO_DATE || created > r->changed_ms);
}

/* Two changes that were read when both had happened (rocketchat.md 3.4, 6.4). */
static bool is_repetition(const struct room *r, const struct rc_room *room, enum room_sight sight)
{
    return (sight == ROOM_SIGHT_REPEAT || sight == ROOM_SIGHT_NONE) && !r->whole &&
           room->updated_ms != RC_NO_DATE && room->updated_ms == r->changed_ms &&
           room->msgs == r->msgs;
}

/* An event that was overtaken by a later one whose counter fitted without it. What it is about was
 * undone before the later one was read: a reply inside a thread, and a deletion; or the message
 * that it shows was deleted. An answer that came since has it. (Or it comes for the second time:
 * nobody can say.) */
static bool hides_something(const struct room *r, const struct rc_room *room, enum room_sight sight)
{
    return room_is_late(r, room) && sight != ROOM_SIGHT_LATER && !r->whole;
}

void room_memory_lack_from_change(struct room_memory *m, struct room *r, int64_t ms)
{
    room_lack_from(r, ms - BURST_MS);
    if (r->lacking_ms < r->mark_ms && r->lacking_ms < m->messages_floor_ms)
        room_raise(&m->pinned_floor_ms, m->messages_floor_ms);
}

void room_memory_judge(struct room_memory *m, struct room *r, const struct rc_room *room,
                       enum room_sight sight, struct room_hint *hint)
{
    const bool counted = r->msgs != ROOM_NO_COUNT && room->msgs != RC_NO_COUNT;
    bool near;

    hint->late = room_is_late(r, room);
    if (room_awaits_subscription(m, r))
        return;
    if (!r->seen) { /* joined just now: its first messages may have gone by */
        hint->missed = r->since_ms != RC_NO_DATE && r->lacking_ms == RC_NO_DATE;
    } else if (counted && hides_something(r, room, sight)) {
        hint->missed = true;
        room_memory_lack_from_change(m, r, room->updated_ms);
    } else if (counted && !hint->late) {
        hint->missed =
            !counter_fits(r, room, is_counted_now(r, room, sight)) || is_repetition(r, room, sight);
    }
    /* A late one belongs to a burst that is over, and long ago may be what it shows. */
    near = r->changed_ms != RC_NO_DATE && room->updated_ms != RC_NO_DATE && !hint->late &&
           room->updated_ms - r->changed_ms < BURST_MS;
    hint->burst = near && r->seen;
    if (hint->missed)
        room_lack(r);
    r->by_gap = 0; /* a list that comes later is compared with this change, not with the gap */
    hint->lacking = r->lacking_ms != RC_NO_DATE;
}
