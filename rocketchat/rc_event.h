/* rocketchat/rc_event.h - stream events and documents of Rocket.Chat, cut into what the bridge
 * reads.
 *
 * Pure, one pass, nothing copied or built. raw slices are whole JSON objects byte for byte; the
 * other slices are raw JSON text between quotes; ptr NULL: not there, or of another type than
 * expected. Members may come in any order. What has not the form of its kind becomes
 * RC_EVENT_OTHER.
 *
 * Facts: rocketchat.md 3.2 to 3.4 and section 4. */
#ifndef ROCKETCHAT_RC_EVENT_H
#define ROCKETCHAT_RC_EVENT_H

#include "base/slice.h"
#include "rocketchat/rc_date.h"

struct ddp_event;
struct json_reader;

struct rc_message {
    struct slice raw; /* ptr NULL: there is none */
    struct slice id, rid;
    struct slice type;         /* t: "uj", "rm", ...; none for a normal message */
    struct slice text;         /* msg; of uj, ul, au and ru: whom it is about */
    struct slice tmid;         /* the thread it replies in */
    int64_t updated_ms, ts_ms; /* RC_NO_DATE */
    bool edited;               /* editedAt is there */
    bool tshow;                /* a thread's reply that shows in the room, too */
    bool touched; /* reactions, replies, a pin: somebody changed it after it was sent */
};

/* Does it say that `username` left the room (ul, ru), or came into it (uj, au)? rocketchat.md 4. */
enum rc_move { RC_MOVE_NONE, RC_MOVE_OUT, RC_MOVE_IN };
enum rc_move rc_message_move(const struct rc_message *m, struct slice username);

/* When it was written: its place in the room's order. RC_NO_DATE: it has no date at all. */
static inline int64_t rc_message_created_ms(const struct rc_message *m)
{
    return m->ts_ms != RC_NO_DATE ? m->ts_ms : m->updated_ms;
}

/* Rocket.Chat does not make a message the last one when it is dated further back:
 * rocketchat.md 6.4. */
enum { RC_BACKDATED_MS = 60 * 1000 };

/* It was written, by its dates, so long before its last change. */
static inline bool rc_message_is_changed_late(const struct rc_message *m)
{
    const int64_t created = rc_message_created_ms(m);

    return created != RC_NO_DATE && m->updated_ms != RC_NO_DATE &&
           created <= m->updated_ms - RC_BACKDATED_MS;
}

struct rc_subscription {
    struct slice raw;
    struct slice id, rid, type; /* of removed, old versions send neither id nor rid */
    int64_t ts_ms;              /* since when; RC_NO_DATE */
};

enum { RC_NO_COUNT = -1 };

struct rc_room {
    struct slice raw;
    struct slice id, type;
    int64_t msgs;                   /* the message counter, or RC_NO_COUNT */
    int64_t updated_ms;             /* of the room document; RC_NO_DATE */
    struct rc_message last_message; /* raw.ptr NULL: missing or null */
};

enum rc_event_kind {
    RC_EVENT_OTHER,        /* none of those below */
    RC_EVENT_EPHEMERAL,    /* notify-user <uid>/message: message */
    RC_EVENT_SUBSCRIPTION, /* notify-user <uid>/subscriptions-changed: action, subscription */
    RC_EVENT_ROOM,         /* notify-user <uid>/rooms-changed: action, room */
    RC_EVENT_ROOM_MESSAGE, /* room-messages <rid> or __my_messages__: message, participant */
    RC_EVENT_DELETED,      /* notify-room <rid>/deleteMessage: room_id, message.id */
    RC_EVENT_DELETED_MANY, /* notify-room <rid>/deleteMessageBulk: room_id, ids */
    /* The first arguments as they stand, in plain: */
    RC_EVENT_ACTIVITY,     /* notify-room <rid>/user-activity: room_id; "name", ["user-typing"] */
    RC_EVENT_READ,         /* notify-room <rid>/messagesRead: room_id; {"until",...} */
    RC_EVENT_NOTIFICATION, /* notify-user <uid>/notification: {"title",...} */
    RC_EVENT_USER_DATA,    /* notify-user <uid>/userData: {"type",...} */
    RC_EVENT_USER_STATUS,  /* notify-logged user-status: [uid, user name, status, text, ...] */
};

enum rc_action { RC_INSERTED, RC_UPDATED, RC_REMOVED };

struct rc_event {
    enum rc_event_kind kind;
    struct slice user_id;    /* of notify-user: before the slash of the event name */
    struct slice room_id;    /* of notify-room: the same */
    struct slice raw_action; /* as sent: "inserted", or the older "insert" */
    enum rc_action action;
    struct slice args; /* all arguments, as they stand between the brackets */
    bool participant;  /* false only where Rocket.Chat says that the user merely could read the room
                        */
    union {
        struct rc_message message;
        struct rc_subscription subscription;
        struct rc_room room;
        struct slice ids; /* a raw array of strings; ptr NULL: those of a time span */
        struct {
            struct slice first, second; /* raw values; second.ptr NULL: there is none */
        } plain;
    };
};

void rc_event_parse(const struct ddp_event *in, struct rc_event *out);

/* Consume the value that is due: one document, as in events and in the lists that subscriptions/get
 * and rooms/get answer. Not an object: raw (of a room: id) stays empty. */
void rc_message_read(struct json_reader *r, struct rc_message *out);
void rc_subscription_read(struct json_reader *r, struct rc_subscription *out);
void rc_room_read(struct json_reader *r, struct rc_room *out);

#endif
