/* The first byte says whether oct keys are taken; the rest is the document. */
#include "bridge/identity/jwks.h"

#include "bridge/identity/jwt_keys.h"

#include <assert.h>
#include <openssl/err.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct jwt_keys *set;
    unsigned passed_over = 0, index;
    enum jwks_result result;
    bool allow_hmac;

    if (len == 0)
        return 0;
    allow_hmac = (data[0] & 1) != 0;
    set = jwt_keys_new();
    result =
        jwks_parse((struct slice){(const char *)data + 1, len - 1}, allow_hmac, set, &passed_over);
    assert((result == JWKS_OK) == (jwt_keys_count(set) > 0));
    assert(jwt_keys_count(set) <= JWT_KEYS_MAX);
    for (unsigned i = 0; i < jwt_keys_count(set); i++) {
        const struct jwt_key *key = jwt_keys_at(set, i);

        assert(jwt_key_kind_of(key) != JWT_KEY_HMAC || allow_hmac);
        assert(jwt_key_bits(key) >= (jwt_key_kind_of(key) == JWT_KEY_RSA ? 2048u : 128u));
        for (const char *p = jwt_key_label(key); *p != '\0'; p++)
            assert(*p > ' ' && *p < 0x7f);
    }
    /* The keys can be used: they say no. */
    for (unsigned alg = 0; alg < JWT_NALGS; alg++)
        assert(jwt_keys_verify(set, (enum jwt_alg)alg, (struct slice){0}, SLICE_LIT("a.b"),
                               SLICE_LIT("0123456789abcdef0123456789abcdef"
                                         "0123456789abcdef0123456789abcdef"),
                               &index) != JWT_KEYS_VERIFIED);
    assert(ERR_peek_error() == 0);
    jwt_keys_unref(set);
    return 0;
}
