#include "signalr/http/http_parse.h"

#include <assert.h>
#include <llhttp.h>
#include <stdlib.h>

enum {
    METHOD_MAX = 32,     /* longer than any registered one */
    EMPTY_LINES_MAX = 4, /* bytes; RFC 9112 2.2 asks to skip at least one empty line */
};

enum stage { STAGE_METHOD, STAGE_LINE, STAGE_HEADERS, STAGE_BODY, STAGE_OVER };

struct http_parse {
    enum stage stage;
    struct http_parse_limits limits;
    struct byte_buf raw, body;
    struct http_head head;
    struct http_fault fault;
    bool head_in;
    size_t empty_bytes;
    size_t taken;           /* bytes at the front of body that are not wanted any more */
    uint64_t body_len;      /* all of it so far */
    uint64_t framing;       /* bytes of the body section that are not body: chunk sizes, trailers */
    char framing_last;      /* the last of them */
    const char *chunk_from; /* during one llhttp_execute: the first byte not counted yet */
    llhttp_t llhttp;
};

static int on_pause(llhttp_t *l)
{
    (void)l;
    return HPE_PAUSED;
}

static int on_headers_complete(llhttp_t *l)
{
    struct http_parse *p = l->data;

    /* Upgrades are ours to decide; llhttp shall read every request as a plain one. */
    l->upgrade = 0;
    p->head_in = true;
    return HPE_PAUSED;
}

static bool fail(struct http_parse *p, int status, const char *why)
{
    p->fault = (struct http_fault){status, why};
    return false;
}

/* What stands around the chunks, sizes, extensions and trailers: llhttp gives it no limit, closes
 * the trailers with a bare LF too, and unfolds them. The same rules hold as for the head, or
 * somebody in front of us sees the request end elsewhere. A sender of one-byte chunks needs five
 * bytes of framing for each. */
static bool framing_good(struct http_parse *p, const char *at, const char *end)
{
    for (; at < end; at++) {
        if (++p->framing > p->limits.head_bytes + 8 * p->body_len)
            return fail(p, 431, "too much around the chunks of a body");
        if (*at == '\n' && p->framing_last != '\r')
            return fail(p, 400, "line feed without carriage return");
        if ((*at == ' ' || *at == '\t') && p->framing_last == '\n')
            return fail(p, 400, "folded trailer line");
        p->framing_last = *at;
    }
    return true;
}

static int on_body(llhttp_t *l, const char *at, size_t len)
{
    struct http_parse *p = l->data;

    if (!framing_good(p, p->chunk_from, at))
        return HPE_USER;
    p->chunk_from = at + len;
    if (len > p->limits.body_bytes - p->body_len) {
        fail(p, 413, "body too large");
        return HPE_USER;
    }
    p->body_len += len;
    if (p->taken > 0) {
        byte_buf_consume(&p->body, p->taken);
        p->taken = 0;
    }
    byte_buf_append(&p->body, at, len);
    if (byte_buf_failed(&p->body)) {
        fail(p, 503, "no memory");
        return HPE_USER;
    }
    return 0;
}

static const llhttp_settings_t settings = {
    .on_version_complete = on_pause,
    .on_headers_complete = on_headers_complete,
    .on_body = on_body,
    .on_message_complete = on_pause,
};

struct http_parse *http_parse_new(const struct http_parse_limits *limits)
{
    struct http_parse *p = calloc(1, sizeof *p);

    if (p == NULL)
        return NULL;
    p->limits = *limits;
    llhttp_init(&p->llhttp, HTTP_REQUEST, &settings);
    p->llhttp.data = p;
    return p;
}

void http_parse_free(struct http_parse *p)
{
    if (p == NULL)
        return;
    byte_buf_free(&p->raw);
    byte_buf_free(&p->body);
    http_head_free(&p->head);
    free(p);
}

const struct http_head *http_parse_head(const struct http_parse *p)
{
    return &p->head;
}

struct slice http_parse_raw_head(const struct http_parse *p)
{
    return byte_buf_slice(&p->raw);
}

