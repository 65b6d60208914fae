/* tests/unit/utf8_reference.h - what base/utf8.h must say, written apart from it: RFC 3629 as
 * arithmetic on code points. */
#ifndef TESTS_UNIT_UTF8_REFERENCE_H
#define TESTS_UNIT_UTF8_REFERENCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decodes, then looks at the number. */
static inline bool utf8_reference(const uint8_t *p, size_t len)
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

#endif
