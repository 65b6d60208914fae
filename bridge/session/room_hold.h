/* bridge/session/room_hold.h - messages of one room that wait for its repair, in the order they
 * came.
 *
 * Pure: a list of copies. Bounds are the caller's, who sees bytes and count. */
#ifndef BRIDGE_SESSION_ROOM_HOLD_H
#define BRIDGE_SESSION_ROOM_HOLD_H

#include "rocketchat/room_memory.h"

struct held {
    struct held *next;
    enum room_sight sight; /* what it is to the session */
    size_t len;
    char raw[];
};

struct room_hold {
    struct held *first, **end;
    size_t bytes; /* of the messages */
    unsigned count;
};

void room_hold_init(struct room_hold *hold);
bool room_hold_add(struct room_hold *hold, enum room_sight sight,
                   const struct rc_message *message); /* false: no memory */
/* Those written by until_ms (INT64_MAX: all), the caller's to free; the others stay. */
struct held *room_hold_take(struct room_hold *hold, int64_t until_ms);

struct rc_message held_message(const struct held *h); /* borrowed from it */
void held_free(struct held *h);                       /* and all behind it */

#endif
