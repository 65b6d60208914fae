/* bridge/admin/admin_push.h - how the app's other backends send to the tabs that are here.
 *
 *   POST   /admin/push                              body: push_request.h
 *   PUT    /admin/groups/{group}/connections/{id}   into the group, until it ends
 *   DELETE /admin/groups/{group}/connections/{id}
 *   PUT    /admin/groups/{group}/users/{user key}   the user's tabs, open ones and those to come
 *   DELETE /admin/groups/{group}/users/{user key}   all of them; each may be put in again
 *
 * 200 {"connections": n}: for how many it was queued, or how many are in the group now, or were
 * taken out. Sent once every shard has done its part, so a caller that waits for each answer has
 * its messages heard in its order; a message is encoded once for all. 400 {"error"}: what is wrong;
 * 404: no such connection is open; 409: a limit on groups; 503: too much is under way, and nobody
 * got it.
 *
 * A user key is the token's user id, with "@tenant" behind it where the token has a tenant: ABP's
 * UserIdentifier (abp.md 1.5). Users in groups are kept until taken out or until the process ends.
 */
#ifndef BRIDGE_ADMIN_ADMIN_PUSH_H
#define BRIDGE_ADMIN_ADMIN_PUSH_H

#include <stdbool.h>

struct shard;
struct http_request;

/* Behind the API key's check. False: no such route, untouched. */
bool admin_push_handle(struct shard *s, struct http_request *req);

#endif
