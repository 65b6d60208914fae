#include "bridge/abp/abp_params.h"

#include "base/json_slice.h"
#include "base/percent.h"
#include "signalr/http/http_server.h"
#include <stdlib.h>

#define MAX_DEPTH 32
#define VALUE_MAX 8192 /* of one query pair, decoded */

static const char not_an_object[] = "The request's body must be a JSON object.";
static const char bad_query[] = "The request's query is malformed or too long.";

/* ---- the query's pairs ---- */

struct pair {
    char *text; /* decoded: name, then value; NULL: not filled */
    struct slice name, value;
};

/* Cuts the next pair off *query. False: there is none left. */
static bool next_raw_pair(struct slice *query, struct slice *name, struct slice *value)
{
    struct slice pair;
    const char *end, *equals;

    while (query->len > 0 && query->ptr[0] == '&') {
        query->ptr++;
        query->len--;
    }
    if (query->len == 0)
        return false;
    end = memchr(query->ptr, '&', query->len);
    pair = (struct slice){query->ptr, end == NULL ? query->len : (size_t)(end - query->ptr)};
    query->ptr += pair.len;
    query->len -= pair.len;
    equals = memchr(pair.ptr, '=', pair.len);
    *name = (struct slice){pair.ptr, equals == NULL ? pair.len : (size_t)(equals - pair.ptr)};
    *value = (struct slice){0};
    if (equals != NULL)
        *value = (struct slice){equals + 1, pair.len - name->len - 1};
    return true;
}

/* '+' is a space in a query, as ASP.NET reads it. */
static bool decode(struct slice raw, char *out, size_t cap, struct slice *decoded)
{
    size_t len;

    if (!http_percent_decode(raw, out, cap, &len))
        return false;
    for (size_t i = 0, j = 0; i < raw.len && j < len; i++, j++) {
        if (raw.ptr[i] == '%')
            i += 2;
        else if (raw.ptr[i] == '+')
            out[j] = ' ';
    }
    *decoded = (struct slice){out, len};
    return true;
}

static bool is_credential(struct slice name)
{
    return slice_eq_nocase(name, SLICE_LIT("access_token")) ||
           slice_eq_nocase(name, SLICE_LIT("enc_auth_token"));
}

typedef void (*pair_fn)(struct byte_buf *out, struct slice name, struct slice value);

static const char *each_pair(struct slice query, struct byte_buf *out, pair_fn fn)
{
    char name_text[256], *value_text = malloc(VALUE_MAX);
    struct slice raw_name, raw_value, name, value;
    const char *error = value_text == NULL ? "out of memory" : NULL;

    while (error == NULL && next_raw_pair(&query, &raw_name, &raw_value)) {
        if (!decode(raw_name, name_text, sizeof name_text, &name) ||
            (!is_credential(name) && !decode(raw_value, value_text, VALUE_MAX, &value)))
            error = bad_query;
        else if (name.len > 0 && !is_credential(name))
            fn(out, name, value);
    }
    free(value_text);
    return error;
}

/* ---- towards a GET ---- */

static void put_query_pair(struct byte_buf *out, struct slice name, struct slice value)
{
    if (out->len > 0)
        byte_buf_putc(out, '&');
    percent_encode(out, name);
    byte_buf_putc(out, '=');
    percent_encode(out, value);
}

static bool put_query_text(struct byte_buf *out, struct slice raw)
{
    char *text = malloc(raw.len + 1);
    size_t len;
    bool ok = text != NULL && json_string_unescape(raw, text, raw.len + 1, &len);

    if (ok)
        percent_encode(out, (struct slice){text, len});
    free(text);
    return ok;
}

const char *abp_params_for_get(struct slice query, struct slice body, struct byte_buf *out)
{
    const char *error = each_pair(query, out, put_query_pair);
    struct json_reader r;
    struct slice key, value;
    bool ok = true;

    if (error != NULL || body.len == 0)
        return error;
    json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
    if (!json_enter_object(&r))
        return not_an_object;
    while (ok && json_next_key(&r, &key)) {
        enum json_kind kind = json_peek(&r);

        if (kind == JSON_KIND_NULL) {
            json_skip(&r);
            continue;
        }
        if (out->len > 0)
            byte_buf_putc(out, '&');
        ok = put_query_text(out, key);
        byte_buf_putc(out, '=');
        if (kind == JSON_KIND_STRING)
            ok = ok && json_read_string(&r, &value) && put_query_text(out, value);
        else if (json_read_raw(&r, &value))
            percent_encode(out, value);
    }
    return ok && json_end(&r) ? NULL : not_an_object;
}

/* ---- towards a POST ---- */

static void put_member(struct byte_buf *out, struct slice name, struct slice value)
{
    byte_buf_puts(out, out->len > 1 ? "," : "");
    json_write_string(out, name);
    byte_buf_putc(out, ':');
    if (slice_eq(value, SLICE_LIT("true")) || slice_eq(value, SLICE_LIT("false")))
        byte_buf_put(out, value);
    else
        json_write_string(out, value);
}

