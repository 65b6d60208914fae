#include "bridge/identity/jwt_key.h"

#include "tests/unit/jwt_sign.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static const struct jwt_key_meta plain = {.label = {"test", 4}};

static void test_ascii(void **state)
{
    static const struct {
        const char *in, *want;
        bool replaced;
    } cases[] = {
        {"", "", false},
        {"plain key !~", "plain key !~", false},
        {"\xc3\xa9t\xc3\xa9", "?t?", true},       /* two bytes in UTF-8, one unit in UTF-16 */
        {"\xe5\xaf\x86\xe9\x92\xa5", "??", true}, /* three bytes, one unit */
        {"a\xf0\x9f\x98\x80z", "a??z", true},     /* four bytes, a surrogate pair */
        {"\xf0\x9f", "??", true},                 /* cut off: stays within its length */
        {"\xf0\xf0\xf0\xf0", "????", true},       /* never UTF-8 */
        {"\x80\x81", "", true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t in_len = strlen(cases[i].in);
        char *out = malloc(in_len + 1); /* exact, so that ASan sees a byte too many */
        bool replaced;
        size_t len = jwt_key_ascii(slice_of(cases[i].in), out, &replaced);

        assert_true(len <= in_len);
        assert_true(slice_eq((struct slice){out, len}, slice_of(cases[i].want)));
        assert_int_equal(replaced, cases[i].replaced);
        free(out);
    }
}

static void test_alg_names(void **state)
{
    enum jwt_alg alg;

    (void)state;
    assert_true(jwt_alg_parse(SLICE_LIT("HS512"), &alg));
    assert_int_equal(alg, JWT_HS512);
    assert_true(jwt_alg_parse(SLICE_LIT("ES256"), &alg));
    assert_int_equal(alg, JWT_ES256);
    assert_false(jwt_alg_parse(SLICE_LIT("none"), &alg));
    assert_false(jwt_alg_parse(SLICE_LIT("hs256"), &alg));
    assert_false(jwt_alg_parse(SLICE_LIT(""), &alg));
    assert_false(jwt_alg_parse(SLICE_LIT("ES512"), &alg));
}

static void test_secret_bounds(void **state)
{
    static const char bytes[JWT_SECRET_MAX_BYTES + 1] = {0};
    struct jwt_key *key = NULL;

    (void)state;
    assert_int_equal(jwt_key_hmac((struct slice){bytes, 15}, &plain, &key), JWT_KEY_UNSUPPORTED);
    assert_int_equal(jwt_key_hmac((struct slice){bytes, sizeof bytes}, &plain, &key),
                     JWT_KEY_UNSUPPORTED);
    assert_null(key);
    assert_int_equal(jwt_key_hmac((struct slice){bytes, 16}, &plain, &key), JWT_KEY_OK);
    assert_int_equal(jwt_key_bits(key), 128);
    assert_int_equal(jwt_key_kind_of(key), JWT_KEY_HMAC);
    assert_string_equal(jwt_key_label(key), "test");
    jwt_key_unref(key);
}

/* What .NET, PEM files and JWKS may hold besides what we serve. */
static void test_pkey_kinds(void **state)
{
    static const struct {
        const char *type, *curve;
        unsigned bits;
        enum jwt_key_result want;
    } cases[] = {
        {"RSA", NULL, 1024, JWT_KEY_UNSUPPORTED},     {"RSA", NULL, 2048, JWT_KEY_OK},
        {"RSA-PSS", NULL, 2048, JWT_KEY_UNSUPPORTED}, {"EC", "P-256", 0, JWT_KEY_OK},
        {"EC", "P-384", 0, JWT_KEY_UNSUPPORTED},      {"EC", "secp256k1", 0, JWT_KEY_UNSUPPORTED},
        {"ED25519", NULL, 0, JWT_KEY_UNSUPPORTED},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t bits = cases[i].bits;
        EVP_PKEY *pkey = bits > 0 && strcmp(cases[i].type, "RSA-PSS") != 0
                             ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", bits)
                         : cases[i].curve != NULL
                             ? EVP_PKEY_Q_keygen(NULL, NULL, "EC", cases[i].curve)
                             : NULL;
        struct jwt_key *key = NULL;

        if (pkey == NULL) {
            EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, cases[i].type, NULL);

            assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
            assert_int_equal(EVP_PKEY_generate(ctx, &pkey), 1);
            EVP_PKEY_CTX_free(ctx);
        }
        assert_int_equal(jwt_key_pkey(pkey, &plain, &key), cases[i].want);
        assert_true((key != NULL) == (cases[i].want == JWT_KEY_OK));
        jwt_key_unref(key);
        EVP_PKEY_free(pkey);
    }
}

