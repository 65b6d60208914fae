#include "signalr/http/ws_queue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

static void push(struct ws_queue *q, unsigned n)
{
    char text[16];
    struct hub_buf *b = hub_buf_new(text, (size_t)snprintf(text, sizeof text, "%u", n));

    assert_true(ws_queue_push(q, b));
    hub_buf_unref(b);
}

static unsigned pop(struct ws_queue *q)
{
    char text[16] = "";
    struct hub_buf *b = ws_queue_pop(q);
    size_t len;
    const uint8_t *bytes = hub_buf_bytes(b, &len);

    memcpy(text, bytes, len);
    hub_buf_unref(b);
    return (unsigned)atoi(text);
}

/* Rising and falling fill levels, over every border of inline, heap and wrapping. */
static void test_order(void **state)
{
    struct ws_queue q = {0};
    unsigned in = 0, out = 0;

    (void)state;
    for (unsigned round = 0; round < 400; round++) {
        unsigned add = (round * 7) % 23, take = (round * 5) % 29;

        for (unsigned i = 0; i < add; i++)
            push(&q, in++);
        for (unsigned i = 0; i < take && q.count > 0; i++)
            assert_int_equal(pop(&q), out++);
        assert_int_equal(q.count, in - out);
    }
    while (q.count > 0)
        assert_int_equal(pop(&q), out++);
    assert_int_equal(q.bytes, 0);
    assert_null(q._heap);
    ws_queue_free(&q);
}

static void test_bytes(void **state)
{
    struct ws_queue q = {0};
    size_t len;

    (void)state;
    push(&q, 12345);
    push(&q, 678);
    assert_int_equal(q.bytes, 8);
    q.sent = 2;
    q.bytes -= 2;
    assert_memory_equal(ws_queue_bytes(&q, 0, &len), "345", 3);
    assert_int_equal(len, 3);
    assert_memory_equal(ws_queue_bytes(&q, 1, &len), "678", 3);
    assert_int_equal(len, 3);
    hub_buf_unref(ws_queue_pop(&q));
    assert_int_equal(q.bytes, 3);
    assert_int_equal(q.sent, 0);
    ws_queue_free(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
