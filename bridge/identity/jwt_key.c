#include "bridge/identity/jwt_key.h"

#include <assert.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/obj_mac.h>
#include <openssl/objects.h>
#include <openssl/param_build.h>
#include <stdatomic.h>
#include <stdlib.h>

#define RSA_MIN_BITS 2048
#define RSA_MAX_BITS 8192
#define RSA_MAX_EXPONENT_BITS 64
#define P256_BYTES 32
#define P256_DER_MAX_BYTES 80 /* SEQUENCE of two INTEGERs of at most 33 bytes */

struct jwt_key {
    atomic_uint refs;
    enum jwt_key_kind kind;
    unsigned algs; /* bit per enum jwt_alg */
    unsigned bits;
    EVP_PKEY *pkey; /* NULL for HMAC */
    unsigned char *secret;
    size_t secret_len;
    char *kid; /* NULL: none */
    size_t kid_len;
    char label[JWT_KEY_LABEL_BYTES];
};

static const struct {
    const char *name;
    enum jwt_key_kind kind;
} algs[JWT_NALGS] = {
    [JWT_HS256] = {"HS256", JWT_KEY_HMAC},    [JWT_HS384] = {"HS384", JWT_KEY_HMAC},
    [JWT_HS512] = {"HS512", JWT_KEY_HMAC},    [JWT_RS256] = {"RS256", JWT_KEY_RSA},
    [JWT_ES256] = {"ES256", JWT_KEY_EC_P256},
};

bool jwt_alg_parse(struct slice name, enum jwt_alg *out)
{
    for (unsigned i = 0; i < JWT_NALGS; i++) {
        if (slice_eq(name, slice_of(algs[i].name))) {
            *out = (enum jwt_alg)i;
            return true;
        }
    }
    return false;
}

size_t jwt_key_ascii(struct slice text, char *out, bool *replaced)
{
    size_t len = 0;

    *replaced = false;
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c < 0x80) {
            out[len++] = (char)c;
            continue;
        }
        *replaced = true;
        if ((c & 0xc0) == 0x80)
            continue; /* belongs to the character before it */
        out[len++] = '?';
        /* Beyond U+FFFF: two UTF-16 units. A byte that follows gives nothing, so len <= i holds. */
        if (c >= 0xf0 && i + 1 < text.len && ((unsigned char)text.ptr[i + 1] & 0xc0) == 0x80)
            out[len++] = '?';
    }
    return len;
}

static void copy_label(char out[JWT_KEY_LABEL_BYTES], struct slice label)
{
    size_t len = label.len < JWT_KEY_LABEL_BYTES - 1 ? label.len : JWT_KEY_LABEL_BYTES - 1;

    for (size_t i = 0; i < len; i++) {
        char c = label.ptr[i];
        out[i] = c > ' ' && c < 0x7f && c != '"' && c != '\\' ? c : '_';
    }
    out[len] = '\0';
}

static struct jwt_key *key_new(enum jwt_key_kind kind, const struct jwt_key_meta *meta)
{
    struct jwt_key *key = calloc(1, sizeof *key);

    if (key == NULL)
        return NULL;
    atomic_init(&key->refs, 1);
    key->kind = kind;
    for (unsigned i = 0; i < JWT_NALGS; i++) {
        if (algs[i].kind == kind && (meta->only == NULL || *meta->only == i))
            key->algs |= JWT_ALG_BIT(i);
    }
    copy_label(key->label, meta->label);
    if (meta->kid.len > 0) {
        key->kid = slice_dup(meta->kid);
        key->kid_len = meta->kid.len;
        if (key->kid == NULL) {
            free(key);
            return NULL;
        }
    }
    return key;
}

/* The metadata allows the kind at all: a JWK of RSA numbers that says "alg":"HS256" serves nothing.
 */
static bool meta_fits(enum jwt_key_kind kind, const struct jwt_key_meta *meta)
{
    return meta->kid.len <= JWT_KID_MAX_BYTES &&
           (meta->only == NULL || algs[*meta->only].kind == kind);
}

enum jwt_key_result jwt_key_hmac(struct slice secret, const struct jwt_key_meta *meta,
                                 struct jwt_key **out)
{
    struct jwt_key *key;

    if (secret.len < JWT_SECRET_MIN_BYTES || secret.len > JWT_SECRET_MAX_BYTES ||
        !meta_fits(JWT_KEY_HMAC, meta))
        return JWT_KEY_UNSUPPORTED;
    key = key_new(JWT_KEY_HMAC, meta);
    if (key == NULL)
        return JWT_KEY_NO_MEMORY;
    key->secret = malloc(secret.len);
    if (key->secret == NULL) {
        jwt_key_unref(key);
        return JWT_KEY_NO_MEMORY;
    }
    memcpy(key->secret, secret.ptr, secret.len);
    key->secret_len = secret.len;
    key->bits = (unsigned)secret.len * 8;
    *out = key;
    return JWT_KEY_OK;
}

