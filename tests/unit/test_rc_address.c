#include "bridge/settings/rc_address.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

struct good {
    const char *text;
    bool tls;
    const char *host;
    bool ipv6;
    uint16_t port;
    const char *path;
};

typedef const char *(*parse_fn)(struct slice text, struct rc_endpoint *out);

static void check_good(parse_fn parse, const struct good *want)
{
    struct rc_endpoint e;
    const char *error = parse(slice_of(want->text), &e);

    if (error != NULL)
        fail_msg("%s: %s", want->text, error);
    assert_int_equal(e.tls, want->tls);
    assert_string_equal(e.host, want->host);
    assert_int_equal(e.host_is_ipv6, want->ipv6);
    assert_int_equal(e.port, want->port);
    assert_string_equal(e.path, want->path);
}

static void test_rest(void **state)
{
    static const struct good cases[] = {
        {"http://localhost:3000/", false, "localhost", false, 3000, ""},
        {"http://localhost:3000", false, "localhost", false, 3000, ""},
        {"https://Chat.Example.org", true, "chat.example.org", false, 443, ""},
        {"http://chat", false, "chat", false, 80, ""},
        {"HTTPS://10.0.0.1:8443/chat", true, "10.0.0.1", false, 8443, "/chat"},
        {"https://h/a/b//", true, "h", false, 443, "/a/b"},
        {"http://[::1]:3000/", false, "::1", true, 3000, ""},
        {"http://[fe80::1]", false, "fe80::1", true, 80, ""},
        {"http://my_host.local:65535/~x", false, "my_host.local", false, 65535, "/~x"},
        {"http://h/a:b@c", false, "h", false, 80, "/a:b@c"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_good(rc_address_parse_rest, &cases[i]);
}

static void test_ddp(void **state)
{
    static const struct good cases[] = {
        {"ws://localhost:3000/", false, "localhost", false, 3000, "/websocket"},
        {"ws://localhost:3000", false, "localhost", false, 3000, "/websocket"},
        {"ws://localhost:3000/websocket", false, "localhost", false, 3000, "/websocket"},
        {"ws://localhost:3000/websocket/", false, "localhost", false, 3000, "/websocket"},
        {"wss://h/chat", true, "h", false, 443, "/chat/websocket"},
        {"wss://h/chat/websocket", true, "h", false, 443, "/chat/websocket"},
        {"wss://h/mywebsocket", true, "h", false, 443, "/mywebsocket/websocket"},
        {"WSS://[2001:db8::1]:1/", true, "2001:db8::1", true, 1, "/websocket"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        check_good(rc_address_parse_ddp, &cases[i]);
}

static void test_derived(void **state)
{
    static const struct {
        const char *rest, *path, *url;
        bool tls;
    } cases[] = {
        {"http://localhost:3000/", "/websocket", "http://localhost:3000", false},
        {"https://h/chat/", "/chat/websocket", "https://h:443/chat", true},
        {"http://[::1]", "/websocket", "http://[::1]:80", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_endpoint rest, ddp;
        char url[RC_ADDRESS_URL_MAX];

        assert_null(rc_address_parse_rest(slice_of(cases[i].rest), &rest));
        rc_address_derive_ddp(&rest, &ddp);
        assert_string_equal(ddp.path, cases[i].path);
        assert_int_equal(ddp.tls, cases[i].tls);
        assert_int_equal(ddp.port, rest.port);
        assert_string_equal(ddp.host, rest.host);
        rc_address_url(&rest, url);
        assert_string_equal(url, cases[i].url);
    }
}

static void test_refused(void **state)
{
    static const char *const cases[] = {
        "",
        "localhost:3000",
        "http:/h",
        "http://",
        "http:///path",
        "ftp://h",
        "ws://h",
        "http://user@h",
        "http://user:pw@h/",
        "http://h?x=1",
        "http://h/#f",
        "http://h/a?b",
        "http://h:0",
        "http://h:65536",
        "http://h:99999999999",
        "http://h:",
        "http://h:80x",
        "http://h:-1",
        "http://h:+1",
        "http://h h",
        "http://h\n",
        "http://h/a b",
        "http://h/a%20b",
        "http://h/a//b",
        "http://h/\xc3\xa9",
        "http://\xc3\xa9",
        "http://.h",
        "http://-h",
        "http://[::1",
        "http://[::1]x",
        "http://[::1]]",
        "http://[]",
        "http://[1.2.3.4]",
        "http://[::1%eth0]",
        "http://::1",
        "http://a:b:c",
        "http://h\\x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_endpoint e = {.port = 7};

        if (rc_address_parse_rest(slice_of(cases[i]), &e) == NULL)
            fail_msg("%s was taken", cases[i]);
        assert_int_equal(e.port, 7); /* untouched */
    }
    assert_non_null(rc_address_parse_ddp(SLICE_LIT("http://h"), &(struct rc_endpoint){.port = 0}));
    assert_non_null(
        rc_address_parse_rest((struct slice){NULL, 0}, &(struct rc_endpoint){.port = 0}));
    assert_non_null(
        rc_address_parse_rest(SLICE_LIT("http://h\0x"), &(struct rc_endpoint){.port = 0}));
}

static void test_limits(void **state)
{
    char text[700];
    struct rc_endpoint e;
    char url[RC_ADDRESS_URL_MAX];

    (void)state;
    memcpy(text, "http://", 7);
    memset(text + 7, 'a', sizeof text - 7);
    assert_null(rc_address_parse_rest((struct slice){text, 7 + RC_ADDRESS_HOST_MAX}, &e));
    assert_non_null(rc_address_parse_rest((struct slice){text, 8 + RC_ADDRESS_HOST_MAX}, &e));

    /* The longest path leaves room for the WebSocket's segment. */
    text[8] = '/';
    for (size_t len = RC_ADDRESS_PATH_MAX - 20; len < RC_ADDRESS_PATH_MAX + 10; len++) {
        struct rc_endpoint ddp;

        if (rc_address_parse_rest((struct slice){text, 8 + len}, &e) != NULL) {
            assert_true(len + strlen("/websocket") > RC_ADDRESS_PATH_MAX);
            continue;
        }
        assert_true(len + strlen("/websocket") <= RC_ADDRESS_PATH_MAX);
        rc_address_derive_ddp(&e, &ddp);
        assert_int_equal(strlen(ddp.path), len + strlen("/websocket"));
        rc_address_url(&e, url);
        assert_int_equal(strlen(url), strlen("http://a:80") + len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rest),    cmocka_unit_test(test_ddp),
        cmocka_unit_test(test_derived), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_limits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
