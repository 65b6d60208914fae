#include "signalr/http/http_cors.h"

#include "base/byte_buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

static const char *const listed[] = {"http://app.example", "https://app.example:8443", "null",
                                     NULL};
static const char *const none[] = {NULL};

static struct http_header headers[4];

static struct http_view view_of(const char *origin, const char *host)
{
    struct http_view v = {.headers = headers, .host = slice_of(host)};

    if (origin != NULL)
        headers[v.nheaders++] = (struct http_header){SLICE_LIT("origin"), slice_of(origin)};
    return v;
}

static void test_upgrade(void **state)
{
    static const struct {
        const char *origin, *host;
        bool allowed;
    } cases[] = {
        {NULL, "a.example", true},
        {"http://a.example", "a.example", true},
        {"https://a.example", "a.example", true},
        {"https://A.Example", "a.example", true},
        {"http://a.example:80", "a.example", true},
        {"http://a.example", "a.example:80", true},
        {"https://a.example", "a.example:443", true},
        {"https://a.example:8443", "a.example:8443", true},
        {"http://a.example:8080", "a.example", false},
        {"http://a.example", "a.example:8080", false},
        {"https://a.example", "a.example:80", false},
        {"http://b.a.example", "a.example", false},
        {"http://a.example.evil", "a.example", false},
        {"http://xa.example", "a.example", false},
        {"ftp://a.example", "a.example", false},
        {"a.example", "a.example", false},
        {"http://", "", false},
        {"", "", false},
        {"http://app.example", "a.example", true},
        {"http://app.example/", "a.example", false},
        {"http://app.example:80", "a.example", false}, /* not as browsers send it */
        {"https://app.example", "a.example", false},
        {"null", "a.example", true}, /* listed */
        {"NULL", "a.example", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_view v = view_of(cases[i].origin, cases[i].host);

        if (http_cors_upgrade_allowed(listed, &v) != cases[i].allowed)
            fail_msg("%s at %s", cases[i].origin, cases[i].host);
    }
    struct http_view v = view_of("null", "a.example");
    assert_false(http_cors_upgrade_allowed(none, &v));
    assert_false(http_cors_upgrade_allowed(NULL, &v));
}

static void check_answer(const char *const *list, const char *origin, const char *want)
{
    struct http_view v = view_of(origin, "a.example");
    struct byte_buf out = {0};

    http_cors_answer(list, &v, &out);
    byte_buf_putc(&out, '\0');
    assert_string_equal(out.data, want);
    byte_buf_free(&out);
}

static void test_answer(void **state)
{
    (void)state;
    check_answer(listed, "https://app.example:8443",
                 "Vary: Origin\r\n"
                 "Access-Control-Allow-Origin: https://app.example:8443\r\n"
                 "Access-Control-Allow-Credentials: true\r\n");
    check_answer(listed, "http://evil.example", "Vary: Origin\r\n");
    check_answer(listed, NULL, "Vary: Origin\r\n");
    check_answer(none, "http://app.example", "");
    check_answer(NULL, "http://app.example", "");
}

static void test_preflight(void **state)
{
    static const char want[] = "Access-Control-Allow-Methods: DELETE\r\n"
                               "Access-Control-Allow-Headers: x-a, x-b\r\n"
                               "Vary: Access-Control-Request-Method\r\n"
                               "Vary: Access-Control-Request-Headers\r\n";
    struct http_view v = view_of("http://app.example", "a.example");
    struct byte_buf out = {0};

    (void)state;
    v.method = HTTP_OPTIONS_;
    assert_false(http_cors_is_preflight(&v));
    headers[v.nheaders++] =
        (struct http_header){SLICE_LIT("Access-Control-Request-Method"), SLICE_LIT("DELETE")};
    headers[v.nheaders++] =
        (struct http_header){SLICE_LIT("Access-Control-Request-Headers"), SLICE_LIT("x-a, x-b")};
    assert_true(http_cors_is_preflight(&v));
    http_cors_preflight(listed, &v, &out);
    assert_true(slice_eq(byte_buf_slice(&out), SLICE_LIT(want)));
    byte_buf_clear(&out);
    http_cors_preflight(none, &v, &out);
    assert_int_equal(out.len, 0);
    byte_buf_free(&out);
    v.method = HTTP_GET_;
    assert_false(http_cors_is_preflight(&v));
    v.method = HTTP_OPTIONS_;
    v.headers++;
    v.nheaders--;
    assert_false(http_cors_is_preflight(&v)); /* no Origin */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_upgrade),
        cmocka_unit_test(test_answer),
        cmocka_unit_test(test_preflight),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
