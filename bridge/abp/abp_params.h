/* bridge/abp/abp_params.h - a request's parameters on their way from ABP's form to Rocket.Chat's.
 *
 * Both are the caller's bytes, so what goes on is encoded anew or checked to be JSON, and the
 * caller's own credentials (access_token, enc_auth_token) never go on. Pure. */
#ifndef BRIDGE_ABP_ABP_PARAMS_H
#define BRIDGE_ABP_ABP_PARAMS_H

#include "base/byte_buf.h"

/* NULL: good, and out is to be sent. Otherwise what is wrong with the input, a constant text.
 *   query  as sent, percent-encoded; body  as sent, JSON or empty
 * For a GET: the query, and behind it the members of the body, objects and lists as JSON text. For
 * a POST: one object of the body's members and the query's pairs, texts but for true and false. */
const char *abp_params_for_get(struct slice query, struct slice body, struct byte_buf *out);
const char *abp_params_for_post(struct slice query, struct slice body, struct byte_buf *out);

/* Rocket.Chat's users.create out of ABP's input. Members are found without case, as ABP binds
 * them; unknown ones are left out. defaults: for what the input doesn't say. */
struct abp_new_user {
    struct slice username; /* raw JSON text between the quotes */
};
struct abp_user_defaults {
    /* Writes the password of a user (raw JSON text between the quotes) as a JSON string. False:
     * there is none, the input must have one. */
    bool (*password)(void *arg, struct slice username, struct byte_buf *out);
    void *arg;
};
/* NULL: good. Otherwise the message, with the member at fault in *member. */
const char *abp_params_new_user(struct slice body, const struct abp_user_defaults *defaults,
                                struct byte_buf *out, struct abp_new_user *user,
                                const char **member);

#endif
