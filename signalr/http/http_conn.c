#include "signalr/http/http_internal.h"

#include "signalr/http/http_cors.h"
#include "signalr/http/ws_handshake.h"
#include <assert.h>
#include <stdlib.h>

static const struct http_limits *limits(const struct http_conn *c)
{
    return &c->sock->server->options.limits;
}

void http_request_free(struct http_request *req)
{
    if (req == NULL)
        return;
    http_counts_drop_address(req->conn->sock->server->counts, req->slot);
    http_stream_detach(req);
    http_parse_free(req->parse);
    free(req);
}

static void conn_free(struct http_conn *c)
{
    byte_buf_free(&c->unread);
    free(c);
}

void http_conn_leave(struct http_conn *c)
{
    c->sock->as.conn = NULL;
    c->state = CONN_GONE;
    if (!c->busy)
        conn_free(c);
}

void http_conn_sock_closed(struct http_conn *c)
{
    struct http_server *s = c->sock->server;

    assert(!c->busy);
    http_turn_leave_request(c);
    if (c->state == CONN_STREAMING)
        http_stream_sock_closed(c);
    else if (c->state == CONN_ANSWERING && s->options.on_gone != NULL)
        s->options.on_gone(s->options.arg, c->req);
    http_request_free(c->req);
    conn_free(c);
}

struct slice http_conn_unread(const struct http_conn *c)
{
    return c->busy ? c->rest : byte_buf_slice(&c->unread);
}

/* Peer address known: count it, unless it is a proxy, whose clients are counted one by one. */
static bool take_slot(struct http_conn *c, const struct http_addr *addr,
                      struct http_addr_slot **slot)
{
    struct http_server *s = c->sock->server;

    if (limits(c)->max_per_address == 0 || http_cidr_list_has(s->trusted, s->ntrusted, addr))
        return true;
    *slot = http_counts_take_address(s->counts, addr, limits(c)->max_per_address);
    if (*slot != NULL)
        return true;
    http_server_note(s, HTTP_NOTE_TOO_MANY, 503, "too many connections of one address", addr);
    return false;
}

/* ---- reading ---- */

static bool check_upgrade(struct http_request *req, struct http_fault *fault)
{
    struct http_server *s = req->conn->sock->server;
    struct slice key;

    if (!ws_handshake_check(req->view.headers, req->view.nheaders, &key, fault))
        return false;
    if (!http_cors_upgrade_allowed(s->options.cors_origins, &req->view)) {
        http_server_note(s, HTTP_NOTE_ORIGIN_REFUSED, 403, "Origin not allowed", &req->client);
        *fault = (struct http_fault){403, "Origin not allowed"};
        return false;
    }
    req->view.wants_websocket = true;
    return true;
}

/* The body was announced by a client that waits to be asked for it. */
void http_conn_continue(struct http_conn *c)
{
    static char text[] = "HTTP/1.1 100 Continue\r\n\r\n";
    uv_buf_t buf = uv_buf_init(text, sizeof text - 1);
    int n = uv_try_write((uv_stream_t *)&c->sock->tcp, &buf, 1);

    /* All or nothing: a client that is not asked sends after a while, but half a line confuses it.
     */
    if (n > 0 && n < (int)buf.len)
        http_sock_close(c->sock);
}

/* Asks the host. False: no memory. */
static bool choose_stream(struct http_conn *c)
{
    const struct http_options *o = &c->sock->server->options;
    struct http_request *req = c->req;
    uint64_t body_bytes = o->limits.body_bytes;

    if (o->streams == NULL || http_cors_is_preflight(&req->view) ||
        !o->streams(o->arg, &req->view, &body_bytes))
        return true;
    http_parse_stream(req->parse, body_bytes);
    return http_stream_attach(req, false);
}

