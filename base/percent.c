#include "base/percent.h"

static bool is_unreserved(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_' || c == '~';
}

void percent_encode(struct byte_buf *out, struct slice plain)
{
    for (size_t i = 0; i < plain.len; i++) {
        unsigned char c = (unsigned char)plain.ptr[i];

        if (is_unreserved(c))
            byte_buf_putc(out, (char)c);
        else
            byte_buf_printf(out, "%%%02X", c);
    }
}
