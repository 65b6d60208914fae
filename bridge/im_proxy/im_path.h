/* bridge/im_proxy/im_path.h - which of Rocket.Chat's REST calls a request below the proxy's prefix
 * is for.
 *
 *   {prefix}/api/v1/{call}[?query]   ─▶   /api/v1/{call}[?query]
 *
 * Pure. The call goes on as it was sent, byte for byte. So that no server behind reads another path
 * out of it, whatever may be read two ways is refused: empty segments, "." and ".." (with
 * parameters behind a semicolon, too), backslashes, percent-encoded slashes, dots, percent signs,
 * backslashes and control bytes (RFC 3986 6.2.2 needs none of these encoded), and encoded bytes
 * that are no UTF-8, as overlong forms of all these. The query loses the parameters that carry the
 * caller's JWT. */
#ifndef BRIDGE_IM_PROXY_IM_PATH_H
#define BRIDGE_IM_PROXY_IM_PATH_H

#include "base/byte_buf.h"
#include "signalr/http/http_server.h"

#define IM_PATH_API "/api/v1/"

enum im_path {
    IM_PATH_OTHER,   /* not below the prefix */
    IM_PATH_UNKNOWN, /* below it, but none of the API's: 404 */
    IM_PATH_BAD,     /* 400 */
    IM_PATH_OK,      /* *call: what follows /api/v1/, not empty */
};

/* prefix: "/im"; empty: there is no proxy. */
enum im_path im_path_read(struct slice prefix, struct slice path, struct slice *call);

/* What Rocket.Chat is asked for. */
void im_path_target(struct slice call, struct slice query, struct byte_buf *out);

/* A route an operator lists: "GET channels.list" is that call, "GET channels.list*" every one that
 * begins so. routes: NULL-terminated. */
bool im_path_listed(const char *const *routes, enum http_method method, struct slice call);
/* Rocket.Chat's `login`, and its `logout`, which ends the token it comes with; however a router may
 * read them: case folded, letters percent-encoded, a slash behind. */
bool im_path_is_login(struct slice call);
bool im_path_is_logout(struct slice call);
/* A route as a setting's check: NULL, or what must be. None may end tokens of the administrator. */
const char *im_path_check_route(const char *text);

const char *im_path_method(enum http_method method); /* "GET" */

#endif
