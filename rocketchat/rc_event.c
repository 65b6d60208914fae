#include "rocketchat/rc_event.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/json_fields_internal.h"
#include <strings.h>

static bool read_true(struct json_reader *r)
{
    bool is_true = json_peek(r) == JSON_KIND_TRUE;

    json_skip(r);
    return is_true;
}

void rc_message_read(struct json_reader *r, struct rc_message *out)
{
    struct json_key key;
    const char *mark = json_mark(r);

    *out = (struct rc_message){.updated_ms = RC_NO_DATE, .ts_ms = RC_NO_DATE};
    if (!json_enter_object_or_skip(r))
        return;
    while (json_next_plain_key(r, &key)) {
        if (json_key_is(&key, "_id"))
            json_read_if(r, JSON_KIND_STRING, &out->id);
        else if (json_key_is(&key, "rid"))
            json_read_if(r, JSON_KIND_STRING, &out->rid);
        else if (json_key_is(&key, "t"))
            json_read_if(r, JSON_KIND_STRING, &out->type);
        else if (json_key_is(&key, "msg"))
            json_read_if(r, JSON_KIND_STRING, &out->text);
        else if (json_key_is(&key, "tmid"))
            json_read_if(r, JSON_KIND_STRING, &out->tmid);
        else if (json_key_is(&key, "ts"))
            out->ts_ms = rc_date_read(r);
        else if (json_key_is(&key, "_updatedAt"))
            out->updated_ms = rc_date_read(r);
        else if (json_key_is(&key, "editedAt"))
            out->edited = rc_date_read(r) != RC_NO_DATE;
        else if (json_key_is(&key, "tshow"))
            out->tshow = read_true(r);
        else if (json_key_is(&key, "pinned"))
            out->touched |= read_true(r);
        else if (json_key_is(&key, "tcount") || json_key_is(&key, "reactions")) {
            out->touched = true;
            json_skip(r);
        } else
            json_skip(r);
    }
    out->raw = json_since(r, mark);
}

enum rc_move rc_message_move(const struct rc_message *m, struct slice username)
{
    bool out = json_string_is(m->type, "ul") || json_string_is(m->type, "ru");

    if (m->type.len != 2 ||
        (!out && !json_string_is(m->type, "uj") && !json_string_is(m->type, "au")))
        return RC_MOVE_NONE;
    /* User names are ASCII; the one that was logged in with may differ in case. */
    if (m->text.len != username.len || strncasecmp(m->text.ptr, username.ptr, username.len) != 0)
        return RC_MOVE_NONE;
    return out ? RC_MOVE_OUT : RC_MOVE_IN;
}

void rc_subscription_read(struct json_reader *r, struct rc_subscription *out)
{
    struct json_key key;
    const char *mark = json_mark(r);

    *out = (struct rc_subscription){.ts_ms = RC_NO_DATE};
    if (!json_enter_object_or_skip(r))
        return;
    while (json_next_plain_key(r, &key)) {
        if (json_key_is(&key, "_id"))
            json_read_if(r, JSON_KIND_STRING, &out->id);
        else if (json_key_is(&key, "rid"))
            json_read_if(r, JSON_KIND_STRING, &out->rid);
        else if (json_key_is(&key, "t"))
            json_read_if(r, JSON_KIND_STRING, &out->type);
        else if (json_key_is(&key, "ts"))
            out->ts_ms = rc_date_read(r);
        else
            json_skip(r);
    }
    out->raw = json_since(r, mark);
}

static int64_t read_count(struct json_reader *r)
{
    struct slice text;
    uint64_t count;

    /* 2^53 - 1: exact in JavaScript, too */
    if (!json_read_if(r, JSON_KIND_NUMBER, &text) ||
        !slice_read_digits(text, UINT64_C(9007199254740991), &count))
        return RC_NO_COUNT;
    return (int64_t)count;
}

