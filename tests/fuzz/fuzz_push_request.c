/* Any bytes as the body of a push: refused with words, or what is told of it lies within bounds,
 * and its arguments are JSON. */
#include "base/json_slice.h"
#include "bridge/admin/push_request.h"
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct slice body = {(const char *)data, len};
    struct push_request r;
    const char *error = push_request_read(body, &r);
    char *array;

    if (error != NULL) {
        assert(error[0] != '\0' && r.texts == NULL && r.names == NULL);
        return 0;
    }
    assert(r.target.len > 0 && r.target.len <= PUSH_TARGET_MAX);
    assert(r.address.nnames <= PUSH_NAMES_MAX && r.address.nexcept <= PUSH_EXCEPT_MAX);
    assert((r.address.to == HUB_TO_ALL) == (r.address.nnames == 0));
    for (size_t i = 0; i < r.address.nnames + r.address.nexcept; i++)
        assert(r.names[i].len > 0 && r.names[i].len <= PUSH_NAME_MAX);
    assert(r.arguments.ptr > body.ptr && r.arguments.ptr + r.arguments.len < body.ptr + len);
    array = malloc(r.arguments.len + 2);
    assert(array != NULL);
    array[0] = '[';
    memcpy(array + 1, r.arguments.ptr, r.arguments.len);
    array[r.arguments.len + 1] = ']';
    assert(json_valid(array, r.arguments.len + 2, 64));
    free(array);
    push_request_free(&r);
    return 0;
}
