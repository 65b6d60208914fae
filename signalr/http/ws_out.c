/* What a WebSocket sends: frames wait in its queue until the loop is about to sleep, then leave in
 * as few writes as can be. */
#include "signalr/http/ws_conn_internal.h"
#include "signalr/protocol/ws_header.h"
#include <assert.h>
#include <stdlib.h>

enum {
    WRITE_MAX = 64, /* frames in one writev */
    PONGS_MAX = 16, /* unsent; then only the newest ping is answered (RFC 6455 5.5.3) */
};

struct ws_write {
    uv_write_t req;
    struct http_sock *sock;
    uint32_t n;
    struct hub_buf *bufs[];
};

void ws_out_free(struct ws_conn *ws)
{
    ws->sock->server->ws_queued_bytes -= ws_conn_queued_bytes(ws);
    ws_queue_free(&ws->queue);
    hub_buf_unref(ws->late_pong);
}

/* ---- into the queue ---- */

bool ws_out_push(struct ws_conn *ws, struct hub_buf *b)
{
    size_t before = ws->queue.bytes;
    bool pushed = ws_queue_push(&ws->queue, b);

    ws->sock->server->ws_queued_bytes += ws->queue.bytes - before;
    ws->pushed += (uint32_t)(ws->queue.bytes - before);
    return pushed;
}

enum ws_send ws_out_control(struct ws_conn *ws, enum ws_opcode opcode, const uint8_t *payload,
                            size_t len)
{
    uint8_t frame[2 + WS_CONTROL_MAX];
    size_t head = ws_header_write(frame, (uint8_t)opcode, len);
    struct hub_buf *b;
    bool pushed;

    assert(len <= WS_CONTROL_MAX);
    if (len > 0)
        memcpy(frame + head, payload, len);
    b = hub_buf_new(frame, head + len);
    if (b == NULL)
        return WS_SEND_NOMEM;
    if (opcode == WS_OP_PONG && ws->pongs == PONGS_MAX) {
        hub_buf_unref(ws->late_pong);
        ws->late_pong = b;
        return WS_SEND_OK;
    }
    ws->pongs = (uint8_t)(ws->pongs + (opcode == WS_OP_PONG));
    pushed = ws_out_push(ws, b);
    hub_buf_unref(b);
    http_sock_wake(ws->sock);
    return pushed ? WS_SEND_OK : WS_SEND_NOMEM;
}

bool ws_out_close(struct ws_conn *ws, unsigned code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    return ws_out_control(ws, WS_OP_CLOSE, payload, code == WS_CLOSE_NONE ? 0 : 2) == WS_SEND_OK;
}

/* ---- out of it ---- */

static void left(struct ws_conn *ws, struct hub_buf *b)
{
    struct http_options *o = &ws->sock->server->options;

    if (hub_buf_born(b) != 0 && o->on_written != NULL)
        o->on_written(o->arg, hub_buf_born(b));
    hub_buf_unref(b);
}

static void on_write(uv_write_t *req, int status)
{
    struct ws_write *op = (struct ws_write *)((char *)req - offsetof(struct ws_write, req));
    struct http_sock *k = op->sock;
    struct ws_conn *ws = k->role == HTTP_ROLE_WS ? k->as.ws : NULL;

    for (uint32_t i = 0; i < op->n; i++) {
        if (ws != NULL && status == 0)
            left(ws, op->bufs[i]);
        else
            hub_buf_unref(op->bufs[i]);
    }
    free(op);
    if (ws == NULL || http_sock_closing(k)) /* the close callback reports the end */
        return;
    if (status != 0)
        ws_out_settle(ws, ws->in_flight); /* libuv has forgotten how much of it had left */
    ws->writing = false;
    k->server->ws_queued_bytes -= ws->in_flight;
    ws->in_flight = 0;
    if (status != 0) {
        ws_conn_lost(ws);
        return;
    }
    ws->last_write_ms = uv_now(k->server->loop);
    if (ws->state == WS_OPEN)
        http_sock_arm(k, 0);
    ws_out_flush(ws);
}

static void arm_stall(struct ws_conn *ws)
{
    ws->write_mark = http_sock_unsent(ws->sock);
    if (ws->state == WS_OPEN) /* else a nearer deadline is running */
        http_sock_arm(ws->sock, ws->sock->server->options.ws_stall_ms);
}

bool ws_out_goes_on(struct ws_conn *ws)
{
    if (!ws->writing)
        return true;
    if (http_sock_unsent(ws->sock) >= ws->write_mark)
        return false;
    arm_stall(ws);
    return true;
}

