#include "bridge/abp/abp_envelope.h"

#include "base/json_slice.h"

void abp_envelope_result(struct byte_buf *out, struct slice result)
{
    byte_buf_puts(out, "{\"result\":");
    byte_buf_put(out, result.len > 0 ? result : SLICE_LIT("null"));
    byte_buf_puts(out, ",\"targetUrl\":null,\"success\":true,\"error\":null,"
                       "\"unAuthorizedRequest\":false,\"__abp\":true}");
}

void abp_envelope_error(struct byte_buf *out, const struct abp_error *e)
{
    bool unauthorized = e->status == 401 || e->status == 403;

    byte_buf_printf(out,
                    "{\"result\":null,\"targetUrl\":null,\"success\":false,\"error\":{\"code\":%d,"
                    "\"message\":",
                    e->code);
    json_write_string(out, slice_of(e->message));
    byte_buf_puts(out, ",\"details\":");
    if (e->details.len > 0)
        json_write_string(out, e->details);
    else
        byte_buf_puts(out, "null");
    byte_buf_puts(out, ",\"validationErrors\":");
    if (e->member != NULL) {
        byte_buf_puts(out, "[{\"message\":");
        json_write_string(out, slice_of(e->message));
        byte_buf_puts(out, ",\"members\":[");
        json_write_string(out, slice_of(e->member));
        byte_buf_puts(out, "]}]");
    } else {
        byte_buf_puts(out, "null");
    }
    byte_buf_printf(out, "},\"unAuthorizedRequest\":%s,\"__abp\":true}",
                    unauthorized ? "true" : "false");
}
