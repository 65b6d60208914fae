#include "bridge/identity/user.h"

#include "base/hash.h"
#include "bridge/admin/metrics.h"
#include "bridge/identity/enc_token.h"
#include "bridge/identity/key_refresh.h"
#include "bridge/identity/token_carrier.h"
#include "bridge/log/log.h"
#include "bridge/program.h"
#include "bridge/shard.h"
#include "signalr/http/http_server.h"
#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t wall_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- rules ---- */

static bool add_secret(struct jwt_keys *keys, const char *text, const char *label)
{
    char *ascii = malloc(strlen(text) + 1);
    struct jwt_key_meta meta = {.label = slice_of(label)};
    struct jwt_key *key;
    bool replaced, ok = false;

    if (ascii == NULL)
        return false;
    if (jwt_key_hmac((struct slice){ascii, jwt_key_ascii(slice_of(text), ascii, &replaced)}, &meta,
                     &key) == JWT_KEY_OK)
        ok = jwt_keys_add(keys, key);
    free(ascii);
    return ok;
}

static bool load_keys(struct jwt_keys *keys, const struct settings *s, char *error,
                      size_t error_len)
{
    if (s->jwt.security_key[0] != '\0' && !add_secret(keys, s->jwt.security_key, "SecurityKey")) {
        snprintf(error, error_len, "Authentication:JwtBearer:SecurityKey can't be used as a key");
        return false;
    }
    for (size_t i = 0; i < s->auth.previous_security_keys.count; i++) {
        char label[48];

        snprintf(label, sizeof label, "PreviousSecurityKeys:%zu", i);
        if (!add_secret(keys, s->auth.previous_security_keys.items[i], label)) {
            snprintf(error, error_len, "PushBridge:Auth:%s can't be used as a key", label);
            return false;
        }
    }
    for (size_t i = 0; i < s->auth.public_key_files.count; i++) {
        const char *path = s->auth.public_key_files.items[i];

        if (jwt_keys_add_pem_file(keys, path) != JWT_KEY_OK) {
            snprintf(error, error_len,
                     "PushBridge:Auth:PublicKeyFiles: %s: no RSA (2048 bits and more) or P-256 "
                     "public key or certificate in PEM form, or not readable",
                     path);
            return false;
        }
    }
    return true;
}

bool user_rules_open(struct user_rules *rules, const struct settings *s, struct jwt_keys **keys,
                     char *error, size_t error_len)
{
    const char *account_error = NULL;
    static const char *issuers[2]; /* program-wide, like the settings it points into */

    *rules = (struct user_rules){.tokens_checked = s->jwt.is_enabled,
                                 .anonymous_mute = s->auth.anonymous == ANONYMOUS_MUTE};
    *keys = jwt_keys_new();
    if (*keys == NULL) {
        snprintf(error, error_len, "out of memory");
        return false;
    }
    if (!load_keys(*keys, s, error, error_len))
        return false;
    issuers[0] = s->jwt.issuer[0] == '\0' ? NULL : s->jwt.issuer;
    rules->identity.jwt = (struct jwt_rules){
        .issuers = issuers,
        .audiences = (const char *const *)s->jwt.audience.items,
        .leeway_ms = s->auth.leeway_ms,
    };
    for (size_t i = 0; i < s->auth.algorithms.count; i++) {
        enum jwt_alg alg;

        if (jwt_alg_parse(slice_of(s->auth.algorithms.items[i]), &alg))
            rules->identity.jwt.algorithms |= JWT_ALG_BIT(alg);
    }
    rules->identity.user_id_claims = (const char *const *)s->auth.user_id_claims.items;
    rules->identity.name_claims = (const char *const *)s->auth.name_claims.items;
    rules->identity.tenant_claims = (const char *const *)s->auth.tenant_claims.items;
    if (s->auth.encrypted_token_pass_phrases.count > 0) {
        rules->enc_token = enc_token_new(
            (const char *const *)s->auth.encrypted_token_pass_phrases.items,
            s->auth.encrypted_token_pass_phrases.count, slice_of(s->auth.encrypted_token_salt),
            slice_of(s->auth.encrypted_token_iv));
        rules->identity.enc_token = rules->enc_token;
        if (rules->enc_token == NULL) {
            snprintf(error, error_len, "out of memory");
            return false;
        }
    }
    rules->account =
        rc_account_new(s->im.user_name_template, (const char *const *)s->reserved_user_names.items,
                       s->im.admin_user_name, &account_error);
    if (rules->account == NULL) {
        snprintf(error, error_len, "Im:UserNameTemplate: %s", account_error);
        return false;
    }
    if (s->provisioning.enabled) {
        rules->profiles = profile_rules_new(s, error, error_len);
        return rules->profiles != NULL;
    }
    return true;
}

