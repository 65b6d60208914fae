/* bridge/session/call_error.h - the error texts of hub calls.
 *
 * SignalR's completions have one string for an error. Ours is
 *
 *   code: words
 *   code: words (retry after N s)
 *
 * where code is Rocket.Chat's own ("error-not-allowed", "403") or one of the bridge's, without a
 * space or colon in it, and N is in whole seconds. Pure. */
#ifndef BRIDGE_SESSION_CALL_ERROR_H
#define BRIDGE_SESSION_CALL_ERROR_H

#include "base/byte_buf.h"
#include "rocketchat/rc_result.h"

/* words: plain text. retry_ms 0: not told. */
void call_error_write(struct byte_buf *out, const char *code, const char *words, uint64_t retry_ms);
/* What Rocket.Chat, or the way to it, answered. details: its error object, raw; may be empty. */
void call_error_write_rc(struct byte_buf *out, const struct rc_error *error, struct slice details);

#endif
