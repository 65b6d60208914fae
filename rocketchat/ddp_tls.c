#include "rocketchat/ddp_tls_internal.h"
#include <openssl/err.h>
#include <openssl/x509v3.h>

static bool is_address(const char *host)
{
    ASN1_OCTET_STRING *ip = a2i_IPADDRESS(host);

    ASN1_OCTET_STRING_free(ip);
    return ip != NULL;
}

/* libwebsockets has put its own idea of the name there; RFC 6066 wants names only. */
static void on_handshake(const SSL *ssl, int where, int ret)
{
    char *host = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));

    (void)ret;
    if ((where & SSL_CB_HANDSHAKE_START) != 0)
        SSL_set_tlsext_host_name((SSL *)(uintptr_t)ssl, is_address(host) ? NULL : host);
}

/* Every connection inherits what is asked of the certificate. */
static bool expect_host(SSL_CTX *ctx, const char *host)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);

    if (is_address(host))
        return X509_VERIFY_PARAM_set1_ip_asc(param, host) == 1;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    return X509_VERIFY_PARAM_set1_host(param, host, 0) == 1;
}

/* A CA file replaces the system's list, as with curl. */
static bool load_trust(SSL_CTX *ctx, const char *ca_file)
{
    return ca_file == NULL ? SSL_CTX_set_default_verify_paths(ctx) == 1
                           : SSL_CTX_load_verify_file(ctx, ca_file) == 1;
}

/* The key may be in the certificate's file. */
static bool load_certificate(SSL_CTX *ctx, const char *cert_file, const char *key_file)
{
    return cert_file == NULL ||
           (SSL_CTX_use_certificate_chain_file(ctx, cert_file) == 1 &&
            SSL_CTX_use_PrivateKey_file(ctx, key_file != NULL ? key_file : cert_file,
                                        SSL_FILETYPE_PEM) == 1 &&
            SSL_CTX_check_private_key(ctx) == 1);
}

SSL_CTX *ddp_tls_new(const struct ddp_client_options *options, const char *host)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

    if (ctx == NULL)
        return NULL;
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    /* An idle connection then holds no record buffers: 34 KB less for each. */
    SSL_CTX_set_mode(ctx, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
    SSL_CTX_set_app_data(ctx, (void *)(uintptr_t)host);
    SSL_CTX_set_info_callback(ctx, on_handshake);
    if ((!options->tls_verify || (load_trust(ctx, options->ca_file) && expect_host(ctx, host))) &&
        load_certificate(ctx, options->client_cert_file, options->client_key_file))
        return ctx;
    ERR_clear_error();
    SSL_CTX_free(ctx);
    return NULL;
}
