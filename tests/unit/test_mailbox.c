/* Order, bounds and wake-ups of bridge/mailbox, with real threads (TSan runs this too). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "bridge/mailbox.h"
#include <stdlib.h>

#define PRODUCERS 3
#define PER_PRODUCER 20000

struct note {
    struct mail mail;
    unsigned producer, number;
};

struct consumer {
    uv_loop_t loop;
    struct mailbox *box;
    unsigned next[PRODUCERS], delivered, discarded, stop_at;
};

static unsigned discarded;

static void deliver(struct mail *mail, void *arg)
{
    struct note *note = (struct note *)mail;
    struct consumer *c = arg;

    assert_int_equal(note->number, c->next[note->producer]++);
    free(note);
    if (++c->delivered == c->stop_at)
        uv_stop(&c->loop);
}

static void discard(struct mail *mail)
{
    discarded++;
    free(mail);
}

static struct note *note_new(unsigned producer, unsigned number, uint32_t bytes, bool control)
{
    struct note *note = calloc(1, sizeof *note);

    assert_non_null(note);
    note->mail =
        (struct mail){.deliver = deliver, .discard = discard, .bytes = bytes, .control = control};
    note->producer = producer;
    note->number = number;
    return note;
}

static void open_with_own(struct consumer *c, unsigned own, size_t lane_bytes)
{
    *c = (struct consumer){0};
    assert_int_equal(uv_loop_init(&c->loop), 0);
    assert_int_equal(mailbox_new(&c->loop, PRODUCERS, own, lane_bytes, c, &c->box), 0);
}

static void consumer_open(struct consumer *c, size_t lane_bytes)
{
    open_with_own(c, MAILBOX_NO_OWN, lane_bytes);
}

static void consumer_close(struct consumer *c)
{
    mailbox_close(c->box);
    uv_run(&c->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&c->loop), 0);
    mailbox_free(c->box);
}

struct producer {
    struct mailbox *box;
    unsigned index;
    uv_thread_t thread;
};

static void produce(void *arg)
{
    struct producer *p = arg;

    for (unsigned i = 0; i < PER_PRODUCER; i++)
        assert_int_equal(
            mailbox_post(p->box, p->index, &note_new(p->index, i, 1, i % 2 == 0)->mail),
            MAILBOX_POSTED);
}

static void test_order_from_many_threads(void **state)
{
    struct producer producers[PRODUCERS];
    struct consumer c;

    (void)state;
    consumer_open(&c, SIZE_MAX);
    c.stop_at = PRODUCERS * PER_PRODUCER;
    for (unsigned i = 0; i < PRODUCERS; i++) {
        producers[i] = (struct producer){.box = c.box, .index = i};
        assert_int_equal(uv_thread_create(&producers[i].thread, produce, &producers[i]), 0);
    }
    uv_run(&c.loop, UV_RUN_DEFAULT); /* returns when the last has come: no wake-up was lost */
    for (unsigned i = 0; i < PRODUCERS; i++) {
        uv_thread_join(&producers[i].thread);
        assert_int_equal(c.next[i], PER_PRODUCER);
        assert_int_equal(mailbox_lane_bytes(c.box, i), 0);
    }
    consumer_close(&c);
}

static void test_full_lane_refuses_data_never_control(void **state)
{
    struct consumer c;
    struct note *refused;

    (void)state;
    consumer_open(&c, 100);
    assert_int_equal(mailbox_post(c.box, 0, &note_new(0, 0, 1000, false)->mail), MAILBOX_POSTED);
    refused = note_new(0, 1, 1, false);
    assert_false(mailbox_has_room(c.box, 0, 1));
    assert_true(mailbox_has_room(c.box, 1, 1000)); /* an empty lane takes any size */
    assert_int_equal(mailbox_post(c.box, 0, &refused->mail), MAILBOX_FULL);
    assert_int_equal(mailbox_post(c.box, 0, &note_new(0, 1, 1, true)->mail), MAILBOX_POSTED);
    /* Another producer's lane has its own room. */
    assert_int_equal(mailbox_post(c.box, 1, &note_new(1, 0, 60, false)->mail), MAILBOX_POSTED);
    assert_true(mailbox_has_room(c.box, 1, 40));
    assert_false(mailbox_has_room(c.box, 1, 41));
    assert_int_equal(mailbox_post(c.box, 1, &note_new(1, 1, 40, false)->mail), MAILBOX_POSTED);
    c.stop_at = 4;
    uv_run(&c.loop, UV_RUN_DEFAULT);
    refused->number = 2;
    assert_int_equal(mailbox_post(c.box, 0, &refused->mail), MAILBOX_POSTED);
    discarded = 0;
    consumer_close(&c);
    assert_int_equal(discarded, 1); /* what was not delivered is handed back */
}

