/* base/utf8_internal.h - one whole UTF-8 sequence, inline for the scanners' inner loops. */
#ifndef BASE_UTF8_INTERNAL_H
#define BASE_UTF8_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool utf8_is_tail(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* Length of the valid sequence of 2 to 4 bytes at p, 0: none. *p is not ASCII; p < end. */
static inline size_t utf8_sequence(const uint8_t *p, const uint8_t *end)
{
    size_t left = (size_t)(end - p);
    uint8_t c = p[0];

    if (c < 0xe0)
        return c >= 0xc2 && left >= 2 && utf8_is_tail(p[1]) ? 2 : 0;
    if (c < 0xf0) {
        if (left < 3 || !utf8_is_tail(p[1]) || !utf8_is_tail(p[2]))
            return 0;
        if ((c == 0xe0 && p[1] < 0xa0) || (c == 0xed && p[1] > 0x9f)) /* overlong, surrogate */
            return 0;
        return 3;
    }
    if (c > 0xf4 || left < 4 || !utf8_is_tail(p[1]) || !utf8_is_tail(p[2]) || !utf8_is_tail(p[3]))
        return 0;
    if ((c == 0xf0 && p[1] < 0x90) || (c == 0xf4 && p[1] > 0x8f)) /* overlong, past U+10FFFF */
        return 0;
    return 4;
}

#endif
