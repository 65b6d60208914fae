#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/replay/replay_ring.h"
#include "signalr/protocol/hub_buf.h"
#include <string.h>

static struct replay_ring ring;

static int start(void **state)
{
    (void)state;
    replay_ring_init(&ring);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    replay_ring_free(&ring);
    assert_null(ring.events);
    assert_int_equal(ring.bytes, 0);
    return 0;
}

/* Of 10 bytes. */
static uint64_t add(uint64_t now_ms, uint32_t max_events, size_t max_bytes)
{
    struct hub_buf *message = hub_buf_new("0123456789", 10);
    uint64_t number;

    replay_ring_add(&ring, message, now_ms, max_events, max_bytes);
    number = hub_buf_number(message);
    assert_int_equal(number, ring.last);
    hub_buf_unref(message);
    return number;
}

/* Kept are exactly the numbers from..last, each in its place. */
static void check_kept(uint64_t from)
{
    for (uint64_t n = 0; n <= ring.last + 2; n++) {
        struct hub_buf *message = replay_ring_at(&ring, n);

        if (n < from || n > ring.last)
            assert_null(message);
        else
            assert_int_equal(hub_buf_number(message), n);
        assert_int_equal(replay_ring_reaches(&ring, n), n + 1 >= from && n <= ring.last);
    }
}

static void test_numbers_and_order(void **state)
{
    (void)state;
    check_kept(ring.last + 1);
    assert_int_equal(replay_ring_oldest_ms(&ring), 0);
    for (unsigned i = 0; i < 100; i++)
        assert_int_equal(add(i, 1000, 100000), REPLAY_RING_START + 1 + i);
    check_kept(REPLAY_RING_START + 1);
    assert_int_equal(ring.bytes, 1000);
}

static void test_bounds(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 50; i++)
        add(i + 1, 7, 100000);
    check_kept(ring.last - 6);
    assert_int_equal(replay_ring_oldest_ms(&ring), 44);
    add(60, 7, 35);
    check_kept(ring.last - 2);
    assert_int_equal(ring.bytes, 30);
    add(61, 7, 9); /* too big to be kept: a hole would lie before what is */
    check_kept(ring.last + 1);
    assert_null(ring.events);
    add(62, 7, 10);
    check_kept(ring.last);
    add(63, 0, 100);
    check_kept(ring.last + 1);
}

static void test_trim_by_age_and_need(void **state)
{
    (void)state;
    for (unsigned i = 1; i <= 10; i++)
        add(i * 100, 100, 10000); /* numbers 2 to 11 */
    replay_ring_trim(&ring, 450, UINT64_MAX);
    check_kept(6);
    replay_ring_trim(&ring, 5000, 7); /* somebody has it up to 7 only */
    check_kept(8);
    replay_ring_trim(&ring, 5000, 7);
    check_kept(8);
    replay_ring_trim(&ring, 5000, UINT64_MAX);
    check_kept(12);
    assert_null(ring.events);
}

static void test_release(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 100; i++)
        add(i, 1000, 100000);
    assert_int_equal(replay_ring_base(&ring), REPLAY_RING_START);
    replay_ring_release(&ring, REPLAY_RING_START);
    check_kept(REPLAY_RING_START + 1);
    assert_int_equal(ring.capacity, 128);
    replay_ring_release(&ring, REPLAY_RING_START + 90);
    check_kept(REPLAY_RING_START + 91);
    assert_int_equal(ring.capacity, 32); /* as much again has room */
    assert_int_equal(ring.released, REPLAY_RING_START + 90);
    replay_ring_release(&ring, REPLAY_RING_START + 10);
    check_kept(REPLAY_RING_START + 91);
    assert_int_equal(ring.released, REPLAY_RING_START + 90);
    add(200, 1000, 100000);
    check_kept(REPLAY_RING_START + 91);
    replay_ring_release(&ring, UINT64_MAX);
    assert_int_equal(ring.released, ring.last);
    assert_null(ring.events);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_numbers_and_order),
        T(test_bounds),
        T(test_trim_by_age_and_need),
        T(test_release),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
