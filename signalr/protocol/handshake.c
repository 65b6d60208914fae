#include "signalr/protocol/handshake.h"
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "signalr/protocol/hub_json.h"
#include <inttypes.h>
#include <stdlib.h>

static bool read_members(struct json_reader *r, struct handshake *h)
{
    bool has_protocol = false, has_version = false;
    struct slice key;
    int64_t version = 0;

    if (!json_enter_object(r))
        return false;
    while (json_next_key(r, &key)) {
        if (json_string_is(key, "protocol")) {
            has_protocol = json_read_string(r, &h->protocol);
        } else if (json_string_is(key, "version")) {
            has_version = json_read_int64(r, &version);
        } else {
            json_skip(r);
        }
    }
    if (!json_end(r) || !has_protocol || !has_version)
        return false;
    if (version < INT32_MIN || version > INT32_MAX)
        return false;
    h->version = (int32_t)version;
    return true;
}

static bool is_json(struct slice raw_name)
{
    char name[4];
    size_t len;

    return json_string_unescape(raw_name, name, sizeof name, &len) &&
           slice_eq_nocase((struct slice){name, len}, SLICE_LIT("json"));
}

enum handshake_result handshake_parse(struct slice body, struct handshake *out)
{
    struct json_reader r;
    struct handshake h = {0};

    json_reader_init(&r, body.ptr, body.len, HUB_JSON_MAX_DEPTH);
    if (!read_members(&r, &h))
        return HANDSHAKE_MALFORMED;
    *out = h;
    if (!is_json(h.protocol))
        return HANDSHAKE_UNKNOWN_PROTOCOL;
    return h.version > HANDSHAKE_MAX_VERSION ? HANDSHAKE_VERSION_TOO_HIGH : HANDSHAKE_OK;
}

static bool put_unescaped(struct byte_buf *text, struct slice raw)
{
    size_t len;

    if (!byte_buf_reserve(text, raw.len) ||
        !json_string_unescape(raw, text->data + text->len, raw.len, &len))
        return false;
    text->len += len;
    return true;
}

void handshake_error_text(enum handshake_result result, const struct handshake *h,
                          struct byte_buf *text)
{
    const size_t start = text->len;

    switch (result) {
    case HANDSHAKE_UNKNOWN_PROTOCOL:
        byte_buf_puts(text, "The protocol '");
        if (!put_unescaped(text, h->protocol))
            break; /* a lone surrogate: no text at all, so malformed in .NET's eyes */
        byte_buf_puts(text, "' is not supported.");
        return;
    case HANDSHAKE_VERSION_TOO_HIGH:
        byte_buf_printf(text, "The server does not support version %" PRId32 " of the '",
                        h->version);
        if (!put_unescaped(text, h->protocol))
            break;
        byte_buf_puts(text, "' protocol.");
        return;
    case HANDSHAKE_MALFORMED:
        break;
    case HANDSHAKE_OK:
        abort();
    }
    text->len = start;
    byte_buf_puts(text, "An unexpected error occurred during connection handshake.");
}
