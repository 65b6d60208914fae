/* Any bytes as a handshake: refusals have a text, and the answer that carries it is valid JSON
 * without a separator inside. */
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "signalr/protocol/handshake.h"
#include "signalr/protocol/hub_frame.h"
#include "signalr/protocol/hub_message.h"
#include "signalr/protocol/ws_header.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct handshake h = {0};
    struct byte_buf text = {0};
    struct hub_frame f;
    enum handshake_result result = handshake_parse((struct slice){(const char *)data, len}, &h);
    struct hub_buf *answer;
    const uint8_t *bytes;
    size_t header;

    if (result != HANDSHAKE_MALFORMED)
        assert(json_valid(data, len, JSON_MAX_DEPTH));
    if (result != HANDSHAKE_OK) {
        handshake_error_text(result, &h, &text);
        assert(!byte_buf_failed(&text) && text.len > 0);
    } else {
        assert(h.version <= HANDSHAKE_MAX_VERSION);
    }
    answer = hub_message_handshake(byte_buf_slice(&text));
    bytes = hub_buf_bytes(answer, &len);
    header = bytes[1] < 126 ? 2 : bytes[1] == 126 ? 4 : WS_HEADER_MAX;
    assert(hub_frame_text(bytes + header, len - header, SIZE_MAX, &f) == HUB_FRAME_OK);
    assert(f.consumed == len - header);
    assert(json_valid(f.body.ptr, f.body.len, 1));
    hub_buf_unref(answer);
    byte_buf_free(&text);
    return 0;
}
