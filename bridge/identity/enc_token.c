#include "bridge/identity/enc_token.h"

#include "base/base64.h"
#include "bridge/identity/jwt.h"

#include <assert.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define ROUNDS 1000
#define KEY_BYTES 32
#define BLOCK_BYTES 16
/* The longest JWT, padded by up to a block. */
#define CIPHER_MAX_BYTES (JWT_MAX_BYTES + BLOCK_BYTES)

struct enc_token {
    size_t count;
    unsigned char iv[ENC_TOKEN_IV_BYTES];
    unsigned char keys[ENC_TOKEN_MAX_PHRASES][KEY_BYTES];
};

struct enc_token *enc_token_new(const char *const *phrases, size_t count, struct slice salt,
                                struct slice iv)
{
    struct enc_token *e = calloc(1, sizeof *e);

    assert(count <= ENC_TOKEN_MAX_PHRASES && iv.len == ENC_TOKEN_IV_BYTES);
    if (e == NULL)
        return NULL;
    memcpy(e->iv, iv.ptr, sizeof e->iv);
    for (; e->count < count; e->count++) {
        if (PKCS5_PBKDF2_HMAC_SHA1(phrases[e->count], (int)strlen(phrases[e->count]),
                                   (const unsigned char *)salt.ptr, (int)salt.len, ROUNDS,
                                   KEY_BYTES, e->keys[e->count]) != 1) {
            enc_token_free(e);
            return NULL;
        }
    }
    return e;
}

void enc_token_free(struct enc_token *e)
{
    if (e != NULL)
        OPENSSL_cleanse(e, sizeof *e);
    free(e);
}

static bool is_jwt_letter(unsigned char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
}

static bool has_jwt_shape(const unsigned char *text, size_t len)
{
    unsigned dots = 0;

    for (size_t i = 0; i < len; i++) {
        if (text[i] == '.')
            dots++;
        else if (!is_jwt_letter(text[i]))
            return false;
    }
    return dots == 2;
}

/* plain has room for len bytes. */
static bool decrypt_with(const unsigned char *key, const unsigned char *iv,
                         const unsigned char *cipher, size_t len, unsigned char *plain,
                         size_t *plain_len)
{
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int first = 0, last = 0;
    bool ok = ctx != NULL && EVP_DecryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, iv) == 1 &&
              EVP_DecryptUpdate(ctx, plain, &first, cipher, (int)len) == 1 &&
              EVP_DecryptFinal_ex(ctx, plain + first, &last) == 1;

    EVP_CIPHER_CTX_free(ctx);
    ERR_clear_error();
    *plain_len = (size_t)first + (size_t)last;
    return ok;
}

bool enc_token_decrypt(const struct enc_token *e, struct slice text, char *out, size_t cap,
                       size_t *out_len)
{
    char standard[BASE64_LEN(CIPHER_MAX_BYTES)];
    unsigned char cipher[CIPHER_MAX_BYTES], plain[CIPHER_MAX_BYTES];
    bool found = false;
    size_t len, plain_len;

    if (text.len == 0 || text.len > sizeof standard)
        return false;
    for (size_t i = 0; i < text.len; i++)
        standard[i] = text.ptr[i] == ' ' ? '+' : text.ptr[i];
    if (!base64_decode(BASE64_STD, (struct slice){standard, text.len}, cipher, sizeof cipher,
                       &len) ||
        len == 0 || len % BLOCK_BYTES != 0)
        return false;
    for (size_t i = 0; i < e->count && !found; i++) {
        found = decrypt_with(e->keys[i], e->iv, cipher, len, plain, &plain_len) &&
                plain_len <= cap && has_jwt_shape(plain, plain_len);
    }
    if (found) {
        memcpy(out, plain, plain_len);
        *out_len = plain_len;
    }
    OPENSSL_cleanse(plain, sizeof plain);
    return found;
}
