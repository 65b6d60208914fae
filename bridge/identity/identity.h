/* bridge/identity/identity.h - who sends a request: the token it carries, verified, and its claims
 * read.
 *
 * User key: the id claim, plus "@tenant" where there is a tenant claim. An id with an '@' of its
 * own always gets one more behind it ("ann@x.org@"), or a tenant could be forged by an id.
 *
 * Claim values are strings or whole numbers; null and "" count as absent; a claim that is repeated
 * (an array) is ambiguous and refused. Control characters are refused, so are longer values than
 * below. */
#ifndef BRIDGE_IDENTITY_IDENTITY_H
#define BRIDGE_IDENTITY_IDENTITY_H

#include "bridge/identity/jwt.h"
#include "bridge/identity/token_carrier.h"

#define IDENTITY_ID_MAX_BYTES 128
#define IDENTITY_NAME_MAX_BYTES 256
#define IDENTITY_TENANT_MAX_BYTES 128

/* Built once from the settings; borrows all it points to. Lists are NULL-terminated. */
struct identity_options {
    struct jwt_rules jwt;
    const struct enc_token *enc_token; /* NULL: that carrier can't be opened */
    const char *const *user_id_claims, *const *name_claims, *const *tenant_claims;
};

struct identity {
    const char *user_key; /* "id", "id@tenant" or "id@" */
    const char *user_id;  /* the id claim: the SignalR backplane's user */
    const char *name;     /* "": no name claim */
    const char *tenant;   /* "": no tenant claim */
    int64_t expires_ms;   /* since the epoch, leeway included */
    unsigned key_index;   /* of the key set used */
    char _text[];         /* what the strings above point into */
};

enum identity_outcome {
    IDENTITY_ANONYMOUS, /* no token */
    IDENTITY_USER,
    IDENTITY_REFUSED, /* a token that isn't good */
};

struct identity_result {
    enum identity_outcome outcome;
    enum jwt_result jwt;       /* JWT_UNKNOWN_KEY: worth asking for a JWKS refresh */
    const char *reason;        /* for the log: a constant text, what failed and where; never NULL */
    struct identity *identity; /* IDENTITY_USER: owned, one block for free(); else NULL */
    struct json_t *claims;     /* IDENTITY_USER: owned; for rc_account_name() */
};

/* now_ms: wall clock, since the epoch. */
void identity_from_request(const struct identity_options *options, const struct jwt_keys *keys,
                           const struct token_carriers *carriers, int64_t now_ms,
                           struct identity_result *result);
/* Who a refused token says it is of, proven by nothing: for the operator's eyes only. False: it
 * can't be read. Free as any other; outcome stays IDENTITY_REFUSED. */
bool identity_unproven(const struct identity_options *options,
                       const struct token_carriers *carriers, struct identity_result *result);
/* Frees what is still in it: take the identity by setting the member to NULL. */
void identity_result_free(struct identity_result *result);

#endif
