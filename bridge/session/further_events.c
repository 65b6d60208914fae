#include "bridge/session/further_events.h"

#include "bridge/session/event_map.h"
#include "signalr/protocol/hub_message.h"
#include <stdlib.h>

static const struct {
    const char *name, *target;
} events[FURTHER_NEVENTS] = {
    [FURTHER_TYPING] = {"typing", "getUserActivityNotification"},
    [FURTHER_READ] = {"read", "getRoomReadNotification"},
    [FURTHER_USER_STATUS] = {"user-status", "getUserStatusNotification"},
    [FURTHER_NOTIFICATION] = {"notification", "getDesktopNotification"},
    [FURTHER_USER_DATA] = {"user-data", "getUserDataNotification"},
    [FURTHER_ROOM_CHANGED] = {"room-changed", "getRoomChangedNotification"},
};

/* What .NET's clients take for a method's name, and more. */
static bool is_target(struct slice text)
{
    for (size_t i = 0; i < text.len; i++)
        if (text.ptr[i] <= ' ' || text.ptr[i] > '~' || text.ptr[i] == '"' || text.ptr[i] == '\\' ||
            text.ptr[i] == ':')
            return false;
    return text.len > 0 && text.len <= FURTHER_TARGET_MAX;
}

const char *further_map_add(struct further_map *map, struct slice item)
{
    const bool as_args = slice_cut_suffix(&item, SLICE_LIT(":args"));
    const char *equals = item.len == 0 ? NULL : memchr(item.ptr, '=', item.len);
    struct slice name = {item.ptr, equals == NULL ? item.len : (size_t)(equals - item.ptr)};
    struct slice target = {0};
    struct further_row *row;

    for (int i = 0; i < FURTHER_NEVENTS; i++) {
        if (!slice_eq(name, slice_of(events[i].name)))
            continue;
        row = &map->rows[i];
        if (row->on)
            return "must be there once only";
        target = equals == NULL ? slice_of(events[i].target)
                                : (struct slice){equals + 1, item.len - name.len - 1};
        if (!is_target(target))
            return "must name a target of 1 to 100 printable characters without space, quote, "
                   "colon "
                   "or backslash";
        *row = (struct further_row){.on = true, .as_args = as_args};
        memcpy(row->target, target.ptr, target.len);
        return NULL;
    }
    return "must be typing, read, user-status, notification, user-data or room-changed, with "
           "=TARGET or =TARGET:args behind it where another target is wanted";
}

bool further_event_of(const struct rc_event *e, enum further_event *which)
{
    switch (e->kind) {
    case RC_EVENT_ACTIVITY:
        *which = FURTHER_TYPING;
        return true;
    case RC_EVENT_READ:
        *which = FURTHER_READ;
        return true;
    case RC_EVENT_USER_STATUS:
        *which = FURTHER_USER_STATUS;
        return true;
    case RC_EVENT_NOTIFICATION:
        *which = FURTHER_NOTIFICATION;
        return true;
    case RC_EVENT_USER_DATA:
        *which = FURTHER_USER_DATA;
        return true;
    default:
        return false;
    }
}

static struct hub_buf *as_args(struct slice target, enum further_event which,
                               const struct rc_event *e)
{
    const bool of_room = which == FURTHER_TYPING || which == FURTHER_READ;
    const struct slice parts[] = {SLICE_LIT("\""), e->room_id, SLICE_LIT("\","), e->args};

    return of_room ? hub_message_invocation_parts(target, parts, 4)
                   : hub_message_invocation(target, e->args);
}

static struct hub_buf *typing(struct slice target, const struct rc_event *e)
{
    const struct slice parts[] = {
        SLICE_LIT("{\"rid\":\""),
        e->room_id,
        SLICE_LIT("\",\"user\":"),
        e->plain.first,
        SLICE_LIT(",\"activities\":"),
        e->plain.second.ptr != NULL ? e->plain.second : SLICE_LIT("[]"),
        SLICE_LIT("}"),
    };

    return hub_message_invocation_parts(target, parts, sizeof parts / sizeof parts[0]);
}

/* The room's id becomes the object's first member. */
static struct hub_buf *read_until(struct slice target, const struct rc_event *e)
{
    const struct slice object = e->plain.first;
    size_t first = 1;

    while (strchr(" \t\r\n", object.ptr[first]) != NULL)
        first++;
    {
        const struct slice parts[] = {SLICE_LIT("{\"rid\":\""),
                                      e->room_id,
                                      object.ptr[first] == '}' ? SLICE_LIT("\"") : SLICE_LIT("\","),
                                      {object.ptr + 1, object.len - 1}};

        return hub_message_invocation_parts(target, parts, 4);
    }
}

struct hub_buf *further_event_message(const struct further_row *row, enum further_event which,
                                      const struct rc_event *e, bool raw_methods)
{
    const struct slice target = slice_of(row->target);

    if (row->as_args)
        return as_args(target, which, e);
    switch (which) {
    case FURTHER_TYPING:
        return typing(target, e);
    case FURTHER_READ:
        return read_until(target, e);
    case FURTHER_ROOM_CHANGED:
        return event_map_room_to(target, e, raw_methods);
    case FURTHER_USER_STATUS:
    case FURTHER_NOTIFICATION:
    case FURTHER_USER_DATA:
        return hub_message_invocation(target, e->plain.first);
    case FURTHER_NEVENTS:
        break;
    }
    abort();
}
