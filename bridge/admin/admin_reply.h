/* bridge/admin/admin_reply.h - answers to requests on the admin listener, at once or later.
 *
 * A request that waits for the shards has an admin_reply, which outlives the request: when the peer
 * leaves first, the answer goes nowhere. */
#ifndef BRIDGE_ADMIN_ADMIN_REPLY_H
#define BRIDGE_ADMIN_ADMIN_REPLY_H

#include "base/slice.h"

struct http_request;
struct admin_reply;

void admin_respond(struct http_request *req, int status, struct slice json); /* json: or empty */
/* {"error":"..."}; text: plain words. */
void admin_respond_error(struct http_request *req, int status, const char *text);

/* NULL: no memory, and the request was answered 503. */
struct admin_reply *admin_reply_new(struct http_request *req);
void admin_reply_send(struct admin_reply *r, int status, struct slice json); /* frees r */
void admin_reply_error(struct admin_reply *r, int status, const char *text); /* frees r */
void admin_reply_gone(struct http_request *req);                             /* the peer left */

#endif