void rc_room_read(struct json_reader *r, struct rc_room *out)
{
    struct json_key key;
    const char *mark = json_mark(r);

    *out = (struct rc_room){.msgs = RC_NO_COUNT, .updated_ms = RC_NO_DATE};
    if (!json_enter_object_or_skip(r))
        return;
    while (json_next_plain_key(r, &key)) {
        if (json_key_is(&key, "_id"))
            json_read_if(r, JSON_KIND_STRING, &out->id);
        else if (json_key_is(&key, "t"))
            json_read_if(r, JSON_KIND_STRING, &out->type);
        else if (json_key_is(&key, "msgs"))
            out->msgs = read_count(r);
        else if (json_key_is(&key, "_updatedAt"))
            out->updated_ms = rc_date_read(r);
        else if (json_key_is(&key, "lastMessage"))
            rc_message_read(r, &out->last_message);
        else
            json_skip(r);
    }
    out->raw = json_since(r, mark);
}

/* "u9/rooms-changed" to its halves; false: no slash. The slash may be escaped. */
static bool split_event_name(struct slice raw, struct slice *user_id, struct slice *name)
{
    const char *slash = raw.len > 0 ? memchr(raw.ptr, '/', raw.len) : NULL;
    size_t end, backslashes = 0;

    if (slash == NULL)
        return false;
    end = (size_t)(slash - raw.ptr);
    while (backslashes < end && raw.ptr[end - 1 - backslashes] == '\\')
        backslashes++;
    *user_id = (struct slice){raw.ptr, end - backslashes % 2};
    *name = (struct slice){slash + 1, raw.len - end - 1};
    return true;
}

static bool action_of(struct slice raw, enum rc_action *out)
{
    static const struct {
        const char *name;
        enum rc_action action;
    } actions[] = {
        {"updated", RC_UPDATED}, {"inserted", RC_INSERTED}, {"removed", RC_REMOVED},
        {"update", RC_UPDATED},  {"insert", RC_INSERTED},   {"remove", RC_REMOVED},
        {"changed", RC_UPDATED},
    };

    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (json_string_is(raw, actions[i].name)) {
            *out = actions[i].action;
            return true;
        }
    return false;
}

/* [action, document]: the reader is left at the document. */
static bool read_action(struct json_reader *r, struct rc_event *out)
{
    return json_next_item(r) && json_read_if(r, JSON_KIND_STRING, &out->raw_action) &&
           action_of(out->raw_action, &out->action) && json_next_item(r);
}

/* Each reader of a kind: true when what it found makes an event. */
static bool read_changed_subscription(struct json_reader *r, struct rc_event *out)
{
    if (!read_action(r, out))
        return false;
    rc_subscription_read(r, &out->subscription);
    return out->subscription.raw.ptr != NULL;
}

static bool read_changed_room(struct json_reader *r, struct rc_event *out)
{
    if (!read_action(r, out))
        return false;
    rc_room_read(r, &out->room);
    return out->room.id.len > 0;
}

static bool read_message(struct json_reader *r, struct rc_event *out)
{
    if (!json_next_item(r))
        return false;
    rc_message_read(r, &out->message);
    return out->message.id.len > 0;
}

/* Goes by once and is known by nothing: any object will do. */
static bool read_ephemeral(struct json_reader *r, struct rc_event *out)
{
    if (!json_next_item(r) || json_peek(r) != JSON_KIND_OBJECT)
        return false;
    rc_message_read(r, &out->message);
    return true;
}

/* {"roomParticipant":bool,...}: __my_messages__ only. */
static bool read_participant(struct json_reader *r)
{
    struct json_key key;
    bool participant = true;

    if (!json_enter_object_or_skip(r))
        return true;
    while (json_next_plain_key(r, &key)) {
        if (json_key_is(&key, "roomParticipant"))
            participant = json_peek(r) != JSON_KIND_FALSE;
        json_skip(r);
    }
    return participant;
}

static bool read_room_message(struct json_reader *r, struct rc_event *out)
{
    if (!read_message(r, out))
        return false;
    if (json_next_item(r))
        out->participant = read_participant(r);
    return true;
}