static bool rsa_numbers_ok(const EVP_PKEY *pkey)
{
    BIGNUM *n = NULL, *e = NULL;
    bool ok = EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_N, &n) == 1 &&
              EVP_PKEY_get_bn_param(pkey, OSSL_PKEY_PARAM_RSA_E, &e) == 1 && BN_is_odd(n) &&
              BN_is_odd(e) && !BN_is_one(e) && BN_num_bits(n) >= RSA_MIN_BITS &&
              BN_num_bits(n) <= RSA_MAX_BITS && BN_num_bits(e) <= RSA_MAX_EXPONENT_BITS;

    BN_free(n);
    BN_free(e);
    return ok;
}

static bool curve_is_p256(const EVP_PKEY *pkey)
{
    char name[64];

    return EVP_PKEY_get_group_name(pkey, name, sizeof name, NULL) == 1 &&
           OBJ_txt2nid(name) == NID_X9_62_prime256v1;
}

enum jwt_key_result jwt_key_pkey(struct evp_pkey_st *pkey, const struct jwt_key_meta *meta,
                                 struct jwt_key **out)
{
    enum jwt_key_result result = JWT_KEY_UNSUPPORTED;
    enum jwt_key_kind kind = JWT_KEY_RSA;
    struct jwt_key *key = NULL;

    /* An RSA-PSS key is another type here, and rightly so: it must not verify RS256. */
    if (EVP_PKEY_get_base_id(pkey) == EVP_PKEY_EC)
        kind = JWT_KEY_EC_P256;
    else if (EVP_PKEY_get_base_id(pkey) != EVP_PKEY_RSA)
        goto done;
    if (kind == JWT_KEY_RSA ? !rsa_numbers_ok(pkey) : !curve_is_p256(pkey))
        goto done;
    if (!meta_fits(kind, meta))
        goto done;
    result = JWT_KEY_NO_MEMORY;
    key = key_new(kind, meta);
    if (key == NULL || EVP_PKEY_up_ref(pkey) != 1)
        goto done;
    key->pkey = pkey;
    key->bits = (unsigned)EVP_PKEY_get_bits(pkey);
    *out = key;
    key = NULL; /* handed over */
    result = JWT_KEY_OK;
done:
    jwt_key_unref(key);
    ERR_clear_error();
    return result;
}

/* Builds a public key of the named type out of params, which it frees. */
static enum jwt_key_result key_from_params(const char *type, OSSL_PARAM *params,
                                           const struct jwt_key_meta *meta, struct jwt_key **out)
{
    enum jwt_key_result result = JWT_KEY_NO_MEMORY;
    EVP_PKEY *pkey = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);

    if (params == NULL || ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1)
        goto done;
    result = JWT_KEY_MALFORMED;
    if (EVP_PKEY_fromdata(ctx, &pkey, EVP_PKEY_PUBLIC_KEY, params) == 1)
        result = jwt_key_pkey(pkey, meta, out);
done:
    EVP_PKEY_free(pkey);
    EVP_PKEY_CTX_free(ctx);
    OSSL_PARAM_free(params);
    ERR_clear_error();
    return result;
}

enum jwt_key_result jwt_key_rsa(struct slice n, struct slice e, const struct jwt_key_meta *meta,
                                struct jwt_key **out)
{
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *build;
    BIGNUM *n_bn, *e_bn;

    if (n.len > RSA_MAX_BITS / 8 + 1 || e.len > RSA_MAX_EXPONENT_BITS / 8 + 1)
        return JWT_KEY_UNSUPPORTED;
    build = OSSL_PARAM_BLD_new();
    n_bn = BN_bin2bn((const unsigned char *)n.ptr, (int)n.len, NULL);
    e_bn = BN_bin2bn((const unsigned char *)e.ptr, (int)e.len, NULL);
    if (build != NULL && n_bn != NULL && e_bn != NULL &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_N, n_bn) == 1 &&
        OSSL_PARAM_BLD_push_BN(build, OSSL_PKEY_PARAM_RSA_E, e_bn) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    OSSL_PARAM_BLD_free(build);
    enum jwt_key_result result = key_from_params("RSA", params, meta, out);
    BN_free(n_bn);
    BN_free(e_bn);
    return result;
}

enum jwt_key_result jwt_key_ec_p256(struct slice x, struct slice y, const struct jwt_key_meta *meta,
                                    struct jwt_key **out)
{
    unsigned char point[1 + 2 * P256_BYTES] = {POINT_CONVERSION_UNCOMPRESSED};
    OSSL_PARAM *params = NULL;
    OSSL_PARAM_BLD *build;

