#include "bridge/abp/abp_envelope.h"
#include "bridge/abp/abp_status.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static void check(struct byte_buf *out, const char *want)
{
    byte_buf_putc(out, '\0');
    assert_false(byte_buf_failed(out));
    assert_string_equal(out->data, want);
    byte_buf_free(out);
}

static void test_result(void **state)
{
    struct byte_buf out = {0};

    (void)state;
    abp_envelope_result(&out, SLICE_LIT("{\"a\":1}"));
    check(&out, "{\"result\":{\"a\":1},\"targetUrl\":null,\"success\":true,\"error\":null,"
                "\"unAuthorizedRequest\":false,\"__abp\":true}");
    abp_envelope_result(&out, (struct slice){0});
    check(&out, "{\"result\":null,\"targetUrl\":null,\"success\":true,\"error\":null,"
                "\"unAuthorizedRequest\":false,\"__abp\":true}");
}

static void test_error(void **state)
{
    const struct abp_error failed = {
        .status = 500, .code = 429, .message = "say \"when\"", .details = SLICE_LIT("x-y")};
    const struct abp_error input = {
        .status = 400, .message = "This is required.", .member = "email"};
    const struct abp_error stranger = {.status = 401, .message = "No."};
    struct byte_buf out = {0};

    (void)state;
    abp_envelope_error(&out, &failed);
    check(&out, "{\"result\":null,\"targetUrl\":null,\"success\":false,\"error\":{\"code\":429,"
                "\"message\":\"say \\\"when\\\"\",\"details\":\"x-y\",\"validationErrors\":null},"
                "\"unAuthorizedRequest\":false,\"__abp\":true}");
    abp_envelope_error(&out, &input);
    check(&out, "{\"result\":null,\"targetUrl\":null,\"success\":false,\"error\":{\"code\":0,"
                "\"message\":\"This is required.\",\"details\":null,\"validationErrors\":["
                "{\"message\":\"This is required.\",\"members\":[\"email\"]}]},"
                "\"unAuthorizedRequest\":false,\"__abp\":true}");
    abp_envelope_error(&out, &stranger);
    check(&out, "{\"result\":null,\"targetUrl\":null,\"success\":false,\"error\":{\"code\":0,"
                "\"message\":\"No.\",\"details\":null,\"validationErrors\":null},"
                "\"unAuthorizedRequest\":true,\"__abp\":true}");
}

static void test_status(void **state)
{
    struct session_status status = {.state = SESSION_LIVE, .connections = 2};
    struct byte_buf out = {0};

    (void)state;
    abp_status_write(&out, &status);
    check(&out, "{\"state\":\"live\",\"code\":null,\"retryAfter\":null,\"connections\":2}");
    status = (struct session_status){
        .state = SESSION_REFUSED, .code = "403", .retry_after_ms = 1001, .connections = 1};
    abp_status_write(&out, &status);
    check(&out, "{\"state\":\"refused\",\"code\":\"403\",\"retryAfter\":2,\"connections\":1}");
    status = (struct session_status){.state = SESSION_LOGGING_IN};
    abp_status_write(&out, &status);
    check(&out, "{\"state\":\"connecting\",\"code\":null,\"retryAfter\":null,\"connections\":0}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_result),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
