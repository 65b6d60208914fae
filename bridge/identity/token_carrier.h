/* bridge/identity/token_carrier.h - find the token a request carries. Pure.
 *
 * Carriers, in this order (abp.md 1.6, 2.4 and 4): query enc_auth_token, header Authorization with
 * scheme Bearer, query access_token. The first that carries a token decides; the others aren't
 * looked at. No token: a carrier that is missing, empty, `null` or `undefined` (what frontends send
 * for a missing cookie), an Authorization header of another scheme. An enc_auth_token that no pass
 * phrase opens, or that none is set for, gives way to the others; alone it is a token that is no
 * good, or a wrong pass phrase would make users anonymous. */
#ifndef BRIDGE_IDENTITY_TOKEN_CARRIER_H
#define BRIDGE_IDENTITY_TOKEN_CARRIER_H

#include "bridge/identity/jwt.h"

struct enc_token;

/* Query values as sent, still percent-encoded; empty: not there. */
struct token_carriers {
    struct slice enc_auth_token, authorization, access_token;
};

enum token_carrier {
    TOKEN_CARRIER_NONE,
    TOKEN_CARRIER_UNREADABLE, /* an enc_auth_token nobody can open, and no other; *token: not set */
    TOKEN_CARRIER_ENCRYPTED,
    TOKEN_CARRIER_HEADER,
    TOKEN_CARRIER_QUERY,
};

/* buffer: room for a decoded query value; *token points into it or into the request. An
 * access_token with broken escapes, or too long, comes back as it was sent, for the verifier to
 * refuse. enc: NULL is fine. */
enum token_carrier token_carrier_find(const struct token_carriers *carriers,
                                      const struct enc_token *enc, char buffer[JWT_MAX_BYTES],
                                      struct slice *token);

#endif
