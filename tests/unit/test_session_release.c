/* What all tabs have received is let go; what one of them may ask for is not, whatever happens
 * between the question and the answer. */
#include "session_tabs.h"

enum { QUIET = 5 * SECOND, AGAIN = 15 * SECOND };

static uint64_t last(void)
{
    return session()->ring.last;
}

static unsigned kept(void)
{
    return session()->ring.count;
}

/* The answer to the n-th question: the lowest position, and those who lack something. */
static void answer_with(unsigned n, uint64_t lowest, const struct hub_receipt *receipts,
                        size_t count)
{
    const struct session_received received = {lowest, receipts, count};

    assert_in_range(n, 1, w.nasks);
    session_table_received(w.table, slice_of(user_key), w.asks[(n - 1) % 16].ticket, &received);
    settle();
}

/* To the latest one: all have all that was there when it was asked. */
static void all_have(uint64_t number)
{
    answer_with(w.nasks, number, NULL, 0);
}

/* The tab's receipt as of now. */
static struct hub_receipt lacks(unsigned n, uint32_t unacked)
{
    struct hub_receipt r;

    sent(n);
    r = tabs[n].receipt;
    hub_receipt_close(&r, r.end, unacked, 0);
    return r;
}

static void test_let_go_when_all_have_it(void **state)
{
    (void)state;
    come(1, CHROME);
    say("a");
    say("b");
    advance(QUIET - 200);
    assert_int_equal(w.nasks, 0);
    advance(400);
    assert_int_equal(w.nasks, 1);
    assert_int_equal(kept(), 2);
    sent(1);
    all_have(last());
    assert_int_equal(kept(), 0);
    assert_null(session()->ring.events);
    assert_int_equal(metric(METRIC_REPLAY_BYTES), 0);
    advance(100 * SECOND);
    assert_int_equal(w.nasks, 1); /* nothing is kept: nothing is asked */
    lose(1, 0);
    say("c");
    come(2, CHROME);
    assert_string_equal(told(), "c ");
    leave(2);
}

static void test_what_one_lacks_is_kept(void **state)
{
    struct hub_receipt receipts[2];

    (void)state;
    come(1, CHROME);
    come(2, FIREFOX);
    say("a");
    say("b");
    say("c");
    advance(QUIET + 100);
    receipts[0] = lacks(1, 1);
    receipts[1] = lacks(2, length_of(last()) + 1);
    answer_with(1, UINT64_MAX, receipts, 2);
    assert_int_equal(kept(), 2);
    lose_all_but(2, length_of(last()) + 1, 0);
    come(3, FIREFOX);
    assert_string_equal(told(), "b c ");
    leave(1);
    leave(3);
}

/* It was on its way, or not even that, when its shard was asked. */
static void test_added_after_the_question(void **state)
{
    (void)state;
    come(1, CHROME);
    say("a");
    advance(QUIET + 100);
    say("b");
    sent(1);
    all_have(last());
    assert_int_equal(kept(), 1);
    lose(1, 1);
    come(2, CHROME);
    assert_string_equal(told(), "b ");
    leave(2);
}

/* It had ended before its shard was asked; its successor begins before the question. */
static void test_lost_and_back_before_the_answer(void **state)
{
    (void)state;
    come(1, CHROME);
    come(2, FIREFOX);
    say("a");
    advance(QUIET + 100);
    lose(1, 1);
    come(3, CHROME);
    assert_string_equal(told(), "a ");
    all_have(last()); /* of 2 alone */
    assert_int_equal(kept(), 1);
    lose(3, 1);
    come(4, CHROME);
    assert_string_equal(told(), "a ");
    leave(2);
    leave(4);
}

static void test_lost_before_the_answer(void **state)
{
    (void)state;
    come(1, CHROME);
    come(2, FIREFOX);
    say("a");
    advance(QUIET + 100);
    lose(1, 1);
    all_have(last());
    assert_int_equal(kept(), 1);
    come(3, CHROME);
    assert_string_equal(told(), "a ");
    leave(2);
    leave(3);
}

/* All have left that the question was for. */
static void test_nobody_is_there_any_more(void **state)
{
    (void)state;
    come(1, CHROME);
    say("a");
    advance(QUIET + 100);
    lose(1, 1);
    answer_with(1, UINT64_MAX, NULL, 0);
    assert_int_equal(kept(), 1);
    come(2, CHROME);
    assert_string_equal(told(), "a ");
    leave(2);
}

