#include "bridge/settings/settings_tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>

/* The server has no terminal to ask at. */
static int no_password(char *out, int size, int writing, void *arg)
{
    (void)out, (void)size, (void)writing, (void)arg;
    return -1;
}

static SSL_CTX *context_new(void)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL)
        abort(); /* no memory, at start */
    SSL_CTX_set_default_passwd_cb(ctx, no_password);
    return ctx;
}

static const char *end(SSL_CTX *ctx, const char *error)
{
    SSL_CTX_free(ctx);
    ERR_clear_error();
    return error;
}

const char *settings_tls_authorities(const char *ca_file)
{
    SSL_CTX *ctx = context_new();

    return end(ctx, SSL_CTX_load_verify_file(ctx, ca_file) == 1
                        ? NULL
                        : "holds no certificate in PEM form");
}

const char *settings_tls_certificate(const char *cert_file)
{
    SSL_CTX *ctx = context_new();

    return end(ctx, SSL_CTX_use_certificate_chain_file(ctx, cert_file) == 1
                        ? NULL
                        : "holds no certificate in PEM form");
}

const char *settings_tls_key(const char *cert_file, const char *key_file)
{
    SSL_CTX *ctx = context_new();

    if (SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        return end(ctx, "holds no private key in PEM form, or one with a pass phrase");
    if (SSL_CTX_use_certificate_chain_file(ctx, cert_file) != 1 ||
        SSL_CTX_use_PrivateKey_file(ctx, key_file, SSL_FILETYPE_PEM) != 1)
        return end(ctx, "is not the key of Im:ClientCertFile");
    return end(ctx, NULL);
}
