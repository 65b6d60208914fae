/* signalr/http/ws_conn_internal.h - one WebSocket, as its two halves share it.
 *
 *   ws_conn.c   its life: reading, the closing handshake, the end, the owner's calls
 *   ws_out.c    what is queued, how it leaves, and how much of it has
 */
#ifndef SIGNALR_HTTP_WS_CONN_INTERNAL_H
#define SIGNALR_HTTP_WS_CONN_INTERNAL_H

#include "signalr/http/http_internal.h"
#include "signalr/http/ws_queue.h"

enum ws_state {
    WS_OPEN,
    WS_CLOSING, /* our close frame is queued; the peer's is awaited */
    WS_ENDED,   /* the peer's doing: how and code are known; waits for its turn to end */
    WS_LAST,    /* what is queued is the last; then how and code are reported */
    WS_OVER,
};

struct ws_conn {
    struct http_sock *sock;
    struct ws_callbacks cb;
    void *arg;
    struct ws_frame_reader reader;
    struct ws_queue queue;
    struct hub_buf *late_pong; /* the newest past the most that are queued */
    uint8_t *tail; /* owned: bytes of a frame cut in two, or (fresh) behind the request */
    uint32_t tail_len;
    uint32_t in_flight;        /* bytes that libuv holds */
    uint32_t pushed;           /* bytes queued so far */
    uint32_t behind;           /* pushed, when the queue was last begun: ws_conn.c, counted() */
    struct ws_unacked unacked; /* once known for good */
    uint64_t last_write_ms;
    size_t write_mark; /* unsent bytes when the stall deadline was last set */
    uint16_t code;     /* with how, from WS_ENDED on */
    uint8_t state, how, pongs;
    bool fresh, writing;
    bool settled; /* unacked is known */
    bool drain_awaited;
    bool owes_close; /* in WS_ENDED: our close frame is still to come */
};

/* ---- ws_conn.c ---- */
void ws_conn_all_left(struct ws_conn *ws); /* nothing is queued any more; may end it */

/* ---- ws_out.c ---- */
bool ws_out_push(struct ws_conn *ws, struct hub_buf *b); /* false: no memory */
enum ws_send ws_out_control(struct ws_conn *ws, enum ws_opcode opcode, const uint8_t *payload,
                            size_t len);
bool ws_out_close(struct ws_conn *ws, unsigned code); /* false: no memory */
void ws_out_flush(struct ws_conn *ws);                /* may end it */
/* The stall deadline has come. False: no byte has left since it was set. */
bool ws_out_goes_on(struct ws_conn *ws);
/* The socket is about to be closed, or has just failed, with `failed` bytes of a write that libuv
 * holds no more: what has not been acknowledged is known for good. */
void ws_out_settle(struct ws_conn *ws, uint32_t failed);
void ws_out_free(struct ws_conn *ws);

#endif
