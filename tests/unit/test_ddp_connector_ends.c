/* Every way in which a connection ends, by the server or by what it sends, and how it is reported.
 */
#include "ddp_script.h"

struct ending {
    const char *name;
    void (*script)(struct wsd_conn *c);
    enum ddp_end how;
    unsigned code;
    const char *detail;
};

static void says_failed(struct wsd_conn *c)
{
    if (wsd_upgrade(c, "") && wsd_text(c, "{\"msg\":\"failed\",\"version\":\"1\"}"))
        wsd_close(c, 1000, "Normal closure");
    wsd_drain(c);
}

static void closes_before(struct wsd_conn *c)
{
    if (wsd_upgrade(c, "") && wsd_close(c, 1002, "CLOSE_PROTOCOL_ERROR"))
        wsd_drain(c);
}

static void closes_1000(struct wsd_conn *c)
{
    if (greet(c) && wsd_close(c, 1000, "Normal closure"))
        wsd_drain(c);
    want(c->closed == 1000, "the answer to a close frame");
}

static void closes_4000(struct wsd_conn *c)
{
    if (greet(c) && wsd_close(c, 4000, "TIME\nOUT"))
        wsd_drain(c);
}

static void closes_empty(struct wsd_conn *c)
{
    if (greet(c) && wsd_frame(c, 0x88, NULL, 0))
        wsd_drain(c);
}

static void closes_1013(struct wsd_conn *c)
{
    if (greet(c) && wsd_close(c, 1013, "SLOW_CONSUMER"))
        wsd_drain(c);
}

static void ends_tcp(struct wsd_conn *c)
{
    greet(c);
}

static void resets_tcp(struct wsd_conn *c)
{
    greet(c);
    usleep(100 * 1000); /* a reset overtakes what is not read yet */
    wsd_reset(c);
}

static void sends_nonsense(struct wsd_conn *c)
{
    if (greet(c) && wsd_text(c, "a[\"{}\"]"))
        wsd_drain(c);
    want(c->closed == 1007, "close 1007");
}

static void sends_bad_utf8(struct wsd_conn *c)
{
    if (greet(c) && wsd_text(c, "{\"msg\":\"x\xc3(\"}"))
        wsd_drain(c);
    want(c->closed == 1007, "close 1007");
}

static void sends_empty(struct wsd_conn *c)
{
    if (greet(c) && wsd_text(c, ""))
        wsd_drain(c);
    want(c->closed == 1007, "close 1007");
}

static void sends_binary(struct wsd_conn *c)
{
    if (greet(c) && wsd_frame(c, 0x82, "{}", 2))
        wsd_drain(c);
    want(c->closed == 1003, "close 1003");
}

static void announces_giant(struct wsd_conn *c)
{
    static const unsigned char head[] = {0x81, 127, 0, 0, 0, 0, 0x10, 0, 0, 0, '{'};
    char rest[2048];

    if (!greet(c) || !wsd_write(c, head, sizeof head))
        return;
    memset(rest, ' ', sizeof rest);
    wsd_write(c, rest, sizeof rest);
    wsd_drain(c);
    want(c->closed == 1009, "close 1009");
}

static void sends_endless_fragments(struct wsd_conn *c)
{
    static char part[65536];
    bool first = true;

    if (!greet(c))
        return;
    memset(part, ' ', sizeof part);
    while (wsd_frame(c, first ? 0x01 : 0x00, part, sizeof part))
        first = false;
}

static void continues_nothing(struct wsd_conn *c)
{
    if (greet(c) && wsd_frame(c, 0x80, "{}", 2))
        wsd_drain(c);
}

static void answers(struct wsd_conn *c, const char *answer)
{
    if (wsd_read_head(c))
        wsd_puts(c, answer);
}

static void answers_502(struct wsd_conn *c)
{
    answers(
        c,
        "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 6\r\n\r\n<html>");
}

static void answers_401(struct wsd_conn *c)
{
    answers(c, "HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n");
}

static void answers_302(struct wsd_conn *c)
{
    answers(c, "HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/x\r\nContent-Length: 0\r\n\r\n");
}

static void answers_garbage(struct wsd_conn *c)
{
    answers(c, "SSH-2.0-OpenSSH_9.2\r\n\r\n");
}

