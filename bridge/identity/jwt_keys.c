#include "bridge/identity/jwt_keys.h"

#include <assert.h>
#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#define PEM_MAX_BYTES ((size_t)256 * 1024)

struct jwt_keys {
    atomic_uint refs;
    unsigned count;
    struct jwt_key *keys[JWT_KEYS_MAX]; /* one reference each */
};

struct jwt_keys *jwt_keys_new(void)
{
    struct jwt_keys *set = calloc(1, sizeof *set);

    if (set != NULL)
        atomic_init(&set->refs, 1);
    return set;
}

struct jwt_keys *jwt_keys_copy(const struct jwt_keys *set)
{
    struct jwt_keys *copy = jwt_keys_new();

    if (copy == NULL)
        return NULL;
    for (copy->count = 0; copy->count < set->count; copy->count++)
        copy->keys[copy->count] = jwt_key_ref(set->keys[copy->count]);
    return copy;
}

struct jwt_keys *jwt_keys_ref(struct jwt_keys *set)
{
    atomic_fetch_add_explicit(&set->refs, 1, memory_order_relaxed);
    return set;
}

void jwt_keys_unref(struct jwt_keys *set)
{
    if (set == NULL || atomic_fetch_sub_explicit(&set->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (unsigned i = 0; i < set->count; i++)
        jwt_key_unref(set->keys[i]);
    free(set);
}

bool jwt_keys_add(struct jwt_keys *set, struct jwt_key *key)
{
    assert(atomic_load(&set->refs) == 1); /* published sets never change */
    if (set->count == JWT_KEYS_MAX) {
        jwt_key_unref(key);
        return false;
    }
    set->keys[set->count++] = key;
    return true;
}

unsigned jwt_keys_count(const struct jwt_keys *set)
{
    return set->count;
}

const struct jwt_key *jwt_keys_at(const struct jwt_keys *set, unsigned index)
{
    assert(index < set->count);
    return set->keys[index];
}

enum jwt_keys_result jwt_keys_verify(const struct jwt_keys *set, enum jwt_alg alg, struct slice kid,
                                     struct slice signing_input, struct slice signature,
                                     unsigned *index)
{
    bool by_kid = false, asked = false;

    for (unsigned i = 0; kid.len > 0 && i < set->count && !by_kid; i++)
        by_kid = jwt_key_serves(set->keys[i], alg) && jwt_key_kid_is(set->keys[i], kid);
    for (unsigned i = 0; i < set->count; i++) {
        const struct jwt_key *key = set->keys[i];

        if (!jwt_key_serves(key, alg) || (by_kid && !jwt_key_kid_is(key, kid)) ||
            (!by_kid && kid.len > 0 && jwt_key_has_kid(key)))
            continue;
        asked = true;
        if (jwt_key_verify(key, alg, signing_input, signature)) {
            *index = i;
            return JWT_KEYS_VERIFIED;
        }
    }
    return asked && (by_kid || kid.len == 0) ? JWT_KEYS_MISMATCH : JWT_KEYS_UNKNOWN;
}

/* NULL: not a public key or certificate that parses to its last byte. */
static EVP_PKEY *decode_block(const char *name, const unsigned char *der, long len)
{
    const unsigned char *p = der;
    EVP_PKEY *pkey = NULL;
    X509 *cert = NULL;

    if (strcmp(name, PEM_STRING_PUBLIC) == 0) {
        pkey = d2i_PUBKEY(NULL, &p, len);
    } else if (strcmp(name, PEM_STRING_RSA_PUBLIC) == 0) {
        pkey = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, len);
    } else if (strcmp(name, PEM_STRING_X509) == 0) {
        cert = d2i_X509(NULL, &p, len);
        pkey = cert == NULL ? NULL : X509_get_pubkey(cert);
        X509_free(cert);
    }
    if (pkey != NULL && p != der + len) {
        EVP_PKEY_free(pkey);
        pkey = NULL;
    }
    return pkey;
}

static enum jwt_key_result add_block(struct jwt_keys *set, const char *name,
                                     const unsigned char *der, long len, struct slice label)
{
    const struct jwt_key_meta meta = {.label = label};
    struct jwt_key *key;
    EVP_PKEY *pkey = decode_block(name, der, len);
    enum jwt_key_result result = JWT_KEY_MALFORMED;

    if (pkey == NULL)
        return result;
    result = jwt_key_pkey(pkey, &meta, &key);
    EVP_PKEY_free(pkey);
    if (result == JWT_KEY_OK && !jwt_keys_add(set, key))
        result = JWT_KEY_UNSUPPORTED;
    return result;
}

enum jwt_key_result jwt_keys_add_pem(struct jwt_keys *set, struct slice pem, struct slice label)
{
    enum jwt_key_result result = JWT_KEY_MALFORMED;
    char *name = NULL, *header = NULL;
    unsigned char *der = NULL;
    unsigned long last;
    unsigned found = 0;
    long len = 0;
    BIO *bio;

    if (pem.len == 0 || pem.len > PEM_MAX_BYTES)
        return JWT_KEY_MALFORMED;
    bio = BIO_new_mem_buf(pem.ptr, (int)pem.len);
    if (bio == NULL)
        return JWT_KEY_NO_MEMORY;
    while (PEM_read_bio(bio, &name, &header, &der, &len) == 1) {
        result = add_block(set, name, der, len, label);
        OPENSSL_free(name);
        OPENSSL_free(header);
        OPENSSL_clear_free(der, (size_t)len); /* it may have been a private key by mistake */
        if (result != JWT_KEY_OK)
            goto done;
        found++;
    }
    /* "No further block" is how every good text ends; anything else is a broken block. */
    last = ERR_peek_last_error();
    result =
        found > 0 && ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE
            ? JWT_KEY_OK
            : JWT_KEY_MALFORMED;
done:
    BIO_free(bio);
    ERR_clear_error();
    return result;
}

enum jwt_key_result jwt_keys_add_pem_file(struct jwt_keys *set, const char *path)
{
    enum jwt_key_result result = JWT_KEY_MALFORMED;
    const char *name = strrchr(path, '/');
    FILE *file = fopen(path, "re");
    char *text = NULL;
    size_t len;

    if (file == NULL)
        return JWT_KEY_MALFORMED;
    text = malloc(PEM_MAX_BYTES + 1);
    if (text == NULL) {
        result = JWT_KEY_NO_MEMORY;
        goto done;
    }
    len = fread(text, 1, PEM_MAX_BYTES + 1, file);
    if (ferror(file) == 0)
        result = jwt_keys_add_pem(set, (struct slice){text, len},
                                  slice_of(name == NULL ? path : name + 1));
done:
    free(text);
    fclose(file);
    return result;
}
