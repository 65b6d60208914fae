/* bridge/identity/jwt.h - verify a JSON Web Token (RFC 7519 over JWS compact serialization, RFC
 * 7515).
 *
 * Pure: keys, rules and time are passed in. Own parsing on jansson with OpenSSL's signature checks,
 * because the JOSE library of our platform (libjwt 1.10) takes the last of duplicate members, knows
 * no kid, and lets one key string serve HMAC and RSA.
 *
 * Order: size, shape, header, signature, and only then the payload: nothing a stranger wrote there
 * is looked at. Rules beyond the signature:
 *
 *   alg    one of the settings' list, and of the key's kind; "none" is no name we know
 *   typ    absent, "JWT" or "at+jwt" (RFC 9068), case folded: an ID or logout token of the same
 *          issuer can say that it is something else
 *   crit   refused (RFC 7515 4.1.11: we understand no extension)
 *   iss    equals one of the issuers; aud (string or array) names one of the audiences
 *   exp    must be there, as .NET's RequireExpirationTime (default true) has it: a token for ever
 *          can't be taken back. exp and nbf are numbers, whole or not, up to the year 9999; more is
 *          most likely milliseconds, which would mean "never"
 *   token_type  1 (ASP.NET Zero's refresh token), number or string, is refused
 *
 * Members may not repeat; NUL in strings and integers beyond 64 bits make a token malformed. */
#ifndef BRIDGE_IDENTITY_JWT_H
#define BRIDGE_IDENTITY_JWT_H

#include "bridge/identity/jwt_keys.h"

#define JWT_MAX_BYTES ((size_t)16 * 1024)

enum jwt_result {
    JWT_OK,
    JWT_TOO_LARGE,
    JWT_MALFORMED,
    JWT_HEADER_REFUSED, /* typ or crit */
    JWT_ALG_REFUSED,
    JWT_UNKNOWN_KEY, /* a JWKS refresh may help */
    JWT_BAD_SIGNATURE,
    JWT_CLAIM_MALFORMED, /* a registered claim of the wrong type */
    JWT_WRONG_ISSUER,
    JWT_WRONG_AUDIENCE,
    JWT_NO_EXPIRY,
    JWT_EXPIRED,
    JWT_NOT_YET_VALID,
    JWT_REFRESH_TOKEN,
    JWT_NRESULTS
};

struct json_t;

/* Lists are NULL-terminated and borrowed for the call; NULL or empty: not checked. */
struct jwt_rules {
    unsigned algorithms; /* JWT_ALG_BIT()s */
    const char *const *issuers, *const *audiences;
    uint32_t leeway_ms; /* for exp and nbf */
};

struct jwt_token {
    struct json_t *claims; /* the payload, an object; owned: jwt_token_free() */
    int64_t expires_ms;    /* since the epoch; the first moment it is refused, leeway included */
    unsigned key_index;    /* in the set it was verified with */
};

/* JWT_OK: *out is filled. Otherwise untouched. now_ms: wall clock, since the epoch. Out of memory
 * shows as JWT_MALFORMED or JWT_BAD_SIGNATURE: refused either way. */
enum jwt_result jwt_verify(const struct jwt_rules *rules, const struct jwt_keys *keys,
                           struct slice token, int64_t now_ms, struct jwt_token *out);
void jwt_token_free(struct jwt_token *token); /* leaves it empty; empty is fine */

/* The rules on the payload alone. */
enum jwt_result jwt_check_claims(const struct jwt_rules *rules, const struct json_t *claims,
                                 int64_t now_ms, int64_t *expires_ms);

/* What a token says, whoever signed it, for a diagnosis and nothing else: never for a decision.
 * An object, owned (json_decref); NULL: not to be read. */
enum jwt_part { JWT_PART_HEADER, JWT_PART_PAYLOAD };
struct json_t *jwt_read_unverified(struct slice token, enum jwt_part part);

/* For logs: what failed, in a few words. */
const char *jwt_result_text(enum jwt_result result);

#endif