/* It has come, and waits for what is known of others: it hears all that follows its coming. */
static void test_not_attached_yet(void **state)
{
    (void)state;
    come(1, CHROME);
    say("a");
    w.hold_checks = true;
    come(2, FIREFOX);
    say("b");
    advance(QUIET + 100);
    assert_int_equal(w.nasks, 1);
    sent(1);
    all_have(last());
    assert_int_equal(kept(), 1);
    w.hold_checks = false;
    settle();
    assert_string_equal(told(), "b ");
    assert_int_equal(w.start.from, last() - 1);
    hub_receipt_start(&tabs[2].receipt, w.start.from, false, 0);
    advance(AGAIN + 100); /* and when it has it, that goes, too */
    assert_int_equal(w.nasks, 2);
    all_have(last());
    assert_int_equal(kept(), 0);
    leave(1);
    leave(2);
}

static void test_in_doubt_when_it_is_answered(void **state)
{
    struct session_doubt doubt = {.conn_serial = 1};

    (void)state;
    come(1, CHROME);
    say("a");
    advance(QUIET + 100);
    w.hold_checks = true;
    come(2, CHROME);
    doubt.receipt = lacks(1, 1);
    session_table_checked(w.table, slice_of(user_key), w.checks[0].ticket, 0, &doubt, 1);
    assert_string_equal(told(), "a ");
    w.nchecks = 0;
    w.hold_checks = false;
    answer_with(1, UINT64_MAX, NULL, 0); /* 1 is gone by then, and 2 not there yet */
    assert_int_equal(kept(), 1);
    detach(0, 1);
    leave(2);
}

static void test_several_shards(void **state)
{
    struct hub_receipt receipt;

    (void)state;
    come(1, CHROME);
    attach(1, 2);
    say("a");
    say("b");
    advance(QUIET + 100);
    assert_int_equal(w.nasks, 2);
    assert_int_equal(w.asks[0].shard, 0);
    assert_int_equal(w.asks[1].shard, 1);
    assert_int_equal(w.asks[0].ticket, w.asks[1].ticket);
    answer_with(2, last(), NULL, 0);
    assert_int_equal(kept(), 2);
    receipt = lacks(1, 1);
    answer_with(1, UINT64_MAX, &receipt, 1);
    assert_int_equal(kept(), 1);
    say("c");
    advance(AGAIN);
    answer_with(3, last(), NULL, 0);
    answer_with(4, last() - 1, NULL, 0);
    assert_int_equal(kept(), 1);
    leave(1);
    detach(1, 2);
}

/* Then its age is the end of it, as ever. */
static void test_a_shard_that_does_not_answer(void **state)
{
    (void)state;
    come(1, CHROME);
    attach(1, 2);
    for (int i = 0; i < 60; i++) {
        say("a");
        advance(SECOND);
    }
    assert_int_equal(w.nasks, 2);
    assert_int_equal(kept(), 60);
    advance(10 * SECOND);
    assert_in_range(kept(), 1, 59);
    advance(60 * SECOND);
    assert_int_equal(kept(), 0);
    leave(1);
    detach(1, 2);
}

static void test_pace(void **state)
{
    char text[33];

    (void)state;
    memset(text, 'x', 32);
    text[32] = '\0';
    come(1, CHROME);
    advance(100 * SECOND);
    for (int i = 0; i < 100; i++) {
        forget_pushes();
        say(text);
        if (session()->ring.bytes < 4096)
            assert_int_equal(w.nasks, 0);
    }
    advance(100);
    assert_int_equal(w.nasks, 1); /* more than a little is kept: at once */
    for (int i = 0; i < 50; i++)
        say(text);
    advance(10 * SECOND);
    assert_int_equal(w.nasks, 1); /* one at a time */
    sent(1);
    all_have(last());
    assert_int_equal(kept(), 50);
    for (int i = 0; i < 1000; i++) {
        forget_pushes();
        say(text);
        advance(10);
        if (session()->release.waits > 0) {
            sent(1);
            all_have(last());
        }
    }
    assert_in_range(w.nasks, 8, 12); /* ten seconds */
    leave(1);
}