/* The socket is full: the next frames go to libuv, which waits for room. */
static bool write_later(struct ws_conn *ws, const uv_buf_t *bufs, uint32_t n)
{
    struct ws_write *op = malloc(sizeof *op + n * sizeof(struct hub_buf *));

    if (op == NULL)
        return false;
    op->sock = ws->sock;
    op->n = n;
    if (uv_write(&op->req, (uv_stream_t *)&ws->sock->tcp, bufs, n, on_write) != 0) {
        free(op);
        return false;
    }
    for (uint32_t i = 0; i < n; i++) {
        op->bufs[i] = ws_queue_pop(&ws->queue);
        ws->in_flight += (uint32_t)bufs[i].len;
    }
    ws->writing = true;
    arm_stall(ws);
    return true;
}

static uint32_t gather(const struct ws_conn *ws, uv_buf_t bufs[WRITE_MAX], size_t *total)
{
    uint32_t n = ws->queue.count < WRITE_MAX ? ws->queue.count : WRITE_MAX;

    *total = 0;
    for (uint32_t i = 0; i < n; i++) {
        size_t len;
        const uint8_t *bytes = ws_queue_bytes(&ws->queue, i, &len);

        bufs[i] = uv_buf_init((char *)bytes, (unsigned)len);
        *total += len;
    }
    return n;
}

static void drop_written(struct ws_conn *ws, size_t written)
{
    ws->sock->server->ws_queued_bytes -= written;
    while (written > 0) {
        size_t len;

        ws_queue_bytes(&ws->queue, 0, &len);
        if (written < len) {
            ws->queue.sent += (uint32_t)written;
            ws->queue.bytes -= written;
            return;
        }
        written -= len;
        left(ws, ws_queue_pop(&ws->queue));
    }
}

/* The newest ping that was put off is answered behind all the others. */
static void push_late_pong(struct ws_conn *ws)
{
    struct hub_buf *pong = ws->late_pong;

    ws->pongs = 0;
    if (pong == NULL || ws->state != WS_OPEN) /* nothing follows a close frame */
        return;
    ws->late_pong = NULL;
    ws->pongs = 1;
    if (ws_out_push(ws, pong))
        http_sock_wake(ws->sock);
    hub_buf_unref(pong);
}

void ws_out_flush(struct ws_conn *ws)
{
    uv_buf_t bufs[WRITE_MAX];

    if (ws->state == WS_ENDED)
        return; /* what is queued leaves before our close frame, or never */
    while (ws->queue.count > 0 && !ws->writing) {
        size_t total;
        uint32_t n = gather(ws, bufs, &total);
        int rc = uv_try_write((uv_stream_t *)&ws->sock->tcp, bufs, n);

        if (rc == UV_EAGAIN)
            rc = 0;
        if (rc < 0) {
            ws_conn_lost(ws);
            return;
        }
        if (rc > 0)
            ws->last_write_ms = uv_now(ws->sock->server->loop);
        drop_written(ws, (size_t)rc);
        if ((size_t)rc == total)
            continue;
        n = gather(ws, bufs, &total);
        if (!write_later(ws, bufs, n)) {
            ws_conn_lost(ws);
            return;
        }
    }
    if (ws->writing)
        return;
    push_late_pong(ws);
    ws_conn_all_left(ws);
}

/* ---- how much has left ---- */

void ws_out_settle(struct ws_conn *ws, uint32_t failed)
{
    const size_t with_us = ws->queue.bytes + failed +
                           uv_stream_get_write_queue_size((const uv_stream_t *)&ws->sock->tcp);

    if (ws->settled)
        return;
    ws->settled = true;
    ws->unacked.unsent = (uint32_t)with_us;
    ws->unacked.all = (uint32_t)(with_us + http_sock_in_kernel(ws->sock));
}

size_t ws_conn_queued_bytes(const struct ws_conn *ws)
{
    return ws->queue.bytes + ws->in_flight;
}

uint32_t ws_conn_pushed(const struct ws_conn *ws)
{
    return ws->pushed;
}

struct ws_unacked ws_conn_unacked(const struct ws_conn *ws)
{
    struct ws_conn copy = *ws;

    ws_out_settle(&copy, 0);
    return copy.unacked;
}

uint64_t ws_conn_last_write_ms(const struct ws_conn *ws)
{
    return ws->last_write_ms;
}
