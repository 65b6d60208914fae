#include "signalr/http/http_internal.h"

#include "signalr/http/http_stream.h"
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#define MUCH 4096 /* bytes in one write: more will follow */

struct http_stream {
    struct http_stream_events events;
    unsigned idle_ms;
    bool open;      /* events are heard */
    bool body_done; /* all of it has come */
    bool touched;   /* some of it was read */
    bool continued; /* 100 Continue was sent, or nobody waits for it */
    bool head_sent, ended;
    bool chunked, bodyless, keep_alive;
    bool full;     /* the handler waits for writable() */
    bool writing;  /* a write is under way; out waits behind it */
    uint64_t left; /* of the announced length; HTTP_LENGTH_UNKNOWN */
    size_t in_flight;
    struct byte_buf out;
};

static struct http_stream *stream_of(const struct http_request *req)
{
    assert(req->stream != NULL && req->conn->req == req);
    return req->stream;
}

bool http_stream_attach(struct http_request *req, bool body_done)
{
    struct http_stream *st = calloc(1, sizeof *st);

    if (st == NULL)
        return false;
    st->body_done = body_done;
    st->continued = body_done || !http_parse_head(req->parse)->expect_continue;
    st->idle_ms = req->conn->sock->server->options.limits.body_timeout_ms;
    req->stream = st;
    return true;
}

void http_stream_detach(struct http_request *req)
{
    if (req->stream == NULL)
        return;
    byte_buf_free(&req->stream->out);
    free(req->stream);
    req->stream = NULL;
}

static bool wants_body(const struct http_request *req)
{
    const struct http_stream *st = req->stream;

    return !st->body_done && (st->ended || http_parse_waiting(req->parse) < HTTP_BODY_WINDOW);
}

bool http_stream_wants_body(const struct http_conn *c)
{
    return wants_body(c->req);
}

bool http_stream_is_full(const struct http_conn *c)
{
    return !c->req->stream->body_done && !wants_body(c->req);
}

/* The clock runs while something is the peer's to do: send what is awaited, take what is written.
 */
static void arm(struct http_conn *c)
{
    struct http_stream *st = c->req->stream;

    if (st->writing)
        c->write_mark = http_sock_unsent(c->sock);
    http_sock_arm(c->sock, st->writing || wants_body(c->req) ? st->idle_ms : 0);
}

bool http_stream_open(struct http_request *req, const struct http_stream_events *events,
                      unsigned idle_ms)
{
    struct http_conn *c = req->conn;

    assert(c->req == req && (c->state == CONN_ANSWERING || c->state == CONN_STREAMING));
    if (req->stream == NULL && !http_stream_attach(req, true))
        return false;
    c->state = CONN_STREAMING;
    req->stream->open = true;
    req->stream->events = *events;
    req->stream->idle_ms = idle_ms;
    arm(c);
    return true;
}

/* ---- the body ---- */

static void swallow(struct http_request *req)
{
    char nowhere[4096];

    while (http_parse_take(req->parse, nowhere, sizeof nowhere) > 0)
        ;
}

bool http_stream_has_body(const struct http_request *req)
{
    const struct http_head *head = http_parse_head(req->parse);

    return head->chunked || head->content_length > 0;
}

bool http_stream_is_whole(const struct http_request *req, size_t *len)
{
    const struct http_stream *st = stream_of(req);

    *len = http_parse_waiting(req->parse);
    return st->body_done && !st->touched;
}

enum http_stream_read http_stream_read(struct http_request *req, char *to, size_t cap, size_t *n)
{
    struct http_stream *st = stream_of(req);
    struct http_conn *c = req->conn;

    assert(st->open && !st->ended);
    *n = http_parse_take(req->parse, to, cap);
    if (*n > 0)
        st->touched = true;
    if (http_sock_closing(c->sock))
        return *n > 0 ? HTTP_STREAM_DATA : HTTP_STREAM_EMPTY; /* gone() comes */
    if (!st->continued) {
        st->continued = true;
        if (*n == 0)
            http_conn_continue(c);
    }
    if (wants_body(req) && http_parse_waiting(req->parse) == 0)
        http_conn_read_on(c);
    arm(c);
    if (*n > 0)
        return HTTP_STREAM_DATA;
    return st->body_done ? HTTP_STREAM_END : HTTP_STREAM_EMPTY;
}

/* ---- the answer ---- */

