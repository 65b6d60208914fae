/* Any valid JSON as a REST answer: it stays valid, says the same to our reader, and a second pass
 * finds nothing more to change. */
#include "base/json_slice.h"
#include "rocketchat/rc_ejson.h"
#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice json = {(const char *)data, len};
    struct byte_buf once = {0}, twice = {0};

    rc_ejson_of_rest(json, &once); /* whatever it is, within its bounds */
    if (json_valid(json.ptr, json.len, JSON_MAX_DEPTH - 1)) {
        assert(json_valid(once.data, once.len, JSON_MAX_DEPTH));
        rc_ejson_of_rest(byte_buf_slice(&once), &twice);
        assert(slice_eq(byte_buf_slice(&once), byte_buf_slice(&twice)));
    }
    byte_buf_free(&once);
    byte_buf_free(&twice);
    return 0;
}
