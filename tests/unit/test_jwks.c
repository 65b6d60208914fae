#include "bridge/identity/jwks.h"

#include "tests/unit/jwt_sign.h"

#include <openssl/err.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

/* The P-256 key of RFC 7517 A.1, and a 32-byte secret. */
#define EC                                                                                         \
    "\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4\","      \
    "\"y\":\"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM\""
#define OCT "\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8\""
#define SET(keys) "{\"keys\":[" keys "]}"

static const struct {
    const char *name, *document;
    bool allow_hmac;
    enum jwks_result want;
    unsigned taken, passed_over;
} cases[] = {
    {"one", SET("{" EC "}"), false, JWKS_OK, 1, 0},
    {"foreign members", "{\"x\":1,\"keys\":[{" EC ",\"x5t\":\"a\",\"ext\":true}],\"y\":[]}", false,
     JWKS_OK, 1, 0},
    {"use sig", SET("{" EC ",\"use\":\"sig\"}"), false, JWKS_OK, 1, 0},
    {"use enc", SET("{" EC ",\"use\":\"enc\"}"), false, JWKS_NO_KEYS, 0, 1},
    {"use no string", SET("{" EC ",\"use\":1}"), false, JWKS_NO_KEYS, 0, 1},
    {"key_ops", SET("{" EC ",\"key_ops\":[\"sign\",\"verify\"]}"), false, JWKS_OK, 1, 0},
    {"key_ops without verify", SET("{" EC ",\"key_ops\":[\"sign\"]}"), false, JWKS_NO_KEYS, 0, 1},
    {"key_ops a string", SET("{" EC ",\"key_ops\":\"verify\"}"), false, JWKS_NO_KEYS, 0, 1},
    {"alg", SET("{" EC ",\"alg\":\"ES256\"}"), false, JWKS_OK, 1, 0},
    {"alg of another kind", SET("{" EC ",\"alg\":\"HS256\"}"), true, JWKS_NO_KEYS, 0, 1},
    {"alg not served", SET("{" EC ",\"alg\":\"ES512\"}"), false, JWKS_NO_KEYS, 0, 1},
    {"alg a number", SET("{" EC ",\"alg\":1}"), false, JWKS_NO_KEYS, 0, 1},
    {"kid a number", SET("{" EC ",\"kid\":1}"), false, JWKS_NO_KEYS, 0, 1},
    {"oct, not allowed", SET("{" OCT "}"), false, JWKS_NO_KEYS, 0, 1},
    {"oct, allowed", SET("{" OCT "}"), true, JWKS_OK, 1, 0},
    {"oct too short", SET("{\"kty\":\"oct\",\"k\":\"AAEC\"}"), true, JWKS_NO_KEYS, 0, 1},
    {"unknown kty beside a good one", SET("{\"kty\":\"OKP\"},{" EC "},{\"kty\":7},3,null"), false,
     JWKS_OK, 1, 4},
    {"another curve", SET("{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}"), false,
     JWKS_NO_KEYS, 0, 1},
    {"off the curve",
     SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\","
         "\"y\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\"}"),
     false, JWKS_NO_KEYS, 0, 1},
    {"y missing", SET("{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AAAA\"}"), false, JWKS_NO_KEYS, 0,
     1},
    {"padding", SET("{\"kty\":\"oct\",\"k\":\"AAECAwQFBgcICQoLDA0ODw==\"}"), true, JWKS_NO_KEYS, 0,
     1},
    {"RSA of nothing", SET("{\"kty\":\"RSA\",\"n\":\"\",\"e\":\"AQAB\"}"), false, JWKS_NO_KEYS, 0,
     1},
    {"RSA too small", SET("{\"kty\":\"RSA\",\"n\":\"wwww\",\"e\":\"AQAB\"}"), false, JWKS_NO_KEYS,
     0, 1},
    {"empty set", SET(""), false, JWKS_NO_KEYS, 0, 0},
    {"keys no array", "{\"keys\":{}}", false, JWKS_MALFORMED, 0, 0},
    {"no keys", "{}", false, JWKS_MALFORMED, 0, 0},
    {"an array", "[{" EC "}]", false, JWKS_MALFORMED, 0, 0},
    {"duplicate member", SET("{" EC ",\"kty\":\"oct\"}"), true, JWKS_MALFORMED, 0, 0},
    {"trailing bytes", SET("{" EC "}") "x", false, JWKS_MALFORMED, 0, 0},
    {"HTML", "<html>", false, JWKS_MALFORMED, 0, 0},
    {"nothing", "", false, JWKS_MALFORMED, 0, 0},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct jwt_keys *set = jwt_keys_new();
        unsigned passed_over = 99;
        enum jwks_result got =
            jwks_parse(slice_of(cases[i].document), cases[i].allow_hmac, set, &passed_over);

        if (got != cases[i].want || jwt_keys_count(set) != cases[i].taken ||
            passed_over != cases[i].passed_over)
            fail_msg("%s: %d, %u taken, %u passed over", cases[i].name, got, jwt_keys_count(set),
                     passed_over);
        assert_int_equal(ERR_peek_error(), 0);
        jwt_keys_unref(set);
    }
}

