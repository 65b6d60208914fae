/* bridge/im_proxy/im_proxy.h - Rocket.Chat's REST API, as the user who calls:
 * {Proxy:Path}/api/v1/...
 *
 * Who a call is made as, the first that applies:
 *   a JWT (the hub's carriers)      that user: the session's token, or one login. One that is no
 *                                   good is 401, whatever else comes with it. `logout` would end
 *                                   the session's token: it is answered here, and ends nothing.
 *   Rocket.Chat credentials         their owner, once `me` accepts them (im_identity.h). Is that
 *   (im_caller.h)                   the administrator, the agent's own token is used instead,
 *                                   but for `logout`, which ends the token it comes with.
 *   neither                         the administrator, on routes that Proxy:AnonymousRoutes lists;
 *                                   else 401.
 * A user whose login fails is refused; nobody falls back to another identity.
 *
 * Bodies and answers pass in pieces (http_stream.h, rest_stream.h); path and query byte for byte
 * (im_path.h), headers by im_headers.h. An answer of 401 to a token of ours is looked into, and the
 * call sent once more with a new one, where its body can be. Our own answers wear Rocket.Chat's
 * envelope. One a shard, on its thread; a call stays where its socket is. */
#ifndef BRIDGE_IM_PROXY_IM_PROXY_H
#define BRIDGE_IM_PROXY_IM_PROXY_H

#include <stdbool.h>
#include <stdint.h>

struct http_request;
struct http_view;
struct im_proxy;
struct shard;

int im_proxy_open(struct shard *s, struct im_proxy **out); /* 0, or a negative libuv error */
/* Once the shard's HTTP server is closed. done comes later. */
void im_proxy_close(struct im_proxy *p, void (*done)(void *arg), void *arg);

/* http_options.streams, for what is ours. */
bool im_proxy_streams(const struct im_proxy *p, const struct http_view *head, uint64_t *body_bytes);
/* False: not below the path. */
bool im_proxy_handle(struct im_proxy *p, struct http_request *req);

#endif
