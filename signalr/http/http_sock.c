#include "signalr/http/http_internal.h"

#include <linux/sockios.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

static struct http_sock *sock_of(uv_stream_t *stream)
{
    return (struct http_sock *)((char *)stream - offsetof(struct http_sock, tcp));
}

static void list_remove(struct http_sock *k)
{
    *k->link = k->next;
    if (k->next != NULL)
        k->next->link = k->link;
}

void http_sock_wake(struct http_sock *k)
{
    if (!http_sock_closing(k))
        http_turn_wake(k);
}

void http_sock_woken(struct http_sock *k)
{
    if (k->role == HTTP_ROLE_CONN)
        http_conn_woken(k->as.conn);
    else if (k->role == HTTP_ROLE_WS)
        ws_conn_woken(k->as.ws);
}

static void count_out(struct http_server *s)
{
    s->nconns--;
    http_counts_leave(s->counts);
}

static void on_closed(uv_handle_t *handle)
{
    struct http_sock *k = sock_of((uv_stream_t *)handle);
    struct http_server *s = k->server;

    if (k->role == HTTP_ROLE_CONN && k->as.conn != NULL)
        http_conn_sock_closed(k->as.conn);
    else if (k->role == HTTP_ROLE_WS && k->as.ws != NULL)
        ws_conn_sock_closed(k->as.ws);
    http_counts_drop_address(s->counts, k->slot);
    list_remove(k);
    if (k->role == HTTP_ROLE_LINGER)
        s->nlingering--;
    else
        count_out(s);
    free(k);
    http_server_handle_closed(s);
}

static void close_sock(struct http_sock *k, bool reset)
{
    if (http_sock_closing(k))
        return;
    if (k->role == HTTP_ROLE_WS && k->as.ws != NULL)
        ws_conn_sock_closing(k->as.ws);
    http_turn_leave(k);
    timer_wheel_cancel(k->server->wheel, &k->timer);
    if (!reset || uv_tcp_close_reset(&k->tcp, on_closed) != 0)
        uv_close((uv_handle_t *)&k->tcp, on_closed);
}

void http_sock_close(struct http_sock *k)
{
    close_sock(k, false);
}

void http_sock_drop(struct http_sock *k)
{
    close_sock(k, !http_sock_answers(k));
}

void http_sock_turn(struct http_sock *k)
{
    if (k->role == HTTP_ROLE_WS)
        ws_conn_turn(k->as.ws);
    else
        http_sock_close(k);
}

struct http_sock *http_sock_new(struct http_server *s, int fd, size_t *before)
{
    struct http_sock *k = calloc(1, sizeof *k);

    if (k == NULL) {
        close(fd);
        return NULL;
    }
    uv_tcp_init(s->loop, &k->tcp); /* without flags it only fills the struct in */
    k->server = s;
    k->next = s->socks;
    if (k->next != NULL)
        k->next->link = &k->next;
    s->socks = k;
    k->link = &s->socks;
    s->nconns++;
    *before = http_counts_enter(s->counts);
    s->nhandles++;
    if (uv_tcp_open(&k->tcp, fd) != 0) {
        close(fd);
        http_sock_close(k);
        return NULL;
    }
    return k;
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    struct http_server *s = sock_of((uv_stream_t *)handle)->server;

    (void)suggested;
    *buf = uv_buf_init((char *)s->read_buf + WS_FRAME_TAIL_MAX, HTTP_READ_BYTES);
}

static void on_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct http_sock *k = sock_of(stream);

    if (n == 0) /* EAGAIN */
        return;
    switch (k->role) {
    case HTTP_ROLE_CONN:
        if (n > 0)
            http_conn_read(k->as.conn, buf->base, (size_t)n);
        else if (n == UV_EOF)
            http_conn_eof(k->as.conn);
        else
            http_sock_close(k);
        break;
    case HTTP_ROLE_WS:
        if (n > 0)
            ws_conn_read(k->as.ws, (uint8_t *)buf->base, (size_t)n);
        else
            ws_conn_lost(k->as.ws);
        break;
    case HTTP_ROLE_LINGER:
        if (n < 0)
            http_turn_end(k);
        break;
    }
}

void http_sock_read(struct http_sock *k, bool on)
{
    int rc;

    if (!on) {
        uv_read_stop((uv_stream_t *)&k->tcp);
        return;
    }
    rc = uv_read_start((uv_stream_t *)&k->tcp, on_alloc, on_read);
    if (rc != 0 && rc != UV_EALREADY)
        http_sock_close(k);
}

void http_sock_arm(struct http_sock *k, unsigned ms)
{
    if (http_sock_closing(k))
        return;
    if (ms == 0)
        timer_wheel_cancel(k->server->wheel, &k->timer);
    else
        timer_wheel_arm(k->server->wheel, &k->timer, uv_now(k->server->loop) + ms);
}

