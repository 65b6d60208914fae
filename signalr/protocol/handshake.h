/* signalr/protocol/handshake.h - the first message of a connection, always JSON.
 *
 *   {"protocol":"json","version":1} 0x1E
 *
 * Any member order, unknown members skipped, the last of doubled members counts. Pure: parses one
 * body (without its separator) and gives the reason of a refusal in .NET's words.
 * Facts: signalr.md 3.1 to 3.3. */
#ifndef SIGNALR_PROTOCOL_HANDSHAKE_H
#define SIGNALR_PROTOCOL_HANDSHAKE_H

#include "base/slice.h"
#include <stdint.h>

struct byte_buf;

#define HANDSHAKE_MAX_VERSION 2 /* of the hub protocol; there is no lower bound */

enum handshake_result {
    HANDSHAKE_OK,
    HANDSHAKE_MALFORMED,        /* not JSON, a member missing or of the wrong type */
    HANDSHAKE_UNKNOWN_PROTOCOL, /* only "json" is spoken; compared without case */
    HANDSHAKE_VERSION_TOO_HIGH,
};

struct handshake {
    struct slice protocol; /* raw string text, borrowed from the body */
    int32_t version;
};

/* *out is filled but for HANDSHAKE_MALFORMED. */
enum handshake_result handshake_parse(struct slice body, struct handshake *out);

/* Appends the error text (plain, not JSON) of a result other than HANDSHAKE_OK. */
void handshake_error_text(enum handshake_result result, const struct handshake *h,
                          struct byte_buf *text);

/* Time is up, or no separator within the size limit. */
#define HANDSHAKE_CANCELED "Handshake was canceled."

#endif
