#include "rocketchat/rest_answer.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define LOGIN REST_KIND_LOGIN
#define OTHER REST_KIND_OTHER

static const struct {
    const char *name;
    enum rest_kind kind;
    long status;
    const char *body;
    enum rc_result want;
    const char *code;
    uint64_t wait_ms;
} cases[] = {
    /* success, in its dresses */
    {"v1 success", OTHER, 200, "{\"success\":true}", RC_OK, "ok", 0},
    {"logout has no success", OTHER, 200,
     "{\"status\":\"success\",\"data\":{\"message\":\"You've been logged out!\"}}", RC_OK, "ok", 0},
    {"empty object", OTHER, 200, "{}", RC_OK, "ok", 0},
    {"login", LOGIN, 200, "{\"status\":\"success\",\"data\":{}}", RC_OK, "ok", 0},
    /* not what it should be */
    {"200 that failed", OTHER, 200, "{\"success\":false,\"error\":\"x [error-not-allowed]\"}",
     RC_NOT_ALLOWED, "error-not-allowed", 0},
    {"200 with status error", LOGIN, 200, "{\"status\":\"error\",\"message\":\"no\"}", RC_FAILED,
     "http-200", 0},
    {"200 HTML", LOGIN, 200, "<html>hi</html>", RC_MALFORMED, "malformed", 0},
    {"200 empty", LOGIN, 200, "", RC_MALFORMED, "malformed", 0},
    {"200 array", LOGIN, 200, "[1]", RC_MALFORMED, "malformed", 0},
    {"200 cut", LOGIN, 200, "{\"status\":\"succ", RC_MALFORMED, "malformed", 0},
    {"200 two documents", LOGIN, 200, "{}{}", RC_MALFORMED, "malformed", 0},
    {"redirect", LOGIN, 302, "", RC_SERVER_ERROR, "http-302", 0},
    {"status of nobody", LOGIN, 0, "", RC_SERVER_ERROR, "http-0", 0},
    /* 401 of login, 6.x and 7.x */
    {"7.x wrong password", LOGIN, 401,
     "{\"status\":\"error\",\"error\":403,\"message\":\"Incorrect password\"}", RC_UNAUTHORIZED,
     "403", 0},
    {"7.x unknown user is masked", LOGIN, 401,
     "{\"status\":\"error\",\"error\":\"Unauthorized\",\"message\":\"Unauthorized\"}",
     RC_UNAUTHORIZED, "Unauthorized", 0},
    {"7.x totp", LOGIN, 401,
     "{\"status\":\"error\",\"error\":\"totp-required\",\"details\":{\"method\":\"totp\","
     "\"availableMethods\":[\"totp\"]},\"message\":\"TOTP Required\"}",
     RC_TWO_FACTOR, "totp-required", 0},
    {"7.x deactivated", LOGIN, 401,
     "{\"status\":\"error\",\"error\":\"error-user-is-not-activated\",\"message\":\"User is not "
     "activated\"}",
     RC_DEACTIVATED, "error-user-is-not-activated", 0},
    {"7.x blocked address", LOGIN, 401,
     "{\"status\":\"error\",\"error\":\"error-login-blocked-for-ip\",\"message\":\"...\"}",
     RC_BLOCKED_IP, "error-login-blocked-for-ip", 0},
    {"7.x blocked user", LOGIN, 401, "{\"error\":\"error-login-blocked-for-user\"}",
     RC_BLOCKED_USER, "error-login-blocked-for-user", 0},
    {"7.x no roles", LOGIN, 401, "{\"error\":\"error-user-has-no-roles\"}", RC_REFUSED,
     "error-user-has-no-roles", 0},
    {"7.x an app's own refusal", LOGIN, 401, "{\"error\":\"error-custom-hook\"}", RC_REFUSED,
     "error-custom-hook", 0},
    {"7.x internal error dressed as 401", LOGIN, 401, "{\"status\":\"error\",\"error\":500}",
     RC_SERVER_ERROR, "500", 0},
    {"7.x the method's limiter", LOGIN, 401,
     "{\"status\":\"error\",\"error\":\"too-many-requests\",\"details\":{\"timeToReset\":4200},"
     "\"message\":\"Error, too many requests.\"}",
     RC_RATE_LIMITED, "too-many-requests", 4200},
    {"7.x error without a code", LOGIN, 401, "{\"status\":\"error\",\"message\":\"it broke\"}",
     RC_UNAUTHORIZED, "http-401", 0},
    /* 8.x */
    {"8.x bare", LOGIN, 401, "{\"success\":false,\"error\":\"unauthorized\"}", RC_UNAUTHORIZED,
     "unauthorized", 0},
    {"8.x code in the message", LOGIN, 401,
     "{\"success\":false,\"error\":\"unauthorized\",\"message\":\"TOTP Required [totp-required]\"}",
     RC_TWO_FACTOR, "totp-required", 0},
    {"8.x code in the details", LOGIN, 401,
     "{\"success\":false,\"error\":\"unauthorized\",\"details\":{\"error\":\"totp-invalid\"}}",
     RC_TWO_FACTOR, "totp-invalid", 0},
    {"8.x only the methods tell", LOGIN, 401,
     "{\"success\":false,\"error\":\"unauthorized\",\"details\":{\"method\":\"email\","
     "\"availableMethods\":[\"email\"]}}",
     RC_TWO_FACTOR, "totp-required", 0},
    {"guarded route", OTHER, 400,
     "{\"success\":false,\"error\":\"TOTP Required "
     "[totp-required]\",\"errorType\":\"totp-required\"}",
     RC_TWO_FACTOR, "totp-required", 0},
    /* 401 and 403 elsewhere */
    {"7.x not logged in", OTHER, 401,
     "{\"status\":\"error\",\"message\":\"You must be logged in to do this.\",\"success\":false,"
     "\"error\":\"You must be logged in to do this.\"}",
     RC_UNAUTHORIZED, "http-401", 0},
    {"old restivus", OTHER, 401,
     "{\"status\":\"error\",\"message\":\"You must be logged in to do this.\"}", RC_UNAUTHORIZED,
     "http-401", 0},
    {"8.x not logged in", OTHER, 401,
     "{\"success\":false,\"error\":\"You must be logged in to do this.\"}", RC_UNAUTHORIZED,
     "http-401", 0},
    {"7.x permission", OTHER, 403,
     "{\"success\":false,\"error\":\"User does not have the permissions required for this action "
     "[error-unauthorized]\"}",
     RC_NOT_ALLOWED, "error-unauthorized", 0},
    {"8.x permission", OTHER, 403, "{\"success\":false,\"error\":\"no [error-forbidden]\"}",
     RC_NOT_ALLOWED, "error-forbidden", 0},
    {"a proxy's 401 refuses nobody", LOGIN, 401, "<html>401 Authorization Required</html>",
     RC_SERVER_ERROR, "http-401", 0},
    {"a proxy's 403 refuses nobody", LOGIN, 403, "<html>Forbidden</html>", RC_SERVER_ERROR,
     "http-403", 0},
    {"a cut 401 refuses nobody", LOGIN, 401, "{\"status\":\"error\",\"error\":403", RC_SERVER_ERROR,
     "http-401", 0},
    {"404 JSON", OTHER, 404, "{\"success\":false,\"error\":\"API endpoint not found\"}",
     RC_NOT_FOUND, "http-404", 0},
    {"404 HTML", OTHER, 404, "<html>", RC_NOT_FOUND, "http-404", 0},
    {"invalid-params", OTHER, 400,
     "{\"success\":false,\"error\":\"x\",\"errorType\":\"invalid-params\"}", RC_FAILED,
     "invalid-params", 0},
    /* later, not never */
    {"429 text", LOGIN, 429,
     "{\"success\":false,\"error\":\"Error, too many requests. Please slow down. You must wait 37 "
     "seconds before trying this endpoint again. [error-too-many-requests]\"}",
     RC_RATE_LIMITED, "error-too-many-requests", 37000},
    {"429 HTML", LOGIN, 429, "<html>slow down</html>", RC_RATE_LIMITED, "http-429", 0},
    {"429 asks for a year", LOGIN, 429, "{\"error\":\"wait 31536000 seconds\"}", RC_RATE_LIMITED,
     "http-429", 3600000},
    {"429 with a silly number", LOGIN, 429, "{\"error\":\"wait 99999999999999999999 seconds\"}",
     RC_RATE_LIMITED, "http-429", 0},
    {"502 HTML", LOGIN, 502, "<html>Bad Gateway</html>", RC_SERVER_ERROR, "http-502", 0},
    {"503 JSON", LOGIN, 503, "{\"success\":false,\"error\":\"down\"}", RC_SERVER_ERROR, "http-503",
     0},
    {"500 that says never", LOGIN, 500, "{\"error\":\"error-user-is-not-activated\"}",
     RC_SERVER_ERROR, "http-500", 0},
    {"408", LOGIN, 408, "", RC_TIMED_OUT, "http-408", 0},
    /* wrong types and hostile texts */
    {"error is an object", LOGIN, 401, "{\"error\":{\"a\":[1]},\"details\":7,\"message\":null}",
     RC_UNAUTHORIZED, "http-401", 0},
    {"error is true", LOGIN, 401, "{\"error\":true,\"errorType\":[],\"status\":3}", RC_UNAUTHORIZED,
     "http-401", 0},
    {"only a bracket", LOGIN, 401, "{\"error\":\"]\",\"message\":\"[]\"}", RC_UNAUTHORIZED,
     "http-401", 0},
    {"bracket never opened", LOGIN, 401, "{\"error\":\"abc]\"}", RC_UNAUTHORIZED, "http-401", 0},
    {"one word of prose is no code", LOGIN, 401, "{\"message\":\"secrettoken\"}", RC_UNAUTHORIZED,
     "http-401", 0},
    {"escapes in a code", LOGIN, 401, "{\"error\":\"a\\nb\"}", RC_UNAUTHORIZED, "http-401", 0},
    {"invalid UTF-8", LOGIN, 401, "{\"error\":\"\xff\"}", RC_SERVER_ERROR, "http-401", 0},
};

