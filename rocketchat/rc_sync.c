#include "rocketchat/rc_sync.h"
#include "rocketchat/json_fields_internal.h"

static void read_messages(struct json_reader *r, const struct rc_sync_sink *sink)
{
    struct rc_message m;

    if (!json_enter_array(r))
        return;
    while (json_next_item(r)) {
        rc_message_read(r, &m);
        if (m.id.len > 0)
            sink->message(sink->arg, &m);
    }
}

static void read_deleted(struct json_reader *r, const struct rc_sync_sink *sink)
{
    struct json_key key;

    if (!json_enter_array(r))
        return;
    while (json_next_item(r)) {
        struct slice id = {0};
        int64_t deleted_ms = RC_NO_DATE;

        if (!json_enter_object_or_skip(r))
            continue;
        while (json_next_plain_key(r, &key)) {
            if (json_key_is(&key, "_id"))
                json_read_if(r, JSON_KIND_STRING, &id);
            else if (json_key_is(&key, "_deletedAt"))
                deleted_ms = rc_date_read(r);
            else
                json_skip(r);
        }
        if (id.len > 0)
            sink->deleted(sink->arg, id, deleted_ms);
    }
}

static bool read_lists(struct json_reader *r, const struct rc_sync_sink *sink, bool in_envelope)
{
    struct json_key key;
    bool found = false;

    json_enter_object(r);
    while (json_next_plain_key(r, &key)) {
        enum json_kind kind = json_peek(r);

        if (kind == JSON_KIND_ARRAY && json_key_is(&key, "updated")) {
            read_messages(r, sink);
            found = true;
        } else if (kind == JSON_KIND_ARRAY && json_key_is(&key, "deleted")) {
            read_deleted(r, sink);
            found = true;
        } else if (kind == JSON_KIND_OBJECT && !in_envelope && json_key_is(&key, "result")) {
            found |= read_lists(r, sink, true);
        } else {
            json_skip(r);
        }
    }
    return found;
}

bool rc_sync_read(struct slice json, const struct rc_sync_sink *sink)
{
    struct json_reader r;

    /* Looked through before anything is told: an answer that breaks off is none. */
    if (!json_valid(json.ptr, json.len, JSON_MAX_DEPTH))
        return false;
    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    switch (json_peek(&r)) {
    case JSON_KIND_ARRAY:
        read_messages(&r, sink);
        return true;
    case JSON_KIND_OBJECT:
        return read_lists(&r, sink, false);
    default:
        return false;
    }
}
