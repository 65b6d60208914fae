#include "signalr/http/http_proxy.h"

#include "signalr/http/http_head.h"
#include <arpa/inet.h>

static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

static bool is_v4(const struct http_addr *addr)
{
    return memcmp(addr->bytes, v4_prefix, sizeof v4_prefix) == 0;
}

static void set_v4(struct http_addr *out, const void *four)
{
    memcpy(out->bytes, v4_prefix, sizeof v4_prefix);
    memcpy(out->bytes + sizeof v4_prefix, four, 4);
}

bool http_addr_parse(struct slice text, struct http_addr *out)
{
    char copy[HTTP_ADDR_TEXT_MAX];
    uint8_t four[4];

    if (text.len == 0 || text.len >= sizeof copy || memchr(text.ptr, '\0', text.len) != NULL)
        return false;
    memcpy(copy, text.ptr, text.len);
    copy[text.len] = '\0';
    if (inet_pton(AF_INET6, copy, out->bytes) == 1)
        return true;
    if (inet_pton(AF_INET, copy, four) != 1)
        return false;
    set_v4(out, four);
    return true;
}

void http_addr_of(const struct sockaddr *addr, struct http_addr *out)
{
    *out = (struct http_addr){0};
    if (addr->sa_family == AF_INET) {
        struct sockaddr_in in;

        memcpy(&in, addr, sizeof in);
        set_v4(out, &in.sin_addr);
    } else if (addr->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;

        memcpy(&in6, addr, sizeof in6);
        memcpy(out->bytes, &in6.sin6_addr, sizeof out->bytes);
    }
}

size_t http_addr_text(const struct http_addr *addr, char out[HTTP_ADDR_TEXT_MAX])
{
    bool v4 = is_v4(addr);

    inet_ntop(v4 ? AF_INET : AF_INET6, addr->bytes + (v4 ? 12 : 0), out, HTTP_ADDR_TEXT_MAX);
    return strlen(out);
}

static bool in_prefix(const struct http_cidr *c, const struct http_addr *addr)
{
    size_t whole = c->bits / 8;
    unsigned rest = c->bits % 8;

    if (memcmp(c->addr.bytes, addr->bytes, whole) != 0)
        return false;
    return rest == 0 || (c->addr.bytes[whole] ^ addr->bytes[whole]) >> (8 - rest) == 0;
}

bool http_cidr_parse(struct slice text, struct http_cidr *out)
{
    const char *slash = text.len == 0 ? NULL : memchr(text.ptr, '/', text.len);
    size_t len = slash == NULL ? text.len : (size_t)(slash - text.ptr);
    uint64_t bits;
    unsigned width;

    if (!http_addr_parse((struct slice){text.ptr, len}, &out->addr))
        return false;
    width = memchr(text.ptr, ':', len) == NULL ? 32 : 128;
    if (slash == NULL) {
        bits = width;
    } else {
        struct slice digits = {slash + 1, text.len - len - 1};

        if (digits.len > 3 || !slice_read_digits(digits, width, &bits))
            return false;
    }
    out->bits = (uint8_t)(bits + 128 - width);
    /* 10.1.0.0/8 is a slip of somebody's; what was meant is not ours to guess. */
    for (unsigned i = out->bits; i < 128; i++)
        if (out->addr.bytes[i / 8] >> (7 - i % 8) & 1)
            return false;
    return true;
}

bool http_cidr_list_has(const struct http_cidr *list, size_t n, const struct http_addr *addr)
{
    for (size_t i = 0; i < n; i++)
        if (in_prefix(&list[i], addr))
            return true;
    return false;
}

/* Walks list members from the right, over all fields. */
struct backwards {
    const struct slice *fields;
    size_t nfields; /* those still to read; the last one's rest is in rest */
    struct slice rest;
};

static void backwards_init(struct backwards *b, const struct slice *fields, size_t n)
{
    *b = (struct backwards){fields, n, {NULL, 0}};
    if (n > 0)
        b->rest = fields[n - 1];
}

static bool backwards_next(struct backwards *b, struct slice *member)
{
    while (b->nfields > 0) {
        while (b->rest.len > 0) {
            const char *comma = memrchr(b->rest.ptr, ',', b->rest.len);
            size_t from = comma == NULL ? 0 : (size_t)(comma - b->rest.ptr) + 1;
            struct slice one = {b->rest.ptr + from, b->rest.len - from};

            b->rest.len = comma == NULL ? 0 : from - 1;
            if (http_list_next(&one, member)) /* trims; empty members do not count */
                return true;
        }
        if (--b->nfields > 0)
            b->rest = b->fields[b->nfields - 1];
    }
    return false;
}

/* "192.0.2.7", "192.0.2.7:80", "2001:db8::1", "[2001:db8::1]", "[2001:db8::1]:80" */
static bool hop_parse(struct slice text, struct http_addr *out)
{
    const char *colon = memchr(text.ptr, ':', text.len);

    if (text.ptr[0] == '[') {
        const char *end = memchr(text.ptr, ']', text.len);

        if (end == NULL)
            return false;
        return http_addr_parse((struct slice){text.ptr + 1, (size_t)(end - text.ptr) - 1}, out);
    }
    if (colon != NULL && memrchr(text.ptr, ':', text.len) == colon)
        text.len = (size_t)(colon - text.ptr);
    return http_addr_parse(text, out);
}

/* The member that the proxy wrote who wrote hop number `hops`; one value alone is everybody's. */
static struct slice matching(const struct slice *fields, size_t n, size_t hops)
{
    struct backwards b;
    struct slice member, last = {NULL, 0};

    backwards_init(&b, fields, n);
    for (size_t i = 0; i < (hops == 0 ? 1 : hops) && backwards_next(&b, &member); i++)
        last = member;
    return last;
}

void http_forwarded_read(const struct http_cidr *trusted, size_t ntrusted,
                         const struct http_addr *peer, const struct http_forwarded_fields *fields,
                         struct http_forwarded *out)
{
    struct backwards b;
    struct slice member;
    struct http_addr next;
    size_t hops = 0;

    *out = (struct http_forwarded){.client = *peer};
    if (!http_cidr_list_has(trusted, ntrusted, peer))
        return;
    backwards_init(&b, fields->x_for, fields->nfor);
    while (http_cidr_list_has(trusted, ntrusted, &out->client) && backwards_next(&b, &member)) {
        /* "unknown", or nonsense: the last address we are sure of stands. */
        if (!hop_parse(member, &next))
            break;
        out->client = next;
        hops++;
    }
    out->proto = matching(fields->x_proto, fields->nproto, hops);
    out->host = matching(fields->x_host, fields->nhost, hops);
}
