#include "bridge/abp/abp_call_internal.h"

#include "base/json_slice.h"

#define TEXT_MAX 512 /* of Rocket.Chat's words that are passed on */

static const char try_again[] = "Rocket.Chat did not answer in time. Please try again.";

void abp_fail_nomem(struct abp_call *c)
{
    const struct abp_error error = {
        .status = 500, .code = 503, .message = "The bridge is overloaded. Please try again."};

    abp_fail(c, &error);
}

void abp_fail_late(struct abp_call *c)
{
    const struct abp_error error = {.status = 500, .code = 504, .message = try_again};

    abp_fail(c, &error);
}

void abp_fail_loan(struct abp_call *c, const struct rc_error *e)
{
    struct abp_error error = {
        .status = 500, .details = slice_of(e->code), .retry_after_ms = e->retry_after_ms};

    switch (e->result) {
    case RC_REFUSED:
        error.code = 403;
        error.message = c->as_admin ? "The bridge has no administrator at Rocket.Chat."
                                    : "Rocket.Chat does not let this user in.";
        break;
    case RC_TIMED_OUT:
        error.code = 504;
        error.message = "The login at Rocket.Chat is not through yet. Please try again.";
        break;
    default:
        error.code = 503;
        error.message = "Rocket.Chat is not available right now. Please try again.";
        break;
    }
    abp_fail(c, &error);
}

/* Rocket.Chat's own words, in text; empty: it had none. */
static struct slice error_text(struct slice body, char text[TEXT_MAX])
{
    struct json_reader r;
    struct slice key, raw = {0};
    size_t len = 0;

    json_reader_init(&r, body.ptr, body.len, 32);
    if (!json_enter_object(&r))
        return (struct slice){0};
    while (json_next_key(&r, &key)) {
        if (json_string_is(key, "error") && json_peek(&r) == JSON_KIND_STRING)
            json_read_string(&r, &raw);
        else
            json_skip(&r);
    }
    if (!json_end(&r) || raw.len == 0 || !json_string_unescape(raw, text, TEXT_MAX - 1, &len))
        return (struct slice){0};
    text[len] = '\0';
    return slice_of(text); /* up to a NUL, if there is one */
}

void abp_fail_upstream(struct abp_call *c, long status, struct slice body, const struct rc_error *e)
{
    char text[TEXT_MAX];
    struct slice words = error_text(body, text);
    struct abp_error error = {.status = 500,
                              .code = status >= 400 ? (int)status : 503,
                              .message = words.len > 0 ? text : "Rocket.Chat refused the call.",
                              .details = slice_of(e->code),
                              .retry_after_ms = e->retry_after_ms};

    switch (e->result) {
    case RC_NOT_FOUND:
        error.status = 404;
        break;
    case RC_TIMED_OUT:
        error.code = 504;
        error.message = try_again;
        break;
    case RC_UNREACHABLE:
    case RC_SERVER_ERROR:
    case RC_MALFORMED:
    case RC_NOMEM:
    case RC_CANCELLED:
        error.message = "Rocket.Chat is not available right now. Please try again.";
        break;
    case RC_RATE_LIMITED:
        error.code = 429;
        break;
    case RC_TWO_FACTOR:
        error.message = "Rocket.Chat asks for a second factor, which a bridge can't give.";
        break;
    default:
        if (status < 400) /* a 200 that says success:false */
            error.code = 400;
        /* No code of its own, alas: rocketchat.md 5.3. */
        if (slice_eq(words, SLICE_LIT("User not found.")))
            error.status = 404;
        else if (strcmp(e->code, "invalid-params") == 0 ||
                 strcmp(e->code, "error-invalid-params") == 0)
            error.status = 400;
        break;
    }
    abp_fail(c, &error);
}
