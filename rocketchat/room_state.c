#include "rocketchat/room_state.h"
#include "base/json_slice.h"
#include "base/le_record.h"
#include "rocketchat/room_memory_internal.h"
#include <string.h>

enum { VERSION = 1, FLAG_SEEN = 1, FLAG_TOLD = 2 };

static void write_room(const struct room_memory *m, const struct room *r, struct byte_buf *out)
{
    le_write_bytes(out, 2, room_table_rid(&m->rooms, r));
    le_write_bytes(out, 2, room_table_subscription(&m->rooms, r));
    le_write(out, 8, (uint64_t)r->mark_ms);
    le_write(out, 8, (uint64_t)r->changed_ms);
    le_write(out, 8, (uint64_t)r->last_updated_ms);
    le_write(out, 8, (uint64_t)r->since_ms);
    le_write(out, 8, (uint64_t)r->lacking_ms);
    le_write(out, 8, r->last);
    le_write(out, 4, (uint32_t)r->msgs);
    le_write(out, 1, (r->seen ? FLAG_SEEN : 0) | (r->told ? FLAG_TOLD : 0));
}

void room_state_write(const struct room_memory *m, struct byte_buf *out)
{
    le_write(out, 1, VERSION);
    le_write(out, 1, room_memory_is_listed(m));
    le_write(out, 8, (uint64_t)m->floor_ms);
    le_write(out, 8, (uint64_t)m->messages_floor_ms);
    le_write(out, 2, m->rooms.count);
    for (uint16_t i = 0; i < m->rooms.count; i++)
        write_room(m, &m->rooms.rooms[i], out);
    le_write(out, 2, m->nmessages);
    for (uint16_t i = 0; i < m->nmessages; i++) {
        le_write(out, 8, m->messages[i].id);
        le_write(out, 8, (uint64_t)m->messages[i].updated_ms);
    }
}

/* Ids are raw JSON text between quotes, and go into questions as they are. */
static bool is_id(struct slice id, bool may_be_empty)
{
    char quoted[ROOM_MEMORY_ID_MAX + 2] = "\"";

    if (id.len > ROOM_MEMORY_ID_MAX || (id.len == 0 && !may_be_empty))
        return false;
    if (id.len > 0)
        memcpy(quoted + 1, id.ptr, id.len);
    quoted[id.len + 1] = '"';
    return json_valid(quoted, id.len + 2, 1);
}

static bool read_room(struct room_memory *m, struct le_reader *in)
{
    const struct slice rid = le_read_bytes(in, 2), sub = le_read_bytes(in, 2);
    struct room room = {
        .mark_ms = (int64_t)le_read(in, 8),
        .changed_ms = (int64_t)le_read(in, 8),
        .last_updated_ms = (int64_t)le_read(in, 8),
        .since_ms = (int64_t)le_read(in, 8),
        .lacking_ms = (int64_t)le_read(in, 8),
        .last = le_read(in, 8),
        .msgs = (int32_t)le_read(in, 4),
    };
    const unsigned flags = (unsigned)le_read(in, 1);
    struct room *r;

    if (le_failed(in) || !is_id(rid, false) || !is_id(sub, true) || room.msgs < ROOM_NO_COUNT)
        return false;
    if (room_memory_is_full_for(m, rid)) {
        room_raise(&m->floor_ms, room.mark_ms);
        m->forgotten_rooms++;
        return true;
    }
    r = room_memory_room(m, rid);
    if (r == NULL || (sub.len > 0 && !room_table_set_subscription(&m->rooms, r, sub)))
        return false;
    r = room_table_find(&m->rooms, rid);
    r->mark_ms = room.mark_ms;
    r->changed_ms = room.changed_ms;
    r->last_updated_ms = room.last_updated_ms;
    r->since_ms = room.since_ms;
    r->lacking_ms = room.lacking_ms;
    r->last = room.last;
    r->msgs = room.msgs;
    r->seen = (flags & FLAG_SEEN) != 0;
    r->told = (flags & FLAG_TOLD) != 0;
    return true;
}

static bool read_all(struct room_memory *m, struct le_reader *in)
{
    m->listed = m->rooms_listed = le_read(in, 1) != 0;
    m->floor_ms = (int64_t)le_read(in, 8);
    m->messages_floor_ms = (int64_t)le_read(in, 8);
    for (uint64_t n = le_read(in, 2); n > 0; n--)
        if (!read_room(m, in))
            return false;
    for (uint64_t n = le_read(in, 2); n > 0 && !le_failed(in); n--) {
        uint64_t id = le_read(in, 8);

        room_memory_remember(m, id, (int64_t)le_read(in, 8));
    }
    return !le_failed(in) && in->rest.len == 0;
}

struct room_memory *room_state_read(struct slice state, uint16_t max_rooms, uint16_t max_messages)
{
    struct le_reader in = {.rest = state};
    struct room_memory *m;

    if (le_read(&in, 1) != VERSION)
        return NULL;
    m = room_memory_new(max_rooms, max_messages);
    if (m != NULL && !read_all(m, &in)) {
        room_memory_free(m);
        m = NULL;
    }
    return m;
}

void room_state_unsee(struct room_memory *m, const struct rc_message *message)
{
    const uint64_t id = room_memory_hash(message->id);
    struct room *r = room_table_find(&m->rooms, message->rid);

    for (uint16_t i = m->nmessages; i-- > 0;)
        if (m->messages[i].id == id) {
            memmove(&m->messages[i], &m->messages[i + 1],
                    (m->nmessages - i - 1u) * sizeof *m->messages);
            m->nmessages--;
        }
    if (r == NULL)
        return;
    if (r->last == id)
        r->last = 0;
    room_lack_from(r, message->updated_ms == RC_NO_DATE ? RC_NO_DATE : message->updated_ms - 1);
}
