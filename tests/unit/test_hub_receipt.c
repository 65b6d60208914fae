#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "signalr/hub/hub_receipt.h"
#include <stdlib.h>
#include <string.h>

#define FIRST 1000

/* The connection as the test plays it: what was put into its stream, byte for byte. */
static struct hub_receipt r;
static uint32_t offset;
static uint32_t lengths[2000];
static uint32_t ends[2000]; /* where each number ends */

static void begin(uint32_t at)
{
    memset(&r, 0, sizeof r);
    memset(lengths, 0, sizeof lengths);
    offset = at;
    hub_receipt_start(&r, FIRST, false, offset);
}

static void send_number(uint64_t number, uint32_t len)
{
    hub_receipt_sent(&r, number, offset, offset + len);
    offset += len;
    lengths[number - FIRST] = len;
    ends[number - FIRST] = offset;
}

static uint32_t length_of(void *arg, uint64_t number)
{
    (void)arg;
    assert_true(number > FIRST);
    return lengths[number - FIRST];
}

static uint64_t before(uint32_t bytes)
{
    struct hub_receipt closed = r;

    hub_receipt_close(&closed, offset, bytes, 0);
    return hub_receipt_before(&closed, closed.unacked, 0, length_of, NULL);
}

static void test_walks_back_over_whole_messages(void **state)
{
    (void)state;
    begin(UINT32_MAX - 20); /* the offsets wrap */
    assert_int_equal(before(0), FIRST);
    assert_int_equal(before(500), FIRST); /* the handshake's answer is not this client's loss */
    send_number(FIRST + 1, 10);
    send_number(FIRST + 2, 20);
    send_number(FIRST + 3, 30);
    assert_int_equal(before(0), FIRST + 3);
    assert_int_equal(before(1), FIRST + 2);
    assert_int_equal(before(30), FIRST + 2);
    assert_int_equal(before(31), FIRST + 1);
    assert_int_equal(before(50), FIRST + 1);
    assert_int_equal(before(51), FIRST);
    assert_int_equal(before(60), FIRST);
    assert_int_equal(before(5000), FIRST);
}

static void test_other_bytes_are_told_apart(void **state)
{
    (void)state;
    begin(7);
    send_number(FIRST + 1, 10);
    offset += 3;
    send_number(FIRST + 2, 10);
    offset += 11; /* a ping */
    offset += 11;
    assert_int_equal(before(22), FIRST + 2);
    assert_int_equal(before(23), FIRST + 1);
    assert_int_equal(before(32 + 3), FIRST + 1);
    assert_int_equal(before(32 + 4), FIRST);
    hub_receipt_close(&r, offset, 22, 0);
    assert_true(hub_receipt_is_complete(&r));
    hub_receipt_close(&r, offset + 500, 0, 0); /* the first time counts */
    assert_int_equal(r.unacked, 22);
}

static void test_complete(void **state)
{
    struct hub_receipt none;

    (void)state;
    begin(100);
    none = r;
    hub_receipt_close(&none, offset, 50, 0); /* of the handshake */
    assert_true(hub_receipt_is_complete(&none));
    none = r;
    none.torn = true; /* the word of it may be in there */
    hub_receipt_close(&none, offset, 50, 0);
    assert_false(hub_receipt_is_complete(&none));
    send_number(FIRST + 1, 10);
    hub_receipt_close(&r, offset, 1, 0);
    assert_false(hub_receipt_is_complete(&r));
}

static void test_forgotten_runs_repeat_rather_than_lose(void **state)
{
    (void)state;
    begin(0);
    for (uint64_t n = 1; n <= HUB_RECEIPT_RUNS + 2; n++) {
        offset += 50;
        send_number(FIRST + n, 10);
    }
    assert_int_equal(before(HUB_RECEIPT_RUNS * 60 + 10), FIRST + 1);
    assert_int_equal(before(HUB_RECEIPT_RUNS * 60 + 11), FIRST); /* though it has the first */
}

