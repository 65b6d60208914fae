/* rocketchat/room_memory.h - what one session remembers, so that every message is told once.
 *
 * Rooms: the map from subscription to room, and per room the message counter, the last message and
 * the mark (highest _updatedAt of its messages, server time). Messages: the last few (_id,
 * _updatedAt) across all rooms. Pure; about 3 KB with 20 rooms and 64 messages. Ids are raw JSON
 * text between quotes, compared as such: one server writes an id one way. Longer ones than
 * ROOM_MEMORY_ID_MAX are not remembered.
 *
 * Rocket.Chat says "the room changed" and shows its last message; whether that is news is found out
 * here. A message whose _id is known is a repeat, or a later version when _updatedAt is higher. One
 * whose _id is not known is new, unless
 * - the room's counter did not rise and the message is not newer than the mark: the last message
 * was deleted, and one from before our time shows again;
 * - nothing is known of the room yet, and the message is older than the change that shows it: it
 * was there before us. On a room's own stream an unknown message from clearly before the mark is an
 * old one that was edited: a later version.
 * What is taken for old in an event, and may be news, an answer still tells. A room in no list is
 * one that the user has just joined: the subscription's event is waited for, which says when.
 *
 * Lists (subscriptions/get, rooms/get) fill in what is not known, in silence, and move nothing that
 * is: what was missed in a gap still looks new when it shows. The first one of a room, though
 * events came before it, says what was there before us.
 *
 * The counter tells what was not shown: when it moved by anything but the messages that were, or an
 * event only repeats the one before, the room is *lacking* (design section 5): its feed is complete
 * only up to a date, from which on it must be asked for (messages/get). After a gap every room is.
 *
 * Bounds: past max_rooms the room that was quiet longest is forgotten, and its mark kept as a floor
 * for all rooms of which nothing is known: none of its messages can look new again. That may hide a
 * new message only if Rocket.Chat dates it before one that was seen in the forgotten room. Its
 * subscription is forgotten with it: a second `inserted` for it, which Rocket.Chat does not send by
 * itself, would be told. Past max_messages the oldest is forgotten; the room's mark then says that
 * it is old.
 *
 * Message ids are kept as keyed 64-bit hashes: with 64 of them a message is taken for another once
 * in 2^58, and nobody without the key can arrange it.
 *
 * Facts: rocketchat.md 3.3, 3.4, 6.2 to 6.4; design section 5. */
#ifndef ROCKETCHAT_ROOM_MEMORY_H
#define ROCKETCHAT_ROOM_MEMORY_H

#include "rocketchat/rc_event.h"

enum { ROOM_MEMORY_ID_MAX = 256, ROOM_MEMORY_MAX = UINT16_MAX /* rooms, messages */ };

struct room_memory;

enum room_sight {
    ROOM_SIGHT_NONE, /* there is no message */
    ROOM_SIGHT_FIRST,
    ROOM_SIGHT_LATER, /* a later version of a message */
    ROOM_SIGHT_REPEAT,
};

struct room_memory *room_memory_new(uint16_t max_rooms, uint16_t max_messages); /* both > 0 */
void room_memory_free(struct room_memory *m);

/* What a change of a room says of its feed. */
struct room_hint {
    bool lacking;    /* messages are missing: room_memory_lacking_since() */
    bool missed;     /* ... and this very change shows it */
    bool burst;      /* the second change within a second: a look behind its end is due */
    bool late;       /* a later change was shown before it */
    int64_t told_ms; /* room_memory_told_ms(), before it */
};

/* rooms-changed: what its lastMessage is. hint: may be NULL. */
enum room_sight room_memory_see_room(struct room_memory *m, enum rc_action action,
                                     const struct rc_room *room, struct room_hint *hint);
/* A message on its room's own stream. */
enum room_sight room_memory_see_message(struct room_memory *m, const struct rc_message *message);

/* subscriptions-changed. inserted: true when it is to be told: the first since its removal; lists
 * that came before it count as told only if they were the session's first. updated: learns the map.
 * removed: the room's id, borrowed from the event or written to buffer; empty: not known. */
bool room_memory_subscription_inserted(struct room_memory *m, const struct rc_subscription *sub);
void room_memory_subscription_updated(struct room_memory *m, const struct rc_subscription *sub);
struct slice room_memory_subscription_removed(struct room_memory *m,
                                              const struct rc_subscription *sub,
                                              char buffer[ROOM_MEMORY_ID_MAX]);

