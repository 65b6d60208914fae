/* Any bytes, cut anywhere: the verdict does not depend on the cuts, and a rule written apart
 * agrees. */
#include "base/utf8.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* RFC 3629 as arithmetic: decode, then look at the number. */
static bool reference(const uint8_t *p, size_t len)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

    while (len > 0) {
        uint32_t c = p[0];
        size_t n = c < 0x80 ? 1 : c < 0xc0 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf8 ? 4 : 0;

        if (n == 0 || n > len)
            return false;
        if (n > 1)
            c &= 0x7fu >> n;
        for (size_t i = 1; i < n; i++) {
            if (p[i] >> 6 != 2)
                return false;
            c = c << 6 | (p[i] & 0x3f);
        }
        if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
        p += n;
        len -= n;
    }
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    bool ok = utf8_valid(data, len);
    size_t step = len > 0 ? data[0] % 9 + 1u : 1;
    struct utf8_check u;
    bool fed = true;

    assert(ok == reference(data, len));
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
