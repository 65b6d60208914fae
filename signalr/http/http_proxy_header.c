/* The PROXY protocol (haproxy.org, proxy-protocol.txt, sections 2.1 and 2.2). */
#include "signalr/http/http_proxy.h"

enum {
    V1_MAX = 107, /* with CR LF; the document's own figure */
    V2_HEAD = 16,
    V2_TCP4 = 0x11,
    V2_TCP6 = 0x21,
};

static const uint8_t v2_signature[12] = {0x0d, 0x0a, 0x0d, 0x0a, 0x00, 0x0d,
                                         0x0a, 0x51, 0x55, 0x49, 0x54, 0x0a};

static bool same_start(const uint8_t *data, size_t len, const void *want, size_t want_len)
{
    return memcmp(data, want, len < want_len ? len : want_len) == 0;
}

static bool next_word(struct slice *line, struct slice *word)
{
    const char *space = memchr(line->ptr, ' ', line->len);

    if (space == NULL || space == line->ptr)
        return false;
    *word = (struct slice){line->ptr, (size_t)(space - line->ptr)};
    line->ptr += word->len + 1;
    line->len -= word->len + 1;
    return true;
}

static bool port_valid(struct slice text)
{
    uint64_t port;

    return text.len <= 5 && slice_read_digits(text, UINT16_MAX, &port);
}

/* "PROXY TCP4 192.0.2.7 198.51.100.1 56324 443", "PROXY UNKNOWN anything" */
static bool read_v1(struct slice line, struct http_proxy_header *out)
{
    struct slice word, source, target, port;
    struct http_addr ignored;
    bool v6;

    if (!next_word(&line, &word))
        return false;
    if (slice_eq(line, SLICE_LIT("UNKNOWN")) ||
        (line.len > 8 && memcmp(line.ptr, "UNKNOWN ", 8) == 0))
        return true;
    if (!next_word(&line, &word) || !next_word(&line, &source) || !next_word(&line, &target) ||
        !next_word(&line, &port) || !port_valid(port) || !port_valid(line))
        return false;
    v6 = slice_eq(word, SLICE_LIT("TCP6"));
    if (!v6 && !slice_eq(word, SLICE_LIT("TCP4")))
        return false;
    if ((memchr(source.ptr, ':', source.len) != NULL) != v6 ||
        (memchr(target.ptr, ':', target.len) != NULL) != v6)
        return false;
    out->has_source = true;
    return http_addr_parse(source, &out->source) && http_addr_parse(target, &ignored);
}

static enum http_proxy_result read_v2(const uint8_t *data, size_t len,
                                      struct http_proxy_header *out)
{
    static const uint8_t v4_prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
    size_t rest;

    if (len > 12 && (data[12] & 0xf0) != 0x20)
        return HTTP_PROXY_BAD;
    if (len > 12 && (data[12] & 0x0f) > 1)
        return HTTP_PROXY_BAD;
    if (len < V2_HEAD)
        return HTTP_PROXY_NEED_MORE;
    rest = (size_t)data[14] << 8 | data[15];
    if (rest > HTTP_PROXY_HEADER_MAX - V2_HEAD)
        return HTTP_PROXY_BAD;
    if (data[12] == 0x21) { /* PROXY; 0x20 is LOCAL: a health check of the proxy itself */
        if ((data[13] == V2_TCP4 && rest < 12) || (data[13] == V2_TCP6 && rest < 36))
            return HTTP_PROXY_BAD;
        out->has_source = data[13] == V2_TCP4 || data[13] == V2_TCP6;
    }
    if (len < V2_HEAD + rest)
        return HTTP_PROXY_NEED_MORE;
    if (out->has_source && data[13] == V2_TCP4) {
        memcpy(out->source.bytes, v4_prefix, 12);
        memcpy(out->source.bytes + 12, data + V2_HEAD, 4);
    } else if (out->has_source) {
        memcpy(out->source.bytes, data + V2_HEAD, 16);
    }
    out->consumed = V2_HEAD + rest;
    return HTTP_PROXY_OK;
}

enum http_proxy_result http_proxy_header_read(const uint8_t *data, size_t len,
                                              struct http_proxy_header *out)
{
    const uint8_t *end;
    size_t look = len < V1_MAX ? len : V1_MAX;

    *out = (struct http_proxy_header){0};
    if (len == 0)
        return HTTP_PROXY_NEED_MORE;
    if (same_start(data, len, v2_signature, sizeof v2_signature))
        return len < sizeof v2_signature ? HTTP_PROXY_NEED_MORE : read_v2(data, len, out);
    if (!same_start(data, len, "PROXY ", 6))
        return HTTP_PROXY_BAD;
    end = memchr(data, '\n', look);
    if (end == NULL)
        return len < V1_MAX ? HTTP_PROXY_NEED_MORE : HTTP_PROXY_BAD;
    if (end == data || end[-1] != '\r')
        return HTTP_PROXY_BAD;
    if (!read_v1((struct slice){(const char *)data, (size_t)(end - data) - 1}, out))
        return HTTP_PROXY_BAD;
    out->consumed = (size_t)(end - data) + 1;
    return HTTP_PROXY_OK;
}
