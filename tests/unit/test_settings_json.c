#include "bridge/settings/settings_json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_blank(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{}", "{}"},
        {"{} // x", "{}     "},
        {"{ // x\n}", "{     \n}"},
        {"{ // x\r\n}", "{     \r\n}"},
        {"{/*a\n b*/}", "{   \n    }"},
        {"{/**/}", "{    }"},
        {"{/***/}", "{     }"},
        {"[1,]", "[1 ]"},
        {"[1, ]", "[1  ]"},
        {"[1,/*x*/]", "[1      ]"},
        {"{\"a\":1,\n}", "{\"a\":1 \n}"},
        {"[\"a\",]", "[\"a\" ]"},
        {"[[],]", "[[] ]"},
        /* A comma without a value before it stays, for the parser to refuse. */
        {"[,]", "[,]"},
        {"{,}", "{,}"},
        {"[1,,]", "[1,,]"},
        {"{\"a\":,}", "{\"a\":,}"},
        /* Strings are left alone. */
        {"\"//\"", "\"//\""},
        {"\"/* ,]\"", "\"/* ,]\""},
        {"\"\\\"//\"", "\"\\\"//\""},
        {"\"a\\\\\"//b", "\"a\\\\\"   "},
        {"\"http://x\",", "\"http://x\","},
        {"\"open // x", "\"open // x"},
        {"\"\\", "\"\\"},
        {"/", "/"},
        {"1/2", "1/2"},
        {"//", "  "},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].in);
        char *text = strdup(cases[i].in);

        assert_int_equal(settings_json_blank(text, len), 0);
        assert_string_equal(text, cases[i].out);
        free(text);
    }
}

static void test_comment_without_end(void **state)
{
    char text[] = "{\n\n/* x\n*";
    char slash_star_slash[] = "/*/";

    (void)state;
    assert_int_equal(settings_json_blank(text, sizeof text - 1), 3);
    assert_int_equal(settings_json_blank(slash_star_slash, 3), 1);
}

/* "key=value\n" of all entries in order; the caller frees. */
static char *flatten(const char *json, struct byte_buf *errors)
{
    struct settings_map map = {.entries = NULL};
    struct byte_buf out = {0};

    settings_json_read("f", json, strlen(json), &map, errors);
    for (size_t i = 0; i < map.count; i++)
        byte_buf_printf(&out, "%s=%s/%d\n", map.entries[i].key, map.entries[i].value,
                        (int)map.entries[i].kind);
    settings_map_free(&map);
    byte_buf_putc(&out, '\0');
    return out.data;
}

static void test_flatten(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"{}", ""},
        {"\xef\xbb\xbf{\"Urls\":\"x\"}", "Urls=x/0\n"},
        {"{\"PushBridge\":{\"Hub\":{\"KeepAliveSeconds\":0.5}}}",
         "PushBridge:Hub:KeepAliveSeconds=0.500000/2\n"},
        {"{\"pushbridge:hubpath\":\"/x\"}", "pushbridge:hubpath=/x/0\n"},
        {"{\"Im\":{\"TlsVerify\":false,\"Proxy\":null,\"AdminPassword\":1}}",
         "Im:TlsVerify=false/3\nIm:AdminPassword=1/1\n"},
        {"{\"PushBridge\":{\"TrustedProxies\":[\"a\",\"b\"],\"ReservedUserNames\":[]}}",
         "PushBridge:TrustedProxies:0=a/0\nPushBridge:TrustedProxies:1=b/0\n"
         "PushBridge:ReservedUserNames=/4\n"},
        {"{\"Logging\":{\"LogLevel\":{\"Default\":\"Warn\"}},\"App\":{\"ServerRootAddress\":\"x\","
         "\"CorsOrigins\":\"o\"},\"Authentication\":{\"Google\":{\"x\":1},\"JwtBearer\":{"
         "\"Issuer\":\"i\"}}}",
         "App:CorsOrigins=o/0\nAuthentication:JwtBearer:Issuer=i/0\n"},
        {"{\"Authentication\":1,\"App\":[]}", ""},
        {"{\"PushBridge\":3}", "PushBridge=3/1\n"},
        {"{\"PushBridge\":{\"Shards\":1e300}}", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct byte_buf errors = {0};
        char *out = flatten(cases[i].in, &errors);

        assert_int_equal(errors.len, 0);
        if (cases[i].out != NULL)
            assert_string_equal(out, cases[i].out);
        free(out);
    }
}

static void test_errors(void **state)
{
    static const struct {
        const char *in, *error;
    } cases[] = {
        {"", "f: line 1"},
        {"[]", "f: must be one JSON object"},
        {"{\n\n\"Im\": hunter2 }", "f: line 3"},
        {"{\n\"Im\": \"hunter2\" \"hunter2\"}", "f: line 2"},
        {"{\"a\":1,\"a\":2}", "f: line 1"},
        {"{} x", "f: line 1"},
        {"{\"Im\":\"\\u0000\"}", "f: line 1"},
        {"{\"Im\":\"\xff\"}", "f: line 1"},
        {"{\"Im\":99999999999999999999}", "f: line 1"},
        {"{\n/* hunter2", "f: line 2: the comment never ends"},
        {"{\"Im\":{\"Proxy\":\"hunter2\",\"proxy\":\"b\"}}", "f: Im:proxy is given twice"},
        {"{\"Im\":{\"\\u001b[31m\\n\":1,\"\\u001B[31m\\n\":1}}", "f: line 1"},
        {"{\"Im\":{\"\\u001bA\":1,\"\\u001ba\":1}}", "f: Im:?a is given twice"},
        {"{\"Im\":[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]}", "is nested too deeply"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct byte_buf errors = {0};

        free(flatten(cases[i].in, &errors));
        byte_buf_putc(&errors, '\0');
        if (strstr(errors.data, cases[i].error) == NULL)
            fail_msg("%s: \"%s\" is not in \"%s\"", cases[i].in, cases[i].error, errors.data);
        assert_null(strstr(errors.data, "hunter2"));
        byte_buf_free(&errors);
    }
}

static void test_too_many(void **state)
{
    struct byte_buf json = {0}, errors = {0};

    (void)state;
    byte_buf_puts(&json, "{\"PushBridge\":{\"x\":[0");
    for (int i = 0; i < SETTINGS_MAX_ENTRIES + 10; i++)
        byte_buf_puts(&json, ",1");
    byte_buf_puts(&json, "]}}");
    byte_buf_putc(&json, '\0');
    free(flatten(json.data, &errors));
    byte_buf_putc(&errors, '\0');
    assert_string_equal(errors.data, "f: more than 4096 settings\n");
    byte_buf_free(&json);
    byte_buf_free(&errors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blank),    cmocka_unit_test(test_comment_without_end),
        cmocka_unit_test(test_flatten),  cmocka_unit_test(test_errors),
        cmocka_unit_test(test_too_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
