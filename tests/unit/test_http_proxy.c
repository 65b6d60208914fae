#include "signalr/http/http_proxy.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

static void test_addr(void **state)
{
    static const struct {
        const char *in, *want; /* NULL: refused */
    } cases[] = {
        {"192.0.2.7", "192.0.2.7"},
        {"2001:DB8::1", "2001:db8::1"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"::", "::"},
        {"", NULL},
        {"192.0.2", NULL},
        {"192.0.2.256", NULL},
        {"192.0.2.7 ", NULL},
        {"1:2:3:4:5:6:7:8:9", NULL},
        {"unknown", NULL},
        {"1111:1111:1111:1111:1111:1111:1111:1111:1111:11", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_addr addr;
        char text[HTTP_ADDR_TEXT_MAX];
        bool ok = http_addr_parse(slice_of(cases[i].in), &addr);

        assert_int_equal(ok, cases[i].want != NULL);
        if (!ok)
            continue;
        assert_int_equal(http_addr_text(&addr, text), strlen(cases[i].want));
        assert_string_equal(text, cases[i].want);
    }
}

static void test_addr_of(void **state)
{
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0xc0000207)};
    struct sockaddr_in6 in6 = {.sin6_family = AF_INET6, .sin6_addr = IN6ADDR_LOOPBACK_INIT};
    struct sockaddr unix_addr = {.sa_family = AF_UNIX};
    struct http_addr addr;
    char text[HTTP_ADDR_TEXT_MAX];

    (void)state;
    http_addr_of((struct sockaddr *)&in, &addr);
    http_addr_text(&addr, text);
    assert_string_equal(text, "192.0.2.7");
    http_addr_of((struct sockaddr *)&in6, &addr);
    http_addr_text(&addr, text);
    assert_string_equal(text, "::1");
    http_addr_of(&unix_addr, &addr);
    http_addr_text(&addr, text);
    assert_string_equal(text, "::");
}

