/* Any bytes: the cutter moves on, stays inside and never hands out a message past the limit. */
#include "signalr/protocol/hub_frame.h"
#include <assert.h>

#define MAX_MESSAGE 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hub_frame f;
    enum hub_frame_result result;

    while ((result = hub_frame_text(data, len, MAX_MESSAGE, &f)) == HUB_FRAME_OK) {
        assert(f.consumed > 0 && f.consumed <= len && f.consumed <= MAX_MESSAGE);
        assert(f.body.ptr == (const char *)data && f.body.len + 1 == f.consumed);
        assert(data[f.body.len] == HUB_RECORD_SEPARATOR);
        assert(memchr(data, HUB_RECORD_SEPARATOR, f.body.len) == NULL);
        data += f.consumed;
        len -= f.consumed;
    }
    if (result == HUB_FRAME_NEED_MORE)
        assert(len < MAX_MESSAGE && (len == 0 || memchr(data, HUB_RECORD_SEPARATOR, len) == NULL));
    else
        assert(len >= MAX_MESSAGE);
    return 0;
}
