#include "signalr/protocol/hub_frame.h"

enum hub_frame_result hub_frame_text(const void *data, size_t len, size_t max_message,
                                     struct hub_frame *out)
{
    const char *start = data;
    /* No need to look further than a legal message may reach. */
    const char *separator =
        len == 0 ? NULL
                 : memchr(start, HUB_RECORD_SEPARATOR, len < max_message ? len : max_message);

    if (separator == NULL)
        /* Full without a separator: the separator alone would already be one byte too many. */
        return len >= max_message ? HUB_FRAME_TOO_LARGE : HUB_FRAME_NEED_MORE;
    out->body = (struct slice){start, (size_t)(separator - start)};
    out->consumed = out->body.len + 1;
    return HUB_FRAME_OK;
}
