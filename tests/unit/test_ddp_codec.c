#include "base/byte_buf.h"
#include "rocketchat/ddp_codec.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void check(const char *what, struct slice got, const char *want)
{
    if (want == NULL ? got.ptr == NULL : got.ptr != NULL && slice_eq(got, slice_of(want)))
        return;
    print_error("%s: got <%.*s>, want <%s>\n", what, (int)got.len, got.ptr == NULL ? "" : got.ptr,
                want == NULL ? "nothing" : want);
    fail();
}

/* NULL: not there. */
static const struct frame_case {
    const char *text;
    enum ddp_msg msg;
    const char *id, *session, *collection, *subs, *fields, *result, *error, *event_name, *args;
} frames[] = {
    {.text = "{\"msg\":\"connected\",\"session\":\"tvJ4KxQqH2wLm8PzR\"}",
     .msg = DDP_CONNECTED,
     .session = "tvJ4KxQqH2wLm8PzR"},
    {.text = "{\"session\":\"s\",\"msg\":\"connected\"}", .msg = DDP_CONNECTED, .session = "s"},
    {.text = "{\"msg\":\"failed\",\"version\":\"1\"}", .msg = DDP_FAILED},
    {.text = "{\"msg\":\"ping\"}", .msg = DDP_PING},
    {.text = "{\"msg\":\"ping\",\"id\":\"a\\\"b\"}", .msg = DDP_PING, .id = "a\\\"b"},
    {.text = "{\"msg\":\"pong\",\"id\":\"1\"}", .id = "1"},
    /* what comes before connected, old and new, and other things to ignore */
    {.text = "{\"server_id\":\"0\"}"},
    {.text = "{\"msg\":\"server_id\",\"server_id\":\"0\"}"},
    {.text = "{\"msg\":\"error\",\"reason\":\"Bad request\",\"offendingMessage\":{\"msg\":\"x\"}}"},
    {.text = "{\"msg\":\"updated\",\"methods\":[\"7\"]}"},
    {.text = "{\"msg\":\"addedBefore\",\"collection\":\"c\",\"id\":\"1\"}",
     .collection = "c",
     .id = "1"},
    {.text = "{\"msg\":7,\"id\":7,\"subs\":{},\"fields\":[],\"collection\":null,\"session\":true}"},
    {.text = " { } "},
    {.text = "{\"msg\":\"result\",\"id\":\"7\",\"result\":{\"id\":\"u9\",\"token\":\"t\"}}",
     .msg = DDP_RESULT,
     .id = "7",
     .result = "{\"id\":\"u9\",\"token\":\"t\"}"},
    {.text = "{\"msg\":\"result\",\"id\":\"7\"}", .msg = DDP_RESULT, .id = "7"},
    {.text = "{\"result\": null , \"id\":\"7\",\"msg\":\"result\"}",
     .msg = DDP_RESULT,
     .id = "7",
     .result = "null"},
    {.text = "{\"error\": null ,\"msg\":\"result\",\"id\":\"7\",\"result\":[]}",
     .msg = DDP_RESULT,
     .id = "7",
     .result = "[]"},
    {.text = "{\"error\":{\"error\":403},\"msg\":\"result\",\"id\":\"7\"}",
     .msg = DDP_RESULT,
     .id = "7",
     .error = "{\"error\":403}"},
    {.text = "{\"msg\":\"ready\",\"subs\":[\"1\",\"2\"]}",
     .msg = DDP_READY,
     .subs = "[\"1\",\"2\"]"},
    {.text = "{\"msg\":\"nosub\",\"id\":\"s3\",\"error\":{\"error\":\"not-allowed\"}}",
     .msg = DDP_NOSUB,
     .id = "s3",
     .error = "{\"error\":\"not-allowed\"}"},
    {.text = "{\"msg\":\"added\",\"collection\":\"users\",\"id\":\"u9\",\"fields\":{\"username\":"
             "\"ana\"}}",
     .msg = DDP_ADDED,
     .collection = "users",
     .id = "u9",
     .fields = "{\"username\":\"ana\"}"},
    {.text = "{\"msg\":\"removed\",\"collection\":\"users\",\"id\":\"u9\"}",
     .msg = DDP_REMOVED,
     .collection = "users",
     .id = "u9"},
    {.text = "{\"msg\":\"changed\",\"collection\":\"stream-notify-user\",\"id\":\"id\",\"fields\":"
             "{\"eventName\":\"u9/x\",\"args\":[1, {\"a\":[]}]}}",
     .msg = DDP_CHANGED,
     .collection = "stream-notify-user",
     .id = "id",
     .fields = "{\"eventName\":\"u9/x\",\"args\":[1, {\"a\":[]}]}",
     .event_name = "u9/x",
     .args = "[1, {\"a\":[]}]"},
    /* members in another order, keys and msg escaped, white space */
    {.text = "{ \"fi\\u0065lds\" : { \"args\" : [ ] , \"x\":0, \"\\u0065ventName\":\"e\" } , "
             "\"id\":\"id\",\"collection\":\"c\",\"m\\u0073g\":\"ch\\u0061nged\"}",
     .msg = DDP_CHANGED,
     .collection = "c",
     .id = "id",
     .fields = "{ \"args\" : [ ] , \"x\":0, \"\\u0065ventName\":\"e\" }",
     .event_name = "e",
     .args = "[ ]"},
    {.text =
         "{\"msg\":\"changed\",\"collection\":\"c\",\"fields\":{\"eventName\":\"e\",\"args\":{}}}",
     .msg = DDP_CHANGED,
     .collection = "c",
     .fields = "{\"eventName\":\"e\",\"args\":{}}",
     .event_name = "e"},
};

