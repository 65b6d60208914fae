#include "bridge/identity/jwt.h"

#include "base/base64.h"

#include <assert.h>
#include <jansson.h>
#include <math.h>
#include <strings.h>

#define HEADER_MAX_BYTES 2048
#define LATEST_SECOND 253402300799.0 /* 9999-12-31T23:59:59Z */

struct parts {
    struct slice header, payload, signature; /* base64url text */
    struct slice signing_input;
};

/* Exactly three parts, none of them empty. */
static bool split(struct slice token, struct parts *out)
{
    const char *end = token.ptr + token.len;
    const char *dot1 = memchr(token.ptr, '.', token.len);
    const char *dot2 = dot1 == NULL ? NULL : memchr(dot1 + 1, '.', (size_t)(end - dot1 - 1));

    if (dot2 == NULL || memchr(dot2 + 1, '.', (size_t)(end - dot2 - 1)) != NULL)
        return false;
    out->header = (struct slice){token.ptr, (size_t)(dot1 - token.ptr)};
    out->payload = (struct slice){dot1 + 1, (size_t)(dot2 - dot1 - 1)};
    out->signature = (struct slice){dot2 + 1, (size_t)(end - dot2 - 1)};
    out->signing_input = (struct slice){token.ptr, (size_t)(dot2 - token.ptr)};
    return out->header.len > 0 && out->payload.len > 0 && out->signature.len > 0;
}

static bool decode(struct slice text, uint8_t *out, size_t cap, struct slice *bytes)
{
    size_t len;

    /* base64_decode() tolerates padding, JOSE forbids it. */
    if (memchr(text.ptr, '=', text.len) != NULL || !base64_decode(BASE64_URL, text, out, cap, &len))
        return false;
    *bytes = (struct slice){(const char *)out, len};
    return true;
}

static json_t *load_object(struct slice text)
{
    json_t *root = json_loadb(text.ptr, text.len, JSON_REJECT_DUPLICATES, NULL);

    if (json_is_object(root))
        return root;
    json_decref(root);
    return NULL;
}

static enum jwt_result read_header(const json_t *header, unsigned allowed, enum jwt_alg *alg,
                                   struct slice *kid)
{
    const json_t *alg_member = json_object_get(header, "alg");
    const json_t *typ = json_object_get(header, "typ");
    const json_t *kid_member = json_object_get(header, "kid");

    if (!json_is_string(alg_member) || (typ != NULL && !json_is_string(typ)) ||
        (kid_member != NULL && !json_is_string(kid_member)))
        return JWT_MALFORMED;
    if (!jwt_alg_parse(slice_of(json_string_value(alg_member)), alg) ||
        (allowed & JWT_ALG_BIT(*alg)) == 0)
        return JWT_ALG_REFUSED;
    if (json_object_get(header, "crit") != NULL)
        return JWT_HEADER_REFUSED;
    if (typ != NULL && strcasecmp(json_string_value(typ), "JWT") != 0 &&
        strcasecmp(json_string_value(typ), "at+jwt") != 0 &&
        strcasecmp(json_string_value(typ), "application/at+jwt") != 0)
        return JWT_HEADER_REFUSED;
    *kid = (struct slice){json_string_value(kid_member), json_string_length(kid_member)};
    return kid->len <= JWT_KID_MAX_BYTES ? JWT_OK : JWT_MALFORMED;
}

static bool is_one_of(const json_t *value, const char *const *list)
{
    for (; *list != NULL; list++) {
        if (strcmp(json_string_value(value), *list) == 0)
            return true;
    }
    return false;
}

static bool is_empty(const char *const *list)
{
    return list == NULL || *list == NULL;
}

static enum jwt_result check_issuer(const struct jwt_rules *rules, const json_t *claims)
{
    const json_t *iss = json_object_get(claims, "iss");

    if (iss != NULL && !json_is_string(iss))
        return JWT_CLAIM_MALFORMED;
    if (is_empty(rules->issuers))
        return JWT_OK;
    return iss != NULL && is_one_of(iss, rules->issuers) ? JWT_OK : JWT_WRONG_ISSUER;
}

static enum jwt_result check_audience(const struct jwt_rules *rules, const json_t *claims)
{
    const json_t *aud = json_object_get(claims, "aud"), *item;
    bool named = false, check = !is_empty(rules->audiences);
    size_t i;

    if (json_is_string(aud))
        named = check && is_one_of(aud, rules->audiences);
    else if (aud != NULL && !json_is_array(aud))
        return JWT_CLAIM_MALFORMED;
    json_array_foreach(aud, i, item)
    {
        if (!json_is_string(item))
            return JWT_CLAIM_MALFORMED;
        named = named || (check && is_one_of(item, rules->audiences));
    }
    return named || !check ? JWT_OK : JWT_WRONG_AUDIENCE;
}

/* RFC 7519 NumericDate: seconds, perhaps with a fraction. */
static bool read_date(const json_t *value, int64_t *ms)
{
    double seconds = json_number_value(value); /* 53 bits: exact for every second up to the bound */

    if (!json_is_number(value) || !(fabs(seconds) <= LATEST_SECOND))
        return false;
    *ms = (int64_t)(seconds * 1000.0);
    return true;
}

static bool is_refresh_token(const json_t *claims)
{
    const json_t *type = json_object_get(claims, "token_type");

    return (json_is_integer(type) && json_integer_value(type) == 1) ||
           (json_is_string(type) && strcmp(json_string_value(type), "1") == 0);
}

