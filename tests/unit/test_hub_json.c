#include "signalr/protocol/hub_json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* cmocka wants the three above first */
#include <cmocka.h>

static const struct {
    const char *in;
    enum hub_message_type type;
    const char *id, *target, *arguments; /* NULL: absent */
    size_t stream_ids;
} good[] = {
    /* as @microsoft/signalr 10 and 5.0 send them (signalr.md 4.1) */
    {"{\"target\":\"Echo\",\"arguments\":[\"x\"],\"invocationId\":\"0\",\"type\":1}",
     HUB_INVOCATION, "0", "Echo", "[\"x\"]", 0},
    {"{\"arguments\":[\"x\"],\"invocationId\":\"0\",\"target\":\"Echo\",\"type\":1}",
     HUB_INVOCATION, "0", "Echo", "[\"x\"]", 0},
    {"{\"arguments\":[],\"target\":\"Send\",\"type\":1}", HUB_INVOCATION, NULL, "Send", "[]", 0},
    {"{\"type\":6}", HUB_PING, NULL, NULL, NULL, 0},
    {"{\"type\":7}", HUB_CLOSE, NULL, NULL, NULL, 0},
    {"{\"type\":7,\"error\":\"e\",\"allowReconnect\":true}", HUB_CLOSE, NULL, NULL, NULL, 0},
    {"{\"type\":1,\"invocationId\":\"\",\"target\":\"T\",\"arguments\":[1, {} ]}", HUB_INVOCATION,
     "", "T", "[1, {} ]", 0},
    {"{\"type\":1,\"headers\":{\"a\":\"b\"},\"target\":\"T\",\"arguments\":[],\"streamIds\":[\"1\","
     "\"2\"]}",
     HUB_INVOCATION, NULL, "T", "[]", 2},
    {"{\"type\":4,\"invocationId\":\"3\",\"target\":\"S\",\"arguments\":[1.10]}",
     HUB_STREAM_INVOCATION, "3", "S", "[1.10]", 0},
    {"{\"type\":2,\"invocationId\":\"3\",\"item\":null}", HUB_STREAM_ITEM, "3", NULL, NULL, 0},
    {"{\"item\":[{\"a\":1}],\"type\":2,\"invocationId\":\"3\"}", HUB_STREAM_ITEM, "3", NULL, NULL,
     0},
    {"{\"type\":3,\"invocationId\":\"3\"}", HUB_COMPLETION, "3", NULL, NULL, 0},
    {"{\"type\":3,\"invocationId\":\"3\",\"result\":null}", HUB_COMPLETION, "3", NULL, NULL, 0},
    {"{\"type\":3,\"invocationId\":\"3\",\"error\":\"x\"}", HUB_COMPLETION, "3", NULL, NULL, 0},
    {"{\"type\":5,\"invocationId\":\"3\"}", HUB_CANCEL_INVOCATION, "3", NULL, NULL, 0},
    {"{\"type\":8,\"sequenceId\":5}", HUB_ACK, NULL, NULL, NULL, 0},
    {"{\"type\":9,\"sequenceId\":-1}", HUB_SEQUENCE, NULL, NULL, NULL, 0},
    {"{\"type\":10}", HUB_UNKNOWN, NULL, NULL, NULL, 0},
    {"{\"type\":0}", HUB_UNKNOWN, NULL, NULL, NULL, 0},
    {"{\"type\":-6,\"target\":\"T\"}", HUB_UNKNOWN, NULL, "T", NULL, 0},
    {" {\"later\":[[[]],{\"type\":1}],\"ty\\u0070e\":6 } ", HUB_PING, NULL, NULL, NULL, 0},
    {"{\"type\":1,\"type\":6}", HUB_PING, NULL, NULL, NULL, 0},
    {"{\"type\":1,\"target\":\"A\",\"target\":\"B\",\"arguments\":[1],\"arguments\":[2]}",
     HUB_INVOCATION, NULL, "B", "[2]", 0},
};

