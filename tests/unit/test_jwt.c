#include "bridge/identity/jwt.h"

#include "tests/unit/jwt_sign.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define NOW_S 1750000000
#define NOW_MS (INT64_C(1000) * NOW_S)
#define GOOD "\"iss\":\"me\",\"aud\":\"us\",\"exp\":1750000100"

static const char *const issuers[] = {"me", "my-other-name", NULL};
static const char *const audiences[] = {"us", "them", NULL};
static const struct jwt_rules rules = {
    .algorithms = JWT_ALG_ALL, .issuers = issuers, .audiences = audiences, .leeway_ms = 30000};

static enum jwt_result verify(const struct jwt_keys *keys, const char *token)
{
    struct jwt_token out = {0};
    enum jwt_result result = jwt_verify(&rules, keys, slice_of(token), NOW_MS, &out);

    assert_true((out.claims != NULL) == (result == JWT_OK));
    jwt_token_free(&out);
    return result;
}

static void test_abp_token(void **state)
{
    static const char *const sample[] = {"MatoAppSample", NULL};
    const struct jwt_rules abp = {JWT_ALG_BIT(JWT_HS256), sample, sample, 0};
    struct jwt_keys *keys = sign_hmac_set(SIGN_KEY);
    struct jwt_token out = {0};

    (void)state;
    assert_int_equal(jwt_verify(&abp, keys, slice_of(ABP_TOKEN), ABP_NOW_MS, &out), JWT_OK);
    assert_string_equal(json_string_value(json_object_get(out.claims, "sub")), "42");
    assert_int_equal(out.expires_ms, INT64_C(4102444800000));
    assert_int_equal(out.key_index, 0);
    jwt_token_free(&out);
    /* Zero leeway: the last good and the first bad millisecond, at both ends. */
    assert_int_equal(jwt_verify(&abp, keys, slice_of(ABP_TOKEN), INT64_C(4102444799999), &out),
                     JWT_OK);
    jwt_token_free(&out);
    assert_int_equal(jwt_verify(&abp, keys, slice_of(ABP_TOKEN), INT64_C(4102444800000), &out),
                     JWT_EXPIRED);
    assert_int_equal(jwt_verify(&abp, keys, slice_of(ABP_TOKEN), INT64_C(1699999999999), &out),
                     JWT_NOT_YET_VALID);
    assert_int_equal(jwt_verify(&abp, keys, slice_of(ABP_TOKEN), INT64_C(1700000000000), &out),
                     JWT_OK);
    jwt_token_free(&out);
    jwt_keys_unref(keys);
}

