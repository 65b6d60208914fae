#include "bridge/im_proxy/im_headers.h"

/* Of one connection, or of a message's framing. */
static const char *const of_connection[] = {
    "connection",
    "keep-alive",
    "proxy-connection",
    "proxy-authenticate",
    "proxy-authorization",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    NULL,
};

static const char *const kept_here[] = {
    "host",
    "expect",
    "authorization",
    "cookie",
    "x-auth-token",
    "x-user-id",
    "x-xsrf-token",
    "origin",
    "forwarded",
    "x-real-ip",
    "x-client-ip",
    "true-client-ip",
    "cf-connecting-ip",
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    NULL,
};

static const char *const kept_there[] = {
    "set-cookie",
    "set-cookie2",
    "date",
    "strict-transport-security",
    "public-key-pins",
    "alt-svc",
    "clear-site-data",
    "nel",
    "report-to",
    "reporting-endpoints",
    "service-worker-allowed",
    NULL,
};

static bool is_one_of(struct slice name, const char *const *list)
{
    for (; *list != NULL; list++)
        if (slice_eq_nocase(name, slice_of(*list)))
            return true;
    return false;
}

static bool begins(struct slice name, struct slice with)
{
    return name.len >= with.len && slice_eq_nocase((struct slice){name.ptr, with.len}, with);
}

/* A Connection field names it. */
static bool is_named(const struct http_header *headers, size_t n, struct slice name)
{
    for (size_t i = 0; i < n; i++) {
        struct slice rest = headers[i].value, member;

        if (!slice_eq_nocase(headers[i].name, SLICE_LIT("connection")))
            continue;
        while (http_list_next(&rest, &member))
            if (slice_eq_nocase(member, name))
                return true;
    }
    return false;
}

size_t im_headers_request(const struct http_view *v, struct http_header *out)
{
    size_t n = 0;

    for (size_t i = 0; i < v->nheaders; i++) {
        struct slice name = v->headers[i].name;

        if (is_one_of(name, of_connection) || is_one_of(name, kept_here) ||
            begins(name, SLICE_LIT("x-forwarded-")) ||
            begins(name, SLICE_LIT("access-control-request-")) ||
            is_named(v->headers, v->nheaders, name))
            continue;
        out[n++] = v->headers[i];
    }
    return n;
}

static bool is_token(struct slice name)
{
    for (size_t i = 0; i < name.len; i++)
        if (!http_is_tchar(name.ptr[i]))
            return false;
    return name.len > 0;
}

static bool is_text(struct slice value)
{
    for (size_t i = 0; i < value.len; i++)
        if (((unsigned char)value.ptr[i] < 0x20 && value.ptr[i] != '\t') || value.ptr[i] == 0x7f)
            return false;
    return true;
}

void im_headers_add(struct im_headers *h, struct slice name, struct slice value)
{
    if (h->count == IM_HEADERS_MAX || !is_token(name) || !is_text(value))
        return;
    h->lines[h->count].at = h->text.len;
    h->lines[h->count].name_len = (unsigned)name.len;
    h->lines[h->count].value_len = (unsigned)value.len;
    byte_buf_put(&h->text, name);
    byte_buf_put(&h->text, value);
    if (!byte_buf_failed(&h->text))
        h->count++;
}

static struct http_header line(const struct im_headers *h, size_t i)
{
    const char *at = h->text.data + h->lines[i].at;

    return (struct http_header){{at, h->lines[i].name_len},
                                {at + h->lines[i].name_len, h->lines[i].value_len}};
}

size_t im_headers_answer(const struct im_headers *h, struct http_header *out)
{
    struct http_header all[IM_HEADERS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < h->count; i++)
        all[i] = line(h, i);
    for (size_t i = 0; i < h->count; i++)
        if (!is_one_of(all[i].name, of_connection) && !is_one_of(all[i].name, kept_there) &&
            !begins(all[i].name, SLICE_LIT("access-control-")) &&
            !is_named(all, h->count, all[i].name))
            out[n++] = all[i];
    return n;
}

bool im_headers_have(const struct im_headers *h, const char *name)
{
    for (size_t i = 0; i < h->count; i++)
        if (slice_eq_nocase(line(h, i).name, slice_of(name)))
            return true;
    return false;
}

void im_headers_clear(struct im_headers *h)
{
    byte_buf_free(&h->text);
    h->count = 0;
}
