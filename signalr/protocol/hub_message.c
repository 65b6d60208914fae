#include "signalr/protocol/hub_message.h"
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "signalr/protocol/hub_frame.h"
#include "signalr/protocol/ws_header.h"

/* One message from its parts: lengths are summed first, so header, parts and separator are written
 * once, into the one allocation that is sent. */
static struct hub_buf *message_of(const struct slice *head, size_t nhead, const struct slice *body,
                                  size_t nbody, struct slice tail)
{
    size_t payload = tail.len + 1; /* the separator */
    struct hub_buf *b;
    uint8_t *out;

    for (size_t i = 0; i < nhead; i++)
        payload += head[i].len;
    for (size_t i = 0; i < nbody; i++)
        payload += body[i].len;
    b = hub_buf_alloc(ws_header_len(payload) + payload, &out);
    if (b == NULL)
        return NULL;
    out += ws_header_write(out, WS_OPCODE_TEXT, payload);
    for (size_t i = 0; i < nhead; i++)
        out = put(out, head[i]);
    for (size_t i = 0; i < nbody; i++)
        out = put(out, body[i]);
    out = put(out, tail);
    *out = HUB_RECORD_SEPARATOR;
    return b;
}