static bool keep_alive(const struct http_request *req)
{
    return http_parse_head(req->parse)->keep_alive && !req->conn->sock->server->closing;
}

/* What is left of the body can be swallowed. */
static bool may_stay(const struct http_request *req)
{
    const struct http_stream *st = req->stream;
    const struct http_head *head = http_parse_head(req->parse);

    return st->body_done ||
           (!head->chunked && st->continued &&
            head->content_length - http_parse_body_len(req->parse) <= HTTP_SWALLOW_MAX);
}

/* Everything has left and nothing will follow. */
static void finish(struct http_conn *c)
{
    struct http_request *req = c->req;

    if (req->stream->keep_alive && !req->stream->body_done)
        return; /* the rest of the body is swallowed first */
    c->close_after = !req->stream->keep_alive;
    c->state = CONN_WRITING;
    c->req = NULL;
    http_request_free(req);
    http_conn_written(c);
}

static void on_written(struct http_sock *k);

/* Hands out to the kernel, or to libuv what the kernel does not take. False: the socket closes. */
static bool flush(struct http_conn *c)
{
    struct http_stream *st = c->req->stream;
    enum http_written how;

    if (st->writing || st->out.len == 0)
        return true;
    how = http_sock_write(c->sock, &st->out, &st->in_flight, on_written);
    st->writing = how == HTTP_WRITTEN_LATER;
    arm(c);
    return how != HTTP_WRITTEN_NEVER;
}

static void flushed(struct http_conn *c)
{
    struct http_stream *st = c->req->stream;

    if (!flush(c) || st->writing)
        return;
    if (st->ended) {
        finish(c);
    } else if (st->full) {
        st->full = false;
        st->events.writable(st->events.arg);
    }
}

static void on_written(struct http_sock *k)
{
    struct http_stream *st = k->as.conn->req->stream;

    st->writing = false;
    st->in_flight = 0;
    flushed(k->as.conn);
}

void http_stream_woken(struct http_conn *c)
{
    flushed(c);
}

/* What was written is on its way before the loop sleeps. */
static void flush_soon(struct http_conn *c)
{
    if (byte_buf_failed(&c->req->stream->out))
        http_sock_close(c->sock);
    else
        http_sock_wake(c->sock);
}

void http_stream_head(struct http_request *req, const struct http_response *head, uint64_t length)
{
    struct http_stream *st = stream_of(req);
    struct http_conn *c = req->conn;
    struct http_server *s = c->sock->server;
    bool http10 = http_parse_head(req->parse)->minor == 0;

    assert(st->open && !st->head_sent && !st->ended);
    st->head_sent = true;
    st->bodyless = http_stream_bodyless(head->status, req->view.method);
    st->chunked = length == HTTP_LENGTH_UNKNOWN && !st->bodyless && !http10;
    st->left = st->bodyless ? 0 : length;
    st->keep_alive = keep_alive(req) && !head->close &&
                     (st->bodyless || length != HTTP_LENGTH_UNKNOWN || !http10);
    if (http_sock_closing(c->sock))
        return;
    http_response_head(s, &req->view, http10, st->keep_alive, head, &st->out);
    if (st->chunked)
        byte_buf_puts(&st->out, "Transfer-Encoding: chunked\r\n");
    else if (length != HTTP_LENGTH_UNKNOWN && head->status != 204)
        byte_buf_printf(&st->out, "Content-Length: %" PRIu64 "\r\n", length);
    byte_buf_puts(&st->out, "\r\n");
    http_server_note(s, HTTP_NOTE_RESPONSE, head->status, "", &req->client);
    flush_soon(c);
}

bool http_stream_write(struct http_request *req, struct slice bytes)
{
    struct http_stream *st = stream_of(req);

    assert(st->head_sent && !st->ended);
    if (st->bodyless || bytes.len == 0 || http_sock_closing(req->conn->sock))
        return true;
    if (bytes.len > st->left) { /* more than was announced would be read as the next answer */
        http_sock_close(req->conn->sock);
        return true;
    }
    if (st->left != HTTP_LENGTH_UNKNOWN)
        st->left -= bytes.len;
    /* In one piece: a buffer that grows under a download copies it once more. */
    if (st->out.cap < HTTP_ANSWER_WINDOW && bytes.len > MUCH)
        byte_buf_reserve(&st->out, HTTP_ANSWER_WINDOW + HTTP_ANSWER_WINDOW / 4);
    if (st->chunked)
        byte_buf_printf(&st->out, "%zx\r\n", bytes.len);
    byte_buf_put(&st->out, bytes);
    if (st->chunked)
        byte_buf_puts(&st->out, "\r\n");
    flush_soon(req->conn);
    st->full = st->in_flight + st->out.len >= HTTP_ANSWER_WINDOW;
    return !st->full;
}