/* The results of subscriptions/get and rooms/get, by DDP ([...] or {update:[...],remove:[...]}) or
 * REST (the latter with an envelope). False: no such thing, and nothing was changed. */
bool room_memory_fill_subscriptions(struct room_memory *m, struct slice json);
bool room_memory_fill_rooms(struct room_memory *m, struct slice json);
/* Both came. Before that, all that a list shows would look new after a gap. */
bool room_memory_is_listed(const struct room_memory *m);

/* --- repair (room_repair.c); dates are server time --- */

/* When the room changed last, as shown; RC_NO_DATE: not known. */
int64_t room_memory_changed_ms(const struct room_memory *m, struct slice rid);
/* When the newest of its messages that were a first sight was written; RC_NO_DATE: none was. */
int64_t room_memory_told_ms(const struct room_memory *m, struct slice rid);
/* From when on the room must be asked for, overlap included; RC_NO_DATE: it lacks nothing. */
int64_t room_memory_lacking_since(const struct room_memory *m, struct slice rid);
/* The room is to be looked at though it seems complete (a burst is over), from its mark on, or from
 * since_ms if that is earlier. */
void room_memory_doubt(struct room_memory *m, struct slice rid, int64_t since_ms);
/* The DDP connection was lost: every room is lacking from its mark on. */
void room_memory_gap(struct room_memory *m);
/* While answers are under way more is remembered than max_messages: what they bring again. */
void room_memory_pin(struct room_memory *m, bool answers_under_way);
/* A message of the answer to such a question; those of one answer in the room's order. What was
 * written before the user joined, or before the first list, is no news. since_ms: from when on was
 * asked. */
enum room_sight room_memory_see_repaired(struct room_memory *m, const struct rc_message *message,
                                         int64_t since_ms);
/* How many messages of answers were held back since the last call, because they may have been told
 * and forgotten. */
unsigned room_memory_take_doubtful(struct room_memory *m);
/* A message was deleted, says an answer; deleted_ms: RC_NO_DATE: not known; since_ms: from when on
 * was asked. True: to be told, for the first time. */
bool room_memory_see_deleted(struct room_memory *m, struct slice rid, struct slice id,
                             int64_t deleted_ms, int64_t since_ms);
/* Nothing is lacking any more: what had changed by covers_ms was in the answer. */
void room_memory_repaired(struct room_memory *m, struct slice rid, int64_t covers_ms);

/* After a gap: compares rooms/get with what is remembered. Rooms that did not change lack nothing,
 * unless they did before the gap; each that does is given to fn, with the number of messages its
 * counter moved by (negative: only deletions; 0: none, or not known). New rooms are taken over in
 * silence unless the user has joined them meanwhile. False as for fill. */
bool room_memory_check_rooms(struct room_memory *m, struct slice json,
                             void (*fn)(void *arg, struct slice rid, int64_t moved), void *arg);
/* After a gap: compares subscriptions/get. joined: a subscription that is new; left: one that is
 * gone, with its room. Both are learned. False as for fill. */
struct room_membership {
    void (*joined)(void *arg, const struct rc_subscription *sub);
    void (*left)(void *arg, struct slice sub_id, struct slice rid);
    void *arg;
};
bool room_memory_check_subscriptions(struct room_memory *m, struct slice json,
                                     const struct room_membership *to);
/* The room's feed goes on from what Rocket.Chat shows now: what lies before is given up. */
void room_memory_give_up(struct room_memory *m, struct slice rid);
void room_memory_give_up_all(struct room_memory *m);

/* By our own view: rooms that were left may go on sending (rocketchat.md 3.2). */
bool room_memory_is_member(const struct room_memory *m, struct slice rid);

/* A message told that the user left the room, or was removed from it (ul, ru): what was written
 * after it is none of the user's business, until a subscription or a message (uj, au) tells of the
 * return. ts_ms: the message's. False: it is from before the user's time. */
bool room_memory_left(struct room_memory *m, struct slice rid, int64_t ts_ms);
void room_memory_returned(struct room_memory *m, struct slice rid, int64_t ts_ms);

struct room_memory_stats {
    uint16_t rooms, messages;
    uint64_t forgotten_rooms; /* by the bound */
    size_t bytes;             /* of memory, all told */
};
void room_memory_stats(const struct room_memory *m, struct room_memory_stats *out);

#endif
