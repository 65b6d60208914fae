#include "base/json_slice.h"
#include "base/utf8_internal.h"
#include <assert.h>
#include <endian.h>

#define ONES UINT64_C(0x0101010101010101)
#define HIGH_BITS UINT64_C(0x8080808080808080)

static bool fail(struct json_reader *r)
{
    r->_failed = true;
    r->_p = r->_end; /* nothing more to see, whatever the caller asks for */
    return false;
}

static inline bool is_space(uint8_t c)
{
    return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static inline const uint8_t *after_space(const uint8_t *p, const uint8_t *end)
{
    while (p < end && is_space(*p))
        p++;
    return p;
}

/* Kinds by the first byte of a value. */
static const uint8_t kind_of[256] = {
    ['{'] = JSON_KIND_OBJECT, ['['] = JSON_KIND_ARRAY,  ['"'] = JSON_KIND_STRING,
    ['-'] = JSON_KIND_NUMBER, ['0'] = JSON_KIND_NUMBER, ['1'] = JSON_KIND_NUMBER,
    ['2'] = JSON_KIND_NUMBER, ['3'] = JSON_KIND_NUMBER, ['4'] = JSON_KIND_NUMBER,
    ['5'] = JSON_KIND_NUMBER, ['6'] = JSON_KIND_NUMBER, ['7'] = JSON_KIND_NUMBER,
    ['8'] = JSON_KIND_NUMBER, ['9'] = JSON_KIND_NUMBER, ['t'] = JSON_KIND_TRUE,
    ['f'] = JSON_KIND_FALSE,  ['n'] = JSON_KIND_NULL,
};

/* --- scanners: p stands at the first byte; what they return stands behind the value, NULL: bad ---
 */

static bool is_hex(uint8_t c)
{
    return is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* p stands behind the backslash. */
static const uint8_t *scan_escape(const uint8_t *p, const uint8_t *end)
{
    if (p == end)
        return NULL;
    switch (*p) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return p + 1;
    case 'u':
        if (end - p < 5)
            return NULL;
        for (int i = 1; i <= 4; i++)
            if (!is_hex(p[i]))
                return NULL;
        return p + 5;
    default:
        return NULL;
    }
}

/* The high bit of each byte of x that is below n; exact up to and with the lowest one found, which
 * is all the caller looks at (the subtraction borrows upwards). n <= 0x80. */
static inline uint64_t bytes_below(uint64_t x, uint64_t n)
{
    return (x - ONES * n) & ~x & HIGH_BITS;
}

/* p stands behind the opening quote; the result stands at the closing one. */
static const uint8_t *scan_string(const uint8_t *p, const uint8_t *end)
{
    for (;;) {
        uint64_t word, stop;
        size_t n;

        while (end - p >= 8) {
            memcpy(&word, p, 8);
            word = le64toh(word);
            stop = (word & HIGH_BITS) | bytes_below(word, 0x20) |
                   bytes_below(word ^ ONES * '"', 1) | bytes_below(word ^ ONES * '\\', 1);
            if (stop != 0) {
                p += __builtin_ctzll(stop) / 8;
                goto special;
            }
            p += 8;
        }
        while (p < end && *p >= 0x20 && *p < 0x80 && *p != '"' && *p != '\\')
            p++;
        if (p == end)
            return NULL;
    special:
        if (*p == '"')
            return p;
        if (*p == '\\') {
            p = scan_escape(p + 1, end);
            if (p == NULL)
                return NULL;
        }
        /* Text beyond ASCII comes in runs: stay here while it lasts. */
        while (p < end && *p >= 0x80) {
            n = utf8_sequence(p, end);
            if (n == 0)
                return NULL;
            p += n;
        }
        if (p < end && *p < 0x20)
            return NULL;
    }
}

static const uint8_t *scan_digits(const uint8_t *p, const uint8_t *end)
{
    if (p == end || !is_digit(*p))
        return NULL;
    while (p < end && is_digit(*p))
        p++;
    return p;
}

static const uint8_t *scan_number(const uint8_t *p, const uint8_t *end)
{
    if (*p == '-')
        p++;
    if (p < end && *p == '0')
        p++; /* a digit behind it then stands where a comma or the end must */
    else
        p = scan_digits(p, end);
    if (p != NULL && p < end && *p == '.')
        p = scan_digits(p + 1, end);
    if (p != NULL && p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '+' || *p == '-'))
            p++;
        p = scan_digits(p, end);
    }
    return p;
}