static void answers_wrong_hash(struct wsd_conn *c)
{
    answers(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=\r\n\r\n");
}

static void answers_endless_head(struct wsd_conn *c)
{
    char line[1024] = "X-Filler: ";

    memset(line + 10, 'x', sizeof line - 12);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    if (!wsd_read_head(c) || !wsd_puts(c, "HTTP/1.1 101 Switching Protocols\r\n"))
        return;
    for (int i = 0; i < 1000 && wsd_write(c, line, sizeof line); i++)
        ;
}

static void accepts_an_extension(struct wsd_conn *c)
{
    if (wsd_upgrade(c, "Sec-WebSocket-Extensions: permessage-deflate\r\n"))
        wsd_drain(c);
}

static void hangs_up(struct wsd_conn *c)
{
    wsd_read_head(c);
}

static const struct ending endings[] = {
    {"failed", says_failed, DDP_END_FAILED, 1000, "no common DDP version"},
    {"closed before connected", closes_before, DDP_END_UNREACHABLE, 1002,
     "closed by the server: CLOSE_PROTOCOL_ERROR"},
    {"closed 1000", closes_1000, DDP_END_CLOSED, 1000, "closed by the server: Normal closure"},
    {"closed 4000", closes_4000, DDP_END_CLOSED, 4000, "closed by the server: TIME?OUT"},
    {"closed without a code", closes_empty, DDP_END_CLOSED, 1005, "closed by the server"},
    {"closed 1013, which libwebsockets hides", closes_1013, DDP_END_CLOSED, 1002,
     "closed by the server: SLOW_CONSUMER"},
    {"TCP end", ends_tcp, DDP_END_CLOSED, 1006, "connection lost"},
    {"TCP reset", resets_tcp, DDP_END_CLOSED, 1006, "connection lost"},
    {"no JSON", sends_nonsense, DDP_END_MALFORMED, 1007, "a frame that is not DDP"},
    {"no UTF-8", sends_bad_utf8, DDP_END_MALFORMED, 1007, "a frame that is not DDP"},
    {"empty", sends_empty, DDP_END_MALFORMED, 1007, "a frame that is not DDP"},
    {"binary", sends_binary, DDP_END_MALFORMED, 1003, "a binary frame"},
    {"giant announced", announces_giant, DDP_END_MALFORMED, 1009, "a frame that is too large"},
    {"endless fragments", sends_endless_fragments, DDP_END_MALFORMED, 1009,
     "a frame that is too large"},
    {"continuation of nothing", continues_nothing, DDP_END_CLOSED, 1006, "connection lost"},
    {"HTTP 502", answers_502, DDP_END_UNREACHABLE, 1006, "127.0.0.1: HTTP status 502"},
    {"HTTP 401", answers_401, DDP_END_UNREACHABLE, 1006, "127.0.0.1: HTTP status 401"},
    {"redirect", answers_302, DDP_END_UNREACHABLE, 1006, "127.0.0.1: HTTP status 302"},
    {"no HTTP", answers_garbage, DDP_END_UNREACHABLE, 1006, NULL},
    {"wrong hash", answers_wrong_hash, DDP_END_UNREACHABLE, 1006,
     "127.0.0.1: HS: Accept hash wrong"},
    {"endless head", answers_endless_head, DDP_END_UNREACHABLE, 1006, NULL},
    {"an extension that nobody offered", accepts_an_extension, DDP_END_UNREACHABLE, 1006,
     "127.0.0.1: HS: EXT: unknown ext"},
    {"no answer", hangs_up, DDP_END_UNREACHABLE, 1006, NULL},
};

static void test_endings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof endings / sizeof endings[0]; i++) {
        const struct ending *e = &endings[i];
        struct fixture f = start(e->script, NULL);
        struct probe p = {0};

        probe_open(&p, f.client);
        probe_until(&p.ends, 1);
        if (p.how != e->how || p.code != e->code ||
            (e->detail != NULL && strcmp(p.detail, e->detail) != 0))
            fail_msg("%s: end %d, code %u, %s", e->name, p.how, p.code, p.detail);
        if (e->detail == NULL)
            print_message("    %s: %s\n", e->name, p.detail);
        finish(&f);
    }
}

static void ends_after_calls(struct wsd_conn *c)
{
    char text[256];

    if (greet(c) && wsd_expect(c, text, sizeof text))
        wsd_expect(c, text, sizeof text);
}

/* Calls under way are answered before the end, and not after a close of ours as if it were theirs.
 */
static void test_calls_at_the_end(void **state)
{
    (void)state;
    for (int local = 0; local < 2; local++) {
        struct fixture f = start(local ? greet_and_wait : ends_after_calls, NULL);
        struct probe p = {0};

        probe_open(&p, f.client);
        probe_until(&p.connects, 1);
        assert_true(probe_call(&p, "a", "[]", 60000));
        assert_true(probe_subscribe(&p, "[]", 60000) != 0);
        if (local)
            probe_close(&p);
        probe_until(&p.ends, 1);
        assert_int_equal(p.answers, 2);
        assert_int_equal(p.error.result, local ? RC_CANCELLED : RC_UNREACHABLE);
        finish(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_calls_at_the_end),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