static void head_in(struct http_conn *c)
{
    struct http_request *req = c->req;
    const struct http_head *head = http_parse_head(req->parse);
    struct http_fault fault = {503, "too many connections"};

    c->state = CONN_BODY;
    http_view_fill(req, head);
    if (c->sock->slot == NULL && !take_slot(c, &req->client, &req->slot)) {
        http_conn_refuse(c, fault);
        return;
    }
    if (head->upgrade_websocket && !check_upgrade(req, &fault)) {
        http_conn_refuse(c, fault);
        return;
    }
    if (!head->upgrade_websocket && !choose_stream(c)) {
        http_conn_refuse(c, (struct http_fault){503, "no memory"});
        return;
    }
    http_sock_arm(c->sock, limits(c)->body_timeout_ms);
    if (head->expect_continue && c->rest.len == 0 && req->stream == NULL &&
        (head->chunked || head->content_length > 0) && http_parse_fits(req->parse))
        http_conn_continue(c);
}

/* The request is whole: it's the handler's from here on. */
static void dispatch(struct http_conn *c)
{
    struct http_server *s = c->sock->server;
    struct http_request *req = c->req;

    req->view.body = http_parse_body(req->parse);
    c->state = CONN_ANSWERING;
    if (http_cors_is_preflight(&req->view))
        http_respond(req, &(struct http_response){.status = 204});
    else
        s->options.on_request(s->options.arg, req);
}

static bool begin(struct http_conn *c)
{
    struct http_parse_limits parse = {
        .request_line_bytes = limits(c)->request_line_bytes,
        .head_bytes = limits(c)->head_bytes,
        .body_bytes = limits(c)->body_bytes,
    };

    c->req = calloc(1, sizeof *c->req);
    if (c->req == NULL)
        return false;
    c->req->conn = c;
    c->req->client = c->peer;
    c->req->parse = http_parse_new(&parse);
    if (c->req->parse == NULL) {
        free(c->req);
        c->req = NULL;
        return false;
    }
    c->state = CONN_HEAD;
    http_sock_arm(c->sock, limits(c)->head_timeout_ms);
    return true;
}

/* False: wait for more bytes, or the connection has no more to read. */
static bool read_proxy_header(struct http_conn *c)
{
    struct http_server *s = c->sock->server;
    struct http_sock *k = c->sock;
    struct http_proxy_header header;

    switch (http_proxy_header_read((const uint8_t *)c->rest.ptr, c->rest.len, &header)) {
    case HTTP_PROXY_NEED_MORE:
        return false;
    case HTTP_PROXY_BAD:
        http_server_note(s, HTTP_NOTE_BAD_PROXY_HEADER, 0, "bad PROXY header", &c->peer);
        http_sock_close(k);
        return false;
    case HTTP_PROXY_OK:
        break;
    }
    c->rest.ptr += header.consumed;
    c->rest.len -= header.consumed;
    if (header.has_source)
        c->peer = header.source;
    if (!take_slot(c, &c->peer, &k->slot)) {
        http_conn_leave(c);
        http_sock_refuse(k);
        return false;
    }
    c->state = CONN_IDLE;
    return true;
}

/* A head that was read, but announces a body too long or of no length, still says whose page may
 * read the 413 or 411. */
static void refuse_bad(struct http_conn *c)
{
    const struct http_head *head = http_parse_head(c->req->parse);

    if (c->state == CONN_STREAMING) {
        http_stream_body_bad(c);
        return;
    }
    if (c->state == CONN_HEAD && head->path.len > 0)
        http_view_fill(c->req, head);
    http_conn_refuse(c, http_parse_fault(c->req->parse));
}

/* The same, once its body has begun to come, or there is none. */
static void dispatch_stream(struct http_conn *c)
{
    struct http_server *s = c->sock->server;

    c->state = CONN_STREAMING;
    http_stream_body_came(c, c->body_done);
    s->options.on_request(s->options.arg, c->req);
}

static void take_turn(struct http_conn *c)
{
    if (c->req->stream != NULL)
        dispatch_stream(c);
    else
        dispatch(c);
}

