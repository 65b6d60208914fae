#include "bridge/identity/identity.h"

#include "bridge/identity/enc_token.h"
#include "tests/unit/jwt_sign.h"

#include <jansson.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define ABP_SALT "hgt!16kl"
#define ABP_IV "jkE49230Tf093b42"
#define NOW_MS ABP_NOW_MS
#define EXP "\"exp\":1750000100"
#define PHRASE "gsKnGZ041HLL4IM8"

static const char *const id_claims[] = {NAME_ID_URI, "sub", "nameid", NULL};
static const char *const name_claims[] = {NAME_URI, "unique_name", "preferred_username", "name",
                                          NULL};
static const char *const tenant_claims[] = {TENANT_URI, "tenantid", NULL};

struct world {
    struct jwt_keys *keys;
    struct enc_token *enc;
    struct identity_options options;
    char *alice, *bob, *expired; /* tokens of three */
    char *enc_alice;             /* alice's, encrypted and percent-encoded */
};

static char *encrypt(const char *plain)
{
    size_t len = strlen(plain), n = 0;
    unsigned char key[32], *cipher = malloc(len + 32);
    char *text = malloc(BASE64_LEN(len + 32) + 1), *escaped;
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int first = 0, last = 0;

    PKCS5_PBKDF2_HMAC_SHA1(PHRASE, -1, (const unsigned char *)ABP_SALT, 8, 1000, 32, key);
    EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, (const unsigned char *)ABP_IV);
    EVP_EncryptUpdate(ctx, cipher, &first, (const unsigned char *)plain, (int)len);
    EVP_EncryptFinal_ex(ctx, cipher + first, &last);
    EVP_CIPHER_CTX_free(ctx);
    base64_encode(BASE64_STD, cipher, (size_t)(first + last), text);
    free(cipher);
    escaped = malloc(3 * strlen(text) + 1);
    for (const char *p = text; *p != '\0'; p++) /* encodeURIComponent() */
        n +=
            (size_t)sprintf(escaped + n, *p == '+' || *p == '/' || *p == '=' ? "%%%02X" : "%c", *p);
    free(text);
    return escaped;
}

static int setup(void **state)
{
    static const char *const phrase = PHRASE;
    struct world *w = calloc(1, sizeof *w);

    w->keys = sign_hmac_set(SIGN_KEY);
    w->enc = enc_token_new(&phrase, 1, SLICE_LIT(ABP_SALT), SLICE_LIT(ABP_IV));
    w->options = (struct identity_options){.jwt = {.algorithms = JWT_ALG_ALL, .leeway_ms = 30000},
                                           .enc_token = w->enc,
                                           .user_id_claims = id_claims,
                                           .name_claims = name_claims,
                                           .tenant_claims = tenant_claims};
    w->alice = sign_hs256("{\"sub\":\"1\",\"unique_name\":\"alice\"," EXP "}");
    w->bob = sign_hs256("{\"sub\":\"2\",\"unique_name\":\"bob\"," EXP "}");
    w->expired = sign_hs256("{\"sub\":\"3\",\"unique_name\":\"carol\",\"exp\":1}");
    w->enc_alice = encrypt(w->alice);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;

    jwt_keys_unref(w->keys);
    enc_token_free(w->enc);
    free(w->alice);
    free(w->bob);
    free(w->expired);
    free(w->enc_alice);
    free(w);
    return 0;
}

/* "" for anonymous, NULL for refused, else the name; in a static buffer. */
static const char *who(const struct world *w, const char *enc, const char *header,
                       const char *query)
{
    static char name[IDENTITY_NAME_MAX_BYTES + 1];
    const struct token_carriers carriers = {slice_of(enc), slice_of(header), slice_of(query)};
    struct identity_result result;

    identity_from_request(&w->options, w->keys, &carriers, NOW_MS, &result);
    assert_non_null(result.reason);
    assert_true((result.outcome == IDENTITY_USER) == (result.identity != NULL));
    assert_true((result.outcome == IDENTITY_USER) == (result.claims != NULL));
    snprintf(name, sizeof name, "%s", result.identity == NULL ? "" : result.identity->name);
    identity_result_free(&result);
    return result.outcome == IDENTITY_REFUSED ? NULL : name;
}

