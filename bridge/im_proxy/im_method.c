#include "bridge/im_proxy/im_method.h"

#include "base/json_slice.h"
#include <stdlib.h>

enum { BODY_DEPTH = JSON_MAX_DEPTH };

/* However a router may read it: case folded, letters percent-encoded. */
static bool leads_to_methods(struct slice call)
{
    const char *slash = memchr(call.ptr, '/', call.len);
    struct slice first = {call.ptr, slash == NULL ? call.len : (size_t)(slash - call.ptr)};
    char decoded[16];
    size_t n;

    if (!http_percent_decode(first, decoded, sizeof decoded, &n))
        return false;
    first = (struct slice){decoded, n};
    return slice_eq_nocase(first, SLICE_LIT("method.call")) ||
           slice_eq_nocase(first, SLICE_LIT("method.callAnon"));
}

static bool is_plain_json(const struct http_view *v)
{
    struct slice type, coding;

    if (http_view_header(v, "content-encoding", &coding) ||
        !http_view_header(v, "content-type", &type))
        return false;
    return slice_eq_nocase(type, SLICE_LIT("application/json")) ||
           slice_eq_nocase(type, SLICE_LIT("application/json;charset=utf-8")) ||
           slice_eq_nocase(type, SLICE_LIT("application/json; charset=utf-8"));
}

/* The message is an object, and whatever it has for a method is another one. */
static bool is_harmless_message(struct slice json)
{
    struct json_reader r;
    struct slice key, method;
    bool harmless = true;

    json_reader_init(&r, json.ptr, json.len, BODY_DEPTH);
    if (json_enter_object(&r))
        while (json_next_key(&r, &key)) {
            if (!json_string_is(key, "method"))
                json_skip(&r);
            else if (json_read_string(&r, &method))
                harmless = harmless && !json_string_is(method, "login") &&
                           !json_string_is(method, "resetPassword");
        }
    return json_end(&r) && harmless;
}

/* Of members of one name another reader may take the first or the last: all must be harmless. */
static bool is_harmless(struct slice body, char *message)
{
    struct json_reader r;
    struct slice key, raw;
    size_t n;
    bool harmless = true;

    json_reader_init(&r, body.ptr, body.len, BODY_DEPTH);
    if (json_enter_object(&r))
        while (json_next_key(&r, &key)) {
            if (!json_string_is(key, "message"))
                json_skip(&r);
            else if (json_read_string(&r, &raw))
                harmless = harmless && json_string_unescape(raw, message, raw.len, &n) &&
                           is_harmless_message((struct slice){message, n});
        }
    return json_end(&r) && harmless;
}

bool im_method_may_log_in(const struct http_view *v, struct slice call, struct slice body)
{
    char *message;
    bool harmless;

    if (v->method != HTTP_POST_ || !leads_to_methods(call))
        return false;
    if (body.ptr == NULL || !is_plain_json(v))
        return true;
    message = malloc(body.len + 1); /* no longer than what it is written as */
    harmless = message != NULL && is_harmless(body, message);
    free(message);
    return !harmless;
}
