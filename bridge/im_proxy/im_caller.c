#include "bridge/im_proxy/im_caller.h"

#include "signalr/http/http_cors.h"

static bool is_none(struct slice value)
{
    return value.len == 0 || slice_eq(value, SLICE_LIT("null")) ||
           slice_eq(value, SLICE_LIT("undefined"));
}

static bool take(struct slice value, char *out, size_t cap)
{
    if (value.len >= cap)
        return false;
    for (size_t i = 0; i < value.len; i++)
        if (value.ptr[i] <= ' ' || value.ptr[i] >= 0x7f)
            return false;
    memcpy(out, value.ptr, value.len);
    out[value.len] = '\0';
    return true;
}

/* Quotes around a value are no part of it (RFC 6265 4.1.1). */
static struct slice unquoted(struct slice value)
{
    if (value.len >= 2 && value.ptr[0] == '"' && value.ptr[value.len - 1] == '"')
        return (struct slice){value.ptr + 1, value.len - 2};
    return value;
}

/* The first cookie of that name, as sent: more special paths come first (RFC 6265 5.4). */
static struct slice cookie(const struct http_view *v, const char *name)
{
    const struct slice want = slice_of(name);

    for (size_t i = 0; i < v->nheaders; i++) {
        struct slice rest = v->headers[i].value;

        if (!slice_eq_nocase(v->headers[i].name, SLICE_LIT("cookie")))
            continue;
        while (rest.len > 0) {
            const char *end = memchr(rest.ptr, ';', rest.len);
            struct slice pair = {rest.ptr, end == NULL ? rest.len : (size_t)(end - rest.ptr)};

            rest.ptr += pair.len + (end != NULL);
            rest.len -= pair.len + (end != NULL);
            while (pair.len > 0 && pair.ptr[0] == ' ') {
                pair.ptr++;
                pair.len--;
            }
            if (pair.len > want.len && pair.ptr[want.len] == '=' &&
                memcmp(pair.ptr, want.ptr, want.len) == 0)
                return unquoted((struct slice){pair.ptr + want.len + 1, pair.len - want.len - 1});
        }
    }
    return (struct slice){0};
}

static void take_pair(enum im_caller_kind kind, struct slice id, struct slice token,
                      struct im_caller *out)
{
    if (is_none(id) || is_none(token))
        return;
    out->kind = take(id, out->user_id, sizeof out->user_id) &&
                        take(token, out->auth_token, sizeof out->auth_token)
                    ? kind
                    : IM_CALLER_BAD;
}

void im_caller_read(const struct http_view *v, struct im_caller *out)
{
    struct slice id = {0}, token = {0};
    char id_text[64], token_text[256]; /* js-cookie writes some bytes as escapes */

    *out = (struct im_caller){.kind = IM_CALLER_NONE};
    if (http_view_header(v, "x-user-id", &id) && http_view_header(v, "x-auth-token", &token))
        take_pair(IM_CALLER_HEADERS, id, token, out);
    if (out->kind != IM_CALLER_NONE)
        return;
    id = cookie(v, "chat_uid");
    token = cookie(v, "chat_token");
    if (is_none(id) || is_none(token))
        return;
    if (http_percent_decode(id, id_text, sizeof id_text, &id.len) &&
        http_percent_decode(token, token_text, sizeof token_text, &token.len))
        take_pair(IM_CALLER_COOKIES, (struct slice){id_text, id.len},
                  (struct slice){token_text, token.len}, out);
    else
        out->kind = IM_CALLER_BAD;
}

bool im_caller_origin_allowed(const char *const *listed, const struct http_view *v)
{
    bool reads = v->method == HTTP_GET_ || v->method == HTTP_HEAD_ || v->method == HTTP_OPTIONS_;
    struct slice origin, site;

    if (http_view_header(v, "origin", &origin))
        return http_cors_upgrade_allowed(listed, v); /* of a listed one, or the host's own */
    if (!reads)
        return false;
    /* An image of another site's page is a read, too, and some of Rocket.Chat's reads change. */
    return !http_view_header(v, "sec-fetch-site", &site) ||
           !slice_eq_nocase(site, SLICE_LIT("cross-site"));
}
