#include "bridge/identity/enc_token.h"

#include "base/base64.h"
#include "bridge/identity/jwt.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ABP_SALT "hgt!16kl"
#define ABP_IV "jkE49230Tf093b42"
#define FRAMEWORK "gsKnGZ041HLL4IM8"
#define SAMPLE "gsKxGZ012HLL3MI5"
/* abp.md section 4: `a.b.c` under these two. */
#define FRAMEWORK_ABC "1MkjdT7fIw6PplOiIE2TQg=="
#define SAMPLE_ABC "pbttpVEWl2KH3vJXxMJ9kg=="

static struct enc_token *new_token(const char *first, const char *second)
{
    const char *const phrases[] = {first, second};
    struct enc_token *e =
        enc_token_new(phrases, second == NULL ? 1 : 2, SLICE_LIT(ABP_SALT), SLICE_LIT(ABP_IV));

    assert_non_null(e);
    return e;
}

/* Encrypts as ABP does, with the framework's pass phrase. */
static char *encrypt(const void *plain, size_t len)
{
    unsigned char key[32], *cipher = malloc(len + 32);
    char *text = malloc(BASE64_LEN(len + 32) + 1);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int first = 0, last = 0;

    PKCS5_PBKDF2_HMAC_SHA1(FRAMEWORK, -1, (const unsigned char *)ABP_SALT, 8, 1000, 32, key);
    EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, (const unsigned char *)ABP_IV);
    EVP_EncryptUpdate(ctx, cipher, &first, plain, (int)len);
    assert_int_equal(EVP_EncryptFinal_ex(ctx, cipher + first, &last), 1);
    EVP_CIPHER_CTX_free(ctx);
    base64_encode(BASE64_STD, cipher, (size_t)(first + last), text);
    free(cipher);
    return text;
}

static bool opens(const struct enc_token *e, const char *text, const char *want)
{
    char out[JWT_MAX_BYTES];
    size_t len = 0;
    bool ok = enc_token_decrypt(e, slice_of(text), out, sizeof out, &len);

    if (ok)
        assert_true(slice_eq((struct slice){out, len}, slice_of(want)));
    assert_int_equal(ERR_peek_error(), 0);
    return ok;
}

static void test_vectors(void **state)
{
    struct enc_token *framework = new_token(FRAMEWORK, NULL), *sample = new_token(SAMPLE, NULL);
    struct enc_token *both = new_token(FRAMEWORK, SAMPLE);

    (void)state;
    assert_true(opens(framework, FRAMEWORK_ABC, "a.b.c"));
    assert_true(opens(sample, SAMPLE_ABC, "a.b.c"));
    assert_false(opens(framework, SAMPLE_ABC, ""));
    assert_false(opens(sample, FRAMEWORK_ABC, ""));
    assert_true(opens(both, FRAMEWORK_ABC, "a.b.c"));
    assert_true(opens(both, SAMPLE_ABC, "a.b.c"));
    enc_token_free(framework);
    enc_token_free(sample);
    enc_token_free(both);
}

static void test_salt_and_iv(void **state)
{
    const char *const phrase = FRAMEWORK;
    struct enc_token *salt = enc_token_new(&phrase, 1, SLICE_LIT("other salt"), SLICE_LIT(ABP_IV));
    struct enc_token *iv =
        enc_token_new(&phrase, 1, SLICE_LIT(ABP_SALT), SLICE_LIT("0123456789abcdef"));
    struct enc_token *none = enc_token_new(NULL, 0, SLICE_LIT(ABP_SALT), SLICE_LIT(ABP_IV));

    (void)state;
    assert_false(opens(salt, FRAMEWORK_ABC, ""));
    assert_false(opens(iv, FRAMEWORK_ABC, ""));
    assert_false(opens(none, FRAMEWORK_ABC, ""));
    enc_token_free(salt);
    enc_token_free(iv);
    enc_token_free(none);
}

/* A '+' that arrived as a space. */
static void test_spaces(void **state)
{
    struct enc_token *e = new_token(FRAMEWORK, NULL);
    char plain[32];
    bool seen = false;

    (void)state;
    for (int i = 0; i < 200; i++) {
        snprintf(plain, sizeof plain, "h%d.p.s", i);
        char *text = encrypt(plain, strlen(plain));

        seen = seen || strchr(text, '+') != NULL;
        for (char *p = text; *p != '\0'; p++)
            *p = *p == '+' ? ' ' : *p;
        assert_true(opens(e, text, plain));
        free(text);
    }
    assert_true(seen);
    enc_token_free(e);
}

/* Plain texts that decrypt and still are no token. */
static void test_shape(void **state)
{
    static const struct {
        const char *plain;
        size_t len;
        bool want;
    } cases[] = {
        {"h.p.s", 5, true},         {"AZ09-_.a.b", 10, true}, {"", 0, false},
        {"h.p", 3, false},          {"h.p.s.t", 7, false},    {"h.p.s\n", 6, false},
        {"h.p.s=", 6, false},       {"h p.q.s", 7, false},    {"h.\0.s", 5, false},
        {"\xc3\xa9.p.s", 6, false},
    };
    struct enc_token *e = new_token(FRAMEWORK, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *text = encrypt(cases[i].plain, cases[i].len);

        assert_int_equal(opens(e, text, cases[i].plain), cases[i].want);
        free(text);
    }
    enc_token_free(e);
}

static void test_bad_text(void **state)
{
    static const char *const cases[] = {
        "",
        "null",
        "undefined",
        "=",
        "====",
        "AAAA",
        "AAAAAAAAAAAAAAAAAAAAAA==",
        "1MkjdT7fIw6PplOiIE2TQg=",  /* RFC 4648: padding is all or none */
        "1MkjdT7fIw6PplOiIE2TQh==", /* spare bits set */
        "1MkjdT7fIw6PplOiIE2T_g==", /* the other alphabet */
        "1MkjdT7fIw6PplOiIE2TQg==\n",
        "1MkjdT7fIw6P",
        "1Mkj.T7fIw6PplOiIE2TQg==",
    };
    struct enc_token *e = new_token(FRAMEWORK, SAMPLE);

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_false(opens(e, cases[i], ""));
    enc_token_free(e);
}

/* The longest token passes, one byte more doesn't; a small output buffer is respected. */
static void test_bounds(void **state)
{
    struct enc_token *e = new_token(FRAMEWORK, NULL);
    char *plain = malloc(JWT_MAX_BYTES + 1), *text, out[8];
    size_t len = 0;

    (void)state;
    memset(plain, 'a', JWT_MAX_BYTES + 1);
    plain[1] = plain[3] = '.';
    text = encrypt(plain, JWT_MAX_BYTES + 1);
    assert_false(opens(e, text, ""));
    free(text);
    text = encrypt(plain, JWT_MAX_BYTES);
    plain[JWT_MAX_BYTES] = '\0';
    assert_true(opens(e, text, plain));
    assert_false(enc_token_decrypt(e, slice_of(text), out, sizeof out, &len));
    free(text);
    assert_false(enc_token_decrypt(e, SLICE_LIT(FRAMEWORK_ABC), out, 4, &len));
    assert_true(enc_token_decrypt(e, SLICE_LIT(FRAMEWORK_ABC), out, 5, &len));
    free(plain);
    enc_token_free(e);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),  cmocka_unit_test(test_salt_and_iv),
        cmocka_unit_test(test_spaces),   cmocka_unit_test(test_shape),
        cmocka_unit_test(test_bad_text), cmocka_unit_test(test_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