static void expect(const struct world *w, const char *enc, const char *header, const char *query,
                   const char *want)
{
    const char *got = who(w, enc, header, query);

    if ((got == NULL) != (want == NULL) || (got != NULL && strcmp(got, want) != 0))
        fail_msg("enc=%s header=%s query=%s: %s, not %s", enc, header, query, got, want);
}

static void test_carriers(void **state)
{
    static const char *const none[] = {NULL, "", "null", "undefined"};
    static const char *const headers[] = {
        NULL,         "",        "Bearer",    "Bearer ", "Bearer null", "bearer undefined",
        "Basic YTpi", "Bearerx", "Negotiate", " ",       "null"};
    const struct world *w = *state;
    char alice[2048], bob[2048];

    snprintf(alice, sizeof alice, "Bearer %s", w->alice);
    snprintf(bob, sizeof bob, "bEARER  \t%s ", w->bob);
    /* each alone */
    expect(w, w->enc_alice, NULL, NULL, "alice");
    expect(w, NULL, alice, NULL, "alice");
    expect(w, NULL, bob, NULL, "bob");
    expect(w, NULL, NULL, w->bob, "bob");
    /* precedence */
    expect(w, w->enc_alice, bob, w->bob, "alice");
    expect(w, NULL, alice, w->bob, "alice");
    expect(w, "null", bob, w->alice, "bob");
    /* the first that carries one decides, even when the next would do */
    expect(w, NULL, "Bearer x.y.z", w->bob, NULL);
    expect(w, NULL, "Bearer x", w->bob, NULL);
    expect(w, NULL, NULL, w->expired, NULL);
    /* all the ways to carry none */
    for (size_t e = 0; e < 4; e++) {
        for (size_t h = 0; h < sizeof headers / sizeof headers[0]; h++) {
            for (size_t q = 0; q < 4; q++)
                expect(w, none[e], headers[h], none[q], "");
            expect(w, none[e], headers[h], w->bob, "bob");
        }
    }
    /* an enc_auth_token nobody can open gives way to the others, and alone makes nobody anonymous
     */
    expect(w, "garbage", bob, NULL, "bob");
    expect(w, w->alice, NULL, w->bob, "bob"); /* not encrypted at all */
    expect(w, "garbage", NULL, NULL, NULL);
    expect(w, "garbage", "Bearer null", "undefined", NULL);
    expect(w, w->alice, NULL, NULL, NULL);
    expect(w, "NULL", NULL, NULL, NULL);
    /* as a token, only the exact words mean none */
    expect(w, NULL, NULL, "NULL", NULL);
    expect(w, NULL, "Bearer Undefined", NULL, NULL);
}

static void test_reasons(void **state)
{
    const struct world *w = *state;
    struct token_carriers carriers = {.enc_auth_token = SLICE_LIT("garbage")};
    struct identity_result result;
    struct jwt_keys *none = jwt_keys_new();

    identity_from_request(&w->options, w->keys, &carriers, NOW_MS, &result);
    assert_int_equal(result.outcome, IDENTITY_REFUSED);
    assert_int_equal(result.jwt, JWT_MALFORMED);
    assert_non_null(strstr(result.reason, "enc_auth_token"));
    carriers = (struct token_carriers){.access_token = slice_of(w->alice)};
    identity_from_request(&w->options, none, &carriers, NOW_MS, &result);
    assert_int_equal(result.outcome, IDENTITY_REFUSED);
    assert_int_equal(result.jwt, JWT_UNKNOWN_KEY);
    jwt_keys_unref(none);
}

