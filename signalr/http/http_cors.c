#include "signalr/http/http_cors.h"

#include "base/byte_buf.h"

bool http_cors_listed(const char *const *listed, struct slice origin)
{
    for (; listed != NULL && *listed != NULL; listed++)
        if (slice_eq(slice_of(*listed), origin))
            return true;
    return false;
}

bool http_cors_is_preflight(const struct http_view *v)
{
    struct slice ignored;

    return v->method == HTTP_OPTIONS_ && http_view_header(v, "Origin", &ignored) &&
           http_view_header(v, "Access-Control-Request-Method", &ignored);
}

static void put_header(struct byte_buf *out, const char *name, struct slice value)
{
    byte_buf_puts(out, name);
    byte_buf_puts(out, ": ");
    byte_buf_put(out, value);
    byte_buf_puts(out, "\r\n");
}

void http_cors_answer(const char *const *listed, const struct http_view *v, struct byte_buf *out)
{
    struct slice origin;

    if (listed == NULL || *listed == NULL)
        return;
    /* Also without Origin: a cache must not give that answer to a browser that sends one. */
    put_header(out, "Vary", SLICE_LIT("Origin"));
    if (!http_view_header(v, "Origin", &origin) || !http_cors_listed(listed, origin))
        return;
    put_header(out, "Access-Control-Allow-Origin", origin);
    put_header(out, "Access-Control-Allow-Credentials", SLICE_LIT("true"));
}

void http_cors_preflight(const char *const *listed, const struct http_view *v, struct byte_buf *out)
{
    struct slice origin, asked;

    if (!http_view_header(v, "Origin", &origin) || !http_cors_listed(listed, origin))
        return;
    if (http_view_header(v, "Access-Control-Request-Method", &asked))
        put_header(out, "Access-Control-Allow-Methods", asked);
    if (http_view_header(v, "Access-Control-Request-Headers", &asked))
        put_header(out, "Access-Control-Allow-Headers", asked);
    put_header(out, "Vary", SLICE_LIT("Access-Control-Request-Method"));
    put_header(out, "Vary", SLICE_LIT("Access-Control-Request-Headers"));
}

static bool strip(struct slice *s, const char *start)
{
    size_t n = strlen(start);

    if (s->len < n || !slice_eq_nocase((struct slice){s->ptr, n}, slice_of(start)))
        return false;
    s->ptr += n;
    s->len -= n;
    return true;
}

static struct slice without_port(struct slice authority, const char *port)
{
    size_t n = strlen(port);

    if (authority.len > n && memcmp(authority.ptr + authority.len - n, port, n) == 0)
        authority.len -= n;
    return authority;
}

static bool same_host(struct slice origin, struct slice host)
{
    const char *default_port;

    if (strip(&origin, "https://"))
        default_port = ":443";
    else if (strip(&origin, "http://"))
        default_port = ":80";
    else
        return false;
    return origin.len > 0 &&
           slice_eq_nocase(without_port(origin, default_port), without_port(host, default_port));
}

bool http_cors_upgrade_allowed(const char *const *listed, const struct http_view *v)
{
    struct slice origin;

    if (!http_view_header(v, "Origin", &origin))
        return true;
    return same_host(origin, v->host) || http_cors_listed(listed, origin);
}
