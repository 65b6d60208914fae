/* bridge/shard_http.h - a shard's two servers, HTTP and SignalR, with their settings, and what they
 * call back: each request, note and event of a connection goes to the part of the bridge it is for.
 */
#ifndef BRIDGE_SHARD_HTTP_H
#define BRIDGE_SHARD_HTTP_H

struct shard;

/* Fills s->http and s->signalr. 0, or a libuv error; what was opened before that stays. */
int shard_http_open(struct shard *s);

#endif
