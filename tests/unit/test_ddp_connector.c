/* The connector against a scripted server on the loopback: what the protocol asks of it. */
#include "ddp_probe.h"
#include "ws_double.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CONNECT "{\"msg\":\"connect\",\"version\":\"1\",\"support\":[\"1\"]}"
#define MONOLITH_ID "tvJ4KxQqH2wLm8PzR"
#define CONNECTED "{\"msg\":\"connected\",\"session\":\"" MONOLITH_ID "\"}"
#define EVENT(args)                                                                                \
    "{\"msg\":\"changed\",\"collection\":\"stream-notify-user\",\"id\":\"id\",\"fields\":"         \
    "{\"eventName\":\"u9/x\",\"args\":" args "}}"

/* What a script found wrong; the first one counts. */
static _Atomic(const char *) complaint;

static void want(bool good, const char *what)
{
    if (!good && atomic_load(&complaint) == NULL)
        atomic_store(&complaint, what);
}

static void want_text(struct wsd_conn *c, const char *text)
{
    char got[4096] = "";

    if (!wsd_expect(c, got, sizeof got) || strcmp(got, text) != 0) {
        fprintf(stderr, "server wanted %s, got %s\n", text, got);
        want(false, text);
    }
}

static bool greet(struct wsd_conn *c)
{
    if (!wsd_upgrade(c, ""))
        return false;
    want_text(c, CONNECT);
    return wsd_text(c, CONNECTED);
}

/* One server, one client; the limits of the test may be changed in between. */
struct fixture {
    struct wsd *server;
    struct ddp_client *client;
};

static struct fixture start(wsd_script script, void *arg)
{
    struct fixture f;
    struct ddp_client_options o;

    atomic_store(&complaint, NULL);
    probe_loop_open();
    f.server = wsd_start(script, arg, NULL);
    o = probe_options(f.server->port);
    f.client = probe_client(&o);
    return f;
}

static void finish(struct fixture *f)
{
    probe_client_free(f->client);
    wsd_stop(f->server);
    probe_loop_close();
    if (atomic_load(&complaint) != NULL)
        fail_msg("the server missed: %s", atomic_load(&complaint));
}

/* --- greeting --- */

static void greet_and_wait(struct wsd_conn *c)
{
    if (!greet(c))
        return;
    want(strstr(c->head, "GET /websocket HTTP/1.1\r\n") == c->head, "the path");
    want(strstr(c->head, "Sec-WebSocket-Extensions") == NULL, "no extensions");
    want(strstr(c->head, "Sec-WebSocket-Protocol") == NULL, "no subprotocol");
    wsd_drain(c);
    want(c->closed == 1000, "close 1000");
}