struct slice http_parse_body(const struct http_parse *p)
{
    return byte_buf_slice(&p->body);
}

void http_parse_stream(struct http_parse *p, uint64_t body_bytes)
{
    assert(p->stage == STAGE_BODY && p->body_len == 0);
    p->limits.body_bytes = body_bytes;
}

size_t http_parse_waiting(const struct http_parse *p)
{
    return p->body.len - p->taken;
}

uint64_t http_parse_body_len(const struct http_parse *p)
{
    return p->body_len;
}

size_t http_parse_take(struct http_parse *p, char *to, size_t cap)
{
    size_t n = http_parse_waiting(p) < cap ? http_parse_waiting(p) : cap;

    if (n > 0)
        memcpy(to, p->body.data + p->taken, n);
    p->taken += n;
    if (p->taken == p->body.len) {
        byte_buf_clear(&p->body);
        p->taken = 0;
    }
    return n;
}

bool http_parse_fits(const struct http_parse *p)
{
    return p->head.content_length <= p->limits.body_bytes;
}

const struct http_head *http_parse_salvage(struct http_parse *p)
{
    if (p->head.path.len == 0)
        http_head_salvage(byte_buf_slice(&p->raw), &p->head);
    return &p->head;
}

bool http_parse_started(const struct http_parse *p)
{
    return p->raw.len > 0;
}

struct http_fault http_parse_fault(const struct http_parse *p)
{
    return p->fault;
}

static enum http_parse_result over(struct http_parse *p, enum http_parse_result result)
{
    p->stage = STAGE_OVER;
    return result;
}

static bool keep_raw(struct http_parse *p, const char *data, size_t len)
{
    byte_buf_append(&p->raw, data, len);
    return !byte_buf_failed(&p->raw) || fail(p, 503, "no memory");
}

/* The method is read here: llhttp stops at the first letter that no method of its own has, which
 * makes an unknown method (501) and garbage (400) look alike. */
static enum http_parse_result read_method(struct http_parse *p, const char *data, size_t len,
                                          size_t *consumed)
{
    enum http_method method;

    while (*consumed < len) {
        char c = data[(*consumed)++];

        if (p->raw.len == 0 && (c == '\r' || c == '\n')) {
            if (++p->empty_bytes > EMPTY_LINES_MAX)
                goto bad;
            continue;
        }
        if (c == ' ' && p->raw.len > 0) {
            if (!http_method_find(byte_buf_slice(&p->raw), &method)) {
                fail(p, 501, "method not known");
                return over(p, HTTP_PARSE_BAD);
            }
            if (!keep_raw(p, &c, 1))
                return over(p, HTTP_PARSE_BAD);
            if (llhttp_execute(&p->llhttp, p->raw.data, p->raw.len) != HPE_OK)
                goto bad;
            p->stage = STAGE_LINE;
            return HTTP_PARSE_NEED_MORE;
        }
        if (!http_is_tchar(c) || p->raw.len == METHOD_MAX)
            goto bad;
        if (!keep_raw(p, &c, 1))
            return over(p, HTTP_PARSE_BAD);
    }
    return HTTP_PARSE_NEED_MORE;
bad:
    fail(p, 400, "not an HTTP request");
    return over(p, HTTP_PARSE_BAD);
}

static void llhttp_fault(struct http_parse *p, llhttp_errno_t error)
{
    if (p->fault.status != 0)
        return; /* a callback said why */
    if (error == HPE_INVALID_VERSION)
        fail(p, 505, "HTTP version not served");
    else if (p->stage == STAGE_BODY)
        fail(p, 400, "bad chunked body");
    else
        fail(p, 400, p->stage == STAGE_LINE ? "bad request line" : "bad header field");
}

/* Both readings of the head must agree on where the body ends. */
static bool same_framing(const struct http_parse *p)
{
    bool chunked = (p->llhttp.flags & F_CHUNKED) != 0;

    return chunked == p->head.chunked &&
           (chunked || p->llhttp.content_length == p->head.content_length);
}

