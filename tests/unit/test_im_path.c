#include "bridge/im_proxy/im_path.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

#define PREFIX "/im"

static const struct {
    const char *path;
    enum im_path want;
    const char *call;
} paths[] = {
    {"/im/api/v1/channels.list", IM_PATH_OK, "channels.list"},
    {"/im/api/v1/rooms.upload/R1", IM_PATH_OK, "rooms.upload/R1"},
    {"/im/api/v1/a%20b%C3%A9", IM_PATH_OK, "a%20b%C3%A9"},
    {"/im/api/v1/a/", IM_PATH_OK, "a/"},
    {"/im/api/v1/a;b=c", IM_PATH_OK, "a;b=c"},
    {"/im/api/v1/..a", IM_PATH_OK, "..a"},
    {"/im/api/v1/a...b", IM_PATH_OK, "a...b"},
    {"/", IM_PATH_OTHER, NULL},
    {"", IM_PATH_OTHER, NULL},
    {"/i", IM_PATH_OTHER, NULL},
    {"/imm/api/v1/x", IM_PATH_OTHER, NULL},
    {"/IM/api/v1/x", IM_PATH_OTHER, NULL},
    {"/im", IM_PATH_UNKNOWN, NULL},
    {"/im/", IM_PATH_UNKNOWN, NULL},
    {"/im/api/v1/", IM_PATH_UNKNOWN, NULL},
    {"/im/api/v1", IM_PATH_UNKNOWN, NULL},
    {"/im/api/v1x/y", IM_PATH_UNKNOWN, NULL},
    {"/im/api/V1/y", IM_PATH_UNKNOWN, NULL},
    {"/im/api/v1/..", IM_PATH_BAD, NULL},
    {"/im/api/v1/../v2/x", IM_PATH_BAD, NULL},
    {"/im/../api/v1/x", IM_PATH_BAD, NULL},
    {"/im/api/v1/.", IM_PATH_BAD, NULL},
    {"/im//api/v1/x", IM_PATH_BAD, NULL},
    {"/im/api/v1//", IM_PATH_BAD, NULL},
    {"/im/api/v1/%2e%2e", IM_PATH_BAD, NULL},
    {"/im/api/v1/%2E", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%2Fb", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%5cb", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%25", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%00", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%0d", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%7F", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%4", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%g0", IM_PATH_BAD, NULL},
    {"/im/api/v1/a\\b", IM_PATH_BAD, NULL},
    {"/im/api/v1/a b", IM_PATH_BAD, NULL},
    {"/im/api/v1/a\xc3", IM_PATH_BAD, NULL},
    {"/im/api/v1/..;a/b", IM_PATH_BAD, NULL},
    {"/im/api/v1/.;", IM_PATH_BAD, NULL},
    {"/im/api/v1/;a/b", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%c0%ae", IM_PATH_BAD, NULL},
    {"/im/api/v1/%c0%af..", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%C3/b", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%C3", IM_PATH_BAD, NULL},
    {"/im/api/v1/a%ED%A0%80", IM_PATH_BAD, NULL},
};

static void test_paths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        struct slice call = {NULL, 0};
        enum im_path got = im_path_read(slice_of(PREFIX), slice_of(paths[i].path), &call);

        if (got != paths[i].want || (got == IM_PATH_OK && !slice_eq(call, slice_of(paths[i].call))))
            fail_msg("%s: %d %.*s", paths[i].path, got, (int)call.len, call.ptr);
        assert_int_equal(im_path_read((struct slice){"", 0}, slice_of(paths[i].path), &call),
                         IM_PATH_OTHER);
    }
}

static const struct {
    const char *query, *want; /* behind "/api/v1/x" */
} queries[] = {
    {NULL, ""},
    {"", "?"},
    {"a=1&b=%26&&c", "?a=1&b=%26&&c"},
    {"a=1&", "?a=1&"},
    {"&a", "?&a"},
    {"access_token=t", ""},
    {"a=1&access_token=t", "?a=1"},
    {"access_token=t&a=1", "?a=1"},
    {"access_token=t&a=1&Enc_Auth_Token=u&b", "?a=1&b"},
    {"access%5Ftoken=t&x", "?x"},
    {"access_token", ""},
    {"access_tokens=t", "?access_tokens=t"},
    {"a%zz=t", "?a%zz=t"},
    {"q=access_token=t", "?q=access_token=t"},
};

