/* bridge/abp/abp_status.h - how a user's session stands, asked of its shard from any other. */
#ifndef BRIDGE_ABP_ABP_STATUS_H
#define BRIDGE_ABP_ABP_STATUS_H

#include "bridge/session/session_table.h"

struct shard;
struct byte_buf;

/* Called once, later, on the asking shard. */
typedef void (*abp_status_fn)(void *arg, const struct session_status *status);

bool abp_status_ask(struct shard *s, struct slice key, abp_status_fn fn,
                    void *arg); /* false: no memory, fn never runs */

/* {"state":"live","code":null,"retryAfter":null,"connections":1}: the words of bridgeStatus, and
 * "idle" where nobody is connected. retryAfter: seconds, rounded up. */
void abp_status_write(struct byte_buf *out, const struct session_status *status);

#endif