static enum http_parse_result head_complete(struct http_parse *p)
{
    if (!http_head_read(byte_buf_slice(&p->raw), &p->head, &p->fault))
        return over(p, HTTP_PARSE_BAD);
    if (p->head.lacks_length) {
        fail(p, 411, "request without a length");
        return over(p, HTTP_PARSE_BAD);
    }
    if (!same_framing(p)) {
        fail(p, 400, "ambiguous body length");
        return over(p, HTTP_PARSE_BAD);
    }
    p->stage = STAGE_BODY;
    return HTTP_PARSE_HEAD;
}

/* Request line and header fields. llhttp is never shown a byte past the limit in force, so it can't
 * find a fault there first. */
static enum http_parse_result read_head(struct http_parse *p, const char *data, size_t len,
                                        size_t *consumed)
{
    while (*consumed < len) {
        bool in_line = p->stage == STAGE_LINE;
        size_t limit = p->limits.head_bytes;
        const char *from = data + *consumed;
        size_t n = len - *consumed;
        llhttp_errno_t error;

        if (in_line && p->limits.request_line_bytes < limit)
            limit = p->limits.request_line_bytes;
        if (p->raw.len >= limit) {
            fail(p, in_line ? 414 : 431, in_line ? "request line too long" : "head too large");
            return over(p, HTTP_PARSE_BAD);
        }
        if (n > limit - p->raw.len)
            n = limit - p->raw.len;
        error = llhttp_execute(&p->llhttp, from, n);
        if (error == HPE_PAUSED) {
            n = (size_t)(llhttp_get_error_pos(&p->llhttp) - from);
            llhttp_resume(&p->llhttp);
        } else if (error != HPE_OK) {
            llhttp_fault(p, error);
            keep_raw(p, from, (size_t)(llhttp_get_error_pos(&p->llhttp) - from));
            return over(p, HTTP_PARSE_BAD);
        }
        *consumed += n;
        if (!keep_raw(p, from, n))
            return over(p, HTTP_PARSE_BAD);
        if (error == HPE_PAUSED) {
            if (p->head_in)
                return head_complete(p);
            p->stage = STAGE_HEADERS;
        }
    }
    return HTTP_PARSE_NEED_MORE;
}

static enum http_parse_result read_body(struct http_parse *p, const char *data, size_t len,
                                        size_t *consumed)
{
    llhttp_errno_t error;
    const char *end = data + len;

    if (!http_parse_fits(p)) {
        fail(p, 413, "body too large");
        return over(p, HTTP_PARSE_BAD);
    }
    if (!p->head.chunked && p->head.content_length == 0)
        return over(p, HTTP_PARSE_DONE);
    if (len == 0)
        return HTTP_PARSE_NEED_MORE;
    p->chunk_from = data;
    error = llhttp_execute(&p->llhttp, data, len);
    if (error != HPE_OK)
        end = llhttp_get_error_pos(&p->llhttp);
    *consumed = (size_t)(end - data);
    /* Also before a fault of llhttp's further on: cut earlier, the same bytes end here. */
    if (p->fault.status == 0 && !framing_good(p, p->chunk_from, end))
        return over(p, HTTP_PARSE_BAD);
    if (error == HPE_OK)
        return HTTP_PARSE_NEED_MORE;
    if (error == HPE_PAUSED)
        return over(p, HTTP_PARSE_DONE);
    llhttp_fault(p, error);
    return over(p, HTTP_PARSE_BAD);
}

enum http_parse_result http_parse_feed(struct http_parse *p, const char *data, size_t len,
                                       size_t *consumed)
{
    enum http_parse_result result = HTTP_PARSE_NEED_MORE;

    assert(p->stage != STAGE_OVER);
    *consumed = 0;
    if (p->stage == STAGE_METHOD)
        result = read_method(p, data, len, consumed);
    if (p->stage == STAGE_LINE || p->stage == STAGE_HEADERS)
        result = read_head(p, data, len, consumed);
    else if (p->stage == STAGE_BODY)
        result = read_body(p, data, len, consumed);
    return result;
}
