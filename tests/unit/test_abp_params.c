#include "base/json_slice.h"
#include "bridge/abp/abp_params.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *query, *body, *get, *post; /* NULL: refused */
} cases[] = {
    {"", "", "", "{}"},
    {"a=1&b=x%20y", "", "a=1&b=x%20y", "{\"a\":\"1\",\"b\":\"x y\"}"},
    {"b=x+y%2Bz", "", "b=x%20y%2Bz", "{\"b\":\"x y+z\"}"},
    {"a=true&b=false&c=True", "", "a=true&b=false&c=True",
     "{\"a\":true,\"b\":false,\"c\":\"True\"}"},
    {"access_token=eyJ&ENC_AUTH_TOKEN=x&a=1", "", "a=1", "{\"a\":\"1\"}"},
    {"acce%73s_token=eyJ&a", "", "a=", "{\"a\":\"\"}"},
    {"&&a=1&&", "", "a=1", "{\"a\":\"1\"}"},
    {"=x&a=1", "", "a=1", "{\"a\":\"1\"}"},
    {"a=%", "", NULL, NULL},
    {"a=%zz", "", NULL, NULL},
    {"a=\"'<>#", "", "a=%22%27%3C%3E%23", "{\"a\":\"\\\"'<>#\"}"},
    {"", "{\"a\":\"x&y\",\"n\":1.50,\"l\":[1, 2],\"z\":null,\"t\":true}",
     "a=x%26y&n=1.50&l=%5B1%2C%202%5D&t=true",
     "{\"a\":\"x&y\",\"n\":1.50,\"l\":[1, 2],\"z\":null,\"t\":true}"},
    {"q=1", "{\"a\":\"\\u00e9\\n\"}", "q=1&a=%C3%A9%0A", "{\"a\":\"\\u00e9\\n\",\"q\":\"1\"}"},
    {"q=1", "{}", "q=1", "{\"q\":\"1\"}"},
    {"", "[1]", NULL, NULL},
    {"", "7", NULL, NULL},
    {"", "{\"a\":1", NULL, NULL},
    {"", "{\"a\":1}x", NULL, NULL},
    {"", "{\"a\":\"\\ud800\"}", NULL, "{\"a\":\"\\ud800\"}"},
};

static void check(size_t i, const char *what, const char *error, struct byte_buf *out,
                  const char *want)
{
    byte_buf_putc(out, '\0');
    assert_false(byte_buf_failed(out));
    if ((error == NULL) != (want != NULL))
        fail_msg("case %zu for %s: %s", i, what, error == NULL ? "taken" : error);
    if (want != NULL && strcmp(out->data, want) != 0)
        fail_msg("case %zu for %s: %s, not %s", i, what, out->data, want);
    byte_buf_free(out);
}

static void test_parameters(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice query = slice_of(cases[i].query), body = slice_of(cases[i].body);
        struct byte_buf out = {0};

        check(i, "GET", abp_params_for_get(query, body, &out), &out, cases[i].get);
        check(i, "POST", abp_params_for_post(query, body, &out), &out, cases[i].post);
    }
}

static void test_a_long_value_is_refused(void **state)
{
    char query[9000];
    struct byte_buf out = {0};

    (void)state;
    memset(query, 'x', sizeof query);
    memcpy(query, "a=", 2);
    query[sizeof query - 1] = '\0';
    assert_non_null(abp_params_for_get(slice_of(query), (struct slice){0}, &out));
    byte_buf_free(&out);
    memcpy(query, "access_token=", 13); /* however long: it is not read */
    assert_null(abp_params_for_get(slice_of(query), (struct slice){0}, &out));
    assert_int_equal(out.len, 0);
    byte_buf_free(&out);
}

static bool usual_password(void *arg, struct slice username, struct byte_buf *out)
{
    const char *password = *(const char **)arg;

    assert_true(slice_eq(username, SLICE_LIT("ana")));
    json_write_string(out, slice_of(password));
    return password[0] != '\0';
}

static const struct {
    const char *body, *password, *want, *member; /* want NULL: refused, for member */
} users[] = {
    {"{\"username\":\"ana\",\"email\":\"a@x\"}", "pw",
     "{\"username\":\"ana\",\"email\":\"a@x\",\"name\":\"ana\",\"password\":\"pw\"}", NULL},
    {"{\"UserName\":\"ana\",\"EmailAddress\":\"a@x\",\"NAME\":\"An\\u00e4\",\"Password\":\"p\\\"\","
     "\"isActive\":false,\"roles\":[\"a\"],\"tenantId\":4,\"customFields\":{\"a\":[1]}}",
     "pw",
     "{\"active\":false,\"customFields\":{\"a\":[1]},\"username\":\"ana\",\"email\":\"a@x\","
     "\"name\":\"An\\u00e4\",\"roles\":[\"a\"],\"password\":\"p\\\"\"}",
     NULL},
    {"{\"username\":\"ana\",\"email\":\"a@x\"}", "", NULL, "password"},
    {"{\"username\":\"ana\"}", "pw", NULL, "email"},
    {"{\"email\":\"a@x\"}", "pw", NULL, "username"},
    {"{\"username\":null,\"email\":\"a@x\"}", "pw", NULL, "username"},
    {"{\"username\":[],\"email\":\"a@x\"}", "pw", NULL, "username"},
    {"[]", "pw", NULL, NULL},
    {"", "pw", NULL, NULL},
    {"{\"username\":\"ana\",\"email\":\"a@x\"", "pw", NULL, NULL},
};

static void test_new_users(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof users / sizeof users[0]; i++) {
        const char *password = users[i].password;
        const struct abp_user_defaults defaults = {usual_password, &password};
        struct byte_buf out = {0};
        struct abp_new_user user;
        const char *member;
        const char *error =
            abp_params_new_user(slice_of(users[i].body), &defaults, &out, &user, &member);

        if (users[i].want == NULL) {
            assert_non_null(error);
            if (users[i].member == NULL)
                assert_null(member);
            else
                assert_string_equal(member, users[i].member);
            byte_buf_free(&out);
        } else {
            assert_true(slice_eq(user.username, SLICE_LIT("ana")));
            check(i, "users.create", error, &out, users[i].want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_a_long_value_is_refused),
        cmocka_unit_test(test_new_users),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
