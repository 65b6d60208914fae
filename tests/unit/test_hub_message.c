#include "signalr/protocol/hub_message.h"
#include "signalr/protocol/ws_header.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* cmocka wants those above first */
#include <cmocka.h>

/* Short messages only: a two-byte header, the text, the separator. */
static void assert_message(struct hub_buf *b, const char *want)
{
    size_t len;
    const uint8_t *bytes = hub_buf_bytes(b, &len);

    assert_in_range(len, 3, 127);
    assert_int_equal(bytes[0], 0x81);
    assert_int_equal(bytes[1], len - 2);
    assert_int_equal(bytes[len - 1], 0x1e);
    if (!slice_eq((struct slice){(const char *)bytes + 2, len - 3}, slice_of(want)))
        fail_msg("got %.*s, want %s", (int)len - 3, bytes + 2, want);
    hub_buf_unref(b);
}

static void test_messages(void **state)
{
    const struct slice none = {0};
    const struct slice parts[] = {SLICE_LIT("{\"msg\":"), SLICE_LIT("1.10"), SLICE_LIT("}")};

    (void)state;
    assert_message(hub_message_invocation(SLICE_LIT("Message"), SLICE_LIT("\"hi\",2")),
                   "{\"type\":1,\"target\":\"Message\",\"arguments\":[\"hi\",2]}");
    assert_message(hub_message_invocation(SLICE_LIT("a"), none),
                   "{\"type\":1,\"target\":\"a\",\"arguments\":[]}");
    assert_message(hub_message_invocation_parts(SLICE_LIT("a\"\xc3\xa9\n"), parts, 3),
                   "{\"type\":1,\"target\":\"a\\\"\xc3\xa9\\n\",\"arguments\":[{\"msg\":1.10}]}");
    assert_message(hub_message_stream_item(SLICE_LIT("a\"b"), SLICE_LIT("{\"x\":1.0}")),
                   "{\"type\":2,\"invocationId\":\"a\\\"b\",\"item\":{\"x\":1.0}}");
    assert_message(hub_message_stream_end(SLICE_LIT("7")), "{\"type\":3,\"invocationId\":\"7\"}");
    assert_message(hub_message_completion(SLICE_LIT("0"), none, none),
                   "{\"type\":3,\"invocationId\":\"0\",\"result\":null}");
    assert_message(hub_message_completion(SLICE_LIT("a\\b"), SLICE_LIT("[1]"), none),
                   "{\"type\":3,\"invocationId\":\"a\\\\b\",\"result\":[1]}");
    assert_message(hub_message_completion(SLICE_LIT("0"), SLICE_LIT("1"), SLICE_LIT("no 'x'\n")),
                   "{\"type\":3,\"invocationId\":\"0\",\"error\":\"no 'x'\\n\"}");
    assert_message(hub_message_ping(), "{\"type\":6}");
    assert_message(hub_message_close(none, false), "{\"type\":7}");
    assert_message(hub_message_close(none, true), "{\"type\":7,\"allowReconnect\":true}");
    assert_message(hub_message_close(SLICE_LIT("e\""), false), "{\"type\":7,\"error\":\"e\\\"\"}");
    assert_message(hub_message_close(SLICE_LIT("e"), true),
                   "{\"type\":7,\"error\":\"e\",\"allowReconnect\":true}");
    assert_message(hub_message_handshake(none), "{}");
    assert_message(hub_message_handshake(SLICE_LIT("The protocol 'x' is not supported.")),
                   "{\"error\":\"The protocol 'x' is not supported.\"}");
}

/* The frame's own length field tells the payload's length on both sides of its two borders. */
static void test_frame_lengths(void **state)
{
    static const size_t lens[] = {0, 125 - 40, 125 - 38, 125 - 36, 400, 65535 - 37, 70000};

    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        char *args = malloc(lens[i] + 1);
        struct hub_buf *b;
        size_t len, payload, header;
        const uint8_t *p;

        memset(args, '1', lens[i] + 1);
        b = hub_message_invocation(SLICE_LIT("m"), (struct slice){args, lens[i]});
        p = hub_buf_bytes(b, &len);
        header = p[1] < 126 ? 2 : p[1] == 126 ? 4 : 10;
        payload = header == 2 ? p[1] : 0;
        for (size_t at = 2; at < header; at++)
            payload = payload << 8 | p[at];
        assert_int_equal(payload, len - header);
        assert_int_equal(header, ws_header_len(payload));
        assert_int_equal(p[len - 1], 0x1e);
        hub_buf_unref(b);
        free(args);
    }
}

static void test_ws_header(void **state)
{
    static const struct {
        size_t payload;
        size_t len;
        uint8_t bytes[10];
    } rows[] = {
        {0, 2, {0x81, 0}},
        {125, 2, {0x81, 125}},
        {126, 4, {0x81, 126, 0, 126}},
        {65535, 4, {0x81, 126, 0xff, 0xff}},
        {65536, 10, {0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint8_t out[WS_HEADER_MAX];

        assert_int_equal(ws_header_write(out, WS_OPCODE_TEXT, rows[i].payload), rows[i].len);
        assert_memory_equal(out, rows[i].bytes, rows[i].len);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_frame_lengths),
        cmocka_unit_test(test_ws_header),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
