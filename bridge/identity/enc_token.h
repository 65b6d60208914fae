/* bridge/identity/enc_token.h - read ABP's encrypted token (query key enc_auth_token,
 * SimpleStringCipher).
 *
 *   text = base64(AES-256-CBC(PKCS#7(JWT)))     standard alphabet
 *   key  = PBKDF2-HMAC-SHA1(pass phrase, salt, 1000 rounds, 32 bytes); the IV is fixed
 *
 * There is no MAC, so this hides a token but proves nothing: what comes out must be verified like
 * any other token. And every failure looks the same, lest somebody decrypt with our help: bad
 * base64, bad padding and a plain text that isn't a JWT are all "no token".
 *
 * Keys are derived once, here: a thousand rounds per request would be a lever for strangers.
 * Immutable after enc_token_new(); threads share it. Source: abp.md section 4. */
#ifndef BRIDGE_IDENTITY_ENC_TOKEN_H
#define BRIDGE_IDENTITY_ENC_TOKEN_H

#include "base/slice.h"

#define ENC_TOKEN_IV_BYTES 16
#define ENC_TOKEN_MAX_PHRASES 16 /* each costs one decryption per request */

struct enc_token;

/* phrases: count of them, tried in order. The caller owns the result. NULL: no memory. It's our own
 * mistake to pass too many phrases or an IV of another length; settings are checked before. */
struct enc_token *enc_token_new(const char *const *phrases, size_t count, struct slice salt,
                                struct slice iv);
void enc_token_free(struct enc_token *e); /* NULL is fine; keys are wiped */

/* text: the query value, percent-decoded; a space counts as '+'. True: out holds *out_len bytes (at
 * most cap) of the shape a.b.c in base64url letters. */
bool enc_token_decrypt(const struct enc_token *e, struct slice text, char *out, size_t cap,
                       size_t *out_len);

#endif
