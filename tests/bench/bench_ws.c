#include "tests/bench/bench_ws.h"
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void ws_write_stamp(char *out, uint64_t ns)
{
    memcpy(out, WS_MARK, WS_MARK_LEN);
    for (size_t i = WS_STAMP_LEN; i > WS_MARK_LEN; i--, ns /= 10)
        out[i - 1] = (char)('0' + ns % 10);
}

bool ws_read_stamp(const uint8_t *text, size_t len, uint64_t *ns)
{
    const uint8_t *at = memmem(text, len, WS_MARK, WS_MARK_LEN);

    if (at == NULL || text + len - at < WS_STAMP_LEN)
        return false;
    *ns = 0;
    for (size_t i = WS_MARK_LEN; i < WS_STAMP_LEN; i++)
        *ns = *ns * 10 + (uint64_t)(at[i] - '0');
    return true;
}

size_t ws_head(uint8_t *out, unsigned opcode, size_t len, bool masked)
{
    const size_t extra = len < 126 ? 0 : len <= UINT16_MAX ? 2 : 8;

    out[0] = (uint8_t)(0x80 | opcode);
    out[1] = (uint8_t)((extra == 0 ? len : extra == 2 ? 126 : 127) | (masked ? 0x80 : 0));
    for (size_t i = extra; i > 0; i--, len >>= 8)
        out[1 + i] = (uint8_t)len;
    if (masked)
        memset(out + 2 + extra, 0, 4);
    return 2 + extra + (masked ? 4 : 0);
}

size_t ws_take(uint8_t *data, size_t len, struct ws_message *out)
{
    size_t extra, mask, body = 0;

    if (len < 2)
        return 0;
    extra = (data[1] & 0x7f) == 126 ? 2 : (data[1] & 0x7f) == 127 ? 8 : 0;
    mask = data[1] & 0x80 ? 4 : 0;
    if (len < 2 + extra + mask)
        return 0;
    for (size_t i = 0; i < extra; i++)
        body = body << 8 | data[2 + i];
    if (extra == 0)
        body = data[1] & 0x7f;
    if (len - 2 - extra - mask < body)
        return 0;
    out->opcode = data[0] & 0x0f;
    out->payload = data + 2 + extra + mask;
    out->len = body;
    for (size_t i = 0; mask != 0 && i < body; i++)
        out->payload[i] ^= data[2 + extra + i % 4];
    return 2 + extra + mask + body;
}

bool http_header(const uint8_t *head, size_t len, const char *name, char *out, size_t cap)
{
    const char *at = (const char *)head, *end = at + len;
    const size_t name_len = strlen(name);

    while ((at = memmem(at, (size_t)(end - at), "\r\n", 2)) != NULL) {
        const char *value, *stop;

        at += 2;
        if ((size_t)(end - at) <= name_len || at[name_len] != ':' ||
            strncasecmp(at, name, name_len) != 0)
            continue;
        value = at + name_len + 1;
        while (*value == ' ')
            value++;
        stop = memmem(value, (size_t)(end - value), "\r\n", 2);
        snprintf(out, cap, "%.*s", (int)((stop == NULL ? end : stop) - value), value);
        return true;
    }
    return false;
}

size_t http_whole(const uint8_t *data, size_t len, const char **body, size_t *body_len)
{
    const uint8_t *end = memmem(data, len, "\r\n\r\n", 4);
    char text[24];
    size_t head;

    if (end == NULL)
        return 0;
    head = (size_t)(end - data) + 4;
    *body = (const char *)data + head;
    *body_len = http_header(data, head - 2, "Content-Length", text, sizeof text)
                    ? strtoul(text, NULL, 10)
                    : 0;
    return len - head < *body_len ? 0 : head + *body_len;
}

size_t ws_accept_answer(const char *key, char *out, size_t cap)
{
    unsigned char digest[EVP_MAX_MD_SIZE], accept[64];
    char text[128];
    const int len = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
    unsigned digest_len;

    EVP_Digest(text, (size_t)len, digest, &digest_len, EVP_sha1(), NULL);
    EVP_EncodeBlock(accept, digest, (int)digest_len);
    return (size_t)snprintf(out, cap,
                            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                            "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                            accept);
}
