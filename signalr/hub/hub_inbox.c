#include "signalr/hub/hub_inbox.h"
#include "signalr/protocol/hub_frame.h"
#include <stdlib.h>

enum { FIRST_CAP = 256 };

void hub_inbox_free(struct hub_inbox *in)
{
    free(in->_bytes);
    *in = (struct hub_inbox){0};
}

static bool keep(struct hub_inbox *in, struct slice *bytes, size_t take)
{
    size_t cap = in->_cap, need = in->_len + take;
    char *grown = in->_bytes;

    if (need > cap) {
        /* Doubling: a message sent byte by byte must not cost a copy each. */
        for (cap = cap == 0 ? FIRST_CAP : cap; cap < need;)
            cap *= 2;
        grown = realloc(grown, cap);
        if (grown == NULL)
            return false;
        in->_bytes = grown;
        in->_cap = (uint32_t)cap;
    }
    memcpy(grown + in->_len, bytes->ptr, take);
    in->_len += (uint32_t)take;
    *bytes = (struct slice){bytes->ptr + take, bytes->len - take};
    return true;
}

/* The rest of the message that was cut off. Only the new bytes are searched. */
static enum hub_inbox_result next_from_kept(struct hub_inbox *in, struct slice *bytes,
                                            size_t max_message, struct slice *body)
{
    struct hub_frame frame;

    switch (hub_frame_text(bytes->ptr, bytes->len, max_message - in->_len, &frame)) {
    case HUB_FRAME_TOO_LARGE:
        return HUB_INBOX_TOO_LARGE;
    case HUB_FRAME_NEED_MORE:
        return keep(in, bytes, bytes->len) ? HUB_INBOX_EMPTY : HUB_INBOX_NOMEM;
    case HUB_FRAME_OK:
        break;
    }
    if (!keep(in, bytes, frame.consumed))
        return HUB_INBOX_NOMEM;
    in->_whole = true;
    *body = (struct slice){in->_bytes, in->_len - 1};
    return HUB_INBOX_MESSAGE;
}

enum hub_inbox_result hub_inbox_next(struct hub_inbox *in, struct slice *bytes, size_t max_message,
                                     struct slice *body)
{
    struct hub_frame frame;

    if (in->_whole)
        hub_inbox_free(in);
    if (bytes->len == 0)
        return HUB_INBOX_EMPTY;
    if (in->_bytes != NULL)
        return next_from_kept(in, bytes, max_message, body);
    switch (hub_frame_text(bytes->ptr, bytes->len, max_message, &frame)) {
    case HUB_FRAME_TOO_LARGE:
        return HUB_INBOX_TOO_LARGE;
    case HUB_FRAME_NEED_MORE:
        return keep(in, bytes, bytes->len) ? HUB_INBOX_EMPTY : HUB_INBOX_NOMEM;
    case HUB_FRAME_OK:
        break;
    }
    *body = frame.body;
    *bytes = (struct slice){bytes->ptr + frame.consumed, bytes->len - frame.consumed};
    return HUB_INBOX_MESSAGE;
}
