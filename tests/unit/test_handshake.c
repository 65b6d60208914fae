#include "base/byte_buf.h"
#include "signalr/protocol/handshake.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka wants the three above first */
#include <cmocka.h>

#define UNEXPECTED "An unexpected error occurred during connection handshake."

static const struct {
    const char *in;
    enum handshake_result want;
    const char *text; /* NULL: accepted */
} cases[] = {
    {"{\"protocol\":\"json\",\"version\":1}", HANDSHAKE_OK, NULL},
    {"{\"version\":2,\"protocol\":\"JSON\"}", HANDSHAKE_OK, NULL},
    {"{\"protocol\":\"json\",\"version\":0}", HANDSHAKE_OK, NULL},
    {"{\"protocol\":\"json\",\"version\":-7}", HANDSHAKE_OK, NULL},
    {"{\"x\":[{}],\"protocol\":\"json\",\"type\":6,\"version\":1} ", HANDSHAKE_OK, NULL},
    {"{\"protocol\":\"j\\u0073on\",\"version\":1}", HANDSHAKE_OK, NULL},
    {"{\"protocol\":\"x\",\"protocol\":\"json\",\"version\":1}", HANDSHAKE_OK, NULL},
    {"{\"protocol\":\"messagepack\",\"version\":1}", HANDSHAKE_UNKNOWN_PROTOCOL,
     "The protocol 'messagepack' is not supported."},
    {"{\"protocol\":\"\",\"version\":1}", HANDSHAKE_UNKNOWN_PROTOCOL,
     "The protocol '' is not supported."},
    {"{\"protocol\":\"a\\\"b\\u00e9\",\"version\":1}", HANDSHAKE_UNKNOWN_PROTOCOL,
     "The protocol 'a\"b\xc3\xa9' is not supported."},
    {"{\"protocol\":\"\\ud800\",\"version\":1}", HANDSHAKE_UNKNOWN_PROTOCOL, UNEXPECTED},
    {"{\"protocol\":\"jsonx\",\"version\":9}", HANDSHAKE_UNKNOWN_PROTOCOL,
     "The protocol 'jsonx' is not supported."},
    {"{\"protocol\":\"json\",\"version\":3}", HANDSHAKE_VERSION_TOO_HIGH,
     "The server does not support version 3 of the 'json' protocol."},
    {"{\"protocol\":\"Json\",\"version\":2147483647}", HANDSHAKE_VERSION_TOO_HIGH,
     "The server does not support version 2147483647 of the 'Json' protocol."},
    {"", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"null", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"[]", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"type\":6}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"protocol\":\"json\"}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"version\":1}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"protocol\":1,\"version\":1}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"protocol\":null,\"version\":1}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"protocol\":\"json\",\"version\":\"1\"}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"protocol\":\"json\",\"version\":null}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"protocol\":\"json\",\"version\":1.5}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"protocol\":\"json\",\"version\":2147483648}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"protocol\":\"json\",\"version\":1}{}", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{\"protocol\":\"json\",\"version\":1", HANDSHAKE_MALFORMED, UNEXPECTED},
    {"{'protocol':'json','version':1}", HANDSHAKE_MALFORMED, UNEXPECTED},
};

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct handshake h = {0};
        struct byte_buf text = {0};
        enum handshake_result got = handshake_parse(slice_of(cases[i].in), &h);

        if (got != cases[i].want)
            fail_msg("%s: result %d", cases[i].in, got);
        if (cases[i].text == NULL)
            continue;
        handshake_error_text(got, &h, &text);
        if (!slice_eq(byte_buf_slice(&text), slice_of(cases[i].text)))
            fail_msg("%s: text %.*s", cases[i].in, (int)text.len, text.data);
        byte_buf_free(&text);
    }
}

/* No proper prefix of a valid request is valid. */
static void test_every_cut(void **state)
{
    struct slice whole = slice_of("{\"protocol\":\"json\",\"version\":1}");

    (void)state;
    for (size_t len = 0; len < whole.len; len++) {
        struct handshake h;

        assert_int_equal(handshake_parse((struct slice){whole.ptr, len}, &h), HANDSHAKE_MALFORMED);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases),
        cmocka_unit_test(test_every_cut),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
