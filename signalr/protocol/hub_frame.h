/* signalr/protocol/hub_frame.h - cut received bytes into hub messages.
 *
 * Pure functions over (data, len): no I/O, no allocation, no state kept between calls. Pass the
 * unconsumed tail again once more bytes follow it.
 *
 *   text    body 0x1E body 0x1E ...    UTF-8 JSON; the handshake is always text
 *
 * JSON escapes 0x1E, so it never stands inside a body. Facts: signalr.md 3.1, 4.1, 6.7. */
#ifndef SIGNALR_PROTOCOL_HUB_FRAME_H
#define SIGNALR_PROTOCOL_HUB_FRAME_H

#include "base/slice.h"
#include <stdint.h>

#define HUB_RECORD_SEPARATOR 0x1e

enum hub_frame_result {
    HUB_FRAME_OK,        /* *out is filled */
    HUB_FRAME_NEED_MORE, /* not an error: keep the bytes, wait for the next read */
    HUB_FRAME_TOO_LARGE, /* the message exceeds max_message: close the connection */
};

struct hub_frame {
    struct slice body; /* borrowed: points into data; without the separator */
    size_t consumed;   /* bytes of data to drop before the next call; > 0 */
};

/* max_message counts the separator, as .NET's MaximumReceiveMessageSize does. */
enum hub_frame_result hub_frame_text(const void *data, size_t len, size_t max_message,
                                     struct hub_frame *out);

#endif
