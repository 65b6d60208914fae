#include "signalr/http/http_parse.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

static const struct http_parse_limits limits = {
    .request_line_bytes = 128, .head_bytes = 512, .body_bytes = 64};

/* What reading some bytes came to, whichever way they were cut. */
struct outcome {
    enum http_parse_result result;
    int status;
    size_t consumed;
    char text[1400];
};

static void describe(const struct http_parse *p, struct outcome *o)
{
    const struct http_head *h = http_parse_head(p);
    int n = snprintf(o->text, sizeof o->text, "m%d %.*s|%.*s|%.*s|ka%d|", (int)h->method,
                     (int)h->path.len, h->path.ptr, (int)h->query.len, h->query.ptr,
                     (int)h->host.len, h->host.ptr, h->keep_alive);

    for (size_t i = 0; i < h->nheaders; i++)
        n += snprintf(o->text + n, sizeof o->text - (size_t)n, "%.*s=%.*s;",
                      (int)h->headers[i].name.len, h->headers[i].name.ptr,
                      (int)h->headers[i].value.len, h->headers[i].value.ptr);
    snprintf(o->text + n, sizeof o->text - (size_t)n, "|%.*s", (int)http_parse_body(p).len,
             http_parse_body(p).ptr);
}

/* Feeds data in pieces that end at the cuts (ascending; the last one is len). */
static void run(const char *data, const size_t *cuts, size_t ncuts, struct outcome *o)
{
    struct http_parse *p = http_parse_new(&limits);
    size_t at = 0;

    assert_non_null(p);
    memset(o, 0, sizeof *o);
    for (size_t i = 0; i < ncuts; i++) {
        /* Its own allocation: ASan sees a read past the piece. */
        size_t n = cuts[i] - at, done = 0, used;
        char *piece = malloc(n + 1);

        assert_non_null(piece);
        memcpy(piece, data + at, n);
        do {
            o->result = http_parse_feed(p, piece + done, n - done, &used);
            done += used;
        } while (o->result == HTTP_PARSE_HEAD);
        free(piece);
        o->consumed += done;
        if (o->result != HTTP_PARSE_NEED_MORE)
            break;
        assert_int_equal(done, n);
        at = cuts[i];
    }
    if (o->result == HTTP_PARSE_DONE)
        describe(p, o);
    if (o->result == HTTP_PARSE_BAD) {
        o->status = http_parse_fault(p).status;
        assert_non_null(http_parse_fault(p).why);
    }
    http_parse_free(p);
}

#define HOST "Host: a.example\r\n"

static const struct {
    const char *name, *in, *want; /* want: see describe() */
    size_t rest;                  /* bytes that belong to the next request */
} good[] = {
    {"smallest", "GET / HTTP/1.1\r\n" HOST "\r\n", "m0 /||a.example|ka1|Host=a.example;|", 0},
    {"query", "GET /a%20b?x=1&y HTTP/1.1\r\n" HOST "\r\n",
     "m0 /a%20b|x=1&y|a.example|ka1|Host=a.example;|", 0},
    {"empty lines in front", "\r\n\r\nGET / HTTP/1.1\r\n" HOST "\r\n",
     "m0 /||a.example|ka1|Host=a.example;|", 0},
    {"white space around values", "GET / HTTP/1.1\r\nHost:\t a.example \t\r\nX:\r\n\r\n",
     "m0 /||a.example|ka1|Host=a.example;X=;|", 0},
    {"body", "POST /p HTTP/1.1\r\n" HOST "Content-Length: 5\r\n\r\nhelloGET /",
     "m2 /p||a.example|ka1|Host=a.example;Content-Length=5;|hello", 5},
    {"no body", "POST /p HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\nGET",
     "m2 /p||a.example|ka1|Host=a.example;Content-Length=0;|", 3},
    {"chunks, extension, trailer",
     "POST /p HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nT: v\r\n\r\nnext",
     "m2 /p||a.example|ka1|Host=a.example;Transfer-Encoding=chunked;|abc0123456789", 4},
    {"absolute form", "GET http://b.example:8/p?q HTTP/1.1\r\n" HOST "\r\n",
     "m0 /p|q|b.example:8|ka1|Host=a.example;|", 0},
    {"absolute form, no path", "GET HTTPS://b.example?q HTTP/1.1\r\n" HOST "\r\n",
     "m0 /|q|b.example|ka1|Host=a.example;|", 0},
    {"asterisk form", "OPTIONS * HTTP/1.1\r\n" HOST "\r\n", "m6 *||a.example|ka1|Host=a.example;|",
     0},
    {"close", "GET / HTTP/1.1\r\n" HOST "Connection: x, Close\r\n\r\n",
     "m0 /||a.example|ka0|Host=a.example;Connection=x, Close;|", 0},
    {"1.0", "GET / HTTP/1.0\r\n\r\n", "m0 /|||ka0||", 0},
    {"1.0 keep-alive", "HEAD / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
     "m1 /|||ka1|Connection=Keep-Alive;|", 0},
    {"other upgrades are plain requests",
     "GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\nGET",
     "m0 /||a.example|ka1|Host=a.example;Connection=Upgrade;Upgrade=h2c;|", 3},
    {"IPv6 host", "GET / HTTP/1.1\r\nHost: [::1]:80\r\n\r\n", "m0 /||[::1]:80|ka1|Host=[::1]:80;|",
     0},
    {"body of the limit's size",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 64\r\n\r\n"
     "0123456789012345678901234567890123456789012345678901234567890123",
     "m2 /||a.example|ka1|Host=a.example;Content-Length=64;|"
     "0123456789012345678901234567890123456789012345678901234567890123",
     0},
};

