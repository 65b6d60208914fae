/* bridge/abp/abp.h - the routes of ABP's shape, on one shard.
 *
 * POST Im/Authenticate, Im/Logout, Im/CreateUser, Im/GetStatus, DELETE Im/DeleteUser below
 * Abp:BasePath, and what the operator maps (abp_map.h). Each call knows its caller by the JWT, does
 * one thing at the session's shard or at Rocket.Chat, and answers in ABP's envelope within
 * Abp:TimeoutSeconds, whatever Rocket.Chat does. Facts: abp.md 2, 6. */
#ifndef BRIDGE_ABP_ABP_H
#define BRIDGE_ABP_ABP_H

#include <stdbool.h>

struct abp;
struct http_request;
struct http_view;
struct shard;

int abp_open(struct shard *s, struct abp **out); /* 0 or a negative libuv error */
/* Behind the end of HTTP and of the sessions' drain. done is called later, once. */
void abp_close(struct abp *a, void (*done)(void *arg), void *arg);

bool abp_is_for(const struct shard *s, const struct http_view *v); /* by its path */
void abp_handle(struct shard *s, struct http_request *req);
void abp_gone(struct http_request *req); /* the peer left before the answer */

#endif
