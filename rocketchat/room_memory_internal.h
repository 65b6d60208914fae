/* rocketchat/room_memory_internal.h - what room_memory.c (events, lists), room_counter.c (what they
 * tell beyond their message), room_messages.c (the messages known), room_repair.c (what is lacking,
 * and its repair) and room_state.c (over a restart) share. */
#ifndef ROCKETCHAT_ROOM_MEMORY_INTERNAL_H
#define ROCKETCHAT_ROOM_MEMORY_INTERNAL_H

#include "rocketchat/room_memory.h"
#include "rocketchat/room_table_internal.h"

struct json_reader;

enum {
    /* Clock skew between Rocket.Chat's instances, ties, events out of order: rocketchat.md 6.3. */
    OVERLAP_MS = 5 * 1000,
    /* Changes of a room this near to each other are a burst. */
    BURST_MS = 1000,
    /* So long after a message its room's counter has it in it, if it is ever to be read so. */
    COUNTED_MS = 250,
    /* Kept while answers are under way, however few are remembered otherwise. */
    PINNED_MESSAGES = 4096,
};

/* What is added to the date of a deletion, so that the message that is gone is newer than all
 * others: whatever comes of it is a repeat. */
#define ROOM_DELETED (INT64_C(1) << 62)

struct known_message {
    uint64_t id; /* hash */
    int64_t updated_ms;
};

struct room_memory {
    struct room_table rooms;
    struct known_message *messages; /* oldest first */
    uint16_t nmessages, cap_messages, max_messages;
    uint16_t forgotten_news;   /* messages of answers that may be news or forgotten ones */
    bool pinned;               /* answers are under way: what they may bring again is kept */
    bool listed;               /* a list of subscriptions was filled in ... */
    bool rooms_listed;         /* ... and one of rooms came */
    int64_t floor_ms;          /* highest mark of the rooms forgotten */
    int64_t messages_floor_ms; /* highest date of the messages forgotten */
    int64_t pinned_floor_ms;   /* ... while pinned */
    int64_t deleted_floor_ms;  /* highest date of the deletions forgotten */
    uint64_t forgotten_rooms;
};

struct room *room_memory_room(struct room_memory *m, struct slice rid); /* NULL: can't be kept */
uint64_t room_memory_hash(struct slice id);
void room_memory_remember(struct room_memory *m, uint64_t id, int64_t updated_ms);
/* deleted_ms: RC_NO_DATE: not known. */
void room_memory_remember_deleted(struct room_memory *m, uint64_t id, int64_t deleted_ms);
/* By (_id, _updatedAt); r may be NULL. False: the _id is not known. */
bool room_memory_sight_of_known(const struct room_memory *m, const struct room *r, uint64_t id,
                                int64_t updated_ms, enum room_sight *sight);
struct room *room_memory_learn(struct room_memory *m, const struct rc_subscription *sub);
bool room_memory_is_full_for(const struct room_memory *m, struct slice rid);
void room_memory_take_over(struct room *r, const struct rc_room *room);
/* In no list, and of no subscription that is known: the user has joined just now, and the event of
 * the subscription will say when. (Where rooms were forgotten it may be one of those.) */
static inline bool room_awaits_subscription(const struct room_memory *m, const struct room *r)
{
    return (r == NULL || (r->since_ms == RC_NO_DATE && r->sub_len == 0 && !r->told)) &&
           m->forgotten_rooms == 0 && room_memory_is_listed(m);
}
/* A list shows the room for the first time: what stands in it by then is not told. */
void room_memory_begin_behind(struct room_memory *m, struct room *r, const struct rc_room *listed);
/* json's list, looked through before anything is taken from it: one that breaks off is none. */
bool room_memory_fill(struct room_memory *m, struct slice json, void *arg,
                      void (*each)(struct room_memory *m, struct json_reader *list, void *arg));

/* Of an event, before r takes over what it shows; sight: what its message is. */
void room_memory_judge(struct room_memory *m, struct room *r, const struct rc_room *room,
                       enum room_sight sight, struct room_hint *hint);
/* What was written a little before ms, when the room changed, is asked for. If it lies before the
 * mark, what was told since is known, or was forgotten: then nobody can say what is news. */
void room_memory_lack_from_change(struct room_memory *m, struct room *r, int64_t ms);

static inline void room_raise(int64_t *ms, int64_t to)
{
    if (to > *ms)
        *ms = to;
}

/* ms lies at least gap_ms before mark_ms. What has no date does not. */
static inline bool room_is_old(int64_t ms, int64_t gap_ms, int64_t mark_ms)
{
    return ms != RC_NO_DATE && mark_ms > INT64_MIN + gap_ms && ms <= mark_ms - gap_ms;
}

/* From before mark_ms, and no newer than messages that were forgotten: it may be one of them. */
static inline bool room_may_be_forgotten(const struct room_memory *m, int64_t ms, int64_t mark_ms)
{
    return room_is_old(ms, 0, mark_ms) && room_is_old(ms, 0, m->messages_floor_ms);
}

/* From before mark_ms, and known if it was news at all: the overlap reaches back no further than
 * the memory of messages does. */
