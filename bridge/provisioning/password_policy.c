#include "bridge/provisioning/password_policy.h"

#include "base/base64.h"
#include <assert.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>
#include <uv.h>

#define ONE_OF_EACH "aA1!"

static struct slice write_password(const unsigned char bytes[32],
                                   char buffer[PASSWORD_POLICY_BYTES])
{
    size_t len = base64_encode(BASE64_URL, bytes, 32, buffer);

    while (len > 0 && buffer[len - 1] == '=')
        len--;
    memcpy(buffer + len, ONE_OF_EACH, sizeof ONE_OF_EACH);
    return (struct slice){buffer, len + sizeof ONE_OF_EACH - 1};
}

static struct slice derive(const struct settings *s, struct slice username,
                           char buffer[PASSWORD_POLICY_BYTES])
{
    const char *secret = s->provisioning.password_secret;
    unsigned char mac[32];
    struct slice password = {0};

    if (HMAC(EVP_sha256(), secret, (int)strlen(secret), (const unsigned char *)username.ptr,
             username.len, mac, NULL) != NULL)
        password = write_password(mac, buffer);
    explicit_bzero(mac, sizeof mac);
    return password;
}

struct slice password_policy_login(const struct settings *s, struct slice username,
                                   char buffer[PASSWORD_POLICY_BYTES])
{
    switch (s->provisioning.password_policy) {
    case PASSWORD_SHARED:
        return slice_of(s->im.default_password);
    case PASSWORD_DERIVED:
        return derive(s, username, buffer);
    case PASSWORD_TOKEN:
        break;
    }
    return (struct slice){0};
}

struct slice password_policy_new(const struct settings *s, struct slice username,
                                 char buffer[PASSWORD_POLICY_BYTES])
{
    unsigned char random[32];
    struct slice password = {0};

    if (s->provisioning.password_policy != PASSWORD_TOKEN)
        return password_policy_login(s, username, buffer);
    if (uv_random(NULL, NULL, random, sizeof random, 0, NULL) == 0)
        password = write_password(random, buffer);
    explicit_bzero(random, sizeof random);
    return password;
}
