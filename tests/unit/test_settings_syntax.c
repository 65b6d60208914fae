#include "bridge/settings/settings_syntax.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct row {
    const char *in, *out; /* out NULL: refused */
};

static void check(const char *(*fn)(char *), const struct row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char *text = strdup(rows[i].in);
        const char *error = fn(text);

        if ((error == NULL) != (rows[i].out != NULL))
            fail_msg("%s: %s", rows[i].in, error == NULL ? "taken" : error);
        if (error == NULL)
            assert_string_equal(text, rows[i].out);
        free(text);
    }
}

#define CHECK(fn, ...)                                                                             \
    do {                                                                                           \
        static const struct row rows[] = {__VA_ARGS__};                                            \
        check(fn, rows, sizeof rows / sizeof rows[0]);                                             \
    } while (0)

static void test_text(void **state)
{
    (void)state;
    CHECK(settings_check_text, {"a b", "a b"}, {"\xc3\xa9", "\xc3\xa9"}, {"a\nb", NULL},
          {"\x7f", NULL}, {"\x1b[31m", NULL}, {"\xff", NULL}, {"\xc3", NULL});
}

static void test_origin(void **state)
{
    (void)state;
    CHECK(settings_check_origin, {"https://app.example.org", "https://app.example.org"},
          {"https://App.Example.org/", "https://app.example.org"},
          {"http://localhost:8080//", "http://localhost:8080"}, {"https://a:443", "https://a"},
          {"http://a:80/", "http://a"}, {"http://a:443", "http://a:443"},
          {"http://[::1]:8080", "http://[::1]:8080"},
          {"capacitor://localhost", "capacitor://localhost"}, {"*", NULL}, {"https://*.x", NULL},
          {"null", NULL}, {"example.org", NULL}, {"https://", NULL}, {"://x", NULL},
          {"https://a/b", NULL}, {"https://a?b", NULL}, {"https://u@a", NULL},
          {"https://a b", NULL}, {"https://\xc3\xa9", NULL}, {"http:///", NULL}, {"/", NULL});
}

static void test_hub_path(void **state)
{
    (void)state;
    CHECK(settings_check_hub_path, {"/signalr", "/signalr"}, {"/signalr/", "/signalr"},
          {"/a/b-c_d.e~f//", "/a/b-c_d.e~f"}, {"/", NULL}, {"signalr", NULL}, {"/a//b", NULL},
          {"/a b", NULL}, {"/a?b", NULL}, {"/a%20", NULL}, {"//", NULL}, {"//a", NULL});
}

static void test_route(void **state)
{
    (void)state;
    CHECK(settings_check_route, {"GET channels.list", "GET channels.list"},
          {"POST a.*", "POST a.*"}, {"channels.list", NULL}, {"get a", NULL}, {"GET /a", NULL},
          {"GET *", NULL});
}

static void test_call(void **state)
{
    (void)state;
    CHECK(settings_check_call, {"rooms/get", "rooms/get"}, {"login", NULL}, {"logout", NULL},
          {"logins", "logins"}, {"a b", NULL}, {"a\"b", NULL}, {"a\\b", NULL},
          {"\xc3\xa4", NULL}, );
}

static void test_cidr(void **state)
{
    (void)state;
    CHECK(settings_check_cidr, {"10.0.0.1", "10.0.0.1"}, {"10.0.0.0/8", "10.0.0.0/8"},
          {"0.0.0.0/0", "0.0.0.0/0"}, {"1.2.3.4/32", "1.2.3.4/32"}, {"::1", "::1"},
          {"fd00::/8", "fd00::/8"}, {"::/128", "::/128"}, {"10.0.0.0/33", NULL}, {"::/129", NULL},
          {"10.0.0.0/", NULL}, {"10.0.0.0/-1", NULL}, {"10.0.0.0/+1", NULL}, {"10.0.0.0/8/8", NULL},
          {"10.0.0", NULL}, {"proxy", NULL}, {"/8", NULL}, {"10.0.0.0/8x", NULL},
          {"10.0.0.0/0008", NULL}, {"1111:1111:1111:1111:1111:1111:1111:1111:1111:1111/8", NULL});
}

static void test_proxy(void **state)
{
    (void)state;
    CHECK(settings_check_proxy, {"http://p:3128", "http://p:3128"},
          {"http://p:3128/", "http://p:3128"}, {"http://[::1]:1", "http://[::1]:1"},
          {"https://p:3128", NULL}, {"http://u:p@p:3128", NULL}, {"p:3128", NULL},
          {"http://p:3128/x", NULL}, {"socks5://p:1", NULL});
}

static void test_others(void **state)
{
    (void)state;
    CHECK(settings_check_algorithm, {"HS256", "HS256"}, {"es256", "ES256"}, {"none", NULL},
          {"RS512", NULL}, {"HS256 ", NULL});
    CHECK(settings_check_instance, {"web-1.a_b", "web-1.a_b"}, {"a b", NULL}, {"a:b", NULL});
    CHECK(settings_check_api_key, {"0123456789abcdef", "0123456789abcdef"},
          {"0123456789abcde", NULL}, {"0123456789abcdef g", NULL},
          {"0123456789abcdef\xc3\xa9", NULL});
    CHECK(settings_check_jwks, {"/etc/keys.json", "/etc/keys.json"},
          {"https://id.example.org/jwks", "https://id.example.org/jwks"}, {"http://h", "http://h"},
          {"ftp://h/x", NULL}, {"https://u:p@h/x", NULL}, {"https:///x", NULL}, {"https://", NULL},
          {"https://h/a b", NULL});
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),     cmocka_unit_test(test_origin),
        cmocka_unit_test(test_hub_path), cmocka_unit_test(test_route),
        cmocka_unit_test(test_call),     cmocka_unit_test(test_cidr),
        cmocka_unit_test(test_proxy),    cmocka_unit_test(test_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
