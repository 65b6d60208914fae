#include "tests/unit/ws_vectors.h"

/* What the reader told, in the terms of the vectors. */
struct log {
    struct byte_buf data;
    struct byte_buf pongs[WS_VECTOR_PONGS];
    size_t npongs;
    unsigned close, end;
};

static void log_free(struct log *l)
{
    byte_buf_free(&l->data);
    for (size_t i = 0; i < l->npongs; i++)
        byte_buf_free(&l->pongs[i]);
}

/* Feeds one piece behind what was kept of the piece before. False: over. */
static bool feed(struct ws_frame_reader *r, struct byte_buf *kept, const char *bytes, size_t len,
                 struct log *l)
{
    size_t at = 0, used;

    byte_buf_append(kept, bytes, len);
    while (at < kept->len) {
        struct ws_frame_event e;
        enum ws_frame_result result =
            ws_frame_read(r, (uint8_t *)kept->data + at, kept->len - at, &used, &e);

        assert_true(used <= kept->len - at);
        at += used;
        switch (result) {
        case WS_FRAME_DATA:
            assert_true(e.len > 0);
            byte_buf_append(&l->data, e.payload, e.len);
            break;
        case WS_FRAME_PING:
            assert_true(l->npongs < WS_VECTOR_PONGS);
            byte_buf_append(&l->pongs[l->npongs++], e.payload, e.len);
            break;
        case WS_FRAME_PONG:
            break;
        case WS_FRAME_CLOSE:
            l->close = e.close_code;
            return false;
        case WS_FRAME_BAD:
            l->end = e.close_code;
            return false;
        case WS_FRAME_NEED_MORE:
            assert_true(kept->len - at <= WS_FRAME_TAIL_MAX);
            byte_buf_consume(kept, at);
            return true;
        }
    }
    byte_buf_clear(kept);
    return true;
}

static void check(const struct ws_vector *v, const struct log *l, size_t cut)
{
    bool data_ok = slice_eq(byte_buf_slice(&l->data), byte_buf_slice(&v->data));

    /* Cut inside a frame that turns bad, what came before the bad byte was told already. */
    if (v->end != 0 && l->data.len >= v->data.len)
        data_ok = v->data.len == 0 || memcmp(l->data.data, v->data.data, v->data.len) == 0;
    if (!data_ok)
        fail_msg("%s, cut %zu: data of %zu bytes", v->name, cut, l->data.len);
    if (l->close != v->close || l->end != v->end)
        fail_msg("%s, cut %zu: close %u, end %u", v->name, cut, l->close, l->end);
    if (l->npongs != v->npongs)
        fail_msg("%s, cut %zu: %zu pings", v->name, cut, l->npongs);
    for (size_t i = 0; i < v->npongs; i++)
        assert_true(slice_eq(byte_buf_slice(&l->pongs[i]), byte_buf_slice(&v->pongs[i])));
}

/* In pieces of step bytes, the first one shorter. */
static void run(const struct ws_vector *v, size_t first, size_t step)
{
    struct ws_frame_reader r;
    struct byte_buf kept = {0};
    struct log l = {0};
    size_t at = 0, n = first;

    ws_frame_reader_init(&r);
    while (at < v->frames.len) {
        if (n > v->frames.len - at)
            n = v->frames.len - at;
        if (!feed(&r, &kept, v->frames.data + at, n, &l))
            break;
        at += n;
        n = step;
    }
    check(v, &l, first);
    byte_buf_free(&kept);
    log_free(&l);
}

static void every_cut(const struct ws_vector *v)
{
    size_t len = v->frames.len;

    run(v, len, len);
    if (len < 1000)
        for (size_t cut = 1; cut < len; cut++)
            run(v, cut, len);
    run(v, 1, len < 100000 ? 1 : 997);
    run(v, 3, 16384);
}

static void test_vectors(void **state)
{
    (void)state;
    wsv_each(every_cut);
}

/* Every alignment of payload and mask against the slow way. */
static void test_unmask(void **state)
{
    static const uint8_t mask[4] = {0x11, 0x22, 0x44, 0x88};

    (void)state;
    for (size_t len = 0; len < 40; len++)
        for (size_t cut = 0; cut <= len; cut++) {
            struct byte_buf frame = {0}, kept = {0};
            struct ws_frame_reader r;
            struct log l = {0};
            char plain[40];

            for (size_t i = 0; i < len; i++)
                plain[i] = (char)(i * 7 + 1);
            wsv_frame(&frame, 0x82, plain, len, mask);
            ws_frame_reader_init(&r);
            feed(&r, &kept, frame.data, 6 + cut, &l);
            feed(&r, &kept, frame.data + 6 + cut, len - cut, &l);
            assert_int_equal(l.data.len, len);
            if (len > 0)
                assert_memory_equal(l.data.data, plain, len);
            byte_buf_free(&frame);
            byte_buf_free(&kept);
            log_free(&l);
        }
}

/* A frame of 2^62 bytes is announced: nothing is allocated for it, what comes is passed on. */
static void test_giant(void **state)
{
    uint8_t bytes[] = {0x82, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 'a', 'b'};
    struct ws_frame_reader r;
    struct ws_frame_event e;
    size_t used;

    (void)state;
    ws_frame_reader_init(&r);
    assert_int_equal(ws_frame_read(&r, bytes, sizeof bytes, &used, &e), WS_FRAME_DATA);
    assert_int_equal(used, sizeof bytes);
    assert_int_equal(e.len, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_unmask),
        cmocka_unit_test(test_giant),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
