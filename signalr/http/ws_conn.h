/* signalr/http/ws_conn.h - one server-side WebSocket (RFC 6455) on libuv.
 *
 * Incoming: frames are unmasked in place, control frames answered here, text checked for UTF-8
 * across fragments; the payload of data frames comes out as a byte stream, in pieces. Message
 * borders are not told: SignalR does not use them (signalr.md 2.2).
 *
 * Outgoing: buffers that hold whole frames already (ws_frame.h writes the header). They are queued
 * by reference; all that is queued in one loop turn leaves in one writev before the loop sleeps.
 */
#ifndef SIGNALR_HTTP_WS_CONN_H
#define SIGNALR_HTTP_WS_CONN_H

#include "base/slice.h"
#include <stdint.h>

struct ws_conn;
struct hub_buf;

enum ws_end {
    WS_END_CLEAN,    /* a close frame came, or ours was answered */
    WS_END_LOST,     /* TCP ended or failed without a close frame */
    WS_END_PROTOCOL, /* peer broke RFC 6455 (1002, 1007, 1009 was sent) */
    WS_END_TIMEOUT,  /* peer did not answer our close frame, or took no bytes, in time */
};

struct ws_callbacks {
    /* Bytes of data frames; borrowed for the call. May close or send; after ws_conn_close no more
     * data comes. */
    void (*on_data)(struct ws_conn *ws, void *arg, const uint8_t *bytes, size_t len);
    /* Exactly once, the last callback; ws is dead when it returns. code: the peer's close code,
     * 1005 none, 1006 lost; with WS_END_PROTOCOL the one we sent. Never inside a call into ws_conn.
     */
    void (*on_end)(struct ws_conn *ws, void *arg, enum ws_end how, unsigned code);
    /* All that was queued has left, once for each ws_conn_await_drain(). */
    void (*on_drained)(struct ws_conn *ws, void *arg);
};

enum ws_send {
    WS_SEND_OK,
    WS_SEND_FULL,   /* the queue limit is passed: not queued. The owner closes a slow consumer */
    WS_SEND_CLOSED, /* closing: not queued */
    WS_SEND_NOMEM,
};

/* Takes a reference of its own. over_limit: lets a control message (Close, ping) pass the limit. An
 * empty queue takes a frame of any size: a message past the limit alone makes nobody slow, nor do
 * those behind it until they pass the limit themselves. */
enum ws_send ws_conn_send(struct ws_conn *ws, struct hub_buf *frame, bool over_limit);

/* Whether len bytes more leave half of the queue's limit free, or the queue is empty: what can wait
 * (the items of a stream) stays out of the way of what can't. Where it does not, on_drained tells
 * when to go on. */
bool ws_conn_has_room(const struct ws_conn *ws, size_t len);
void ws_conn_await_drain(struct ws_conn *ws); /* something is queued */

/* Flushes what is queued, sends a close frame, waits wait_ms for the peer's, then drops TCP. */
void ws_conn_close(struct ws_conn *ws, unsigned code, unsigned wait_ms);
/* Of a peer whose TCP does not answer: drops ours at once, by a reset. What it has not acknowledged
 * by now does not arrive any more, even if its network is back in a moment. on_end comes, with
 * WS_END_LOST. False: it answers, or we are closing; nothing was done. */
bool ws_conn_abandon(struct ws_conn *ws) __attribute__((warn_unused_result));

/* The peer has ended it, and on_end is on its way: a crowd that leaves at once is told in turns. */
bool ws_conn_has_ended(const struct ws_conn *ws);
bool ws_conn_is_lost(const struct ws_conn *ws); /* ... and not by a close frame */

size_t ws_conn_queued_bytes(const struct ws_conn *ws);
/* Bytes queued since the 101 answer, that answer included; modulo 2^32. */
uint32_t ws_conn_pushed(const struct ws_conn *ws);
/* How many of them, the last ones, the peer's TCP has not acknowledged; and of these, how many no
 * kernel has taken yet. Also in on_end, of the connection as it was when it ended. Where a write
 * failed, all of that write counts. */
struct ws_unacked {
    uint32_t all, unsent;
};
struct ws_unacked ws_conn_unacked(const struct ws_conn *ws);
uint64_t ws_conn_last_write_ms(const struct ws_conn *ws); /* uv_now of the last write; 0: none */

#endif
