/* signalr/http/http_parse.h - cut received bytes into one HTTP/1.x request.
 *
 * llhttp (strict) walks the bytes once and does the body's framing; limits are counted here, at the
 * byte that passes them, so that the result never depends on how the bytes were cut. The head is
 * kept as it came: http_head.h reads it, and a request that moves to another loop takes it along.
 *
 * The body is kept until it is whole, or, streamed, until it is taken, piece by piece.
 *
 * One object reads one request; init it again for the next. */
#ifndef SIGNALR_HTTP_HTTP_PARSE_H
#define SIGNALR_HTTP_HTTP_PARSE_H

#include "base/byte_buf.h"
#include "signalr/http/http_head.h"

struct http_parse_limits {
    size_t request_line_bytes; /* 414 */
    size_t head_bytes;         /* 431; request line included, and trailers of a chunked body */
    uint64_t body_bytes;       /* 413 */
};

enum http_parse_result {
    HTTP_PARSE_NEED_MORE, /* everything was consumed */
    HTTP_PARSE_HEAD,      /* the head is in; feed on for the body */
    HTTP_PARSE_DONE,      /* the request is whole; what was not consumed belongs to the next */
    HTTP_PARSE_BAD,       /* see fault; feed no more */
};

struct http_parse;

/* NULL: no memory. */
struct http_parse *http_parse_new(const struct http_parse_limits *limits);
void http_parse_free(struct http_parse *p); /* NULL is fine */

enum http_parse_result http_parse_feed(struct http_parse *p, const char *data, size_t len,
                                       size_t *consumed);

/* At HTTP_PARSE_HEAD, before the body is fed: its bytes are for http_parse_take(), and it may have
 * up to body_bytes. The caller bounds what waits by how much it feeds. */
void http_parse_stream(struct http_parse *p, uint64_t body_bytes);
size_t http_parse_waiting(const struct http_parse *p);    /* bytes to be taken */
uint64_t http_parse_body_len(const struct http_parse *p); /* bytes that have come, taken or not */
size_t http_parse_take(struct http_parse *p, char *to, size_t cap);
/* The head announced no longer body than the limit allows; feeding on says 413 otherwise. */
bool http_parse_fits(const struct http_parse *p);

/* From HTTP_PARSE_HEAD on. */
const struct http_head *http_parse_head(const struct http_parse *p);
struct slice http_parse_raw_head(const struct http_parse *p);
struct slice http_parse_body(const struct http_parse *p); /* decoded; whole at HTTP_PARSE_DONE */
bool http_parse_started(const struct http_parse *p);      /* has seen more than empty lines */
struct http_fault http_parse_fault(const struct http_parse *p);
/* Of a head that broke, or is given up: what http_head_salvage() makes of it; path empty: nothing.
 * The object's own; feed no more. */
const struct http_head *http_parse_salvage(struct http_parse *p);

#endif