static void test_read(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rest_headers h = {0};
        struct rc_error e;
        enum rc_result got =
            rest_answer_read(cases[i].kind, cases[i].status, &h, 0, slice_of(cases[i].body), &e);
        if (got != cases[i].want || strcmp(e.code, cases[i].code) != 0 ||
            e.retry_after_ms != cases[i].wait_ms)
            fail_msg("%s: got %s, code %s, wait %llu", cases[i].name, rc_result_name(got), e.code,
                     (unsigned long long)e.retry_after_ms);
    }
}

static const char limits[] = "HTTP/1.1 429 Too Many Requests\r\n"
                             "x-ratelimit-limit: 10\r\n"
                             "X-RateLimit-Remaining:0\r\n"
                             "X-RateLimit-Reset:  784111807000 \r\n"
                             "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n";

static void feed(struct rest_headers *h, const char *text)
{
    while (*text != '\0') {
        const char *end = strchr(text, '\n') + 1;
        rest_headers_line(h, (struct slice){text, (size_t)(end - text)});
        text = end;
    }
}

static void test_rate_headers(void **state)
{
    struct rest_headers h = {0};
    struct rest_rate rate;
    struct rc_error e;

    (void)state;
    feed(&h, limits);
    rest_headers_rate(&h, 5, &rate); /* our clock is far off: the Date header counts */
    assert_true(rate.known);
    assert_int_equal(rate.limit, 10);
    assert_int_equal(rate.remaining, 0);
    assert_int_equal(rate.reset_in_ms, 30000);
    rest_answer_read(LOGIN, 429, &h, 5, SLICE_LIT("{}"), &e);
    assert_int_equal(e.retry_after_ms, 30000);

    h.has_date = false;
    rest_headers_rate(&h, 784111800000, &rate);
    assert_int_equal(rate.reset_in_ms, 7000);
    rest_headers_rate(&h, 784111900000, &rate); /* already over */
    assert_int_equal(rate.reset_in_ms, 0);

    feed(&h, "HTTP/1.1 200 OK\r\n"); /* the final answer after an interim one */
    rest_headers_rate(&h, 0, &rate);
    assert_false(rate.known);
    feed(&h, "Retry-After: 12\r\n");
    rest_answer_read(OTHER, 429, &h, 0, SLICE_LIT("<html>"), &e);
    assert_int_equal(e.retry_after_ms, 12000);
}

