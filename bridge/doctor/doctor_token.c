#include "bridge/doctor/doctor_internal.h"

#include "bridge/identity/enc_token.h"
#include "bridge/identity/key_refresh.h"
#include "bridge/login/login_hint.h"
#include <inttypes.h>
#include <jansson.h>

enum { KEY_GOOD_BYTES = 32 };

/* ---- keys ---- */

struct fetching {
    struct doctor *d;
    bool done;
};

static void on_report(void *arg, const struct jwks_source_report *report)
{
    struct fetching *f = arg;
    struct doctor *d = f->d;

    if (f->done)
        return;
    f->done = true;
    if (report->keys == NULL) {
        doctor_say(d, DOCTOR_FAIL, "key set", "PushBridge:Auth:Jwks gives no keys: %s (%s)",
                   jwks_source_result_text(report->result), report->detail);
        return;
    }
    jwt_keys_unref(d->keys);
    d->keys = jwt_keys_ref(report->keys);
    doctor_say(d, DOCTOR_OK, "key set", "PushBridge:Auth:Jwks was read; %u of its keys unused",
               report->passed_over);
}

static void set_done(void *arg)
{
    *(bool *)arg = true;
}

static void fetch_keys(struct doctor *d)
{
    const struct jwks_source_options options = key_refresh_options(d->settings);
    struct fetching f = {.d = d};
    struct jwks_source *source = jwks_source_new(&d->loop, &options, d->keys, on_report, &f);
    bool closed = false;

    if (source == NULL)
        return;
    doctor_wait(d, &f.done);
    jwks_source_close(source, set_done, &closed);
    doctor_wait(d, &closed);
}

static void check_secret(struct doctor *d, const char *text)
{
    const size_t len = strlen(text);
    bool replaced;
    char ascii[JWT_SECRET_MAX_BYTES + 1];

    if (len == 0)
        return;
    if (len < sizeof ascii)
        jwt_key_ascii(slice_of(text), ascii, &replaced);
    else
        replaced = false;
    if (replaced)
        doctor_say(d, DOCTOR_WARN, "key",
                   "SecurityKey has characters beyond ASCII, which count as '?', as in .NET");
    else if (len < KEY_GOOD_BYTES)
        doctor_say(d, DOCTOR_WARN, "key",
                   "SecurityKey has %zu bytes: it works, but can be guessed sooner than one of %d",
                   len, KEY_GOOD_BYTES);
    else
        doctor_say(d, DOCTOR_OK, "key", "SecurityKey has %zu bytes", len);
}

void doctor_keys(struct doctor *d)
{
    const struct settings *s = d->settings;
    char names[64] = "";

    if (!s->jwt.is_enabled) {
        doctor_say(d, DOCTOR_WARN, "key",
                   "Authentication:JwtBearer:IsEnabled is false: everybody is anonymous and hears "
                   "nothing");
        return;
    }
    check_secret(d, s->jwt.security_key);
    if (s->auth.jwks[0] != '\0')
        fetch_keys(d);
    for (size_t i = 0; i < s->auth.algorithms.count; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i == 0 ? "" : ", ",
                 s->auth.algorithms.items[i]);
    if (jwt_keys_count(d->keys) == 0)
        doctor_say(d, DOCTOR_FAIL, "key",
                   "there is no key: set Authentication:JwtBearer:SecurityKey");
    else
        doctor_say(d, DOCTOR_OK, "key", "%u key(s), for the algorithms %s", jwt_keys_count(d->keys),
                   names);
}

/* ---- claims ---- */

/* A claim's value for a line; strings and numbers only, cut. */
static void claim_text(const json_t *value, char *out, size_t cap)
{
    char *text = value == NULL ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);

    snprintf(out, cap, "%.*s", (int)cap - 1, text == NULL ? "missing" : text);
    free(text);
}