/* {"rid":...,"ids":[...]}, or a span of time in place of ids. */
static bool read_deleted_many(struct json_reader *r, struct rc_event *out)
{
    struct json_key key;

    if (!json_next_item(r) || json_peek(r) != JSON_KIND_OBJECT)
        return false;
    json_enter_object(r);
    while (json_next_plain_key(r, &key)) {
        if (json_key_is(&key, "ids"))
            json_read_if(r, JSON_KIND_ARRAY, &out->ids);
        else
            json_skip(r);
    }
    return true;
}

static bool read_plain(struct json_reader *r, enum json_kind first, struct rc_event *out)
{
    if (!json_next_item(r) || json_peek(r) != first || !json_read_raw(r, &out->plain.first))
        return false;
    if (json_next_item(r))
        json_read_raw(r, &out->plain.second);
    return true;
}

static bool read_args(struct json_reader *r, struct rc_event *out)
{
    switch (out->kind) {
    case RC_EVENT_EPHEMERAL:
        return read_ephemeral(r, out);
    case RC_EVENT_SUBSCRIPTION:
        return read_changed_subscription(r, out);
    case RC_EVENT_ROOM:
        return read_changed_room(r, out);
    case RC_EVENT_ROOM_MESSAGE:
        return read_room_message(r, out);
    case RC_EVENT_DELETED:
        return read_message(r, out);
    case RC_EVENT_DELETED_MANY:
        return read_deleted_many(r, out);
    case RC_EVENT_ACTIVITY:
        return read_plain(r, JSON_KIND_STRING, out);
    case RC_EVENT_USER_STATUS:
        return read_plain(r, JSON_KIND_ARRAY, out);
    case RC_EVENT_READ:
    case RC_EVENT_NOTIFICATION:
    case RC_EVENT_USER_DATA:
        return read_plain(r, JSON_KIND_OBJECT, out);
    case RC_EVENT_OTHER:
        break;
    }
    return false;
}

static const struct {
    const char *stream, *event; /* what stands behind the slash */
    enum rc_event_kind kind;
} kinds[] = {
    {"stream-notify-user", "rooms-changed", RC_EVENT_ROOM},
    {"stream-notify-user", "subscriptions-changed", RC_EVENT_SUBSCRIPTION},
    {"stream-notify-user", "message", RC_EVENT_EPHEMERAL},
    {"stream-notify-room", "deleteMessage", RC_EVENT_DELETED},
    {"stream-notify-room", "deleteMessageBulk", RC_EVENT_DELETED_MANY},
    {"stream-notify-room", "user-activity", RC_EVENT_ACTIVITY},
    {"stream-notify-room", "messagesRead", RC_EVENT_READ},
    {"stream-notify-user", "notification", RC_EVENT_NOTIFICATION},
    {"stream-notify-user", "userData", RC_EVENT_USER_DATA},
};

static enum rc_event_kind kind_of(const struct ddp_event *in, struct rc_event *out)
{
    struct slice name, id;

    if (json_string_is(in->collection, "stream-room-messages"))
        return RC_EVENT_ROOM_MESSAGE;
    if (!split_event_name(in->event_name, &id, &name))
        return json_string_is(in->collection, "stream-notify-logged") &&
                       json_string_is(in->event_name, "user-status")
                   ? RC_EVENT_USER_STATUS
                   : RC_EVENT_OTHER;
    if (json_string_is(in->collection, "stream-notify-user"))
        out->user_id = id;
    else
        out->room_id = id;
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (json_string_is(name, kinds[i].event) && json_string_is(in->collection, kinds[i].stream))
            return kinds[i].kind;
    return RC_EVENT_OTHER;
}

void rc_event_parse(const struct ddp_event *in, struct rc_event *out)
{
    struct json_reader r;

    *out = (struct rc_event){.participant = true};
    out->kind = kind_of(in, out);
    json_reader_init(&r, in->args.ptr, in->args.len, JSON_MAX_DEPTH);
    if (!json_enter_array(&r) || !read_args(&r, out) || json_failed(&r))
        out->kind = RC_EVENT_OTHER;
    else
        out->args = (struct slice){in->args.ptr + 1, in->args.len - 2};
}
