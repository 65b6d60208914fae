/* Any status, any headers, any body: what comes out is one of the results, its code is printable
 * and short, waits are bounded, and an identity that is accepted can stand in request headers. */
#include "base/json_slice.h"
#include "rocketchat/rest_answer.h"
#include <assert.h>

static void check_header_safe(const char *s)
{
    assert(*s != '\0');
    for (; *s != '\0'; s++)
        assert(*s > ' ' && *s < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Two bytes of status, then header lines up to an empty one, then the body. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct rest_headers h = {0};
    struct rest_identity id;
    struct rest_rate rate;
    struct rc_error e;
    struct slice body;
    long status;
    bool on;

    if (len < 2)
        return 0;
    status = (data[0] << 8 | data[1]) % 1000;
    body = (struct slice){(const char *)data + 2, len - 2};
    while (body.len > 0 && body.ptr[0] != '\n') {
        const char *end = memchr(body.ptr, '\n', body.len);
        size_t n = end == NULL ? body.len : (size_t)(end - body.ptr) + 1;
        rest_headers_line(&h, (struct slice){body.ptr, n});
        body = (struct slice){body.ptr + n, body.len - n};
    }
    if (body.len > 0)
        body = (struct slice){body.ptr + 1, body.len - 1};

    rest_headers_rate(&h, 1700000000000, &rate);
    assert(rate.reset_in_ms <= 3600 * 1000);
    for (int kind = REST_KIND_LOGIN; kind <= REST_KIND_OTHER; kind++) {
        enum rc_result r =
            rest_answer_read((enum rest_kind)kind, status, &h, 1700000000000, body, &e);
        assert(r == e.result && (unsigned)r < RC_NRESULTS);
        assert(e.retry_after_ms <= 3600 * 1000);
        assert((r == RC_OK) == (strcmp(e.code, "ok") == 0 && status >= 200 && status < 300));
        check_header_safe(e.code);
    }
    if (rest_answer_login(body, &id)) {
        check_header_safe(id.user_id);
        check_header_safe(id.auth_token);
    }
    if (rest_answer_me(body, &id))
        check_header_safe(id.user_id);
    if (rest_answer_setting(body, "UI_Use_Real_Name", &on))
        assert(json_valid(body.ptr, body.len, 64));
    return 0;
}
