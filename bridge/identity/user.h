/* bridge/identity/user.h - from a request to a user: the token it carries, and the Rocket.Chat
 * account behind.
 *
 * What the SignalR server asks on negotiate and on every transport request. Refusals look the same
 * to the peer whatever was wrong (401, empty body); the log says which check failed. */
#ifndef BRIDGE_IDENTITY_USER_H
#define BRIDGE_IDENTITY_USER_H

#include "bridge/identity/identity.h"
#include "bridge/identity/jwt_keys.h"
#include "bridge/identity/rc_account.h"
#include "bridge/provisioning/profile.h"
#include "bridge/settings/settings.h"
#include "signalr/hub/signalr_server.h"

/* What a connection remembers of its user until its session knows it. */
struct bridge_user {
    uint64_t client;     /* its kind: a hash of the request's User-Agent */
    uint64_t fresh_ms;   /* once the session knows the connection: as in session_start */
    const char *refused; /* static text: no session for this user, and why; NULL: none of that */
    uint16_t profile_len;
    char username[]; /* Rocket.Chat's; "" when refused; behind its NUL the packed profile */
};

static inline struct slice user_profile(const struct bridge_user *user)
{
    return (struct slice){user->username + strlen(user->username) + 1, user->profile_len};
}

/* Shared by all shards, immutable once built. */
struct user_rules {
    struct identity_options identity;
    struct enc_token *enc_token;
    struct rc_account *account;
    struct profile_rules *profiles; /* NULL: nothing is provisioned */
    bool tokens_checked;            /* false: all are anonymous, whatever token they bring */
    bool anonymous_mute;
};

/* The rules and the keys that stand in the settings. False: *error tells what is wrong with them,
 * in a constant text or one the caller's buffer holds. */
bool user_rules_open(struct user_rules *rules, const struct settings *settings,
                     struct jwt_keys **keys, char *error, size_t error_len);
void user_rules_close(struct user_rules *rules);

struct shard;
enum signalr_auth user_authenticate(struct shard *s, const struct http_view *request,
                                    struct signalr_user *out);
/* It brings a token that user_authenticate() would look at, good or not. */
bool user_carries_token(const struct shard *s, const struct http_view *request);
void user_release(void *host_data); /* a struct bridge_user; NULL is fine */

/* Who asks for a route of ours that is not the hub's. */
struct user_caller {
    struct identity_result who; /* an IDENTITY_USER, with the claims */
    struct bridge_user *user;
};
/* False: a token is asked for and there is no good one, or no memory; nothing was filled. Where
 * tokens are not checked nobody can say who they are. */
bool user_call(struct shard *s, const struct http_view *request, struct user_caller *out);
void user_call_free(struct user_caller *caller);
/* One of the roles stands in one of the claims Auth:RoleClaims. roles: NULL-terminated. */
bool user_has_role(const struct settings *settings, const struct user_caller *caller,
                   const char *const *roles);

#endif