/* Payloads signed with the right key: what the claims alone decide. */
static const struct {
    const char *payload;
    enum jwt_result want;
} claims[] = {
    {"{" GOOD "}", JWT_OK},
    {"{\"iss\":\"my-other-name\",\"aud\":\"them\",\"exp\":1750000100}", JWT_OK},
    /* issuer */
    {"{\"aud\":\"us\",\"exp\":1750000100}", JWT_WRONG_ISSUER},
    {"{\"iss\":\"ME\",\"aud\":\"us\",\"exp\":1750000100}", JWT_WRONG_ISSUER},
    {"{\"iss\":\"\",\"aud\":\"us\",\"exp\":1750000100}", JWT_WRONG_ISSUER},
    {"{\"iss\":[\"me\"],\"aud\":\"us\",\"exp\":1750000100}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":null,\"aud\":\"us\",\"exp\":1750000100}", JWT_CLAIM_MALFORMED},
    /* audience */
    {"{\"iss\":\"me\",\"exp\":1750000100}", JWT_WRONG_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":\"other\",\"exp\":1750000100}", JWT_WRONG_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":\"us them\",\"exp\":1750000100}", JWT_WRONG_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":[],\"exp\":1750000100}", JWT_WRONG_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":[\"other\"],\"exp\":1750000100}", JWT_WRONG_AUDIENCE},
    {"{\"iss\":\"me\",\"aud\":[\"other\",\"us\"],\"exp\":1750000100}", JWT_OK},
    {"{\"iss\":\"me\",\"aud\":[\"us\",1],\"exp\":1750000100}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":[[\"us\"]],\"exp\":1750000100}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":{\"us\":true},\"exp\":1750000100}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":null,\"exp\":1750000100}", JWT_CLAIM_MALFORMED},
    /* times: now is 1750000000, leeway 30 s */
    {"{\"iss\":\"me\",\"aud\":\"us\"}", JWT_NO_EXPIRY},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":1749999971}", JWT_OK},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":1749999970}", JWT_EXPIRED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":1749999970.5}", JWT_OK},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":1.7500001e9}", JWT_OK},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":0}", JWT_EXPIRED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":-1}", JWT_EXPIRED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":\"1750000100\"}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":null}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":true}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":[1750000100]}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":253402300799}", JWT_OK},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":253402300800}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":1750000100000}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":9223372036854775807}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":9223372036854775808}", JWT_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":1e300}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":-1e300}", JWT_CLAIM_MALFORMED},
    {"{\"iss\":\"me\",\"aud\":\"us\",\"exp\":1e999}", JWT_MALFORMED},
    {"{" GOOD ",\"nbf\":1750000030}", JWT_OK},
    {"{" GOOD ",\"nbf\":1750000031}", JWT_NOT_YET_VALID},
    {"{" GOOD ",\"nbf\":\"1750000000\"}", JWT_CLAIM_MALFORMED},
    {"{" GOOD ",\"nbf\":1e17}", JWT_CLAIM_MALFORMED},
    /* token type */
    {"{" GOOD ",\"token_type\":\"0\"}", JWT_OK},
    {"{" GOOD ",\"token_type\":0}", JWT_OK},
    {"{" GOOD ",\"token_type\":\"1\"}", JWT_REFRESH_TOKEN},
    {"{" GOOD ",\"token_type\":1}", JWT_REFRESH_TOKEN},
    {"{" GOOD ",\"token_type\":[\"0\",\"1\"]}", JWT_CLAIM_MALFORMED},
    {"{" GOOD ",\"token_type\":1.0}", JWT_CLAIM_MALFORMED},
    /* JSON */
    {"{" GOOD ",\"iss\":\"me\"}", JWT_MALFORMED},
    {"{" GOOD ",\"x\":{\"a\":1,\"a\":2}}", JWT_MALFORMED},
    {"{" GOOD ",\"exp\":1750000100}", JWT_MALFORMED},
    {"{" GOOD ",\"\\u0065xp\":1}", JWT_MALFORMED}, /* the same member in escapes */
    {"{" GOOD ",\"x\":\"\\u0000\"}", JWT_MALFORMED},
    {"{" GOOD ",\"x\":\"\\ud800\"}", JWT_MALFORMED},
    {"{" GOOD ",\"x\":\"\xff\"}", JWT_MALFORMED},
    {"{" GOOD "} ", JWT_OK},
    {"{" GOOD "}x", JWT_MALFORMED},
    {"{" GOOD, JWT_MALFORMED},
    {"[{" GOOD "}]", JWT_MALFORMED},
    {"\"text\"", JWT_MALFORMED},
    {" ", JWT_MALFORMED},
};

static void test_claims(void **state)
{
    struct jwt_keys *keys = sign_hmac_set(SIGN_KEY);

    (void)state;
    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        char *token = sign_hs256(claims[i].payload);
        enum jwt_result got = verify(keys, token);

        if (got != claims[i].want)
            fail_msg("%s: %s", claims[i].payload, jwt_result_text(got));
        free(token);
    }
    jwt_keys_unref(keys);
}

