/* Params and result of the DDP method login: rocketchat.md 2.1 and 2.2. */
#include "base/byte_buf.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/json_fields_internal.h"
#include <openssl/evp.h>

bool ddp_login_resume_params(struct byte_buf *out, struct slice token)
{
    byte_buf_puts(out, "[{\"resume\":");
    json_write_string(out, token);
    byte_buf_puts(out, "}]");
    return !byte_buf_failed(out);
}

bool ddp_login_password_params(struct byte_buf *out, struct slice username, struct slice password)
{
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned len;

    if (EVP_Digest(password.ptr, password.len, digest, &len, EVP_sha256(), NULL) != 1)
        return false;
    byte_buf_puts(out, "[{\"user\":{\"username\":");
    json_write_string(out, username);
    byte_buf_puts(out, "},\"password\":{\"digest\":\"");
    for (unsigned i = 0; i < len; i++)
        byte_buf_printf(out, "%02x", digest[i]);
    byte_buf_puts(out, "\",\"algorithm\":\"sha-256\"}}]");
    return !byte_buf_failed(out);
}

/* Ids and tokens travel in request headers, too; and in JSON as they are. */
static bool is_plain(struct slice raw)
{
    for (size_t i = 0; i < raw.len; i++)
        if (raw.ptr[i] <= ' ' || raw.ptr[i] >= 0x7f || raw.ptr[i] == '\\')
            return false;
    return raw.len > 0;
}

bool ddp_login_result_parse(struct slice result, struct ddp_login_result *out)
{
    struct json_reader r;
    struct json_key key;

    *out = (struct ddp_login_result){0};
    json_reader_init(&r, result.ptr, result.len, JSON_MAX_DEPTH);
    if (!json_enter_object(&r))
        return false;
    while (json_next_plain_key(&r, &key)) {
        if (json_key_is(&key, "id"))
            json_read_if(&r, JSON_KIND_STRING, &out->user_id);
        else if (json_key_is(&key, "token"))
            json_read_if(&r, JSON_KIND_STRING, &out->token);
        else
            json_skip(&r);
    }
    return json_end(&r) && is_plain(out->user_id) && is_plain(out->token);
}
