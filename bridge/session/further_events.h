/* bridge/session/further_events.h - stream events that are sent on only where the operator asks for
 * them.
 *
 * PushBridge:Events:Map lists them: NAME, NAME=TARGET or NAME=TARGET:args.
 *
 *   name          Rocket.Chat's stream                  argument
 *   typing        notify-room RID/user-activity         {"rid","user","activities"}
 *   read          notify-room RID/messagesRead          {"rid","until",...}
 *   user-status   notify-logged user-status             [uid, user name, 0..3, text, ...]
 *   notification  notify-user UID/notification          {"title","text","payload",...}
 *   user-data     notify-user UID/userData              {"type","id","diff",...}
 *   room-changed  notify-user UID/rooms-changed         {"msg":room,"method":"insert"|...}
 *
 * With ":args" Rocket.Chat's own arguments go out as they are, one by one, behind the room's id
 * where the event is a room's. typing and read are of rooms that a tab has opened, and go to the
 * tabs that opened them. Pure. Facts: rocketchat.md 3.2. */
#ifndef BRIDGE_SESSION_FURTHER_EVENTS_H
#define BRIDGE_SESSION_FURTHER_EVENTS_H

#include "base/slice.h"
#include "rocketchat/rc_event.h"
#include "signalr/protocol/hub_buf.h"

enum further_event {
    FURTHER_TYPING,
    FURTHER_READ,
    FURTHER_USER_STATUS,
    FURTHER_NOTIFICATION,
    FURTHER_USER_DATA,
    FURTHER_ROOM_CHANGED,
    FURTHER_NEVENTS
};

#define FURTHER_TARGET_MAX 100

struct further_row {
    bool on, as_args;
    char target[FURTHER_TARGET_MAX + 1];
};

struct further_map {
    struct further_row rows[FURTHER_NEVENTS];
};

/* Takes one item of the list into the map. NULL: good; else what is wrong with it, in words that go
 * behind the item. */
const char *further_map_add(struct further_map *map, struct slice item);

/* False: e is none of them, or a rooms-changed, which is another event besides. */
bool further_event_of(const struct rc_event *e, enum further_event *which);

/* The message, one reference; NULL: no memory. raw_methods: as in event_map.h. */
struct hub_buf *further_event_message(const struct further_row *row, enum further_event which,
                                      const struct rc_event *e, bool raw_methods);

#endif
