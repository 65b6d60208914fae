/* bridge/im_proxy/im_headers.h - which header fields pass the proxy, on the way there and back.
 *
 * Pure. Those of the connection never do, nor what Connection names (RFC 9110 7.6.1). There: the
 * caller's credentials stay here, whatever carries them, X-XSRF-TOKEN included, where ABP's
 * frontends put the JWT (abp.md 2.4); so do headers that say who the client is, or another method
 * than the one that was looked at. Back: nothing that
 * speaks to the browser about this origin (cookies, CORS, HSTS and the like). */
#ifndef BRIDGE_IM_PROXY_IM_HEADERS_H
#define BRIDGE_IM_PROXY_IM_HEADERS_H

#include "base/byte_buf.h"
#include "signalr/http/http_head.h"

enum { IM_HEADERS_MAX = HTTP_HEAD_MAX_HEADERS }; /* an answer's; more are dropped */

/* out: room for v->nheaders; the slices are v's. Returns how many pass. */
size_t im_headers_request(const struct http_view *v, struct http_header *out);

/* An answer's header lines as they come, copied. Zero-initialised: none. */
struct im_headers {
    struct byte_buf text;
    struct {
        size_t at;
        unsigned name_len, value_len;
    } lines[IM_HEADERS_MAX];
    size_t count;
};

void im_headers_add(struct im_headers *h, struct slice name, struct slice value);
/* out: room for IM_HEADERS_MAX; valid until the next change. Returns how many pass. */
size_t im_headers_answer(const struct im_headers *h, struct http_header *out);
bool im_headers_have(const struct im_headers *h, const char *name);
void im_headers_clear(struct im_headers *h);

#endif