static const uint8_t *scan_word(const uint8_t *p, const uint8_t *end, const char *word, size_t len)
{
    return (size_t)(end - p) >= len && memcmp(p, word, len) == 0 ? p + len : NULL;
}

/* Anything but a container. */
static const uint8_t *scan_scalar(const uint8_t *p, const uint8_t *end)
{
    switch (kind_of[*p]) {
    case JSON_KIND_STRING:
        p = scan_string(p + 1, end);
        return p == NULL ? NULL : p + 1;
    case JSON_KIND_NUMBER:
        return scan_number(p, end);
    case JSON_KIND_TRUE:
        return scan_word(p, end, "true", 4);
    case JSON_KIND_FALSE:
        return scan_word(p, end, "false", 5);
    case JSON_KIND_NULL:
        return scan_word(p, end, "null", 4);
    default:
        return NULL;
    }
}

/* --- the reader --- */

void json_reader_init(struct json_reader *r, const void *data, size_t len, unsigned max_depth)
{
    static const uint8_t nothing;

    *r = (struct json_reader){
        ._p = len > 0 ? data : &nothing,
        ._max_depth = (uint16_t)(max_depth < JSON_MAX_DEPTH ? max_depth : JSON_MAX_DEPTH),
        ._first = true,
    };
    r->_end = r->_p + len;
}

/* Moves to the value that is due and tells its kind. A second value at the top is none. */
static enum json_kind next_kind(struct json_reader *r)
{
    if (r->_depth == 0 && !r->_first)
        return JSON_KIND_NONE;
    r->_p = after_space(r->_p, r->_end);
    return r->_p < r->_end ? (enum json_kind)kind_of[*r->_p] : JSON_KIND_NONE;
}

enum json_kind json_peek(struct json_reader *r)
{
    return next_kind(r);
}

static inline void push(struct json_reader *r, bool is_array)
{
    uint64_t bit = UINT64_C(1) << (r->_depth % 64);

    if (is_array)
        r->_is_array[r->_depth / 64] |= bit;
    else
        r->_is_array[r->_depth / 64] &= ~bit;
    r->_depth++;
    r->_first = true;
}

static inline void pop(struct json_reader *r)
{
    r->_depth--;
    r->_first = false; /* the container was a member of the one around it */
}

static inline bool in_array(const struct json_reader *r)
{
    unsigned top = r->_depth - 1u;

    return r->_is_array[top / 64] >> (top % 64) & 1;
}

static bool enter(struct json_reader *r, enum json_kind kind)
{
    if (next_kind(r) != kind || r->_depth == r->_max_depth)
        return fail(r);
    r->_p++;
    push(r, kind == JSON_KIND_ARRAY);
    return true;
}

bool json_enter_object(struct json_reader *r)
{
    return enter(r, JSON_KIND_OBJECT);
}

bool json_enter_object_or_skip(struct json_reader *r)
{
    if (next_kind(r) == JSON_KIND_OBJECT)
        return json_enter_object(r);
    json_skip(r);
    return false;
}

bool json_enter_array(struct json_reader *r)
{
    return enter(r, JSON_KIND_ARRAY);
}

/* Up to the next member's first byte. False: the container closed, or error. */
static bool next_member(struct json_reader *r, uint8_t closing)
{
    const uint8_t *p = after_space(r->_p, r->_end), *end = r->_end;

    if (p == end)
        return fail(r);
    if (*p == closing) {
        r->_p = p + 1;
        pop(r);
        return false;
    }
    if (!r->_first) {
        if (*p != ',')
            return fail(r);
        p = after_space(p + 1, end);
        if (p == end || *p == closing)
            return fail(r);
    }
    r->_first = false;
    r->_p = p;
    return true;
}

/* Up to the member's value; the key is cut out. */
static bool read_key(struct json_reader *r, struct slice *raw_key)
{
    const uint8_t *p = r->_p, *end = r->_end, *close;

    if (*p != '"')
        return fail(r);
    close = scan_string(p + 1, end);
    if (close == NULL)
        return fail(r);
    *raw_key = (struct slice){(const char *)p + 1, (size_t)(close - p - 1)};
    p = close + 1;
    if (p < end && *p != ':')
        p = after_space(p, end);
    if (p == end || *p != ':')
        return fail(r);
    p = after_space(p + 1, end);
    if (p == end || kind_of[*p] == JSON_KIND_NONE)
        return fail(r);
    r->_p = p;
    return true;
}

