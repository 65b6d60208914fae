/* Three carriers, separated by newlines, as a request brings them; then, in the same input read as
 * a payload under a right signature, the claims. */
#include "bridge/identity/identity.h"

#include "base/base64.h"
#include "base/utf8.h"
#include "bridge/identity/enc_token.h"
#include "bridge/identity/rc_account.h"

#include <assert.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <stdlib.h>

#define ABP_SALT "hgt!16kl"
#define ABP_IV "jkE49230Tf093b42"
#define SECRET "MatoAppSample_C421AAEE0D114E9C"
#define NOW_MS INT64_C(1750000000000)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const char *const id_claims[] = {
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier", "sub", "nameid", NULL};
static const char *const name_claims[] = {
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name", "unique_name",
    "preferred_username", "name", NULL};
static const char *const tenant_claims[] = {
    "http://www.aspnetboilerplate.com/identity/claims/tenantId", "tenantid", NULL};

static struct jwt_keys *keys;
static struct rc_account *account;
static struct identity_options options;

static void set_up(void)
{
    static const char *const phrase = "gsKnGZ041HLL4IM8", *const reserved[] = {"rocket.cat", NULL};
    const struct jwt_key_meta meta = {.label = SLICE_LIT("fuzz")};
    struct jwt_key *key;
    const char *error;

    keys = jwt_keys_new();
    if (jwt_key_hmac(SLICE_LIT(SECRET), &meta, &key) != JWT_KEY_OK || !jwt_keys_add(keys, key))
        abort();
    account = rc_account_new("{tenant}.{name}-{sub}", reserved, "super", &error);
    options = (struct identity_options){
        .jwt = {.algorithms = JWT_ALG_ALL},
        .enc_token = enc_token_new(&phrase, 1, SLICE_LIT(ABP_SALT), SLICE_LIT(ABP_IV)),
        .user_id_claims = id_claims,
        .name_claims = name_claims,
        .tenant_claims = tenant_claims};
}

static void check(const struct token_carriers *carriers)
{
    char name[RC_ACCOUNT_MAX_BYTES + 1];
    struct identity_result result;

    identity_from_request(&options, keys, carriers, NOW_MS, &result);
    assert(result.reason != NULL);
    assert((result.outcome == IDENTITY_USER) == (result.identity != NULL));
    if (result.outcome == IDENTITY_USER) {
        const struct identity *who = result.identity;
        size_t id_len = strlen(who->user_id), tenant_len = strlen(who->tenant);

        assert(id_len > 0 && id_len <= IDENTITY_ID_MAX_BYTES);
        assert(tenant_len <= IDENTITY_TENANT_MAX_BYTES);
        assert(strlen(who->name) <= IDENTITY_NAME_MAX_BYTES);
        assert(utf8_valid(who->name, strlen(who->name)));
        assert(strncmp(who->user_key, who->user_id, id_len) == 0);
        /* The key says which part is which: behind its last '@', if any, is the tenant. */
        const char *at = strrchr(who->user_key, '@');
        if (at == NULL)
            assert(tenant_len == 0 && who->user_key[id_len] == '\0');
        else
            assert((size_t)(at - who->user_key) == id_len && strcmp(at + 1, who->tenant) == 0);
        if (rc_account_name(account, who, result.claims, name) == RC_ACCOUNT_OK)
            assert(strlen(name) > 0 && strcmp(name, "rocket.cat") != 0);
    }
    assert(ERR_peek_error() == 0);
    identity_result_free(&result);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const char *p = (const char *)data, *end = p + len;
    struct token_carriers carriers = {0};
    struct slice *const parts[] = {&carriers.enc_auth_token, &carriers.authorization,
                                   &carriers.access_token};
    char *token = malloc(BASE64_LEN(len) + 128);
    unsigned char mac[32];
    size_t n;

    if (keys == NULL)
        set_up();
    for (size_t i = 0; i < 3; i++) {
        const char *stop = len == 0 ? NULL : memchr(p, '\n', (size_t)(end - p));

        if (stop == NULL)
            stop = end;
        *parts[i] = (struct slice){p, (size_t)(stop - p)};
        p = stop == end ? end : stop + 1;
    }
    check(&carriers);

    n = (size_t)sprintf(token, "eyJhbGciOiJIUzI1NiJ9.");
    n += base64_encode(BASE64_URL, data, len, token + n);
    HMAC(EVP_sha256(), SECRET, sizeof SECRET - 1, (unsigned char *)token, n, mac, NULL);
    token[n++] = '.';
    n += base64_encode(BASE64_URL, mac, sizeof mac, token + n);
    check(&(struct token_carriers){.access_token = {token, n}});
    free(token);
    return 0;
}
