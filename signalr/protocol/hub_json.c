#include "signalr/protocol/hub_json.h"
#include "base/json_slice.h"

/* What stands in the message, before its type is known. */
struct members {
    struct hub_json_message m;
    bool has_type, has_sequence_id;
    int64_t type;
};

static bool read_string_ids(struct json_reader *r, size_t *count)
{
    *count = 0;
    if (!json_enter_array(r))
        return false;
    while (json_next_item(r)) {
        struct slice id;

        if (!json_read_string(r, &id))
            return false;
        (*count)++;
    }
    return !json_failed(r);
}

static bool read_headers(struct json_reader *r)
{
    struct slice name, value;

    if (!json_enter_object(r))
        return false;
    while (json_next_key(r, &name))
        if (!json_read_string(r, &value))
            return false;
    return !json_failed(r);
}

static bool read_array(struct json_reader *r, struct slice *raw)
{
    return json_peek(r) == JSON_KIND_ARRAY && json_read_raw(r, raw);
}

static bool read_member(struct json_reader *r, struct slice key, struct members *in)
{
    struct hub_json_message *m = &in->m;

    if (json_string_is(key, "type"))
        return in->has_type = json_read_int64(r, &in->type);
    if (json_string_is(key, "target"))
        return json_read_string(r, &m->target);
    if (json_string_is(key, "arguments"))
        return read_array(r, &m->arguments);
    if (json_string_is(key, "invocationId"))
        return json_read_string(r, &m->invocation_id);
    if (json_string_is(key, "streamIds"))
        return read_string_ids(r, &m->stream_ids);
    if (json_string_is(key, "item"))
        return json_read_raw(r, &m->item);
    if (json_string_is(key, "result"))
        return json_read_raw(r, &m->result);
    if (json_string_is(key, "error"))
        return json_read_string(r, &m->error);
    if (json_string_is(key, "allowReconnect"))
        return json_read_bool(r, &m->allow_reconnect);
    if (json_string_is(key, "sequenceId"))
        return in->has_sequence_id = json_read_int64(r, &m->sequence_id);
    if (json_string_is(key, "headers"))
        return read_headers(r);
    return json_skip(r);
}

static bool has_needed_members(const struct members *in)
{
    const struct hub_json_message *m = &in->m;
    const bool has_id = m->invocation_id.len > 0; /* empty counts as missing */

    switch (m->type) {
    case HUB_INVOCATION:
        return m->target.len > 0 && m->arguments.ptr != NULL;
    case HUB_STREAM_INVOCATION:
        return has_id && m->target.len > 0 && m->arguments.ptr != NULL;
    case HUB_STREAM_ITEM:
        return has_id && m->item.ptr != NULL;
    case HUB_COMPLETION:
        return has_id && (m->error.ptr == NULL || m->result.ptr == NULL);
    case HUB_CANCEL_INVOCATION:
        return has_id;
    case HUB_ACK:
    case HUB_SEQUENCE:
        return in->has_sequence_id;
    case HUB_PING:
    case HUB_CLOSE:
    case HUB_UNKNOWN:
        return true;
    }
    return false;
}

bool hub_json_parse(struct slice body, struct hub_json_message *out)
{
    struct json_reader r;
    struct members in = {0};
    struct slice key;

    json_reader_init(&r, body.ptr, body.len, HUB_JSON_MAX_DEPTH);
    if (!json_enter_object(&r))
        return false;
    while (json_next_key(&r, &key))
        if (!read_member(&r, key, &in))
            return false;
    if (!json_end(&r) || !in.has_type || in.type < INT32_MIN || in.type > INT32_MAX)
        return false;
    in.m.type = in.type >= HUB_INVOCATION && in.type < HUB_UNKNOWN ? (enum hub_message_type)in.type
                                                                   : HUB_UNKNOWN;
    if (!has_needed_members(&in))
        return false;
    *out = in.m;
    return true;
}
