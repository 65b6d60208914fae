/* Any bytes as a frame: whatever event comes out of it has the form of its kind, and every slice of
 * it lies in the frame. Dates of both forms stay in JavaScript's range. */
#include "base/json_slice.h"
#include "rocketchat/ddp_codec.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/rc_event.h"
#include <assert.h>

static struct slice text;

static void check_string(struct slice s)
{
    assert(s.ptr == NULL || (s.ptr > text.ptr && s.ptr + s.len < text.ptr + text.len));
}

static void check_document(struct slice s)
{
    if (s.ptr == NULL)
        return;
    check_string(s);
    assert(s.ptr[0] == '{' && json_valid(s.ptr, s.len, JSON_MAX_DEPTH));
}

static void check_value(struct slice s)
{
    check_string(s);
    assert(s.ptr == NULL || json_valid(s.ptr, s.len, JSON_MAX_DEPTH));
}

static void check_date(int64_t ms)
{
    assert(ms == RC_NO_DATE || (ms >= -8640000000000000 && ms <= 8640000000000000));
}

static void check_message(const struct rc_message *m)
{
    check_document(m->raw);
    check_string(m->id);
    check_string(m->rid);
    check_string(m->type);
    check_string(m->tmid);
    check_date(m->updated_ms);
    check_date(m->ts_ms);
}

static void check_action(const struct rc_event *e)
{
    check_string(e->raw_action);
    check_string(e->user_id);
    assert(e->raw_action.ptr != NULL && e->user_id.ptr != NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct ddp_event in;
    struct rc_event out;
    struct ddp_frame f;

    text = (struct slice){(const char *)data, len};
    if (!ddp_frame_parse(text, &f) || f.event_name.ptr == NULL || f.collection.ptr == NULL)
        return 0;
    in = (struct ddp_event){.collection = f.collection, .event_name = f.event_name, .args = f.args};
    rc_event_parse(&in, &out);
    switch (out.kind) {
    case RC_EVENT_OTHER:
        break;
    case RC_EVENT_EPHEMERAL:
    case RC_EVENT_ROOM_MESSAGE:
        assert(out.message.raw.ptr != NULL);
        assert(out.message.id.len > 0 || out.kind == RC_EVENT_EPHEMERAL); /* these need none */
        check_message(&out.message);
        break;
    case RC_EVENT_ACTIVITY:
    case RC_EVENT_READ:
    case RC_EVENT_NOTIFICATION:
    case RC_EVENT_USER_DATA:
    case RC_EVENT_USER_STATUS:
        check_value(out.plain.first);
        assert(out.plain.first.len > 0);
        check_value(out.plain.second);
        break;
    case RC_EVENT_SUBSCRIPTION:
        check_action(&out);
        assert(out.subscription.raw.ptr != NULL);
        check_document(out.subscription.raw);
        check_string(out.subscription.id);
        check_string(out.subscription.rid);
        check_string(out.subscription.type);
        break;
    case RC_EVENT_ROOM:
        check_action(&out);
        assert(out.room.id.len > 0 && out.room.msgs >= RC_NO_COUNT);
        check_string(out.room.id);
        check_string(out.room.type);
        check_message(&out.room.last_message);
        break;
    case RC_EVENT_DELETED:
        assert(out.room_id.ptr != NULL && out.message.id.len > 0);
        check_string(out.room_id);
        check_message(&out.message);
        break;
    case RC_EVENT_DELETED_MANY:
        assert(out.room_id.ptr != NULL);
        check_string(out.room_id);
        check_string(out.ids);
        assert(out.ids.ptr == NULL ||
               (out.ids.ptr[0] == '[' && json_valid(out.ids.ptr, out.ids.len, JSON_MAX_DEPTH)));
        break;
    }
    return 0;
}