static void test_cidr(void **state)
{
    static const struct {
        const char *cidr, *in, *out; /* in NULL: the cidr is refused */
    } cases[] = {
        {"10.0.0.0/8", "10.255.1.2", "11.0.0.0"},
        {"10.0.0.0/9", "10.127.255.255", "10.128.0.0"},
        {"192.0.2.7", "192.0.2.7", "192.0.2.6"},
        {"192.0.2.6/31", "192.0.2.7", "192.0.2.8"},
        {"0.0.0.0/0", "8.8.8.8", "2001:db8::1"},
        {"::/0", "8.8.8.8", NULL},
        {"2001:db8::/32", "2001:db8:ffff::1", "2001:db9::"},
        {"::1", "::1", "::2"},
        {"::ffff:10.0.0.0/104", "10.1.2.3", "11.1.2.3"},
        {"10.0.0.1/8", NULL, NULL},
        {"10.0.0.0/33", NULL, NULL},
        {"10.0.0.0/", NULL, NULL},
        {"10.0.0.0/-1", NULL, NULL},
        {"10.0.0.0/0x8", NULL, NULL},
        {"10.0.0.0/0008", NULL, NULL},
        {"::1/129", NULL, NULL},
        {"localhost", NULL, NULL},
        {"", NULL, NULL},
        {"/8", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_cidr cidr;
        struct http_addr addr;

        if (http_cidr_parse(slice_of(cases[i].cidr), &cidr) != (cases[i].in != NULL))
            fail_msg("%s", cases[i].cidr);
        if (cases[i].in == NULL)
            continue;
        assert_true(http_addr_parse(slice_of(cases[i].in), &addr));
        if (!http_cidr_list_has(&cidr, 1, &addr))
            fail_msg("%s has %s", cases[i].cidr, cases[i].in);
        if (cases[i].out == NULL)
            continue;
        assert_true(http_addr_parse(slice_of(cases[i].out), &addr));
        if (http_cidr_list_has(&cidr, 1, &addr))
            fail_msg("%s has not %s", cases[i].cidr, cases[i].out);
    }
}

/* Trusted here: 10.0.0.0/8 and ::1. */
static void test_forwarded(void **state)
{
    static const struct {
        const char *peer, *x_for[3], *proto, *host;
        const char *client, *want_proto, *want_host;
    } cases[] = {
        {"192.0.2.7", {"1.1.1.1"}, "https", "h", "192.0.2.7", "", ""},
        {"10.0.0.1", {"1.1.1.1"}, "https", "h", "1.1.1.1", "https", "h"},
        {"10.0.0.1", {NULL}, "https", "h", "10.0.0.1", "https", "h"},
        /* What the client wrote itself stands left of what our proxy wrote. */
        {"10.0.0.1", {"6.6.6.6, 1.1.1.1"}, "https, http", "evil, h", "1.1.1.1", "http", "h"},
        {"10.0.0.1", {"6.6.6.6", "1.1.1.1"}, "", "", "1.1.1.1", "", ""},
        /* Two proxies of ours: the one in front saw the client. */
        {"10.0.0.1", {"6.6.6.6, 1.1.1.1, 10.0.0.2"}, "x, https, http", "", "1.1.1.1", "https", ""},
        {"10.0.0.1", {"1.1.1.1", "10.0.0.3", "10.0.0.2"}, "https", "", "1.1.1.1", "https", ""},
        {"10.0.0.1", {"10.0.0.9, 10.0.0.2"}, "", "", "10.0.0.9", "", ""},
        {"10.0.0.1", {"unknown"}, "https", "", "10.0.0.1", "https", ""},
        {"10.0.0.1", {"1.1.1.1, unknown, 10.0.0.2"}, "", "", "10.0.0.2", "", ""},
        {"10.0.0.1", {"1.1.1.1:8080"}, "", "", "1.1.1.1", "", ""},
        {"::1", {"[2001:db8::1]:443"}, "", "", "2001:db8::1", "", ""},
        {"::1", {"[2001:db8::1]"}, "", "", "2001:db8::1", "", ""},
        {"::1", {"2001:db8::1"}, "", "", "2001:db8::1", "", ""},
        {"::1", {"[2001:db8::1"}, "", "", "::1", "", ""},
        {"10.0.0.1", {" , ,1.1.1.1, "}, "", "", "1.1.1.1", "", ""},
        {"10.0.0.1", {","}, ",", ",", "10.0.0.1", "", ""},
        {"10.0.0.1", {""}, "", "", "10.0.0.1", "", ""},
    };
    struct http_cidr trusted[2];

    (void)state;
    assert_true(http_cidr_parse(SLICE_LIT("10.0.0.0/8"), &trusted[0]));
    assert_true(http_cidr_parse(SLICE_LIT("::1"), &trusted[1]));
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct slice x_for[3], proto = slice_of(cases[i].proto), host = slice_of(cases[i].host);
        struct http_forwarded_fields f = {x_for, &proto, &host, 0, 1, 1};
        struct http_forwarded out;
        struct http_addr peer;
        char text[HTTP_ADDR_TEXT_MAX];

        for (; f.nfor < 3 && cases[i].x_for[f.nfor] != NULL; f.nfor++)
            x_for[f.nfor] = slice_of(cases[i].x_for[f.nfor]);
        assert_true(http_addr_parse(slice_of(cases[i].peer), &peer));
        http_forwarded_read(trusted, 2, &peer, &f, &out);
        http_addr_text(&out.client, text);
        if (strcmp(text, cases[i].client) != 0 ||
            !slice_eq(out.proto, slice_of(cases[i].want_proto)) ||
            !slice_eq(out.host, slice_of(cases[i].want_host)))
            fail_msg("case %zu: client %s proto %.*s host %.*s", i, text, (int)out.proto.len,
                     out.proto.ptr, (int)out.host.len, out.host.ptr);
    }
}

#define SIGNATURE "\r\n\r\n\0\r\nQUIT\n"

