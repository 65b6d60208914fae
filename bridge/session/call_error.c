#include "bridge/session/call_error.h"

#include "rocketchat/ddp_error.h"
#include <inttypes.h>

/* Rocket.Chat's codes may hold a colon; ours end there. */
static void put_code(struct byte_buf *out, const char *code)
{
    for (; *code != '\0'; code++)
        byte_buf_putc(out, *code == ':' ? '.' : *code);
}

void call_error_write(struct byte_buf *out, const char *code, const char *words, uint64_t retry_ms)
{
    put_code(out, code);
    byte_buf_puts(out, ": ");
    byte_buf_puts(out, words);
    if (retry_ms > 0)
        byte_buf_printf(out, " (retry after %" PRIu64 " s)", (retry_ms + 999) / 1000);
}

static const char *words_of(const struct rc_error *error)
{
    switch (error->result) {
    case RC_UNREACHABLE:
    case RC_CANCELLED:
        return "the connection to Rocket.Chat was lost before it answered";
    case RC_TIMED_OUT:
        return "Rocket.Chat did not answer in time";
    case RC_RATE_LIMITED:
        return "too many calls for Rocket.Chat";
    case RC_NOT_FOUND:
        return "Rocket.Chat has no such method";
    case RC_NOT_ALLOWED:
    case RC_UNAUTHORIZED:
        return "not allowed";
    case RC_NOMEM:
        return "out of memory";
    default:
        return "Rocket.Chat answered with an error";
    }
}

void call_error_write_rc(struct byte_buf *out, const struct rc_error *error, struct slice details)
{
    char words[512];

    if (!ddp_error_reason(details, words, sizeof words))
        call_error_write(out, error->code, words_of(error), error->retry_after_ms);
    else
        call_error_write(out, error->code, words, error->retry_after_ms);
}
