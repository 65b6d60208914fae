/* tests/unit/ddp_hosts.h - the world that a DDP socket finds: names, certificates and servers.
 * Names are answered by a resolver of our own, which takes the C library's place. Include once, in
 * the test's only source file; make_files and remove_files are its group's fixtures. */
#ifndef TESTS_UNIT_DDP_HOSTS_H
#define TESTS_UNIT_DDP_HOSTS_H

#include "ddp_probe.h"
#include "ws_double.h"
#include <dlfcn.h>
#include <netdb.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#define CONNECTED "{\"msg\":\"connected\",\"session\":\"tvJ4KxQqH2wLm8PzR\"}"

/* --- the resolver --- */

static atomic_uint lookups; /* of names; literals pass */

int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints,
                struct addrinfo **out)
{
    static const struct {
        const char *name, *addresses[3];
        unsigned wait_ms;
    } names[] = {
        {"chat.test", {"127.0.0.1"}, 0},
        {"a.chat.test", {"127.0.0.1"}, 0},
        {"other.test", {"127.0.0.1"}, 0},
        {"proxy.test", {"127.0.0.1"}, 0},
        {"two.test", {"127.0.0.2", "127.0.0.1"}, 0},
        {"stalled.test", {"127.0.0.3", "127.0.0.1"}, 0},
        {"slow.test", {"127.0.0.1"}, 700},
    };
    int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    struct addrinfo **tail = out;

    *(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    if (strchr(node, ':') != NULL || strspn(node, "0123456789.") == strlen(node))
        return real(node, service, hints, out);
    atomic_fetch_add(&lookups, 1);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(node, names[i].name) != 0)
            continue;
        usleep(names[i].wait_ms * 1000);
        for (size_t j = 0; names[i].addresses[j] != NULL; j++) {
            int status = real(names[i].addresses[j], service, hints, tail);

            if (status != 0)
                return status;
            tail = &(*tail)->ai_next;
        }
        return 0;
    }
    return EAI_NONAME;
}

/* --- certificates --- */

struct credentials {
    X509 *cert;
    EVP_PKEY *key;
};

static inline struct credentials issue(const char *subject, const char *san,
                                       const struct credentials *by)
{
    struct credentials c = {X509_new(), EVP_EC_gen("P-256")};
    X509_NAME *name = X509_get_subject_name(c.cert);
    X509_EXTENSION *ext;
    X509V3_CTX ctx;

    X509_set_version(c.cert, 2);
    ASN1_INTEGER_set(X509_get_serialNumber(c.cert), by == NULL ? 1 : 2);
    X509_gmtime_adj(X509_getm_notBefore(c.cert), -3600);
    X509_gmtime_adj(X509_getm_notAfter(c.cert), 3600);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0);
    X509_set_issuer_name(c.cert, by == NULL ? name : X509_get_subject_name(by->cert));
    X509_set_pubkey(c.cert, c.key);
    X509V3_set_ctx(&ctx, by == NULL ? c.cert : by->cert, c.cert, NULL, NULL, 0);
    ext = X509V3_EXT_conf_nid(NULL, &ctx, by == NULL ? NID_basic_constraints : NID_subject_alt_name,
                              by == NULL ? "critical,CA:TRUE" : san);
    X509_add_ext(c.cert, ext, -1);
    X509_EXTENSION_free(ext);
    X509_sign(c.cert, by == NULL ? c.key : by->key, EVP_sha256());
    return c;
}

static inline void discard(struct credentials *c)
{
    X509_free(c->cert);
    EVP_PKEY_free(c->key);
}

static char dir[] = "/tmp/ddp_socket_XXXXXX";
static char ca_file[64], other_ca_file[64], client_file[64], key_file[64], empty_file[64];
static struct credentials ca, other_ca, client;