static void test_bad_numbers(void **state)
{
    char zeros[64] = {0}, big[1026];
    struct jwt_key *key = NULL;

    (void)state;
    memset(big, 0xff, sizeof big);
    /* Not on the curve. */
    assert_int_equal(
        jwt_key_ec_p256((struct slice){zeros, 32}, (struct slice){zeros, 32}, &plain, &key),
        JWT_KEY_MALFORMED);
    assert_int_equal(
        jwt_key_ec_p256((struct slice){big, 32}, (struct slice){big, 32}, &plain, &key),
        JWT_KEY_MALFORMED);
    assert_int_equal(
        jwt_key_ec_p256((struct slice){big, 31}, (struct slice){big, 32}, &plain, &key),
        JWT_KEY_MALFORMED);
    /* Even modulus, exponent 1, even exponent, giants, nothing. */
    assert_int_not_equal(jwt_key_rsa((struct slice){zeros, 64}, SLICE_LIT("\x03"), &plain, &key),
                         JWT_KEY_OK);
    assert_int_not_equal(jwt_key_rsa((struct slice){big, 256}, SLICE_LIT("\x01"), &plain, &key),
                         JWT_KEY_OK);
    assert_int_not_equal(jwt_key_rsa((struct slice){big, 256}, SLICE_LIT("\x04"), &plain, &key),
                         JWT_KEY_OK);
    assert_int_not_equal(jwt_key_rsa((struct slice){big, 1026}, SLICE_LIT("\x03"), &plain, &key),
                         JWT_KEY_OK);
    assert_int_not_equal(jwt_key_rsa((struct slice){big, 1025}, SLICE_LIT("\x03"), &plain, &key),
                         JWT_KEY_OK);
    assert_int_not_equal(
        jwt_key_rsa((struct slice){big, 256}, (struct slice){big, 9}, &plain, &key), JWT_KEY_OK);
    assert_int_not_equal(jwt_key_rsa((struct slice){0}, (struct slice){0}, &plain, &key),
                         JWT_KEY_OK);
    assert_null(key);
    assert_int_equal(ERR_peek_error(), 0); /* nothing left over for TLS code to stumble on */
}

static void test_meta(void **state)
{
    static const enum jwt_alg hs384 = JWT_HS384, rs256 = JWT_RS256;
    struct jwt_key_meta meta = {.only = &hs384, .label = SLICE_LIT("a b\"c\\\n\xc3\xa9")};
    char kid[JWT_KID_MAX_BYTES + 1];
    struct jwt_key *key = NULL;

    (void)state;
    memset(kid, 'k', sizeof kid);
    assert_int_equal(jwt_key_hmac(slice_of(SIGN_KEY), &meta, &key), JWT_KEY_OK);
    assert_string_equal(jwt_key_label(key), "a_b_c____");
    assert_true(jwt_key_serves(key, JWT_HS384));
    assert_false(jwt_key_serves(key, JWT_HS256));
    assert_false(jwt_key_has_kid(key));
    jwt_key_unref(key);

    meta.only = &rs256; /* an algorithm of another kind */
    assert_int_equal(jwt_key_hmac(slice_of(SIGN_KEY), &meta, &key), JWT_KEY_UNSUPPORTED);
    meta.only = NULL;
    meta.kid = (struct slice){kid, sizeof kid};
    assert_int_equal(jwt_key_hmac(slice_of(SIGN_KEY), &meta, &key), JWT_KEY_UNSUPPORTED);
    meta.kid.len--;
    meta.label = meta.kid;
    assert_int_equal(jwt_key_hmac(slice_of(SIGN_KEY), &meta, &key), JWT_KEY_OK);
    assert_int_equal(strlen(jwt_key_label(key)), JWT_KEY_LABEL_BYTES - 1);
    assert_true(jwt_key_kid_is(key, meta.kid));
    assert_false(jwt_key_kid_is(key, SLICE_LIT("k")));
    jwt_key_unref(key);
}

