/* bridge/im_proxy/im_identity.h - whether Rocket.Chat knows the credentials that callers bring.
 *
 * Asked by `me`, once for all who wait with the same ones, and remembered: what was accepted for
 * ttl_ms, what was refused for a few seconds. Kept is a hash of id and token, never the token. At
 * most max_entries; the oldest gives way. Single-threaded. */
#ifndef BRIDGE_IM_PROXY_IM_IDENTITY_H
#define BRIDGE_IM_PROXY_IM_IDENTITY_H

#include "rocketchat/rest_client.h"

#define IM_IDENTITY_REFUSED_MS 5000
#define IM_IDENTITY_DIGEST 32 /* bytes */

struct im_identity;
struct im_identity_wait;

enum im_identity_answer {
    IM_IDENTITY_ACCEPTED,
    IM_IDENTITY_REFUSED,
    IM_IDENTITY_UNKNOWN, /* Rocket.Chat could not be asked: *error says why */
};
typedef void (*im_identity_fn)(void *arg, enum im_identity_answer answer,
                               const struct rc_error *error);

struct im_identity *im_identity_new(uv_loop_t *loop, struct rest_client *rest, unsigned ttl_ms,
                                    unsigned max_entries); /* NULL: no memory */
/* Behind rest_client_free(), which ends what is under way. */
void im_identity_free(struct im_identity *c);

/* user_id and token: fit for a header. client_address: for whom it is asked; empty: not told. True:
 * *answer holds it. False: fn runs later, once, unless abandoned; *wait NULL: never, for too many
 * are being asked, or there is no memory. */
bool im_identity_ask(struct im_identity *c, struct slice user_id, struct slice token,
                     struct slice client_address, im_identity_fn fn, void *arg,
                     enum im_identity_answer *answer, struct im_identity_wait **wait);
void im_identity_abandon(struct im_identity_wait *wait);
/* Rocket.Chat has just refused them. */
void im_identity_forget(struct im_identity *c, struct slice user_id, struct slice token);
/* The same, for caches of other threads. False: no memory. */
bool im_identity_digest(struct slice user_id, struct slice token, uint8_t out[IM_IDENTITY_DIGEST]);
void im_identity_forget_digest(struct im_identity *c, const uint8_t digest[IM_IDENTITY_DIGEST]);

#endif