const char *abp_params_for_post(struct slice query, struct slice body, struct byte_buf *out)
{
    struct json_reader r;
    struct slice key, value;
    const char *error;

    byte_buf_putc(out, '{');
    if (body.len > 0) {
        json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
        if (!json_enter_object(&r))
            return not_an_object;
        while (json_next_key(&r, &key) && json_read_raw(&r, &value)) {
            byte_buf_puts(out, out->len > 1 ? ",\"" : "\"");
            byte_buf_put(out, key);
            byte_buf_puts(out, "\":");
            byte_buf_put(out, value);
        }
        if (!json_end(&r))
            return not_an_object;
    }
    error = each_pair(query, out, put_member);
    byte_buf_putc(out, '}');
    return error;
}

/* ---- users.create ---- */

enum { USER_NAME, USER_EMAIL, USER_USERNAME, USER_PASSWORD, USER_ROLES, USER_OTHERS, USER_NFIELDS };

static const struct {
    const char *in, *out; /* ABP's word and Rocket.Chat's (rocketchat.md 5.3, abp.md 5.2) */
    unsigned field;
    bool text;
} fields[] = {
    {"name", "name", USER_NAME, true},
    {"email", "email", USER_EMAIL, true},
    {"emailAddress", "email", USER_EMAIL, true},
    {"username", "username", USER_USERNAME, true},
    {"password", "password", USER_PASSWORD, true},
    {"roles", "roles", USER_ROLES, false},
    {"active", "active", USER_OTHERS, false},
    {"isActive", "active", USER_OTHERS, false},
    {"joinDefaultChannels", "joinDefaultChannels", USER_OTHERS, false},
    {"requirePasswordChange", "requirePasswordChange", USER_OTHERS, false},
    {"sendWelcomeEmail", "sendWelcomeEmail", USER_OTHERS, false},
    {"verified", "verified", USER_OTHERS, false},
    {"customFields", "customFields", USER_OTHERS, false},
};

static bool same_member(struct slice raw_key, const char *name)
{
    return slice_eq_nocase(raw_key, slice_of(name));
}

static void put_raw(struct byte_buf *out, const char *name, struct slice raw, bool text)
{
    byte_buf_printf(out, "%s\"%s\":%s", out->len > 1 ? "," : "", name, text ? "\"" : "");
    byte_buf_put(out, raw);
    byte_buf_puts(out, text ? "\"" : "");
}

static const char *read_new_user(struct slice body, struct byte_buf *out,
                                 struct slice found[USER_NFIELDS], const char **member)
{
    struct json_reader r;
    struct slice key, value;

    json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
    if (!json_enter_object(&r))
        return not_an_object;
    while (json_next_key(&r, &key)) {
        size_t i = 0;

        while (i < sizeof fields / sizeof fields[0] && !same_member(key, fields[i].in))
            i++;
        if (i == sizeof fields / sizeof fields[0] || json_peek(&r) == JSON_KIND_NULL) {
            json_skip(&r);
            continue;
        }
        if (fields[i].text && json_peek(&r) != JSON_KIND_STRING) {
            *member = fields[i].in;
            return "This must be a text.";
        }
        if (fields[i].text ? !json_read_string(&r, &value) : !json_read_raw(&r, &value))
            break;
        if (fields[i].field == USER_OTHERS)
            put_raw(out, fields[i].out, value, false);
        else
            found[fields[i].field] = value;
    }
    return json_end(&r) ? NULL : not_an_object;
}

const char *abp_params_new_user(struct slice body, const struct abp_user_defaults *defaults,
                                struct byte_buf *out, struct abp_new_user *user,
                                const char **member)
{
    struct slice found[USER_NFIELDS] = {0};
    const char *error;

    *member = NULL;
    byte_buf_putc(out, '{');
    error = read_new_user(body, out, found, member);
    if (error != NULL)
        return error;
    *member = found[USER_USERNAME].len == 0 ? "username" : "email";
    if (found[USER_USERNAME].len == 0 || found[USER_EMAIL].len == 0)
        return "This is required.";
    *member = NULL;
    put_raw(out, "username", found[USER_USERNAME], true);
    put_raw(out, "email", found[USER_EMAIL], true);
    put_raw(out, "name", found[USER_NAME].len > 0 ? found[USER_NAME] : found[USER_USERNAME], true);
    if (found[USER_ROLES].len > 0)
        put_raw(out, "roles", found[USER_ROLES], false);
    if (found[USER_PASSWORD].len > 0) {
        put_raw(out, "password", found[USER_PASSWORD], true);
    } else {
        byte_buf_puts(out, ",\"password\":");
        if (!defaults->password(defaults->arg, found[USER_USERNAME], out)) {
            *member = "password";
            return "This is required.";
        }
    }
    byte_buf_putc(out, '}');
    user->username = found[USER_USERNAME];
    return NULL;
}
