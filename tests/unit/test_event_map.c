#include "base/json_slice.h"
#include "bridge/session/event_map.h"
#include "rocketchat/ddp_connector.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* The frame's payload without the record separator: small server frames have a header of two or
 * four bytes. */
static struct slice text_of(struct hub_buf *b)
{
    size_t len;
    const uint8_t *bytes = hub_buf_bytes(b, &len);
    size_t head = bytes[1] == 126 ? 4 : 2;

    assert_int_equal(bytes[0], 0x81);
    assert_int_equal(bytes[len - 1], 0x1e);
    return (struct slice){(const char *)bytes + head, len - head - 1};
}

static void check(struct hub_buf *b, const char *want)
{
    struct slice got;

    assert_non_null(b);
    got = text_of(b);
    if (!slice_eq(got, slice_of(want)))
        fail_msg("got  %.*s\nwant %s", (int)got.len, got.ptr, want);
    assert_true(json_valid(got.ptr, got.len, 64));
    hub_buf_unref(b);
}

static struct rc_event parse(const char *name, const char *args)
{
    struct ddp_event in = {.collection = SLICE_LIT("stream-notify-user"),
                           .event_name = slice_of(name),
                           .args = slice_of(args)};
    struct rc_event out;

    rc_event_parse(&in, &out);
    return out;
}

static void test_messages_keep_their_bytes(void **state)
{
    /* Numbers, escapes and spaces as Rocket.Chat wrote them. */
    static const char raw[] = "{ \"_id\":\"m1\",\"n\":1.10e2,\"msg\":\"\\u00e9 \xc3\xa9\" }";
    struct rc_message m = {.raw = {raw, sizeof raw - 1}};

    (void)state;
    check(event_map_message(&m),
          "{\"type\":1,\"target\":\"getRoomMessageNotification\",\"arguments\":[{ "
          "\"_id\":\"m1\",\"n\":1.10e2,\"msg\":\"\\u00e9 \xc3\xa9\" }]}");
    m.raw = SLICE_LIT("{}");
    check(event_map_message_update(&m, UPDATES_SEPARATE),
          "{\"type\":1,\"target\":\"getRoomMessageUpdatedNotification\",\"arguments\":[{}]}");
    check(event_map_message_update(&m, UPDATES_SAME),
          "{\"type\":1,\"target\":\"getRoomMessageNotification\",\"arguments\":[{}]}");
    check(event_map_ephemeral(&m),
          "{\"type\":1,\"target\":\"getEphemeralMessageNotification\",\"arguments\":[{}]}");
}

#define SUB(msg, method)                                                                           \
    "{\"type\":1,\"target\":\"getRoomSubscriptionChangedNotification\",\"arguments\":[{"           \
    "\"msg\":" msg ",\"method\":\"" method "\"}]}"

static void test_subscriptions(void **state)
{
    static const struct {
        const char *args, *rid;
        bool raw_methods;
        const char *want;
    } cases[] = {
        {"[\"inserted\",{\"_id\":\"s\",\"rid\":\"r\"}]", "", false,
         SUB("{\"_id\":\"s\",\"rid\":\"r\"}", "insert")},
        {"[\"insert\",{\"rid\":\"r\"}]", "", false, SUB("{\"rid\":\"r\"}", "insert")},
        {"[\"updated\",{\"rid\":\"r\"}]", "", false, SUB("{\"rid\":\"r\"}", "update")},
        {"[\"removed\",{\"_id\":\"s\",\"rid\":\"r\"}]", "other", false,
         SUB("{\"_id\":\"s\",\"rid\":\"r\"}", "remove")},
        {"[\"removed\",{\"_id\":\"s\"}]", "r", false,
         SUB("{\"rid\":\"r\",\"_id\":\"s\"}", "remove")},
        {"[\"removed\",{ \"_id\":\"s\" }]", "r", false,
         SUB("{\"rid\":\"r\", \"_id\":\"s\" }", "remove")},
        {"[\"removed\",{}]", "r", false, SUB("{\"rid\":\"r\"}", "remove")},
        {"[\"removed\",{ \n}]", "r", false, SUB("{\"rid\":\"r\" \n}", "remove")},
        {"[\"removed\",{\"_id\":\"s\"}]", "", false, SUB("{\"_id\":\"s\"}", "remove")},
        {"[\"inserted\",{}]", "r", false, SUB("{}", "insert")},
        {"[\"inserted\",{}]", "", true, SUB("{}", "inserted")},
        {"[\"removed\",{\"_id\":\"s\"}]", "r", true,
         SUB("{\"rid\":\"r\",\"_id\":\"s\"}", "removed")},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_event e = parse("u9/subscriptions-changed", cases[i].args);
        assert_int_equal(e.kind, RC_EVENT_SUBSCRIPTION);
        check(event_map_subscription(&e, slice_of(cases[i].rid), cases[i].raw_methods),
              cases[i].want);
    }
}

static void test_status_and_resync(void **state)
{
    (void)state;
    check(event_map_status("backoff", "unreachable", 1),
          "{\"type\":1,\"target\":\"bridgeStatus\",\"arguments\":[{\"state\":\"backoff\",\"code\":"
          "\"unreachable\",\"retryAfter\":1}]}");
    check(event_map_status("refused", "totp-required", 60001),
          "{\"type\":1,\"target\":\"bridgeStatus\",\"arguments\":[{\"state\":\"refused\",\"code\":"
          "\"totp-required\",\"retryAfter\":61}]}");
    check(event_map_status("live", "", 0),
          "{\"type\":1,\"target\":\"bridgeStatus\",\"arguments\":[{\"state\":\"live\",\"code\":"
          "null,\"retryAfter\":null}]}");
    check(event_map_resync((struct slice){0}, "overload"),
          "{\"type\":1,\"target\":\"resyncRequired\",\"arguments\":[{\"rid\":null,\"reason\":"
          "\"overload\"}]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_messages_keep_their_bytes),
        cmocka_unit_test(test_subscriptions),
        cmocka_unit_test(test_status_and_resync),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
