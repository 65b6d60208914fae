/* bridge/admin/admin_query.h - ask all shards about one user, and put the answers together.
 *
 * Two rounds: who has a session by this name, or has seen a refused token of it, then which
 * connections does every shard hold for it. The description says in "why" what keeps messages from
 * the user, the first thing that is wrong on the way from the token to the tabs:
 *
 *   token-refused, no-connection        nobody is there; which check the last token failed
 *   login-refused, login-paused, login-running, starting, owned-elsewhere
 *   ddp-down, subscribing, subscription-refused
 *   lists-missing, ephemeral-refused    live, but not all of it
 *   queue-stuck                         a tab takes nothing
 *   ok                                  nothing is wrong
 */
#ifndef BRIDGE_ADMIN_ADMIN_QUERY_H
#define BRIDGE_ADMIN_ADMIN_QUERY_H

#include "base/slice.h"

struct shard;

enum admin_action { ADMIN_DESCRIBE, ADMIN_END_SESSION };

/* found: false when there is no session. json: an object, for ADMIN_DESCRIBE, with or without a
 * session; empty: no memory.
 * Called once, later, on the asking shard. */
typedef void (*admin_query_fn)(void *arg, bool found, struct slice json);

/* False: no memory, fn never runs. */
bool admin_query_start(struct shard *s, enum admin_action action, struct slice who,
                       admin_query_fn fn, void *arg);

#endif
