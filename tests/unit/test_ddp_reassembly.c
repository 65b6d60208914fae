#include "rocketchat/ddp_reassembly_internal.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MAX = 100 };

static struct ddp_reassembly r;
static struct slice frame;

static int start(void **state)
{
    (void)state;
    r = (struct ddp_reassembly){.max_frame_bytes = MAX};
    return 0;
}

static int stop(void **state)
{
    (void)state;
    ddp_reassembly_free(&r);
    return 0;
}

static enum ddp_chunk_result feed(struct ddp_partial *p, const char *chunk, bool last)
{
    return ddp_reassembly_feed(&r, p, slice_of(chunk), 0, last, &frame);
}

static void expect(struct ddp_partial *p, const char *text)
{
    assert_int_equal(frame.len, strlen(text));
    assert_memory_equal(frame.ptr, text, frame.len);
    ddp_reassembly_done(&r, p);
}

static void test_one_chunk(void **state)
{
    static const char text[] = "abc";
    struct ddp_partial p = {0};

    (void)state;
    assert_int_equal(feed(&p, text, true), DDP_CHUNK_WHOLE);
    assert_ptr_equal(frame.ptr, text); /* not copied */
    ddp_reassembly_done(&r, &p);
    assert_int_equal(feed(&p, "", true), DDP_CHUNK_WHOLE);
    assert_int_equal(frame.len, 0);
    ddp_reassembly_done(&r, &p);
    assert_null(r._shared.data);
}

/* Two cuts anywhere, empty parts included. */
static void test_every_split(void **state)
{
    static const char text[] = "{\"msg\":\"ping\"}";
    size_t len = sizeof text - 1;
    struct ddp_partial p = {0};

    (void)state;
    for (size_t i = 0; i <= len; i++)
        for (size_t j = i; j <= len; j++) {
            assert_int_equal(
                ddp_reassembly_feed(&r, &p, (struct slice){text, i}, len - i, false, &frame),
                DDP_CHUNK_MORE);
            assert_int_equal(
                ddp_reassembly_feed(&r, &p, (struct slice){text + i, j - i}, 0, false, &frame),
                DDP_CHUNK_MORE);
            assert_int_equal(
                ddp_reassembly_feed(&r, &p, (struct slice){text + j, len - j}, 0, true, &frame),
                DDP_CHUNK_WHOLE);
            expect(&p, text);
        }
}

/* Three connections take turns in every order; each gets its own frame. */
static void test_interleaved(void **state)
{
    static const char *const parts[3][3] = {
        {"aa", "bb", "cc"}, {"1", "22", "333"}, {"", "xyz", ""}};
    static const char *const whole[3] = {"aabbcc", "122333", "xyz"};

    (void)state;
    for (unsigned order = 0; order < 19683; order++) { /* 3^9: who is next, where there is a next */
        struct ddp_partial p[3] = {0};
        unsigned at[3] = {0}, digits = order;

        for (int step = 0; step < 9; step++) {
            unsigned who = digits % 3;

            digits /= 3;
            while (at[who] == 3)
                who = (who + 1) % 3;
            assert_int_equal(feed(&p[who], parts[who][at[who]], at[who] == 2),
                             at[who] == 2 ? DDP_CHUNK_WHOLE : DDP_CHUNK_MORE);
            if (++at[who] == 3)
                expect(&p[who], whole[who]);
        }
        assert_null(r._holder);
    }
}

static void test_limits(void **state)
{
    char text[MAX + 2];
    struct slice full = {text, MAX}, over = {text, MAX + 1};
    struct ddp_partial p = {0};

    (void)state;
    memset(text, 'x', sizeof text);
    assert_int_equal(ddp_reassembly_feed(&r, &p, full, 0, true, &frame), DDP_CHUNK_WHOLE);
    ddp_reassembly_done(&r, &p);
    assert_int_equal(ddp_reassembly_feed(&r, &p, over, 0, true, &frame), DDP_CHUNK_TOO_LARGE);
    ddp_reassembly_done(&r, &p);
    /* announced, in sum, and when the sum would wrap around */
    assert_int_equal(ddp_reassembly_feed(&r, &p, (struct slice){text, 1}, MAX - 1, false, &frame),
                     DDP_CHUNK_MORE);
    assert_int_equal(ddp_reassembly_feed(&r, &p, full, 0, true, &frame), DDP_CHUNK_TOO_LARGE);
    ddp_reassembly_done(&r, &p);
    assert_int_equal(ddp_reassembly_feed(&r, &p, (struct slice){text, 1}, MAX, false, &frame),
                     DDP_CHUNK_TOO_LARGE);
    ddp_reassembly_done(&r, &p);
    assert_int_equal(ddp_reassembly_feed(&r, &p, (struct slice){text, 1}, SIZE_MAX, false, &frame),
                     DDP_CHUNK_TOO_LARGE);
    ddp_reassembly_done(&r, &p);
    assert_int_equal(ddp_reassembly_feed(&r, &p, full, 0, false, &frame), DDP_CHUNK_MORE);
    assert_int_equal(ddp_reassembly_feed(&r, &p, (struct slice){text, 0}, 0, true, &frame),
                     DDP_CHUNK_WHOLE);
    assert_int_equal(frame.len, MAX);
    ddp_reassembly_done(&r, &p);
}

/* A connection that ends in the middle leaves nothing, wherever its part was. */
static void test_abandoned(void **state)
{
    struct ddp_partial a = {0}, b = {0};

    (void)state;
    feed(&a, "half", false);
    feed(&b, "other", false); /* pushes a's half out of the shared buffer */
    ddp_reassembly_done(&r, &a);
    ddp_reassembly_done(&r, &b);
    assert_int_equal(feed(&a, "fresh", false), DDP_CHUNK_MORE);
    assert_int_equal(feed(&a, "!", true), DDP_CHUNK_WHOLE);
    expect(&a, "fresh!");
}

/* The memory of a giant is not kept. */
static void test_giant(void **state)
{
    size_t len = 1 << 20;
    struct ddp_partial p = {0};
    char *text = calloc(1, len);

    (void)state;
    assert_non_null(text);
    r.max_frame_bytes = 2 * len;
    assert_int_equal(ddp_reassembly_feed(&r, &p, (struct slice){text, len}, 0, false, &frame),
                     DDP_CHUNK_MORE);
    assert_int_equal(feed(&p, "x", true), DDP_CHUNK_WHOLE);
    assert_int_equal(frame.len, len + 1);
    ddp_reassembly_done(&r, &p);
    assert_null(r._shared.data);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_one_chunk, start, stop),
        cmocka_unit_test_setup_teardown(test_every_split, start, stop),
        cmocka_unit_test_setup_teardown(test_interleaved, start, stop),
        cmocka_unit_test_setup_teardown(test_limits, start, stop),
        cmocka_unit_test_setup_teardown(test_abandoned, start, stop),
        cmocka_unit_test_setup_teardown(test_giant, start, stop),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