static void test_targets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof queries / sizeof queries[0]; i++) {
        struct byte_buf out = {0};
        char want[100];

        im_path_target(SLICE_LIT("x"), slice_of(queries[i].query), &out);
        snprintf(want, sizeof want, "/api/v1/x%s", queries[i].want);
        if (!slice_eq(byte_buf_slice(&out), slice_of(want)))
            fail_msg("%s: %.*s", queries[i].query, (int)out.len, out.data);
        byte_buf_free(&out);
    }
}

static void test_listed(void **state)
{
    static const char *const routes[] = {"GET a.b", "POST c.*", NULL};
    static const struct {
        enum http_method method;
        const char *call;
        bool want;
    } cases[] = {
        {HTTP_GET_, "a.b", true},   {HTTP_GET_, "a.bc", false}, {HTTP_GET_, "a.", false},
        {HTTP_POST_, "a.b", false}, {HTTP_POST_, "c.", true},   {HTTP_POST_, "c.d/e", true},
        {HTTP_POST_, "c", false},   {HTTP_GET_, "c.d", false},  {HTTP_HEAD_, "a.b", false},
        {HTTP_GET_, "A.b", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (im_path_listed(routes, cases[i].method, slice_of(cases[i].call)) != cases[i].want)
            fail_msg("%d %s", (int)cases[i].method, cases[i].call);
    assert_false(im_path_listed(NULL, HTTP_GET_, SLICE_LIT("a.b")));
}

static void test_routes_as_settings(void **state)
{
    static const char *const good[] = {"GET a.b",      "POST c.*",     "DELETE x/y",
                                       "GET users.*",  "POST log.it*", "POST logouts",
                                       "POST users.lo"};
    static const char *const bad[] = {
        "a.b", "GET", "GET ", "get a.b", "BREW a", "GET /a", "GET *", "GET a*b", "GET a b",
        "GET a?b=1", "GET a%b", "GET a\\b", " GET a",
        /* what ends tokens */
        "POST logout", "GET logout", "POST Logout", "POST logout/", "POST l*", "GET logo*",
        "POST logout*", "POST users.*", "POST users.logout", "POST users.removeOtherTokens",
        "POST users.logoutOther*"};

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        assert_null(im_path_check_route(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (im_path_check_route(bad[i]) == NULL)
            fail_msg("%s", bad[i]);
}

static void test_logout(void **state)
{
    static const char *const are[] = {"logout", "LogOut", "logout/", "%6cogout", "logou%54"};
    static const char *const are_none[] = {"", "/", "logou", "logouts", "logout/x", "users.logout"};

    (void)state;
    for (size_t i = 0; i < sizeof are / sizeof are[0]; i++)
        assert_true(im_path_is_logout(slice_of(are[i])));
    for (size_t i = 0; i < sizeof are_none / sizeof are_none[0]; i++)
        assert_false(im_path_is_logout(slice_of(are_none[i])));
}

static void test_login(void **state)
{
    static const char *const are[] = {"login", "LOGIN", "login/", "%6cogin"};
    static const char *const are_none[] = {"", "logi", "logins", "logout", "login/x", "x.login"};

    (void)state;
    for (size_t i = 0; i < sizeof are / sizeof are[0]; i++)
        assert_true(im_path_is_login(slice_of(are[i])));
    for (size_t i = 0; i < sizeof are_none / sizeof are_none[0]; i++)
        assert_false(im_path_is_login(slice_of(are_none[i])));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_paths),  cmocka_unit_test(test_targets),
        cmocka_unit_test(test_listed), cmocka_unit_test(test_routes_as_settings),
        cmocka_unit_test(test_logout), cmocka_unit_test(test_login),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