static void test_proxy_header(void **state)
{
    static const struct {
        const char *name, *in;
        size_t len;
        enum http_proxy_result want;
        size_t rest;
        const char *source; /* NULL: none */
    } cases[] = {
#define BYTES(text) text, sizeof(text) - 1
        {"v1 TCP4", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 56324 443\r\nGET"), HTTP_PROXY_OK, 3,
         "192.0.2.7"},
        {"v1 TCP6", BYTES("PROXY TCP6 2001:db8::1 ::1 0 65535\r\n"), HTTP_PROXY_OK, 0,
         "2001:db8::1"},
        {"v1 UNKNOWN", BYTES("PROXY UNKNOWN\r\n"), HTTP_PROXY_OK, 0, NULL},
        {"v1 UNKNOWN with more", BYTES("PROXY UNKNOWN ffff::1 x y z\r\nG"), HTTP_PROXY_OK, 1, NULL},
        {"v1 UDP", BYTES("PROXY UDP4 192.0.2.7 10.0.0.1 1 2\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v1 families mixed", BYTES("PROXY TCP4 2001:db8::1 ::1 1 2\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v1 families mixed 6", BYTES("PROXY TCP6 192.0.2.7 ::1 1 2\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v1 port", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 65536 443\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v1 no port", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 1\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v1 more", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 1 2 3\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v1 two spaces", BYTES("PROXY TCP4  192.0.2.7 10.0.0.1 1 2\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v1 bare LF", BYTES("PROXY TCP4 192.0.2.7 10.0.0.1 1 2\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v1 address", BYTES("PROXY TCP4 a.b.c.d 10.0.0.1 1 2\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v1 too long",
         BYTES("PROXY UNKNOWN 0123456789012345678901234567890123456789012345678901234567890123456"
               "78901234567890123456789012345678901234567890"),
         HTTP_PROXY_BAD, 0, NULL},
        {"plain request", BYTES("GET / HTTP/1.1\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"lower case", BYTES("proxy TCP4 192.0.2.7 10.0.0.1 1 2\r\n"), HTTP_PROXY_BAD, 0, NULL},
        {"v2 TCP4", BYTES(SIGNATURE "\x21\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x34\x01\xbbGET"),
         HTTP_PROXY_OK, 3, "192.0.2.7"},
        {"v2 TCP4 with an extension",
         BYTES(SIGNATURE "\x21\x11\0\x10\xc0\0\x02\x07\x0a\0\0\x01\x12\x34\x01\xbb\x04\0\x01x"),
         HTTP_PROXY_OK, 0, "192.0.2.7"},
        {"v2 TCP6",
         BYTES(SIGNATURE "\x21\x21\0\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"
                         "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\x12\x34\x01\xbb"),
         HTTP_PROXY_OK, 0, "2001:db8::1"},
        {"v2 LOCAL", BYTES(SIGNATURE "\x20\0\0\0"), HTTP_PROXY_OK, 0, NULL},
        {"v2 LOCAL with addresses",
         BYTES(SIGNATURE "\x20\x11\0\x0c\xc0\0\x02\x07\x0a\0\0\x01\x12\x34\x01\xbb"), HTTP_PROXY_OK,
         0, NULL},
        {"v2 unix", BYTES(SIGNATURE "\x21\x31\0\x02xx"), HTTP_PROXY_OK, 0, NULL},
        {"v2 too short", BYTES(SIGNATURE "\x21\x11\0\x0b\xc0\0\x02\x07\x0a\0\0\x01\x12\x34\x01"),
         HTTP_PROXY_BAD, 0, NULL},
        {"v2 version 3", BYTES(SIGNATURE "\x31\x11\0\x0c"), HTTP_PROXY_BAD, 0, NULL},
        {"v2 command", BYTES(SIGNATURE "\x22\x11\0\x0c"), HTTP_PROXY_BAD, 0, NULL},
        {"v2 too long", BYTES(SIGNATURE "\x21\x11\x07\xf1"), HTTP_PROXY_BAD, 0, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_proxy_header h;
        char text[HTTP_ADDR_TEXT_MAX];
        enum http_proxy_result got = HTTP_PROXY_BAD;

        /* Every shorter start waits, or is refused if the whole is. */
        for (size_t len = 0; len <= cases[i].len; len++) {
            uint8_t *copy = malloc(len + 1);

            memcpy(copy, cases[i].in, len);
            got = http_proxy_header_read(copy, len, &h);
            free(copy);
            if (len < cases[i].len - cases[i].rest && got != HTTP_PROXY_NEED_MORE &&
                got != cases[i].want)
                fail_msg("%s: %d at %zu", cases[i].name, got, len);
            if (len < cases[i].len - cases[i].rest && got == HTTP_PROXY_OK)
                fail_msg("%s: done at %zu", cases[i].name, len);
        }
        if (got != cases[i].want)
            fail_msg("%s: %d", cases[i].name, got);
        if (got != HTTP_PROXY_OK)
            continue;
        assert_int_equal(h.consumed, cases[i].len - cases[i].rest);
        assert_int_equal(h.has_source, cases[i].source != NULL);
        if (h.has_source) {
            http_addr_text(&h.source, text);
            assert_string_equal(text, cases[i].source);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addr),         cmocka_unit_test(test_addr_of),
        cmocka_unit_test(test_cidr),         cmocka_unit_test(test_forwarded),
        cmocka_unit_test(test_proxy_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
