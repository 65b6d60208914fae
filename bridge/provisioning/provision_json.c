#include "bridge/provisioning/provision_json.h"

#include "base/json_slice.h"

#define MAX_DEPTH 64

/* ---- reading ---- */

static bool read_text(struct json_reader *r, char *out, size_t cap)
{
    struct slice raw;
    size_t len;

    out[0] = '\0';
    if (json_peek(r) != JSON_KIND_STRING)
        return json_skip(r);
    if (!json_read_string(r, &raw))
        return false;
    if (json_string_unescape(raw, out, cap - 1, &len) && memchr(out, '\0', len) == NULL)
        out[len] = '\0';
    else
        out[0] = '\0';
    return true;
}

static bool is_header_safe(const char *s)
{
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++)
        if (*s <= ' ' || *s >= 0x7f || *s == '"' || *s == '\\')
            return false;
    return true;
}

static void read_emails(struct json_reader *r, struct provision_info *out)
{
    struct slice key;

    if (json_peek(r) != JSON_KIND_ARRAY) {
        json_skip(r);
        return;
    }
    out->has_emails = true;
    json_enter_array(r);
    while (json_next_item(r)) {
        if (out->email[0] != '\0' || json_peek(r) != JSON_KIND_OBJECT) {
            json_skip(r);
            continue;
        }
        json_enter_object(r);
        while (json_next_key(r, &key)) {
            if (json_string_is(key, "address"))
                read_text(r, out->email, sizeof out->email);
            else
                json_skip(r);
        }
    }
}

static void read_user(struct json_reader *r, struct provision_info *out)
{
    struct slice key;

    json_enter_object(r);
    while (json_next_key(r, &key)) {
        if (json_string_is(key, "_id"))
            read_text(r, out->id, sizeof out->id);
        else if (json_string_is(key, "username"))
            read_text(r, out->username, sizeof out->username);
        else if (json_string_is(key, "name"))
            read_text(r, out->name, sizeof out->name);
        else if (json_string_is(key, "emails"))
            read_emails(r, out);
        else
            json_skip(r);
    }
}

bool provision_read_info(struct slice body, struct provision_info *out)
{
    struct json_reader r;
    struct slice key;

    *out = (struct provision_info){.has_emails = false};
    json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
    if (!json_enter_object(&r))
        return false;
    while (json_next_key(&r, &key)) {
        if (json_string_is(key, "user") && json_peek(&r) == JSON_KIND_OBJECT && out->id[0] == '\0')
            read_user(&r, out);
        else
            json_skip(&r);
    }
    return json_end(&r) && is_header_safe(out->id);
}

bool provision_read_token(struct slice body, char user_id[PROVISION_ID_MAX], char token[256])
{
    struct json_reader r;
    struct slice key;

    user_id[0] = token[0] = '\0';
    json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
    if (!json_enter_object(&r))
        return false;
    while (json_next_key(&r, &key)) {
        if (!json_string_is(key, "data") || json_peek(&r) != JSON_KIND_OBJECT) {
            json_skip(&r);
            continue;
        }
        json_enter_object(&r);
        while (json_next_key(&r, &key)) {
            if (json_string_is(key, "userId"))
                read_text(&r, user_id, PROVISION_ID_MAX);
            else if (json_string_is(key, "authToken"))
                read_text(&r, token, 256);
            else
                json_skip(&r);
        }
    }
    return json_end(&r) && is_header_safe(user_id) && is_header_safe(token);
}

bool provision_is_unknown(struct slice body)
{
    struct json_reader r;
    struct slice key;
    char text[64] = "";

    json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
    if (!json_enter_object(&r))
        return false;
    while (json_next_key(&r, &key)) {
        if (json_string_is(key, "error"))
            read_text(&r, text, sizeof text);
        else
            json_skip(&r);
    }
    return json_end(&r) && strcmp(text, "User not found.") == 0;
}

/* ---- writing ---- */

static void put(struct byte_buf *out, const char *before, struct slice text)
{
    byte_buf_puts(out, before);
    json_write_string(out, text);
}

void provision_write_create(struct byte_buf *out, struct slice username, struct slice password,
                            const struct profile *p, bool verified, bool join)
{
    put(out, "{\"username\":", username);
    put(out, ",\"email\":", slice_of(p->email));
    put(out, ",\"name\":", p->name[0] != '\0' ? slice_of(p->name) : username);
    put(out, ",\"password\":", password);
    if (p->nroles > 0)
        byte_buf_puts(out, ",\"roles\":");
    for (size_t i = 0; i < p->nroles; i++)
        put(out, i == 0 ? "[" : ",", slice_of(p->roles[i]));
    byte_buf_printf(out, "%s,\"verified\":%s,\"joinDefaultChannels\":%s", p->nroles > 0 ? "]" : "",
                    verified ? "true" : "false", join ? "true" : "false");
    byte_buf_puts(out, ",\"requirePasswordChange\":false,\"sendWelcomeEmail\":false}");
}

void provision_write_token(struct byte_buf *out, struct slice user_id, struct slice secret)
{
    put(out, "{\"userId\":", user_id);
    if (secret.len > 0)
        put(out, ",\"secret\":", secret);
    byte_buf_putc(out, '}');
}

bool provision_write_update(struct byte_buf *out, const struct provision_info *is,
                            const struct profile *wanted, bool verified)
{
    bool name = wanted->name[0] != '\0' && strcmp(wanted->name, is->name) != 0;
    bool email =
        wanted->email[0] != '\0' && is->has_emails && strcmp(wanted->email, is->email) != 0;

    if (!name && !email)
        return false;
    put(out, "{\"userId\":", slice_of(is->id));
    byte_buf_puts(out, ",\"data\":{");
    if (name)
        put(out, "\"name\":", slice_of(wanted->name));
    if (email) {
        put(out, name ? ",\"email\":" : "\"email\":", slice_of(wanted->email));
        byte_buf_printf(out, ",\"verified\":%s", verified ? "true" : "false");
    }
    byte_buf_puts(out, "}}");
    return true;
}
