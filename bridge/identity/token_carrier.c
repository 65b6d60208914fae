#include "bridge/identity/token_carrier.h"

#include "base/base64.h"
#include "bridge/identity/enc_token.h"
#include "signalr/http/http_server.h"

#define BLANKS " \t"
#define ENCRYPTED_MAX_BYTES (BASE64_LEN(JWT_MAX_BYTES + 16))

static bool is_none(struct slice value)
{
    return value.len == 0 || slice_eq(value, SLICE_LIT("null")) ||
           slice_eq(value, SLICE_LIT("undefined"));
}

/* Empty unless the scheme is Bearer. */
static struct slice bearer(struct slice authorization)
{
    static const struct slice scheme = SLICE_LIT("Bearer ");
    struct slice value = slice_trim(authorization, BLANKS);

    if (value.len <= scheme.len || !slice_eq_nocase((struct slice){value.ptr, scheme.len}, scheme))
        return (struct slice){0};
    return slice_trim((struct slice){value.ptr + scheme.len, value.len - scheme.len}, BLANKS);
}

static bool open_encrypted(const struct enc_token *enc, struct slice raw,
                           char buffer[JWT_MAX_BYTES], size_t *len)
{
    char decoded[ENCRYPTED_MAX_BYTES];
    size_t decoded_len;

    return http_percent_decode(raw, decoded, sizeof decoded, &decoded_len) &&
           enc_token_decrypt(enc, (struct slice){decoded, decoded_len}, buffer, JWT_MAX_BYTES, len);
}

enum token_carrier token_carrier_find(const struct token_carriers *carriers,
                                      const struct enc_token *enc, char buffer[JWT_MAX_BYTES],
                                      struct slice *token)
{
    enum token_carrier none = TOKEN_CARRIER_NONE;
    struct slice header = bearer(carriers->authorization);
    size_t len = 0;

    if (enc != NULL && !is_none(carriers->enc_auth_token)) {
        if (open_encrypted(enc, carriers->enc_auth_token, buffer, &len)) {
            *token = (struct slice){buffer, len};
            return TOKEN_CARRIER_ENCRYPTED;
        }
        none = TOKEN_CARRIER_UNREADABLE;
    }
    if (!is_none(header)) {
        *token = header;
        return TOKEN_CARRIER_HEADER;
    }
    if (!http_percent_decode(carriers->access_token, buffer, JWT_MAX_BYTES, &len))
        *token = carriers->access_token;
    else
        *token = (struct slice){buffer, len};
    return is_none(*token) ? none : TOKEN_CARRIER_QUERY;
}
