#include "base/byte_buf.h"
#include "signalr/protocol/negotiate.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka wants the three above first */
#include <cmocka.h>

static const struct {
    const char *text; /* NULL: no such key in the query */
    enum negotiate_result want;
    int32_t version;
} cases[] = {
    {NULL, NEGOTIATE_OK, 0},
    {"0", NEGOTIATE_OK, 0},
    {"1", NEGOTIATE_OK, 1},
    {" +1\t", NEGOTIATE_OK, 1},
    {"007", NEGOTIATE_OK, 1},
    {"2147483647", NEGOTIATE_OK, 1},
    {"-0", NEGOTIATE_OK, 0},
    {"-1", NEGOTIATE_TOO_LOW, -1},
    {"-2147483648", NEGOTIATE_TOO_LOW, INT32_MIN},
    {"", NEGOTIATE_NOT_INTEGER, 0},
    {" ", NEGOTIATE_NOT_INTEGER, 0},
    {"+", NEGOTIATE_NOT_INTEGER, 0},
    {"1.0", NEGOTIATE_NOT_INTEGER, 0},
    {"1,1", NEGOTIATE_NOT_INTEGER, 0},
    {"--1", NEGOTIATE_NOT_INTEGER, 0},
    {"1 1", NEGOTIATE_NOT_INTEGER, 0},
    {"0x1", NEGOTIATE_NOT_INTEGER, 0},
    {"2147483648", NEGOTIATE_NOT_INTEGER, 0},
    {"-2147483649", NEGOTIATE_NOT_INTEGER, 0},
    {"99999999999999999999999999999", NEGOTIATE_NOT_INTEGER, 0},
};

static void test_versions(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t version = 0;
        enum negotiate_result got = negotiate_version(slice_of(cases[i].text), &version);

        if (got != cases[i].want || version != cases[i].version)
            fail_msg("%s: result %d, version %d", cases[i].text, got, (int)version);
    }
}

static void assert_text(struct byte_buf *b, const char *want)
{
    byte_buf_putc(b, '\0');
    assert_string_equal(b->data, want);
    byte_buf_free(b);
}

static void test_answers(void **state)
{
    struct byte_buf b = {0};

    (void)state;
    negotiate_write(&b, 1, SLICE_LIT("ID"), SLICE_LIT("TOKEN"));
    assert_text(&b, "{\"negotiateVersion\":1,\"connectionId\":\"ID\",\"connectionToken\":\"TOKEN\","
                    "\"availableTransports\":[{\"transport\":\"WebSockets\","
                    "\"transferFormats\":[\"Text\"]}]}");
    negotiate_write(&b, 0, SLICE_LIT("ID"), SLICE_LIT("ID"));
    assert_text(&b, "{\"negotiateVersion\":0,\"connectionId\":\"ID\","
                    "\"availableTransports\":[{\"transport\":\"WebSockets\","
                    "\"transferFormats\":[\"Text\"]}]}");
    negotiate_write_error(&b, NEGOTIATE_NOT_INTEGER, 0);
    assert_text(&b, "{\"error\":\"The client requested a non-integer protocol version.\"}");
    negotiate_write_error(&b, NEGOTIATE_TOO_LOW, -3);
    assert_text(&b, "{\"error\":\"The client requested version '-3', but the server does not "
                    "support this version.\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_versions),
        cmocka_unit_test(test_answers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
