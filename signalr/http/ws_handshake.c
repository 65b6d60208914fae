#include "signalr/http/ws_handshake.h"

#include "base/base64.h"
#include <assert.h>
#include <openssl/evp.h>

enum { KEY_LEN = 24 };

/* Sixteen bytes in base64. The unused bits of the last digit may be anything: the RFC's own example
 * in section 11.3.1 has some set. */
static bool key_valid(struct slice key)
{
    if (key.len != KEY_LEN || key.ptr[22] != '=' || key.ptr[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++) {
        char c = key.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '+' || c == '/'))
            return false;
    }
    return true;
}

bool ws_handshake_check(const struct http_header *headers, size_t n, struct slice *key,
                        struct http_fault *fault)
{
    struct slice version = {NULL, 0};
    unsigned keys = 0, versions = 0;

    for (size_t i = 0; i < n; i++) {
        if (slice_eq_nocase(headers[i].name, SLICE_LIT("sec-websocket-key"))) {
            *key = headers[i].value;
            keys++;
        } else if (slice_eq_nocase(headers[i].name, SLICE_LIT("sec-websocket-version"))) {
            version = headers[i].value;
            versions++;
        }
    }
    if (versions > 1 || keys != 1 || !key_valid(*key)) {
        *fault = (struct http_fault){400, "bad Sec-WebSocket-Key or second version"};
        return false;
    }
    if (!slice_eq(version, SLICE_LIT("13"))) {
        *fault = (struct http_fault){426, "WebSocket version other than 13"};
        return false;
    }
    return true;
}

bool ws_handshake_accept(struct slice key, char out[WS_ACCEPT_LEN + 1])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    char text[KEY_LEN + sizeof guid - 1];
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned len = 0;

    assert(key.len == KEY_LEN);
    memcpy(text, key.ptr, KEY_LEN);
    memcpy(text + KEY_LEN, guid, sizeof guid - 1);
    if (EVP_Digest(text, sizeof text, digest, &len, EVP_sha1(), NULL) != 1)
        return false;
    base64_encode(BASE64_STD, digest, len, out);
    return true;
}