size_t http_sock_in_kernel(const struct http_sock *k)
{
    uv_os_fd_t fd;
    int bytes = 0;

    if (uv_fileno((const uv_handle_t *)&k->tcp, &fd) != 0 || ioctl(fd, SIOCOUTQ, &bytes) != 0)
        return 0;
    return (size_t)bytes;
}

bool http_sock_answers(const struct http_sock *k)
{
    struct tcp_info info;
    socklen_t len = sizeof info;
    uv_os_fd_t fd;

    if (uv_fileno((const uv_handle_t *)&k->tcp, &fd) != 0 ||
        getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &len) != 0)
        return true;
    /* Its answer to a single probe of a closed window may be on its way. */
    return info.tcpi_retransmits == 0 && info.tcpi_probes <= 1;
}

size_t http_sock_unsent(const struct http_sock *k)
{
    return uv_stream_get_write_queue_size((const uv_stream_t *)&k->tcp) + http_sock_in_kernel(k);
}

struct write_op {
    uv_write_t req;
    struct http_sock *sock;
    void (*written)(struct http_sock *k);
    struct byte_buf bytes;
};

static void on_write(uv_write_t *req, int status)
{
    struct write_op *op = (struct write_op *)((char *)req - offsetof(struct write_op, req));
    struct http_sock *k = op->sock;
    void (*written)(struct http_sock * k) = op->written;

    byte_buf_free(&op->bytes);
    free(op);
    if (status != 0)
        http_sock_close(k);
    else if (!http_sock_closing(k))
        written(k);
}

enum http_written http_sock_write(struct http_sock *k, struct byte_buf *bytes, size_t *left,
                                  void (*written)(struct http_sock *k))
{
    uv_buf_t buf = uv_buf_init(bytes->data, (unsigned)bytes->len);
    struct write_op *op = NULL;
    int n = byte_buf_failed(bytes) ? UV_ENOMEM : uv_try_write((uv_stream_t *)&k->tcp, &buf, 1);

    if (n == (int)buf.len) {
        byte_buf_clear(bytes);
        return HTTP_WRITTEN_NOW;
    }
    if (n >= 0 || n == UV_EAGAIN)
        op = malloc(sizeof *op);
    if (op == NULL)
        goto fail;
    op->sock = k;
    op->written = written;
    op->bytes = *bytes;
    *bytes = (struct byte_buf){0};
    if (n > 0) {
        buf.base += n;
        buf.len -= (size_t)n;
    }
    *left = buf.len;
    if (uv_write(&op->req, (uv_stream_t *)&k->tcp, &buf, 1, on_write) == 0)
        return HTTP_WRITTEN_LATER;
    byte_buf_free(&op->bytes);
    free(op);
fail:
    http_sock_close(k);
    return HTTP_WRITTEN_NEVER;
}

void http_sock_on_timer(struct wheel_timer *t, void *arg)
{
    struct http_sock *k = (struct http_sock *)((char *)t - offsetof(struct http_sock, timer));

    (void)arg;
    switch (k->role) {
    case HTTP_ROLE_CONN:
        http_conn_timer(k->as.conn);
        break;
    case HTTP_ROLE_WS:
        ws_conn_timer(k->as.ws);
        break;
    case HTTP_ROLE_LINGER:
        http_sock_close(k);
        break;
    }
}

void http_sock_linger(struct http_sock *k)
{
    struct http_server *s = k->server;
    uv_os_fd_t fd;

    if (http_sock_closing(k))
        return;
    http_turn_leave(k);
    k->role = HTTP_ROLE_LINGER;
    count_out(s);
    s->nlingering++;
    http_counts_drop_address(s->counts, k->slot);
    k->slot = NULL;
    if (s->nlingering > HTTP_LINGER_MAX || uv_fileno((uv_handle_t *)&k->tcp, &fd) != 0 ||
        shutdown(fd, SHUT_WR) != 0) {
        http_sock_close(k);
        return;
    }
    http_sock_arm(k, HTTP_LINGER_MS);
    http_sock_read(k, true);
}

void http_sock_refuse(struct http_sock *k)
{
    static char text[] = "HTTP/1.1 503 Service Unavailable\r\n"
                         "Content-Length: 0\r\nConnection: close\r\n\r\n";
    uv_buf_t buf = uv_buf_init(text, sizeof text - 1);

    /* A fresh socket takes so little at once; if not, nobody is owed more. */
    if (uv_try_write((uv_stream_t *)&k->tcp, &buf, 1) == (int)(sizeof text - 1))
        http_sock_linger(k);
    else
        http_sock_close(k);
}
