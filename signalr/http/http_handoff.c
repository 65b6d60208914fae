/* Requests that leave their connection: to a WebSocket, or with the socket to another loop. */
#include "signalr/http/http_internal.h"

#include "signalr/http/ws_handshake.h"
#include <assert.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static bool accept_head(const struct http_view *v, struct byte_buf *out)
{
    char accept[WS_ACCEPT_LEN + 1];
    struct slice key = {NULL, 0};

    http_view_header(v, "Sec-WebSocket-Key", &key);
    if (!ws_handshake_accept(key, accept))
        return false;
    byte_buf_printf(out,
                    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                    accept);
    return !byte_buf_failed(out);
}

struct ws_conn *http_upgrade(struct http_request *req, const struct ws_callbacks *cb, void *arg)
{
    struct http_conn *c = req->conn;
    struct http_sock *k = c->sock;
    struct byte_buf head = {0};
    struct ws_conn *ws = NULL;

    assert(c->state == CONN_ANSWERING && c->req == req && req->view.wants_websocket);
    if (!http_sock_closing(k) && accept_head(&req->view, &head))
        ws = ws_conn_new(k, cb, arg, byte_buf_slice(&head), http_conn_unread(c));
    byte_buf_free(&head);
    if (ws == NULL) {
        http_respond(req, &(struct http_response){.status = 503, .close = true});
        return NULL;
    }
    http_server_note(k->server, HTTP_NOTE_RESPONSE, 101, "", &req->client);
    if (k->slot == NULL) {
        k->slot = req->slot;
        req->slot = NULL;
    }
    if (http_conn_unread(c).len > 0) /* the WebSocket takes that first, then reads on */
        http_sock_read(k, false);
    http_request_free(req);
    http_conn_leave(c);
    k->role = HTTP_ROLE_WS;
    k->as.ws = ws;
    http_sock_arm(k, 0);
    http_sock_wake(k);
    return ws;
}

/* The request as it could have been sent: the head as it came, a chunked body as one chunk. */
static void write_again(const struct http_request *req, struct slice unread, struct byte_buf *out)
{
    struct slice body = http_parse_body(req->parse);
    bool chunked = http_parse_head(req->parse)->chunked;

    byte_buf_put(out, http_parse_raw_head(req->parse));
    if (chunked && body.len > 0)
        byte_buf_printf(out, "%zx\r\n", body.len);
    byte_buf_put(out, body);
    if (chunked)
        byte_buf_puts(out, body.len > 0 ? "\r\n0\r\n\r\n" : "0\r\n\r\n");
    byte_buf_put(out, unread);
}

struct http_handoff *http_detach(struct http_request *req)
{
    struct http_conn *c = req->conn;
    struct http_sock *k = c->sock;
    struct http_handoff *h = NULL;
    struct byte_buf bytes = {0};
    uv_os_fd_t fd;
    int copy;

    assert(c->state == CONN_ANSWERING && c->req == req);
    if (http_sock_closing(k) || uv_fileno((uv_handle_t *)&k->tcp, &fd) != 0)
        return NULL;
    write_again(req, http_conn_unread(c), &bytes);
    if (!byte_buf_failed(&bytes))
        h = malloc(sizeof *h + bytes.len);
    if (h == NULL)
        goto done;
    copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
    if (copy < 0) {
        free(h);
        h = NULL;
        goto done;
    }
    *h = (struct http_handoff){.fd = copy, .tag = c->tag, .peer = c->peer, .len = bytes.len};
    memcpy(h->bytes, bytes.data, bytes.len);
    c->req = NULL;
    http_request_free(req);
    http_conn_leave(c);
    /* Takes this loop's descriptor out of its epoll set at once; the connection lives in the copy.
     */
    http_sock_close(k);
done:
    byte_buf_free(&bytes);
    return h;
}

void http_handoff_free(struct http_handoff *handoff)
{
    if (handoff == NULL)
        return;
    if (handoff->fd >= 0)
        close(handoff->fd);
    free(handoff);
}
