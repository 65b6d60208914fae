#include "bridge/settings/rc_address.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>

#define WEBSOCKET_SEGMENT "/websocket"

static bool starts_with_nocase(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice_eq_nocase((struct slice){s.ptr, prefix.len}, prefix);
}

static struct slice skip(struct slice s, size_t n)
{
    return (struct slice){s.ptr + n, s.len - n};
}

static bool is_host_char(char c)
{
    return isalnum((unsigned char)c) || c == '-' || c == '.' || c == '_';
}

/* pchar of RFC 3986 and the slash, without percent escapes: Rocket.Chat's streamer compares the
 * path as sent, so an escaped form would be another path. */
static bool is_path_char(char c)
{
    return isalnum((unsigned char)c) || (c != '\0' && strchr("-._~!$&'()*+,;=:@/", c) != NULL);
}

static const char *parse_port(struct slice text, uint16_t *out)
{
    uint64_t port;

    if (!slice_read_digits(text, UINT16_MAX, &port) || port == 0)
        return "the port must be a number from 1 to 65535";
    *out = (uint16_t)port;
    return NULL;
}

static const char *parse_ipv6(struct slice inside, struct rc_endpoint *e)
{
    struct in6_addr ignored;

    if (inside.len == 0 || inside.len >= INET6_ADDRSTRLEN)
        return "not an IPv6 address between the brackets";
    memcpy(e->host, inside.ptr, inside.len);
    e->host[inside.len] = '\0';
    if (inet_pton(AF_INET6, e->host, &ignored) != 1)
        return "not an IPv6 address between the brackets";
    e->host_is_ipv6 = true;
    return NULL;
}

static const char *parse_host(struct slice host, struct rc_endpoint *e)
{
    if (host.len == 0)
        return "the host is missing";
    if (host.len > RC_ADDRESS_HOST_MAX)
        return "the host is too long";
    for (size_t i = 0; i < host.len; i++) {
        if (!is_host_char(host.ptr[i]))
            return "the host has a character no host name has";
        e->host[i] = (char)tolower((unsigned char)host.ptr[i]);
    }
    if (host.ptr[0] == '.' || host.ptr[0] == '-')
        return "the host has a character no host name has";
    return NULL;
}

/* authority = HOST[:PORT] */
static const char *parse_authority(struct slice authority, struct rc_endpoint *e)
{
    struct slice host = authority, port = {NULL, 0};
    bool bracketed = authority.len > 0 && authority.ptr[0] == '[';
    const char *colon, *error;

    if (authority.len > 0 && memchr(authority.ptr, '@', authority.len) != NULL)
        return "a user name or password can't stand in the address";
    if (bracketed) {
        const char *end = memchr(authority.ptr, ']', authority.len);

        if (end == NULL)
            return "the bracket of the IPv6 address is not closed";
        host = (struct slice){authority.ptr + 1, (size_t)(end - authority.ptr) - 1};
        colon = end + 1;
        if (colon == authority.ptr + authority.len)
            colon = NULL;
        else if (*colon != ':')
            return "only a port may follow the host";
    } else {
        colon = authority.len == 0 ? NULL : memchr(authority.ptr, ':', authority.len);
        if (colon != NULL)
            host.len = (size_t)(colon - authority.ptr);
    }
    if (colon != NULL)
        port = skip(authority, (size_t)(colon + 1 - authority.ptr));

    error = bracketed ? parse_ipv6(host, e) : parse_host(host, e);
    if (error != NULL)
        return error;
    e->port = e->tls ? 443 : 80;
    return colon == NULL ? NULL : parse_port(port, &e->port);
}

static const char *parse_path(struct slice path, struct rc_endpoint *e)
{
    while (path.len > 0 && path.ptr[path.len - 1] == '/')
        path.len--;
    if (path.len + sizeof WEBSOCKET_SEGMENT > sizeof e->path)
        return "the path is too long";
    for (size_t i = 0; i < path.len; i++) {
        if (!is_path_char(path.ptr[i]))
            return "the path has a character that would need escaping";
        if (i > 0 && path.ptr[i] == '/' && path.ptr[i - 1] == '/')
            return "the path has an empty segment";
    }
    if (path.len > 0)
        memcpy(e->path, path.ptr, path.len);
    e->path[path.len] = '\0';
    return NULL;
}

static const char *parse(struct slice text, struct slice plain, struct slice tls,
                         const char *bad_scheme, struct rc_endpoint *out)
{
    struct rc_endpoint e = {.port = 0};
    struct slice authority;
    const char *error;
    size_t i = 0;

    if (starts_with_nocase(text, tls)) {
        e.tls = true;
        text = skip(text, tls.len);
    } else if (starts_with_nocase(text, plain)) {
        text = skip(text, plain.len);
    } else {
        return bad_scheme;
    }
    for (size_t j = 0; j < text.len; j++)
        if (text.ptr[j] == '?' || text.ptr[j] == '#')
            return "a query or fragment can't stand in the address";
    while (i < text.len && text.ptr[i] != '/')
        i++;
    authority = (struct slice){text.ptr, i};
    error = parse_authority(authority, &e);
    if (error == NULL)
        error = parse_path(skip(text, i), &e);
    if (error == NULL)
        *out = e;
    return error;
}

const char *rc_address_parse_rest(struct slice text, struct rc_endpoint *out)
{
    return parse(text, SLICE_LIT("http://"), SLICE_LIT("https://"),
                 "must begin with http:// or https://", out);
}

static bool ends_in_websocket(const char *path)
{
    size_t len = strlen(path), segment = sizeof WEBSOCKET_SEGMENT - 1;

    return len >= segment && memcmp(path + len - segment, WEBSOCKET_SEGMENT, segment) == 0;
}

const char *rc_address_parse_ddp(struct slice text, struct rc_endpoint *out)
{
    const char *error = parse(text, SLICE_LIT("ws://"), SLICE_LIT("wss://"),
                              "must begin with ws:// or wss://", out);

    /* parse_path() left room for the segment. */
    if (error == NULL && !ends_in_websocket(out->path))
        memcpy(out->path + strlen(out->path), WEBSOCKET_SEGMENT, sizeof WEBSOCKET_SEGMENT);
    return error;
}

void rc_address_derive_ddp(const struct rc_endpoint *rest, struct rc_endpoint *out)
{
    size_t len = strlen(rest->path);

    *out = *rest;
    memcpy(out->path + len, WEBSOCKET_SEGMENT, sizeof WEBSOCKET_SEGMENT);
}

void rc_address_url(const struct rc_endpoint *e, char out[RC_ADDRESS_URL_MAX])
{
    bool brackets = e->host_is_ipv6;

    snprintf(out, RC_ADDRESS_URL_MAX, "%s://%s%s%s:%u%s", e->tls ? "https" : "http",
             brackets ? "[" : "", e->host, brackets ? "]" : "", (unsigned)e->port, e->path);
}
