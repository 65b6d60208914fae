/* Any bytes, as the converter must not read beyond them; of valid JSON it makes valid JSON, and
 * converting again changes nothing. */
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "rocketchat/rc_dates.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void convert(struct slice json, enum rc_date_form form, bool valid)
{
    struct byte_buf once = {0}, twice = {0};

    rc_dates_write(&once, json, form);
    assert(!byte_buf_failed(&once));
    assert(!valid || json_valid(once.data, once.len, JSON_MAX_DEPTH));
    if (valid) {
        rc_dates_write(&twice, byte_buf_slice(&once), form);
        assert(slice_eq(byte_buf_slice(&once), byte_buf_slice(&twice)));
    }
    byte_buf_free(&once);
    byte_buf_free(&twice);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct slice json = {(const char *)data, len};
    const bool valid = json_valid(data, len, JSON_MAX_DEPTH);

    convert(json, RC_DATES_ISO, valid);
    convert(json, RC_DATES_EJSON, valid);
    return 0;
}
