#include "base/base64.h"

static const char letters[2][65] = {
    [BASE64_STD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

size_t base64_encode(enum base64_alphabet alphabet, const void *data, size_t len, char *out)
{
    const char *abc = letters[alphabet];
    const uint8_t *in = data;
    char *p = out;
    size_t i = 0;
    uint32_t v;

    for (; len - i >= 3; i += 3) {
        v = (uint32_t)in[i] << 16 | (uint32_t)in[i + 1] << 8 | in[i + 2];
        *p++ = abc[v >> 18];
        *p++ = abc[v >> 12 & 63];
        *p++ = abc[v >> 6 & 63];
        *p++ = abc[v & 63];
    }
    if (len - i > 0) {
        v = (uint32_t)in[i] << 16 | (len - i == 2 ? (uint32_t)in[i + 1] << 8 : 0);
        *p++ = abc[v >> 18];
        *p++ = abc[v >> 12 & 63];
        if (len - i == 2)
            *p++ = abc[v >> 6 & 63];
        else if (alphabet == BASE64_STD)
            *p++ = '=';
        if (alphabet == BASE64_STD)
            *p++ = '=';
    }
    *p = '\0';
    return (size_t)(p - out);
}

static int value_of(enum base64_alphabet alphabet, char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == letters[alphabet][62])
        return 62;
    if (c == letters[alphabet][63])
        return 63;
    return -1;
}

bool base64_decode(enum base64_alphabet alphabet, struct slice text, uint8_t *out, size_t cap,
                   size_t *out_len)
{
    size_t len = text.len, written = 0;
    uint32_t bits = 0;
    unsigned nbits = 0;

    if (len > 0 && len % 4 == 0 && text.ptr[len - 1] == '=') {
        len--;
        if (text.ptr[len - 1] == '=')
            len--;
    }
    if (len % 4 == 1)
        return false;
    for (size_t i = 0; i < len; i++) {
        int v = value_of(alphabet, text.ptr[i]);

        if (v < 0)
            return false;
        bits = bits << 6 | (uint32_t)v;
        nbits += 6;
        if (nbits >= 8) {
            nbits -= 8;
            if (written == cap)
                return false;
            out[written++] = (uint8_t)(bits >> nbits);
            bits &= (1u << nbits) - 1;
        }
    }
    if (bits != 0)
        return false;
    *out_len = written;
    return true;
}
