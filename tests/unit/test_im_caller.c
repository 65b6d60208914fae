/* What a request says about who calls, and which of its header fields pass. */
#include "bridge/im_proxy/im_caller.h"
#include "bridge/im_proxy/im_headers.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

/* "Name: value|Name: value" */
static size_t split(const char *text, struct http_header *out)
{
    size_t n = 0;

    while (*text != '\0') {
        const char *end = strchr(text, '|'), *colon = strstr(text, ": ");
        size_t len = end == NULL ? strlen(text) : (size_t)(end - text);

        out[n].name = (struct slice){text, (size_t)(colon - text)};
        out[n].value = (struct slice){colon + 2, len - out[n].name.len - 2};
        n++;
        text += len + (end != NULL);
    }
    return n;
}

static const struct {
    const char *headers;
    enum im_caller_kind kind;
    const char *id, *token;
} callers[] = {
    {"", IM_CALLER_NONE, "", ""},
    {"X-User-Id: u|X-Auth-Token: t", IM_CALLER_HEADERS, "u", "t"},
    {"x-user-id: u|X-AUTH-TOKEN: t|Cookie: chat_uid=v; chat_token=w", IM_CALLER_HEADERS, "u", "t"},
    {"X-User-Id: u", IM_CALLER_NONE, "", ""},
    {"X-User-Id: u|Cookie: chat_token=w", IM_CALLER_NONE, "", ""},
    {"X-User-Id: null|X-Auth-Token: t", IM_CALLER_NONE, "", ""},
    {"X-User-Id: u|X-Auth-Token: a b", IM_CALLER_BAD, NULL, NULL},
    {"X-User-Id: u\xc3|X-Auth-Token: a", IM_CALLER_BAD, NULL, NULL},
    {"Cookie: chat_uid=v; chat_token=w", IM_CALLER_COOKIES, "v", "w"},
    {"Cookie: a=b|Cookie: chat_token=w;chat_uid=v;c", IM_CALLER_COOKIES, "v", "w"},
    {"Cookie: chat_token=first; chat_token=second; chat_uid=v", IM_CALLER_COOKIES, "v", "first"},
    {"Cookie: xchat_token=w; chat_uid=v", IM_CALLER_NONE, "", ""},
    {"Cookie: chat_token=\"w\"; chat_uid=\"v\"", IM_CALLER_COOKIES, "v", "w"},
    {"Cookie: chat_token=\"\"; chat_uid=v", IM_CALLER_NONE, "", ""},
    {"Cookie: chat_token=\"; chat_uid=v", IM_CALLER_COOKIES, "v", "\""},
    {"Cookie: chat_token=a%2Db; chat_uid=v", IM_CALLER_COOKIES, "v", "a-b"},
    {"Cookie: chat_token=a%0Ab; chat_uid=v", IM_CALLER_BAD, NULL, NULL},
    {"Cookie: chat_token=a%; chat_uid=v", IM_CALLER_BAD, NULL, NULL},
    {"Cookie: chat_token=undefined; chat_uid=v", IM_CALLER_NONE, "", ""},
    {"Cookie: chat_token=; chat_uid=v", IM_CALLER_NONE, "", ""},
    {"Cookie: chat_token", IM_CALLER_NONE, "", ""},
    {"Cookie: ;;; chat_uid=v", IM_CALLER_NONE, "", ""},
};

static void test_callers(void **state)
{
    struct http_header headers[8];

    (void)state;
    for (size_t i = 0; i < sizeof callers / sizeof callers[0]; i++) {
        struct http_view v = {.headers = headers, .nheaders = split(callers[i].headers, headers)};
        struct im_caller got;

        im_caller_read(&v, &got);
        if (got.kind != callers[i].kind ||
            (callers[i].id != NULL && (strcmp(got.user_id, callers[i].id) != 0 ||
                                       strcmp(got.auth_token, callers[i].token) != 0)))
            fail_msg("%s: %d %s %s", callers[i].headers, got.kind, got.user_id, got.auth_token);
    }
}

static void test_longest(void **state)
{
    (void)state;
    for (size_t over = 0; over < 2; over++) {
        char id[80], token[300];
        struct http_header headers[2] = {{SLICE_LIT("X-User-Id"), {id, 63}},
                                         {SLICE_LIT("X-Auth-Token"), {token, 255 + over}}};
        struct http_view v = {.headers = headers, .nheaders = 2};
        struct im_caller got;

        memset(id, 'i', sizeof id);
        memset(token, 't', sizeof token);
        im_caller_read(&v, &got);
        assert_int_equal(got.kind, over ? IM_CALLER_BAD : IM_CALLER_HEADERS);
    }
}

