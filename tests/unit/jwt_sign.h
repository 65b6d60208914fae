/* tests/unit/jwt_sign.h - make tokens and keys, good ones and bad ones, for the tests of identity.
 */
#ifndef TESTS_UNIT_JWT_SIGN_H
#define TESTS_UNIT_JWT_SIGN_H

#include "base/base64.h"
#include "bridge/identity/jwt_keys.h"

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdio.h>
#include <stdlib.h>

#define SIGN_KEY "MatoAppSample_C421AAEE0D114E9C" /* abp.md 3.4: 30 bytes, as ABP ships it */
#define SIGN_MAX_BYTES ((size_t)64 * 1024)

#define NAME_ID_URI "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier"
#define NAME_URI "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name"
#define TENANT_URI "http://www.aspnetboilerplate.com/identity/claims/tenantId"

/* abp.md 3.4, valid to 2100: user 42, name alice, tenant 1. */
#define ABP_TOKEN                                                                                  \
    "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."                                                        \
    "eyJodHRwOi8vc2NoZW1hcy54bWxzb2FwLm9yZy93cy8yMDA1LzA1L2lkZW50aXR5L2NsYWltcy9uYW1laWRlbnRpZml"  \
    "lciI6IjQyIiwiaHR0cDovL3NjaGVtYXMueG1sc29hcC5vcmcvd3MvMjAwNS8wNS9pZGVudGl0eS9jbGFpbXMvbmFtZS"  \
    "I6ImFsaWNlIiwiQXNwTmV0LklkZW50aXR5LlNlY3VyaXR5U3RhbXAiOiJTVEFNUCIsImh0dHA6Ly9zY2hlbWFzLm1pY"  \
    "3Jvc29mdC5jb20vd3MvMjAwOC8wNi9pZGVudGl0eS9jbGFpbXMvcm9sZSI6WyJBZG1pbiIsIlVzZXIiXSwiaHR0cDov"  \
    "L3d3dy5hc3BuZXRib2lsZXJwbGF0ZS5jb20vaWRlbnRpdHkvY2xhaW1zL3RlbmFudElkIjoiMSIsInN1YiI6IjQyIiw"  \
    "ianRpIjoiMDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAxIiwiaWF0IjoxNzAwMDAwMDAwLCJuYmYiOj"  \
    "E3MDAwMDAwMDAsImV4cCI6NDEwMjQ0NDgwMCwiaXNzIjoiTWF0b0FwcFNhbXBsZSIsImF1ZCI6Ik1hdG9BcHBTYW1wb"  \
    "GUifQ.jHZgaBF0SxkiwORjFmqZgaxO1yqAkjT9BRoEdg6E6cs"
#define ABP_NOW_MS INT64_C(1750000000000)

static inline struct jwt_key *sign_hmac_key(const char *secret, const char *kid)
{
    const struct jwt_key_meta meta = {.kid = slice_of(kid), .label = slice_of("secret")};
    struct jwt_key *key = NULL;
    enum jwt_key_result result = jwt_key_hmac(slice_of(secret), &meta, &key);

    assert(result == JWT_KEY_OK);
    return key;
}

/* A set of one HMAC key without kid. */
static inline struct jwt_keys *sign_hmac_set(const char *secret)
{
    struct jwt_keys *set = jwt_keys_new();
    bool added = jwt_keys_add(set, sign_hmac_key(secret, NULL));

    assert(added);
    return set;
}

static inline struct jwt_key *sign_public_half(EVP_PKEY *pkey, const char *kid)
{
    const struct jwt_key_meta meta = {.kid = slice_of(kid), .label = slice_of("public")};
    struct jwt_key *key = NULL;
    enum jwt_key_result result = jwt_key_pkey(pkey, &meta, &key);

    assert(result == JWT_KEY_OK);
    return key;
}

static inline size_t sign_public_pem(EVP_PKEY *pkey, char *out, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int written = PEM_write_bio_PUBKEY(bio, pkey);
    int len = BIO_read(bio, out, (int)cap - 1);

    assert(written == 1 && len > 0);
    out[len] = '\0';
    BIO_free(bio);
    return (size_t)len;
}