static inline bool room_is_behind(const struct room_memory *m, int64_t ms, int64_t mark_ms)
{
    return room_is_old(ms, OVERLAP_MS, mark_ms) || room_may_be_forgotten(m, ms, mark_ms);
}

/* Nobody has touched it since, and still its dates are far apart: rocketchat.md 6.4. */
static inline bool room_is_dated_back(const struct rc_message *msg)
{
    return !msg->edited && !msg->touched && msg->type.ptr == NULL &&
           rc_message_is_changed_late(msg);
}

/* It was deleted, and the room shows that something was there. */
static inline bool room_is_removed(const struct rc_message *msg)
{
    return slice_eq(msg->type, SLICE_LIT("rm"));
}

/* Shown as it was before the last time: events can overtake each other. */
static inline bool room_is_late(const struct room *r, const struct rc_room *room)
{
    return room->updated_ms != RC_NO_DATE && room->updated_ms < r->changed_ms;
}

/* From before the user's time in the room, or before the first list. */
static inline bool room_is_before(const struct room *r, int64_t created_ms)
{
    return room_is_old(created_ms, 1, r->since_ms);
}

/* From a time in which the user was out of the room: between the own leave, where one was seen, and
 * the subscription that came after it. */
static inline bool room_is_between(const struct room *r, int64_t created_ms)
{
    if (created_ms == RC_NO_DATE || (r->left_ms == RC_NO_DATE && r->again_ms == RC_NO_DATE))
        return false;
    return (r->left_ms == RC_NO_DATE || created_ms > r->left_ms) &&
           (r->again_ms == RC_NO_DATE || created_ms < r->again_ms);
}

/* What lies before the return has been told, or never will be. */
static inline void room_end_absence(struct room *r)
{
    if (r->again_ms == RC_NO_DATE)
        return;
    r->since_ms = r->again_ms;
    r->left_ms = r->again_ms = RC_NO_DATE;
}

/* Up to where what was told of the room is whole. RC_NO_DATE: not known. */
static inline int64_t room_whole_until(const struct room *r)
{
    return r->lacking_ms != RC_NO_DATE && r->lacking_ms < r->mark_ms ? r->lacking_ms : r->mark_ms;
}

/* When the user's time began, or the first change that was shown: what was written before was there
 * before us, as exactly as clocks can tell. RC_NO_DATE: nothing is known. */
static inline int64_t room_began(const struct room *r)
{
    return r->since_ms != RC_NO_DATE ? r->since_ms : r->changed_ms;
}

/* What is older was there before us, or was seen. RC_NO_DATE: nothing is known of the room. */
static inline int64_t room_horizon(const struct room *r)
{
    int64_t ms = r->mark_ms;

    room_raise(&ms, r->since_ms);
    if (r->since_ms == RC_NO_DATE && r->changed_ms != RC_NO_DATE)
        room_raise(&ms, r->changed_ms - OVERLAP_MS);
    return ms;
}

/* From here on its feed is incomplete until it is repaired; what is lacking already stays so. */
static inline void room_lack(struct room *r)
{
    r->by_gap = 0;
    if (r->lacking_ms == RC_NO_DATE && !r->seen)
        r->lacking_ms = r->since_ms; /* joined just now, whatever its own stream has brought */
    if (r->lacking_ms == RC_NO_DATE && r->mark_ms == RC_NO_DATE)
        r->lacking_ms = r->changed_ms;
    if (r->lacking_ms == RC_NO_DATE)
        r->lacking_ms = r->since_ms == RC_NO_DATE ? room_horizon(r) : r->mark_ms;
    if (r->lacking_ms == RC_NO_DATE)
        r->lacking_ms = r->since_ms;
}

static inline void room_lack_from(struct room *r, int64_t ms)
{
    room_lack(r);
    if (ms != RC_NO_DATE && (r->lacking_ms == RC_NO_DATE || ms < r->lacking_ms))
        r->lacking_ms = ms;
}

/* The counter and the date of the room as Rocket.Chat shows it. */
static inline void room_take_counter(struct room *r, const struct rc_room *shown)
{
    r->seen = 1;
    if (shown->updated_ms != r->changed_ms)
        r->whole = 0;
    room_raise(&r->changed_ms, shown->updated_ms);
    if (shown->msgs != RC_NO_COUNT)
        r->msgs = shown->msgs < INT32_MAX ? (int32_t)shown->msgs : ROOM_NO_COUNT;
}

static inline void room_note_told(struct room *r, const struct rc_message *msg,
                                  enum room_sight sight)
{
    if (sight == ROOM_SIGHT_FIRST)
        room_raise(&r->told_ms, rc_message_created_ms(msg));
}

/* A new message that the room's counter, as last shown, can't have in it. */
static inline void room_count_ahead(struct room *r, const struct rc_message *msg,
                                    enum room_sight sight)
{
    if (sight == ROOM_SIGHT_FIRST && r->seen && rc_message_created_ms(msg) > r->changed_ms &&
        r->ahead < ROOM_LATE_MAX)
        r->ahead++;
}

/* A deletion was told whose change of the counter is still to come: what is lacking has it. */
static inline void room_count_gone(struct room *r)
{
    if (r->gone < ROOM_LATE_MAX && r->lacking_ms == RC_NO_DATE)
        r->gone++;
}

#endif
