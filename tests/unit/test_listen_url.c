#include "bridge/settings/listen_url.h"
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void describe(const struct sockaddr_storage *ss, char out[80])
{
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)ss;
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)ss;
    char address[INET6_ADDRSTRLEN];

    if (ss->ss_family == AF_INET)
        inet_ntop(AF_INET, &v4->sin_addr, address, sizeof address);
    else
        inet_ntop(AF_INET6, &v6->sin6_addr, address, sizeof address);
    snprintf(out, 80, "%s %d", address,
             ntohs(ss->ss_family == AF_INET ? v4->sin_port : v6->sin6_port));
}

static void test_good(void **state)
{
    static const struct {
        const char *text, *normal, *first, *second;
        bool dual, loopback;
    } cases[] = {
        {"http://0.0.0.0:5080", "http://0.0.0.0:5080", "0.0.0.0 5080", NULL, false, false},
        {"http://127.0.0.1:5081/", "http://127.0.0.1:5081", "127.0.0.1 5081", NULL, false, true},
        {"HTTP://127.1.2.3", "http://127.1.2.3:80", "127.1.2.3 80", NULL, false, true},
        {"http://[::1]:0", "http://[::1]:0", "::1 0", NULL, false, true},
        {"http://[2001:db8::1]", "http://[2001:db8::1]:80", "2001:db8::1 80", NULL, false, false},
        {"http://LocalHost:81", "http://LocalHost:81", "127.0.0.1 81", "::1 81", false, true},
        {"http://*:5080", "http://*:5080", ":: 5080", NULL, true, false},
        {"http://+:5080", "http://+:5080", ":: 5080", NULL, true, false},
        {"http://[::]:5080", "http://[::]:5080", ":: 5080", NULL, false, false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct listen_url u;
        const char *error = listen_url_parse(slice_of(cases[i].text), &u);
        char text[80];

        if (error != NULL)
            fail_msg("%s: %s", cases[i].text, error);
        assert_string_equal(u.text, cases[i].normal);
        assert_int_equal(u.count, cases[i].second == NULL ? 1 : 2);
        describe(&u.addresses[0], text);
        assert_string_equal(text, cases[i].first);
        if (cases[i].second != NULL) {
            describe(&u.addresses[1], text);
            assert_string_equal(text, cases[i].second);
        }
        assert_int_equal(u.dual_stack, cases[i].dual);
        assert_int_equal(u.loopback, cases[i].loopback);
    }
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "http://",
        "http:///",
        "https://0.0.0.0:5080",
        "0.0.0.0:5080",
        "http://example.org:80",
        "http://0.0.0.0:65536",
        "http://0.0.0.0:",
        "http://0.0.0.0:80a",
        "http://0.0.0.0:80/path",
        "http://0.0.0.0:80//",
        "http://0.0.0.0:80?x",
        "http://u@127.0.0.1:80",
        "http://[::1",
        "http://[::1]80",
        "http://[*]:80",
        "http://::1:80",
        "http://[]:80",
        "http:// 127.0.0.1",
        "http://127.0.0.1 :80",
        "http://1.2.3:80",
        "http://255.255.255.256:1",
        "unix:/tmp/x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct listen_url u = {.count = 7};

        if (listen_url_parse(slice_of(cases[i]), &u) == NULL)
            fail_msg("%s was taken", cases[i]);
        assert_int_equal(u.count, 7);
    }
    assert_non_null(listen_url_parse((struct slice){NULL, 0}, &(struct listen_url){.count = 0}));
    assert_non_null(
        listen_url_parse(SLICE_LIT("http://127.0.0.1\0:80"), &(struct listen_url){.count = 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
