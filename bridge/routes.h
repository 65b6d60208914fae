/* bridge/routes.h - which part of the program answers a request.
 *
 *   everywhere       GET /healthz (the process lives), GET /readyz (503 while starting or draining;
 *                    the body says degraded when a dependency is sick, design section 8)
 *   Urls             the hub (PushBridge:HubPath), Rocket.Chat's REST (PushBridge:Proxy:Path)
 *   AdminUrls        GET /metrics; with X-Api-Key: /admin/... (admin_routes.h)
 */
#ifndef BRIDGE_ROUTES_H
#define BRIDGE_ROUTES_H

struct shard;
struct http_request;

enum { ROUTES_PUBLIC, ROUTES_ADMIN }; /* listener tags */

void routes_handle(struct shard *s, struct http_request *req);
void routes_gone(struct shard *s, struct http_request *req);

#endif