static void test_origins(void **state)
{
    static const char *const listed[] = {"https://app.example", NULL};
    static const struct {
        enum http_method method;
        const char *headers;
        bool want;
    } cases[] = {
        {HTTP_GET_, "", true},
        {HTTP_HEAD_, "", true},
        {HTTP_POST_, "", false},
        {HTTP_DELETE_, "", false},
        {HTTP_POST_, "Origin: https://app.example", true},
        {HTTP_POST_, "Origin: https://bridge.example", true},
        {HTTP_POST_, "Origin: https://app.example.evil", false},
        {HTTP_POST_, "Origin: null", false},
        {HTTP_GET_, "Origin: https://evil.example", false},
        {HTTP_GET_, "Sec-Fetch-Site: cross-site", false},
        {HTTP_GET_, "Sec-Fetch-Site: same-origin", true},
        {HTTP_GET_, "Sec-Fetch-Site: cross-site|Origin: https://app.example", true},
    };
    struct http_header headers[4];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_view v = {.method = cases[i].method,
                              .headers = headers,
                              .nheaders = split(cases[i].headers, headers),
                              .host = SLICE_LIT("bridge.example")};

        if (im_caller_origin_allowed(listed, &v) != cases[i].want)
            fail_msg("%d %s", (int)cases[i].method, cases[i].headers);
    }
}

static void join(const struct http_header *headers, size_t n, char *out, size_t cap)
{
    size_t at = 0;

    out[0] = '\0';
    for (size_t i = 0; i < n; i++)
        at += (size_t)snprintf(out + at, cap - at, "%s%.*s: %.*s", i > 0 ? "|" : "",
                               (int)headers[i].name.len, headers[i].name.ptr,
                               (int)headers[i].value.len, headers[i].value.ptr);
}

static void test_request_headers(void **state)
{
    struct http_header headers[32], out[32];
    struct http_view v = {.headers = headers};
    char got[600];

    (void)state;
    v.nheaders =
        split("Host: a|Connection: close, X-Hop ,|x-hop: 1|Connection: y-hop|Y-HOP: 1|Accept: b|"
              "AUTHORIZATION: c|cookie: d|X-Auth-Token: e|X-User-Id: f|X-XSRF-TOKEN: g|"
              "Origin: h|Content-Length: 3|Transfer-Encoding: chunked|Expect: 100-continue|"
              "X-Forwarded-For: i|X-Forwarded-Anything: j|Forwarded: k|Upgrade: l|TE: m|"
              "Content-Type: n|Access-Control-Request-Method: o|X-2fa-Code: p|Accept: q|"
              "X-HTTP-Method-Override: DELETE",
              headers);
    join(out, im_headers_request(&v, out), got, sizeof got);
    assert_string_equal(got, "Accept: b|Content-Type: n|X-2fa-Code: p|Accept: q");
}

static void test_answer_headers(void **state)
{
    static struct im_headers h;
    struct http_header in[32], out[IM_HEADERS_MAX];
    char got[600];
    size_t n = split("Content-Type: a|Set-Cookie: b|set-cookie: c|Access-Control-Allow-Origin: *|"
                     "ACCESS-CONTROL-EXPOSE-HEADERS: d|Connection: x-hop|X-Hop: 1|Date: e|"
                     "Content-Length: 5|Transfer-Encoding: chunked|Keep-Alive: f|"
                     "Strict-Transport-Security: g|ETag: h|Retry-After: 5",
                     in);

    (void)state;
    for (size_t i = 0; i < n; i++)
        im_headers_add(&h, in[i].name, in[i].value);
    im_headers_add(&h, SLICE_LIT("Bad Name"), SLICE_LIT("x"));
    im_headers_add(&h, SLICE_LIT(""), SLICE_LIT("x"));
    im_headers_add(&h, SLICE_LIT("X-Bad"), SLICE_LIT("a\r\nEvil: 1"));
    join(out, im_headers_answer(&h, out), got, sizeof got);
    assert_string_equal(got, "Content-Type: a|ETag: h|Retry-After: 5");
    assert_true(im_headers_have(&h, "retry-after"));
    assert_false(im_headers_have(&h, "x-bad"));
    im_headers_clear(&h);
    assert_int_equal(im_headers_answer(&h, out), 0);
    for (int i = 0; i < 2 * IM_HEADERS_MAX; i++)
        im_headers_add(&h, SLICE_LIT("X"), SLICE_LIT("y"));
    assert_int_equal(im_headers_answer(&h, out), IM_HEADERS_MAX);
    im_headers_clear(&h);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_callers),        cmocka_unit_test(test_longest),
        cmocka_unit_test(test_origins),        cmocka_unit_test(test_request_headers),
        cmocka_unit_test(test_answer_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
