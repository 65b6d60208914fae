/* bridge/session/room_list.h - a user's rooms with what is unread in them, out of Rocket.Chat's two
 * lists.
 *
 *   [{"rid":"r1","unread":2,"alert":true,"subscription":{...},"room":{...} or null}, ...]
 *
 * in the order of the subscriptions. Documents stand as Rocket.Chat wrote them. Pure. */
#ifndef BRIDGE_SESSION_ROOM_LIST_H
#define BRIDGE_SESSION_ROOM_LIST_H

#include "base/byte_buf.h"

/* The answers of subscriptions/get and rooms/get. False: one of them is no such list, or no memory.
 */
bool room_list_join(struct slice subscriptions, struct slice rooms, struct byte_buf *out);

#endif
