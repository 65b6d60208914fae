#include "bridge/session/room_hold.h"
#include "base/json_slice.h"
#include <stdlib.h>

void room_hold_init(struct room_hold *hold)
{
    *hold = (struct room_hold){0};
    hold->end = &hold->first;
}

static void append(struct room_hold *hold, struct held *h)
{
    h->next = NULL;
    *hold->end = h;
    hold->end = &h->next;
    hold->count++;
    hold->bytes += h->len;
}

bool room_hold_add(struct room_hold *hold, enum room_sight sight, const struct rc_message *message)
{
    struct held *h = malloc(sizeof *h + message->raw.len);

    if (h == NULL)
        return false;
    h->sight = sight;
    h->len = message->raw.len;
    memcpy(h->raw, message->raw.ptr, h->len);
    append(hold, h);
    return true;
}

static bool is_written_by(const struct held *h, int64_t until_ms)
{
    const struct rc_message message = held_message(h);

    return rc_message_created_ms(&message) <= until_ms;
}

struct held *room_hold_take(struct room_hold *hold, int64_t until_ms)
{
    struct held *h = hold->first, *next;
    struct room_hold taken;

    room_hold_init(hold);
    room_hold_init(&taken);
    for (; h != NULL; h = next) {
        next = h->next;
        append(until_ms == INT64_MAX || is_written_by(h, until_ms) ? &taken : hold, h);
    }
    return taken.first;
}

struct rc_message held_message(const struct held *h)
{
    struct rc_message message;
    struct json_reader reader;

    json_reader_init(&reader, h->raw, h->len, JSON_MAX_DEPTH);
    rc_message_read(&reader, &message);
    return message;
}

void held_free(struct held *h)
{
    struct held *next;

    for (; h != NULL; h = next) {
        next = h->next;
        free(h);
    }
}
