#include "signalr/http/http_server.h"

bool http_query_get(struct slice query, const char *key, struct slice *value)
{
    struct slice want = slice_of(key);

    while (query.len > 0) {
        const char *amp = memchr(query.ptr, '&', query.len);
        size_t len = amp == NULL ? query.len : (size_t)(amp - query.ptr);
        const char *eq = memchr(query.ptr, '=', len);
        size_t name_len = eq == NULL ? len : (size_t)(eq - query.ptr);

        if (slice_eq_nocase((struct slice){query.ptr, name_len}, want)) {
            size_t skip = eq == NULL ? len : name_len + 1;

            *value = (struct slice){query.ptr + skip, len - skip};
            return true;
        }
        len += amp != NULL;
        query.ptr += len;
        query.len -= len;
    }
    return false;
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool http_percent_decode(struct slice text, char *out, size_t cap, size_t *out_len)
{
    size_t n = 0;

    for (size_t i = 0; i < text.len; i++) {
        int byte = (unsigned char)text.ptr[i];

        if (byte == '%') {
            int high = i + 1 < text.len ? hex_digit(text.ptr[i + 1]) : -1;
            int low = i + 2 < text.len ? hex_digit(text.ptr[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            byte = high << 4 | low;
            i += 2;
        }
        if (n == cap)
            return false;
        out[n++] = (char)byte;
    }
    *out_len = n;
    return true;
}
