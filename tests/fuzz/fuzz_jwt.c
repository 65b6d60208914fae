/* The first byte picks what the rest is: a whole token, a header under a right signature, a payload
 * under a right signature. The two latter get past the HMAC, where random bytes never would. */
#include "bridge/identity/jwt.h"

#include "base/base64.h"

#include <assert.h>
#include <jansson.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <stdlib.h>

#define SECRET "MatoAppSample_C421AAEE0D114E9C"
#define NOW_MS INT64_C(1750000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct jwt_keys *make_keys(void)
{
    const struct jwt_key_meta meta = {.label = SLICE_LIT("fuzz")};
    struct jwt_keys *keys = jwt_keys_new();
    struct jwt_key *key;

    if (jwt_key_hmac(SLICE_LIT(SECRET), &meta, &key) != JWT_KEY_OK || !jwt_keys_add(keys, key))
        abort();
    return keys;
}

/* Signs header.payload; the caller frees. */
static char *make_token(struct slice header, struct slice payload, size_t *len)
{
    char *out = malloc(BASE64_LEN(header.len) + BASE64_LEN(payload.len) + 64);
    unsigned char mac[32];
    size_t n = base64_encode(BASE64_URL, header.ptr, header.len, out);

    out[n++] = '.';
    n += base64_encode(BASE64_URL, payload.ptr, payload.len, out + n);
    HMAC(EVP_sha256(), SECRET, sizeof SECRET - 1, (unsigned char *)out, n, mac, NULL);
    out[n++] = '.';
    *len = n + base64_encode(BASE64_URL, mac, sizeof mac, out + n);
    return out;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const names[] = {"me", NULL};
    static const struct jwt_rules rules = {JWT_ALG_ALL, names, names, 30000};
    static const struct slice header = SLICE_LIT("{\"alg\":\"HS256\"}");
    static const struct slice payload =
        SLICE_LIT("{\"iss\":\"me\",\"aud\":\"me\",\"exp\":1750000100}");
    static struct jwt_keys *keys;
    struct slice rest = {(const char *)data + 1, len - 1}, token = rest;
    struct jwt_token out = {0};
    enum jwt_result result;
    char *made = NULL;

    if (len == 0)
        return 0;
    if (keys == NULL)
        keys = make_keys();
    if (data[0] % 3 == 1)
        token.ptr = made = make_token(rest, payload, &token.len);
    else if (data[0] % 3 == 2)
        token.ptr = made = make_token(header, rest, &token.len);
    result = jwt_verify(&rules, keys, token, NOW_MS, &out);
    assert(jwt_result_text(result) != NULL);
    assert((out.claims != NULL) == (result == JWT_OK));
    if (result == JWT_OK) {
        assert(json_is_object(out.claims));
        assert(out.expires_ms > NOW_MS && out.expires_ms < INT64_C(253402300800000) + 30000);
        assert(out.key_index == 0);
        assert(token.len <= JWT_MAX_BYTES);
    }
    for (int part = JWT_PART_HEADER; part <= JWT_PART_PAYLOAD; part++) {
        json_t *read = jwt_read_unverified(token, (enum jwt_part)part);

        assert(read == NULL || json_is_object(read));
        assert(read != NULL || result != JWT_OK);
        json_decref(read);
    }
    assert(ERR_peek_error() == 0);
    jwt_token_free(&out);
    free(made);
    return 0;
}