static void say_claim(struct doctor *d, const json_t *claims, const char *name, bool good,
                      const char *expected)
{
    char value[200];

    claim_text(json_object_get(claims, name), value, sizeof value);
    if (good)
        doctor_say(d, DOCTOR_OK, "claim", "%s is %s", name, value);
    else
        doctor_say(d, DOCTOR_FAIL, "claim", "%s is %s; %s", name, value, expected);
}

/* The rules on one claim at a time; the times are taken as good where they are not asked. */
static void check_registered(struct doctor *d, const json_t *claims)
{
    const struct jwt_rules *rules = &d->rules.identity.jwt;
    const int64_t now = doctor_wall_ms();
    struct jwt_rules one = {.issuers = rules->issuers};
    int64_t exp = (int64_t)json_number_value(json_object_get(claims, "exp"));
    enum jwt_result result;
    int64_t ignored;

    result = jwt_check_claims(&one, claims, now, &ignored);
    say_claim(d, claims, "iss", result != JWT_WRONG_ISSUER,
              "Authentication:JwtBearer:Issuer is another");
    one = (struct jwt_rules){.audiences = rules->audiences};
    result = jwt_check_claims(&one, claims, now, &ignored);
    say_claim(d, claims, "aud", result != JWT_WRONG_AUDIENCE,
              "Authentication:JwtBearer:Audience has none of it");
    one = (struct jwt_rules){.leeway_ms = rules->leeway_ms};
    result = jwt_check_claims(&one, claims, now, &ignored);
    if (result == JWT_EXPIRED)
        doctor_say(d, DOCTOR_FAIL, "claim", "exp: the token ended %" PRId64 " s ago",
                   now / 1000 - exp);
    else if (result == JWT_NOT_YET_VALID)
        doctor_say(d, DOCTOR_FAIL, "claim",
                   "nbf: the token is not valid yet; the backend's clock and this one differ");
    else if (result != JWT_OK)
        doctor_say(d, DOCTOR_FAIL, "claim", "%s", jwt_result_text(result));
    else
        doctor_say(d, DOCTOR_OK, "claim", "exp: good for another %" PRId64 " s", exp - now / 1000);
}

static void check_identity(struct doctor *d, const struct identity_result *r)
{
    enum rc_account_result account =
        rc_account_name(d->rules.account, r->identity, r->claims, d->username);
    const char *hint;

    doctor_say(d, DOCTOR_OK, "claim", "user key %s, name %s, tenant %s", r->identity->user_key,
               r->identity->name[0] == '\0' ? "none" : r->identity->name,
               r->identity->tenant[0] == '\0' ? "none" : r->identity->tenant);
    if (account == RC_ACCOUNT_OK) {
        doctor_say(d, DOCTOR_OK, "account", "the Rocket.Chat user name is %s", d->username);
        return;
    }
    d->username[0] = '\0';
    hint = login_hint(rc_account_code(account));
    doctor_say(d, DOCTOR_FAIL, "account", "no Rocket.Chat account (%s): %s",
               rc_account_code(account), hint == NULL ? "" : hint);
}

static const char *signature_hint(enum jwt_result result)
{
    switch (result) {
    case JWT_BAD_SIGNATURE:
        return "it was signed with another key: SecurityKey must be the backend's";
    case JWT_UNKNOWN_KEY:
        return "none of the keys is of its kind or has its kid";
    case JWT_ALG_REFUSED:
        return "PushBridge:Auth:Algorithms does not list its algorithm";
    case JWT_MALFORMED:
        return "it is no JWT, nor an enc_auth_token that a pass phrase opens";
    default:
        return "see the claims";
    }
}

static void check_header(struct doctor *d, struct slice token)
{
    json_t *header = jwt_read_unverified(token, JWT_PART_HEADER);
    char alg[40], kid[80];

    if (header == NULL)
        return;
    claim_text(json_object_get(header, "alg"), alg, sizeof alg);
    claim_text(json_object_get(header, "kid"), kid, sizeof kid);
    doctor_say(d, DOCTOR_OK, "token", "alg is %s, kid is %s", alg, kid);
    json_decref(header);
}