static void test_escapes(void **state)
{
    const struct world *w = *state;
    char escaped[8192], *p = escaped;

    /* every byte escaped, in either case */
    for (const char *t = w->bob; *t != '\0'; t++)
        p += sprintf(p, (t - w->bob) % 2 == 0 ? "%%%02x" : "%%%02X", *t);
    expect(w, NULL, NULL, escaped, "bob");
    expect(w, NULL, NULL, "%6eull", ""); /* null */
    expect(w, "%75ndefined", NULL, NULL, "");
    /* broken escapes stay as they are, and in no token */
    snprintf(escaped, sizeof escaped, "%s%%", w->bob);
    expect(w, NULL, NULL, escaped, NULL);
    snprintf(escaped, sizeof escaped, "%s%%4", w->bob);
    expect(w, NULL, NULL, escaped, NULL);
    snprintf(escaped, sizeof escaped, "%s%%zz", w->bob);
    expect(w, NULL, NULL, escaped, NULL);
    snprintf(escaped, sizeof escaped, "%s%%00", w->bob);
    expect(w, NULL, NULL, escaped, NULL);
}

static void test_long_values(void **state)
{
    const struct world *w = *state;
    char *text = malloc(100001);

    memset(text, 'a', 100000);
    text[100000] = '\0';
    expect(w, text, NULL, NULL, NULL);
    expect(w, text, NULL, w->bob, "bob");
    expect(w, NULL, NULL, text, NULL);
    memcpy(text, "Bearer ", 7);
    expect(w, NULL, text, NULL, NULL);
    free(text);
}

static void test_no_pass_phrase(void **state)
{
    struct world *w = *state;

    w->options.enc_token = NULL;
    expect(w, w->enc_alice, NULL, NULL, NULL);
    expect(w, "%6eull", NULL, NULL, "");
    expect(w, w->enc_alice, NULL, w->bob, "bob");
    w->options.enc_token = w->enc;
}

/* ---- claims ---- */

#define R64 "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define R128 R64 R64
#define R256 R128 R128

static const struct {
    const char *payload;                  /* without exp */
    const char *key, *id, *name, *tenant; /* key NULL: refused */
} claims[] = {
    {"\"sub\":\"42\"", "42", "42", "", ""},
    {"\"sub\":42", "42", "42", "", ""},
    {"\"sub\":-9223372036854775808", "-9223372036854775808", "-9223372036854775808", "", ""},
    {"\"nameid\":\"7\",\"name\":\"a\"", "7", "7", "a", ""},
    {"\"sub\":\"1\",\"" NAME_ID_URI "\":\"2\"", "2", "2", "", ""}, /* the list's order decides */
    {"\"nameid\":\"3\",\"sub\":\"1\"", "1", "1", "", ""},
    {"\"sub\":\"1\",\"name\":\"Ann\",\"preferred_username\":\"ann\"", "1", "1", "ann", ""},
    {"\"sub\":\"1\",\"" NAME_URI "\":\"x\",\"unique_name\":\"y\"", "1", "1", "x", ""},
    {"\"sub\":\"1\",\"name\":5", "1", "1", "5", ""},
    /* tenants */
    {"\"sub\":\"1\",\"" TENANT_URI "\":\"2\"", "1@2", "1", "", "2"},
    {"\"sub\":\"1\",\"tenantid\":2", "1@2", "1", "", "2"},
    {"\"sub\":\"1\",\"tenantid\":null", "1", "1", "", ""},
    {"\"sub\":\"1\",\"tenantid\":\"\"", "1", "1", "", ""},
    {"\"sub\":\"1\",\"tenantid\":\"a@b\"", NULL, NULL, NULL, NULL},
    {"\"sub\":\"1@2\"", "1@2@", "1@2", "", ""}, /* not tenant 2's user 1 */
    {"\"sub\":\"1@2\",\"tenantid\":\"3\"", "1@2@3", "1@2", "", "3"},
    {"\"sub\":\"@\"", "@@", "@", "", ""},
    /* absent, null and empty are passed over; the rest is not */
    {"\"" NAME_ID_URI "\":null,\"sub\":\"1\"", "1", "1", "", ""},
    {"\"" NAME_ID_URI "\":\"\",\"sub\":\"1\"", "1", "1", "", ""},
    {"\"" NAME_ID_URI "\":[\"1\",\"2\"],\"sub\":\"1\"", NULL, NULL, NULL, NULL},
    {"\"" NAME_ID_URI "\":{},\"sub\":\"1\"", NULL, NULL, NULL, NULL},
    {"\"sub\":true", NULL, NULL, NULL, NULL},
    {"\"sub\":1.5", NULL, NULL, NULL, NULL},
    {"\"sub\":1e2", NULL, NULL, NULL, NULL},
    {"\"sub\":[\"1\"]", NULL, NULL, NULL, NULL},
    {"\"sub\":\"\"", NULL, NULL, NULL, NULL},
    {"\"name\":\"ann\"", NULL, NULL, NULL, NULL},
    {"\"sub\":\"1\",\"name\":[\"a\"]", NULL, NULL, NULL, NULL},
    {"\"sub\":\"1\",\"tenantid\":[1]", NULL, NULL, NULL, NULL},
    /* characters */
    {"\"sub\":\"1\\n\"", NULL, NULL, NULL, NULL},
    {"\"sub\":\"\\u001b[31m\"", NULL, NULL, NULL, NULL},
    {"\"sub\":\"1\",\"name\":\"a\\u007f\"", NULL, NULL, NULL, NULL},
    {"\"sub\":\"1\",\"name\":\"a\\u0085\"", NULL, NULL, NULL, NULL},
    {"\"sub\":\"1\",\"tenantid\":\"\\t\"", NULL, NULL, NULL, NULL},
    {"\"sub\":\"1\",\"name\":\"\\u00e9\\u4e2d\\u00a0\"", "1", "1", "\xc3\xa9\xe4\xb8\xad\xc2\xa0",
     ""},
    /* lengths */
    {"\"sub\":\"" R128 "\",\"name\":\"" R256 "\",\"tenantid\":\"" R128 "\"", R128 "@" R128, R128,
     R256, R128},
    {"\"sub\":\"" R128 "a\"", NULL, NULL, NULL, NULL},
    {"\"sub\":\"1\",\"name\":\"" R256 "a\"", NULL, NULL, NULL, NULL},
    {"\"sub\":\"1\",\"tenantid\":\"" R128 "a\"", NULL, NULL, NULL, NULL},
};