static void end(struct http_request *req)
{
    struct http_stream *st = req->stream;

    st->ended = true;
    st->full = false;
    st->keep_alive = st->keep_alive && may_stay(req);
    swallow(req);
    if (http_sock_closing(req->conn->sock))
        return; /* gone() is not due any more */
    if (wants_body(req))
        http_conn_read_on(req->conn);
    arm(req->conn);
    flush_soon(req->conn);
}

void http_stream_end(struct http_request *req)
{
    struct http_stream *st = stream_of(req);

    assert(st->head_sent && !st->ended);
    if (st->left != 0 && st->left != HTTP_LENGTH_UNKNOWN) {
        http_stream_abort(req);
        return;
    }
    if (st->chunked)
        byte_buf_puts(&st->out, "0\r\n\r\n");
    end(req);
}

void http_stream_abort(struct http_request *req)
{
    struct http_stream *st = stream_of(req);

    assert(!st->ended);
    st->ended = true;
    /* To a client, a kept connection that ends without a byte is one the server had closed before:
     * it would send the request again. */
    if (!http_sock_closing(req->conn->sock))
        flush(req->conn);
    http_sock_close(req->conn->sock);
}

void http_stream_respond(struct http_request *req, const struct http_response *r)
{
    struct http_stream *st = stream_of(req);
    struct http_server *s = req->conn->sock->server;

    assert(!st->head_sent && !st->ended);
    st->keep_alive = keep_alive(req) && may_stay(req) && !r->close;
    if (!http_sock_closing(req->conn->sock)) {
        http_response_write(s, &req->view, http_parse_head(req->parse)->minor == 0, st->keep_alive,
                            r, &st->out);
        http_server_note(s, HTTP_NOTE_RESPONSE, r->status, "", &req->client);
    }
    end(req);
}

/* ---- what happens on the socket ---- */

/* The handler hears of it first, for what follows may free the request. */
static void tell_gone(struct http_conn *c)
{
    struct http_server *s = c->sock->server;
    struct http_stream *st = c->req->stream;

    if (st->ended)
        return;
    st->ended = true;
    if (st->open)
        st->events.gone(st->events.arg);
    else if (s->options.on_gone != NULL)
        s->options.on_gone(s->options.arg, c->req);
}

void http_stream_body_came(struct http_conn *c, bool done)
{
    struct http_stream *st = c->req->stream;

    st->body_done = done;
    if (http_parse_waiting(c->req->parse) > 0)
        st->continued = true; /* a client that did not wait to be asked */
    arm(c);
    if (st->ended) {
        swallow(c->req);
        if (done && !st->writing && st->out.len == 0)
            finish(c);
    } else if (st->open && (done || http_parse_waiting(c->req->parse) > 0)) {
        st->events.readable(st->events.arg);
    }
}

/* An answer that has begun can't be taken back. */
static void break_off(struct http_conn *c, struct http_fault fault)
{
    bool answered = c->req->stream->head_sent || c->req->stream->ended;

    tell_gone(c);
    if (answered)
        http_sock_close(c->sock);
    else
        http_conn_refuse(c, fault);
}

void http_stream_body_bad(struct http_conn *c)
{
    break_off(c, http_parse_fault(c->req->parse));
}

void http_stream_timer(struct http_conn *c)
{
    struct http_stream *st = c->req->stream;

    if (st->writing && http_sock_unsent(c->sock) < c->write_mark) {
        arm(c);
        return;
    }
    http_server_note(c->sock->server, HTTP_NOTE_TIMEOUT, st->writing ? 0 : 408,
                     st->writing ? "answer not taken in time" : "body not complete in time",
                     &c->req->client);
    break_off(c, (struct http_fault){408, "request not complete in time"});
}

bool http_stream_eof(const struct http_conn *c)
{
    const struct http_stream *st = c->req->stream;

    return st->ended && st->body_done;
}

void http_stream_sock_closed(struct http_conn *c)
{
    tell_gone(c);
}
