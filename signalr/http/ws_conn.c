#include "signalr/http/ws_conn.h"

#include "signalr/http/http_internal.h"
#include "signalr/http/ws_queue.h"
#include "signalr/protocol/ws_header.h"
#include <assert.h>
#include <stdlib.h>

enum {
    WRITE_MAX = 64,       /* frames in one writev */
    PONGS_MAX = 16,       /* unsent; then only the newest ping is answered (RFC 6455 5.5.3) */
    LAST_FRAME_MS = 5000, /* for the close frame that ends an exchange to leave */
};

enum ws_state {
    WS_OPEN,
    WS_CLOSING, /* our close frame is queued; the peer's is awaited */
    WS_LAST,    /* what is queued is the last; then how and code are reported */
    WS_OVER,
};

struct ws_conn {
    struct http_sock *sock;
    struct ws_callbacks cb;
    void *arg;
    struct ws_frame_reader reader;
    struct ws_queue queue;
    struct hub_buf *late_pong; /* the newest past PONGS_MAX */
    uint8_t *tail; /* owned: bytes of a frame cut in two, or (fresh) behind the request */
    uint32_t tail_len;
    uint32_t in_flight;        /* bytes that libuv holds */
    uint32_t pushed;           /* bytes queued so far */
    uint32_t behind;           /* pushed, when the queue was last begun: see counted() */
    struct ws_unacked unacked; /* once known for good */
    uint64_t last_write_ms;
    size_t write_mark; /* unsent bytes when the stall deadline was last set */
    uint16_t code;
    uint8_t state, how, pongs;
    bool fresh, writing;
    bool settled; /* unacked is known */
    bool drain_awaited;
};

struct ws_write {
    uv_write_t req;
    struct http_sock *sock;
    uint32_t n;
    struct hub_buf *bufs[];
};

static void flush(struct ws_conn *ws);

static bool keep_tail(struct ws_conn *ws, const void *bytes, size_t len)
{
    ws->tail = malloc(len);
    if (ws->tail == NULL)
        return false;
    memcpy(ws->tail, bytes, len);
    ws->tail_len = (uint32_t)len;
    return true;
}

static void drop_tail(struct ws_conn *ws)
{
    free(ws->tail);
    ws->tail = NULL;
    ws->tail_len = 0;
}

static void ws_free(struct ws_conn *ws)
{
    ws->sock->server->ws_queued_bytes -= ws_conn_queued_bytes(ws);
    ws_queue_free(&ws->queue);
    hub_buf_unref(ws->late_pong);
    drop_tail(ws);
    free(ws);
}

/* The socket is about to be closed, or has just failed, with `failed` bytes of a write that libuv
 * holds no more. */
static void settle(struct ws_conn *ws, uint32_t failed)
{
    const size_t with_us = ws->queue.bytes + failed +
                           uv_stream_get_write_queue_size((const uv_stream_t *)&ws->sock->tcp);

    if (ws->settled)
        return;
    ws->settled = true;
    ws->unacked.unsent = (uint32_t)with_us;
    ws->unacked.all = (uint32_t)(with_us + http_sock_in_kernel(ws->sock));
}

/* Never below a call of the owner's. The socket is the caller's to close or to let linger. */
static void end(struct ws_conn *ws, enum ws_end how, unsigned code)
{
    ws->state = WS_OVER;
    settle(ws, 0);
    ws->sock->as.ws = NULL;
    ws->cb.on_end(ws, ws->arg, how, code);
    ws_free(ws);
}

static void end_now(struct ws_conn *ws, enum ws_end how, unsigned code)
{
    struct http_sock *k = ws->sock;

    if (ws->state == WS_LAST) { /* settled before */
        how = (enum ws_end)ws->how;
        code = ws->code;
    }
    end(ws, how, code);
    http_sock_drop(k);
}

/* ---- writing ---- */

static bool push(struct ws_conn *ws, struct hub_buf *b)
{
    size_t before = ws->queue.bytes;
    bool pushed = ws_queue_push(&ws->queue, b);

    ws->sock->server->ws_queued_bytes += ws->queue.bytes - before;
    ws->pushed += (uint32_t)(ws->queue.bytes - before);
    return pushed;
}

static enum ws_send push_frame(struct ws_conn *ws, enum ws_opcode opcode, const uint8_t *payload,
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
    pushed = push(ws, b);
    hub_buf_unref(b);
    http_sock_wake(ws->sock);
    return pushed ? WS_SEND_OK : WS_SEND_NOMEM;
}

static bool push_close(struct ws_conn *ws, unsigned code)
{
    uint8_t payload[2] = {(uint8_t)(code >> 8), (uint8_t)code};

    return push_frame(ws, WS_OP_CLOSE, payload, code == WS_CLOSE_NONE ? 0 : 2) == WS_SEND_OK;
}