bool json_next_key(struct json_reader *r, struct slice *raw_key)
{
    if (r->_failed)
        return false;
    assert(r->_depth > 0 && !in_array(r));
    return next_member(r, '}') && read_key(r, raw_key);
}

bool json_next_item(struct json_reader *r)
{
    if (r->_failed)
        return false;
    assert(r->_depth > 0 && in_array(r));
    return next_member(r, ']');
}

static bool skip_scalar(struct json_reader *r)
{
    const uint8_t *p = scan_scalar(r->_p, r->_end);

    if (p == NULL)
        return fail(r);
    r->_p = p;
    r->_first = false;
    return true;
}

bool json_skip(struct json_reader *r)
{
    unsigned base = r->_depth;
    enum json_kind kind = next_kind(r);
    struct slice key;

    if (kind == JSON_KIND_NONE)
        return fail(r);
    if (kind != JSON_KIND_OBJECT && kind != JSON_KIND_ARRAY)
        return skip_scalar(r);
    if (!enter(r, kind))
        return false;
    while (r->_depth > base) {
        bool array = in_array(r);

        if (!next_member(r, array ? ']' : '}')) {
            if (r->_failed)
                return false;
            continue; /* closed */
        }
        if (!array && !read_key(r, &key))
            return false;
        kind = (enum json_kind)kind_of[*r->_p];
        if (kind == JSON_KIND_OBJECT || kind == JSON_KIND_ARRAY ? !enter(r, kind) : !skip_scalar(r))
            return false;
    }
    return true;
}

bool json_read_raw(struct json_reader *r, struct slice *raw)
{
    const uint8_t *start;

    if (next_kind(r) == JSON_KIND_NONE)
        return fail(r);
    start = r->_p;
    if (!json_skip(r))
        return false;
    *raw = (struct slice){(const char *)start, (size_t)(r->_p - start)};
    return true;
}

bool json_read_string(struct json_reader *r, struct slice *raw)
{
    if (next_kind(r) != JSON_KIND_STRING || !json_read_raw(r, raw))
        return fail(r);
    raw->ptr++;
    raw->len -= 2;
    return true;
}

bool json_read_int64(struct json_reader *r, int64_t *out)
{
    struct slice raw;
    uint64_t value = 0, limit;
    bool negative;

    if (next_kind(r) != JSON_KIND_NUMBER || !json_read_raw(r, &raw))
        return fail(r);
    negative = raw.ptr[0] == '-';
    limit = (uint64_t)INT64_MAX + negative;
    for (size_t i = negative; i < raw.len; i++) {
        unsigned digit = (unsigned)raw.ptr[i] - '0';

        if (digit > 9 || value > (limit - digit) / 10)
            return fail(r);
        value = value * 10 + digit;
    }
    *out = negative ? (int64_t)(0 - value) : (int64_t)value;
    return true;
}

bool json_read_bool(struct json_reader *r, bool *out)
{
    enum json_kind kind = next_kind(r);

    if ((kind != JSON_KIND_TRUE && kind != JSON_KIND_FALSE) || !skip_scalar(r))
        return fail(r);
    *out = kind == JSON_KIND_TRUE;
    return true;
}

const char *json_mark(struct json_reader *r)
{
    (void)next_kind(r);
    return (const char *)r->_p;
}

struct slice json_since(const struct json_reader *r, const char *mark)
{
    return (struct slice){mark, (size_t)((const char *)r->_p - mark)};
}

bool json_end(struct json_reader *r)
{
    if (r->_failed || r->_depth > 0 || r->_first)
        return fail(r);
    r->_p = after_space(r->_p, r->_end);
    return r->_p == r->_end || fail(r);
}

bool json_failed(const struct json_reader *r)
{
    return r->_failed;
}

bool json_valid(const void *data, size_t len, unsigned max_depth)
{
    struct json_reader r;

    json_reader_init(&r, data, len, max_depth);
    return json_skip(&r) && json_end(&r);
}
