#include "bridge/identity/jwks.h"

#include "base/base64.h"
#include "bridge/identity/jwt_keys.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <stdio.h>

#define NUMBER_MAX_BYTES (JWT_SECRET_MAX_BYTES + 1) /* longest: an HMAC secret, or 8,192-bit n */

/* A member that holds base64url. False: missing, not a string, not base64url, too long. */
static bool get_bytes(const json_t *jwk, const char *name, uint8_t out[NUMBER_MAX_BYTES],
                      struct slice *bytes)
{
    const json_t *member = json_object_get(jwk, name);
    struct slice text = {json_string_value(member), json_string_length(member)};
    size_t len;

    if (text.len == 0 || memchr(text.ptr, '=', text.len) != NULL ||
        !base64_decode(BASE64_URL, text, out, NUMBER_MAX_BYTES, &len))
        return false;
    *bytes = (struct slice){(const char *)out, len};
    return true;
}

static bool is_string(const json_t *value, const char *text)
{
    return json_is_string(value) && strcmp(json_string_value(value), text) == 0;
}

/* use and key_ops, where present, must let the key verify signatures. */
static bool may_verify(const json_t *jwk)
{
    const json_t *use = json_object_get(jwk, "use"), *ops = json_object_get(jwk, "key_ops");
    const json_t *op;
    size_t i;

    if (use != NULL && !is_string(use, "sig"))
        return false;
    if (ops == NULL)
        return true;
    json_array_foreach(ops, i, op)
    {
        if (is_string(op, "verify"))
            return true;
    }
    return false;
}

static enum jwt_key_result key_of(const json_t *jwk, const struct jwt_key_meta *meta,
                                  bool allow_hmac, struct jwt_key **out)
{
    const json_t *kty = json_object_get(jwk, "kty");
    uint8_t a_bytes[NUMBER_MAX_BYTES], b_bytes[NUMBER_MAX_BYTES];
    enum jwt_key_result result = JWT_KEY_MALFORMED;
    struct slice a, b;

    if (is_string(kty, "RSA")) {
        if (get_bytes(jwk, "n", a_bytes, &a) && get_bytes(jwk, "e", b_bytes, &b))
            result = jwt_key_rsa(a, b, meta, out);
    } else if (is_string(kty, "EC") && is_string(json_object_get(jwk, "crv"), "P-256")) {
        if (get_bytes(jwk, "x", a_bytes, &a) && get_bytes(jwk, "y", b_bytes, &b))
            result = jwt_key_ec_p256(a, b, meta, out);
    } else if (is_string(kty, "oct") && allow_hmac) {
        if (get_bytes(jwk, "k", a_bytes, &a))
            result = jwt_key_hmac(a, meta, out);
        OPENSSL_cleanse(a_bytes, sizeof a_bytes);
    }
    return result;
}

static enum jwt_key_result add_jwk(struct jwt_keys *set, const json_t *jwk, bool allow_hmac)
{
    const json_t *kid = json_object_get(jwk, "kid"), *alg = json_object_get(jwk, "alg");
    char label[JWT_KEY_LABEL_BYTES];
    struct jwt_key_meta meta = {0};
    enum jwt_key_result result;
    struct jwt_key *key;
    enum jwt_alg only;

    if (!json_is_object(jwk) || !may_verify(jwk) || (kid != NULL && !json_is_string(kid)))
        return JWT_KEY_MALFORMED;
    if (alg != NULL) {
        if (!json_is_string(alg) || !jwt_alg_parse(slice_of(json_string_value(alg)), &only))
            return JWT_KEY_UNSUPPORTED;
        meta.only = &only;
    }
    if (kid != NULL)
        meta.kid = (struct slice){json_string_value(kid), json_string_length(kid)};
    snprintf(label, sizeof label, "jwks:%s", kid == NULL ? "" : json_string_value(kid));
    meta.label = slice_of(label);
    result = key_of(jwk, &meta, allow_hmac, &key);
    if (result == JWT_KEY_OK && !jwt_keys_add(set, key))
        result = JWT_KEY_UNSUPPORTED;
    return result;
}

enum jwks_result jwks_parse(struct slice document, bool allow_hmac, struct jwt_keys *set,
                            unsigned *passed_over)
{
    enum jwks_result result = JWKS_MALFORMED;
    unsigned taken = 0;
    json_t *root, *jwk;
    size_t i;

    *passed_over = 0;
    if (document.len > JWKS_MAX_BYTES)
        return JWKS_TOO_LARGE;
    root = json_loadb(document.ptr, document.len, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_array(json_object_get(root, "keys")))
        goto done;
    json_array_foreach(json_object_get(root, "keys"), i, jwk)
    {
        switch (add_jwk(set, jwk, allow_hmac)) {
        case JWT_KEY_OK:
            taken++;
            break;
        case JWT_KEY_NO_MEMORY:
            result = JWKS_NO_MEMORY;
            goto done;
        case JWT_KEY_MALFORMED:
        case JWT_KEY_UNSUPPORTED:
            ++*passed_over;
        }
    }
    result = taken > 0 ? JWKS_OK : JWKS_NO_KEYS;
done:
    json_decref(root);
    return result;
}
