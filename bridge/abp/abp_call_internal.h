/* bridge/abp/abp_call_internal.h - one request to a route of ABP's shape, until it is answered.
 *
 *   abp.c          which route, who may
 *   abp_call.c     its life: a token lent, one call of Rocket.Chat's, the answer in time
 *   abp_failure.c  what the answer says where one of these failed
 */
#ifndef BRIDGE_ABP_ABP_CALL_INTERNAL_H
#define BRIDGE_ABP_ABP_CALL_INTERNAL_H

#include "base/byte_buf.h"
#include "bridge/abp/abp.h"
#include "bridge/abp/abp_envelope.h"
#include "bridge/abp/abp_map.h"
#include "bridge/identity/user.h"
#include "bridge/im_proxy/im_counts.h"
#include "rocketchat/rc_result.h"

enum abp_action {
    ABP_AUTHENTICATE,
    ABP_LOGOUT,
    ABP_GET_STATUS,
    ABP_CREATE_USER,
    ABP_DELETE_USER,
    ABP_MAPPED,
};

struct abp {
    struct shard *shard;
    struct rest_client *rest;
    uv_timer_t timer;               /* the first call's time */
    struct abp_call *first, **last; /* waiting for their answers, the longest-waiting first */
    void (*done)(void *arg);
    void *done_arg;
    unsigned calls;   /* those whose request is answered already included */
    bool rest_closed; /* the end waits for calls to become 0 */
};

struct abp_call {
    struct abp_call *next, **link; /* in abp->first; link NULL: answered */
    struct abp *abp;
    struct http_request *req; /* NULL: answered, or gone */
    uint64_t until_ms;
    struct im_count *count;
    enum abp_action action;
    unsigned pending; /* answers on their way that name this call */
    bool as_admin, post;
    char *path;                  /* of the REST call */
    struct byte_buf query, body; /* of it; body is wiped */
    const char *not_for;         /* struct bridge_user's refused */
    char *username, *key;
    struct byte_buf profile;
};

/* For this request, whose answer it owes from now on. NULL: no memory, or too many wait; answered
 * already. */
struct abp_call *abp_call_new(struct abp *a, struct http_request *req, enum abp_action action,
                              const struct user_caller *caller);
void abp_call_start(struct abp_call *c);
void abp_call_gone(struct abp_call *c);

void abp_answer(struct abp *a, struct http_request *req, const struct abp_error *error,
                struct slice result); /* error NULL: the result */
void abp_fail(struct abp_call *c, const struct abp_error *error);

/* ---- abp_failure.c: the answer, after which c is gone ---- */
void abp_fail_nomem(struct abp_call *c);
void abp_fail_late(struct abp_call *c);
void abp_fail_loan(struct abp_call *c, const struct rc_error *e); /* no token could be had */
/* status 0: nothing came. */
void abp_fail_upstream(struct abp_call *c, long status, struct slice body,
                       const struct rc_error *e);

#endif
