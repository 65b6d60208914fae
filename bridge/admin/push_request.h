/* bridge/admin/push_request.h - read the body of POST /admin/push.
 *
 *   {"target": "getNotification", "arguments": [...], "user": "42@1"}
 *
 * with exactly one addressee: "user", "connection", "group" (a text each), "users", "connections",
 * "groups" (lists of texts) or "all" (true); and, where wanted, "except": ids of connections that
 * don't get it. Names are ASP.NET's (signalr.md 6.9). The elements of arguments are cut out as they
 * stand, byte for byte.
 *
 * Pure: no I/O. Texts are written to a block the request owns; arguments are borrowed from body.
 */
#ifndef BRIDGE_ADMIN_PUSH_REQUEST_H
#define BRIDGE_ADMIN_PUSH_REQUEST_H

#include "base/slice.h"
#include "signalr/hub/hub_address.h"

#define PUSH_TARGET_MAX 256 /* bytes */
#define PUSH_NAME_MAX 320   /* bytes of a user key, group name or connection id */
#define PUSH_NAMES_MAX 1000 /* addressees of one call */
#define PUSH_EXCEPT_MAX 100

struct push_request {
    struct hub_address address; /* names and except lie in texts */
    struct slice target;        /* in texts */
    struct slice arguments;     /* between the brackets; raw JSON */
    struct slice *names;        /* owned; PUSH_NAMES_MAX + PUSH_EXCEPT_MAX at most */
    char *texts;                /* owned */
};

/* NULL: *out is filled, and freed by push_request_free(). Else a static text for the caller: what
 * is wrong with the request; nothing is left to free. */
const char *push_request_read(struct slice body, struct push_request *out);
void push_request_free(struct push_request *r);

#endif
