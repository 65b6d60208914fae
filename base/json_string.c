/* The text of JSON strings: meaning of escapes, and writing. The reader is json_slice.c. */
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "base/utf8_internal.h"

enum { LONE_SURROGATE = -1 };

/* The reader has seen that these are hex digits. */
static int32_t hex4(const char *p)
{
    int32_t v = 0;

    for (int i = 0; i < 4; i++)
        v = v << 4 | (p[i] <= '9' ? p[i] - '0' : (p[i] | 0x20) - 'a' + 10);
    return v;
}

static bool is_high_surrogate(int32_t c)
{
    return c >= 0xd800 && c <= 0xdbff;
}

static bool is_low_surrogate(int32_t c)
{
    return c >= 0xdc00 && c <= 0xdfff;
}

/* The code point of the escape at raw.ptr[*i] (the backslash), or LONE_SURROGATE; moves *i on. */
static int32_t read_escape(struct slice raw, size_t *i)
{
    const char *p = raw.ptr + *i;
    int32_t c, low;

    *i += 2;
    switch (p[1]) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'u':
        break;
    default:
        return (uint8_t)p[1];
    }
    *i += 4;
    c = hex4(p + 2);
    if (is_low_surrogate(c))
        return LONE_SURROGATE;
    if (!is_high_surrogate(c))
        return c;
    if (raw.len - *i < 6 || p[6] != '\\' || p[7] != 'u')
        return LONE_SURROGATE;
    low = hex4(p + 8);
    if (!is_low_surrogate(low))
        return LONE_SURROGATE;
    *i += 6;
    return 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
}

static size_t put_utf8(char out[4], int32_t c)
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 0x3f));
        out[2] = (char)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 0x3f));
    out[2] = (char)(0x80 | (c >> 6 & 0x3f));
    out[3] = (char)(0x80 | (c & 0x3f));
    return 4;
}

bool json_string_eq(struct slice raw, struct slice text)
{
    size_t i = 0, at = 0, n;
    char utf8[4];
    int32_t c;

    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL)
        return slice_eq(raw, text);
    while (i < raw.len) {
        if (raw.ptr[i] != '\\') {
            if (at == text.len || text.ptr[at] != raw.ptr[i])
                return false;
            i++;
            at++;
            continue;
        }
        c = read_escape(raw, &i);
        if (c == LONE_SURROGATE)
            return false;
        n = put_utf8(utf8, c);
        if (text.len - at < n || memcmp(text.ptr + at, utf8, n) != 0)
            return false;
        at += n;
    }
    return at == text.len;
}

bool json_string_is(struct slice raw, const char *text)
{
    return json_string_eq(raw, slice_of(text));
}

bool json_string_unescape(struct slice raw, char *out, size_t cap, size_t *out_len)
{
    size_t i = 0, len = 0, n;
    char utf8[4];
    int32_t c;

    while (i < raw.len) {
        if (raw.ptr[i] != '\\') {
            if (len == cap)
                return false;
            out[len++] = raw.ptr[i++];
            continue;
        }
        c = read_escape(raw, &i);
        if (c == LONE_SURROGATE)
            return false;
        n = put_utf8(utf8, c);
        if (cap - len < n)
            return false;
        memcpy(out + len, utf8, n);
        len += n;
    }
    *out_len = len;
    return true;
}

static void write_escaped(struct byte_buf *out, uint8_t c)
{
    static const char short_form[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};

    if (c >= 0x80) {
        byte_buf_puts(out, "\xef\xbf\xbd");
    } else if (c >= 0x20 || short_form[c] != 0) {
        byte_buf_putc(out, '\\');
        byte_buf_putc(out, c >= 0x20 ? (char)c : short_form[c]);
    } else {
        byte_buf_printf(out, "\\u%04x", c);
    }
}

void json_write_string(struct byte_buf *out, struct slice text)
{
    const uint8_t *p = (const uint8_t *)text.ptr, *end, *run = p;

    byte_buf_putc(out, '"');
    if (text.len > 0) {
        end = p + text.len;
        while (p < end) {
            size_t n = 1;

            if (*p >= 0x80)
                n = utf8_sequence(p, end);
            else if (*p < 0x20 || *p == '"' || *p == '\\')
                n = 0;
            if (n > 0) {
                p += n;
                continue;
            }
            byte_buf_append(out, run, (size_t)(p - run));
            write_escaped(out, *p);
            run = ++p;
        }
        byte_buf_append(out, run, (size_t)(p - run));
    }
    byte_buf_putc(out, '"');
}