enum jwt_result jwt_check_claims(const struct jwt_rules *rules, const struct json_t *claims,
                                 int64_t now_ms, int64_t *expires_ms)
{
    const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
    const json_t *type = json_object_get(claims, "token_type");
    int64_t exp_ms, nbf_ms = 0;
    enum jwt_result result;

    if (exp == NULL)
        return JWT_NO_EXPIRY;
    if (!read_date(exp, &exp_ms) || (nbf != NULL && !read_date(nbf, &nbf_ms)))
        return JWT_CLAIM_MALFORMED;
    if (type != NULL && !json_is_string(type) && !json_is_integer(type))
        return JWT_CLAIM_MALFORMED; /* an array could hide a 1 */
    result = check_issuer(rules, claims);
    if (result == JWT_OK)
        result = check_audience(rules, claims);
    if (result != JWT_OK)
        return result;
    if (now_ms >= exp_ms + (int64_t)rules->leeway_ms)
        return JWT_EXPIRED;
    if (nbf != NULL && now_ms < nbf_ms - (int64_t)rules->leeway_ms)
        return JWT_NOT_YET_VALID;
    if (is_refresh_token(claims))
        return JWT_REFRESH_TOKEN;
    *expires_ms = exp_ms + (int64_t)rules->leeway_ms;
    return JWT_OK;
}

static enum jwt_result verify_signature(const struct jwt_rules *rules, const struct jwt_keys *keys,
                                        const struct parts *parts, unsigned *key_index)
{
    uint8_t header_bytes[HEADER_MAX_BYTES], signature_bytes[JWT_SIGNATURE_MAX_BYTES];
    struct slice header_text, signature, kid = {0};
    enum jwt_result result = JWT_MALFORMED;
    json_t *header = NULL;
    enum jwt_alg alg;

    if (!decode(parts->header, header_bytes, sizeof header_bytes, &header_text) ||
        !decode(parts->signature, signature_bytes, sizeof signature_bytes, &signature))
        return JWT_MALFORMED;
    header = load_object(header_text);
    if (header != NULL)
        result = read_header(header, rules->algorithms, &alg, &kid);
    if (result == JWT_OK) {
        switch (jwt_keys_verify(keys, alg, kid, parts->signing_input, signature, key_index)) {
        case JWT_KEYS_VERIFIED:
            break;
        case JWT_KEYS_UNKNOWN:
            result = JWT_UNKNOWN_KEY;
            break;
        case JWT_KEYS_MISMATCH:
            result = JWT_BAD_SIGNATURE;
            break;
        }
    }
    json_decref(header); /* kid lived in it */
    return result;
}

enum jwt_result jwt_verify(const struct jwt_rules *rules, const struct jwt_keys *keys,
                           struct slice token, int64_t now_ms, struct jwt_token *out)
{
    uint8_t payload_bytes[JWT_MAX_BYTES / 4 * 3];
    struct jwt_token verified = {0};
    enum jwt_result result;
    struct slice payload;
    struct parts parts;

    if (token.len > JWT_MAX_BYTES)
        return JWT_TOO_LARGE;
    if (token.len == 0 || !split(token, &parts))
        return JWT_MALFORMED;
    result = verify_signature(rules, keys, &parts, &verified.key_index);
    if (result != JWT_OK)
        return result;
    if (!decode(parts.payload, payload_bytes, sizeof payload_bytes, &payload))
        return JWT_MALFORMED;
    verified.claims = load_object(payload);
    if (verified.claims == NULL)
        return JWT_MALFORMED;
    result = jwt_check_claims(rules, verified.claims, now_ms, &verified.expires_ms);
    if (result == JWT_OK)
        *out = verified;
    else
        jwt_token_free(&verified);
    return result;
}

struct json_t *jwt_read_unverified(struct slice token, enum jwt_part part)
{
    uint8_t bytes[JWT_MAX_BYTES / 4 * 3];
    struct slice text;
    struct parts parts;

    if (token.len == 0 || token.len > JWT_MAX_BYTES || !split(token, &parts) ||
        !decode(part == JWT_PART_HEADER ? parts.header : parts.payload, bytes, sizeof bytes, &text))
        return NULL;
    return load_object(text);
}

void jwt_token_free(struct jwt_token *token)
{
    json_decref(token->claims);
    *token = (struct jwt_token){0};
}

const char *jwt_result_text(enum jwt_result result)
{
    static const char *const texts[JWT_NRESULTS] = {
        [JWT_OK] = "token ok",
        [JWT_TOO_LARGE] = "token too large",
        [JWT_MALFORMED] = "token malformed",
        [JWT_HEADER_REFUSED] = "token header has crit or a foreign typ",
        [JWT_ALG_REFUSED] = "algorithm not allowed",
        [JWT_UNKNOWN_KEY] = "no key for this kid or algorithm",
        [JWT_BAD_SIGNATURE] = "bad signature",
        [JWT_CLAIM_MALFORMED] = "a registered claim has the wrong type",
        [JWT_WRONG_ISSUER] = "wrong issuer",
        [JWT_WRONG_AUDIENCE] = "wrong audience",
        [JWT_NO_EXPIRY] = "no exp claim",
        [JWT_EXPIRED] = "expired",
        [JWT_NOT_YET_VALID] = "not yet valid",
        [JWT_REFRESH_TOKEN] = "a refresh token",
    };

    assert((unsigned)result < JWT_NRESULTS);
    return texts[result];
}