/* Headers of tokens whose HMAC over what is sent is right. */
static const struct {
    const char *header;
    enum jwt_result want;
} headers[] = {
    {"{\"alg\":\"HS256\"}", JWT_OK},
    {"{\"typ\":\"jwt\",\"alg\":\"HS256\",\"x\":{\"y\":[]}}", JWT_OK},
    {"{\"typ\":\"at+jwt\",\"alg\":\"HS256\"}", JWT_OK},
    {"{\"typ\":\"application/at+JWT\",\"alg\":\"HS256\"}", JWT_OK},
    {"{\"alg\":\"HS256\",\"kid\":\"\"}", JWT_OK},
    {"{\"alg\":\"HS256\",\"kid\":\"no such key\"}", JWT_OK}, /* the key has no kid */
    {"{\"alg\":\"HS256\",\"kid\":7}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\",\"kid\":null}", JWT_MALFORMED},
    {"{\"typ\":\"logout+jwt\",\"alg\":\"HS256\"}", JWT_HEADER_REFUSED},
    {"{\"typ\":\"JOSE\",\"alg\":\"HS256\"}", JWT_HEADER_REFUSED},
    {"{\"typ\":1,\"alg\":\"HS256\"}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\",\"crit\":[\"exp\"],\"exp\":1}", JWT_HEADER_REFUSED},
    {"{\"alg\":\"HS256\",\"crit\":[]}", JWT_HEADER_REFUSED},
    {"{\"alg\":\"HS256\",\"crit\":null}", JWT_HEADER_REFUSED},
    {"{\"alg\":\"none\"}", JWT_ALG_REFUSED},
    {"{\"alg\":\"None\"}", JWT_ALG_REFUSED},
    {"{\"alg\":\"hs256\"}", JWT_ALG_REFUSED},
    {"{\"alg\":\"\"}", JWT_ALG_REFUSED},
    {"{\"alg\":\"HS256 \"}", JWT_ALG_REFUSED},
    {"{\"alg\":\"RS512\"}", JWT_ALG_REFUSED},
    {"{\"alg\":\"EdDSA\"}", JWT_ALG_REFUSED},
    {"{\"alg\":\"HS512\"}", JWT_BAD_SIGNATURE}, /* a SHA-256 HMAC under another name */
    {"{\"alg\":\"RS256\"}", JWT_UNKNOWN_KEY},
    {"{\"alg\":\"ES256\"}", JWT_UNKNOWN_KEY},
    {"{\"alg\":[\"HS256\"]}", JWT_MALFORMED},
    {"{\"alg\":null}", JWT_MALFORMED},
    {"{}", JWT_MALFORMED},
    {"{\"alg\":\"HS256\",\"alg\":\"none\"}", JWT_MALFORMED},
    {"{\"alg\":\"none\",\"alg\":\"HS256\"}", JWT_MALFORMED},
    {"[\"HS256\"]", JWT_MALFORMED},
    {"HS256", JWT_MALFORMED},
};

static void test_headers(void **state)
{
    struct jwt_keys *keys = sign_hmac_set(SIGN_KEY);

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        char *token =
            sign_hmac(headers[i].header, "{" GOOD "}", EVP_sha256(), SIGN_KEY, strlen(SIGN_KEY));
        enum jwt_result got = verify(keys, token);

        if (got != headers[i].want)
            fail_msg("%s: %s", headers[i].header, jwt_result_text(got));
        free(token);
    }
    jwt_keys_unref(keys);
}

/* Shapes around a good token. */
static void test_shapes(void **state)
{
    struct jwt_keys *keys = sign_hmac_set(SIGN_KEY);
    char *good = sign_hs256("{" GOOD "}"), *dot1 = strchr(good, '.'), *dot2 = strrchr(good, '.');
    int header = (int)(dot1 - good), payload = (int)(dot2 - dot1 - 1);
    char out[4096];
    size_t len = strlen(good);

    (void)state;
    assert_int_equal(verify(keys, good), JWT_OK);
    for (size_t i = 0; i < len; i++) { /* no proper prefix passes */
        struct jwt_token token = {0};

        assert_int_not_equal(jwt_verify(&rules, keys, (struct slice){good, i}, NOW_MS, &token),
                             JWT_OK);
    }
    snprintf(out, sizeof out, "%.*s.%.*s.", header, good, payload, dot1 + 1);
    assert_int_equal(verify(keys, out), JWT_MALFORMED); /* signature stripped */
    snprintf(out, sizeof out, "%.*s.%.*s", header, good, payload, dot1 + 1);
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    snprintf(out, sizeof out, "%s.", good);
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    snprintf(out, sizeof out, "%s.a.b", good); /* five parts: JWE */
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    snprintf(out, sizeof out, "..%s", good);
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    snprintf(out, sizeof out, "%s=", good);
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    snprintf(out, sizeof out, "%s==", good);
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    snprintf(out, sizeof out, "%s ", good);
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    snprintf(out, sizeof out, " %s", good);
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    snprintf(out, sizeof out, "%.*s=.%s", header, good, dot1 + 1);
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    assert_int_equal(verify(keys, ""), JWT_MALFORMED);
    assert_int_equal(verify(keys, ".."), JWT_MALFORMED);
    assert_int_equal(verify(keys, "null"), JWT_MALFORMED);

    /* 32 bytes end in a character with two spare bits; set, they'd be a second spelling. */
    snprintf(out, sizeof out, "%s", good);
    out[len - 1]++;
    assert_int_not_equal(verify(keys, out), JWT_OK);
    free(good);

    /* A payload that is padded base64 inside, rightly signed. */
    snprintf(out, sizeof out, "eyJhbGciOiJIUzI1NiJ9.%s", "e30=");
    unsigned char mac[32];
    HMAC(EVP_sha256(), SIGN_KEY, (int)strlen(SIGN_KEY), (unsigned char *)out, strlen(out), mac,
         NULL);
    sign_join(out, mac, sizeof mac);
    assert_int_equal(verify(keys, out), JWT_MALFORMED);
    jwt_keys_unref(keys);
}

