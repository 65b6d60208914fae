/* Any bytes as a stream of lists and events, one a line: bounds hold, nothing is told twice in a
 * row, and what a list or an event taught comes back. */
#include "base/json_slice.h"
#include "rocketchat/room_memory.h"
#include <assert.h>
#include <stdlib.h>

enum { MAX_ROOMS = 5, MAX_MESSAGES = 6 };

static void check_bounds(const struct room_memory *m)
{
    struct room_memory_stats stats;

    room_memory_stats(m, &stats);
    assert(stats.rooms <= MAX_ROOMS && stats.messages <= MAX_MESSAGES);
    assert(stats.bytes < 8192);
}

static void see_room(struct room_memory *m, struct slice json)
{
    struct json_reader r;
    struct rc_room room;
    enum room_sight sight;

    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    rc_room_read(&r, &room);
    if (!json_end(&r) || room.id.len == 0)
        return;
    sight = room_memory_see_room(m, RC_UPDATED, &room, NULL);
    assert((sight == ROOM_SIGHT_NONE) == (room.last_message.id.len == 0));
    if (sight != ROOM_SIGHT_NONE)
        assert(room_memory_see_room(m, RC_UPDATED, &room, NULL) == ROOM_SIGHT_REPEAT);
    if (json.len % 5 == 0)
        room_memory_see_room(m, RC_REMOVED, &room, NULL);
}

static void see_message(struct room_memory *m, struct slice json)
{
    struct json_reader r;
    struct rc_message msg;

    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    rc_message_read(&r, &msg);
    if (!json_end(&r) || msg.id.len == 0)
        return;
    assert(room_memory_see_message(m, &msg) != ROOM_SIGHT_NONE);
    assert(room_memory_see_message(m, &msg) == ROOM_SIGHT_REPEAT);
}

static void see_subscription(struct room_memory *m, struct slice json)
{
    char buffer[ROOM_MEMORY_ID_MAX];
    struct json_reader r;
    struct rc_subscription sub, end;
    struct slice rid;

    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    rc_subscription_read(&r, &sub);
    if (!json_end(&r) || sub.rid.len == 0 || sub.rid.len > ROOM_MEMORY_ID_MAX)
        return;
    room_memory_subscription_inserted(m, &sub);
    assert(room_memory_is_member(m, sub.rid));
    assert(!room_memory_subscription_inserted(m, &sub));
    if (json.len % 3 == 0)
        return;
    end = (struct rc_subscription){.id = sub.id};
    if (sub.id.len == 0 || sub.id.len > ROOM_MEMORY_ID_MAX)
        end = sub;
    rid = room_memory_subscription_removed(m, &end, buffer);
    assert(rid.len > 0);
}

static void see_repaired(struct room_memory *m, struct slice json)
{
    struct json_reader r;
    struct rc_message msg;

    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    rc_message_read(&r, &msg);
    if (!json_end(&r) || msg.id.len == 0)
        return;
    room_memory_pin(m, true);
    if (json.len % 2 == 0)
        room_memory_left(m, msg.rid, msg.ts_ms);
    room_memory_see_repaired(m, &msg, msg.updated_ms / 2);
    assert(room_memory_see_repaired(m, &msg, msg.updated_ms / 2) == ROOM_SIGHT_REPEAT);
    room_memory_see_deleted(m, msg.rid, msg.id, msg.updated_ms, msg.updated_ms / 2);
    assert(!room_memory_see_deleted(m, msg.rid, msg.id, msg.updated_ms, msg.updated_ms / 2));
    room_memory_returned(m, msg.rid, msg.updated_ms);
    room_memory_repaired(m, msg.rid, msg.updated_ms);
    assert(room_memory_lacking_since(m, msg.rid) == RC_NO_DATE);
    assert(room_memory_take_doubtful(m) <= 2);
    room_memory_pin(m, false);
}

static void on_moved(void *arg, struct slice rid, int64_t moved)
{
    (void)moved;
    assert(room_memory_lacking_since(arg, rid) != RC_NO_DATE);
}

static void on_joined(void *arg, const struct rc_subscription *sub)
{
    (void)arg;
    assert(sub->rid.len > 0);
}

static void on_left(void *arg, struct slice sub_id, struct slice rid)
{
    (void)arg;
    assert(sub_id.len <= ROOM_MEMORY_ID_MAX && rid.len > 0);
}

static void take(struct room_memory *m, char how, struct slice json)
{
    const struct room_membership membership = {on_joined, on_left, NULL};

    switch (how) {
    case 's':
        room_memory_fill_subscriptions(m, json);
        break;
    case 'r':
        room_memory_fill_rooms(m, json);
        break;
    case 'R':
        see_room(m, json);
        break;
    case 'P':
        see_repaired(m, json);
        break;
    case 'G':
        room_memory_gap(m);
        room_memory_check_subscriptions(m, json, &membership);
        room_memory_check_rooms(m, json, on_moved, m);
        break;
    case 'M':
        see_message(m, json);
        break;
    case 'S':
        see_subscription(m, json);
        break;
    }
    check_bounds(m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct room_memory *m = room_memory_new(MAX_ROOMS, MAX_MESSAGES);

    assert(m != NULL);
    while (len > 0) {
        const uint8_t *line_end = memchr(data, '\n', len);
        size_t line = line_end != NULL ? (size_t)(line_end - data) : len;

        if (line > 1)
            take(m, (char)data[0], (struct slice){(const char *)data + 1, line - 1});
        line += line_end != NULL;
        data += line;
        len -= line;
    }
    room_memory_free(m);
    return 0;
}