void user_rules_close(struct user_rules *rules)
{
    enc_token_free(rules->enc_token);
    rc_account_free(rules->account);
    profile_rules_free(rules->profiles);
}

/* ---- requests ---- */

static struct bridge_user *user_new(const struct user_rules *rules, const struct identity_result *r,
                                    const struct http_view *request)
{
    struct slice user_agent = {"", 0};
    char username[RC_ACCOUNT_MAX_BYTES + 1] = "";
    enum rc_account_result account =
        rc_account_name(rules->account, r->identity, r->claims, username);
    size_t len = account == RC_ACCOUNT_OK ? strlen(username) : 0;
    struct byte_buf profile = {0};
    struct bridge_user *user = NULL;

    if (rules->profiles == NULL || profile_pack(rules->profiles, r->identity, r->claims, &profile))
        user = malloc(sizeof *user + len + 1 + profile.len);
    if (user == NULL) {
        byte_buf_free(&profile);
        return NULL;
    }
    user->refused = account == RC_ACCOUNT_OK ? NULL : rc_account_code(account);
    http_view_header(request, "user-agent", &user_agent);
    user->client = hash_stable(user_agent.ptr, user_agent.len);
    memcpy(user->username, username, len);
    user->username[len] = '\0';
    user->profile_len = (uint16_t)profile.len;
    if (profile.len > 0)
        memcpy(user->username + len + 1, profile.data, profile.len);
    byte_buf_free(&profile);
    return user;
}

static enum metric metric_of_key(unsigned index)
{
    const unsigned named = METRIC_TOKENS_VERIFIED_MORE - METRIC_TOKENS_VERIFIED_0;

    return (enum metric)(METRIC_TOKENS_VERIFIED_0 + (index < named ? index : named));
}

/* The AUTH_ rows stand in the order of enum jwt_result, with "no token" in the place of JWT_OK. */
static enum metric metric_of_refusal(const struct identity_result *r)
{
    static_assert(METRIC_AUTH_REFRESH_TOKEN - METRIC_AUTH_NO_TOKEN == JWT_REFRESH_TOKEN,
                  "one AUTH_ row for each jwt_result");
    if (r->outcome == IDENTITY_ANONYMOUS)
        return METRIC_AUTH_NO_TOKEN;
    return r->jwt == JWT_OK ? METRIC_AUTH_IDENTITY
                            : (enum metric)(METRIC_AUTH_NO_TOKEN + (int)r->jwt);
}

/* For GET /admin/users: a user whose token is refused has no session that could tell. */
static void note_refused(struct shard *s, const struct token_carriers *carriers, const char *reason,
                         struct slice address)
{
    const struct user_rules *rules = &s->program->rules;
    char username[RC_ACCOUNT_MAX_BYTES + 1] = "";
    struct identity_result r;

    if (!identity_unproven(&rules->identity, carriers, &r))
        return;
    if (rc_account_name(rules->account, r.identity, r.claims, username) != RC_ACCOUNT_OK)
        username[0] = '\0';
    refused_tokens_note(&s->refused_tokens, slice_of(r.identity->user_key),
                        slice_of(username[0] == '\0' ? r.identity->name : username), reason,
                        address, uv_now(&s->loop));
    identity_result_free(&r);
}

static void find_carriers(const struct http_view *request, struct token_carriers *out)
{
    *out = (struct token_carriers){0};
    http_query_get(request->query, "enc_auth_token", &out->enc_auth_token);
    http_query_get(request->query, "access_token", &out->access_token);
    http_view_header(request, "authorization", &out->authorization);
}