static void test_size_bound(void **state)
{
    struct jwt_keys *keys = sign_hmac_set(SIGN_KEY);
    char payload[JWT_MAX_BYTES];
    enum jwt_result seen[2] = {JWT_NRESULTS, JWT_NRESULTS};

    (void)state;
    for (size_t fill = 12000; fill < 12300; fill++) {
        int len = snprintf(payload, sizeof payload, "{" GOOD ",\"x\":\"%*s\"}", (int)fill, "");
        char *token = sign_hs256(payload);
        bool fits = strlen(token) <= JWT_MAX_BYTES;

        assert_true(len > 0);
        assert_int_equal(verify(keys, token), fits ? JWT_OK : JWT_TOO_LARGE);
        seen[fits] = JWT_OK;
        free(token);
    }
    assert_true(seen[0] == JWT_OK && seen[1] == JWT_OK);
    jwt_keys_unref(keys);
}

static void test_algorithms(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-256"), *other = EVP_RSA_gen(2048);
    struct jwt_keys *keys = sign_hmac_set(SIGN_KEY);
    struct {
        enum jwt_alg alg;
        char *token;
        unsigned index;
    } cases[] = {
        {JWT_HS256, sign_hs256("{" GOOD "}"), 0},
        {JWT_HS384,
         sign_hmac("{\"alg\":\"HS384\"}", "{" GOOD "}", EVP_sha384(), SIGN_KEY, strlen(SIGN_KEY)),
         0},
        {JWT_HS512,
         sign_hmac("{\"alg\":\"HS512\"}", "{" GOOD "}", EVP_sha512(), SIGN_KEY, strlen(SIGN_KEY)),
         0},
        {JWT_RS256, sign_pkey("{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD "}", rsa, false), 2},
        {JWT_ES256, sign_pkey("{\"alg\":\"ES256\",\"kid\":\"e\"}", "{" GOOD "}", ec, false), 1},
    };
    char *wrong_kid = sign_pkey("{\"alg\":\"RS256\",\"kid\":\"e\"}", "{" GOOD "}", rsa, false);
    char *no_such = sign_pkey("{\"alg\":\"RS256\",\"kid\":\"x\"}", "{" GOOD "}", rsa, false);
    char *stranger = sign_pkey("{\"alg\":\"RS256\",\"kid\":\"r\"}", "{" GOOD "}", other, false);
    char *der = sign_pkey("{\"alg\":\"ES256\"}", "{" GOOD "}", ec, true);

    (void)state;
    jwt_keys_add(keys, sign_public_half(ec, "e"));
    jwt_keys_add(keys, sign_public_half(rsa, "r"));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct jwt_token out = {0};
        struct jwt_rules narrow = rules;

        assert_int_equal(jwt_verify(&rules, keys, slice_of(cases[i].token), NOW_MS, &out), JWT_OK);
        assert_int_equal(out.key_index, cases[i].index);
        jwt_token_free(&out);
        /* The list is what decides: without this one, and with this one only. */
        narrow.algorithms = JWT_ALG_ALL & ~JWT_ALG_BIT(cases[i].alg);
        assert_int_equal(jwt_verify(&narrow, keys, slice_of(cases[i].token), NOW_MS, &out),
                         JWT_ALG_REFUSED);
        narrow.algorithms = JWT_ALG_BIT(cases[i].alg);
        assert_int_equal(jwt_verify(&narrow, keys, slice_of(cases[i].token), NOW_MS, &out), JWT_OK);
        jwt_token_free(&out);
        free(cases[i].token);
    }
    assert_int_equal(verify(keys, wrong_kid), JWT_UNKNOWN_KEY); /* "e" is no RSA key */
    assert_int_equal(verify(keys, no_such), JWT_UNKNOWN_KEY);
    assert_int_equal(verify(keys, stranger), JWT_BAD_SIGNATURE);
    assert_int_equal(verify(keys, der), JWT_BAD_SIGNATURE);
    free(wrong_kid);
    free(no_such);
    free(stranger);
    free(der);
    jwt_keys_unref(keys);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
    EVP_PKEY_free(other);
}

