/* Any bytes, whole and cut: the same end, the same control frames, the same data. */
#include "signalr/http/ws_frame.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct outcome {
    uint8_t *data;
    size_t len;
    uint64_t controls; /* a running sum over kinds and payloads */
    unsigned code;
    enum ws_frame_result last;
};

static void add(uint64_t *sum, uint64_t v)
{
    *sum = (*sum ^ v) * 0x100000001b3u;
}

static bool take(struct ws_frame_reader *r, uint8_t *bytes, size_t len, size_t *used,
                 struct outcome *o)
{
    struct ws_frame_event e;

    o->last = ws_frame_read(r, bytes, len, used, &e);
    assert(*used <= len);
    if (e.len > 0)
        assert(e.payload >= bytes && e.payload + e.len == bytes + *used);
    switch (o->last) {
    case WS_FRAME_NEED_MORE:
        assert(len - *used <= WS_FRAME_TAIL_MAX);
        return false;
    case WS_FRAME_DATA:
        assert(e.len > 0);
        memcpy(o->data + o->len, e.payload, e.len);
        o->len += e.len;
        return true;
    case WS_FRAME_PING:
    case WS_FRAME_PONG:
        assert(e.len <= WS_CONTROL_MAX);
        add(&o->controls, (uint64_t)o->last);
        add(&o->controls, o->len); /* where among the data */
        for (size_t i = 0; i < e.len; i++)
            add(&o->controls, e.payload[i]);
        return true;
    case WS_FRAME_CLOSE:
        assert(e.close_code == WS_CLOSE_NONE || ws_close_code_valid(e.close_code));
        o->code = e.close_code;
        return false;
    case WS_FRAME_BAD:
        assert(e.close_code == WS_CLOSE_PROTOCOL || e.close_code == WS_CLOSE_BAD_DATA);
        o->code = e.close_code;
        return false;
    }
    abort();
}

static struct outcome run(const uint8_t *data, size_t len, size_t step)
{
    struct outcome o = {.data = malloc(len + 1), .last = WS_FRAME_NEED_MORE};
    uint8_t *buf = malloc(len + WS_FRAME_TAIL_MAX + 1);
    size_t kept = 0, used;
    struct ws_frame_reader r;

    assert(o.data != NULL && buf != NULL);
    ws_frame_reader_init(&r);
    for (size_t at = 0; at < len;) {
        size_t n = len - at < step ? len - at : step, from = 0;

        memcpy(buf + kept, data + at, n);
        at += n;
        kept += n;
        while (from < kept && take(&r, buf + from, kept - from, &used, &o))
            from += used;
        if (o.last == WS_FRAME_CLOSE || o.last == WS_FRAME_BAD)
            break;
        if (o.last == WS_FRAME_NEED_MORE && from < kept)
            from += used;
        kept -= from;
        memmove(buf, buf + from, kept);
    }
    free(buf);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct outcome whole, cut;
    size_t step;

    if (len == 0)
        return 0;
    step = data[0] % 60 + 1;
    whole = run(data + 1, len - 1, len);
    cut = run(data + 1, len - 1, step);
    assert(whole.code == cut.code);
    assert((whole.last >= WS_FRAME_CLOSE) == (cut.last >= WS_FRAME_CLOSE));
    assert(whole.controls == cut.controls);
    /* Cut inside a bad frame, its good start has come out already. */
    assert(whole.len == cut.len || (whole.last == WS_FRAME_BAD && whole.len < cut.len));
    assert(memcmp(whole.data, cut.data, whole.len) == 0);
    free(whole.data);
    free(cut.data);
    return 0;
}
