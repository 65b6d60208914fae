/* signalr/http/http_server.h - an HTTP/1.1 server on one libuv loop.
 *
 * Reads requests (llhttp, strict), checks what RFC 9112 and our limits ask, answers bad ones itself
 * with the exact status, keeps connections alive, answers pipelined requests in order, resolves the
 * client's address behind trusted proxies, does CORS and the Origin check of upgrades. A whole
 * request (head, and body up to limits.body_bytes) goes to on_request; the handler answers it once,
 * at once or later, by http_respond(), http_upgrade() or http_detach(), or streams (http_stream.h).
 * A connection has one request with the handler at a time: pipelined ones wait, unread, for the
 * answer before them.
 *
 * One server a loop; it may have several listeners, told apart by their tag. Not thread-safe: all
 * calls are made on the loop's thread. No logging: what an operator may want to see goes to
 * on_note.
 */
#ifndef SIGNALR_HTTP_HTTP_SERVER_H
#define SIGNALR_HTTP_HTTP_SERVER_H

#include "base/slice.h"
#include <stdint.h>
#include <uv.h>

struct byte_buf;
struct http_server;
struct http_request;
struct http_handoff;
struct ws_conn;
struct ws_callbacks;
struct http_counts;

enum http_method {
    HTTP_GET_, /* trailing underscore: llhttp.h owns the plain names */
    HTTP_HEAD_,
    HTTP_POST_,
    HTTP_PUT_,
    HTTP_PATCH_,
    HTTP_DELETE_,
    HTTP_OPTIONS_,
};

struct http_header {
    struct slice name, value; /* value without white space around it */
};

/* What a handler sees; valid until the request is answered or on_gone() was called for it. */
struct http_view {
    enum http_method method;
    struct slice path;  /* before '?', as sent (percent-encoded) */
    struct slice query; /* behind '?', as sent; empty: none */
    const struct http_header *headers;
    size_t nheaders;
    struct slice body;
    struct slice host;           /* Host, or X-Forwarded-Host of a trusted proxy */
    struct slice client_address; /* textual IP behind trusted proxies */
    bool secure;                 /* X-Forwarded-Proto: https of a trusted proxy */
    bool wants_websocket;        /* a valid RFC 6455 upgrade request whose Origin was accepted */
    int listener_tag;
};

struct http_limits {
    size_t head_bytes, request_line_bytes, body_bytes; /* 431, 414, 413 */
    unsigned head_timeout_ms, body_timeout_ms;         /* 408 */
    unsigned idle_timeout_ms;                          /* keep-alive wait; closed silently */
    unsigned max_connections, max_per_address; /* 503, closed; 0: none. WebSockets count too;
                                                * an IPv6 /64 is one address; behind a trusted
                                                * proxy each request counts for its client */
};

/* For counters and logs of the host. */
enum http_note {
    HTTP_NOTE_BAD_REQUEST, /* detail: why, in plain words, no peer bytes */
    HTTP_NOTE_ORIGIN_REFUSED,
    HTTP_NOTE_TOO_MANY,
    HTTP_NOTE_TIMEOUT,
    HTTP_NOTE_BAD_PROXY_HEADER,
    HTTP_NOTE_RESPONSE, /* status: what was answered */
};

struct http_options {
    struct http_limits limits;
    struct http_counts *counts;         /* for those limits; NULL: this server's own */
    const char *const *cors_origins;    /* exact origins, NULL-terminated; outlives the server */
    const char *const *trusted_proxies; /* addresses or CIDR, NULL-terminated */
    bool proxy_protocol;                /* trusted proxies must open with PROXY v1 or v2 */
    size_t ws_queue_bytes;              /* per WebSocket, see ws_conn.h */
    unsigned ws_stall_ms;               /* a WebSocket that takes no byte for so long is dropped */
    /* A head is in. True: on_request has the request at once, and its body, which may have up to
     * *body_bytes (limits.body_bytes, unless set), comes in pieces. NULL: all come whole. */
    bool (*streams)(void *arg, const struct http_view *head, uint64_t *body_bytes);
    void (*on_request)(void *arg, struct http_request *req);
    void (*on_gone)(void *arg,
                    struct http_request *req); /* peer left before the answer; req dies */
    void (*on_note)(void *arg, enum http_note note, int status, const char *detail,
                    struct slice client_address);
    /* The server refuses a request, and says why in plain text. True: *body is another, of that
     * type. head: perhaps of a head that broke: its method and path, and the fields before the
     * break. Not called where not even the path was read. NULL: never. */
    bool (*on_refusal)(void *arg, const struct http_view *head, int status, const char *why,
                       const char **content_type, struct byte_buf *body);
    void (*on_written)(void *arg, uint64_t born_ns); /* a hub_buf with a birth time left in full */
    void *arg;
};

/* 0 or a negative libuv error. Options are copied; the string lists are borrowed. */
int http_server_new(uv_loop_t *loop, const struct http_options *options, struct http_server **out);

/* SO_REUSEPORT, so that every shard listens on the same address. http_probe_bind() first, once per
 * process and without that flag: a second process would otherwise share the port silently.
 * Port 0: the probe returns the port the kernel chose, for the listens that follow. */
int http_probe_bind(const struct sockaddr *addr, struct sockaddr_storage *bound);
int http_server_listen(struct http_server *s, const struct sockaddr *addr, int tag, bool reuseport);

void http_server_stop_listening(
    struct http_server *s); /* accepts until EAGAIN first, then closes */
/* Closes everything still open (WebSockets too), then calls done once. */
void http_server_close(struct http_server *s, void (*done)(void *arg), void *arg);
size_t http_server_connections(const struct http_server *s);
size_t http_server_queued_bytes(const struct http_server *s); /* unsent frames of all WebSockets */

const struct http_view *http_request_view(const struct http_request *req);
void http_request_set_data(struct http_request *req, void *data); /* for the handler's own state */
void *http_request_data(const struct http_request *req);
bool http_view_header(const struct http_view *v, const char *name, struct slice *value); /* first */

/* Raw value of a query key (name compared without case, as ASP.NET does), not decoded. decode:
 * percent-decoding ('+' stays '+'), false when malformed or cap too small. */
bool http_query_get(struct slice query, const char *key, struct slice *value);
bool http_percent_decode(struct slice text, char *out, size_t cap, size_t *out_len);

struct http_response {
    int status;
    const char *content_type;          /* NULL: none */
    struct slice body;                 /* copied */
    const struct http_header *headers; /* further ones; copied */
    size_t nheaders;
    bool close; /* end the connection behind it */
};
void http_respond(struct http_request *req, const struct http_response *response);

/* Answers 101 and gives the socket to a WebSocket. Only when view.wants_websocket. NULL: no memory
 * (the request is answered 503 then). The first callbacks come later, never inside this call. */
struct ws_conn *http_upgrade(struct http_request *req, const struct ws_callbacks *cb, void *arg);

/* Takes the socket away, to go on at another loop: the descriptor, the request's bytes and all that
 * was read behind it. The other server reads the same request again, as if it had just arrived
 * (view.client_address is kept; wants_websocket is decided anew). NULL: no memory or descriptor,
 * and the request stays, to be answered here. */
struct http_handoff *http_detach(struct http_request *req);
void http_server_adopt(struct http_server *s, struct http_handoff *handoff); /* takes it over */
void http_handoff_free(struct http_handoff *handoff); /* not adopted: closes the descriptor */

#endif
