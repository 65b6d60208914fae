#include "signalr/http/http_internal.h"

#include "signalr/http/http_cors.h"
#include <assert.h>

static const struct {
    int status;
    const char *reason;
} reasons[] = {
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {411, "Length Required"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {426, "Upgrade Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

static const char *reason_of(int status)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++)
        if (reasons[i].status == status)
            return reasons[i].reason;
    return "Status";
}

/* A handler may copy what a peer sent into a header; it must not begin a line of its own. */
static bool field_safe(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (((unsigned char)s.ptr[i] < 0x20 && s.ptr[i] != '\t') || s.ptr[i] == 0x7f)
            return false;
    return true;
}

void http_response_head(struct http_server *s, const struct http_view *v, bool http10,
                        bool keep_alive, const struct http_response *r, struct byte_buf *out)
{
    byte_buf_printf(out, "HTTP/1.1 %d %s\r\nDate: %s\r\n", r->status, reason_of(r->status),
                    http_server_date(s));
    if (r->content_type != NULL)
        byte_buf_printf(out, "Content-Type: %s\r\n", r->content_type);
    if (!keep_alive)
        byte_buf_puts(out, "Connection: close\r\n");
    else if (http10)
        byte_buf_puts(out, "Connection: keep-alive\r\n");
    http_cors_answer(s->options.cors_origins, v, out);
    if (http_cors_is_preflight(v))
        http_cors_preflight(s->options.cors_origins, v, out);
    for (size_t i = 0; i < r->nheaders; i++) {
        if (!field_safe(r->headers[i].name) || !field_safe(r->headers[i].value))
            continue;
        byte_buf_put(out, r->headers[i].name);
        byte_buf_puts(out, ": ");
        byte_buf_put(out, r->headers[i].value);
        byte_buf_puts(out, "\r\n");
    }
}

void http_response_write(struct http_server *s, const struct http_view *v, bool http10,
                         bool keep_alive, const struct http_response *r, struct byte_buf *out)
{
    bool has_body = r->status >= 200 && r->status != 204 && r->status != 304;

    http_response_head(s, v, http10, keep_alive, r, out);
    if (has_body)
        byte_buf_printf(out, "Content-Length: %zu\r\n", r->body.len);
    byte_buf_puts(out, "\r\n");
    if (has_body && v->method != HTTP_HEAD_)
        byte_buf_put(out, r->body);
}

static void answer(struct http_conn *c, const struct http_response *r)
{
    struct http_server *s = c->sock->server;
    struct http_request *req = c->req;
    const struct http_head *head = http_parse_head(req->parse);
    bool keep_alive = head->keep_alive && !r->close && !s->closing;
    struct byte_buf out = {0};

    http_response_write(s, &req->view, head->minor == 0, keep_alive, r, &out);
    http_server_note(s, HTTP_NOTE_RESPONSE, r->status, "", &req->client);
    c->req = NULL;
    http_request_free(req);
    http_conn_send(c, &out, !keep_alive);
}

void http_respond(struct http_request *req, const struct http_response *r)
{
    struct http_conn *c = req->conn;

    if (c->state == CONN_STREAMING) {
        http_stream_respond(req, r);
        return;
    }
    assert(c->state == CONN_ANSWERING && c->req == req);
    if (http_sock_closing(c->sock)) { /* the peer left; on_gone is not due any more */
        c->state = CONN_WRITING;
        c->req = NULL;
        http_request_free(req);
        return;
    }
    answer(c, r);
}

/* The host may have words of its own for a route. */
static void say_why(struct http_conn *c, const char *why, struct http_response *r,
                    struct byte_buf *body)
{
    const struct http_options *o = &c->sock->server->options;

    r->content_type = "text/plain";
    r->body = slice_of(why);
    if (o->on_refusal == NULL || c->req->view.path.len == 0 ||
        !o->on_refusal(o->arg, &c->req->view, r->status, why, &r->content_type, body) ||
        byte_buf_failed(body))
        return;
    r->body = byte_buf_slice(body);
}

void http_conn_refuse(struct http_conn *c, struct http_fault fault)
{
    static const struct http_header version = {{"Sec-WebSocket-Version", 21}, {"13", 2}};
    struct http_response r = {
        .status = fault.status,
        .close = true,
    };
    struct byte_buf body = {0};

    if (fault.status == 426) {
        r.headers = &version;
        r.nheaders = 1;
    }
    if (fault.status != 408 && fault.status != 403 && fault.status != 503)
        http_server_note(c->sock->server, HTTP_NOTE_BAD_REQUEST, fault.status, fault.why,
                         &c->req->client);
    if (c->req->view.path.len == 0)
        http_view_salvage(c->req);
    say_why(c, fault.why, &r, &body);
    answer(c, &r);
    byte_buf_free(&body);
}
