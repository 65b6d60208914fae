#include "tests/bench/load_token.h"
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

static void base64url(const void *data, size_t len, char *out)
{
    size_t n = (size_t)EVP_EncodeBlock((unsigned char *)out, data, (int)len);

    while (n > 0 && out[n - 1] == '=')
        out[--n] = '\0';
    for (size_t i = 0; i < n; i++)
        out[i] = out[i] == '+' ? '-' : out[i] == '/' ? '_' : out[i];
}

void load_token(const char *key, const char *issuer, unsigned user, char *out, size_t cap)
{
    static const char head[] = "{\"alg\":\"HS256\",\"typ\":\"JWT\"}";
    char claims[256], head64[64], claims64[400], text[480], mac64[64];
    unsigned char mac[EVP_MAX_MD_SIZE];
    unsigned mac_len;
    int len;

    len = snprintf(claims, sizeof claims,
                   "{\"sub\":\"id-u%u\",\"name\":\"u%u\",\"iss\":\"%.40s\",\"aud\":\"%.40s\","
                   "\"exp\":%lld}",
                   user, user, issuer, issuer, (long long)time(NULL) + 24 * 3600);
    base64url(head, sizeof head - 1, head64);
    base64url(claims, (size_t)len, claims64);
    len = snprintf(text, sizeof text, "%s.%s", head64, claims64);
    HMAC(EVP_sha256(), key, (int)strlen(key), (unsigned char *)text, (size_t)len, mac, &mac_len);
    base64url(mac, mac_len, mac64);
    snprintf(out, cap, "%s.%s", text, mac64);
}