static void ready(struct http_conn *c, bool body_done)
{
    c->state = CONN_WAITING;
    c->body_done = body_done;
    http_sock_arm(c->sock, 0);
    if (http_turn_takes_request(c))
        take_turn(c);
}

/* One step of reading a request. False: wait for more bytes. */
static bool read_request(struct http_conn *c)
{
    size_t used;
    enum http_parse_result result;

    if (c->state == CONN_IDLE && !begin(c)) {
        http_sock_close(c->sock);
        return false;
    }
    result = http_parse_feed(c->req->parse, c->rest.ptr, c->rest.len, &used);
    c->rest.ptr += used;
    c->rest.len -= used;
    switch (result) {
    case HTTP_PARSE_NEED_MORE:
    case HTTP_PARSE_DONE:
        if (c->state == CONN_STREAMING)
            http_stream_body_came(c, result == HTTP_PARSE_DONE);
        else if (c->req->stream != NULL || result == HTTP_PARSE_DONE)
            ready(c, result == HTTP_PARSE_DONE);
        return result == HTTP_PARSE_DONE;
    case HTTP_PARSE_HEAD:
        head_in(c);
        break;
    case HTTP_PARSE_BAD:
        refuse_bad(c);
        break;
    }
    return true;
}

static bool can_read(const struct http_conn *c)
{
    if (http_sock_closing(c->sock))
        return false;
    return c->state == CONN_STREAMING ? http_stream_wants_body(c) : c->state < CONN_WAITING;
}

static void stop_reading(struct http_conn *c)
{
    c->stopped = true;
    http_sock_read(c->sock, false);
}

static void keep_unread(struct http_conn *c, struct slice bytes)
{
    byte_buf_put(&c->unread, bytes);
    if (byte_buf_failed(&c->unread)) {
        http_sock_close(c->sock);
    } else if (!can_read(c) && c->unread.len > HTTP_READ_AHEAD) {
        stop_reading(c);
    }
}

/* Reads requests out of bytes until they are used up or one waits for its answer. */
static void run(struct http_conn *c, struct slice bytes)
{
    bool going = true;

    c->rest = bytes;
    c->busy = true;
    if (c->state == CONN_WAITING)
        take_turn(c);
    /* A body of length zero is complete without another byte. */
    while (going && c->state != CONN_GONE && can_read(c) &&
           (c->rest.len > 0 || c->state == CONN_BODY))
        going = c->state == CONN_PROXY ? read_proxy_header(c) : read_request(c);
    c->busy = false;
    bytes = c->rest;
    c->rest = (struct slice){NULL, 0};
    if (c->state == CONN_GONE)
        conn_free(c);
    else if (bytes.len > 0 && !http_sock_closing(c->sock))
        keep_unread(c, bytes);
    else if (c->state == CONN_STREAMING && http_stream_is_full(c))
        stop_reading(c);
}

static void run_unread(struct http_conn *c)
{
    struct byte_buf held = c->unread;

    c->unread = (struct byte_buf){0};
    run(c, byte_buf_slice(&held));
    byte_buf_free(&held);
}

void http_conn_read(struct http_conn *c, const char *data, size_t len)
{
    if (can_read(c) && c->unread.len == 0) {
        run(c, (struct slice){data, len});
        return;
    }
    keep_unread(c, (struct slice){data, len});
    if (can_read(c))
        run_unread(c);
}

void http_conn_turn(struct http_conn *c)
{
    run_unread(c);
}

void http_conn_woken(struct http_conn *c)
{
    struct http_sock *k = c->sock;

    if (c->state == CONN_STREAMING) {
        http_stream_woken(c);
        if (k->role != HTTP_ROLE_CONN || k->as.conn != c)
            return; /* that was its last answer */
    }
    if (can_read(c) && c->unread.len > 0)
        run_unread(c);
}

