/* rocketchat/rest_stream.h - one HTTP exchange with Rocket.Chat, passed through in pieces.
 *
 * What is asked comes from the caller, byte for byte: method, path and query, header lines, body.
 * What is answered goes to the caller as it comes: header lines one by one, then the status with
 * the body's length, then the body. Nothing is decoded, kept or followed (a redirect is an answer
 * like any other); trailers and interim answers are dropped. HTTP/1.1. In between lie libcurl's
 * buffers alone, of REST_STREAM_BUFFER bytes each way.
 *
 * Backpressure: read() may say "nothing yet", and body() "enough": what has arrived already still
 * comes, up to a buffer. The exchange rests that way until rest_stream_more() or
 * rest_stream_go_on(). body() may then run inside go_on(); but for that, no event comes inside a
 * call. done() is the last event; the exchange is gone with it, or with rest_stream_cancel(),
 * behind which no event comes. Single-threaded. */
#ifndef ROCKETCHAT_REST_STREAM_H
#define ROCKETCHAT_REST_STREAM_H

#include "rocketchat/rest_client.h"

enum { REST_STREAM_BUFFER = 65536 };
#define REST_LENGTH_UNKNOWN UINT64_MAX

struct rest_stream_client;
struct rest_stream;

struct rest_stream_header {
    struct slice name, value; /* a token; no control bytes */
};

struct rest_stream_request {
    const char *method;  /* a token */
    struct slice target; /* "/path?query" as it shall be sent, below the base address */
    const struct rest_stream_header *headers; /* but for those on host, connection and length */
    size_t nheaders;
    bool has_body;   /* HEAD's is not sent: it means nothing (RFC 9110 9.3.2) */
    uint64_t length; /* of the body; REST_LENGTH_UNKNOWN: sent in chunks */
};

enum rest_stream_read { REST_STREAM_DATA, REST_STREAM_EMPTY, REST_STREAM_END };

/* None of them may cancel the exchange; none but done() may begin or cancel others of the client
 * (libcurl is inside of one). read() may be asked anew before rest_stream_more(): a kept connection
 * turned out to be dead, and the request goes out on another. */
struct rest_stream_events {
    /* The next bytes of the request's body, at most cap; DATA: *n > 0. */
    enum rest_stream_read (*read)(void *arg, char *to, size_t cap, size_t *n);
    void (*header)(void *arg, struct slice name, struct slice value);
    void (*head)(void *arg, int status, uint64_t length); /* all header lines were told */
    bool (*body)(void *arg, struct slice bytes);          /* taken; false: and soon no more */
    /* NULL: the answer is complete. RC_TIMED_OUT: neither side sent anything for too long. */
    void (*done)(void *arg, const struct rc_error *error);
};

/* Of the options, timeout_ms is how long nothing may move, and
 * max_body_bytes means nothing. max_connections: more exchanges wait inside. */
int rest_stream_client_new(uv_loop_t *loop, const struct rest_client_options *options,
                           struct rest_stream_client **out);
/* No exchange is left. done comes later, once. */
void rest_stream_client_free(struct rest_stream_client *client, void (*done)(void *arg), void *arg);

/* What the request points to is borrowed for the call. NULL: no memory. */
struct rest_stream *rest_stream_start(struct rest_stream_client *client,
                                      const struct rest_stream_request *request,
                                      const struct rest_stream_events *events, void *arg);
void rest_stream_more(struct rest_stream *st);  /* read() has something, or the end */
void rest_stream_go_on(struct rest_stream *st); /* body() may be called again */
void rest_stream_cancel(struct rest_stream *st);

#endif
