#include "bridge/identity/jwt_keys.h"

#include "tests/unit/jwt_sign.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

#define SECRET_A "secret-of-key-a!"
#define SECRET_B "secret-of-key-b!"
#define SECRET_C "secret-of-key-c!"

static enum jwt_keys_result verify(const struct jwt_keys *set, const char *secret, const char *kid,
                                   unsigned *index)
{
    char *token = sign_hmac("{}", "{}", EVP_sha256(), secret, strlen(secret));
    const char *dot = strrchr(token, '.');
    uint8_t sig[32];
    size_t len;
    enum jwt_keys_result result;

    assert_true(base64_decode(BASE64_URL, slice_of(dot + 1), sig, sizeof sig, &len));
    result =
        jwt_keys_verify(set, JWT_HS256, slice_of(kid), (struct slice){token, (size_t)(dot - token)},
                        (struct slice){(char *)sig, len}, index);
    free(token);
    return result;
}

static void test_selection(void **state)
{
    static const struct {
        const char *secret, *kid;
        enum jwt_keys_result want;
        unsigned index;
    } cases[] = {
        {SECRET_A, NULL, JWT_KEYS_VERIFIED, 0},
        {SECRET_B, NULL, JWT_KEYS_VERIFIED, 1}, /* no kid: all are tried */
        {SECRET_C, NULL, JWT_KEYS_VERIFIED, 2},
        {"secret-of-nobody", NULL, JWT_KEYS_MISMATCH, 0},
        {SECRET_B, "b", JWT_KEYS_VERIFIED, 1},
        {SECRET_B, "c", JWT_KEYS_MISMATCH, 0},   /* kid names another key */
        {SECRET_A, "b", JWT_KEYS_MISMATCH, 0},   /* kid names a key: only that one */
        {SECRET_A, "new", JWT_KEYS_VERIFIED, 0}, /* foreign kid: the keys without one */
        {SECRET_B, "new", JWT_KEYS_UNKNOWN, 0},
        {"secret-of-nobody", "new", JWT_KEYS_UNKNOWN, 0},
        {SECRET_B, "B", JWT_KEYS_UNKNOWN, 0},
    };
    struct jwt_keys *set = sign_hmac_set(SECRET_A), *empty = jwt_keys_new();
    unsigned index;

    (void)state;
    assert_true(jwt_keys_add(set, sign_hmac_key(SECRET_B, "b")));
    assert_true(jwt_keys_add(set, sign_hmac_key(SECRET_C, "c")));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        index = 99;
        assert_int_equal(verify(set, cases[i].secret, cases[i].kid, &index), cases[i].want);
        assert_int_equal(index, cases[i].want == JWT_KEYS_VERIFIED ? cases[i].index : 99);
    }
    assert_int_equal(verify(empty, SECRET_A, NULL, &index), JWT_KEYS_UNKNOWN);
    jwt_keys_unref(set);
    jwt_keys_unref(empty);
}

/* An algorithm whose kind the set has no key of: a refresh might bring one. */
static void test_kind_missing(void **state)
{
    struct jwt_keys *set = sign_hmac_set(SECRET_A);
    unsigned index;

    (void)state;
    assert_int_equal(jwt_keys_verify(set, JWT_RS256, (struct slice){0}, SLICE_LIT("a.b"),
                                     SLICE_LIT("sig"), &index),
                     JWT_KEYS_UNKNOWN);
    jwt_keys_unref(set);
}

static void test_copy_shares_and_outlives(void **state)
{
    struct jwt_keys *set = sign_hmac_set(SECRET_A), *copy = jwt_keys_copy(set);
    unsigned index;

    (void)state;
    assert_true(jwt_keys_add(copy, sign_hmac_key(SECRET_B, "b")));
    assert_int_equal(jwt_keys_count(set), 1);
    assert_int_equal(jwt_keys_count(copy), 2);
    assert_ptr_equal(jwt_keys_at(set, 0), jwt_keys_at(copy, 0));
    assert_ptr_equal(jwt_keys_ref(set), set);
    jwt_keys_unref(set);
    jwt_keys_unref(set);
    assert_int_equal(verify(copy, SECRET_A, NULL, &index), JWT_KEYS_VERIFIED);
    jwt_keys_unref(copy);
}

static void test_full(void **state)
{
    struct jwt_keys *set = jwt_keys_new();

    (void)state;
    for (unsigned i = 0; i < JWT_KEYS_MAX; i++)
        assert_true(jwt_keys_add(set, sign_hmac_key(SECRET_A, NULL)));
    assert_false(jwt_keys_add(set, sign_hmac_key(SECRET_A, NULL)));
    assert_int_equal(jwt_keys_count(set), JWT_KEYS_MAX);
    jwt_keys_unref(set);
}

