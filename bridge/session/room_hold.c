#include "bridge/session/room_hold.h"
#include "base/json_slice.h"
#include <stdlib.h>

void room_hold_init(struct room_hold *hold)
{
    *hold = (struct room_hold){0};
    hold->end = &hold->first;
}

bool room_hold_add(struct room_hold *hold, enum room_sight sight, const struct rc_message *message)
{
    struct held *h = malloc(sizeof *h + message->raw.len);

    if (h == NULL)
        return false;
    h->next = NULL;
    h->sight = sight;
    h->len = message->raw.len;
    memcpy(h->raw, message->raw.ptr, h->len);
    *hold->end = h;
    hold->end = &h->next;
    hold->count++;
    hold->bytes += h->len;
    return true;
}

struct held *room_hold_take(struct room_hold *hold)
{
    struct held *h = hold->first;

    room_hold_init(hold);
    return h;
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
