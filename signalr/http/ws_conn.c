#include "signalr/http/ws_conn_internal.h"

#include <assert.h>
#include <stdlib.h>

enum { LAST_FRAME_MS = 5000 }; /* for the close frame that ends an exchange to leave */

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
    ws_out_free(ws);
    drop_tail(ws);
    free(ws);
}

/* ---- the end ---- */

/* The first conclusion stands: a peer that has closed is not lost because the socket fails then. */
static void conclude(struct ws_conn *ws, enum ws_end how, unsigned code)
{
    if (ws->state >= WS_ENDED)
        return;
    ws->owes_close = ws->state == WS_OPEN && how != WS_END_LOST;
    ws->state = WS_ENDED;
    ws->how = (uint8_t)how;
    ws->code = (uint16_t)code;
}

/* Never below a call of the owner's. The socket is the caller's to close or to let linger. */
static void end(struct ws_conn *ws)
{
    ws->state = WS_OVER;
    ws_out_settle(ws, 0);
    ws->sock->as.ws = NULL;
    ws->cb.on_end(ws, ws->arg, (enum ws_end)ws->how, ws->code);
    ws_free(ws);
}

static void end_now(struct ws_conn *ws, enum ws_end how, unsigned code)
{
    struct http_sock *k = ws->sock;

    conclude(ws, how, code);
    end(ws);
    http_sock_drop(k);
}

/* The peer's doing. The owner is told in its turn, but can send nothing from here on. */
static void ended(struct ws_conn *ws, enum ws_end how, unsigned code)
{
    conclude(ws, how, code);
    http_sock_read(ws->sock, false);
    http_turn_end(ws->sock);
}

void ws_conn_lost(struct ws_conn *ws)
{
    if (ws->state < WS_ENDED)
        ended(ws, WS_END_LOST, WS_CLOSE_ABNORMAL);
    else if (ws->state == WS_LAST) /* only our last frame is */
        end_now(ws, WS_END_LOST, WS_CLOSE_ABNORMAL);
}

/* A lost one ends here; others with one more frame of ours, or with what is queued. */
void ws_conn_turn(struct ws_conn *ws)
{
    struct http_sock *k = ws->sock;

    if (ws->how == WS_END_LOST) {
        end_now(ws, WS_END_LOST, WS_CLOSE_ABNORMAL);
        return;
    }
    ws->state = WS_LAST;
    http_sock_arm(k, LAST_FRAME_MS);
    http_sock_wake(k);
    if (ws->owes_close && !ws_out_close(ws, ws->code))
        http_sock_close(k);
}

void ws_conn_all_left(struct ws_conn *ws)
{
    struct http_sock *k = ws->sock;

    if (ws->state == WS_LAST) {
        end(ws);
        http_sock_linger(k);
    } else if (ws->state == WS_OPEN && ws->drain_awaited) {
        ws->drain_awaited = false;
        ws->cb.on_drained(ws, ws->arg); /* may send and close */
    }
}

void ws_conn_timer(struct ws_conn *ws)
{
    if (ws->state != WS_OPEN || !ws_out_goes_on(ws))
        end_now(ws, WS_END_TIMEOUT, WS_CLOSE_ABNORMAL);
}

void ws_conn_sock_closing(struct ws_conn *ws)
{
    ws_out_settle(ws, 0);
}

void ws_conn_sock_closed(struct ws_conn *ws)
{
    conclude(ws, WS_END_LOST, WS_CLOSE_ABNORMAL);
    end(ws);
}

/* ---- reading ---- */

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
                ws_out_control(ws, WS_OP_PONG, event.payload, event.len) != WS_SEND_OK)
                http_sock_close(k);
            break;
        case WS_FRAME_PONG:
            break;
        case WS_FRAME_CLOSE:
            ended(ws, WS_END_CLEAN, event.close_code);
            break;
        case WS_FRAME_BAD:
            ended(ws, WS_END_PROTOCOL, event.close_code);
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
        ws_out_flush(ws);
}

struct ws_conn *ws_conn_new(struct http_sock *k, const struct ws_callbacks *cb, void *arg,
                            struct slice first, struct slice unread)
{
    struct ws_conn *ws = calloc(1, sizeof *ws);
    struct hub_buf *b = hub_buf_new(first.ptr, first.len);

    if (ws != NULL)
        ws->sock = k;
    if (ws == NULL || b == NULL || !ws_out_push(ws, b) ||
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
    if (!ws_out_push(ws, frame))
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
    if (!ws_out_close(ws, code))
        http_sock_close(ws->sock);
}

bool ws_conn_abandon(struct ws_conn *ws)
{
    if (ws->state != WS_OPEN || http_sock_closing(ws->sock) || http_sock_answers(ws->sock))
        return false;
    http_sock_drop(ws->sock); /* its close callback reports the end */
    return true;
}

bool ws_conn_has_ended(const struct ws_conn *ws)
{
    return ws->state >= WS_ENDED;
}

bool ws_conn_is_lost(const struct ws_conn *ws)
{
    return ws_conn_has_ended(ws) && ws->how != WS_END_CLEAN;
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
