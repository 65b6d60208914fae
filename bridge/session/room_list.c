#include "bridge/session/room_list.h"

#include "base/json_slice.h"
#include "rocketchat/rc_event.h"
#include "rocketchat/rc_list.h"
#include <stdlib.h>

struct listed {
    struct slice rid, raw;
};

struct rooms {
    struct listed *items;
    size_t count, cap;
};

static int by_rid(const void *a, const void *b)
{
    const struct slice l = ((const struct listed *)a)->rid, r = ((const struct listed *)b)->rid;
    const int order = memcmp(l.ptr, r.ptr, l.len < r.len ? l.len : r.len);

    return order != 0 ? order : (l.len > r.len) - (l.len < r.len);
}

static bool add_room(struct rooms *rooms, struct slice rid, struct slice raw)
{
    const size_t cap = rooms->cap == 0 ? 64 : rooms->cap * 2;
    struct listed *bigger;

    if (rooms->count == rooms->cap) {
        bigger = realloc(rooms->items, cap * sizeof *bigger);
        if (bigger == NULL)
            return false;
        rooms->items = bigger;
        rooms->cap = cap;
    }
    rooms->items[rooms->count++] = (struct listed){rid, raw};
    return true;
}

static bool read_rooms(struct slice json, struct rooms *rooms)
{
    struct json_reader r;
    struct rc_room room;

    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    if (!rc_list_enter(&r))
        return false;
    while (json_next_item(&r)) {
        rc_room_read(&r, &room);
        if (room.id.len > 0 && !add_room(rooms, room.id, room.raw))
            return false;
    }
    if (rooms->count > 0)
        qsort(rooms->items, rooms->count, sizeof *rooms->items, by_rid);
    return true;
}

/* The member of a document, raw; fallback where it is missing. */
static struct slice member(struct slice document, const char *name, enum json_kind kind,
                           const char *fallback)
{
    struct slice key, value, found = slice_of(fallback);
    struct json_reader r;

    json_reader_init(&r, document.ptr, document.len, JSON_MAX_DEPTH);
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        const enum json_kind is = json_peek(&r);

        if (json_read_raw(&r, &value) && json_string_is(key, name) &&
            (is == kind || (kind == JSON_KIND_TRUE && is == JSON_KIND_FALSE)))
            found = value;
    }
    return found;
}

static void write_one(const struct rc_subscription *sub, const struct rooms *rooms,
                      struct byte_buf *out)
{
    const struct listed key = {.rid = sub->rid};
    const struct listed *room =
        rooms->count == 0 ? NULL
                          : bsearch(&key, rooms->items, rooms->count, sizeof *rooms->items, by_rid);

    byte_buf_puts(out, out->len > 1 ? ",{\"rid\":\"" : "{\"rid\":\"");
    byte_buf_put(out, sub->rid);
    byte_buf_puts(out, "\",\"unread\":");
    byte_buf_put(out, member(sub->raw, "unread", JSON_KIND_NUMBER, "0"));
    byte_buf_puts(out, ",\"alert\":");
    byte_buf_put(out, member(sub->raw, "alert", JSON_KIND_TRUE, "false"));
    byte_buf_puts(out, ",\"subscription\":");
    byte_buf_put(out, sub->raw);
    byte_buf_puts(out, ",\"room\":");
    byte_buf_put(out, room != NULL ? room->raw : SLICE_LIT("null"));
    byte_buf_putc(out, '}');
}

bool room_list_join(struct slice subscriptions, struct slice rooms_json, struct byte_buf *out)
{
    struct rooms rooms = {0};
    struct rc_subscription sub;
    struct json_reader r;
    bool ok = false;

    if (!json_valid(subscriptions.ptr, subscriptions.len, JSON_MAX_DEPTH) ||
        !json_valid(rooms_json.ptr, rooms_json.len, JSON_MAX_DEPTH) ||
        !read_rooms(rooms_json, &rooms))
        goto done;
    json_reader_init(&r, subscriptions.ptr, subscriptions.len, JSON_MAX_DEPTH);
    if (!rc_list_enter(&r))
        goto done;
    byte_buf_putc(out, '[');
    while (json_next_item(&r)) {
        rc_subscription_read(&r, &sub);
        if (sub.rid.len > 0)
            write_one(&sub, &rooms, out);
    }
    byte_buf_putc(out, ']');
    ok = !byte_buf_failed(out);
done:
    free(rooms.items);
    return ok;
}