/* Everything that ends with one more frame of ours. */
static void last_frame(struct ws_conn *ws, enum ws_end how, unsigned code, bool with_close)
{
    struct http_sock *k = ws->sock;

    ws->state = WS_LAST;
    ws->how = (uint8_t)how;
    ws->code = (uint16_t)code;
    http_sock_read(k, false);
    http_sock_arm(k, LAST_FRAME_MS);
    http_sock_wake(k);
    if (with_close && !push_close(ws, code))
        http_sock_close(k);
}

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
        settle(ws, ws->in_flight); /* libuv has forgotten how much of it had left */
    ws->writing = false;
    k->server->ws_queued_bytes -= ws->in_flight;
    ws->in_flight = 0;
    if (status != 0) {
        end_now(ws, WS_END_LOST, WS_CLOSE_ABNORMAL);
        return;
    }
    ws->last_write_ms = uv_now(k->server->loop);
    if (ws->state == WS_OPEN)
        http_sock_arm(k, 0);
    flush(ws);
}

static void arm_stall(struct ws_conn *ws)
{
    ws->write_mark = http_sock_unsent(ws->sock);
    if (ws->state == WS_OPEN) /* else a nearer deadline is running */
        http_sock_arm(ws->sock, ws->sock->server->options.ws_stall_ms);
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

/* Everything has left. */
static void drained(struct ws_conn *ws)
{
    struct http_sock *k = ws->sock;
    struct hub_buf *pong = ws->late_pong;

    ws->pongs = 0;
    if (ws->state == WS_LAST) {
        end(ws, (enum ws_end)ws->how, ws->code);
        http_sock_linger(k);
        return;
    }
    if (pong != NULL && ws->state == WS_OPEN) { /* nothing follows a close frame */
        ws->late_pong = NULL;
        ws->pongs = 1;
        if (push(ws, pong))
            http_sock_wake(k);
        hub_buf_unref(pong);
    }
    if (ws->drain_awaited && ws->state == WS_OPEN) {
        ws->drain_awaited = false;
        ws->cb.on_drained(ws, ws->arg); /* may send and close */
    }
}

static void flush(struct ws_conn *ws)
{
    uv_buf_t bufs[WRITE_MAX];

    while (ws->queue.count > 0 && !ws->writing) {
        size_t total;
        uint32_t n = gather(ws, bufs, &total);
        int rc = uv_try_write((uv_stream_t *)&ws->sock->tcp, bufs, n);

        if (rc == UV_EAGAIN)
            rc = 0;
        if (rc < 0) {
            end_now(ws, WS_END_LOST, WS_CLOSE_ABNORMAL);
            return;
        }
        if (rc > 0)
            ws->last_write_ms = uv_now(ws->sock->server->loop);
        drop_written(ws, (size_t)rc);
        if ((size_t)rc == total)
            continue;
        n = gather(ws, bufs, &total);
        if (!write_later(ws, bufs, n)) {
            end_now(ws, WS_END_LOST, WS_CLOSE_ABNORMAL);
            return;
        }
    }
    if (!ws->writing)
        drained(ws);
}

/* ---- reading ---- */

static void on_close_frame(struct ws_conn *ws, unsigned code)
{
    last_frame(ws, WS_END_CLEAN, code, ws->state == WS_OPEN);
}

static void feed(struct ws_conn *ws, uint8_t *data, size_t len)
{
    struct http_sock *k = ws->sock;
    struct ws_frame_event event;
    size_t used;

    while (len > 0 && ws->state <= WS_CLOSING && !http_sock_closing(k)) {
        enum ws_frame_result result = ws_frame_read(&ws->reader, data, len, &used, &event);

        data += used;
        len -= used;
        switch (result) {
        case WS_FRAME_NEED_MORE:
            if (len > 0 && !keep_tail(ws, data, len))
                http_sock_close(k);
            return;
        case WS_FRAME_DATA:
            if (ws->state == WS_OPEN)
                ws->cb.on_data(ws, ws->arg, event.payload, event.len);
            break;
        case WS_FRAME_PING:
            if (ws->state == WS_OPEN &&
                push_frame(ws, WS_OP_PONG, event.payload, event.len) != WS_SEND_OK)
                http_sock_close(k);
            break;
        case WS_FRAME_PONG:
            break;
        case WS_FRAME_CLOSE:
            on_close_frame(ws, event.close_code);
            break;
        case WS_FRAME_BAD:
            last_frame(ws, WS_END_PROTOCOL, event.close_code, ws->state == WS_OPEN);
            break;
        }
    }
}

void ws_conn_read(struct ws_conn *ws, uint8_t *data, size_t len)
{
    if (ws->tail != NULL) {
        assert(ws->tail_len <= WS_FRAME_TAIL_MAX);
        data -= ws->tail_len;
        len += ws->tail_len;
        memcpy(data, ws->tail, ws->tail_len);
        drop_tail(ws);
    }
    feed(ws, data, len);
}

/* What came behind the upgrade request, which may be more than the read buffer takes at once. */
static void read_first(struct ws_conn *ws)
{
    uint8_t *buf = ws->sock->server->read_buf + WS_FRAME_TAIL_MAX, *first = ws->tail;
    size_t len = ws->tail_len;

    ws->fresh = false;
    ws->tail = NULL;
    ws->tail_len = 0;
    for (size_t at = 0; at < len && ws->state <= WS_CLOSING;) {
        size_t n = len - at < HTTP_READ_BYTES ? len - at : HTTP_READ_BYTES;

        memcpy(buf, first + at, n);
        ws_conn_read(ws, buf, n);
        at += n;
    }
    free(first);
    if (ws->state <= WS_CLOSING && !http_sock_closing(ws->sock))
        http_sock_read(ws->sock, true);
}

void ws_conn_woken(struct ws_conn *ws)
{
    struct http_sock *k = ws->sock;

    if (ws->fresh)
        read_first(ws);
    if (!http_sock_closing(k))
        flush(ws);
}

void ws_conn_eof(struct ws_conn *ws)
{
    end_now(ws, WS_END_LOST, WS_CLOSE_ABNORMAL);
}

void ws_conn_timer(struct ws_conn *ws)
{
    if (ws->state == WS_OPEN && (!ws->writing || http_sock_unsent(ws->sock) < ws->write_mark)) {
        if (ws->writing)
            arm_stall(ws);
        return;
    }
    end_now(ws, WS_END_TIMEOUT, WS_CLOSE_ABNORMAL);
}

void ws_conn_sock_closing(struct ws_conn *ws)
{
    settle(ws, 0);
}

void ws_conn_sock_closed(struct ws_conn *ws)
{
    end(ws, WS_END_LOST, WS_CLOSE_ABNORMAL);
}

struct ws_conn *ws_conn_new(struct http_sock *k, const struct ws_callbacks *cb, void *arg,
                            struct slice first, struct slice unread)
{
    struct ws_conn *ws = calloc(1, sizeof *ws);
    struct hub_buf *b = hub_buf_new(first.ptr, first.len);

    if (ws != NULL)
        ws->sock = k;
    if (ws == NULL || b == NULL || !push(ws, b) ||
        (unread.len > 0 && !keep_tail(ws, unread.ptr, unread.len))) {
        if (ws != NULL)
            ws_free(ws);
        hub_buf_unref(b);
        return NULL;
    }
    hub_buf_unref(b);
    ws->cb = *cb;
    ws->arg = arg;
    ws->fresh = unread.len > 0;
    ws_frame_reader_init(&ws->reader);
    return ws;
}

/* ---- the owner's calls ---- */

/* What counts against the limit. An empty queue takes a frame of any size (an answer is as large as
 * it is); one beyond the limit counts no more while it leaves, or whatever came next would be too
 * much. */
static size_t counted(const struct ws_conn *ws, size_t queued)
{
    const size_t behind = ws->pushed - ws->behind;

    return behind < queued ? behind : queued;
}

enum ws_send ws_conn_send(struct ws_conn *ws, struct hub_buf *frame, bool over_limit)
{
    const size_t limit = ws->sock->server->options.ws_queue_bytes;
    const size_t queued = ws_conn_queued_bytes(ws);
    size_t len;

    if (ws->state != WS_OPEN || http_sock_closing(ws->sock))
        return WS_SEND_CLOSED;
    hub_buf_bytes(frame, &len);
    if (!over_limit && limit > 0 && queued > 0 && counted(ws, queued) + len > limit)
        return WS_SEND_FULL;
    if (!push(ws, frame))
        return WS_SEND_NOMEM;
    if (queued == 0)
        ws->behind = ws->pushed - (len > limit ? 0 : (uint32_t)len);
    http_sock_wake(ws->sock);
    return WS_SEND_OK;
}

void ws_conn_close(struct ws_conn *ws, unsigned code, unsigned wait_ms)
{
    if (ws->state != WS_OPEN || http_sock_closing(ws->sock))
        return;
    ws->state = WS_CLOSING;
    http_sock_arm(ws->sock, wait_ms > 0 ? wait_ms : 1);
    if (!push_close(ws, code))
        http_sock_close(ws->sock);
}

bool ws_conn_abandon(struct ws_conn *ws)
{
    if (ws->state != WS_OPEN || http_sock_closing(ws->sock) || http_sock_answers(ws->sock))
        return false;
    http_sock_drop(ws->sock); /* its close callback reports the end */
    return true;
}

bool ws_conn_has_room(const struct ws_conn *ws, size_t len)
{
    const size_t limit = ws->sock->server->options.ws_queue_bytes;
    const size_t queued = ws_conn_queued_bytes(ws);

    return queued == 0 || limit == 0 || queued + len <= limit / 2;
}

void ws_conn_await_drain(struct ws_conn *ws)
{
    ws->drain_awaited = true;
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

    settle(&copy, 0);
    return copy.unacked;
}

uint64_t ws_conn_last_write_ms(const struct ws_conn *ws)
{
    return ws->last_write_ms;
}