static const char *bad[] = {
    "",
    "1",
    "null",
    "[]",
    "{}",
    "{\"type\":6",
    "{\"type\":6}}",
    "{\"type\":6,}",
    "{\"type\":6}//",
    "{'type':6}",
    "{\"type\":null}",
    "{\"type\":\"6\"}",
    "{\"type\":6.5}",
    "{\"type\":6e0}",
    "{\"type\":4294967302}", /* 6 in its low 32 bits */
    "{\"type\":-99999999999999999999}",
    "{\"type\":1,\"target\":\"T\"}",
    "{\"type\":1,\"arguments\":[]}",
    "{\"type\":1,\"target\":\"\",\"arguments\":[]}",
    "{\"type\":1,\"target\":1,\"arguments\":[]}",
    "{\"type\":1,\"target\":null,\"arguments\":[]}",
    "{\"type\":1,\"target\":\"T\",\"arguments\":{}}",
    "{\"type\":1,\"target\":\"T\",\"arguments\":null}",
    "{\"type\":1,\"target\":\"T\",\"arguments\":[],\"invocationId\":1}",
    "{\"type\":1,\"target\":\"T\",\"arguments\":[],\"invocationId\":null}",
    "{\"type\":1,\"target\":\"T\",\"arguments\":[],\"streamIds\":\"1\"}",
    "{\"type\":1,\"target\":\"T\",\"arguments\":[],\"streamIds\":[1]}",
    "{\"type\":1,\"target\":\"T\",\"arguments\":[],\"headers\":[]}",
    "{\"type\":1,\"target\":\"T\",\"arguments\":[],\"headers\":{\"a\":1}}",
    "{\"type\":6,\"headers\":null}",
    "{\"type\":2,\"invocationId\":\"1\"}",
    "{\"type\":2,\"item\":1}",
    "{\"type\":2,\"invocationId\":\"\",\"item\":1}",
    "{\"type\":3}",
    "{\"type\":3,\"invocationId\":\"1\",\"error\":\"e\",\"result\":null}",
    "{\"type\":3,\"invocationId\":\"1\",\"error\":null}",
    "{\"type\":4,\"target\":\"T\",\"arguments\":[]}",
    "{\"type\":4,\"invocationId\":\"1\",\"arguments\":[]}",
    "{\"type\":5}",
    "{\"type\":7,\"allowReconnect\":1}",
    "{\"type\":7,\"error\":{}}",
    "{\"type\":8}",
    "{\"type\":9,\"sequenceId\":\"1\"}",
    "{\"type\":6,\"x\":\"\xff\"}",
    "{\"type\":6,\"x\":01}",
    "{\"type\":6}\0",
};

static void assert_slice(const char *in, const char *what, struct slice got, const char *want)
{
    if ((got.ptr == NULL) != (want == NULL) || !slice_eq(got, slice_of(want)))
        fail_msg("%s: %s is '%.*s'", in, what, (int)got.len, got.ptr == NULL ? "" : got.ptr);
}

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct hub_json_message m;
        const char *in = good[i].in;

        if (!hub_json_parse(slice_of(in), &m))
            fail_msg("%s: refused", in);
        if (m.type != good[i].type || m.stream_ids != good[i].stream_ids)
            fail_msg("%s: type %d, %zu stream ids", in, m.type, m.stream_ids);
        assert_slice(in, "id", m.invocation_id, good[i].id);
        assert_slice(in, "target", m.target, good[i].target);
        assert_slice(in, "arguments", m.arguments, good[i].arguments);
    }
}

static void test_values(void **state)
{
    struct hub_json_message m;

    (void)state;
    assert_true(hub_json_parse(SLICE_LIT("{\"item\":{\"a\": 1e2},\"invocationId\":\"i\\u0064\","
                                         "\"type\":2}"),
                               &m));
    assert_slice("", "item", m.item, "{\"a\": 1e2}");
    assert_slice("", "id", m.invocation_id, "i\\u0064");
    assert_true(
        hub_json_parse(SLICE_LIT("{\"allowReconnect\":true,\"type\":7,\"error\":\"a\\nb\"}"), &m));
    assert_true(m.allow_reconnect);
    assert_slice("", "error", m.error, "a\\nb");
    assert_true(hub_json_parse(SLICE_LIT("{\"sequenceId\":9007199254740993,\"type\":8}"), &m));
    assert_int_equal(m.sequence_id, 9007199254740993);
    assert_true(hub_json_parse(SLICE_LIT("{\"type\":3,\"result\":[],\"invocationId\":\"1\"}"), &m));
    assert_slice("", "result", m.result, "[]");
}

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hub_json_message m;

        /* the last row has a NUL behind the object */
        size_t len = i == sizeof bad / sizeof bad[0] - 1 ? strlen(bad[i]) + 1 : strlen(bad[i]);

        if (hub_json_parse((struct slice){bad[i], len}, &m))
            fail_msg("%s: accepted", bad[i]);
    }
}

static void test_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        struct slice whole = slice_of(good[i].in);
        struct hub_json_message m;

        while (whole.ptr[whole.len - 1] == ' ')
            whole.len--;
        for (size_t len = 0; len < whole.len; len++)
            assert_false(hub_json_parse((struct slice){whole.ptr, len}, &m));
    }
}

static void test_depth(void **state)
{
    char in[512];
    struct hub_json_message m;

    (void)state;
    for (unsigned depth = 60; depth < 70; depth++) {
        size_t n = (size_t)sprintf(in, "{\"type\":6,\"x\":");

        /* the message's own object is one level */
        memset(in + n, '[', depth - 1);
        memset(in + n + depth - 1, ']', depth - 1);
        n += 2 * (depth - 1);
        in[n++] = '}';
        assert_int_equal(hub_json_parse((struct slice){in, n}, &m), depth <= HUB_JSON_MAX_DEPTH);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),      cmocka_unit_test(test_values), cmocka_unit_test(test_bad),
        cmocka_unit_test(test_every_cut), cmocka_unit_test(test_depth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
