/* Even first byte: the rest is the text as received. Odd: the rest is what was encrypted, so that
 * decryption succeeds and the shape of the plain text decides. */
#include "bridge/identity/enc_token.h"

#include "base/base64.h"
#include "bridge/identity/jwt.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <stdlib.h>

#define ABP_SALT "hgt!16kl"
#define ABP_IV "jkE49230Tf093b42"
#define PHRASE "gsKnGZ041HLL4IM8"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static char *encrypt(const uint8_t *plain, size_t len, size_t *text_len)
{
    static unsigned char key[32];
    static bool derived;
    unsigned char *cipher = malloc(len + 32);
    char *text = malloc(BASE64_LEN(len + 32) + 1);
    EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
    int first = 0, last = 0;

    if (!derived)
        PKCS5_PBKDF2_HMAC_SHA1(PHRASE, -1, (const unsigned char *)ABP_SALT, 8, 1000, sizeof key,
                               key);
    derived = true;
    EVP_EncryptInit_ex(ctx, EVP_aes_256_cbc(), NULL, key, (const unsigned char *)ABP_IV);
    EVP_EncryptUpdate(ctx, cipher, &first, plain, (int)len);
    EVP_EncryptFinal_ex(ctx, cipher + first, &last);
    EVP_CIPHER_CTX_free(ctx);
    *text_len = base64_encode(BASE64_STD, cipher, (size_t)(first + last), text);
    free(cipher);
    return text;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const char *const phrases[] = {"gsKxGZ012HLL3MI5", PHRASE};
    static struct enc_token *e;
    struct slice text = {(const char *)data + 1, len - 1};
    char out[JWT_MAX_BYTES], *made = NULL;
    size_t out_len = 0, dots = 0;

    if (len == 0)
        return 0;
    if (e == NULL)
        e = enc_token_new(phrases, 2, SLICE_LIT(ABP_SALT), SLICE_LIT(ABP_IV));
    if (data[0] & 1)
        text.ptr = made = encrypt(data + 1, len - 1, &text.len);
    if (enc_token_decrypt(e, text, out, sizeof out, &out_len)) {
        assert(out_len >= 2 && out_len <= sizeof out);
        for (size_t i = 0; i < out_len; i++) {
            assert(out[i] > ' ' && out[i] < 0x7f);
            dots += out[i] == '.';
        }
        assert(dots == 2);
        assert(made == NULL || memcmp(out, data + 1, out_len) == 0);
    }
    assert(ERR_peek_error() == 0);
    free(made);
    return 0;
}
