/* Frames in pieces, odd ones and large ones. */
#include "ddp_script.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fragments),
        cmocka_unit_test(test_odd_frames),
        cmocka_unit_test(test_large_frames),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
