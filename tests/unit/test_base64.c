#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"

/* RFC 4648 section 10, and the letters that differ. */
static const struct {
    const char *bytes, *std, *url;
} vectors[] = {
    {"", "", ""},
    {"f", "Zg==", "Zg"},
    {"fo", "Zm8=", "Zm8"},
    {"foo", "Zm9v", "Zm9v"},
    {"foob", "Zm9vYg==", "Zm9vYg"},
    {"fooba", "Zm9vYmE=", "Zm9vYmE"},
    {"foobar", "Zm9vYmFy", "Zm9vYmFy"},
    {"\xfb\xff\xfe", "+//+", "-__-"},
};

static void test_vectors(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        struct slice bytes = slice_of(vectors[i].bytes);
        char text[64];
        uint8_t out[64];
        size_t len;

        assert_int_equal(base64_encode(BASE64_STD, bytes.ptr, bytes.len, text),
                         strlen(vectors[i].std));
        assert_string_equal(text, vectors[i].std);
        assert_int_equal(base64_encode(BASE64_URL, bytes.ptr, bytes.len, text),
                         strlen(vectors[i].url));
        assert_string_equal(text, vectors[i].url);

        assert_true(base64_decode(BASE64_STD, slice_of(vectors[i].std), out, sizeof out, &len));
        assert_int_equal(len, bytes.len);
        assert_memory_equal(out, bytes.ptr, len);
        assert_true(base64_decode(BASE64_URL, slice_of(vectors[i].url), out, bytes.len, &len));
        assert_int_equal(len, bytes.len);
        if (bytes.len > 0)
            assert_false(
                base64_decode(BASE64_URL, slice_of(vectors[i].url), out, bytes.len - 1, &len));
    }
}

static void test_round_trip(void **state)
{
    uint8_t bytes[256], out[256];
    char text[BASE64_LEN(sizeof bytes) + 1];

    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 37 + 11);
    for (size_t len = 0; len <= sizeof bytes; len++)
        for (int abc = BASE64_STD; abc <= BASE64_URL; abc++) {
            size_t n = base64_encode((enum base64_alphabet)abc, bytes, len, text), back;

            assert_true(n <= BASE64_LEN(len));
            assert_true(base64_decode((enum base64_alphabet)abc, (struct slice){text, n}, out,
                                      sizeof out, &back));
            assert_int_equal(back, len);
            assert_memory_equal(out, bytes, len);
        }
}

static void test_refused(void **state)
{
    static const char *const bad[] = {
        "Z",        "Zg=",      "Z===",   "=",      "==",    "====",  "Zg===",
        "Zm9vY",    "Zh",       "Zm9",    "Zh==",   "Zg ==", " Zg==", "Zg==\n",
        "Zm9v\nYg", "Zg==Zg==", "Z\xc3g", "Zm9v!m", "Zm9v=", "Zm=v",
    };
    uint8_t out[64];
    size_t len;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (base64_decode(BASE64_STD, slice_of(bad[i]), out, sizeof out, &len))
            fail_msg("accepted: %s", bad[i]);
        if (base64_decode(BASE64_URL, slice_of(bad[i]), out, sizeof out, &len))
            fail_msg("accepted (url): %s", bad[i]);
    }
    /* Each alphabet refuses the other's letters. */
    assert_false(base64_decode(BASE64_STD, SLICE_LIT("-__-"), out, sizeof out, &len));
    assert_false(base64_decode(BASE64_URL, SLICE_LIT("+//+"), out, sizeof out, &len));
    assert_false(base64_decode(BASE64_URL, (struct slice){"Zg\0=", 4}, out, sizeof out, &len));
    /* Padding is optional with both. */
    assert_true(base64_decode(BASE64_STD, SLICE_LIT("Zg"), out, sizeof out, &len));
    assert_true(base64_decode(BASE64_URL, SLICE_LIT("Zg=="), out, sizeof out, &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
