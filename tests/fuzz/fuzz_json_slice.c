/* Any bytes: the reader agrees with jansson on what is JSON, its slices are what they say, and a
 * caller that walks the document by hand sees the same verdict as one that skips it whole. */
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include <assert.h>
#include <jansson.h>
#include <stdlib.h>

enum { DEPTH = 32 };

struct walk {
    bool lone_surrogate; /* met one */
    bool huge_number;    /* met one that jansson can't hold */
};

static void check_string(struct slice raw, struct walk *w)
{
    char *text = malloc(raw.len + 1);
    struct byte_buf again = {0};
    struct slice back;
    struct json_reader r;
    size_t len, shorter;

    assert(text != NULL);
    if (json_string_unescape(raw, text, raw.len, &len)) { /* never longer than its escapes */
        assert(json_string_eq(raw, (struct slice){text, len}));
        assert(len == 0 || !json_string_unescape(raw, text, len - 1, &shorter));
        assert(json_string_unescape(raw, text, len, &len));
        json_write_string(&again, (struct slice){text, len});
        assert(!byte_buf_failed(&again));
        json_reader_init(&r, again.data, again.len, 0);
        assert(json_read_string(&r, &back) && json_end(&r));
        assert(json_string_eq(back, (struct slice){text, len}));
        byte_buf_free(&again);
    } else {
        w->lone_surrogate = true;
    }
    free(text);
}

static void check_number(struct slice raw, struct json_reader *at, struct walk *w)
{
    json_t *number = json_loadb(raw.ptr, raw.len, JSON_DECODE_ANY, NULL);
    int64_t n;

    if (number == NULL)
        w->huge_number = true;
    if (json_read_int64(at, &n))
        assert(json_is_integer(number) && json_integer_value(number) == n);
    else
        assert(!json_is_integer(number));
    json_decref(number);
}

static void walk(struct json_reader *r, struct walk *w, unsigned depth)
{
    struct json_reader here = *r;
    struct slice s;
    bool flag;

    switch (json_peek(r)) {
    case JSON_KIND_OBJECT:
        if (json_read_raw(&here, &s))
            assert(s.ptr[0] == '{' && s.ptr[s.len - 1] == '}' &&
                   json_valid(s.ptr, s.len, DEPTH - depth));
        if (json_enter_object(r))
            while (json_next_key(r, &s)) {
                check_string(s, w);
                walk(r, w, depth + 1);
            }
        break;
    case JSON_KIND_ARRAY:
        if (json_enter_array(r))
            while (json_next_item(r))
                walk(r, w, depth + 1);
        break;
    case JSON_KIND_STRING:
        if (json_read_string(r, &s))
            check_string(s, w);
        break;
    case JSON_KIND_NUMBER:
        if (json_read_raw(r, &s))
            check_number(s, &here, w);
        break;
    case JSON_KIND_TRUE:
    case JSON_KIND_FALSE:
        json_read_bool(r, &flag);
        break;
    case JSON_KIND_NULL:
    case JSON_KIND_NONE:
        json_skip(r);
        break;
    }
}

static unsigned depth_of(const json_t *value)
{
    unsigned deepest = 0, d;
    const char *key;
    json_t *member;
    size_t i;

    if (!json_is_object(value) && !json_is_array(value))
        return 0;
    json_object_foreach((json_t *)value, key, member)
    {
        d = depth_of(member);
        deepest = d > deepest ? d : deepest;
    }
    json_array_foreach(value, i, member)
    {
        d = depth_of(member);
        deepest = d > deepest ? d : deepest;
    }
    return deepest + 1;
}

/* What jansson refuses although RFC 8259 allows it: integers and reals out of its range, lone
 * surrogates, NUL in keys. */
static void check_refused_by_jansson(const json_error_t *error, const struct walk *w)
{
    switch (json_error_code(error)) {
    case json_error_numeric_overflow:
        assert(w->huge_number);
        break;
    case json_error_invalid_syntax: /* lone surrogate */
        assert(w->lone_surrogate);
        break;
    case json_error_null_byte_in_key:
        break;
    default:
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct walk w = {0};
    struct json_reader r;
    json_error_t error;
    json_t *oracle;
    bool ok = json_valid(data, len, DEPTH);

    json_reader_init(&r, data, len, DEPTH);
    walk(&r, &w, 0);
    assert(json_end(&r) == ok);
    assert(json_failed(&r) == !ok);

    oracle = json_loadb((const char *)data, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
    if (oracle == NULL && ok)
        check_refused_by_jansson(&error, &w);
    /* jansson reads over a NUL byte behind the document. */
    if (oracle != NULL && !ok && memchr(data, '\0', len) == NULL)
        assert(depth_of(oracle) > DEPTH);
    json_decref(oracle);
    return 0;
}
