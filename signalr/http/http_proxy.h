/* signalr/http/http_proxy.h - who the client is, when proxies stand in front of us.
 *
 * Pure. An address is 16 bytes in network order, IPv4 as ::ffff:a.b.c.d, so both kinds compare
 * alike. What a peer says about its client counts only while the peer itself is in the list of
 * trusted proxies; a chain is followed from the right, where our own proxy wrote, to the first
 * address that is not trusted. */
#ifndef SIGNALR_HTTP_HTTP_PROXY_H
#define SIGNALR_HTTP_HTTP_PROXY_H

#include "base/slice.h"
#include <netinet/in.h>
#include <stdint.h>

struct http_addr {
    uint8_t bytes[16];
};

#define HTTP_ADDR_TEXT_MAX 46 /* INET6_ADDRSTRLEN */

/* Textual IPv4 or IPv6; false: neither. */
bool http_addr_parse(struct slice text, struct http_addr *out);
void http_addr_of(const struct sockaddr *addr, struct http_addr *out); /* others: all zero */
size_t http_addr_text(const struct http_addr *addr, char out[HTTP_ADDR_TEXT_MAX]);

struct http_cidr {
    struct http_addr addr;
    uint8_t bits; /* 0 to 128, of the 16 bytes */
};

/* "10.0.0.0/8", "::1", "192.0.2.7". False: malformed, or bits set behind the prefix. */
bool http_cidr_parse(struct slice text, struct http_cidr *out);
bool http_cidr_list_has(const struct http_cidr *list, size_t n, const struct http_addr *addr);

struct http_forwarded {
    struct http_addr client;
    struct slice proto, host; /* empty: not said */
};

/* The values of X-Forwarded-For, -Proto and -Host as lists (several fields joined in order, one
 * after the other: nfor slices and so on). */
struct http_forwarded_fields {
    const struct slice *x_for, *x_proto, *x_host;
    size_t nfor, nproto, nhost;
};

void http_forwarded_read(const struct http_cidr *trusted, size_t ntrusted,
                         const struct http_addr *peer, const struct http_forwarded_fields *fields,
                         struct http_forwarded *out);

enum http_proxy_result { HTTP_PROXY_OK, HTTP_PROXY_NEED_MORE, HTTP_PROXY_BAD };

#define HTTP_PROXY_HEADER_MAX 2048 /* version 2 with its extensions; longer ones are refused */

struct http_proxy_header {
    size_t consumed;
    bool has_source; /* else LOCAL or UNKNOWN: the peer speaks for itself */
    struct http_addr source;
};

/* PROXY protocol, version 1 (text) and 2 (binary), at the start of a connection. */
enum http_proxy_result http_proxy_header_read(const uint8_t *data, size_t len,
                                              struct http_proxy_header *out);

#endif