    if (x.len != P256_BYTES || y.len != P256_BYTES)
        return JWT_KEY_MALFORMED;
    memcpy(point + 1, x.ptr, P256_BYTES);
    memcpy(point + 1 + P256_BYTES, y.ptr, P256_BYTES);
    build = OSSL_PARAM_BLD_new();
    if (build != NULL &&
        OSSL_PARAM_BLD_push_utf8_string(build, OSSL_PKEY_PARAM_GROUP_NAME, SN_X9_62_prime256v1,
                                        0) == 1 &&
        OSSL_PARAM_BLD_push_octet_string(build, OSSL_PKEY_PARAM_PUB_KEY, point, sizeof point) == 1)
        params = OSSL_PARAM_BLD_to_param(build);
    OSSL_PARAM_BLD_free(build);
    return key_from_params("EC", params, meta, out);
}

struct jwt_key *jwt_key_ref(struct jwt_key *key)
{
    atomic_fetch_add_explicit(&key->refs, 1, memory_order_relaxed);
    return key;
}

void jwt_key_unref(struct jwt_key *key)
{
    if (key == NULL || atomic_fetch_sub_explicit(&key->refs, 1, memory_order_acq_rel) != 1)
        return;
    EVP_PKEY_free(key->pkey);
    if (key->secret != NULL)
        OPENSSL_cleanse(key->secret, key->secret_len);
    free(key->secret);
    free(key->kid);
    free(key);
}

enum jwt_key_kind jwt_key_kind_of(const struct jwt_key *key)
{
    return key->kind;
}

unsigned jwt_key_bits(const struct jwt_key *key)
{
    return key->bits;
}

const char *jwt_key_label(const struct jwt_key *key)
{
    return key->label;
}

bool jwt_key_has_kid(const struct jwt_key *key)
{
    return key->kid != NULL;
}

bool jwt_key_kid_is(const struct jwt_key *key, struct slice kid)
{
    return key->kid != NULL && slice_eq((struct slice){key->kid, key->kid_len}, kid);
}

bool jwt_key_serves(const struct jwt_key *key, enum jwt_alg alg)
{
    return (key->algs & JWT_ALG_BIT(alg)) != 0;
}

static bool hmac_verify(const struct jwt_key *key, enum jwt_alg alg, struct slice input,
                        struct slice signature)
{
    const EVP_MD *digest = alg == JWT_HS256   ? EVP_sha256()
                           : alg == JWT_HS384 ? EVP_sha384()
                                              : EVP_sha512();
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned int mac_len = 0;
    bool ok = HMAC(digest, key->secret, (int)key->secret_len, (const unsigned char *)input.ptr,
                   input.len, mac, &mac_len) != NULL &&
              signature.len == mac_len && CRYPTO_memcmp(mac, signature.ptr, mac_len) == 0;

    OPENSSL_cleanse(mac, sizeof mac);
    return ok;
}

static bool pkey_verify(EVP_PKEY *pkey, struct slice input, const unsigned char *signature,
                        size_t signature_len)
{
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    bool ok = ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, EVP_sha256(), NULL, pkey) == 1 &&
              EVP_DigestVerify(ctx, signature, signature_len, (const unsigned char *)input.ptr,
                               input.len) == 1;

    EVP_MD_CTX_free(ctx);
    return ok;
}

/* JOSE writes r || s, OpenSSL reads DER. */
static bool p256_verify(const struct jwt_key *key, struct slice input, struct slice signature)
{
    const unsigned char *raw = (const unsigned char *)signature.ptr;
    unsigned char der[P256_DER_MAX_BYTES], *end = der;
    BIGNUM *r = NULL, *s = NULL;
    ECDSA_SIG *sig = NULL;
    bool ok = false;
    int der_len;

    if (signature.len != (size_t)2 * P256_BYTES)
        return false;
    sig = ECDSA_SIG_new();
    r = BN_bin2bn(raw, P256_BYTES, NULL);
    s = BN_bin2bn(raw + P256_BYTES, P256_BYTES, NULL);
    if (sig == NULL || r == NULL || s == NULL || ECDSA_SIG_set0(sig, r, s) != 1)
        goto done;
    r = s = NULL; /* sig owns them now */
    der_len = i2d_ECDSA_SIG(sig, &end);
    assert(der_len <= P256_DER_MAX_BYTES);
    ok = der_len > 0 && pkey_verify(key->pkey, input, der, (size_t)der_len);
done:
    BN_free(r);
    BN_free(s);
    ECDSA_SIG_free(sig);
    return ok;
}

bool jwt_key_verify(const struct jwt_key *key, enum jwt_alg alg, struct slice signing_input,
                    struct slice signature)
{
    bool ok = false;

    if (!jwt_key_serves(key, alg) || signature.len == 0 || signature.len > JWT_SIGNATURE_MAX_BYTES)
        return false;
    switch (key->kind) {
    case JWT_KEY_HMAC:
        ok = hmac_verify(key, alg, signing_input, signature);
        break;
    case JWT_KEY_RSA:
        ok = pkey_verify(key->pkey, signing_input, (const unsigned char *)signature.ptr,
                         signature.len);
        break;
    case JWT_KEY_EC_P256:
        ok = p256_verify(key, signing_input, signature);
        break;
    }
    ERR_clear_error();
    return ok;
}
