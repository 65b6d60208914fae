/* Any bytes, as the converter must not read beyond them; of valid JSON it makes valid JSON, and
 * converting again changes nothing. */
#include "base/json_slice.h"
#include "rocketchat/rc_iso.h"
#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct byte_buf once = {0}, twice = {0};

    rc_iso_of_ejson((struct slice){(const char *)data, len}, &once);
    assert(!byte_buf_failed(&once));
    if (json_valid(data, len, JSON_MAX_DEPTH)) {
        assert(json_valid(once.data, once.len, JSON_MAX_DEPTH));
        rc_iso_of_ejson(byte_buf_slice(&once), &twice);
        assert(slice_eq(byte_buf_slice(&once), byte_buf_slice(&twice)));
    }
    byte_buf_free(&once);
    byte_buf_free(&twice);
    return 0;
}
