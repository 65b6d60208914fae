/* tests/bench/bench_ws.h - the little of HTTP and WebSocket that the bench programs speak, written
 * apart from the product's own: a reference must not share its mistakes. Trusts its peers. */
#ifndef TESTS_BENCH_BENCH_WS_H
#define TESTS_BENCH_BENCH_WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WS_TEXT = 1, WS_CLOSE = 8, WS_PING = 9, WS_PONG = 10, WS_HEAD_MAX = 14 };

/* Messages that are timed carry the time they were sent (net_now_ns) as MARK and 19 digits. */
#define WS_MARK "@ns:"
enum { WS_MARK_LEN = 4, WS_STAMP_LEN = 23 };
void ws_write_stamp(char *out, uint64_t ns);                       /* WS_STAMP_LEN bytes */
bool ws_read_stamp(const uint8_t *text, size_t len, uint64_t *ns); /* false: no mark in it */

struct ws_message {
    unsigned opcode;
    uint8_t *payload; /* unmasked in place */
    size_t len;
};

/* The head of a frame; masked: with the mask 0, so that the payload goes as it is. Returns its
 * length, at most WS_HEAD_MAX. */
size_t ws_head(uint8_t *out, unsigned opcode, size_t len, bool masked);
/* Takes one frame from the front of data; returns its length with the head, 0: not all there. */
size_t ws_take(uint8_t *data, size_t len, struct ws_message *out);

/* An HTTP message's head and, where Content-Length tells of one, body. 0: not all there. */
size_t http_whole(const uint8_t *data, size_t len, const char **body, size_t *body_len);
/* A header's value, copied and cut to cap; head: up to the empty line. */
bool http_header(const uint8_t *head, size_t len, const char *name, char *out, size_t cap);
/* The 101 for a request with this Sec-WebSocket-Key. Returns its length. */
size_t ws_accept_answer(const char *key, char *out, size_t cap);

#endif