/* The three carriers, as the app's requests have them. */
static void check_carriers(struct doctor *d)
{
    const struct identity_options *options = &d->rules.identity;
    char bearer[2 * JWT_MAX_BYTES + 16];
    const struct token_carriers rows[] = {
        {.authorization = {bearer, 0}},
        {.access_token = d->token},
        {.enc_auth_token = d->token},
    };
    static const char *const names[] = {"Authorization", "access_token", "enc_auth_token"};
    char found[80] = "";

    snprintf(bearer, sizeof bearer, "Bearer %.*s", (int)d->token.len, d->token.ptr);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct token_carriers c = rows[i];
        struct identity_result r;

        if (i == 0)
            c.authorization = slice_of(bearer);
        identity_from_request(options, d->keys, &c, doctor_wall_ms(), &r);
        if (r.outcome == IDENTITY_USER)
            snprintf(found + strlen(found), sizeof found - strlen(found), "%s%s",
                     found[0] == '\0' ? "" : ", ", names[i]);
        identity_result_free(&r);
    }
    explicit_bzero(bearer, sizeof bearer);
    if (found[0] != '\0')
        doctor_say(d, DOCTOR_OK, "carriers", "the token is taken in: %s", found);
    if (d->settings->auth.encrypted_token_pass_phrases.count == 0)
        doctor_say(d, DOCTOR_OK, "carriers", "enc_auth_token is switched off");
}

/* The JWT itself: what was given, or what is in it. */
static struct slice plain_token(const struct doctor *d, char buffer[JWT_MAX_BYTES])
{
    size_t len;

    if (d->rules.enc_token != NULL &&
        enc_token_decrypt(d->rules.enc_token, d->token, buffer, JWT_MAX_BYTES, &len))
        return (struct slice){buffer, len};
    return d->token;
}

void doctor_token(struct doctor *d)
{
    char buffer[JWT_MAX_BYTES];
    struct jwt_token verified = {0};
    struct identity_result r;
    struct token_carriers carriers;
    enum jwt_result result;
    struct slice token;
    json_t *claims;

    if (d->token.len == 0) {
        doctor_say(d, DOCTOR_WARN, "token",
                   "none was given (--token JWT): the claims, negotiate and the user's login are "
                   "not looked at");
        return;
    }
    token = plain_token(d, buffer);
    result = jwt_verify(&d->rules.identity.jwt, d->keys, token, doctor_wall_ms(), &verified);
    if (result == JWT_OK)
        doctor_say(d, DOCTOR_OK, "token", "verified by key %u", verified.key_index);
    else
        doctor_say(d, DOCTOR_FAIL, "token", "refused: %s; %s", jwt_result_text(result),
                   signature_hint(result));
    jwt_token_free(&verified);
    check_header(d, token);
    claims = jwt_read_unverified(token, JWT_PART_PAYLOAD);
    if (claims != NULL)
        check_registered(d, claims);
    json_decref(claims);
    carriers = (struct token_carriers){.access_token = token};
    if (result == JWT_OK) {
        identity_from_request(&d->rules.identity, d->keys, &carriers, doctor_wall_ms(), &r);
        d->token_good = r.outcome == IDENTITY_USER;
        if (d->token_good)
            check_identity(d, &r);
        else
            doctor_say(d, DOCTOR_FAIL, "claim", "%s; see PushBridge:Auth:UserIdClaims and the like",
                       r.reason);
        identity_result_free(&r);
        check_carriers(d);
    } else if (identity_unproven(&d->rules.identity, &carriers, &r)) {
        doctor_say(d, DOCTOR_OK, "claim", "it says: user key %s, name %s", r.identity->user_key,
                   r.identity->name[0] == '\0' ? "none" : r.identity->name);
        identity_result_free(&r);
    }
    explicit_bzero(buffer, sizeof buffer);
}
