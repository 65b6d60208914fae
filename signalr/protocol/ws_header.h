/* signalr/protocol/ws_header.h - the header of one whole, unmasked WebSocket frame (RFC 6455 5.2).
 *
 * Encoded messages carry their frame header, so that one buffer serves every connection it goes to;
 * that is why the writer lives with the codecs. A server never masks. */
#ifndef SIGNALR_PROTOCOL_WS_HEADER_H
#define SIGNALR_PROTOCOL_WS_HEADER_H

#include <stddef.h>
#include <stdint.h>

#define WS_HEADER_MAX 10 /* bytes */
#define WS_OPCODE_TEXT 0x1

static inline size_t ws_header_len(size_t payload_len)
{
    return payload_len < 126 ? 2 : payload_len <= UINT16_MAX ? 4 : WS_HEADER_MAX;
}

/* Writes ws_header_len(payload_len) bytes and returns that number. */
static inline size_t ws_header_write(uint8_t *out, uint8_t opcode, size_t payload_len)
{
    size_t len = ws_header_len(payload_len);

    out[0] = (uint8_t)(0x80 | opcode); /* FIN */
    out[1] = (uint8_t)(len == 2 ? payload_len : len == 4 ? 126 : 127);
    for (size_t i = len, rest = payload_len; i > 2; i--, rest >>= 8)
        out[i - 1] = (uint8_t)rest;
    return len;
}

#endif