/* The public key, as PEM, DER and modulus, used as an HMAC secret: everything about it is public.
 */
static void test_confusion(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048);
    struct jwt_keys *keys = jwt_keys_new();
    unsigned char *der = NULL;
    int der_len = i2d_PUBKEY(rsa, &der);
    char pem[4096], n[2048];
    size_t pem_len = sign_public_pem(rsa, pem, sizeof pem);

    (void)state;
    jwt_keys_add(keys, sign_public_half(rsa, NULL));
    sign_number(rsa, OSSL_PKEY_PARAM_RSA_N, 0, n);
    const struct slice secrets[] = {
        {pem, pem_len}, {pem, pem_len - 1}, {(char *)der, (size_t)der_len}, slice_of(n), {"", 0}};
    for (size_t i = 0; i < sizeof secrets / sizeof secrets[0]; i++) {
        char *token = sign_hmac("{\"alg\":\"HS256\"}", "{" GOOD "}", EVP_sha256(), secrets[i].ptr,
                                secrets[i].len);

        assert_int_equal(verify(keys, token), JWT_UNKNOWN_KEY);
        free(token);
        /* And as RS256, with the HMAC for a signature. */
        token = sign_hmac("{\"alg\":\"RS256\"}", "{" GOOD "}", EVP_sha256(), secrets[i].ptr,
                          secrets[i].len);
        assert_int_equal(verify(keys, token), JWT_BAD_SIGNATURE);
        free(token);
    }
    OPENSSL_free(der);
    jwt_keys_unref(keys);
    EVP_PKEY_free(rsa);
}

/* The payload isn't looked at before the signature is good. */
static void test_order(void **state)
{
    struct jwt_keys *keys = sign_hmac_set("another secret, long enough");
    char *token = sign_hs256("not JSON");

    (void)state;
    assert_int_equal(verify(keys, token), JWT_BAD_SIGNATURE);
    free(token);
    jwt_keys_unref(keys);
}

static void test_unchecked_lists(void **state)
{
    static const char *const empty[] = {NULL};
    const struct jwt_rules open = {JWT_ALG_ALL, NULL, empty, 0};
    struct jwt_keys *keys = sign_hmac_set(SIGN_KEY);
    char *token = sign_hs256("{\"exp\":1750000100}");
    char *odd = sign_hs256("{\"exp\":1750000100,\"aud\":7}");
    struct jwt_token out = {0};

    (void)state;
    assert_int_equal(jwt_verify(&open, keys, slice_of(token), NOW_MS, &out), JWT_OK);
    assert_int_equal(out.expires_ms, INT64_C(1750000100000));
    jwt_token_free(&out);
    assert_int_equal(jwt_verify(&open, keys, slice_of(odd), NOW_MS, &out), JWT_CLAIM_MALFORMED);
    free(token);
    free(odd);
    jwt_keys_unref(keys);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_abp_token),       cmocka_unit_test(test_claims),
        cmocka_unit_test(test_headers),         cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_size_bound),      cmocka_unit_test(test_algorithms),
        cmocka_unit_test(test_confusion),       cmocka_unit_test(test_order),
        cmocka_unit_test(test_unchecked_lists),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
