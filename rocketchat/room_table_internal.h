/* rocketchat/room_table_internal.h - one session's rooms in little memory: an array of rooms, their
 * ids behind each other in one text, and 16-bit slots to find a room by its id. */
#ifndef ROCKETCHAT_ROOM_TABLE_INTERNAL_H
#define ROCKETCHAT_ROOM_TABLE_INTERNAL_H

#include "base/slice.h"
#include <stdint.h>

enum {
    ROOM_NO_COUNT = -1,
    ROOM_TEXT_AT_MAX = (1 << 25) - 1, /* 65,535 rooms with two ids of 256 bytes each */
    ROOM_LATE_MAX = (1 << 7) - 1,     /* of ahead and gone: past it the room is lacking */
};

struct room {
    int64_t mark_ms;         /* RC_NO_DATE: no message seen */
    int64_t told_ms;         /* when the newest that was news was written; RC_NO_DATE */
    int64_t changed_ms;      /* _updatedAt of the room as last shown; RC_NO_DATE */
    int64_t last_updated_ms; /* of last */
    int64_t since_ms;        /* what was written before is not told: the user joined then, or the
                              * first list showed it; RC_NO_DATE: not known */
    int64_t lacking_ms;      /* the mark from which on messages are missing; RC_NO_DATE: none are */
    int64_t left_ms;         /* the user's own leave, as a message told; RC_NO_DATE: none did */
    int64_t again_ms;        /* ... and the subscription that came after it; RC_NO_DATE */
    uint64_t last;           /* hash of the last message's _id; 0: none */
    int32_t msgs;            /* ROOM_NO_COUNT: not known */
    uint32_t used;           /* higher: later */
    unsigned text_at : 25;   /* rid, subscription id: in text */
    unsigned seen : 1;       /* it was shown to us; else its subscription or a message was */
    unsigned told : 1;       /* the subscription's `inserted` */
    unsigned listed : 1;     /* in the list that is being compared */
    unsigned whole : 1;      /* all that made it as it was last shown was in an answer */
    unsigned unsure : 1; /* last was taken for an old one, and may be news that an answer tells */
    unsigned by_gap : 1; /* lacking for no other reason than a gap: lists may clear it of that */
    unsigned rid_len : 9, sub_len : 9;
    unsigned ahead : 7; /* messages seen that the counter has not counted yet */
    unsigned gone : 7;  /* the same for deletions */
};
/* Every user has as many as rooms: no hole comes in unseen. */
_Static_assert(sizeof(struct room) == 88, "a room's size");

/* Zero-initialised, then max set. Pointers to rooms hold until the next use or remove. */
struct room_table {
    struct room *rooms;
    uint16_t *slots; /* open addressing by rid: index + 1, 0: free */
    char *text;
    uint32_t nslots; /* a power of two, or 0 */
    uint32_t text_len, text_cap;
    uint32_t clock; /* of used */
    uint16_t count, cap, max;
};

void room_table_clear(struct room_table *t);
/* Gives back what was taken in advance: not many rooms will come now. */
void room_table_fit(struct room_table *t);
size_t room_table_bytes(const struct room_table *t);

struct room *room_table_find(const struct room_table *t, struct slice rid);
struct room *room_table_find_subscription(const struct room_table *t, struct slice sub);
/* Finds or adds it, and makes it the last used. NULL: no memory, full, empty or too long an id. */
struct room *room_table_use(struct room_table *t, struct slice rid);
struct room *room_table_quietest(const struct room_table *t); /* the table is not empty */
void room_table_remove(struct room_table *t, struct room *r);

/* Borrowed from the text, until the next use, set_subscription or remove. */
struct slice room_table_rid(const struct room_table *t, const struct room *r);
struct slice room_table_subscription(const struct room_table *t, const struct room *r);
bool room_table_set_subscription(struct room_table *t, struct room *r, struct slice sub);

#endif