/* Keys of an issuer verify what the issuer signs, under their kid, in order. */
static void test_real_keys(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-256");
    char rsa_jwk[2048], ec_jwk[2048], document[8192];
    struct jwt_keys *set = jwt_keys_new();
    char *token = sign_pkey("{}", "{}", rsa, false), *dot = strrchr(token, '.');
    uint8_t sig[JWT_SIGNATURE_MAX_BYTES];
    unsigned passed_over, index = 99;
    size_t len;

    (void)state;
    sign_jwk(rsa, ",\"kid\":\"r 1\",\"alg\":\"RS256\",\"use\":\"sig\"", rsa_jwk, sizeof rsa_jwk);
    sign_jwk(ec, ",\"kid\":\"e\"", ec_jwk, sizeof ec_jwk);
    snprintf(document, sizeof document, "{\"keys\":[%s,%s]}", ec_jwk, rsa_jwk);
    assert_int_equal(jwks_parse(slice_of(document), false, set, &passed_over), JWKS_OK);
    assert_int_equal(jwt_keys_count(set), 2);
    assert_string_equal(jwt_key_label(jwt_keys_at(set, 1)), "jwks:r_1");
    assert_int_equal(jwt_key_bits(jwt_keys_at(set, 1)), 2048);
    assert_true(base64_decode(BASE64_URL, slice_of(dot + 1), sig, sizeof sig, &len));
    assert_int_equal(jwt_keys_verify(set, JWT_RS256, SLICE_LIT("r 1"),
                                     (struct slice){token, (size_t)(dot - token)},
                                     (struct slice){(char *)sig, len}, &index),
                     JWT_KEYS_VERIFIED);
    assert_int_equal(index, 1);
    free(token);
    jwt_keys_unref(set);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(ec);
}

static void test_bounds(void **state)
{
    struct jwt_keys *set = jwt_keys_new();
    size_t cap = JWKS_MAX_BYTES + 1, len = 0;
    char *document = malloc(cap);
    unsigned passed_over;

    (void)state;
    len += (size_t)snprintf(document, cap, "{\"keys\":[{" EC "}");
    for (unsigned i = 0; i < JWT_KEYS_MAX; i++) /* one more than fits */
        len += (size_t)snprintf(document + len, cap - len, ",{" EC "}");
    len += (size_t)snprintf(document + len, cap - len, "]}");
    assert_int_equal(jwks_parse((struct slice){document, len}, false, set, &passed_over), JWKS_OK);
    assert_int_equal(jwt_keys_count(set), JWT_KEYS_MAX);
    assert_int_equal(passed_over, 1);
    memset(document + len, ' ', cap - len);
    assert_int_equal(jwks_parse((struct slice){document, cap}, false, set, &passed_over),
                     JWKS_TOO_LARGE);
    free(document);
    jwt_keys_unref(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_real_keys),
        cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
