/* bridge/im_proxy/im_proxy_internal.h - what the proxy's files share.
 *
 *   im_proxy.c      which requests are taken, and as whom
 *   im_exchange.c   one call: there and back; im_as.c: its token
 *   im_refusal.c    what we answer ourselves
 */
#ifndef BRIDGE_IM_PROXY_IM_PROXY_INTERNAL_H
#define BRIDGE_IM_PROXY_IM_PROXY_INTERNAL_H

#include "bridge/im_proxy/im_caller.h"
#include "bridge/im_proxy/im_counts.h"
#include "bridge/im_proxy/im_headers.h"
#include "bridge/im_proxy/im_identity.h"
#include "bridge/im_proxy/im_logins.h"
#include "bridge/im_proxy/im_path.h"
#include "bridge/im_proxy/im_proxy.h"
#include "bridge/login/token_desk.h"
#include "bridge/provisioning/profile.h"
#include "rocketchat/rest_stream.h"

/* Bodies up to here are taken in first: a slow caller holds up no connection to Rocket.Chat, and
 * the call can be sent again. Answers that may not be the last word are kept up to here. */
enum { IM_WHOLE_BYTES = 65536 };

struct im_proxy {
    struct shard *shard;
    struct slice prefix;
    struct rest_stream_client *calls;
    struct rest_client *rest; /* asks `me`, apart from the logins */
    struct im_identity *identity;
    void (*done)(void *arg);
    void *done_arg;
};

enum im_as { IM_AS_USER, IM_AS_CALLER, IM_AS_ADMIN };

/* Who a call is made as, as far as the request tells. */
struct im_who {
    enum im_as as;
    char key[320]; /* IM_AS_USER: user key and account */
    char username[256];
    size_t profile_len;
    char profile[PROFILE_MAX_BYTES]; /* packed, see profile.h */
    const char *refused;             /* static text */
    struct im_caller caller;         /* IM_AS_CALLER */
};

/* Takes req over, and count, which it gives back. call: of req's path. */
void im_exchange_start(struct im_proxy *p, struct http_request *req, const struct im_who *who,
                       struct slice call, struct im_count *count);

/* ---- im_refusal.c ---- */
/* code: "" none. retry_after_ms: 0 not known. */
void im_refuse(struct http_request *req, int status, const char *text, const char *code,
               uint64_t retry_after_ms);
void im_refuse_login(struct http_request *req); /* 401, in Rocket.Chat's words */
/* As Rocket.Chat answers it. Whoever has a JWT has no login there that could end. */
void im_answer_logout(struct http_request *req);
/* Why a token could not be had. */
void im_refuse_loan(struct http_request *req, const struct rc_error *error);
/* Why Rocket.Chat did not answer. */
void im_refuse_upstream(struct http_request *req, const struct rc_error *error);

#endif
