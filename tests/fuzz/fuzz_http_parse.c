/* Any bytes, whole, cut, and with the body taken in pieces: the same result, head, body and rest.
 */
#include "signalr/http/http_parse.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static const struct http_parse_limits limits = {
    .request_line_bytes = 200, .head_bytes = 600, .body_bytes = 100};

struct outcome {
    struct http_parse *p;
    enum http_parse_result result;
    size_t consumed;
};

static void check_fields(const struct http_parse *p)
{
    const struct http_head *h = http_parse_head(p);
    struct slice raw = http_parse_raw_head(p);

    assert(raw.len <= limits.head_bytes);
    assert(h->nheaders <= HTTP_HEAD_MAX_HEADERS);
    for (size_t i = 0; i < h->nheaders; i++) {
        assert(h->headers[i].name.len > 0);
        assert(h->headers[i].name.ptr > raw.ptr);
        assert(h->headers[i].value.ptr + h->headers[i].value.len < raw.ptr + raw.len);
        assert(memchr(h->headers[i].value.ptr, '\n', h->headers[i].value.len) == NULL);
    }
}

static void check_head(const struct http_parse *p)
{
    const struct http_head *h = http_parse_head(p);
    struct slice raw = http_parse_raw_head(p);

    check_fields(p);
    assert(h->path.len > 0);
    assert(!(h->chunked && h->has_length));
    assert(!h->upgrade_websocket || (!h->chunked && h->content_length == 0));
    assert(memchr(raw.ptr, '\0', raw.len) == NULL);
}

/* Sometimes some of it, so that what waits is longer and shorter than what comes. */
static void take(struct http_parse *p, size_t most, struct byte_buf *body)
{
    char piece[64];

    byte_buf_append(body, piece, http_parse_take(p, piece, most % (sizeof piece + 1)));
}

/* step 0: in one go. body: NULL, or it is streamed to there. */
static struct outcome run(const char *data, size_t len, size_t step, struct byte_buf *body)
{
    struct outcome o = {http_parse_new(&limits), HTTP_PARSE_NEED_MORE, 0};
    size_t used;

    assert(o.p != NULL);
    while (o.consumed < len || o.result == HTTP_PARSE_HEAD) {
        size_t n = len - o.consumed;

        if (step > 0 && n > step)
            n = step;
        o.result = http_parse_feed(o.p, data + o.consumed, n, &used);
        assert(used <= n);
        o.consumed += used;
        if (o.result == HTTP_PARSE_HEAD)
            check_head(o.p);
        if (o.result == HTTP_PARSE_HEAD && body != NULL)
            http_parse_stream(o.p, limits.body_bytes);
        else if (body != NULL)
            take(o.p, o.consumed, body);
        if (o.result == HTTP_PARSE_DONE || o.result == HTTP_PARSE_BAD)
            break;
        assert(o.result == HTTP_PARSE_HEAD || used == n);
    }
    return o;
}

static void compare(const struct outcome *a, const struct outcome *b)
{
    const struct http_head *x = http_parse_head(a->p), *y = http_parse_head(b->p);

    assert(a->result == b->result);
    if (a->result == HTTP_PARSE_BAD) {
        assert(http_parse_fault(a->p).status == http_parse_fault(b->p).status);
        assert(http_parse_fault(a->p).status >= 400);
        x = http_parse_salvage(a->p);
        y = http_parse_salvage(b->p);
        assert(x->nheaders == y->nheaders && slice_eq(x->path, y->path));
        check_fields(a->p);
        return;
    }
    assert(a->consumed == b->consumed);
    assert(slice_eq(http_parse_raw_head(a->p), http_parse_raw_head(b->p)));
    assert(x->nheaders == y->nheaders && slice_eq(x->path, y->path) && slice_eq(x->host, y->host));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    size_t step;
    struct outcome whole, cut, streamed;
    struct byte_buf body = {0};

    if (len == 0)
        return 0;
    step = data[0] % 40 + 1;
    data++;
    len--;
    whole = run((const char *)data, len, 0, NULL);
    cut = run((const char *)data, len, step, NULL);
    compare(&whole, &cut);
    streamed = run((const char *)data, len, step, &body);
    compare(&whole, &streamed);
    while (http_parse_waiting(streamed.p) > 0)
        take(streamed.p, 64, &body);
    if (whole.result == HTTP_PARSE_DONE) {
        assert(slice_eq(http_parse_body(whole.p), http_parse_body(cut.p)));
        assert(slice_eq(http_parse_body(whole.p), byte_buf_slice(&body)));
    }
    byte_buf_free(&body);
    /* A request that was taken is taken again: what a move to another loop relies on. */
    if (whole.result == HTTP_PARSE_DONE) {
        struct slice raw = http_parse_raw_head(whole.p);
        struct http_head head;
        struct http_fault fault;

        assert(http_head_read(raw, &head, &fault));
        http_head_free(&head);
    }
    http_parse_free(whole.p);
    http_parse_free(cut.p);
    http_parse_free(streamed.p);
    return 0;
}
