#include "rocketchat/ddp_codec.h"
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "rocketchat/json_fields_internal.h"

static const struct {
    const char *name;
    enum ddp_msg msg;
} names[] = {
    {"changed", DDP_CHANGED}, /* nearly every frame: first */
    {"ping", DDP_PING},       {"result", DDP_RESULT},       {"ready", DDP_READY},
    {"nosub", DDP_NOSUB},     {"added", DDP_ADDED},         {"removed", DDP_REMOVED},
    {"failed", DDP_FAILED},   {"connected", DDP_CONNECTED},
};

static enum ddp_msg msg_of(struct slice raw)
{
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (json_string_is(raw, names[i].name))
            return names[i].msg;
    return DDP_OTHER;
}

static void read_fields(struct json_reader *r, struct ddp_frame *f)
{
    struct json_key key;
    const char *mark = json_mark(r);

    if (!json_enter_object_or_skip(r))
        return;
    while (json_next_plain_key(r, &key)) {
        if (json_key_is(&key, "eventName"))
            json_read_if(r, JSON_KIND_STRING, &f->event_name);
        else if (json_key_is(&key, "args"))
            json_read_if(r, JSON_KIND_ARRAY, &f->args);
        else
            json_skip(r);
    }
    f->fields = json_since(r, mark);
}

/* A null is what a missing one is (rocketchat.md 1.8). */
static void read_error(struct json_reader *r, struct ddp_frame *f)
{
    if (json_peek(r) == JSON_KIND_NULL)
        json_skip(r);
    else
        json_read_raw(r, &f->error);
}

static void read_member(struct json_reader *r, const struct json_key *key, struct ddp_frame *f)
{
    if (json_key_is(key, "msg"))
        json_read_if(r, JSON_KIND_STRING, &f->name);
    else if (json_key_is(key, "fields"))
        read_fields(r, f);
    else if (json_key_is(key, "collection"))
        json_read_if(r, JSON_KIND_STRING, &f->collection);
    else if (json_key_is(key, "id"))
        json_read_if(r, JSON_KIND_STRING, &f->id);
    else if (json_key_is(key, "result"))
        json_read_raw(r, &f->result);
    else if (json_key_is(key, "error"))
        read_error(r, f);
    else if (json_key_is(key, "subs"))
        json_read_if(r, JSON_KIND_ARRAY, &f->subs);
    else if (json_key_is(key, "session"))
        json_read_if(r, JSON_KIND_STRING, &f->session);
    else
        json_skip(r);
}

bool ddp_frame_parse(struct slice text, struct ddp_frame *out)
{
    struct json_reader r;
    struct json_key key;

    *out = (struct ddp_frame){.args = SLICE_LIT("[]")};
    json_reader_init(&r, text.ptr, text.len, JSON_MAX_DEPTH);
    if (!json_enter_object(&r))
        return false;
    while (json_next_plain_key(&r, &key))
        read_member(&r, &key, out);
    if (!json_end(&r))
        return false;
    if (out->name.ptr != NULL)
        out->msg = msg_of(out->name);
    return true;
}

bool ddp_id_parse(struct slice raw, uint32_t *id)
{
    char text[10]; /* 4294967295 */
    uint64_t value;
    size_t len;

    /* Unescaped first: "\u0037" is the 7 we sent. */
    if (!json_string_unescape(raw, text, sizeof text, &len) || len == 0 || text[0] == '0' ||
        !slice_read_digits((struct slice){text, len}, UINT32_MAX, &value))
        return false;
    *id = (uint32_t)value;
    return true;
}

void ddp_write_connect(struct byte_buf *out)
{
    byte_buf_puts(out, "{\"msg\":\"connect\",\"version\":\"1\",\"support\":[\"1\"]}");
}

void ddp_write_ping(struct byte_buf *out)
{
    byte_buf_puts(out, "{\"msg\":\"ping\"}");
}

void ddp_write_pong(struct byte_buf *out, struct slice raw_id)
{
    byte_buf_puts(out, "{\"msg\":\"pong\"");
    if (raw_id.ptr != NULL) {
        byte_buf_puts(out, ",\"id\":\"");
        byte_buf_put(out, raw_id);
        byte_buf_putc(out, '"');
    }
    byte_buf_putc(out, '}');
}

static void write_call(struct byte_buf *out, const char *msg, const char *name_key, uint32_t id,
                       const char *name, struct slice params)
{
    byte_buf_printf(out, "{\"msg\":\"%s\",\"id\":\"%u\",\"%s\":", msg, (unsigned)id, name_key);
    json_write_string(out, slice_of(name));
    byte_buf_puts(out, ",\"params\":");
    byte_buf_put(out, params);
    byte_buf_putc(out, '}');
}

void ddp_write_method(struct byte_buf *out, uint32_t id, const char *method, struct slice params)
{
    write_call(out, "method", "method", id, method, params);
}

void ddp_write_sub(struct byte_buf *out, uint32_t id, const char *name, struct slice params)
{
    write_call(out, "sub", "name", id, name, params);
}

void ddp_write_unsub(struct byte_buf *out, uint32_t id)
{
    byte_buf_printf(out, "{\"msg\":\"unsub\",\"id\":\"%u\"}", (unsigned)id);
}
