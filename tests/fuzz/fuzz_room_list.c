/* Any bytes, cut in two at the first zero, as the lists of subscriptions and rooms: what comes of
 * them is JSON, or nothing. */
#include "base/json_slice.h"
#include "bridge/session/room_list.h"
#include <assert.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *start = (const char *)data, *zero = len == 0 ? NULL : memchr(start, 0, len);
    const size_t first = zero == NULL ? len : (size_t)(zero - start);
    const size_t second = zero == NULL ? 0 : len - first - 1;
    struct byte_buf out = {0};

    if (room_list_join((struct slice){start, first},
                       (struct slice){zero == NULL ? NULL : zero + 1, second}, &out))
        assert(json_valid(out.data, out.len, JSON_MAX_DEPTH));
    byte_buf_free(&out);
    return 0;
}