/* Every proper prefix, every flipped bit and every longer form of a signature is refused. */
static void check_signature(const struct jwt_key *key, enum jwt_alg alg, const char *token)
{
    const char *dot = strrchr(token, '.');
    struct slice input = {token, (size_t)(dot - token)};
    uint8_t sig[JWT_SIGNATURE_MAX_BYTES + 1] = {0};
    size_t len;

    assert_true(base64_decode(BASE64_URL, slice_of(dot + 1), sig, sizeof sig, &len));
    assert_true(jwt_key_verify(key, alg, input, (struct slice){(char *)sig, len}));
    for (size_t i = 0; i < len; i++) {
        assert_false(jwt_key_verify(key, alg, input, (struct slice){(char *)sig, i}));
        sig[i] ^= (uint8_t)(1u << (i % 8));
        assert_false(jwt_key_verify(key, alg, input, (struct slice){(char *)sig, len}));
        sig[i] ^= (uint8_t)(1u << (i % 8));
    }
    assert_false(jwt_key_verify(key, alg, input, (struct slice){(char *)sig, len + 1}));
    memset(sig, 0, sizeof sig);
    assert_false(jwt_key_verify(key, alg, input, (struct slice){(char *)sig, len}));
    assert_false(jwt_key_verify(key, alg, input, (struct slice){(char *)sig, sizeof sig}));
    assert_int_equal(ERR_peek_error(), 0);
}

static void test_signatures(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-256");
    struct jwt_key *keys[] = {sign_hmac_key(SIGN_KEY, NULL), sign_public_half(rsa, NULL),
                              sign_public_half(ec, NULL)};
    static const enum jwt_alg algs[] = {JWT_HS256, JWT_RS256, JWT_ES256};
    char *tokens[] = {sign_hs256("{}"), sign_pkey("{}", "{}", rsa, false),
                      sign_pkey("{}", "{}", ec, false)};
    char *der = sign_pkey("{}", "{}", ec, true);
    uint8_t sig[128];
    size_t len;

    (void)state;
    for (size_t i = 0; i < 3; i++) {
        check_signature(keys[i], algs[i], tokens[i]);
        for (size_t j = 0; j < JWT_NALGS; j++)
            assert_int_equal(jwt_key_serves(keys[i], (enum jwt_alg)j),
                             i == 0 ? j <= JWT_HS512 : j == algs[i]);
        free(tokens[i]);
    }
    assert_true(base64_decode(BASE64_URL, slice_of(strrchr(der, '.') + 1), sig, sizeof sig, &len));
    assert_false(jwt_key_verify(keys[2], JWT_ES256,
                                (struct slice){der, (size_t)(strrchr(der, '.') - der)},
                                (struct slice){(char *)sig, len}));
    free(der);
    for (size_t i = 0; i < 3; i++)
        jwt_key_unref(keys[i]);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}

/* Asked for an algorithm of another kind, a key says no, whatever the bytes are. */
static void test_other_kind(void **state)
{
    struct jwt_key *key = sign_hmac_key(SIGN_KEY, NULL);
    char *token = sign_hmac("{}", "{}", EVP_sha512(), SIGN_KEY, strlen(SIGN_KEY));
    const char *dot = strrchr(token, '.');
    struct slice input = {token, (size_t)(dot - token)};
    uint8_t mac[64];
    size_t len;

    (void)state;
    assert_true(base64_decode(BASE64_URL, slice_of(dot + 1), mac, sizeof mac, &len));
    for (unsigned alg = 0; alg < JWT_NALGS; alg++)
        assert_int_equal(
            jwt_key_verify(key, (enum jwt_alg)alg, input, (struct slice){(char *)mac, len}),
            alg == JWT_HS512);
    free(token);
    jwt_key_unref(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ascii),         cmocka_unit_test(test_alg_names),
        cmocka_unit_test(test_secret_bounds), cmocka_unit_test(test_pkey_kinds),
        cmocka_unit_test(test_bad_numbers),   cmocka_unit_test(test_meta),
        cmocka_unit_test(test_signatures),    cmocka_unit_test(test_other_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
