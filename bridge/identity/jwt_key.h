/* bridge/identity/jwt_key.h - one key that verifies JWT signatures.
 *
 * A key's kind is fixed when it is loaded, and an algorithm is served by one kind only: so a public
 * key can never be taken for an HMAC secret, whatever a token's header says. Keys are immutable and
 * counted (atomically: snapshots in several threads share them).
 *
 *   HMAC     HS256 HS384 HS512   16 to 1,024 bytes. RFC 7518 wants 32; ABP's templates ship 30, so
 *                                anything under 256 bits is the operator's to be warned about.
 *   RSA      RS256               2,048 to 8,192 bits (RFC 7518 3.3; the top bounds the work a
 *                                stranger's token can cost)
 *   EC P-256 ES256               signatures are r || s, 32 bytes each (RFC 7518 3.4)
 *
 * All cryptography is OpenSSL's. Its per-thread error queue is left empty: TLS code on the same
 * thread reads that queue to explain its own results. */
#ifndef BRIDGE_IDENTITY_JWT_KEY_H
#define BRIDGE_IDENTITY_JWT_KEY_H

#include "base/slice.h"
#include <stdint.h>

enum jwt_alg { JWT_HS256, JWT_HS384, JWT_HS512, JWT_RS256, JWT_ES256, JWT_NALGS };

#define JWT_ALG_BIT(alg) (1u << (alg))
#define JWT_ALG_ALL ((1u << JWT_NALGS) - 1)

enum jwt_key_kind { JWT_KEY_HMAC, JWT_KEY_RSA, JWT_KEY_EC_P256 };

#define JWT_SECRET_MIN_BYTES 16
#define JWT_SECRET_MAX_BYTES 1024
#define JWT_KID_MAX_BYTES 256
#define JWT_KEY_LABEL_BYTES 64
#define JWT_SIGNATURE_MAX_BYTES 1024 /* RSA with 8,192 bits */

enum jwt_key_result {
    JWT_KEY_OK,
    JWT_KEY_MALFORMED,   /* not a key */
    JWT_KEY_UNSUPPORTED, /* a key, of a kind, curve or size that is not served */
    JWT_KEY_NO_MEMORY,
};

struct jwt_key_meta {
    struct slice kid;   /* empty: none; copied */
    struct slice label; /* names the key in metrics and logs; cut and cleaned to printable ASCII */
    const enum jwt_alg *only; /* NULL: every algorithm of the key's kind */
};

struct jwt_key;
struct evp_pkey_st;

bool jwt_alg_parse(struct slice name, enum jwt_alg *out); /* "RS256"; case matters, as in JOSE */

/* What .NET's Encoding.ASCII.GetBytes makes of a configuration string: every UTF-16 code unit
 * beyond ASCII becomes '?'. out holds at least text.len bytes; the result is never longer.
 * *replaced tells that something was lost. */
size_t jwt_key_ascii(struct slice text, char *out, bool *replaced);

/* JWT_KEY_OK: *out is one reference, the caller's. Else *out is untouched. n, e, x, y are
 * big-endian; x and y are 32 bytes each, checked to be on the curve. */
enum jwt_key_result jwt_key_hmac(struct slice secret, const struct jwt_key_meta *meta,
                                 struct jwt_key **out);
enum jwt_key_result jwt_key_rsa(struct slice n, struct slice e, const struct jwt_key_meta *meta,
                                struct jwt_key **out);
enum jwt_key_result jwt_key_ec_p256(struct slice x, struct slice y, const struct jwt_key_meta *meta,
                                    struct jwt_key **out);
/* Takes another reference to pkey when it keeps it. */
enum jwt_key_result jwt_key_pkey(struct evp_pkey_st *pkey, const struct jwt_key_meta *meta,
                                 struct jwt_key **out);
struct jwt_key *jwt_key_ref(struct jwt_key *key);
void jwt_key_unref(struct jwt_key *key); /* NULL is fine; secrets are wiped */

enum jwt_key_kind jwt_key_kind_of(const struct jwt_key *key);
unsigned jwt_key_bits(const struct jwt_key *key);
const char *jwt_key_label(const struct jwt_key *key);
bool jwt_key_has_kid(const struct jwt_key *key);
bool jwt_key_kid_is(const struct jwt_key *key, struct slice kid);
bool jwt_key_serves(const struct jwt_key *key, enum jwt_alg alg);

/* False for every reason alike: wrong kind, wrong length, wrong signature, out of memory. HMACs are
 * compared in constant time. */
bool jwt_key_verify(const struct jwt_key *key, enum jwt_alg alg, struct slice signing_input,
                    struct slice signature);

#endif
