/* Certificates and keys in files, good ones and others. */
#include "bridge/settings/settings_tls.h"

#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
/* after the four above */
#include <cmocka.h>

static char dir[] = "/tmp/test_settings_tls_XXXXXX";

static const char *in_dir(const char *name)
{
    static char paths[4][64];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof paths[0], "%s/%s", dir, name);
    return path;
}

static FILE *create(const char *name)
{
    FILE *f = fopen(in_dir(name), "w");

    assert_non_null(f);
    return f;
}

static void write_files(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    X509 *cert = X509_new();
    FILE *f;

    X509_set_version(cert, 2);
    X509_gmtime_adj(X509_getm_notBefore(cert), 0);
    X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
    X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
                               (const unsigned char *)"x", -1, -1, 0);
    X509_set_issuer_name(cert, X509_get_subject_name(cert));
    X509_set_pubkey(cert, key);
    assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
    f = create("cert.pem");
    PEM_write_X509(f, cert);
    fclose(f);
    f = create("key.pem");
    PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    f = create("other.pem");
    PEM_write_PrivateKey(f, other, NULL, NULL, 0, NULL, NULL);
    fclose(f);
    f = create("locked.pem");
    PEM_write_PrivateKey(f, key, EVP_aes_128_cbc(), NULL, 0, NULL, (char *)(uintptr_t) "phrase");
    fclose(f);
    f = create("text.pem");
    fputs("-----BEGIN CERTIFICATE-----\nno such thing\n", f);
    fclose(f);
    X509_free(cert);
    EVP_PKEY_free(key);
    EVP_PKEY_free(other);
}

static void check(const char *got, const char *want)
{
    if (want == NULL)
        assert_null(got);
    else
        assert_string_equal(got, want);
}

static void test_files(void **state)
{
    static const char no_cert[] = "holds no certificate in PEM form";
    static const char no_key[] = "holds no private key in PEM form, or one with a pass phrase";
    const char *cert;

    (void)state;
    assert_non_null(mkdtemp(dir));
    write_files();
    cert = in_dir("cert.pem");
    check(settings_tls_authorities(cert), NULL);
    check(settings_tls_authorities(in_dir("key.pem")), no_cert);
    check(settings_tls_authorities(in_dir("text.pem")), no_cert);
    check(settings_tls_authorities(dir), no_cert);
    cert = in_dir("cert.pem");
    check(settings_tls_certificate(cert), NULL);
    check(settings_tls_certificate(in_dir("text.pem")), no_cert);
    cert = in_dir("cert.pem");
    check(settings_tls_key(cert, in_dir("key.pem")), NULL);
    check(settings_tls_key(cert, in_dir("other.pem")), "is not the key of Im:ClientCertFile");
    cert = in_dir("cert.pem");
    check(settings_tls_key(cert, in_dir("locked.pem")), no_key); /* and asks no terminal */
    check(settings_tls_key(cert, cert), no_key);
    for (const char *const *name = (const char *const[]){"cert.pem", "key.pem", "other.pem",
                                                         "locked.pem", "text.pem", NULL};
         *name != NULL; name++)
        unlink(in_dir(*name));
    rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_files)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