/* One mail of producer 2, behind more of the others' than a batch takes. */
static void all_before(struct mail *mail, void *arg)
{
    struct consumer *c = arg;

    mailbox_deliver_all(c->box);
    assert_int_equal(c->delivered, 2 * 1000);
    free(mail);
    uv_stop(&c->loop);
}

static void test_deliver_all_from_a_delivery(void **state)
{
    struct consumer c;
    struct mail *last = calloc(1, sizeof *last);

    (void)state;
    consumer_open(&c, SIZE_MAX);
    for (unsigned i = 0; i < 1000; i++)
        for (unsigned p = 0; p < 2; p++)
            assert_int_equal(mailbox_post(c.box, p, &note_new(p, i, 1, false)->mail),
                             MAILBOX_POSTED);
    *last = (struct mail){.deliver = all_before, .discard = discard, .control = true};
    mailbox_post(c.box, 2, last);
    uv_run(&c.loop, UV_RUN_DEFAULT);
    assert_int_equal(c.delivered, 2 * 1000);
    consumer_close(&c);
}

static void deliver_and_post(struct mail *mail, void *arg)
{
    struct consumer *c = arg;

    c->delivered++;
    assert_int_equal(mailbox_post(c->box, 0, mail), MAILBOX_POSTED);
}

/* A batch smaller than what a busy turn posts would lose messages the loop could carry. */
static void test_a_turn_takes_all_that_stood_there(void **state)
{
    struct consumer c;
    struct note *again = note_new(0, 0, 1, true);

    (void)state;
    consumer_open(&c, SIZE_MAX);
    for (unsigned i = 0; i < 5000; i++)
        assert_int_equal(mailbox_post(c.box, 1, &note_new(1, i, 1, false)->mail), MAILBOX_POSTED);
    uv_run(&c.loop, UV_RUN_ONCE);
    assert_int_equal(c.delivered, 5000);
    /* What a delivery posts waits for the next turn, or the sockets would starve. */
    again->mail.deliver = deliver_and_post;
    assert_int_equal(mailbox_post(c.box, 0, &again->mail), MAILBOX_POSTED);
    uv_run(&c.loop, UV_RUN_ONCE);
    assert_int_equal(c.delivered, 5001);
    consumer_close(&c);
}

static void on_timer(uv_timer_t *timer)
{
    struct consumer *c = timer->data;

    assert_int_equal(mailbox_post(c->box, 0, &note_new(0, 0, 1, false)->mail), MAILBOX_POSTED);
    assert_int_equal(c->delivered, 0); /* never while it is being posted */
    uv_close((uv_handle_t *)timer, NULL);
}

static void test_own_mail_at_the_end_of_its_turn(void **state)
{
    struct consumer c;
    uv_timer_t timer;
    struct note *again = note_new(0, 0, 1, true);

    (void)state;
    open_with_own(&c, 0, SIZE_MAX);
    timer.data = &c;
    uv_timer_init(&c.loop, &timer);
    uv_timer_start(&timer, on_timer, 0, 0);
    uv_run(&c.loop, UV_RUN_ONCE); /* the timer's turn: it must not sleep over the mail */
    assert_int_equal(c.delivered, 1);
    assert_int_not_equal(uv_backend_timeout(&c.loop), 0); /* nothing waits, so it sleeps again */
    /* One that posts itself again is taken once a turn, and the loop goes on without sleep. */
    again->mail.deliver = deliver_and_post;
    assert_int_equal(mailbox_post(c.box, 0, &again->mail), MAILBOX_POSTED);
    for (unsigned turn = 1; turn <= 3; turn++) {
        uv_run(&c.loop, UV_RUN_ONCE);
        assert_int_equal(c.delivered, 1 + turn);
    }
    /* The others' mail comes in between, by its wake-up. */
    assert_int_equal(mailbox_post(c.box, 1, &note_new(1, 0, 1, false)->mail), MAILBOX_POSTED);
    uv_run(&c.loop, UV_RUN_ONCE);
    assert_int_equal(c.next[1], 1);
    consumer_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_turn_takes_all_that_stood_there),
        cmocka_unit_test(test_order_from_many_threads),
        cmocka_unit_test(test_full_lane_refuses_data_never_control),
        cmocka_unit_test(test_deliver_all_from_a_delivery),
        cmocka_unit_test(test_own_mail_at_the_end_of_its_turn),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
