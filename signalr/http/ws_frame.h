/* signalr/http/ws_frame.h - RFC 6455 framing of a server: read masked frames.
 * (Headers of its own frames: signalr/protocol/ws_header.h.)
 *
 * Pure: no I/O, no allocation. The reader keeps only what a frame cut anywhere needs; payload of
 * data frames comes out in pieces as it arrives, unmasked in place, so nothing is buffered for it.
 * Headers and control frames are taken whole: pass the unconsumed tail (at most WS_FRAME_TAIL_MAX
 * bytes) again in front of the next bytes.
 *
 *   FIN RSV RSV RSV opcode(4) | MASK length(7) | length (16 or 64) | mask (32) | payload
 *
 * Checked: RSV bits, known opcodes, every client frame masked, shortest length form, 63-bit length,
 * control frames whole and at most 125 bytes, fragment order, text is UTF-8 over fragments (failing
 * at the first bad byte), close codes and reasons. RFC 6455 sections 5.2 to 5.5, 7.4, 8.1. */
#ifndef SIGNALR_HTTP_WS_FRAME_H
#define SIGNALR_HTTP_WS_FRAME_H

#include "base/slice.h"
#include "base/utf8.h"
#include <stdint.h>

enum ws_opcode {
    WS_OP_CONTINUATION = 0x0,
    WS_OP_TEXT = 0x1,
    WS_OP_BINARY = 0x2,
    WS_OP_CLOSE = 0x8,
    WS_OP_PING = 0x9,
    WS_OP_PONG = 0xa,
};

enum ws_close_code {
    WS_CLOSE_NORMAL = 1000,
    WS_CLOSE_PROTOCOL = 1002,
    WS_CLOSE_NONE = 1005,     /* never on the wire: the close frame had no code */
    WS_CLOSE_ABNORMAL = 1006, /* never on the wire: no close frame */
    WS_CLOSE_BAD_DATA = 1007,
};

#define WS_CONTROL_MAX 125
#define WS_FRAME_TAIL_MAX (6 + WS_CONTROL_MAX - 1)

struct ws_frame_reader {
    uint64_t _left;   /* payload bytes of the open data frame still to come */
    uint8_t _mask[4]; /* turned so that _mask[0] is for the next byte */
    struct utf8_check _utf8;
    bool _in_frame, _in_message, _fin, _text;
};

enum ws_frame_result {
    WS_FRAME_NEED_MORE, /* keep what was not consumed */
    WS_FRAME_DATA,      /* payload of a data frame, never empty */
    WS_FRAME_PING,
    WS_FRAME_PONG,
    WS_FRAME_CLOSE, /* close_code: the peer's, or WS_CLOSE_NONE */
    WS_FRAME_BAD,   /* close_code: what to close with; the reader is spent */
};

struct ws_frame_event {
    const uint8_t *payload; /* borrowed: points into data */
    size_t len;
    unsigned close_code;
};

void ws_frame_reader_init(struct ws_frame_reader *r);

/* Takes what it can from the front of data. *consumed is set always. Empty data frames pass without
 * an event. */
enum ws_frame_result ws_frame_read(struct ws_frame_reader *r, uint8_t *data, size_t len,
                                   size_t *consumed, struct ws_frame_event *event);

/* May a close frame carry it? RFC 6455 7.4 and the IANA registry. */
bool ws_close_code_valid(unsigned code);

#endif
