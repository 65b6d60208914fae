#include "rocketchat/ddp_error.h"
#include "rocketchat/json_fields_internal.h"

/* Longer than any wait a server could mean; keeps sums of deadlines from overflowing. */
#define RETRY_AFTER_MAX_MS (UINT64_C(24) * 3600 * 1000)

/* {"timeToReset":ms}; a fraction is cut off. */
static uint64_t read_wait(struct json_reader *r)
{
    struct json_key key;
    struct slice number;
    uint64_t ms = 0;

    if (!json_enter_object_or_skip(r))
        return 0;
    while (json_next_plain_key(r, &key)) {
        if (!json_key_is(&key, "timeToReset")) {
            json_skip(r);
            continue;
        }
        if (!json_read_if(r, JSON_KIND_NUMBER, &number))
            continue;
        ms = 0;
        for (size_t i = 0; i < number.len && number.ptr[i] >= '0' && number.ptr[i] <= '9'; i++)
            if (ms < RETRY_AFTER_MAX_MS)
                ms = ms * 10 + (unsigned)(number.ptr[i] - '0');
    }
    return ms < RETRY_AFTER_MAX_MS ? ms : RETRY_AFTER_MAX_MS;
}

void ddp_error_parse(struct slice json, struct rc_error *out)
{
    struct json_reader r;
    struct json_key key;
    struct slice code = {0};
    char text[sizeof out->code];
    size_t len;
    uint64_t wait_ms = 0;

    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    if (json_enter_object(&r))
        while (json_next_plain_key(&r, &key)) {
            if (json_key_is(&key, "error"))
                json_read_if(
                    &r, json_peek(&r) == JSON_KIND_NUMBER ? JSON_KIND_NUMBER : JSON_KIND_STRING,
                    &code);
            else if (json_key_is(&key, "details"))
                wait_ms = read_wait(&r);
            else
                json_skip(&r);
        }
    if (!json_end(&r) || code.ptr == NULL) {
        rc_error_of(out, RC_MALFORMED);
        return;
    }
    if (json_string_unescape(code, text, sizeof text, &len))
        code = (struct slice){text, len};
    rc_error_set(out, code); /* too long or a lone surrogate: as it stands, cut and cleaned */
    out->retry_after_ms = wait_ms;
}

bool ddp_error_reason(struct slice json, char *out, size_t cap)
{
    struct json_reader r;
    struct json_key key;
    struct slice reason = {0}, other = {0};
    size_t len;

    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    if (!json_enter_object(&r))
        return false;
    while (json_next_plain_key(&r, &key)) {
        if (json_key_is(&key, "reason"))
            json_read_if(&r, JSON_KIND_STRING, &reason);
        else if (json_key_is(&key, "message") || json_key_is(&key, "error"))
            json_read_if(&r, JSON_KIND_STRING, &other);
        else
            json_skip(&r);
    }
    if (reason.len == 0)
        reason = other;
    if (!json_end(&r) || reason.len == 0 || !json_string_unescape(reason, out, cap - 1, &len))
        return false;
    out[len] = '\0';
    return true;
}
