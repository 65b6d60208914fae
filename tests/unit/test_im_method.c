#include "bridge/im_proxy/im_method.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

#define JSON "application/json"
#define BODY(method)                                                                               \
    "{\"message\":\"{\\\"msg\\\":\\\"method\\\",\\\"method\\\":\\\"" method "\\\"}\"}"

static bool may(enum http_method method, const char *call, const char *type, const char *body)
{
    struct http_header header = {SLICE_LIT("Content-Type"), slice_of(type)};
    const struct http_view v = {.method = method, .headers = &header, .nheaders = type != NULL};

    return im_method_may_log_in(&v, slice_of(call),
                                body == NULL ? (struct slice){0} : slice_of(body));
}

static void test_which_calls(void **state)
{
    static const char *const are[] = {"method.call/login", "method.call/x",  "method.callAnon/x",
                                      "METHOD.CALLANON/x", "%6dethod.call/", "method.call",
                                      "method.call/x/y"};
    static const char *const are_none[] = {"method.calls/login",
                                           "method.cal/login",
                                           "x/method.call",
                                           "",
                                           "login",
                                           "a-name-longer-than-any-of-these/login"};

    (void)state;
    for (size_t i = 0; i < sizeof are / sizeof are[0]; i++)
        assert_true(may(HTTP_POST_, are[i], JSON, BODY("login")));
    for (size_t i = 0; i < sizeof are_none / sizeof are_none[0]; i++)
        assert_false(may(HTTP_POST_, are_none[i], JSON, BODY("login")));
    assert_false(may(HTTP_GET_, are[0], JSON, BODY("login")));
}

static void test_harmless_bodies(void **state)
{
    static const char *const bodies[] = {
        BODY("rooms/get"),
        BODY("Login"),
        BODY("loginX"),
        ("{\"a\":\"login\","
         "\"message\":\"{\\\"params\\\":[\\\"login\\\"],\\\"method\\\":\\\"x\\\"}\"}"),
        "{\"message\":\"{}\"}",
        "{}", /* Rocket.Chat refuses these two */
    };

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        if (may(HTTP_POST_, "method.call/login", JSON, bodies[i]))
            fail_msg("%s", bodies[i]);
}

static void test_logins_and_what_may_be(void **state)
{
    static const char *const bodies[] = {
        BODY("login"),
        BODY("resetPassword"),
        BODY("log\\\\u0069n"),                                                  /* in the message */
        "{\"mess\\u0061ge\":\"{\\\"meth\\\\u006fd\\\":\\\"\\u006cogin\\\"}\"}", /* and outside */
        "{\"message\":\"{}\",\"message\":\"{\\\"method\\\":\\\"login\\\"}\"}",
        "{\"message\":\"{\\\"method\\\":\\\"login\\\"}\",\"message\":\"{}\"}",
        "{\"message\":\"{\\\"method\\\":\\\"login\\\",\\\"method\\\":\\\"x\\\"}\"}",
        "{\"message\":{\"method\":\"login\"}}",
        "{\"message\":\"{\\\"method\\\":7}\"}",
        "{\"message\":\"[]\"}",
        "{\"message\":\"\"}",
        "{\"message\":\"\\ud800\"}",
        "[]",
        "",
        "message=%7B%22method%22:%22login%22%7D",
        NULL, /* not known */
    };
    static const char *const types[] = {NULL, "text/plain", "application/x-www-form-urlencoded",
                                        "application/json; charset=utf-7"};

    (void)state;
    for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++)
        if (!may(HTTP_POST_, "method.callAnon/x", JSON, bodies[i]))
            fail_msg("%s", bodies[i]);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        assert_true(may(HTTP_POST_, "method.call/x", types[i], BODY("x")));
    assert_false(may(HTTP_POST_, "method.call/x", "application/json; charset=UTF-8", BODY("x")));
}

static void test_coded_body(void **state)
{
    struct http_header headers[] = {{SLICE_LIT("Content-Type"), SLICE_LIT(JSON)},
                                    {SLICE_LIT("Content-Encoding"), SLICE_LIT("gzip")}};
    const struct http_view v = {.method = HTTP_POST_, .headers = headers, .nheaders = 2};

    (void)state;
    assert_true(im_method_may_log_in(&v, SLICE_LIT("method.call/x"), SLICE_LIT(BODY("x"))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_calls),
        cmocka_unit_test(test_harmless_bodies),
        cmocka_unit_test(test_logins_and_what_may_be),
        cmocka_unit_test(test_coded_body),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
