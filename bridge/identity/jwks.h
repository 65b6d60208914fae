/* bridge/identity/jwks.h - a JSON Web Key Set (RFC 7517) into keys.
 *
 * RSA and EC P-256 keys are taken; oct (HMAC) keys only where the caller says that the document is
 * as secret as they are. As RFC 7517 section 5 wants, a key that is not understood or not good is
 * passed over: another kty or curve, "use" other than "sig", key_ops without "verify", an alg that
 * is not served or not of the key's kind, members of the wrong type, sizes jwt_key.h refuses. Keys
 * are counted, in the set's order; kid becomes the label. Members may not repeat. */
#ifndef BRIDGE_IDENTITY_JWKS_H
#define BRIDGE_IDENTITY_JWKS_H

#include "base/slice.h"

#define JWKS_MAX_BYTES ((size_t)256 * 1024)

struct jwt_keys;

enum jwks_result {
    JWKS_OK,
    JWKS_MALFORMED, /* not JSON, or not a key set */
    JWKS_NO_KEYS,   /* a key set without one key that can be used here */
    JWKS_TOO_LARGE,
    JWKS_NO_MEMORY,
};

/* JWKS_OK: at least one key was added to set; *passed_over: how many were not. Otherwise set may
 * hold some of the keys and should be dropped. */
enum jwks_result jwks_parse(struct slice document, bool allow_hmac, struct jwt_keys *set,
                            unsigned *passed_over);

#endif