static void test_frames(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        const struct frame_case *c = &frames[i];
        struct ddp_frame f;

        if (!ddp_frame_parse(slice_of(c->text), &f))
            fail_msg("refused: %s", c->text);
        if (f.msg != c->msg)
            fail_msg("msg %d: %s", f.msg, c->text);
        check(c->text, f.id, c->id);
        check(c->text, f.session, c->session);
        check(c->text, f.collection, c->collection);
        check(c->text, f.subs, c->subs);
        check(c->text, f.fields, c->fields);
        check(c->text, f.result, c->result);
        check(c->text, f.error, c->error);
        check(c->text, f.event_name, c->event_name);
        check(c->text, f.args, c->args == NULL ? "[]" : c->args);
    }
}

/* Cut anywhere, a frame is no frame; and nothing is read past the cut (ASan watches). */
static void test_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
        size_t len = strlen(frames[i].text);

        while (len > 0 && frames[i].text[len - 1] == ' ')
            len--;
        for (size_t cut = 0; cut < len; cut++) {
            char *part = malloc(cut + 1);
            struct ddp_frame f;

            assert_non_null(part);
            memcpy(part, frames[i].text, cut);
            assert_false(ddp_frame_parse((struct slice){part, cut}, &f));
            free(part);
        }
    }
}

static void test_no_frame(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "\"msg\"",
        "null",
        "o",                                 /* SockJS */
        "a[\"{\\\"msg\\\":\\\"ping\\\"}\"]", /* SockJS */
        "{\"msg\":\"ping\"}{\"msg\":\"ping\"}",
        "{\"msg\":\"ping\",}",
        "{\"msg\":\"p\x01ng\"}",
        "{\"msg\":\"\xc3(\"}",          /* bad UTF-8 */
        "{\"msg\":\"\xed\xa0\x80\"}",   /* surrogate as UTF-8 */
        "{\"x\":\"\xf4\x90\x80\x80\"}", /* past U+10FFFF */
        "{\"msg\":\"ping\",\"id\":01}",
    };
    struct ddp_frame f;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (ddp_frame_parse(slice_of(bad[i]), &f))
            fail_msg("taken: %s", bad[i]);
}

static void test_depth(void **state)
{
    struct byte_buf b = {0};
    struct ddp_frame f;

    (void)state;
    byte_buf_puts(&b, "{\"msg\":\"ping\",\"x\":");
    for (int i = 0; i < 100000; i++)
        byte_buf_putc(&b, '[');
    assert_false(ddp_frame_parse(byte_buf_slice(&b), &f));
    byte_buf_free(&b);
}

static void test_ids(void **state)
{
    static const struct {
        const char *raw;
        uint32_t id; /* 0: not ours */
    } cases[] = {
        {"1", 1},
        {"4294967295", UINT32_MAX},
        {"1\\u0032", 12},
        {"4294967296", 0},
        {"99999999999999999999", 0},
        {"0", 0},
        {"07", 0},
        {"", 0},
        {"-1", 0},
        {"1 ", 0},
        {"s1", 0},
        {"\\ud800", 0},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint32_t id = 0;

        assert_int_equal(ddp_id_parse(slice_of(cases[i].raw), &id), cases[i].id != 0);
        assert_int_equal(id, cases[i].id);
    }
}

static void expect(struct byte_buf *b, const char *want)
{
    struct ddp_frame f;

    assert_false(byte_buf_failed(b));
    check("written", byte_buf_slice(b), want);
    assert_true(ddp_frame_parse(byte_buf_slice(b), &f)); /* is JSON */
    byte_buf_clear(b);
}

static void test_writers(void **state)
{
    struct byte_buf b = {0};

    (void)state;
    ddp_write_connect(&b);
    expect(&b, "{\"msg\":\"connect\",\"version\":\"1\",\"support\":[\"1\"]}");
    ddp_write_ping(&b);
    expect(&b, "{\"msg\":\"ping\"}");
    ddp_write_pong(&b, (struct slice){0});
    expect(&b, "{\"msg\":\"pong\"}");
    ddp_write_pong(&b, SLICE_LIT(""));
    expect(&b, "{\"msg\":\"pong\",\"id\":\"\"}");
    ddp_write_pong(&b, SLICE_LIT("a\\\"b"));
    expect(&b, "{\"msg\":\"pong\",\"id\":\"a\\\"b\"}");
    ddp_write_method(&b, 7, "login", SLICE_LIT("[{\"resume\":\"t\"}]"));
    expect(
        &b,
        "{\"msg\":\"method\",\"id\":\"7\",\"method\":\"login\",\"params\":[{\"resume\":\"t\"}]}");
    ddp_write_sub(&b, UINT32_MAX, "stream-notify-user", SLICE_LIT("[\"u9/message\",false]"));
    expect(&b, "{\"msg\":\"sub\",\"id\":\"4294967295\",\"name\":\"stream-notify-user\","
               "\"params\":[\"u9/message\",false]}");
    ddp_write_unsub(&b, 3);
    expect(&b, "{\"msg\":\"unsub\",\"id\":\"3\"}");
    byte_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames),   cmocka_unit_test(test_every_cut),
        cmocka_unit_test(test_no_frame), cmocka_unit_test(test_depth),
        cmocka_unit_test(test_ids),      cmocka_unit_test(test_writers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
