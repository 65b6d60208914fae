/* bridge/session/room_merge.h - what goes out when a room is repaired, put in the room's order.
 *
 * Pure. Messages of an answer and messages that waited, each with what it is to the session; the
 * order is (ts, _id), versions of one message as they came to be, and deletions behind all of it.
 * Rule: rocketchat.md 6.3. */
#ifndef BRIDGE_SESSION_ROOM_MERGE_H
#define BRIDGE_SESSION_ROOM_MERGE_H

#include "rocketchat/room_memory.h"

struct room_merge_item {
    struct rc_message message; /* its slices are borrowed */
    enum room_sight sight;     /* ROOM_SIGHT_NONE: the message with this id is gone */
};

struct room_merge { /* zero-initialised is empty */
    struct room_merge_item *items;
    size_t count, cap;
    bool failed; /* no memory: something was left out */
};

void room_merge_add(struct room_merge *m, const struct rc_message *message, enum room_sight sight);
void room_merge_sort(struct room_merge *m);
/* Old messages of an answer that are of one _updatedAt were touched all at once, and have nothing
 * else to show for it: Rocket.Chat renames a user in all of the user's messages, and takes read
 * ones for read, by one update. They count as touched from here on, and so do those changed soon
 * behind it (a renamed user's mentions, one by one): they are not dated back, and no news.
 * updateAllUsernamesByUserId, setVisibleMessagesAsRead: RC models Messages, indexed id 11043878416.
 */
void room_merge_mark_bulk(struct room_merge *m);
void room_merge_free(struct room_merge *m);

#endif
