/* signalr/protocol/negotiate.h - the negotiate exchange: versions in, JSON out.
 *
 * Pure. Errors of the negotiate protocol itself are answers too, with status 200 and one "error"
 * member. Offered is what works: WebSockets with text. Facts: signalr.md 1.1, 1.2. */
#ifndef SIGNALR_PROTOCOL_NEGOTIATE_H
#define SIGNALR_PROTOCOL_NEGOTIATE_H

#include "base/slice.h"
#include <stdint.h>

struct byte_buf;

#define NEGOTIATE_MAX_VERSION 1

enum negotiate_result {
    NEGOTIATE_OK,
    NEGOTIATE_NOT_INTEGER,
    NEGOTIATE_TOO_LOW,
};

/* text: the decoded value of the query key negotiateVersion; ptr NULL: it was not there, which
 * means version 0. Versions above NEGOTIATE_MAX_VERSION are lowered to it. *version is set for
 * NEGOTIATE_TOO_LOW too: the error names it. */
enum negotiate_result negotiate_version(struct slice text, int32_t *version);

/* connection_token is written for version 1 only: before that, the id is the token. */
void negotiate_write(struct byte_buf *out, int32_t version, struct slice connection_id,
                     struct slice connection_token);
void negotiate_write_error(struct byte_buf *out, enum negotiate_result result, int32_t version);

#endif
