#include "signalr/http/ws_frame.h"

#define BIT_FIN 0x80
#define BITS_RSV 0x70
#define BIT_MASK 0x80

void ws_frame_reader_init(struct ws_frame_reader *r)
{
    *r = (struct ws_frame_reader){0};
    utf8_check_init(&r->_utf8);
}

bool ws_close_code_valid(unsigned code)
{
    /* 1004 to 1006 and 1015 are reserved, 1012 to 1014 registered since; 3000 up is for libraries
     * and applications. */
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

/* Eight bytes at a time; memcpy because payloads start at any address. */
static void unmask(uint8_t *p, size_t len, uint8_t mask[4])
{
    uint64_t wide, word;
    uint8_t turned[8];
    size_t i = 0;

    for (unsigned k = 0; k < 8; k++)
        turned[k] = mask[k % 4];
    memcpy(&wide, turned, 8);
    for (; len - i >= 8; i += 8) {
        memcpy(&word, p + i, 8);
        word ^= wide;
        memcpy(p + i, &word, 8);
    }
    for (; i < len; i++)
        p[i] ^= turned[i % 8];
    for (unsigned k = 0; k < 4; k++)
        mask[k] = turned[(len + k) % 4];
}

static enum ws_frame_result bad(struct ws_frame_event *event, unsigned code)
{
    event->close_code = code;
    return WS_FRAME_BAD;
}

static enum ws_frame_result read_close(struct ws_frame_event *event)
{
    unsigned code;

    event->close_code = WS_CLOSE_NONE;
    if (event->len == 0)
        return WS_FRAME_CLOSE;
    if (event->len == 1)
        return bad(event, WS_CLOSE_PROTOCOL);
    code = (unsigned)event->payload[0] << 8 | event->payload[1];
    if (!ws_close_code_valid(code))
        return bad(event, WS_CLOSE_PROTOCOL);
    if (!utf8_valid(event->payload + 2, event->len - 2))
        return bad(event, WS_CLOSE_BAD_DATA);
    event->close_code = code;
    return WS_FRAME_CLOSE;
}

struct header {
    uint64_t len;
    uint8_t mask[4];
    uint8_t opcode;
    bool fin;
};

enum header_result { HEADER_OK, HEADER_NEED_MORE, HEADER_BAD };

/* Each rule is tested at the first byte that can break it: a peer that is wrong hears of it without
 * having to send more. */
static enum header_result read_header(const struct ws_frame_reader *r, const uint8_t *data,
                                      size_t len, struct header *h, size_t *consumed)
{
    bool control;
    size_t extra, at = 2;

    if (len < 1)
        return HEADER_NEED_MORE;
    h->fin = (data[0] & BIT_FIN) != 0;
    h->opcode = data[0] & 0x0f;
    control = h->opcode >= WS_OP_CLOSE;
    if (data[0] & BITS_RSV)
        return HEADER_BAD;
    if (control ? h->opcode > WS_OP_PONG || !h->fin
                : h->opcode > WS_OP_BINARY || (h->opcode == WS_OP_CONTINUATION) != r->_in_message)
        return HEADER_BAD;

    if (len < 2)
        return HEADER_NEED_MORE;
    h->len = data[1] & 0x7f;
    if (!(data[1] & BIT_MASK) || (control && h->len > WS_CONTROL_MAX))
        return HEADER_BAD;
    extra = h->len == 126 ? 2 : h->len == 127 ? 8 : 0;
    if (extra > 0) {
        if (len < 2 + extra)
            return extra == 8 && len > 2 && (data[2] & 0x80) ? HEADER_BAD : HEADER_NEED_MORE;
        h->len = 0;
        for (; at < 2 + extra; at++)
            h->len = h->len << 8 | data[at];
        if (h->len >> 63 || h->len < (extra == 2 ? 126u : UINT16_MAX + 1u))
            return HEADER_BAD;
    }
    if (len < at + 4)
        return HEADER_NEED_MORE;
    memcpy(h->mask, data + at, 4);
    *consumed = at + 4;
    return HEADER_OK;
}

static enum ws_frame_result read_control(struct header *h, uint8_t *payload,
                                         struct ws_frame_event *event)
{
    unmask(payload, (size_t)h->len, h->mask);
    event->payload = payload;
    event->len = (size_t)h->len;
    if (h->opcode == WS_OP_CLOSE)
        return read_close(event);
    return h->opcode == WS_OP_PING ? WS_FRAME_PING : WS_FRAME_PONG;
}

static void open_frame(struct ws_frame_reader *r, const struct header *h)
{
    if (h->opcode != WS_OP_CONTINUATION) {
        r->_text = h->opcode == WS_OP_TEXT;
        utf8_check_init(&r->_utf8);
    }
    r->_in_frame = r->_in_message = true;
    r->_fin = h->fin;
    r->_left = h->len;
    memcpy(r->_mask, h->mask, sizeof r->_mask);
}

/* False: the message ended inside a UTF-8 sequence. */
static bool close_frame(struct ws_frame_reader *r)
{
    r->_in_frame = false;
    if (!r->_fin)
        return true;
    r->_in_message = false;
    return !r->_text || utf8_check_done(&r->_utf8);
}

enum ws_frame_result ws_frame_read(struct ws_frame_reader *r, uint8_t *data, size_t len,
                                   size_t *consumed, struct ws_frame_event *event)
{
    struct header h;
    size_t at = 0, head;

    *event = (struct ws_frame_event){0};
    *consumed = 0;
    while (!r->_in_frame) {
        switch (read_header(r, data + at, len - at, &h, &head)) {
        case HEADER_NEED_MORE:
            return WS_FRAME_NEED_MORE;
        case HEADER_BAD:
            return bad(event, WS_CLOSE_PROTOCOL);
        case HEADER_OK:
            break;
        }
        if (h.opcode >= WS_OP_CLOSE) {
            if (len - at - head < h.len)
                return WS_FRAME_NEED_MORE;
            *consumed = at + head + (size_t)h.len;
            return read_control(&h, data + at + head, event);
        }
        at += head;
        *consumed = at;
        open_frame(r, &h);
        if (h.len == 0 && !close_frame(r))
            return bad(event, WS_CLOSE_BAD_DATA);
    }

    event->len = len - at < r->_left ? len - at : (size_t)r->_left;
    if (event->len == 0)
        return WS_FRAME_NEED_MORE;
    event->payload = data + at;
    unmask(data + at, event->len, r->_mask);
    *consumed = at + event->len;
    r->_left -= event->len;
    if (r->_text && !utf8_check_feed(&r->_utf8, event->payload, event->len))
        return bad(event, WS_CLOSE_BAD_DATA);
    if (r->_left == 0 && !close_frame(r))
        return bad(event, WS_CLOSE_BAD_DATA);
    return WS_FRAME_DATA;
}
