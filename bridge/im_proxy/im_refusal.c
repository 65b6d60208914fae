#include "bridge/im_proxy/im_proxy_internal.h"

#include "base/json_slice.h"
#include <inttypes.h>
#include <stdio.h>

#define NOT_LOGGED_IN "You must be logged in to do this."

static void answer(struct http_request *req, int status, struct slice json, uint64_t retry_after_ms)
{
    char seconds[24];
    struct http_header headers[2] = {{SLICE_LIT("Cache-Control"), SLICE_LIT("no-store")}};
    struct http_response r = {.status = status,
                              .content_type = "application/json",
                              .body = json,
                              .headers = headers,
                              .nheaders = 1};

    if (retry_after_ms > 0) {
        snprintf(seconds, sizeof seconds, "%" PRIu64, (retry_after_ms + 999) / 1000);
        headers[r.nheaders++] = (struct http_header){SLICE_LIT("Retry-After"), slice_of(seconds)};
    }
    http_respond(req, &r);
}

void im_refuse(struct http_request *req, int status, const char *text, const char *code,
               uint64_t retry_after_ms)
{
    struct byte_buf json = {0}, said = {0};

    byte_buf_puts(&said, text);
    if (code[0] != '\0')
        byte_buf_printf(&said, " [%s]", code);
    byte_buf_puts(&json, "{\"success\":false,\"error\":");
    json_write_string(&json, byte_buf_slice(&said));
    if (code[0] != '\0') {
        byte_buf_puts(&json, ",\"errorType\":");
        json_write_string(&json, slice_of(code));
    }
    byte_buf_putc(&json, '}');
    if (byte_buf_failed(&json) || byte_buf_failed(&said))
        answer(req, status, (struct slice){0}, retry_after_ms);
    else
        answer(req, status, byte_buf_slice(&json), retry_after_ms);
    byte_buf_free(&json);
    byte_buf_free(&said);
}

void im_refuse_login(struct http_request *req)
{
    answer(req, 401,
           SLICE_LIT("{\"status\":\"error\",\"message\":\"" NOT_LOGGED_IN
                     "\",\"success\":false,\"error\":\"" NOT_LOGGED_IN "\"}"),
           0);
}

void im_answer_logout(struct http_request *req)
{
    answer(req, 200,
           SLICE_LIT("{\"status\":\"success\",\"data\":{\"message\":"
                     "\"You've been logged out!\"}}"),
           0);
}

void im_refuse_loan(struct http_request *req, const struct rc_error *error)
{
    if (error->result == RC_REFUSED)
        im_refuse(req, 403, "Rocket.Chat does not let this user in", error->code,
                  error->retry_after_ms);
    else if (error->result == RC_TIMED_OUT)
        im_refuse(req, 503, "The login to Rocket.Chat takes longer", error->code,
                  error->retry_after_ms > 0 ? error->retry_after_ms : 1000);
    else
        im_refuse(req, 503, "Rocket.Chat can't be logged in to now", error->code,
                  error->retry_after_ms > 0 ? error->retry_after_ms : 1000);
}

void im_refuse_upstream(struct http_request *req, const struct rc_error *error)
{
    if (error->result == RC_TIMED_OUT)
        im_refuse(req, 504, "Rocket.Chat did not answer in time", "", 0);
    else if (error->result == RC_NOMEM)
        im_refuse(req, 503, "No memory", "", 1000);
    else
        im_refuse(req, 502, "Rocket.Chat did not answer", error->code, 0);
}
