/* rocketchat/json_fields_internal.h - pick known members out of JSON objects, in any order.
 *
 * Keys are compared by meaning, as JSON wants: "\u005fid" is "_id". They nearly never hold escapes,
 * so that is checked once a key and comparing is a length and a memcmp. */
#ifndef ROCKETCHAT_JSON_FIELDS_INTERNAL_H
#define ROCKETCHAT_JSON_FIELDS_INTERNAL_H

#include "base/json_slice.h"

enum { JSON_KEY_MAX = 16 }; /* longer than any key we look for */

struct json_key {
    struct slice _text;
    char _plain[JSON_KEY_MAX];
};

static inline bool json_next_plain_key(struct json_reader *r, struct json_key *key)
{
    size_t len;

    if (!json_next_key(r, &key->_text))
        return false;
    if (memchr(key->_text.ptr, '\\', key->_text.len) != NULL) {
        if (!json_string_unescape(key->_text, key->_plain, sizeof key->_plain, &len))
            len = 0; /* none of ours */
        key->_text = (struct slice){key->_plain, len};
    }
    return true;
}

#define json_key_is(key, literal) slice_eq((key)->_text, SLICE_LIT(literal))

/* Consumes the value that is due. One of another kind counts as missing, as in Meteor's clients. */
static inline bool json_read_if(struct json_reader *r, enum json_kind kind, struct slice *out)
{
    if (json_peek(r) != kind) {
        json_skip(r);
        return false;
    }
    return kind == JSON_KIND_STRING ? json_read_string(r, out) : json_read_raw(r, out);
}

#endif