/* Fills *r; the caller frees it. */
static enum signalr_auth identify(struct shard *s, const struct http_view *request,
                                  bool anonymous_is_fine, struct identity_result *r)
{
    struct token_carriers carriers;

    find_carriers(request, &carriers);
    identity_from_request(&s->program->rules.identity, s->keys, &carriers, wall_clock_ms(), r);
    if (r->outcome == IDENTITY_USER) {
        metrics_inc(s->metrics, metric_of_key(r->identity->key_index));
        return SIGNALR_AUTH_USER;
    }
    if (r->outcome == IDENTITY_ANONYMOUS && anonymous_is_fine)
        return SIGNALR_AUTH_ANONYMOUS;
    if (r->jwt == JWT_UNKNOWN_KEY && s->program->keys != NULL)
        key_refresh_ask(s->program->keys);
    metrics_inc(s->metrics, metric_of_refusal(r));
    log_info("auth_refused", LOG_STR("reason", r->reason),
             LOG_SLICE("address", request->client_address));
    if (r->outcome == IDENTITY_REFUSED)
        note_refused(s, &carriers, r->reason, request->client_address);
    return SIGNALR_AUTH_REFUSED;
}

enum signalr_auth user_authenticate(struct shard *s, const struct http_view *request,
                                    struct signalr_user *out)
{
    const struct user_rules *rules = &s->program->rules;
    struct identity_result r;
    enum signalr_auth auth;

    *out = (struct signalr_user){0};
    if (!rules->tokens_checked)
        return SIGNALR_AUTH_ANONYMOUS; /* with Anonymous=mute only (settings_check.c) */
    auth = identify(s, request, rules->anonymous_mute, &r);
    if (auth == SIGNALR_AUTH_USER) {
        out->host_data = user_new(rules, &r, request);
        memcpy(out->key, r.identity->user_key, strlen(r.identity->user_key) + 1);
        out->expires_at_ms = (uint64_t)r.identity->expires_ms;
        if (out->host_data == NULL)
            auth = SIGNALR_AUTH_REFUSED;
    }
    identity_result_free(&r);
    return auth;
}

bool user_carries_token(const struct shard *s, const struct http_view *request)
{
    const struct user_rules *rules = &s->program->rules;
    struct token_carriers carriers;
    char buffer[JWT_MAX_BYTES];
    struct slice token;

    if (!rules->tokens_checked)
        return false;
    find_carriers(request, &carriers);
    return token_carrier_find(&carriers, rules->enc_token, buffer, &token) != TOKEN_CARRIER_NONE;
}

void user_release(void *host_data)
{
    free(host_data);
}

/* ---- routes of our own ---- */

bool user_call(struct shard *s, const struct http_view *request, struct user_caller *out)
{
    const struct user_rules *rules = &s->program->rules;
    bool ok = rules->tokens_checked && identify(s, request, false, &out->who) == SIGNALR_AUTH_USER;

    out->user = ok ? user_new(rules, &out->who, request) : NULL;
    if (rules->tokens_checked && out->user == NULL)
        identity_result_free(&out->who);
    return out->user != NULL;
}

void user_call_free(struct user_caller *caller)
{
    identity_result_free(&caller->who);
    user_release(caller->user);
}

static bool is_one_of(const json_t *role, const char *const *roles)
{
    for (; json_is_string(role) && *roles != NULL; roles++)
        if (slice_eq((struct slice){json_string_value(role), json_string_length(role)},
                     slice_of(*roles)))
            return true;
    return false;
}

bool user_has_role(const struct settings *settings, const struct user_caller *caller,
                   const char *const *roles)
{
    for (size_t i = 0; i < settings->auth.role_claims.count; i++) {
        const json_t *claim =
            json_object_get(caller->who.claims, settings->auth.role_claims.items[i]);
        const json_t *role;
        size_t n;

        if (is_one_of(claim, roles))
            return true;
        json_array_foreach(claim, n, role)
        {
            if (is_one_of(role, roles))
                return true;
        }
    }
    return false;
}
