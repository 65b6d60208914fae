/* signalr/http/http_stream.h - a request whose body, answer, or both, pass through in pieces.
 *
 * The body: http_options.streams says, once a head is in, that its body is to be streamed;
 * on_request then gets the request at once, with whatever of the body came along. At most
 * HTTP_BODY_WINDOW and one read of it wait here; then the socket is not read any more until
 * http_stream_read() has made room. `Expect: 100-continue` is answered by the first read.
 * The answer: head, pieces, end. http_stream_write() takes everything and tells when to stop; the
 * bytes leave before the loop sleeps.
 *
 *   on_request ─▶ http_stream_open() ─▶ read / head / write / end ...      or http_respond()
 *
 * Until http_stream_open() the request is like any other: on_gone tells that it died. From then on
 * its events do. The request is the handler's until http_respond(), http_stream_end(),
 * http_stream_abort() or gone(). No event comes inside a call of the handler's.
 *
 * An answer may end while the body still comes. What little is left then is swallowed, and the
 * connection stays; if it's much, or nobody knows, the connection ends behind the answer. (A
 * handler that knows it will be so says it in the head: http_response.close.) */
#ifndef SIGNALR_HTTP_HTTP_STREAM_H
#define SIGNALR_HTTP_HTTP_STREAM_H

#include "signalr/http/http_server.h"

enum {
    /* Bytes that wait for http_stream_read(); more stops reading, until all are taken. Twice what
     * one read gives, or every read would stop and start the socket. */
    HTTP_BODY_WINDOW = 131072,
    HTTP_ANSWER_WINDOW = 262144, /* bytes that wait for the peer; more and write says stop */
    HTTP_SWALLOW_MAX = 65536,    /* of a body that nobody reads, for the sake of the connection */
};

struct http_stream_events {
    void (*readable)(void *arg); /* more of the body is here, or its end */
    void (*writable)(void *arg); /* after a write that said stop: everything has left */
    void (*gone)(void *arg);     /* the peer left, took too long, or sent a bad body; req is dead */
    void *arg;
};

/* idle_ms: how long the peer may neither send what is awaited nor take what is written. False: no
 * memory; the request is as before. */
bool http_stream_open(struct http_request *req, const struct http_stream_events *events,
                      unsigned idle_ms);

enum http_stream_read {
    HTTP_STREAM_DATA,  /* *n > 0 bytes were copied */
    HTTP_STREAM_EMPTY, /* nothing now: readable() tells */
    HTTP_STREAM_END,   /* that was the body */
};
enum http_stream_read http_stream_read(struct http_request *req, char *to, size_t cap, size_t *n);
bool http_stream_has_body(const struct http_request *req); /* false: a length of 0, or none */
/* The whole body is here, none of it was read yet, and it is this long. */
bool http_stream_is_whole(const struct http_request *req, size_t *len);

#define HTTP_LENGTH_UNKNOWN UINT64_MAX /* chunked, or for HTTP/1.0 until the connection ends */

/* head: its body is not looked at. length: of the body that follows; for an answer to HEAD, and
 * for 304, of the one that would. */
void http_stream_head(struct http_request *req, const struct http_response *head, uint64_t length);
bool http_stream_write(struct http_request *req, struct slice bytes); /* false: wait: writable() */
void http_stream_end(struct http_request *req);
/* The answer breaks off: the connection ends at once, so that nobody takes it for whole. */
void http_stream_abort(struct http_request *req);
static inline bool http_stream_bodyless(int status, enum http_method method)
{
    return method == HTTP_HEAD_ || status < 200 || status == 204 || status == 304;
}

#endif