static void test_connects(void **state)
{
    struct fixture f = start(greet_and_wait, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    assert_false(probe_call(&p, "login", "[]", 1000)); /* not yet */
    assert_int_equal(probe_subscribe(&p, "[]", 1000), 0);
    probe_until(&p.connects, 1);
    assert_string_equal(p.session, MONOLITH_ID);
    assert_true(ddp_connector_is_monolith(p.c));
    probe_close(&p);
    probe_close(&p); /* twice is fine */
    assert_false(probe_call(&p, "login", "[]", 1000));
    probe_until(&p.ends, 1);
    assert_int_equal(p.how, DDP_END_LOCAL);
    assert_int_equal(p.code, 1000);
    finish(&f);
}

/* The streamer may ping before it has read connect, and takes no pong before it. */
static void streamer(struct wsd_conn *c)
{
    if (!wsd_upgrade(c, "") || !wsd_text(c, "{\"msg\":\"ping\"}") ||
        !wsd_text(c, "{\"server_id\":\"0\"}") ||
        !wsd_text(c, "{\"msg\":\"server_id\",\"server_id\":\"0\"}"))
        return;
    want_text(c, CONNECT);
    want_text(c, "{\"msg\":\"pong\"}");
    wsd_text(c, "{\"msg\":\"connected\",\"session\":\"2f1e6ef0-07a1-11ef-9262-0242ac120002\"}");
    wsd_text(c, "{\"msg\":\"connected\",\"session\":\"again\"}");
    wsd_text(c, "{\"msg\":\"ping\",\"id\":\"a\\\"1\"}");
    want_text(c, "{\"msg\":\"pong\",\"id\":\"a\\\"1\"}");
    wsd_text(c, EVENT("[]"));
    wsd_drain(c);
}

static void test_streamer(void **state)
{
    struct fixture f = start(streamer, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.events, 1);
    assert_int_equal(p.connects, 1);
    assert_false(ddp_connector_is_monolith(p.c));
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

/* The first frame in the segment of the upgrade's answer. */
static void greets_in_one_segment(struct wsd_conn *c)
{
    if (!wsd_upgrade_and(c, "", "\x81\x0e{\"msg\":\"ping\"}"))
        return;
    want_text(c, CONNECT);
    want_text(c, "{\"msg\":\"pong\"}");
    wsd_text(c, CONNECTED);
    wsd_drain(c);
}

static void test_early_frame(void **state)
{
    struct fixture f = start(greets_in_one_segment, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

/* --- closed in the very moment of the upgrade's answer --- */

static atomic_bool asked, may_answer, answered;

static void answers_when_told(struct wsd_conn *c)
{
    atomic_store(&asked, true);
    while (!atomic_load(&may_answer))
        usleep(1000);
    wsd_upgrade(c, "");
    atomic_store(&answered, true);
    wsd_drain(c);
}

static void close_now(uv_async_t *async)
{
    probe_close(async->data);
    uv_close((uv_handle_t *)async, NULL);
}

/* The loop reads both in one go: first our wish to close, then the answer. */
static void test_closed_before_the_answer_is_read(void **state)
{
    struct fixture f;
    struct probe p = {0};
    uv_async_t closer;

    (void)state;
    atomic_store(&asked, false);
    atomic_store(&may_answer, false);
    atomic_store(&answered, false);
    f = start(answers_when_told, NULL);
    uv_async_init(&probe_loop, &closer, close_now);
    closer.data = &p;
    probe_open(&p, f.client);
    for (int i = 0; i < 2000 && !atomic_load(&asked); i++) {
        uv_run(&probe_loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    for (int i = 0; i < 50; i++) { /* the request is on its way, too */
        uv_run(&probe_loop, UV_RUN_NOWAIT);
        usleep(1000);
    }
    uv_async_send(&closer);
    atomic_store(&may_answer, true);
    for (int i = 0; i < 2000 && !atomic_load(&answered); i++)
        usleep(1000);
    usleep(20 * 1000);
    probe_until(&p.ends, 1);
    assert_int_equal(p.how, DDP_END_LOCAL);
    assert_int_equal(p.connects, 0);
    finish(&f);
}

/* --- how connections end --- */

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

/* --- calls and subscriptions --- */

static void answers_calls(struct wsd_conn *c)
{
    if (!greet(c))
        return;
    want_text(
        c,
        "{\"msg\":\"method\",\"id\":\"1\",\"method\":\"login\",\"params\":[{\"resume\":\"t\"}]}");
    wsd_text(c, "{\"msg\":\"updated\",\"methods\":[\"1\"]}");
    wsd_text(c, "{\"msg\":\"added\",\"collection\":\"users\",\"id\":\"u9\",\"fields\":{"
                "\"username\":\"ana\"}}");
    wsd_text(c, "{\"msg\":\"result\",\"id\":\"1\",\"result\":{\"id\":\"u9\"}}");
    want_text(c, "{\"msg\":\"method\",\"id\":\"2\",\"method\":\"me\",\"params\":[]}");
    wsd_text(c, "{\"msg\":\"result\",\"id\":\"2\"}");
    wsd_text(c, "{\"msg\":\"result\",\"id\":\"2\",\"result\":\"again\"}");
    wsd_text(c, "{\"msg\":\"updated\",\"methods\":[\"2\"]}");
    want_text(c, "{\"msg\":\"method\",\"id\":\"3\",\"method\":\"x\",\"params\":[]}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"3\"}"); /* a method is no subscription */
    wsd_text(c, "{\"msg\":\"result\",\"id\":\"77\",\"result\":1}");
    wsd_text(c, "{\"msg\":\"result\",\"id\":3,\"result\":1}");
    wsd_text(c, "{\"msg\":\"result\",\"id\":\"3\",\"error\":{\"error\":\"too-many-requests\","
                "\"details\":{\"timeToReset\":1234}}}");
    wsd_drain(c);
}

static void test_calls(void **state)
{
    struct fixture f = start(answers_calls, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    assert_true(probe_call(&p, "login", "[{\"resume\":\"t\"}]", 5000));
    probe_until(&p.answers, 1);
    assert_int_equal(p.error.result, RC_OK);
    assert_string_equal(p.result, "{\"id\":\"u9\"}");
    assert_string_equal(p.last, "added|users|u9|{\"username\":\"ana\"}");
    assert_true(probe_call(&p, "me", "[]", 5000));
    probe_until(&p.answers, 2);
    assert_string_equal(p.result, "");
    assert_true(probe_call(&p, "x", "[]", 5000));
    probe_until(&p.answers, 3);
    assert_int_equal(p.error.result, RC_RATE_LIMITED);
    assert_int_equal(p.error.retry_after_ms, 1234);
    assert_string_equal(p.result,
                        "{\"error\":\"too-many-requests\",\"details\":{\"timeToReset\":1234}}");
    probe_close(&p);
    probe_until(&p.ends, 1);
    assert_int_equal(p.answers, 3);
    finish(&f);
}

static void serves_subscriptions(struct wsd_conn *c)
{
    char sub[256];

    if (!greet(c))
        return;
    want_text(
        c,
        "{\"msg\":\"sub\",\"id\":\"1\",\"name\":\"stream-notify-user\",\"params\":[\"a\",false]}");
    for (int i = 2; i <= 6; i++)
        wsd_expect(c, sub, sizeof sub);
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"3\",7,\"1\",\"99\",\"1\"]}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"2\",\"error\":{\"error\":\"not-allowed\"}}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"4\"}");
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"5\"]}");
    want_text(c, "{\"msg\":\"unsub\",\"id\":\"6\"}"); /* it timed out */
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"6\"]}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"6\"}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"1\",\"error\":{\"error\":\"not-allowed\"}}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"1\"}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"5\"}");
    wsd_drain(c);
}

static void test_subscriptions(void **state)
{
    struct fixture f = start(serves_subscriptions, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    for (uint32_t id = 1; id <= 6; id++)
        assert_int_equal(probe_subscribe(&p, "[\"a\",false]", id == 6 ? 300 : 9000), id);
    probe_until(&p.answers, 2);
    assert_int_equal(p.error.result, RC_OK);
    probe_until(&p.answers, 5);
    probe_until(&p.answers, 6);
    assert_int_equal(p.error.result, RC_TIMED_OUT);
    probe_until(&p.subscription_ends, 2);
    assert_string_equal(p.subscription_log, "1|not-allowed 5|- ");
    probe_close(&p);
    probe_until(&p.ends, 1);
    assert_int_equal(p.subscription_ends, 2);
    assert_int_equal(p.answers, 6);
    finish(&f);
}

static void serves_one_that_ends(struct wsd_conn *c)
{
    char sub[256];

    if (!greet(c))
        return;
    for (int i = 1; i <= 2; i++)
        wsd_expect(c, sub, sizeof sub);
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"1\"]}");
    want_text(c, "{\"msg\":\"unsub\",\"id\":\"1\"}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"1\"}");
    wsd_text(
        c,
        "{\"msg\":\"nosub\",\"id\":\"2\",\"error\":{\"error\":\"not-allowed\",\"reason\":\"No\"}}");
    wsd_drain(c);
}

/* One's own end is not told; a refusal comes with the server's words. */
static void test_unsubscribe(void **state)
{
    struct fixture f = start(serves_one_that_ends, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    assert_int_equal(probe_subscribe(&p, "[\"a\",false]", 9000), 1);
    assert_int_equal(probe_subscribe(&p, "[\"b\",false]", 9000), 2);
    ddp_connector_unsubscribe(p.c, 2); /* not ready: nothing */
    probe_until(&p.answers, 1);
    ddp_connector_unsubscribe(p.c, 1);
    ddp_connector_unsubscribe(p.c, 1);
    ddp_connector_unsubscribe(p.c, 99);
    probe_until(&p.answers, 2);
    assert_int_equal(p.error.result, RC_NOT_ALLOWED);
    assert_string_equal(p.result, "{\"error\":\"not-allowed\",\"reason\":\"No\"}");
    assert_int_equal(p.subscription_ends, 0);
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

static void greets_and_reads(struct wsd_conn *c)
{
    if (greet(c))
        wsd_drain(c);
}

static void test_bounds(void **state)
{
    struct fixture f = start(greets_and_reads, NULL);
    char *large = calloc(1, 300 * 1024);
    struct probe p = {0};
    unsigned sent = 0;

    (void)state;
    assert_non_null(large);
    memset(large, ' ', 300 * 1024 - 1);
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    assert_false(probe_call(&p, "large", large, 1000)); /* past what may wait for the socket */
    while (probe_call(&p, "a", "[]", 60000))
        sent++;
    assert_int_equal(sent, 256);
    assert_int_equal(probe_subscribe(&p, "[]", 1000), 0);
    probe_close(&p);
    probe_until(&p.ends, 1);
    assert_int_equal(p.answers, 256);
    free(large);
    finish(&f);
}

/* Time-outs of calls come in any order and leave the others alone. */
static void test_call_time_outs(void **state)
{
    struct fixture f = start(greets_and_reads, NULL);
    struct probe p = {0}, other = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_open(&other, f.client);
    probe_until(&p.connects, 1);
    probe_until(&other.connects, 1);
    assert_true(probe_call(&other, "a", "[]", 60000));
    assert_true(probe_call(&p, "a", "[]", 300));
    assert_true(probe_call(&p, "b", "[]", 100));
    assert_true(probe_call(&p, "c", "[]", 200));
    probe_until(&p.answers, 3);
    assert_int_equal(p.error.result, RC_TIMED_OUT);
    assert_int_equal(other.answers, 0);
    assert_true(probe_call(&p, "d", "[]", 100));
    probe_until(&p.answers, 4);
    probe_close(&p);
    probe_close(&other);
    probe_until(&p.ends, 1);
    probe_until(&other.ends, 1);
    finish(&f);
}

/* --- frames --- */

static void sends_events(struct wsd_conn *c)
{
    static const char event[] = EVENT("[\"h\xc3\xa9llo \xf0\x9f\x9a\x80\",{\"a\":1.10}]");
    size_t len = sizeof event - 1;

    if (!greet(c))
        return;
    wsd_text(c, event);
    /* whole messages in pieces on the wire */
    for (size_t cut = 1; cut < 12; cut++) {
        unsigned char raw[sizeof event + 4] = {0x81, 126, (unsigned char)(len >> 8),
                                               (unsigned char)len};

        memcpy(raw + 4, event, len);
        wsd_write(c, raw, cut);
        usleep(1000);
        wsd_write(c, raw + cut, len + 4 - cut);
    }
    /* fragments, cut everywhere, control frames between them */
    for (size_t cut = 0; cut <= len; cut++) {
        wsd_frame(c, 0x01, event, cut);
        if (cut % 7 == 0)
            wsd_frame(c, 0x89, "ping", 4);
        wsd_frame(c, 0x00, event + cut, 0);
        if (cut % 5 == 0)
            wsd_frame(c, 0x8a, "pong", 4);
        wsd_frame(c, 0x80, event + cut, len - cut);
    }
    wsd_drain(c);
}

static void test_fragments(void **state)
{
    struct fixture f = start(sends_events, NULL);
    struct probe p = {0};
    unsigned want_events =
        1 + 11 + (unsigned)sizeof EVENT("[\"h\xc3\xa9llo \xf0\x9f\x9a\x80\",{\"a\":1.10}]");

    (void)state;
    probe_open(&p, f.client);
    while (p.events < want_events && p.ends == 0) {
        unsigned before = p.events;

        probe_until(&p.events, before + 1);
        assert_string_equal(p.last, "stream-notify-user|u9/x|"
                                    "[\"h\xc3\xa9llo \xf0\x9f\x9a\x80\",{\"a\":1.10}]");
    }
    assert_int_equal(p.ends, 0);
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

static void sends_documents(struct wsd_conn *c)
{
    static const char *const frames[] = {
        "{\"msg\":\"added\",\"collection\":\"stream-notify-user\",\"id\":\"id\",\"fields\":{"
        "\"eventName\":\"e\"}}",
        "{\"msg\":\"changed\",\"collection\":\"stream-notify-user\",\"id\":\"id\",\"fields\":{"
        "\"args\":[]}}",
        "{\"msg\":\"changed\",\"collection\":\"stream-notify-user\",\"id\":\"id\"}",
        "{\"msg\":\"changed\",\"collection\":\"users\",\"fields\":{}}",
        "{\"msg\":\"changed\",\"id\":\"u9\",\"fields\":{}}",
        "{\"msg\":\"ready\"}",
        "{\"msg\":\"ready\",\"subs\":\"1\"}",
        "{\"msg\":\"nosub\"}",
        "{\"msg\":\"result\"}",
        "{\"msg\":\"failed\",\"version\":\"1\"}",
        "{\"msg\":\"movedBefore\",\"collection\":\"users\",\"id\":\"1\"}",
        "{\"msg\":\"error\",\"reason\":\"Bad request\"}",
        "{\"msg\":\"removed\",\"collection\":\"users\",\"id\":\"u9\"}",
    };

    if (!greet(c))
        return;
    for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++)
        wsd_text(c, frames[i]);
    wsd_drain(c);
}

/* All but the last are to be ignored. */
static void test_odd_frames(void **state)
{
    struct fixture f = start(sends_documents, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.documents, 1);
    assert_string_equal(p.last, "removed|users|u9|");
    assert_int_equal(p.events + p.answers + p.subscription_ends, 0);
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

enum { LARGE = 5 << 20 };

/* A large frame whose middle is held back until the others' frames have gone out. */
static void sends_large(struct wsd_conn *c)
{
    static const char head[] = "{\"msg\":\"changed\",\"collection\":\"stream-x\",\"fields\":"
                               "{\"eventName\":\"e\",\"args\":[\"";
    static const char tail[] = "\"]}}";
    atomic_uint *turns = c->server->arg;
    size_t len = sizeof head - 1 + LARGE + sizeof tail - 1;
    char *frame = malloc(len), *p = frame;

    if (frame == NULL || !greet(c))
        abort();
    p = mempcpy(p, head, sizeof head - 1);
    for (int i = 0; i < LARGE; i++)
        *p++ = (char)('a' + (i + (int)c->index) % 26);
    memcpy(p, tail, sizeof tail - 1);
    wsd_frame(c, 0x01, frame, len / 2);
    atomic_fetch_add(turns, 1);
    while (atomic_load(turns) < 3) /* three connections, each with half a frame out */
        usleep(1000);
    wsd_frame(c, 0x80, frame + len / 2, len - len / 2);
    free(frame);
    wsd_drain(c);
}

static void test_large_frames(void **state)
{
    atomic_uint turns = 0;
    struct fixture f = start(sends_large, &turns);
    struct probe p[3] = {0};

    (void)state;
    for (int i = 0; i < 3; i++)
        probe_open(&p[i], f.client);
    for (int i = 0; i < 3; i++) {
        probe_until(&p[i].events, 1);
        assert_int_equal(p[i].last_args_len, LARGE + 4);
    }
    for (int i = 0; i < 3; i++)
        probe_close(&p[i]);
    for (int i = 0; i < 3; i++)
        probe_until(&p[i].ends, 1);
    finish(&f);
}

/* --- time --- */

static void stays_mute(struct wsd_conn *c)
{
    if (!greet(c))
        return;
    want_text(c, "{\"msg\":\"ping\"}");
    wsd_text(c, "{\"msg\":\"pong\"}");
    want_text(c, "{\"msg\":\"ping\"}"); /* once for each silence */
    wsd_frame(c, 0x8a, "x", 1);         /* any sign of life counts */
    want_text(c, "{\"msg\":\"ping\"}");
    wsd_drain(c);
    want(c->closed == 0, "a dead connection is dropped");
}

static void test_liveness(void **state)
{
    struct ddp_client_options o;
    struct fixture f;
    struct probe p = {0};
    uint64_t started;

    (void)state;
    f = start(stays_mute, NULL);
    probe_client_free(f.client);
    o = probe_options(f.server->port);
    o.ping_ms = 200;
    o.dead_ms = 600;
    f.client = probe_client(&o);
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    started = uv_hrtime();
    probe_until(&p.ends, 1);
    assert_int_equal(p.how, DDP_END_DEAD);
    assert_int_equal(p.code, 1006);
    /* 200 to the first ping, 200 to the second, 600 of silence */
    assert_in_range((uv_hrtime() - started) / 1000000, 950, 2500);
    finish(&f);
}

static void upgrades_only(struct wsd_conn *c)
{
    if (wsd_upgrade(c, ""))
        wsd_drain(c);
}

static void reads_only(struct wsd_conn *c)
{
    char byte;

    while (wsd_read(c, &byte, 1))
        ;
}

static void test_connect_time_out(void **state)
{
    static const struct {
        wsd_script script;
        const char *detail;
    } cases[] = {{upgrades_only, "no answer to connect"}, {reads_only, "connecting took too long"}};

    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture f = start(cases[i].script, NULL);
        struct ddp_client_options o = probe_options(f.server->port);
        struct probe p = {0};

        probe_client_free(f.client);
        o.connect_timeout_ms = 200;
        f.client = probe_client(&o);
        probe_open(&p, f.client);
        probe_until(&p.ends, 1);
        assert_int_equal(p.how, DDP_END_TIMED_OUT);
        assert_string_equal(p.detail, cases[i].detail);
        finish(&f);
    }
}

/* --- callers that act from inside callbacks --- */

static void close_from_inside(struct probe *p)
{
    probe_close(p);
    assert_false(probe_call(p, "a", "[]", 1000));
}

static void sends_three(struct wsd_conn *c)
{
    unsigned char all[1024], *at = all;
    static const char event[] = EVENT("[]");

    if (!greet(c))
        return;
    for (int i = 0; i < 3; i++) { /* one segment, so that two follow the close */
        *at++ = 0x81;
        *at++ = sizeof event - 1;
        at = mempcpy(at, event, sizeof event - 1);
    }
    wsd_write(c, all, (size_t)(at - all));
    wsd_drain(c);
    want(c->closed == 1000, "close 1000");
}

static void test_close_inside(void **state)
{
    struct fixture f = start(sends_three, NULL);
    struct probe at_event = {.on_event = close_from_inside},
                 at_connected = {.on_connected = close_from_inside};

    (void)state;
    probe_open(&at_event, f.client);
    probe_open(&at_connected, f.client);
    probe_until(&at_event.ends, 1);
    probe_until(&at_connected.ends, 1);
    assert_int_equal(at_event.events, 1);
    assert_int_equal(at_connected.events, 0);
    assert_int_equal(at_event.how, DDP_END_LOCAL);
    finish(&f);
}

static void greets_whoever_stays(struct wsd_conn *c)
{
    char text[256];

    if (wsd_upgrade(c, "") && wsd_expect(c, text, sizeof text) && wsd_text(c, CONNECTED))
        wsd_drain(c);
}

static void readies_both(struct wsd_conn *c)
{
    char text[256];

    if (!greet(c) || !wsd_expect(c, text, sizeof text) || !wsd_expect(c, text, sizeof text))
        return;
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"1\",\"2\"]}");
    wsd_drain(c);
}

static unsigned good_answers;

static void close_at_answer(void *arg, struct slice result, const struct rc_error *error)
{
    struct probe *p = arg;

    (void)result;
    p->answers++;
    good_answers += error == NULL;
    if (error != NULL)
        assert_int_equal(error->result, RC_CANCELLED);
    else
        probe_close(p);
}

/* The rest of a frame is not for a connector that was closed in its midst. */
static void test_close_at_ready(void **state)
{
    struct fixture f = start(readies_both, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    for (int i = 0; i < 2; i++)
        assert_true(ddp_connector_subscribe(p.c, "x", SLICE_LIT("[]"), 5000, close_at_answer, &p) !=
                    0);
    good_answers = 0;
    probe_until(&p.ends, 1);
    assert_int_equal(p.answers, 2);
    assert_int_equal(good_answers, 1);
    finish(&f);
}

/* Closed at every stage of opening, which is told once and leaves nothing behind. */
static void test_close_while_opening(void **state)
{
    struct fixture f = start(greets_whoever_stays, NULL);

    (void)state;
    for (int turns = 0; turns < 12; turns++) {
        struct probe p = {0};

        probe_open(&p, f.client);
        for (int i = 0; i < turns && p.connects == 0; i++)
            uv_run(&probe_loop, UV_RUN_ONCE);
        probe_close(&p);
        probe_until(&p.ends, 1);
        assert_int_equal(p.how, DDP_END_LOCAL);
    }
    finish(&f);
}

static void pings_without_reading(struct wsd_conn *c)
{
    char ping[1024];

    memset(ping, 'x', sizeof ping);
    memcpy(ping, "{\"msg\":\"ping\",\"id\":\"", 20);
    memcpy(ping + sizeof ping - 3, "\"}", 3);
    if (!greet(c))
        return;
    for (int i = 0; i < 8000; i++) /* more than kernel and queue take of the pongs */
        if (!wsd_text(c, ping))
            return;
    wsd_text(c, EVENT("[]"));
    wsd_drain(c);
}

/* The pongs that find no room are dropped; the connection goes on. */
static void test_ping_flood(void **state)
{
    struct fixture f = start(pings_without_reading, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.events, 1);
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

/* --- many --- */

static void test_many(void **state)
{
    enum { AT_ONCE = 200, ROUNDS = 5 };
    struct fixture f = start(greets_and_reads, NULL);
    static struct probe p[AT_ONCE];

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        memset(p, 0, sizeof p);
        for (int i = 0; i < AT_ONCE; i++)
            probe_open(&p[i], f.client);
        for (int i = 0; i < AT_ONCE; i++)
            probe_until(&p[i].connects, 1);
        for (int i = 0; i < AT_ONCE; i++)
            probe_close(&p[i]);
        for (int i = 0; i < AT_ONCE; i++)
            probe_until(&p[i].ends, 1);
    }
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_connects),
        cmocka_unit_test(test_streamer),
        cmocka_unit_test(test_early_frame),
        cmocka_unit_test(test_closed_before_the_answer_is_read),
        cmocka_unit_test(test_endings),
        cmocka_unit_test(test_calls_at_the_end),
        cmocka_unit_test(test_calls),
        cmocka_unit_test(test_subscriptions),
        cmocka_unit_test(test_unsubscribe),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_call_time_outs),
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_odd_frames),
        cmocka_unit_test(test_large_frames),
        cmocka_unit_test(test_liveness),
        cmocka_unit_test(test_connect_time_out),
        cmocka_unit_test(test_close_inside),
        cmocka_unit_test(test_close_at_ready),
        cmocka_unit_test(test_close_while_opening),
        cmocka_unit_test(test_ping_flood),
        cmocka_unit_test(test_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
