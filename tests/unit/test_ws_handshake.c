#include "signalr/http/ws_handshake.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

#define KEY "dGhlIHNhbXBsZSBub25jZQ=="

static void test_check(void **state)
{
    static const struct {
        const char *key[2], *version[2];
        int status; /* 0: fine */
    } cases[] = {
        {{KEY}, {"13"}, 0},
        {{"AQIDBAUGBwgJCgsMDQ4PEC=="}, {"13"}, 0}, /* RFC 6455, 11.3.1 */
        {{NULL}, {"13"}, 400},
        {{""}, {"13"}, 400},
        {{KEY, KEY}, {"13"}, 400},
        {{"dGhlIHNhbXBsZSBub25jZQ"}, {"13"}, 400},
        {{"dGhlIHNhbXBsZSBub25jZQAA"}, {"13"}, 400},
        {{"dGhlIHNhbXBsZSBub25j*Q=="}, {"13"}, 400},
        {{"dGhlIHNhbXBsZSBub25jZSBsb25nZXI="}, {"13"}, 400},
        {{KEY}, {NULL}, 426},
        {{KEY}, {"8"}, 426},
        {{KEY}, {"013"}, 426},
        {{KEY}, {"13, 8"}, 426},
        {{KEY}, {"13", "8"}, 400},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct http_header headers[4];
        struct http_fault fault = {0};
        struct slice key;
        size_t n = 0;

        for (size_t k = 0; k < 2; k++) {
            if (cases[i].key[k] != NULL)
                headers[n++] =
                    (struct http_header){SLICE_LIT("sec-websocket-KEY"), slice_of(cases[i].key[k])};
            if (cases[i].version[k] != NULL)
                headers[n++] = (struct http_header){SLICE_LIT("Sec-WebSocket-Version"),
                                                    slice_of(cases[i].version[k])};
        }
        if (ws_handshake_check(headers, n, &key, &fault) != (cases[i].status == 0) ||
            fault.status != cases[i].status)
            fail_msg("case %zu: %d", i, fault.status);
    }
}

static void test_accept(void **state)
{
    char out[WS_ACCEPT_LEN + 1];

    (void)state;
    assert_true(ws_handshake_accept(SLICE_LIT(KEY), out)); /* RFC 6455, 1.3 */
    assert_string_equal(out, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_accept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
