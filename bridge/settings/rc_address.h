/* bridge/settings/rc_address.h - where Rocket.Chat is, from Im:Address and Im:WebSocketAddress.
 *
 *   http(s)://HOST[:PORT][/PREFIX][/]                 the REST side; /api/v1/... is put behind
 * PREFIX ws(s)://HOST[:PORT][/PREFIX][/websocket][/]       the DDP side; empty: derived from the
 * first
 *
 * Pure. HOST is a name, an IPv4 address or a bracketed IPv6 address. User info, query and fragment
 * are refused: Rocket.Chat's streamer serves /websocket exactly, and a password in a URL leaks. A
 * path is kept as written but for its trailing slashes; bytes that would need escaping are refused.
 */
#ifndef BRIDGE_SETTINGS_RC_ADDRESS_H
#define BRIDGE_SETTINGS_RC_ADDRESS_H

#include "base/slice.h"
#include <stdint.h>

#define RC_ADDRESS_HOST_MAX 253 /* RFC 1035's limit of a name */
#define RC_ADDRESS_PATH_MAX 255

struct rc_endpoint {
    bool tls;
    char host[RC_ADDRESS_HOST_MAX + 1]; /* IPv6 without brackets */
    bool host_is_ipv6;
    uint16_t port;                      /* 1-65535; 80 or 443 where none was given */
    char path[RC_ADDRESS_PATH_MAX + 1]; /* REST: "" or "/prefix"; DDP: "[/prefix]/websocket" */
};

struct rc_address {
    struct rc_endpoint rest, ddp;
};

/* NULL: the endpoint is filled. Otherwise what is wrong, in words, and it is untouched. */
const char *rc_address_parse_rest(struct slice text, struct rc_endpoint *out);
const char *rc_address_parse_ddp(struct slice text, struct rc_endpoint *out);
/* The DDP endpoint that belongs to a REST one: same host, port, prefix and encryption. */
void rc_address_derive_ddp(const struct rc_endpoint *rest, struct rc_endpoint *out);
/* "https://host:port/prefix" of a REST endpoint, without a slash at the end: what /api/v1/... is
 * appended to. */
#define RC_ADDRESS_URL_MAX (RC_ADDRESS_HOST_MAX + RC_ADDRESS_PATH_MAX + 24)
void rc_address_url(const struct rc_endpoint *e, char out[RC_ADDRESS_URL_MAX]);

#endif
