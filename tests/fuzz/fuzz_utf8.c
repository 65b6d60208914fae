/* Any bytes, cut anywhere: the verdict does not depend on the cuts, and a rule written apart
 * agrees. */
#include "base/utf8.h"
#include "tests/unit/utf8_reference.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    bool ok = utf8_valid(data, len);
    size_t step = len > 0 ? data[0] % 9 + 1u : 1;
    struct utf8_check u;
    bool fed = true;

    assert(ok == utf8_reference(data, len));
    utf8_check_init(&u);
    for (size_t i = 0; i < len && fed; i += step) {
        size_t n = len - i < step ? len - i : step;
        uint8_t *chunk = malloc(n); /* so that ASan sees a look past the chunk */

        assert(chunk != NULL);
        memcpy(chunk, data + i, n);
        fed = utf8_check_feed(&u, chunk, n);
        free(chunk);
    }
    assert((fed && utf8_check_done(&u)) == ok);
    return 0;
}
