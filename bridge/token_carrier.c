#include "bridge/token_carrier.h"

#include "base/base64.h"
#include "bridge/enc_token.h"

#define ENCRYPTED_MAX_BYTES (BASE64_LEN(JWT_MAX_BYTES + 16))

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* As ASP.NET Core reads a query: a '%' that starts no escape stands for itself (no token has one,
 * so it fails later). But '+' stays: base64 has it, no token has a space. False: more than cap
 * bytes. */
static bool percent_decode(struct slice text, char *out, size_t cap, size_t *out_len)
{
    size_t len = 0;

    for (size_t i = 0; i < text.len; i++) {
        int high = -1, low = -1;

        if (len == cap)
            return false;
        if (text.ptr[i] == '%' && text.len - i > 2) {
            high = hex_value(text.ptr[i + 1]);
            low = hex_value(text.ptr[i + 2]);
        }
        if (high < 0 || low < 0) {
            out[len++] = text.ptr[i];
            continue;
        }
        out[len++] = (char)(high << 4 | low);
        i += 2;
    }
    *out_len = len;
    return true;
}

static bool is_none(struct slice value)
{
    return value.len == 0 || slice_eq(value, SLICE_LIT("null")) ||
           slice_eq(value, SLICE_LIT("undefined"));
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.ptr[0] == ' ' || s.ptr[0] == '\t')) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && (s.ptr[s.len - 1] == ' ' || s.ptr[s.len - 1] == '\t'))
        s.len--;
    return s;
}

/* Empty unless the scheme is Bearer. */
static struct slice bearer(struct slice authorization)
{
    static const struct slice scheme = SLICE_LIT("Bearer ");
    struct slice value = trim(authorization);

    if (value.len <= scheme.len || !slice_eq_nocase((struct slice){value.ptr, scheme.len}, scheme))
        return (struct slice){0};
    return trim((struct slice){value.ptr + scheme.len, value.len - scheme.len});
}

static bool open_encrypted(const struct enc_token *enc, struct slice raw,
                           char buffer[JWT_MAX_BYTES], size_t *len)
{
    char decoded[ENCRYPTED_MAX_BYTES];
    size_t decoded_len;

    return percent_decode(raw, decoded, sizeof decoded, &decoded_len) &&
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
    if (!percent_decode(carriers->access_token, buffer, JWT_MAX_BYTES, &len))
        *token = carriers->access_token;
    else
        *token = (struct slice){buffer, len};
    return is_none(*token) ? none : TOKEN_CARRIER_QUERY;
}
