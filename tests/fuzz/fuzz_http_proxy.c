/* The first byte picks what the rest is: a PROXY header, X-Forwarded-For, an address, a network. */
#include "signalr/http/http_proxy.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void header(const uint8_t *data, size_t len)
{
    struct http_proxy_header whole, cut;
    enum http_proxy_result result = http_proxy_header_read(data, len, &whole), earlier;

    if (result == HTTP_PROXY_OK)
        assert(whole.consumed > 0 && whole.consumed <= len &&
               whole.consumed <= HTTP_PROXY_HEADER_MAX);
    assert(result != HTTP_PROXY_NEED_MORE || len < HTTP_PROXY_HEADER_MAX);
    for (size_t n = 0; n < len && n < 200; n++) {
        earlier = http_proxy_header_read(data, n, &cut);
        if (earlier == HTTP_PROXY_BAD)
            assert(result == HTTP_PROXY_BAD);
        if (earlier == HTTP_PROXY_OK)
            assert(result == HTTP_PROXY_OK && cut.consumed == whole.consumed &&
                   memcmp(&cut.source, &whole.source, sizeof cut.source) == 0);
    }
}

static void forwarded(struct slice text)
{
    struct http_cidr trusted[2];
    struct http_addr peer;
    struct http_forwarded out;
    size_t half = text.len / 2;
    struct slice both[2] = {{text.ptr, half}, {text.ptr + half, text.len - half}};
    struct http_forwarded_fields fields = {both, both, both, 2, 2, 2};
    char shown[HTTP_ADDR_TEXT_MAX];

    assert(http_cidr_parse(SLICE_LIT("10.0.0.0/8"), &trusted[0]));
    assert(http_cidr_parse(SLICE_LIT("::1"), &trusted[1]));
    assert(http_addr_parse(SLICE_LIT("10.0.0.1"), &peer));
    http_forwarded_read(trusted, 2, &peer, &fields, &out);
    assert(http_addr_text(&out.client, shown) < sizeof shown);
    assert(out.proto.len <= text.len);
    assert(out.proto.len == 0 || memchr(out.proto.ptr, ',', out.proto.len) == NULL);
    assert(http_addr_parse(SLICE_LIT("11.0.0.1"), &peer));
    http_forwarded_read(trusted, 2, &peer, &fields, &out);
    assert(memcmp(&out.client, &peer, sizeof peer) == 0 && out.host.len == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice text;
    struct http_addr addr, again;
    struct http_cidr cidr;
    char shown[HTTP_ADDR_TEXT_MAX];

    if (len == 0)
        return 0;
    text = (struct slice){(const char *)data + 1, len - 1};
    switch (data[0] % 4) {
    case 0:
        header(data + 1, len - 1);
        break;
    case 1:
        forwarded(text);
        break;
    case 2:
        if (http_addr_parse(text, &addr)) {
            size_t n = http_addr_text(&addr, shown);

            assert(http_addr_parse((struct slice){shown, n}, &again));
            assert(memcmp(&addr, &again, sizeof addr) == 0);
        }
        break;
    case 3:
        if (http_cidr_parse(text, &cidr))
            assert(cidr.bits <= 128 && http_cidr_list_has(&cidr, 1, &cidr.addr));
        break;
    }
    return 0;
}