/* Big-endian, base64url, left-padded to width bytes (0: as short as it is). */
static inline void sign_number(EVP_PKEY *pkey, const char *param, int width, char *out)
{
    unsigned char bytes[2048];
    BIGNUM *n = NULL;
    int got = EVP_PKEY_get_bn_param(pkey, param, &n), len;

    assert(got == 1);
    len = width == 0 ? BN_bn2bin(n, bytes) : BN_bn2binpad(n, bytes, width);
    base64_encode(BASE64_URL, bytes, (size_t)len, out);
    BN_free(n);
}

/* {"kty":...} of a public key; more: further members, each with a comma in front. */
static inline void sign_jwk(EVP_PKEY *pkey, const char *more, char *out, size_t cap)
{
    char a[2048], b[2048];
    int len;

    if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_RSA) {
        sign_number(pkey, OSSL_PKEY_PARAM_RSA_N, 0, a);
        sign_number(pkey, OSSL_PKEY_PARAM_RSA_E, 0, b);
        len = snprintf(out, cap, "{\"kty\":\"RSA\",\"n\":\"%s\",\"e\":\"%s\"%s}", a, b, more);
    } else {
        sign_number(pkey, OSSL_PKEY_PARAM_EC_PUB_X, 32, a);
        sign_number(pkey, OSSL_PKEY_PARAM_EC_PUB_Y, 32, b);
        len = snprintf(out, cap, "{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"%s\",\"y\":\"%s\"%s}",
                       a, b, more);
    }
    assert(len > 0 && (size_t)len < cap);
}

/* base64url(header).base64url(payload); the caller frees. room: kept for a signature. */
static inline char *sign_input(const char *header, const char *payload, size_t room)
{
    size_t cap = BASE64_LEN(strlen(header)) + BASE64_LEN(strlen(payload)) + 3 + BASE64_LEN(room);
    char *out = malloc(cap);
    size_t len;

    assert(out != NULL);
    len = base64_encode(BASE64_URL, header, strlen(header), out);
    out[len++] = '.';
    base64_encode(BASE64_URL, payload, strlen(payload), out + len);
    return out;
}

static inline char *sign_join(char *input, const void *signature, size_t len)
{
    size_t at = strlen(input);

    input[at++] = '.';
    base64_encode(BASE64_URL, signature, len, input + at);
    return input;
}

static inline char *sign_hmac(const char *header, const char *payload, const EVP_MD *md,
                              const void *secret, size_t secret_len)
{
    char *out = sign_input(header, payload, EVP_MAX_MD_SIZE);
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int len = 0;

    HMAC(md, secret, (int)secret_len, (const unsigned char *)out, strlen(out), mac, &len);
    return sign_join(out, mac, len);
}

static inline char *sign_hs256(const char *payload)
{
    return sign_hmac("{\"alg\":\"HS256\",\"typ\":\"JWT\"}", payload, EVP_sha256(), SIGN_KEY,
                     strlen(SIGN_KEY));
}

/* RS256, or ES256 with r || s; raw_der leaves the DER form JOSE forbids. */
static inline char *sign_pkey(const char *header, const char *payload, EVP_PKEY *pkey, bool raw_der)
{
    char *out = sign_input(header, payload, 1024);
    unsigned char sig[1024], raw[64];
    const unsigned char *p = sig;
    size_t len = sizeof sig;
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    int ok = EVP_DigestSignInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
             EVP_DigestSign(ctx, sig, &len, (const unsigned char *)out, strlen(out)) == 1;

    assert(ok);
    EVP_MD_CTX_free(ctx);
    if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC && !raw_der) {
        ECDSA_SIG *parsed = d2i_ECDSA_SIG(NULL, &p, (long)len);

        assert(parsed != NULL);
        BN_bn2binpad(ECDSA_SIG_get0_r(parsed), raw, 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(parsed), raw + 32, 32);
        ECDSA_SIG_free(parsed);
        return sign_join(out, raw, sizeof raw);
    }
    return sign_join(out, sig, len);
}

#endif