/* Against what is true, over random streams: never higher, and exact while the runs are known. */
static void test_random_streams(void **state)
{
    (void)state;
    srand(4711);
    for (int round = 0; round < 3000; round++) {
        unsigned n = (unsigned)rand() % 12, runs = 0;
        uint32_t unacked;
        uint64_t truth = FIRST, got;

        begin((uint32_t)rand());
        for (uint64_t i = 1; i <= n; i++) {
            if (rand() % 3 == 0) {
                offset += 1 + (uint32_t)rand() % 40;
                runs++;
            }
            send_number(FIRST + i, 1 + (uint32_t)rand() % 60);
        }
        offset += rand() % 2 == 0 ? 0 : (uint32_t)rand() % 40;
        unacked = (uint32_t)rand() % 300;
        for (uint64_t i = 1; i <= n; i++)
            if (offset - ends[i] >= unacked)
                truth = FIRST + i;
        got = before(unacked);
        if (runs <= HUB_RECEIPT_RUNS)
            assert_int_equal(got, truth);
        else
            assert_in_range(got, FIRST, truth);
    }
}

static void test_what_never_came_here(void **state)
{
    (void)state;
    begin(0);
    send_number(FIRST + 1, 10);
    send_number(FIRST + 2, 10);
    send_number(FIRST + 6, 10); /* a full mailbox */
    send_number(FIRST + 7, 10);
    assert_int_equal(before(0), FIRST + 7);
    assert_int_equal(before(10), FIRST + 6);
    assert_int_equal(before(20), FIRST + 5);
    assert_true(before(21) == HUB_RECEIPT_UNKNOWN);
    hub_receipt_start(&r, FIRST, true, offset); /* what it missed was told at once */
    assert_int_equal(before(0), FIRST);
    assert_true(before(1) == HUB_RECEIPT_UNKNOWN);
}

static void test_a_length_that_is_not_known(void **state)
{
    (void)state;
    begin(0);
    send_number(FIRST + 1, 10);
    send_number(FIRST + 2, 10);
    lengths[1] = 0;
    assert_int_equal(before(10), FIRST + 1);
    assert_true(before(11) == HUB_RECEIPT_UNKNOWN);
}

/* Earlier it was certain that the second had come; since then runs have been forgotten. */
static void test_what_is_certain_already(void **state)
{
    struct hub_receipt closed;

    (void)state;
    begin(0);
    for (uint64_t n = 1; n <= HUB_RECEIPT_RUNS + 3; n++) {
        offset += 50;
        send_number(FIRST + n, 10);
    }
    memset(lengths, 0, 3 * sizeof lengths[0]); /* and the first two are not kept any more */
    assert_true(before(HUB_RECEIPT_RUNS * 60 + 50) == HUB_RECEIPT_UNKNOWN);
    closed = r;
    hub_receipt_close(&closed, offset, HUB_RECEIPT_RUNS * 60 + 50, 0);
    assert_int_equal(hub_receipt_before(&closed, closed.unacked, FIRST + 2, length_of, NULL),
                     FIRST + 2);
    /* Of one that began there with a tear nothing is certain. */
    hub_receipt_start(&closed, FIRST + 2, true, offset);
    assert_true(hub_receipt_before(&closed, 1, FIRST + 2, length_of, NULL) == HUB_RECEIPT_UNKNOWN);
}

/* What was sent before a sign of life has come in once another follows it by the trip time. */
static void test_signs_of_life(void **state)
{
    (void)state;
    begin(0);
    hub_receipt_heard(&r, 100000);
    send_number(FIRST + 1, 10);
    hub_receipt_heard(&r, 115000);
    assert_int_equal(r.alive, FIRST);
    send_number(FIRST + 2, 10);
    hub_receipt_heard(&r, 115000 + HUB_RECEIPT_TRIP_MS - 1); /* may have left before it came */
    assert_int_equal(r.alive, FIRST);
    hub_receipt_heard(&r, 115000 + HUB_RECEIPT_TRIP_MS);
    assert_int_equal(r.alive, FIRST + 1);
    hub_receipt_heard(&r, 145000);
    assert_int_equal(r.alive, FIRST + 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walks_back_over_whole_messages),
        cmocka_unit_test(test_other_bytes_are_told_apart),
        cmocka_unit_test(test_complete),
        cmocka_unit_test(test_forgotten_runs_repeat_rather_than_lose),
        cmocka_unit_test(test_random_streams),
        cmocka_unit_test(test_what_never_came_here),
        cmocka_unit_test(test_a_length_that_is_not_known),
        cmocka_unit_test(test_what_is_certain_already),
        cmocka_unit_test(test_signs_of_life),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
