/* What a session makes of the answer about a room: which messages are news to it, put in the room's
 * order together with those that waited. rocketchat.md 6.3, 6.4. */
#include "bridge/session/room_merge.h"
#include "bridge/session/user_session_internal.h"
#include "rocketchat/rc_sync.h"
#include "rocketchat/room_memory.h"

/* ---- the user's comings and goings, as the room's own messages tell them ---- */

void session_saw_return(struct user_session *s, const struct rc_message *message)
{
    if (rc_message_move(message, slice_of(s->username)) == RC_MOVE_IN)
        room_memory_returned(s->rooms, message->rid, rc_message_created_ms(message));
}

void session_saw_leave(struct user_session *s, const struct rc_message *message,
                       enum room_sight sight)
{
    if (sight == ROOM_SIGHT_FIRST && rc_message_move(message, slice_of(s->username)) == RC_MOVE_OUT)
        room_memory_left(s->rooms, message->rid, rc_message_created_ms(message));
}

/* ---- the answer ---- */

struct merge {
    struct user_session *session;
    struct slice rid;
    int64_t asked_ms;
    int64_t newest_ms; /* of the answer; complete up to there */
    bool gap;          /* of session_answer */
    struct room_merge all;
};

void session_note_passed(const struct rc_message *message, enum room_sight sight,
                         int64_t *passed_ms)
{
    int64_t created = rc_message_created_ms(message);

    if (sight == ROOM_SIGHT_FIRST && created > *passed_ms)
        *passed_ms = created;
}

bool session_is_behind(const struct rc_message *message, enum room_sight sight, int64_t passed_ms)
{
    return sight == ROOM_SIGHT_FIRST && rc_message_created_ms(message) < passed_ms;
}

void session_tell_passed(struct user_session *s, const struct rc_message *message,
                         enum room_sight sight, uint64_t born, int64_t *passed_ms)
{
    session_note_passed(message, sight, passed_ms);
    session_tell_message(s, message, sight, born);
}

static void take_message(void *arg, const struct rc_message *message)
{
    struct merge *m = arg;

    if (slice_eq(message->rid, m->rid)) /* else: a room nobody asked for */
        room_merge_add(&m->all, message, ROOM_SIGHT_FIRST);
}

static void take_deleted(void *arg, struct slice id, int64_t deleted_ms)
{
    struct merge *m = arg;

    if (room_memory_see_deleted(m->session->rooms, m->rid, id, deleted_ms, m->asked_ms))
        room_merge_add(&m->all, &(struct rc_message){.id = id}, ROOM_SIGHT_NONE);
}

/* The first leave in the answer: without it, an absence in a gap seems to begin with the gap. */
static void find_leave(struct merge *m)
{
    struct user_session *s = m->session;

    for (size_t i = 0; i < m->all.count; i++) {
        const struct rc_message *message = &m->all.items[i].message;

        if (rc_message_move(message, slice_of(s->username)) == RC_MOVE_OUT &&
            room_memory_left(s->rooms, m->rid, rc_message_created_ms(message)))
            return;
    }
}

/* What each message of the answer is to this session; in the room's order, so that the user's own
 * comings and goings are heeded. What is no news goes. */
static void judge(struct merge *m)
{
    struct user_session *s = m->session;
    size_t kept = 0;

    room_merge_sort(&m->all);
    room_merge_mark_bulk(&m->all);
    find_leave(m);
    m->newest_ms = RC_NO_DATE;
    for (size_t i = 0; i < m->all.count; i++) {
        struct room_merge_item item = m->all.items[i];
        int64_t created = rc_message_created_ms(&item.message);

        if (created > m->newest_ms)
            m->newest_ms = created;
        if (item.sight != ROOM_SIGHT_NONE) {
            session_saw_return(s, &item.message);
            item.sight = room_memory_see_repaired(s->rooms, &item.message, m->asked_ms);
            session_saw_leave(s, &item.message, item.sight);
            if (item.sight != ROOM_SIGHT_FIRST && item.sight != ROOM_SIGHT_LATER)
                continue;
        }
        m->all.items[kept++] = item;
    }
    m->all.count = kept;
}

/* Sends on what was put together and what is held, written by until_ms, in the room's order. */
static void tell_all(struct merge *m, struct room_hold *hold, int64_t until_ms, int64_t *passed_ms)
{
    struct user_session *s = m->session;
    struct held *held = session_take_held(s, hold, until_ms);
    const int64_t passed_before_ms = *passed_ms;
    bool late = false; /* a newer one had to go out before */

    for (const struct held *h = held; h != NULL; h = h->next) {
        const struct rc_message message = held_message(h);

        room_merge_add(&m->all, &message, h->sight);
    }
    room_merge_sort(&m->all);
    for (size_t i = 0; i < m->all.count; i++) {
        const struct rc_message *message = &m->all.items[i].message;
        const int64_t created = rc_message_created_ms(message);
        enum room_sight sight = m->all.items[i].sight;

        if (sight == ROOM_SIGHT_NONE) {
            session_tell_deleted(s, m->rid, message->id);
            continue;
        }
        /* A back-dated one has no place among those of its day any more. */
        late |= created >= m->asked_ms && session_is_behind(message, sight, passed_before_ms);
        if (m->gap) /* dated back, it was written when it was changed last, at the latest */
            s->missed_since_ms = session_missed_since(
                s, message->updated_ms > created ? message->updated_ms : created);
        session_tell_passed(s, message, sight, 0, passed_ms);
        s->missed_since_ms = 0;
    }
    if (m->all.failed || room_memory_take_doubtful(s->rooms) > 0)
        session_resync(s, m->rid, "overload");
    else if (late)
        session_resync(s, m->rid, "late");
    held_free(held);
    room_merge_free(&m->all);
}

void session_merge_held(struct user_session *s, struct slice rid, int64_t asked_ms,
                        struct room_hold *hold, int64_t *passed_ms)
{
    struct merge m = {.session = s, .rid = rid, .asked_ms = asked_ms};

    tell_all(&m, hold, INT64_MAX, passed_ms);
}

bool session_merge(struct user_session *s, struct slice rid, const struct session_answer *answer,
                   struct room_hold *hold, int64_t *passed_ms)
{
    struct merge m = {.session = s, .rid = rid, .asked_ms = answer->asked_ms, .gap = answer->gap};
    const struct rc_sync_sink sink = {take_message, take_deleted, &m};

    if (!rc_sync_read(answer->json, &sink))
        return false;
    judge(&m);
    tell_all(&m, hold, answer->more ? m.newest_ms : INT64_MAX, passed_ms);
    return true;
}
