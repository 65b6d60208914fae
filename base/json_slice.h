/* base/json_slice.h - read JSON in one pass, validating it, and cut out values as they stand.
 *
 * A pull reader over (data, len): no allocation, nothing is built, nothing is copied. Stepping over
 * a value validates all of it, so a caller that has reached json_end() has validated the document
 * (RFC 8259; strings are checked for UTF-8, escapes and bare control bytes). Values come out as
 * slices of the input, byte for byte.
 *
 * Errors are sticky: after the first one every call returns false (or JSON_KIND_NONE) and
 * json_failed() is true. Depth is bounded by max_depth; the reader never recurses, so no input
 * grows the stack.
 *
 *   struct json_reader r;
 *   struct slice key, msg;
 *   json_reader_init(&r, data, len, 64);
 *   if (json_enter_object(&r))
 *       while (json_next_key(&r, &key)) {
 *           if (json_string_is(key, "msg"))
 *               json_read_string(&r, &msg);
 *           else
 *               json_skip(&r);
 *       }
 *   if (!json_end(&r)) ... not JSON ...
 */
#ifndef BASE_JSON_SLICE_H
#define BASE_JSON_SLICE_H

#include "base/slice.h"
#include <stdint.h>

#define JSON_MAX_DEPTH 128 /* the hard limit; max_depth is cut to it */

struct byte_buf;

enum json_kind {
    JSON_KIND_NONE, /* end of container, or error */
    JSON_KIND_OBJECT,
    JSON_KIND_ARRAY,
    JSON_KIND_STRING,
    JSON_KIND_NUMBER,
    JSON_KIND_TRUE,
    JSON_KIND_FALSE,
    JSON_KIND_NULL,
};

struct json_reader {
    const uint8_t *_p, *_end;
    uint16_t _depth, _max_depth;
    bool _failed, _first;                    /* _first: no member of the open container read yet */
    uint64_t _is_array[JSON_MAX_DEPTH / 64]; /* bit per open container */
};

void json_reader_init(struct json_reader *r, const void *data, size_t len, unsigned max_depth);

/* The kind of the value that comes next, without consuming it. */
enum json_kind json_peek(struct json_reader *r);

/* Containers. enter: false (and error) when the next value is of another kind. next_key gives the
 * raw key between its quotes (escapes untouched, see json_string_is) and leaves the reader at the
 * value, which MUST then be consumed by one read, enter or skip. next_*: false at the end (the
 * closing bracket is consumed) and on error. */
bool json_enter_object(struct json_reader *r);
bool json_enter_object_or_skip(struct json_reader *r); /* false: skipped a value of another kind */
bool json_next_key(struct json_reader *r, struct slice *raw_key);
bool json_enter_array(struct json_reader *r);
bool json_next_item(struct json_reader *r);

/* Values. read_raw gives the whole value's text. read_string gives the raw text between the quotes.
 * The typed ones fail (sticky) on another kind; read_int64 also on fractions, exponents, overflow.
 */
bool json_skip(struct json_reader *r);
bool json_read_raw(struct json_reader *r, struct slice *raw);
bool json_read_string(struct json_reader *r, struct slice *raw);
bool json_read_int64(struct json_reader *r, int64_t *out);
bool json_read_bool(struct json_reader *r, bool *out);

/* The raw text of a value that is read member by member: mark before it, slice once it is consumed.
 * Nothing of it is validated when the reader failed in between. */
const char *json_mark(struct json_reader *r);
struct slice json_since(const struct json_reader *r, const char *mark);

/* True when the document was one whole value, closed, with nothing but white space behind it. */
bool json_end(struct json_reader *r);
bool json_failed(const struct json_reader *r);

/* A whole document is valid JSON. */
bool json_valid(const void *data, size_t len, unsigned max_depth);

/* Raw string text (between quotes, already validated by a reader). is: compares its meaning with
 * plain text, escapes resolved. unescape: writes the UTF-8 meaning, false when cap is too small or
 * an escape is a lone surrogate; *out_len without NUL. */
bool json_string_is(struct slice raw, const char *text);
bool json_string_eq(struct slice raw, struct slice text);
bool json_string_unescape(struct slice raw, char *out, size_t cap, size_t *out_len);

/* Appends text as a JSON string with quotes, minimal escaping. Invalid UTF-8 is replaced by U+FFFD.
 */
void json_write_string(struct byte_buf *out, struct slice text);

#endif