static const struct {
    const char *name, *in;
    int status;
} bad[] = {
    {"garbage", "\x16\x03\x01\x02", 400},
    {"method with a control byte", "GE\x01T / HTTP/1.1\r\n\r\n", 400},
    {"space first", " GET / HTTP/1.1\r\n" HOST "\r\n", 400},
    {"too many empty lines", "\r\n\r\n\r\n", 400},
    {"unknown method", "BREW /pot HTTP/1.1\r\n" HOST "\r\n", 501},
    {"method llhttp knows and we do not", "TRACE / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"CONNECT", "CONNECT a.example:443 HTTP/1.1\r\n" HOST "\r\n", 501},
    {"lower case", "get / HTTP/1.1\r\n" HOST "\r\n", 501},
    {"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 501},
    {"endless method", "GGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGGG", 400},
    {"HTTP/2.0", "GET / HTTP/2.0\r\n" HOST "\r\n", 505},
    {"HTTP/1.2", "GET / HTTP/1.2\r\n" HOST "\r\n", 505},
    {"HTTP/0.9", "GET /\r\n\r\n", 505},
    {"no Host", "GET / HTTP/1.1\r\n\r\n", 400},
    {"two Hosts", "GET / HTTP/1.1\r\n" HOST HOST "\r\n", 400},
    {"two Hosts in 1.0", "GET / HTTP/1.0\r\n" HOST HOST "\r\n", 400},
    {"empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"Host with a user", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
    {"folded", "GET / HTTP/1.1\r\n" HOST "X: a\r\n b\r\n\r\n", 400},
    {"folded, tab", "GET / HTTP/1.1\r\n" HOST "X: a\r\n\tb\r\n\r\n", 400},
    {"folded first line", "GET / HTTP/1.1\r\n " HOST "\r\n", 400},
    {"bare LF", "GET / HTTP/1.1\n" HOST "\r\n", 400},
    {"bare LF in the fields", "GET / HTTP/1.1\r\n" HOST "X: y\n\r\n", 400},
    {"bare LF at the end", "GET / HTTP/1.1\r\n" HOST "\n", 400},
    {"bare CR smuggles", "GET / HTTP/1.1\r\n" HOST "X: \rTransfer-Encoding: chunked\r\n\r\n", 400},
    {"space before colon", "GET / HTTP/1.1\r\n" HOST "X : y\r\n\r\n", 400},
    {"no colon", "GET / HTTP/1.1\r\n" HOST "Xy\r\n\r\n", 400},
    {"no name", "GET / HTTP/1.1\r\n" HOST ": y\r\n\r\n", 400},
    {"control in value", "GET / HTTP/1.1\r\n" HOST "X: a\x01\r\n\r\n", 400},
    {"DEL in value", "GET / HTTP/1.1\r\n" HOST "X: a\x7f\r\n\r\n", 400},
    {"both lengths",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
    {"both lengths, other order",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
    {"two equal lengths",
     "POST / HTTP/1.1\r\n" HOST "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
    {"list of lengths", "POST / HTTP/1.1\r\n" HOST "Content-Length: 3, 3\r\n\r\nabc", 400},
    {"signed length", "POST / HTTP/1.1\r\n" HOST "Content-Length: +3\r\n\r\nabc", 400},
    {"negative length", "POST / HTTP/1.1\r\n" HOST "Content-Length: -3\r\n\r\nabc", 400},
    {"huge length", "POST / HTTP/1.1\r\n" HOST "Content-Length: 99999999999999999999\r\n\r\n", 400},
    {"no length", "POST / HTTP/1.1\r\n" HOST "\r\n", 411},
    {"no length, PUT", "PUT / HTTP/1.1\r\n" HOST "\r\n", 411},
    {"length over the limit", "POST / HTTP/1.1\r\n" HOST "Content-Length: 65\r\n\r\n", 413},
    {"gzip", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip\r\n\r\n", 501},
    {"gzip, chunked", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: gzip, chunked\r\n\r\n", 501},
    {"chunked in 1.0", "POST / HTTP/1.0\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n", 400},
    {"bad chunk size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nzz\r\n", 400},
    {"negative chunk size", "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n-1\r\n",
     400},
    {"overflowing chunk size",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n", 400},
    {"bare LF closes the trailers",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\n\nGET", 400},
    {"bare LF closes the trailers behind one",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\n", 400},
    {"folded trailer",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n z\r\n\r\n", 400},
    {"bare LF behind a chunk size",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\na\r\n0\r\n\r\n", 400},
    {"trailer closed by CR and no LF",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\rX", 400},
    {"chunk longer than said",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n", 400},
    {"chunks over the limit",
     "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n"
     "41\r\n01234567890123456789012345678901234567890123456789012345678901234\r\n0\r\n\r\n",
     413},
    {"relative target", "GET a/b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"asterisk for GET", "GET * HTTP/1.1\r\n" HOST "\r\n", 400},
    {"fragment", "GET /a#b HTTP/1.1\r\n" HOST "\r\n", 400},
    {"absolute form with a user", "GET http://u@h/ HTTP/1.1\r\n" HOST "\r\n", 400},
    {"absolute form without a host", "GET http:///x HTTP/1.1\r\n" HOST "\r\n", 400},
    {"expectation", "GET / HTTP/1.1\r\n" HOST "Expect: tea\r\n\r\n", 417},
    {"two Origins", "GET / HTTP/1.1\r\n" HOST "Origin: null\r\nOrigin: null\r\n\r\n", 400},
    {"body on an upgrade",
     "GET / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"
     "Content-Length: 1\r\n\r\nx",
     400},
    {"upgrade by POST",
     "POST / HTTP/1.1\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n"
     "Content-Length: 0\r\n\r\n",
     400},
    {"upgrade in 1.0",
     "GET / HTTP/1.0\r\n" HOST "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n", 400},
};

static void check_good(size_t i, const struct outcome *o)
{
    size_t len = strlen(good[i].in);

    if (o->result != HTTP_PARSE_DONE || strcmp(o->text, good[i].want) != 0 ||
        o->consumed != len - good[i].rest)
        fail_msg("%s: result %d status %d consumed %zu: %s", good[i].name, o->result, o->status,
                 o->consumed, o->text);
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct outcome o;
        size_t len = strlen(good[i].in);

        run(good[i].in, &len, 1, &o);
        check_good(i, &o);
        for (size_t a = 0; a <= len; a++)
            for (size_t b = a; b <= len; b += len > 90 ? 7 : 1) {
                run(good[i].in, (size_t[]){a, b, len}, 3, &o);
                check_good(i, &o);
            }
    }
}

static void test_incomplete(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        for (size_t cut = 0; cut < strlen(good[i].in) - good[i].rest; cut++) {
            struct outcome o;

            run(good[i].in, &cut, 1, &o);
            if (o.result != HTTP_PARSE_NEED_MORE)
                fail_msg("%s cut at %zu: result %d", good[i].name, cut, o.result);
        }
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        size_t len = strlen(bad[i].in);

        for (size_t cut = 0; cut <= len; cut++) {
            struct outcome o;

            run(bad[i].in, (size_t[]){cut, len}, 2, &o);
            if (o.result != HTTP_PARSE_BAD || o.status != bad[i].status)
                fail_msg("%s cut at %zu: result %d status %d", bad[i].name, cut, o.result,
                         o.status);
        }
    }
}

static void test_zero_byte(void **state)
{
    static const char in[] = "GET / HTTP/1.1\r\n" HOST "X: a\0b\r\n\r\n";
    size_t len = sizeof in - 1;
    struct outcome o;

    (void)state;
    run(in, &len, 1, &o);
    assert_int_equal(o.result, HTTP_PARSE_BAD);
    assert_int_equal(o.status, 400);
}

/* Repeats filler between a start and an end; every size around a limit, whole and byte by byte. */
static int grown(const char *start, char filler, size_t n, const char *end, bool bytewise)
{
    size_t len = strlen(start) + n + strlen(end), cuts[2000];
    char in[2000];
    struct outcome o;

    assert_true(len < sizeof in);
    memcpy(in, start, strlen(start));
    memset(in + strlen(start), filler, n);
    memcpy(in + strlen(start) + n, end, strlen(end));
    for (size_t i = 0; i < len; i++)
        cuts[i] = i + 1;
    if (bytewise)
        run(in, cuts, len, &o);
    else
        run(in, &len, 1, &o);
    return o.result == HTTP_PARSE_DONE ? 200 : o.result == HTTP_PARSE_BAD ? o.status : 0;
}

static void test_limits(void **state)
{
    static const struct {
        const char *start, *end;
        size_t room; /* filler bytes that still fit */
        int status;
    } cases[] = {
        /* The line is counted up to its version: "GET /" + filler + " HTTP/1.1" is 128. */
        {"GET /", " HTTP/1.1\r\n" HOST "\r\n", 128 - 14, 414},
        {"GET / HTTP/1.1\r\n" HOST "X: ", "\r\n\r\n", 512 - 16 - 17 - 3 - 4, 431},
        /* 0 CR LF, T: SP filler, CR LF CR LF: 512 bytes around an empty body. */
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0\r\nT: ", "\r\n\r\n",
         512 - 3 - 3 - 4, 431},
        {"POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n0;x=", "\r\n\r\n",
         512 - 4 - 4, 431},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int bytewise = 0; bytewise < 2; bytewise++) {
            assert_int_equal(grown(cases[i].start, 'a', cases[i].room, cases[i].end, bytewise != 0),
                             200);
            assert_int_equal(
                grown(cases[i].start, 'a', cases[i].room + 1, cases[i].end, bytewise != 0),
                cases[i].status);
            assert_int_equal(grown(cases[i].start, 'a', cases[i].room + 900, "", bytewise != 0),
                             cases[i].status);
        }
}

static void test_one_byte_chunks(void **state)
{
    char in[1000] = "POST / HTTP/1.1\r\n" HOST "Transfer-Encoding: chunked\r\n\r\n";
    struct outcome o;
    size_t len;

    (void)state;
    for (int i = 0; i < 64; i++)
        strcat(in, "1\r\nx\r\n");
    strcat(in, "0\r\n\r\n");
    len = strlen(in);
    run(in, &len, 1, &o);
    assert_int_equal(o.result, HTTP_PARSE_DONE);
}

static void test_too_many_headers(void **state)
{
    struct http_parse_limits wide = {1000, 100000, 1000};
    struct http_parse *p;
    size_t used;

    (void)state;
    for (size_t n = HTTP_HEAD_MAX_HEADERS - 1; n <= HTTP_HEAD_MAX_HEADERS; n++) {
        enum http_parse_result result;

        p = http_parse_new(&wide);
        http_parse_feed(p, "GET / HTTP/1.1\r\n" HOST, 16 + 17, &used);
        for (size_t i = 0; i < n; i++)
            http_parse_feed(p, "a: b\r\n", 6, &used);
        result = http_parse_feed(p, "\r\n", 2, &used);
        assert_int_equal(result, n < HTTP_HEAD_MAX_HEADERS ? HTTP_PARSE_HEAD : HTTP_PARSE_BAD);
        if (result == HTTP_PARSE_BAD)
            assert_int_equal(http_parse_fault(p).status, 431);
        http_parse_free(p);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_incomplete),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_zero_byte),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_one_byte_chunks),
        cmocka_unit_test(test_too_many_headers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
