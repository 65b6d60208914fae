#include "base/utf8.h"
#include "base/utf8_internal.h"
#include <string.h>

#define HIGH_BITS UINT64_C(0x8080808080808080)

/* What may follow lead byte c; false: c can't lead. RFC 3629 section 4's table. */
static bool begin(struct utf8_check *u, uint8_t c)
{
    u->_low = 0x80;
    u->_high = 0xbf;
    if (c >= 0xc2 && c <= 0xdf) {
        u->_need = 1;
    } else if (c >= 0xe0 && c <= 0xef) {
        u->_need = 2;
        if (c == 0xe0)
            u->_low = 0xa0;
        if (c == 0xed)
            u->_high = 0x9f;
    } else if (c >= 0xf0 && c <= 0xf4) {
        u->_need = 3;
        if (c == 0xf0)
            u->_low = 0x90;
        if (c == 0xf4)
            u->_high = 0x8f;
    } else {
        return false;
    }
    return true;
}

void utf8_check_init(struct utf8_check *u)
{
    *u = (struct utf8_check){0};
}

/* Takes one byte that is not plain ASCII between sequences. */
static bool step(struct utf8_check *u, uint8_t c)
{
    if (u->_need == 0)
        return begin(u, c);
    if (c < u->_low || c > u->_high)
        return false;
    u->_need--;
    u->_low = 0x80;
    u->_high = 0xbf;
    return true;
}

bool utf8_check_feed(struct utf8_check *u, const void *data, size_t len)
{
    const uint8_t *p = data, *end;
    uint64_t word;

    if (len == 0)
        return true;
    end = p + len;
    for (; u->_need > 0 && p < end; p++)
        if (!step(u, *p))
            return false;
    while (p < end) {
        if (end - p >= 8) {
            memcpy(&word, p, 8);
            if ((word & HIGH_BITS) == 0) {
                p += 8;
                continue;
            }
        }
        if (*p < 0x80) {
            p++;
        } else {
            size_t n = utf8_sequence(p, end);

            if (n == 0)
                break; /* wrong or cut off: let the byte-wise rules say which */
            p += n;
        }
    }
    for (; p < end; p++)
        if ((*p >= 0x80 || u->_need > 0) && !step(u, *p))
            return false;
    return true;
}

bool utf8_check_done(const struct utf8_check *u)
{
    return u->_need == 0;
}

bool utf8_valid(const void *data, size_t len)
{
    struct utf8_check u;

    utf8_check_init(&u);
    return utf8_check_feed(&u, data, len) && utf8_check_done(&u);
}