void http_conn_eof(struct http_conn *c)
{
    /* An answer that is on its way is finished; nobody waits for one that has not begun. */
    if (c->state == CONN_WRITING || (c->state == CONN_STREAMING && http_stream_eof(c)))
        c->eof = true;
    else if (c->state < CONN_WAITING)
        http_turn_end(c->sock);
    else /* the handler hears of it at once */
        http_sock_close(c->sock);
}

bool http_conn_new(struct http_sock *k, const struct http_addr *peer, int tag, bool expect_proxy,
                   struct slice first)
{
    struct http_conn *c = calloc(1, sizeof *c);

    if (c == NULL)
        return false;
    c->sock = k;
    c->peer = *peer;
    c->tag = tag;
    c->state = expect_proxy ? CONN_PROXY : CONN_IDLE;
    byte_buf_put(&c->unread, first);
    if (byte_buf_failed(&c->unread)) {
        conn_free(c);
        return false;
    }
    k->role = HTTP_ROLE_CONN;
    k->as.conn = c;
    http_sock_arm(k, limits(c)->head_timeout_ms);
    if (first.len > 0)
        http_sock_wake(k);
    http_sock_read(k, true);
    return true;
}

/* ---- writing ---- */

void http_conn_read_on(struct http_conn *c)
{
    if (!c->busy && c->unread.len > 0)
        http_sock_wake(c->sock);
    if (c->stopped) {
        c->stopped = false;
        http_sock_read(c->sock, true);
    }
}

void http_conn_written(struct http_conn *c)
{
    struct http_sock *k = c->sock;

    if (c->eof) {
        http_sock_close(k);
    } else if (c->close_after) {
        http_conn_leave(c);
        http_sock_linger(k);
    } else {
        c->state = CONN_IDLE;
        http_sock_arm(k, limits(c)->idle_timeout_ms);
        http_conn_read_on(c);
    }
}

static void on_written(struct http_sock *k)
{
    http_conn_written(k->as.conn);
}

/* The deadline counts from the last progress: a big answer may take its time, a stuck one not. */
static void arm_write(struct http_conn *c)
{
    c->write_mark = http_sock_unsent(c->sock);
    http_sock_arm(c->sock, limits(c)->body_timeout_ms);
}

void http_conn_send(struct http_conn *c, struct byte_buf *bytes, bool close_after)
{
    size_t left;

    c->state = CONN_WRITING;
    c->close_after = close_after;
    switch (http_sock_write(c->sock, bytes, &left, on_written)) {
    case HTTP_WRITTEN_NOW:
        http_conn_written(c);
        break;
    case HTTP_WRITTEN_LATER:
        arm_write(c);
        break;
    case HTTP_WRITTEN_NEVER:
        break;
    }
    byte_buf_free(bytes);
}

void http_conn_timer(struct http_conn *c)
{
    struct http_server *s = c->sock->server;

    if (c->state == CONN_STREAMING) {
        http_stream_timer(c);
        return;
    }
    if (c->state == CONN_WRITING && http_sock_unsent(c->sock) < c->write_mark) {
        arm_write(c);
        return;
    }
    if (c->state == CONN_IDLE) { /* nothing was asked, nothing is answered */
        http_sock_close(c->sock);
        return;
    }
    http_server_note(s, HTTP_NOTE_TIMEOUT, c->state == CONN_WRITING ? 0 : 408,
                     c->state == CONN_PROXY  ? "no PROXY header in time"
                     : c->state == CONN_HEAD ? "head not complete in time"
                     : c->state == CONN_BODY ? "body not complete in time"
                                             : "answer not taken in time",
                     c->req != NULL ? &c->req->client : &c->peer);
    if (c->state == CONN_BODY || (c->state == CONN_HEAD && http_parse_started(c->req->parse)))
        http_conn_refuse(c, (struct http_fault){408, "request not complete in time"});
    else
        http_sock_close(c->sock);
}
