#include "bridge/session/call_error.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void check(struct byte_buf *text, const char *want)
{
    byte_buf_putc(text, '\0');
    assert_string_equal(text->data, want);
    byte_buf_free(text);
}

static void test_forms(void **state)
{
    struct byte_buf text = {0};
    struct rc_error error;

    (void)state;
    call_error_write(&text, "not-live", "why", 0);
    check(&text, "not-live: why");
    call_error_write(&text, "not-live", "why", 1);
    check(&text, "not-live: why (retry after 1 s)");
    call_error_write(&text, "a:b", "why", 61000);
    check(&text, "a.b: why (retry after 61 s)");
    rc_error_set(&error, SLICE_LIT("error-not-allowed"));
    call_error_write_rc(&text, &error, SLICE_LIT("{\"reason\":\"Not \\\"allowed\\\"\"}"));
    check(&text, "error-not-allowed: Not \"allowed\"");
    call_error_write_rc(&text, &error, (struct slice){0});
    check(&text, "error-not-allowed: not allowed");
    rc_error_set(&error, SLICE_LIT("too-many-requests"));
    error.retry_after_ms = 4001;
    call_error_write_rc(&text, &error, SLICE_LIT("no JSON"));
    check(&text, "too-many-requests: too many calls for Rocket.Chat (retry after 5 s)");
    for (int i = 0; i < RC_NRESULTS; i++) {
        rc_error_of(&error, (enum rc_result)i);
        call_error_write_rc(&text, &error, (struct slice){0});
        assert_true(text.len > strlen(rc_result_name((enum rc_result)i)) + 2);
        byte_buf_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