static inline void write_pem(char *path, const char *name, X509 *cert, EVP_PKEY *key)
{
    FILE *f;

    snprintf(path, 64, "%s/%s", dir, name);
    f = fopen(path, "w");
    assert(f != NULL);
    if (cert != NULL)
        PEM_write_X509(f, cert);
    if (key != NULL)
        PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL);
    fclose(f);
}

static inline int make_files(void **state)
{
    (void)state;
    if (mkdtemp(dir) == NULL)
        return -1;
    ca = issue("test CA", NULL, NULL);
    other_ca = issue("other CA", NULL, NULL);
    client = issue("pushbridge", "DNS:bridge.test", &ca);
    write_pem(ca_file, "ca.pem", ca.cert, NULL);
    write_pem(other_ca_file, "other.pem", other_ca.cert, NULL);
    write_pem(client_file, "client.pem", client.cert, NULL);
    write_pem(key_file, "key.pem", NULL, client.key);
    write_pem(empty_file, "empty.pem", NULL, NULL);
    return 0;
}

static inline int remove_files(void **state)
{
    (void)state;
    discard(&ca);
    discard(&other_ca);
    discard(&client);
    unlink(ca_file);
    unlink(other_ca_file);
    unlink(client_file);
    unlink(key_file);
    unlink(empty_file);
    return rmdir(dir);
}

static inline SSL_CTX *server_tls(const char *san, bool ask_for_client)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());
    struct credentials c = issue("server", san, &ca);

    SSL_CTX_use_certificate(ctx, c.cert);
    SSL_CTX_use_PrivateKey(ctx, c.key);
    if (ask_for_client) {
        SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
        SSL_CTX_load_verify_file(ctx, ca_file);
    }
    discard(&c);
    return ctx;
}

/* --- servers --- */

/* What the servers' threads saw last. */
static pthread_mutex_t seen_lock = PTHREAD_MUTEX_INITIALIZER;
static char seen_host[128], seen_sni[128];

static inline void see(char *seen, size_t cap, const char *text, size_t len)
{
    pthread_mutex_lock(&seen_lock);
    snprintf(seen, cap, "%.*s", (int)len, text);
    pthread_mutex_unlock(&seen_lock);
}

static inline const char *last(const char *seen)
{
    static char copy[512];

    pthread_mutex_lock(&seen_lock);
    snprintf(copy, sizeof copy, "%s", seen);
    pthread_mutex_unlock(&seen_lock);
    return copy;
}

static inline void greets(struct wsd_conn *c)
{
    char text[256];
    const char *host;

    if (!wsd_upgrade(c, ""))
        return;
    host = strstr(c->head, "Host: ");
    see(seen_host, sizeof seen_host, host + 6, strcspn(host + 6, "\r"));
    if (c->ssl != NULL) {
        const char *sni = SSL_get_servername(c->ssl, TLSEXT_NAMETYPE_host_name);

        see(seen_sni, sizeof seen_sni, sni == NULL ? "none" : sni, 100);
    }
    if (wsd_expect(c, text, sizeof text) && wsd_text(c, CONNECTED))
        wsd_drain(c);
}

static inline void greets_quietly(struct wsd_conn *c)
{
    char text[256];

    if (wsd_upgrade(c, "") && wsd_expect(c, text, sizeof text) && wsd_text(c, CONNECTED))
        wsd_drain(c);
}

/* Opens one connector and sees how that goes. */
static inline struct probe try_once(const struct ddp_client_options *o)
{
    struct ddp_client *ddp;
    struct probe p = {0};

    probe_loop_open();
    ddp = probe_client(o);
    probe_open(&p, ddp);
    while (p.connects + p.ends == 0)
        uv_run(&probe_loop, UV_RUN_ONCE);
    if (p.c != NULL)
        probe_close(&p);
    probe_until(&p.ends, 1);
    probe_client_free(ddp);
    probe_loop_close();
    return p;
}

static inline uint16_t closed_port(void)
{
    struct wsd *s = wsd_start(greets, NULL, NULL);
    uint16_t port = s->port;

    wsd_stop(s);
    return port;
}

#endif
