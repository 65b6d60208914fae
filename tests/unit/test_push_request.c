/* The body of POST /admin/push: what is taken, byte for byte, and what is said of the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/admin/push_request.h"
#include <stdio.h>
#include <stdlib.h>

static void same(struct slice got, const char *want)
{
    assert_int_equal(got.len, strlen(want));
    assert_memory_equal(got.ptr, want, got.len);
}

static void test_addressees(void **state)
{
    static const struct {
        const char *member;
        enum hub_addressee to;
        size_t n;
        const char *first, *last;
    } rows[] = {
        {"\"user\":\"42@1\"", HUB_TO_USERS, 1, "42@1", "42@1"},
        {"\"users\":[\"a\",\"b\",\"a\"]", HUB_TO_USERS, 3, "a", "a"},
        {"\"connection\":\"x-_\"", HUB_TO_CONNECTIONS, 1, "x-_", "x-_"},
        {"\"connections\":[\"x\",\"y\"]", HUB_TO_CONNECTIONS, 2, "x", "y"},
        {"\"group\":\"gr\\u00fcn\\n\"", HUB_TO_GROUPS, 1, "gr\xc3\xbcn\n", "gr\xc3\xbcn\n"},
        {"\"groups\": [ \"g\" ]", HUB_TO_GROUPS, 1, "g", "g"},
        {"\"\\u0061ll\":true", HUB_TO_ALL, 0, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct push_request r;
        char body[256];

        snprintf(body, sizeof body,
                 "{\"target\":\"t\",\"arguments\":[],%s,\"except\":[\"p\",\"q\"]}", rows[i].member);
        assert_null(push_request_read(slice_of(body), &r));
        assert_int_equal(r.address.to, rows[i].to);
        assert_int_equal(r.address.nnames, rows[i].n);
        if (rows[i].n > 0) {
            same(r.address.names[0], rows[i].first);
            same(r.address.names[rows[i].n - 1], rows[i].last);
        }
        assert_int_equal(r.address.nexcept, 2);
        same(r.address.except[0], "p");
        same(r.address.except[1], "q");
        same(r.target, "t");
        push_request_free(&r);
    }
}

static void test_arguments(void **state)
{
    static const char *const rows[] = {
        "",
        " ",
        "1.10,1e2 , -0.0,18446744073709551616",
        "{\"b\":1,\"a\":{\"$date\":1},\"a\":2}",
        "\"\\ud83d\\ude80 \\u0000\", null ,[[]],\ttrue\r\n",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct push_request r;
        char body[256];

        snprintf(body, sizeof body, " {\"arguments\" : [%s] ,\"all\":true,\"target\":\"t\"} ",
                 rows[i]);
        assert_null(push_request_read(slice_of(body), &r));
        same(r.arguments, rows[i]);
        push_request_free(&r);
    }
}

#define GOOD "\"target\":\"t\",\"arguments\":[]"

static void test_refused(void **state)
{
    static const struct {
        const char *body, *say;
    } rows[] = {
        {"", "must be a JSON object"},
        {"[]", "must be a JSON object"},
        {"{" GOOD ",\"user\":\"u\"", "not valid JSON"},
        {"{" GOOD ",\"user\":\"u\"}x", "not valid JSON"},
        {"{" GOOD ",\"user\":\"u\",}", "not valid JSON"},
        {"{" GOOD "}", "no addressee"},
        {"{\"arguments\":[],\"all\":true}", "target is missing"},
        {"{\"target\":\"t\",\"all\":true}", "arguments is missing"},
        {"{" GOOD ",\"user\":\"u\",\"users\":[\"v\"]}", "more than one"},
        {"{" GOOD ",\"user\":\"u\",\"user\":\"u\"}", "more than one"},
        {"{" GOOD ",\"all\":true,\"group\":\"g\"}", "more than one"},
        {"{" GOOD ",\"group\":\"g\",\"all\":true}", "more than one"},
        {"{" GOOD ",\"all\":false}", "all must be true"},
        {"{" GOOD ",\"all\":1}", "all must be true"},
        {"{" GOOD ",\"user\":42}", "must be a text"},
        {"{" GOOD ",\"user\":\"\"}", "must be a text"},
        {"{" GOOD ",\"user\":\"\\ud800\"}", "must be a text"},
        {"{" GOOD ",\"users\":\"u\"}", "1 to 1000"},
        {"{" GOOD ",\"users\":[]}", "1 to 1000"},
        {"{" GOOD ",\"users\":[\"u\",7]}", "1 to 1000"},
        {"{" GOOD ",\"all\":true,\"except\":[]}", "except must be"},
        {"{" GOOD ",\"all\":true,\"except\":[\"a\"],\"except\":[\"a\"]}", "except twice"},
        {"{" GOOD ",\"target\":\"t\",\"all\":true}", "target twice"},
        {"{" GOOD ",\"arguments\":[],\"all\":true}", "arguments twice"},
        {"{\"target\":\"\",\"arguments\":[],\"all\":true}", "target must be"},
        {"{\"target\":\"t\",\"arguments\":{},\"all\":true}", "must be a JSON array"},
        {"{\"target\":\"t\",\"arguments\":[1 2],\"all\":true}", "must be a JSON array"},
        {"{" GOOD ",\"all\":true,\"User\":\"u\"}", "an unknown member"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct push_request r;
        const char *error = push_request_read(slice_of(rows[i].body), &r);

        assert_non_null(error);
        if (strstr(error, rows[i].say) == NULL)
            fail_msg("%s: %s", rows[i].body, error);
    }
}

/* Just what may be, and one more. */
static void test_bounds(void **state)
{
    static char body[16384], text[600];
    struct push_request r;

    (void)state;
    for (int over = 0; over <= 1; over++) {
        size_t n = (size_t)snprintf(body, sizeof body, "{" GOOD ",\"users\":[\"0\"");

        for (int i = 1; i < PUSH_NAMES_MAX + over; i++)
            n += (size_t)snprintf(body + n, sizeof body - n, ",\"%d\"", i);
        snprintf(body + n, sizeof body - n, "]}");
        assert_int_equal(push_request_read(slice_of(body), &r) == NULL, !over);
        push_request_free(&r);

        memset(text, 'x', sizeof text);
        text[PUSH_NAME_MAX + over] = '\0';
        snprintf(body, sizeof body, "{" GOOD ",\"user\":\"%s\"}", text);
        assert_int_equal(push_request_read(slice_of(body), &r) == NULL, !over);
        push_request_free(&r);

        text[PUSH_NAME_MAX + over] = 'x';
        text[PUSH_TARGET_MAX + over] = '\0';
        snprintf(body, sizeof body, "{\"target\":\"%s\",\"arguments\":[],\"all\":true}", text);
        assert_int_equal(push_request_read(slice_of(body), &r) == NULL, !over);
        push_request_free(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addressees),
        cmocka_unit_test(test_arguments),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_bounds),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
