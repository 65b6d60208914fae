/* A stream in pieces of any size gives the messages that the cutter finds in the whole of it.
 * First byte: how the pieces are cut; the rest is the stream. */
#include "signalr/hub/hub_inbox.h"
#include "signalr/protocol/hub_frame.h"
#include <assert.h>

#define MAX_MESSAGE 100

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    if (len == 0)
        return 0;

    struct hub_inbox in = {0};
    struct hub_frame want;
    enum hub_inbox_result got = HUB_INBOX_EMPTY;
    const uint8_t *whole = data + 1;
    size_t left = len - 1;
    unsigned seed = *data++;

    for (len--; len > 0 && got == HUB_INBOX_EMPTY;) {
        size_t piece = seed % 7 == 0 ? len : seed % 40 + 1;
        struct slice bytes = {(const char *)data, piece < len ? piece : len}, body;

        seed = seed * 31 + 7;
        data += bytes.len;
        len -= bytes.len;
        while ((got = hub_inbox_next(&in, &bytes, MAX_MESSAGE, &body)) == HUB_INBOX_MESSAGE) {
            assert(hub_frame_text(whole, left, MAX_MESSAGE, &want) == HUB_FRAME_OK);
            assert(slice_eq(body, want.body));
            whole += want.consumed;
            left -= want.consumed;
        }
        assert(got != HUB_INBOX_EMPTY || bytes.len == 0);
    }
    assert(hub_frame_text(whole, left, MAX_MESSAGE, &want) ==
           (got == HUB_INBOX_TOO_LARGE ? HUB_FRAME_TOO_LARGE : HUB_FRAME_NEED_MORE));
    hub_inbox_free(&in);
    return 0;
}
