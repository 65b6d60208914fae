#include "signalr/protocol/hub_message.h"
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "signalr/protocol/hub_frame.h"
#include "signalr/protocol/ws_header.h"

/* A text as the inside of a JSON string. Hub method names and invocation ids of real clients need
 * no escape and are used as they stand; only others cost a buffer. */
struct json_text {
    struct slice inside;
    struct byte_buf escaped; /* in use when the text needed an escape */
};

static bool needs_escape(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        const uint8_t c = (uint8_t)text.ptr[i];

        if (c < 0x20 || c >= 0x80 || c == '"' || c == '\\')
            return true;
    }
    return false;
}

/* False: no memory. Free with byte_buf_free(&t->escaped) either way. */
static bool json_text_of(struct json_text *t, struct slice text)
{
    *t = (struct json_text){.inside = text};
    if (!needs_escape(text))
        return true;
    json_write_string(&t->escaped, text);
    if (byte_buf_failed(&t->escaped))
        return false;
    t->inside = (struct slice){t->escaped.data + 1, t->escaped.len - 2}; /* without the quotes */
    return true;
}

static size_t total_len(const struct slice *parts, size_t n)
{
    size_t len = 0;

    for (size_t i = 0; i < n; i++)
        len += parts[i].len;
    return len;
}

static uint8_t *put_all(uint8_t *out, const struct slice *parts, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (parts[i].len > 0) {
            memcpy(out, parts[i].ptr, parts[i].len);
            out += parts[i].len;
        }
    return out;
}

/* head, body and tail one after the other, framed, in the one allocation that will be sent. */
static struct hub_buf *build(const struct slice *head, size_t nhead, const struct slice *body,
                             size_t nbody, struct slice tail)
{
    const size_t payload = total_len(head, nhead) + total_len(body, nbody) + tail.len + 1;
    uint8_t *out;
    struct hub_buf *b = hub_buf_alloc(ws_header_len(payload) + payload, &out);

    if (b == NULL)
        return NULL;
    out += ws_header_write(out, WS_OPCODE_TEXT, payload);
    out = put_all(out, head, nhead);
    out = put_all(out, body, nbody);
    out = put_all(out, &tail, 1);
    *out = HUB_RECORD_SEPARATOR;
    return b;
}

struct hub_buf *hub_message_invocation(struct slice target, struct slice arguments)
{
    return hub_message_invocation_parts(target, &arguments, 1);
}

struct hub_buf *hub_message_invocation_parts(struct slice target, const struct slice *parts,
                                             size_t n)
{
    struct json_text name;
    struct hub_buf *b = NULL;

    if (json_text_of(&name, target)) {
        const struct slice head[] = {SLICE_LIT("{\"type\":1,\"target\":\""), name.inside,
                                     SLICE_LIT("\",\"arguments\":[")};

        b = build(head, 3, parts, n, SLICE_LIT("]}"));
    }
    byte_buf_free(&name.escaped);
    return b;
}

struct hub_buf *hub_message_completion(struct slice invocation_id, struct slice result,
                                       struct slice error)
{
    struct json_text id, text = {0};
    struct hub_buf *b = NULL;

    if (json_text_of(&id, invocation_id) && json_text_of(&text, error)) {
        const struct slice head[] = {SLICE_LIT("{\"type\":3,\"invocationId\":\""), id.inside};
        const struct slice failed[] = {SLICE_LIT("\",\"error\":\""), text.inside, SLICE_LIT("\"")};
        const struct slice done[] = {SLICE_LIT("\",\"result\":"),
                                     result.len > 0 ? result : SLICE_LIT("null")};

        b = error.len > 0 ? build(head, 2, failed, 3, SLICE_LIT("}"))
                          : build(head, 2, done, 2, SLICE_LIT("}"));
    }
    byte_buf_free(&id.escaped);
    byte_buf_free(&text.escaped);
    return b;
}

struct hub_buf *hub_message_stream_end(struct slice invocation_id)
{
    struct json_text id;
    struct hub_buf *b = NULL;

    if (json_text_of(&id, invocation_id)) {
        const struct slice head[] = {SLICE_LIT("{\"type\":3,\"invocationId\":\""), id.inside};

        b = build(head, 2, NULL, 0, SLICE_LIT("\"}"));
    }
    byte_buf_free(&id.escaped);
    return b;
}

struct hub_buf *hub_message_stream_item(struct slice invocation_id, struct slice item)
{
    struct json_text id;
    struct hub_buf *b = NULL;

    if (json_text_of(&id, invocation_id)) {
        const struct slice head[] = {SLICE_LIT("{\"type\":2,\"invocationId\":\""), id.inside,
                                     SLICE_LIT("\",\"item\":")};

        b = build(head, 3, &item, 1, SLICE_LIT("}"));
    }
    byte_buf_free(&id.escaped);
    return b;
}

struct hub_buf *hub_message_ping(void)
{
    return build(NULL, 0, NULL, 0, SLICE_LIT("{\"type\":6}"));
}

struct hub_buf *hub_message_close(struct slice error, bool allow_reconnect)
{
    struct json_text text;
    struct hub_buf *b = NULL;

    if (json_text_of(&text, error)) {
        const struct slice reason[] = {SLICE_LIT(",\"error\":\""), text.inside, SLICE_LIT("\"")};

        b = build(&SLICE_LIT("{\"type\":7"), 1, reason, error.len > 0 ? 3 : 0,
                  allow_reconnect ? SLICE_LIT(",\"allowReconnect\":true}") : SLICE_LIT("}"));
    }
    byte_buf_free(&text.escaped);
    return b;
}

struct hub_buf *hub_message_handshake(struct slice error)
{
    struct json_text text;
    struct hub_buf *b = NULL;

    if (error.len == 0)
        return build(NULL, 0, NULL, 0, SLICE_LIT("{}"));
    if (json_text_of(&text, error)) {
        const struct slice reason[] = {SLICE_LIT("{\"error\":\""), text.inside};

        b = build(reason, 2, NULL, 0, SLICE_LIT("\"}"));
    }
    byte_buf_free(&text.escaped);
    return b;
}
