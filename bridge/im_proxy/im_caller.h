/* bridge/im_proxy/im_caller.h - the Rocket.Chat credentials a request brings along. Pure.
 *
 * Headers X-Auth-Token and X-User-Id, else cookies chat_token and chat_uid, as the app's frontend
 * keeps them (abp.md 2.4). Both of a pair, or it isn't one. `null`, `undefined` and "" are what
 * frontends send for nothing. Cookies come without the page's doing, so a request that has nothing
 * better must come from a page that may act for the user. */
#ifndef BRIDGE_IM_PROXY_IM_CALLER_H
#define BRIDGE_IM_PROXY_IM_CALLER_H

#include "signalr/http/http_server.h"

enum im_caller_kind {
    IM_CALLER_NONE,
    IM_CALLER_HEADERS,
    IM_CALLER_COOKIES,
    IM_CALLER_BAD, /* of a form no token or id has */
};

struct im_caller {
    enum im_caller_kind kind;
    char user_id[64], auth_token[256]; /* printable ASCII without spaces */
};

void im_caller_read(const struct http_view *v, struct im_caller *out);

/* For IM_CALLER_COOKIES. True: a page of a listed origin or of our own host, or a read that no page
 * of another site made. */
bool im_caller_origin_allowed(const char *const *listed, const struct http_view *v);

#endif
