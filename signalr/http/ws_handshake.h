/* signalr/http/ws_handshake.h - the opening handshake of RFC 6455 section 4.2, server side. Pure.
 */
#ifndef SIGNALR_HTTP_WS_HANDSHAKE_H
#define SIGNALR_HTTP_WS_HANDSHAKE_H

#include "signalr/http/http_head.h"

#define WS_ACCEPT_LEN 28

/* The request asks for a WebSocket upgrade already (http_head.upgrade_websocket); this checks
 * version and key. False: *fault; 426 wants "Sec-WebSocket-Version: 13" in the answer. */
bool ws_handshake_check(const struct http_header *headers, size_t n, struct slice *key,
                        struct http_fault *fault);

/* key: a valid one. False: no memory. */
bool ws_handshake_accept(struct slice key, char out[WS_ACCEPT_LEN + 1]);

#endif
