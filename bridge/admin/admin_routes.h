/* bridge/admin/admin_routes.h - the operator's routes on AdminUrls, behind PushBridge:AdminApiKey.
 *
 *   GET    /admin/users/{name or id}           the user's session and tabs, as one JSON object,
 *                                              and why no messages come (admin_query.h); of a user
 *                                              nobody knows, too: why is the question then
 *   DELETE /admin/users/{name or id}/session   ends it: token logged out, tabs closed; 204, or 404
 *
 * and those of admin_push.h. {name or id}: user key, Rocket.Chat user name or Rocket.Chat user id,
 * percent-encoded. 404 for all of it while no key is set, 401 without the right one in X-Api-Key.
 */
#ifndef BRIDGE_ADMIN_ADMIN_ROUTES_H
#define BRIDGE_ADMIN_ADMIN_ROUTES_H

#include <stdbool.h>

struct shard;
struct http_request;

bool admin_routes_handle(struct shard *s, struct http_request *req); /* false: no such route */
void admin_routes_gone(struct shard *s, struct http_request *req);

#endif