static void test_claims(void **state)
{
    const struct world *w = *state;

    for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
        struct token_carriers carriers = {0};
        struct identity_result result;
        char payload[4096], *token;

        snprintf(payload, sizeof payload, "{%s," EXP "}", claims[i].payload);
        token = sign_hs256(payload);
        carriers.access_token = slice_of(token);
        identity_from_request(&w->options, w->keys, &carriers, NOW_MS, &result);
        if ((result.outcome == IDENTITY_USER) != (claims[i].key != NULL))
            fail_msg("%s: %s", payload, result.reason);
        if (result.outcome == IDENTITY_USER) {
            assert_string_equal(result.identity->user_key, claims[i].key);
            assert_string_equal(result.identity->user_id, claims[i].id);
            assert_string_equal(result.identity->name, claims[i].name);
            assert_string_equal(result.identity->tenant, claims[i].tenant);
            assert_int_equal(result.identity->expires_ms, INT64_C(1750000130000));
        } else {
            assert_int_equal(result.jwt, JWT_OK);
            assert_int_equal(result.outcome, IDENTITY_REFUSED);
        }
        identity_result_free(&result);
        free(token);
    }
}

static void test_abp_token(void **state)
{
    const struct world *w = *state;
    const struct token_carriers carriers = {.authorization = SLICE_LIT("Bearer " ABP_TOKEN)};
    struct identity_result result;
    struct identity *kept;

    identity_from_request(&w->options, w->keys, &carriers, NOW_MS, &result);
    assert_int_equal(result.outcome, IDENTITY_USER);
    assert_string_equal(json_string_value(json_object_get(result.claims, "sub")), "42");
    kept = result.identity;
    result.identity = NULL;
    identity_result_free(&result);
    assert_string_equal(kept->user_key, "42@1");
    assert_string_equal(kept->user_id, "42");
    assert_string_equal(kept->name, "alice");
    assert_string_equal(kept->tenant, "1");
    assert_int_equal(kept->key_index, 0);
    free(kept);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_carriers),       cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_escapes),        cmocka_unit_test(test_long_values),
        cmocka_unit_test(test_no_pass_phrase), cmocka_unit_test(test_claims),
        cmocka_unit_test(test_abp_token),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