/* ---- PEM ---- */

static size_t pem_of(int (*write)(BIO *, EVP_PKEY *), EVP_PKEY *pkey, char *out, size_t cap)
{
    BIO *bio = BIO_new(BIO_s_mem());
    int len;

    assert_int_equal(write(bio, pkey), 1);
    len = BIO_read(bio, out, (int)cap - 1);
    assert_true(len > 0);
    out[len] = '\0';
    BIO_free(bio);
    return (size_t)len;
}

static int write_public(BIO *bio, EVP_PKEY *pkey)
{
    return PEM_write_bio_PUBKEY(bio, pkey);
}

static int write_private(BIO *bio, EVP_PKEY *pkey)
{
    return PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
}

static int write_certificate(BIO *bio, EVP_PKEY *pkey)
{
    X509 *cert = X509_new();
    int ok;

    X509_set_version(cert, X509_VERSION_3);
    ASN1_INTEGER_set(X509_get_serialNumber(cert), 1);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 60);
    X509_set_pubkey(cert, pkey);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    ok = X509_sign(cert, pkey, EVP_sha256()) > 0 && PEM_write_bio_X509(bio, cert) == 1;
    X509_free(cert);
    return ok;
}

static enum jwt_key_result add(const char *pem, unsigned *count)
{
    struct jwt_keys *set = jwt_keys_new();
    enum jwt_key_result result = jwt_keys_add_pem(set, slice_of(pem), SLICE_LIT("file"));

    *count = jwt_keys_count(set);
    jwt_keys_unref(set);
    assert_int_equal(ERR_peek_error(), 0);
    return result;
}

static void test_pem(void **state)
{
    EVP_PKEY *rsa = EVP_RSA_gen(2048), *small = EVP_RSA_gen(1024), *ec = EVP_EC_gen("P-256");
    char rsa_pem[4096], ec_pem[4096], cert[4096], private[4096], small_pem[4096], all[16384];
    unsigned count;

    (void)state;
    pem_of(write_public, rsa, rsa_pem, sizeof rsa_pem);
    pem_of(write_public, ec, ec_pem, sizeof ec_pem);
    pem_of(write_public, small, small_pem, sizeof small_pem);
    pem_of(write_certificate, ec, cert, sizeof cert);
    pem_of(write_private, ec, private, sizeof private);

    snprintf(all, sizeof all, "our keys\n%s\n# and\n%s%strailing words\n", rsa_pem, ec_pem, cert);
    assert_int_equal(add(all, &count), JWT_KEY_OK);
    assert_int_equal(count, 3);
    assert_int_equal(add(private, &count), JWT_KEY_MALFORMED);
    assert_int_equal(add(small_pem, &count), JWT_KEY_UNSUPPORTED);
    assert_int_equal(add("", &count), JWT_KEY_MALFORMED);
    assert_int_equal(add("no pem at all", &count), JWT_KEY_MALFORMED);
    assert_int_equal(add("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n", &count),
                     JWT_KEY_MALFORMED);
    /* A broken block behind a good one is not passed over in silence. */
    snprintf(all, sizeof all, "%s-----BEGIN PUBLIC KEY-----\nAAAA\n", rsa_pem);
    assert_int_equal(add(all, &count), JWT_KEY_MALFORMED);
    EVP_PKEY_free(rsa);
    EVP_PKEY_free(small);
    EVP_PKEY_free(ec);
}

static void test_pem_file(void **state)
{
    EVP_PKEY *ec = EVP_EC_gen("P-256");
    char path[] = "/tmp/pushbridge_test_pem_XXXXXX", pem[4096];
    struct jwt_keys *set = jwt_keys_new();
    int fd = mkstemp(path);
    size_t len = sign_public_pem(ec, pem, sizeof pem);

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(write(fd, pem, len), (ssize_t)len);
    close(fd);
    assert_int_equal(jwt_keys_add_pem_file(set, path), JWT_KEY_OK);
    assert_string_equal(jwt_key_label(jwt_keys_at(set, 0)), strrchr(path, '/') + 1);
    unlink(path);
    assert_int_equal(jwt_keys_add_pem_file(set, path), JWT_KEY_MALFORMED);
    assert_int_equal(jwt_keys_add_pem_file(set, "/dev/zero"), JWT_KEY_MALFORMED);
    jwt_keys_unref(set);
    EVP_PKEY_free(ec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_selection),
        cmocka_unit_test(test_kind_missing),
        cmocka_unit_test(test_copy_shares_and_outlives),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_pem),
        cmocka_unit_test(test_pem_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
