#include "bridge/session/event_map.h"
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "signalr/protocol/hub_message.h"
#include <assert.h>
#include <inttypes.h>

static struct slice method_name(const struct rc_event *event, bool raw_methods)
{
    static const char *const names[] = {
        [RC_INSERTED] = "insert",
        [RC_UPDATED] = "update",
        [RC_REMOVED] = "remove",
    };

    return raw_methods ? event->raw_action : slice_of(names[event->action]);
}

struct hub_buf *event_map_message(const struct rc_message *m)
{
    return hub_message_invocation(SLICE_LIT("getRoomMessageNotification"), m->raw);
}

struct hub_buf *event_map_message_update(const struct rc_message *m, enum settings_updates updates)
{
    assert(updates != UPDATES_OFF);
    if (updates == UPDATES_SAME)
        return event_map_message(m);
    return hub_message_invocation(SLICE_LIT("getRoomMessageUpdatedNotification"), m->raw);
}

struct hub_buf *event_map_thread_message(const struct rc_message *m)
{
    return hub_message_invocation(SLICE_LIT("getThreadMessageNotification"), m->raw);
}

struct hub_buf *event_map_deleted(struct slice rid, struct slice id)
{
    const struct slice parts[] = {SLICE_LIT("{\"_id\":\""), id, SLICE_LIT("\",\"rid\":\""), rid,
                                  SLICE_LIT("\"}")};

    return hub_message_invocation_parts(SLICE_LIT("getRoomMessageDeletedNotification"), parts,
                                        sizeof parts / sizeof parts[0]);
}

struct hub_buf *event_map_room_to(struct slice target, const struct rc_event *event,
                                  bool raw_methods)
{
    const struct slice parts[] = {SLICE_LIT("{\"msg\":"), event->room.raw,
                                  SLICE_LIT(",\"method\":\""), method_name(event, raw_methods),
                                  SLICE_LIT("\"}")};

    return hub_message_invocation_parts(target, parts, sizeof parts / sizeof parts[0]);
}

struct hub_buf *event_map_room(const struct rc_event *event, bool raw_methods)
{
    return event_map_room_to(SLICE_LIT("getRoomSubscriptionChangedNotification"), event,
                             raw_methods);
}

struct hub_buf *event_map_ephemeral(const struct rc_message *m)
{
    return hub_message_invocation(SLICE_LIT("getEphemeralMessageNotification"), m->raw);
}

/* `{` and what follows it, so that a member can be put in between. */
static struct slice behind_brace(struct slice object, bool *empty)
{
    struct slice rest = {object.ptr + 1, object.len - 1};
    size_t i = 0;

    while (i < rest.len && memchr(" \t\r\n", rest.ptr[i], 4) != NULL)
        i++;
    *empty = i < rest.len && rest.ptr[i] == '}';
    return rest;
}

struct hub_buf *event_map_subscription(const struct rc_event *event, struct slice rid,
                                       bool raw_methods)
{
    const struct rc_subscription *sub = &event->subscription;
    struct slice parts[8];
    size_t n = 0;
    bool empty;

    parts[n++] = SLICE_LIT("{\"msg\":");
    if (event->action == RC_REMOVED && sub->rid.ptr == NULL && rid.len > 0) {
        struct slice rest = behind_brace(sub->raw, &empty);
        parts[n++] = SLICE_LIT("{\"rid\":\"");
        parts[n++] = rid;
        parts[n++] = empty ? SLICE_LIT("\"") : SLICE_LIT("\",");
        parts[n++] = rest;
    } else {
        parts[n++] = sub->raw;
    }
    parts[n++] = SLICE_LIT(",\"method\":\"");
    parts[n++] = method_name(event, raw_methods);
    parts[n++] = SLICE_LIT("\"}");
    return hub_message_invocation_parts(SLICE_LIT("getRoomSubscriptionChangedNotification"), parts,
                                        n);
}

static struct hub_buf *finish(const char *target, struct byte_buf *argument)
{
    struct hub_buf *message =
        byte_buf_failed(argument)
            ? NULL
            : hub_message_invocation(slice_of(target), byte_buf_slice(argument));

    byte_buf_free(argument);
    return message;
}

struct hub_buf *event_map_status(const char *state, const char *code, uint64_t retry_after_ms)
{
    struct byte_buf argument = {0};

    byte_buf_puts(&argument, "{\"state\":");
    json_write_string(&argument, slice_of(state));
    byte_buf_puts(&argument, ",\"code\":");
    if (code == NULL || *code == '\0')
        byte_buf_puts(&argument, "null");
    else
        json_write_string(&argument, slice_of(code));
    byte_buf_puts(&argument, ",\"retryAfter\":");
    if (retry_after_ms == 0)
        byte_buf_puts(&argument, "null");
    else
        byte_buf_printf(&argument, "%" PRIu64, (retry_after_ms + 999) / 1000);
    byte_buf_putc(&argument, '}');
    return finish("bridgeStatus", &argument);
}

struct hub_buf *event_map_resync(struct slice rid, const char *reason)
{
    struct byte_buf argument = {0};

    byte_buf_puts(&argument, "{\"rid\":");
    if (rid.len > 0)
        byte_buf_printf(&argument, "\"%.*s\"", (int)rid.len, rid.ptr);
    else
        byte_buf_puts(&argument, "null");
    byte_buf_puts(&argument, ",\"reason\":");
    json_write_string(&argument, slice_of(reason));
    byte_buf_putc(&argument, '}');
    return finish("resyncRequired", &argument);
}
