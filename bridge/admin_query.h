/* bridge/admin_query.h - ask all shards about one user, and put the answers together.
 *
 * Two rounds: who has a session by this name, then which connections does every shard hold for it.
 */
#ifndef BRIDGE_ADMIN_QUERY_H
#define BRIDGE_ADMIN_QUERY_H

#include "base/slice.h"

struct shard;

enum admin_action { ADMIN_DESCRIBE, ADMIN_END_SESSION };

/* found: false when no shard knows the user. json: an object, for ADMIN_DESCRIBE; empty: no memory.
 * Called once, later, on the asking shard. */
typedef void (*admin_query_fn)(void *arg, bool found, struct slice json);

/* False: no memory, fn never runs. */
bool admin_query_start(struct shard *s, enum admin_action action, struct slice who,
                       admin_query_fn fn, void *arg);

#endif
