/* Any text as a version: the answer is valid JSON, and an accepted version is one we speak. */
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "signalr/protocol/negotiate.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct byte_buf out = {0};
    struct slice text = {(const char *)data, len};
    int32_t version = 0;
    enum negotiate_result result = negotiate_version(text, &version);

    if (result == NEGOTIATE_OK) {
        assert(version >= 0 && version <= NEGOTIATE_MAX_VERSION);
        negotiate_write(&out, version, text, text);
    } else {
        assert(result == NEGOTIATE_NOT_INTEGER || version < 0);
        negotiate_write_error(&out, result, version);
    }
    assert(json_valid(out.data, out.len, 8));
    byte_buf_free(&out);
    return 0;
}
