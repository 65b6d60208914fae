#include "signalr/protocol/hub_buf.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>

static void test_bytes(void **state)
{
    struct hub_buf *b = hub_buf_new("abc", 3);
    uint8_t *fill;
    size_t len;

    (void)state;
    assert_memory_equal(hub_buf_bytes(b, &len), "abc", 3);
    assert_int_equal(len, 3);
    assert_int_equal(hub_buf_born(b), 0);
    hub_buf_set_born(b, 42);
    assert_ptr_equal(hub_buf_ref(b), b);
    hub_buf_unref(b);
    assert_int_equal(hub_buf_born(b), 42);
    hub_buf_unref(b);
    hub_buf_unref(NULL);
    b = hub_buf_alloc(2, &fill);
    fill[0] = 'x';
    fill[1] = 'y';
    assert_memory_equal(hub_buf_bytes(b, &len), "xy", 2);
    hub_buf_unref(b);
    b = hub_buf_new(NULL, 0);
    hub_buf_bytes(b, &len);
    assert_int_equal(len, 0);
    hub_buf_unref(b);
}

static void *hold(void *arg)
{
    struct hub_buf *b = arg;

    for (int i = 0; i < 10000; i++) {
        size_t len;

        hub_buf_ref(b);
        if (hub_buf_bytes(b, &len)[0] != 's')
            return NULL;
        hub_buf_unref(b);
    }
    hub_buf_unref(b);
    return arg;
}

/* The last of several threads frees; ASan and TSan look on. */
static void test_threads(void **state)
{
    struct hub_buf *b = hub_buf_new("shared", 6);
    pthread_t threads[4];

    (void)state;
    for (int i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hold, hub_buf_ref(b)), 0);
    hub_buf_unref(b);
    for (int i = 0; i < 4; i++) {
        void *ok;

        pthread_join(threads[i], &ok);
        assert_non_null(ok);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_threads),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
