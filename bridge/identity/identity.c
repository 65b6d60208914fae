#include "bridge/identity/identity.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define NUMBER_TEXT_BYTES 24 /* a 64-bit integer and its sign */

/* The value of the first claim of a list that is there. */
struct claim {
    struct slice text; /* empty: absent */
    char number[NUMBER_TEXT_BYTES];
};

/* No C0, DEL or C1: names end up in logs, terminals and addresses. The text is valid UTF-8. */
static bool has_control(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];

        if (c < 0x20 || c == 0x7f || (c == 0xc2 && (unsigned char)text.ptr[i + 1] < 0xa0))
            return true;
    }
    return false;
}

/* False: the first one there is no string and no whole number, or not within bounds. */
static bool read_claim(const json_t *claims, const char *const *names, size_t max_bytes,
                       struct claim *out)
{
    const json_t *value = NULL;

    out->text = (struct slice){0};
    for (; *names != NULL; names++) {
        value = json_object_get(claims, *names);
        if (value != NULL && !json_is_null(value) &&
            !(json_is_string(value) && json_string_length(value) == 0))
            break;
    }
    if (*names == NULL)
        return true;
    if (json_is_string(value)) {
        out->text = (struct slice){json_string_value(value), json_string_length(value)};
    } else if (json_is_integer(value)) {
        snprintf(out->number, sizeof out->number, "%" JSON_INTEGER_FORMAT,
                 json_integer_value(value));
        out->text = slice_of(out->number);
    } else {
        return false;
    }
    return out->text.len <= max_bytes && !has_control(out->text);
}

/* Appends text and a NUL at *at, moves *at behind them. */
static const char *place(char **at, struct slice text)
{
    char *start = *at;

    if (text.len > 0)
        memcpy(start, text.ptr, text.len);
    start[text.len] = '\0';
    *at = start + text.len + 1;
    return start;
}

static struct identity *identity_new(struct slice id, struct slice name, struct slice tenant,
                                     const struct jwt_token *token)
{
    bool plain = tenant.len == 0 && memchr(id.ptr, '@', id.len) == NULL;
    size_t size = 2 * id.len + name.len + 2 * tenant.len + sizeof "@" + 4;
    struct identity *who = malloc(sizeof *who + size);
    char *at;

    if (who == NULL)
        return NULL;
    who->expires_ms = token->expires_ms;
    who->key_index = token->key_index;
    at = who->_text;
    who->user_key = place(&at, id);
    if (!plain) {
        at[-1] = '@';
        place(&at, tenant);
    }
    who->user_id = place(&at, id);
    who->name = place(&at, name);
    who->tenant = place(&at, tenant);
    return who;
}

/* NULL: the identity is in *who. Otherwise why not, as a constant text. */
static const char *read_identity(const struct identity_options *options,
                                 const struct jwt_token *token, struct identity **who)
{
    struct claim id, name, tenant;

    if (!read_claim(token->claims, options->user_id_claims, IDENTITY_ID_MAX_BYTES, &id))
        return "the user id claim is not a usable value";
    if (id.text.len == 0)
        return "no user id claim";
    if (!read_claim(token->claims, options->name_claims, IDENTITY_NAME_MAX_BYTES, &name))
        return "the user name claim is not a usable value";
    if (!read_claim(token->claims, options->tenant_claims, IDENTITY_TENANT_MAX_BYTES, &tenant) ||
        (tenant.text.len > 0 && memchr(tenant.text.ptr, '@', tenant.text.len) != NULL))
        return "the tenant claim is not a usable value";
    *who = identity_new(id.text, name.text, tenant.text, token);
    return *who == NULL ? "out of memory" : NULL;
}

void identity_from_request(const struct identity_options *options, const struct jwt_keys *keys,
                           const struct token_carriers *carriers, int64_t now_ms,
                           struct identity_result *result)
{
    char buffer[JWT_MAX_BYTES];
    struct jwt_token token = {0};
    struct slice text;

    *result = (struct identity_result){.outcome = IDENTITY_ANONYMOUS, .reason = "no token"};
    switch (token_carrier_find(carriers, options->enc_token, buffer, &text)) {
    case TOKEN_CARRIER_NONE:
        return;
    case TOKEN_CARRIER_UNREADABLE:
        result->outcome = IDENTITY_REFUSED;
        result->jwt = JWT_MALFORMED;
        result->reason = "an enc_auth_token that no pass phrase opens, and no other token";
        return;
    case TOKEN_CARRIER_ENCRYPTED:
    case TOKEN_CARRIER_HEADER:
    case TOKEN_CARRIER_QUERY:
        break;
    }
    result->outcome = IDENTITY_REFUSED;
    result->jwt = jwt_verify(&options->jwt, keys, text, now_ms, &token);
    result->reason = jwt_result_text(result->jwt);
    if (result->jwt != JWT_OK)
        return;
    const char *why = read_identity(options, &token, &result->identity);
    if (why == NULL) {
        result->outcome = IDENTITY_USER;
        result->claims = token.claims;
        return;
    }
    result->reason = why;
    jwt_token_free(&token);
}

bool identity_unproven(const struct identity_options *options,
                       const struct token_carriers *carriers, struct identity_result *result)
{
    char buffer[JWT_MAX_BYTES];
    struct jwt_token token = {0};
    struct slice text;

    *result = (struct identity_result){.outcome = IDENTITY_REFUSED, .reason = "not verified"};
    switch (token_carrier_find(carriers, options->enc_token, buffer, &text)) {
    case TOKEN_CARRIER_NONE:
    case TOKEN_CARRIER_UNREADABLE:
        return false;
    case TOKEN_CARRIER_ENCRYPTED:
    case TOKEN_CARRIER_HEADER:
    case TOKEN_CARRIER_QUERY:
        break;
    }
    token.claims = jwt_read_unverified(text, JWT_PART_PAYLOAD);
    if (token.claims == NULL || read_identity(options, &token, &result->identity) != NULL) {
        jwt_token_free(&token);
        return false;
    }
    result->claims = token.claims;
    return true;
}

void identity_result_free(struct identity_result *result)
{
    free(result->identity);
    json_decref(result->claims);
    result->identity = NULL;
    result->claims = NULL;
}
