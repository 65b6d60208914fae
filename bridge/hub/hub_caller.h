/* bridge/hub/hub_caller.h - the connections' side of hub calls.
 *
 * On the connection's shard: which method, may this caller call it, how fast, how many, with what
 * arguments. What passes travels by mail to the session of the user, and the answer back to that
 * connection alone (call_gate.h). The pages of a stream are fed to the client as it takes them. */
#ifndef BRIDGE_HUB_HUB_CALLER_H
#define BRIDGE_HUB_HUB_CALLER_H

#include "bridge/session/call_gate.h"
#include "signalr/hub/signalr_server.h"

struct shard;

/* What a signalr_host's invoke, stream_resumed and call_ended are. */
bool hub_caller_invoke(struct shard *s, struct hub_connection *c, const struct hub_invocation *inv);
void hub_caller_resumed(struct hub_connection *c, uint64_t call, void *data);
void hub_caller_ended(void *data);

struct call_gate hub_caller_gate(struct shard *s); /* the sessions' way back */

#endif
