#include "bridge/settings/listen_url.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>

static const char *const bad_port = "the port must be a number from 0 to 65535";
static const char *const bad_host = "the host must be an IPv4 address, [IPv6], localhost, * or +";

static const char *parse_port(struct slice text, uint16_t *out)
{
    uint64_t port;

    if (!slice_read_digits(text, UINT16_MAX, &port))
        return bad_port;
    *out = (uint16_t)port;
    return NULL;
}

static void add_ipv4(struct listen_url *u, struct in_addr address, uint16_t port)
{
    struct sockaddr_in *sin = (struct sockaddr_in *)&u->addresses[u->count++];

    sin->sin_family = AF_INET;
    sin->sin_addr = address;
    sin->sin_port = htons(port);
}

static void add_ipv6(struct listen_url *u, struct in6_addr address, uint16_t port)
{
    struct sockaddr_in6 *sin6 = (struct sockaddr_in6 *)&u->addresses[u->count++];

    sin6->sin6_family = AF_INET6;
    sin6->sin6_addr = address;
    sin6->sin6_port = htons(port);
}

static const char *resolve(struct slice host, bool bracketed, uint16_t port, struct listen_url *u)
{
    char text[INET6_ADDRSTRLEN] = "";
    struct in_addr v4;
    struct in6_addr v6;

    if (!bracketed && (slice_eq(host, SLICE_LIT("*")) || slice_eq(host, SLICE_LIT("+")))) {
        u->dual_stack = true;
        add_ipv6(u, in6addr_any, port);
        return NULL;
    }
    if (!bracketed && slice_eq_nocase(host, SLICE_LIT("localhost"))) {
        u->loopback = true;
        add_ipv4(u, (struct in_addr){htonl(INADDR_LOOPBACK)}, port);
        add_ipv6(u, in6addr_loopback, port);
        return NULL;
    }
    if (host.len == 0 || host.len >= sizeof text || memchr(host.ptr, '\0', host.len) != NULL)
        return bad_host;
    memcpy(text, host.ptr, host.len);
    if (!bracketed && inet_pton(AF_INET, text, &v4) == 1) {
        u->loopback = ntohl(v4.s_addr) >> 24 == 127;
        add_ipv4(u, v4, port);
        return NULL;
    }
    if (bracketed && inet_pton(AF_INET6, text, &v6) == 1) {
        u->loopback = IN6_IS_ADDR_LOOPBACK(&v6);
        add_ipv6(u, v6, port);
        return NULL;
    }
    return bad_host;
}

const char *listen_url_parse(struct slice text, struct listen_url *out)
{
    static const struct slice http = {"http://", 7}, https = {"https://", 8};
    struct listen_url u = {.count = 0};
    struct slice host = {NULL, 0}, rest;
    uint16_t port = 80;
    bool bracketed;
    const char *error;
    size_t host_end = 0;

    if (text.len >= https.len && slice_eq_nocase((struct slice){text.ptr, https.len}, https))
        return "https is not served here: put a proxy that ends TLS in front";
    if (text.len < http.len || !slice_eq_nocase((struct slice){text.ptr, http.len}, http))
        return "must begin with http://";
    rest = (struct slice){text.ptr + http.len, text.len - http.len};
    if (rest.len > 0 && rest.ptr[rest.len - 1] == '/')
        rest.len--;

    bracketed = rest.len > 0 && rest.ptr[0] == '[';
    while (host_end < rest.len && rest.ptr[host_end] != (bracketed ? ']' : ':'))
        host_end++;
    if (bracketed) {
        if (host_end == rest.len)
            return bad_host;
        host = (struct slice){rest.ptr + 1, host_end - 1};
        host_end++;
    } else {
        host = (struct slice){rest.ptr, host_end};
    }
    rest = (struct slice){rest.ptr + host_end, rest.len - host_end};
    if (rest.len > 0) {
        if (rest.ptr[0] != ':')
            return bad_host;
        error = parse_port((struct slice){rest.ptr + 1, rest.len - 1}, &port);
        if (error != NULL)
            return error;
    }
    error = resolve(host, bracketed, port, &u);
    if (error != NULL)
        return error;
    snprintf(u.text, sizeof u.text, "http://%s%.*s%s:%u", bracketed ? "[" : "", (int)host.len,
             host.ptr, bracketed ? "]" : "", (unsigned)port);
    *out = u;
    return NULL;
}