static void test_bad_headers_count_as_absent(void **state)
{
    static const char *const bad[] = {
        "X-RateLimit-Limit: ten\n", "X-RateLimit-Limit: -1\n",
        "X-RateLimit-Limit:\n",     "X-RateLimit-Limit: 9999999999999999\n",
        "X-RateLimit-Limit 10\n",   "X-RateLimit-Limi: 10\n",
    };
    static const char *const dates[] = {
        "Date: yesterday\n",
        "Date: Sun, 06 xxx 1994 08:49:37 GMT\n",
        "Date: Sun, 06 anF 1994 08:49:37 GMT\n",
        "Date: 784111777\n",
        "Date: Sunday, 06-Nov-94 08:49:37 GMT, and so on and so on\n",
    };
    struct rest_rate rate;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct rest_headers h = {0};
        feed(&h, "X-RateLimit-Remaining: 3\n");
        feed(&h, bad[i]);
        rest_headers_rate(&h, 0, &rate);
        assert_false(rate.known);
    }
    for (size_t i = 0; i < sizeof dates / sizeof dates[0]; i++) {
        struct rest_headers h = {0};
        feed(&h, dates[i]);
        assert_false(h.has_date);
    }
}

static void test_login(void **state)
{
    static const struct {
        const char *name, *body;
        bool ok;
        const char *id, *token, *username;
    } logins[] = {
        {"whole",
         "{\"status\":\"success\",\"data\":{\"userId\":\"u9\",\"authToken\":\"t_-1\",\"me\":{\"_"
         "id\":"
         "\"u9\",\"username\":\"ana\",\"emails\":[{\"address\":\"a@b\"}]}}}",
         true, "u9", "t_-1", "ana"},
        {"escapes",
         "{\"data\":{\"userId\":\"u\\u0039\",\"authToken\":\"t\",\"me\":{\"username\":\"\\u00e9\"}}"
         "}",
         true, "u9", "t", "\xc3\xa9"},
        {"no me", "{\"data\":{\"userId\":\"u9\",\"authToken\":\"t\"}}", true, "u9", "t", ""},
        {"me is null", "{\"data\":{\"userId\":\"u9\",\"authToken\":\"t\",\"me\":null}}", true, "u9",
         "t", ""},
        {"username is null",
         "{\"data\":{\"me\":{\"username\":null},\"userId\":\"u9\",\"authToken\":\"t\"}}", true,
         "u9", "t", ""},
        {"me is somebody else",
         "{\"data\":{\"userId\":\"u9\",\"authToken\":\"t\",\"me\":{\"_id\":\"u8\",\"username\":"
         "\"ana\"}}}",
         false, NULL, NULL, NULL},
        {"no token", "{\"data\":{\"userId\":\"u9\"}}", false, NULL, NULL, NULL},
        {"empty token", "{\"data\":{\"userId\":\"u9\",\"authToken\":\"\"}}", false, NULL, NULL,
         NULL},
        {"token is a number", "{\"data\":{\"userId\":\"u9\",\"authToken\":7}}", false, NULL, NULL,
         NULL},
        {"header injection", "{\"data\":{\"userId\":\"u9\",\"authToken\":\"t\\r\\nX: y\"}}", false,
         NULL, NULL, NULL},
        {"NUL in the id", "{\"data\":{\"userId\":\"u9\\u0000x\",\"authToken\":\"t\"}}", false, NULL,
         NULL, NULL},
        {"lone surrogate",
         "{\"data\":{\"userId\":\"u9\",\"authToken\":\"t\",\"me\":{\"username\":\"\\ud800\"}}}",
         false, NULL, NULL, NULL},
        {"data is an array", "{\"data\":[]}", false, NULL, NULL, NULL},
        {"no data", "{\"success\":true}", false, NULL, NULL, NULL},
        {"empty", "", false, NULL, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof logins / sizeof logins[0]; i++) {
        struct rest_identity id;
        if (rest_answer_login(slice_of(logins[i].body), &id) != logins[i].ok)
            fail_msg("%s", logins[i].name);
        if (!logins[i].ok)
            continue;
        assert_string_equal(id.user_id, logins[i].id);
        assert_string_equal(id.auth_token, logins[i].token);
        assert_string_equal(id.username, logins[i].username);
    }
}

/* Every cut of a valid answer is refused, and none crashes. */
static void test_every_cut(void **state)
{
    const char *body =
        "{\"status\":\"success\",\"data\":{\"userId\":\"u9\",\"authToken\":\"t\",\"me\":"
        "{\"_id\":\"u9\",\"username\":\"\\u00e9\"}}}";
    size_t len = strlen(body);

    (void)state;
    for (size_t n = 0; n < len; n++) {
        struct rest_identity id;
        struct rest_headers h = {0};
        struct rc_error e;
        char *cut = malloc(n + 1); /* exact, so that ASan sees a read too far */

        memcpy(cut, body, n);
        assert_false(rest_answer_login((struct slice){cut, n}, &id));
        assert_int_equal(rest_answer_read(LOGIN, 200, &h, 0, (struct slice){cut, n}, &e),
                         RC_MALFORMED);
        free(cut);
    }
}

static void test_too_long_strings(void **state)
{
    char body[2048], token[300];
    struct rest_identity id;

    (void)state;
    memset(token, 'x', sizeof token);
    for (size_t len = 250; len < 260; len++) {
        snprintf(body, sizeof body, "{\"data\":{\"userId\":\"u\",\"authToken\":\"%.*s\"}}",
                 (int)len, token);
        assert_int_equal(rest_answer_login(slice_of(body), &id), len <= 255);
    }
}

static void test_me(void **state)
{
    struct rest_identity id;

    (void)state;
    assert_true(
        rest_answer_me(SLICE_LIT("{\"_id\":\"u9\",\"username\":\"ana\",\"success\":true}"), &id));
    assert_string_equal(id.user_id, "u9");
    assert_string_equal(id.username, "ana");
    assert_true(rest_answer_me(SLICE_LIT("{\"_id\":\"u9\"}"), &id));
    assert_string_equal(id.username, "");
    assert_false(rest_answer_me(SLICE_LIT("{\"username\":\"ana\"}"), &id));
    assert_false(rest_answer_me(SLICE_LIT("[]"), &id));
    assert_false(rest_answer_me(SLICE_LIT("{\"_id\":\"u9\"} x"), &id));
}

static void test_setting(void **state)
{
#define LIST(items) "{\"settings\":[" items "],\"count\":1,\"success\":true}"
    static const struct {
        const char *body;
        int want; /* -1: no list */
    } rows[] = {
        {LIST("{\"_id\":\"UI_X\",\"value\":true,\"modules\":[]}"), 1},
        {LIST("{\"value\":true,\"\\u005fid\":\"UI_\\u0058\"}"), 1},
        {LIST("{\"_id\":\"UI_Y\",\"value\":true},{\"_id\":\"UI_X\",\"value\":true}"), 1},
        {LIST("{\"_id\":\"UI_Y\",\"value\":true},{\"_id\":\"UI_X\",\"value\":false}"), 0},
        {LIST("{\"_id\":\"UI_X\",\"value\":\"true\"}"), 0},
        {LIST("{\"_id\":\"UI_X\",\"value\":1},7,[],null,{\"_id\":{\"_id\":\"UI_X\"},\"value\":"
              "true}"),
         0},
        {LIST("{\"_id\":\"UI_X\"}"), 0},
        {LIST(""), 0},
        {"{\"settings\":{\"_id\":\"UI_X\",\"value\":true}}", -1},
        {"{\"success\":true}", -1},
        {"[{\"_id\":\"UI_X\",\"value\":true}]", -1},
        {"", -1},
    };
    bool on;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const bool listed = rest_answer_setting(slice_of(rows[i].body), "UI_X", &on);

        if ((listed ? on : -1) != rows[i].want)
            fail_msg("%s", rows[i].body);
    }
    for (size_t n = 0; n < strlen(rows[0].body); n++)
        assert_false(rest_answer_setting((struct slice){rows[0].body, n}, "UI_X", &on));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_rate_headers),
        cmocka_unit_test(test_bad_headers_count_as_absent),
        cmocka_unit_test(test_login),
        cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_too_long_strings),
        cmocka_unit_test(test_me),
        cmocka_unit_test(test_setting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
