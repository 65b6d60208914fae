/* bridge/admin_query.h - ask all shards about one user, and put the answers together.
 *
 * Two rounds of mail: who has a session by this name, then which connections does every shard hold
 * for it. Nothing is locked and nothing waits: an answer is as old as its mail. */
#ifndef BRIDGE_ADMIN_QUERY_H
#define BRIDGE_ADMIN_QUERY_H

#include "base/slice.h"

struct shard;
struct admin_query;

enum admin_action { ADMIN_DESCRIBE, ADMIN_END_SESSION };

/* found: false when no shard knows the user. json: an object, for ADMIN_DESCRIBE. Called once,
 * later, on the asking shard. */
typedef void (*admin_query_fn)(void *arg, bool found, struct slice json);

/* NULL: no memory, fn never runs. */
struct admin_query *admin_query_start(struct shard *s, enum admin_action action, struct slice who,
                                      admin_query_fn fn, void *arg);
void admin_query_abandon(
    struct admin_query *q); /* fn will not run; the query goes when its mail is back */

#endif
