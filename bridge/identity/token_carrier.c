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

static enum token_carrier open_encrypted(const struct enc_token *enc, struct slice raw,
                                         char buffer[JWT_MAX_BYTES], size_t *len)
{
    char decoded[ENCRYPTED_MAX_BYTES];
    struct slice value = {decoded, 0};

    if (!http_percent_decode(raw, decoded, sizeof decoded, &value.len))
        return TOKEN_CARRIER_UNREADABLE;
    if (is_none(value))
        return TOKEN_CARRIER_NONE;
    return enc != NULL && enc_token_decrypt(enc, value, buffer, JWT_MAX_BYTES, len)
               ? TOKEN_CARRIER_ENCRYPTED
               : TOKEN_CARRIER_UNREADABLE;
}

enum token_carrier token_carrier_find(const struct token_carriers *carriers,
                                      const struct enc_token *enc, char buffer[JWT_MAX_BYTES],
                                      struct slice *token)
{
    struct slice header = bearer(carriers->authorization);
    size_t len = 0;
    enum token_carrier encrypted = open_encrypted(enc, carriers->enc_auth_token, buffer, &len);

    if (encrypted == TOKEN_CARRIER_ENCRYPTED) {
        *token = (struct slice){buffer, len};
        return encrypted;
    }
    if (!is_none(header)) {
        *token = header;
        return TOKEN_CARRIER_HEADER;
    }
    if (!http_percent_decode(carriers->access_token, buffer, JWT_MAX_BYTES, &len))
        *token = carriers->access_token;
    else
        *token = (struct slice){buffer, len};
    return is_none(*token) ? encrypted : TOKEN_CARRIER_QUERY;
}