/* A tab that does not read: what is kept for it is looked at now and then, and no more. */
static void test_one_that_lacks_all(void **state)
{
    (void)state;
    come(1, CHROME);
    for (int i = 0; i < 20; i++) {
        say("a");
        advance(3 * SECOND);
        if (session()->release.waits > 0) {
            struct hub_receipt receipt = lacks(1, UINT32_MAX);

            answer_with(w.nasks, UINT64_MAX, &receipt, 1);
        }
    }
    assert_int_equal(kept(), 20);
    assert_in_range(w.nasks, 3, 5);
    lose_all_but(1, UINT32_MAX, 0);
    come(2, CHROME);
    assert_int_equal(strlen(told()), 2 * 20);
    leave(2);
}

/* A slot needs all there is: no answer could change that. */
static void test_no_question_is_in_vain(void **state)
{
    (void)state;
    come(1, CHROME);
    come(2, FIREFOX);
    lose(1, 0);
    say("a");
    advance(60 * SECOND);
    assert_int_equal(w.nasks, 0);
    come(3, CHROME);
    assert_string_equal(told(), "a ");
    advance(AGAIN);
    assert_int_equal(w.nasks, 1);
    leave(2);
    leave(3);
}

/* A torn one that has not even got the word of it may still get it, and what follows. */
static void test_a_torn_one_holds_its_beginning(void **state)
{
    struct hub_receipt receipt;

    (void)state;
    w.settings.replay.ring_events = 3;
    come(1, CHROME);
    lose(1, 0);
    for (int i = 0; i < 4; i++)
        say("x");
    come(2, CHROME);
    assert_string_equal(told(), "replay-too-long ");
    say("y");
    advance(AGAIN);
    receipt = lacks(2, UINT32_MAX);
    answer_with(w.nasks, UINT64_MAX, &receipt, 1);
    assert_int_equal(kept(), 1);
    lose(2, length_of(last())); /* the word has come */
    come(3, CHROME);
    assert_string_equal(told(), "y ");
    leave(3);
}

/* What it had then it has for ever, though what stood between its messages is forgotten: its own
 * receipt would have it lack more than is kept. */
static void test_what_was_certain_stays_so(void **state)
{
    struct hub_receipt *r = &tabs[1].receipt, receipt;

    (void)state;
    come(1, CHROME);
    for (int i = 0; i < 3; i++)
        say("a");
    for (int i = 0; i < 3; i++) {
        uint32_t len = length_of(r->last + 1);

        /* behind a long answer to a call */
        hub_receipt_sent(r, r->last + 1, r->end + 1000, r->end + 1000 + len);
    }
    advance(QUIET + 100);
    receipt = *r;
    hub_receipt_close(&receipt, receipt.end, 2 * (1000 + length_of(last())), 0);
    answer_with(1, UINT64_MAX, &receipt, 1);
    assert_int_equal(kept(), 2);
    for (int i = 0; i < HUB_RECEIPT_RUNS; i++) {
        uint32_t len;

        say("b");
        len = length_of(r->last + 1);
        hub_receipt_sent(r, r->last + 1, r->end + 1, r->end + 1 + len);
    }
    lose_all_but(1, 2 * (1000 + length_of(last())) + HUB_RECEIPT_RUNS * (1 + length_of(last())), 0);
    come(2, CHROME);
    assert_string_equal(told(), "a a b b b b ");
    leave(2);
}

static void test_answers_that_are_not_expected(void **state)
{
    const struct session_received all = {last(), NULL, 0};
    uint64_t ticket;

    (void)state;
    come(1, CHROME);
    say("a");
    session_table_received(w.table, slice_of(user_key), 0, &all);
    advance(QUIET + 100);
    ticket = w.asks[0].ticket;
    session_table_received(w.table, slice_of("nobody"), ticket, &all);
    session_table_received(w.table, slice_of(user_key), ticket + 1, &all);
    assert_int_equal(kept(), 1);
    all_have(last());
    assert_int_equal(kept(), 0);
    say("b");
    session_table_received(w.table, slice_of(user_key), ticket, &all);
    assert_int_equal(kept(), 1);
    leave(1);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start_tabs, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_let_go_when_all_have_it),
        T(test_what_one_lacks_is_kept),
        T(test_added_after_the_question),
        T(test_lost_and_back_before_the_answer),
        T(test_lost_before_the_answer),
        T(test_nobody_is_there_any_more),
        T(test_not_attached_yet),
        T(test_in_doubt_when_it_is_answered),
        T(test_several_shards),
        T(test_a_shard_that_does_not_answer),
        T(test_pace),
        T(test_one_that_lacks_all),
        T(test_no_question_is_in_vain),
        T(test_a_torn_one_holds_its_beginning),
        T(test_what_was_certain_stays_so),
        T(test_answers_that_are_not_expected),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
