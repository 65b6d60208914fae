#include "signalr/protocol/negotiate.h"
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include <inttypes.h>
#include <stdlib.h>

/* As .NET's int.TryParse: white space around, a sign, decimal digits, 32 bits. */
static bool parse_int32(struct slice s, int32_t *out)
{
    uint64_t value;
    bool negative;

    s = slice_trim(s, " \t\n\v\f\r");
    negative = slice_cut_prefix(&s, SLICE_LIT("-"));
    if (!negative)
        slice_cut_prefix(&s, SLICE_LIT("+"));
    if (!slice_read_digits(s, (uint64_t)INT32_MAX + negative, &value))
        return false;
    *out = (int32_t)(negative ? -(int64_t)value : (int64_t)value);
    return true;
}

enum negotiate_result negotiate_version(struct slice text, int32_t *version)
{
    int32_t asked = 0;

    if (text.ptr != NULL && !parse_int32(text, &asked))
        return NEGOTIATE_NOT_INTEGER;
    *version = asked > NEGOTIATE_MAX_VERSION ? NEGOTIATE_MAX_VERSION : asked;
    return asked < 0 ? NEGOTIATE_TOO_LOW : NEGOTIATE_OK;
}

void negotiate_write(struct byte_buf *out, int32_t version, struct slice connection_id,
                     struct slice connection_token)
{
    byte_buf_printf(out, "{\"negotiateVersion\":%" PRId32 ",\"connectionId\":", version);
    json_write_string(out, connection_id);
    if (version > 0) {
        byte_buf_puts(out, ",\"connectionToken\":");
        json_write_string(out, connection_token);
    }
    byte_buf_puts(out, ",\"availableTransports\":[{\"transport\":\"WebSockets\","
                       "\"transferFormats\":[\"Text\"]}]}");
}

void negotiate_write_error(struct byte_buf *out, enum negotiate_result result, int32_t version)
{
    switch (result) {
    case NEGOTIATE_NOT_INTEGER:
        byte_buf_puts(out, "{\"error\":\"The client requested a non-integer protocol version.\"}");
        return;
    case NEGOTIATE_TOO_LOW:
        byte_buf_printf(out,
                        "{\"error\":\"The client requested version '%" PRId32
                        "', but the server does not support this version.\"}",
                        version);
        return;
    case NEGOTIATE_OK:
        break;
    }
    abort();
}
