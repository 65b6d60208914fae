/* Tabs that are lost and come back: what they are sent, and when there is nothing to send. */
#include "session_tabs.h"

static void test_a_lost_tab_gets_what_it_missed(void **state)
{
    (void)state;
    come(1, CHROME);
    say("before");
    lose(1, 0);
    say("one");
    say("two");
    come(2, CHROME);
    assert_string_equal(told(), "one two ");
    assert_int_equal(metric(METRIC_REPLAY_SLOTS_LEFT), 1);
    assert_int_equal(metric(METRIC_REPLAY_SLOTS_CLAIMED), 1);
    assert_int_equal(metric(METRIC_REPLAY_EVENTS), 2);
    come(3, CHROME); /* a new tab, besides */
    assert_string_equal(told(), "");
    leave(2);
    leave(3);
}

static void test_a_tab_that_left_gets_nothing(void **state)
{
    (void)state;
    come(1, CHROME);
    say("before");
    assert_int_equal(session()->ring.count, 1);
    leave(1);
    say("one");
    assert_int_equal(session()->ring.count, 0); /* nobody will ask for it */
    come(2, CHROME);
    assert_string_equal(told(), "");
    leave(2);
}

static void test_another_kind_of_client_gets_nothing(void **state)
{
    (void)state;
    come(1, CHROME);
    lose(1, 0);
    say("one");
    come(2, FIREFOX);
    assert_string_equal(told(), "");
    come(3, CHROME);
    assert_string_equal(told(), "one ");
    leave(2);
    leave(3);
}

static void test_what_was_not_acknowledged_is_repeated(void **state)
{
    (void)state;
    come(1, CHROME);
    say("a");
    say("b");
    say("c");
    lose(1, length_of(session()->ring.last) + 1); /* the last byte of b, too */
    say("d");
    come(2, CHROME);
    assert_string_equal(told(), "b c d ");
    leave(2);
}

static void test_tails(void **state)
{
    static const struct {
        enum settings_replay_tail tail;
        const char *told;
    } cases[] = {
        {REPLAY_TAIL_ACKED, "b c d "},
        {REPLAY_TAIL_LAST_PING, "a b c d "},
        {REPLAY_TAIL_NONE, "c d "},
    };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        uint32_t len;

        w.settings.replay.tail = cases[i].tail;
        come(1, CHROME);
        say("0");
        sent(1);
        hub_receipt_heard(&tabs[1].receipt, 15000);
        hub_receipt_heard(&tabs[1].receipt, 30000);
        say("a");
        say("b");
        say("c");
        len = length_of(session()->ring.last);
        lose_all_but(1, 2 * len, len);
        say("d");
        come(2, CHROME);
        assert_string_equal(told(), cases[i].told);
        leave(2);
    }
}

static void test_one_of_two_tabs_drops(void **state)
{
    (void)state;
    come(1, CHROME);
    come(2, CHROME);
    lose(1, 0);
    forget_pushes();
    say("one");
    assert_true(was_pushed(0, "one")); /* the living one has it as ever */
    come(3, CHROME);
    assert_string_equal(told(), "one ");
    assert_int_equal(w.pushes[0], 1); /* and hears nothing of the replay */
    leave(2);
    leave(3);
}

static void test_both_tabs_drop(void **state)
{
    (void)state;
    come(1, CHROME);
    come(2, CHROME);
    lose(1, 0);
    say("one");
    lose(2, 0);
    say("two");
    come(3, CHROME);
    assert_string_equal(told(), "one two ");
    come(4, CHROME);
    assert_string_equal(told(), "one two "); /* it may be the one that has none */
    leave(3);
    leave(4);
}

static void test_replay_comes_before_anything_newer(void **state)
{
    (void)state;
    come(1, CHROME);
    lose(1, 0);
    say("one");
    come(2, CHROME);
    assert_int_equal(w.start.from, session()->ring.last - 1);
    forget_pushes();
    say("two");
    assert_int_equal(w.pushes[0], 1);
    lose(2, length_of(session()->ring.last)); /* and is told apart from it */
    come(3, CHROME);
    assert_string_equal(told(), "two ");
    leave(3);
}

/* Its own answer had not come when it was lost again: what it had claimed is there for the next. */
static void test_lost_again_with_the_replay(void **state)
{
    (void)state;
    come(1, CHROME);
    lose(1, 0);
    say("one");
    come(2, CHROME);
    lose(2, 10000);
    come(3, CHROME);
    assert_string_equal(told(), "one ");
    leave(3);
}

static void test_the_night_in_between(void **state)
{
    (void)state;
    come(1, CHROME);
    come(2, FIREFOX);
    lose(1, 0);
    say("one");
    advance(89 * SECOND);
    assert_int_equal(session()->ring.count, 1);
    advance(2 * SECOND);
    assert_int_equal(metric(METRIC_REPLAY_SLOTS_EXPIRED), 1);
    assert_int_equal(session()->ring.count, 0); /* too old for anybody */
    come(3, CHROME);
    assert_string_equal(told(), "");
    leave(2);
    leave(3);
}

static void test_the_session_stays_for_its_slots(void **state)
{
    (void)state;
    w.settings.session.linger_ms = SECOND;
    come(1, CHROME);
    lose(1, 0);
    advance(60 * SECOND);
    check_state(SESSION_LIVE);
    say("one");
    advance(28 * SECOND);
    come(2, CHROME);
    assert_string_equal(told(), "one ");
    lose(2, 0);
    advance(91 * SECOND);
    assert_null(session());
    assert_int_equal(metric(METRIC_REPLAY_BYTES), 0);
}

/* The token's time ends while nobody is there but a slot. */
static void test_the_session_is_wanted_for_its_slots(void **state)
{
    (void)state;
    come(1, CHROME);
    advance(session()->ttl_ends_ms - session_now_ms(w.table) - 10 * SECOND);
    lose(1, 0);
    say("one");
    advance(30 * SECOND);
    assert_int_equal(nconns, 2); /* with the kept token */
    come(2, CHROME);
    assert_string_equal(told(), "one ");
    leave(2);
}

static void test_more_than_is_kept_is_told(void **state)
{
    (void)state;
    w.settings.replay.ring_events = 3;
    come(1, CHROME);
    lose(1, 0);
    for (int i = 0; i < 4; i++)
        say("x");
    come(2, CHROME);
    assert_string_equal(told(), "replay-too-long ");
    assert_int_equal(metric(METRIC_REPLAY_OVERRUNS), 1);
    assert_int_equal(w.start.from, session()->ring.last);
    say("y");
    lose(2, 10000); /* neither that word nor y has come */
    come(3, CHROME);
    assert_string_equal(told(), "replay-too-long ");
    lose(3, 0); /* it has, this time */
    say("z");
    come(4, CHROME);
    assert_string_equal(told(), "z ");
    leave(4);
}

/* ... which also is never more than one connection's queue takes. */
static void test_the_bound_of_a_ring(void **state)
{
    size_t *const bounds[] = {&w.settings.replay.ring_bytes, &w.settings.limits.queue_bytes};

    (void)state;
    for (int which = 0; which < 2; which++) {
        const size_t usual = *bounds[which];

        *bounds[which] = 200; /* two of these, not three */
        come(1, CHROME);
        lose(1, 0);
        for (int i = 0; i < 3; i++)
            say("0123456789");
        assert_in_range(session()->ring.bytes, 100, 200);
        come(2, CHROME);
        assert_string_equal(told(), "replay-too-long ");
        leave(2);
        *bounds[which] = usual;
    }
}

static void test_the_bound_of_all_rings(void **state)
{
    (void)state;
    w.settings.replay.total_bytes = (size_t)NSHARDS * 200; /* two of these, not three */
    come(1, CHROME);
    for (int i = 0; i < 20; i++)
        say("0123456789");
    assert_in_range(metric(METRIC_REPLAY_BYTES), 100, 200);
    leave(1);
    assert_int_equal(metric(METRIC_REPLAY_BYTES), 0); /* nobody can come back for it */
}

static void test_old_events_are_not_kept_for_the_living(void **state)
{
    (void)state;
    come(1, CHROME);
    say("one");
    advance(60 * SECOND);
    say("two");
    assert_int_equal(session()->ring.count, 2);
    advance(10 * SECOND);
    assert_int_equal(session()->ring.count, 1);
    lose(1, length_of(session()->ring.last) + 1); /* silent for so long can't be */
    come(2, CHROME);
    assert_string_equal(told(), "replay-too-long ");
    leave(2);
}

static void test_switched_off(void **state)
{
    (void)state;
    w.settings.replay.seconds_ms = 0;
    come(1, CHROME);
    say("one");
    lose(1, 10000);
    say("two");
    come(2, CHROME);
    assert_string_equal(told(), "");
    assert_int_equal(metric(METRIC_REPLAY_SLOTS_LEFT), 0);
    leave(2);
}

static void test_status_is_not_repeated_and_resync_is(void **state)
{
    (void)state;
    come(1, CHROME);
    lose(1, 0);
    session_resync(session(), SLICE_LIT("r1"), "joined");
    session_tell(session(), TOLD_CONNECTING);
    session_tell(session(), TOLD_NOTHING);
    come(2, CHROME);
    assert_string_equal(told(), "joined ");
    leave(2);
}

/* The old connection has not been found dead yet: its shard is asked before the new one is
 * answered. */
static void test_back_before_the_loss_is_noticed(void **state)
{
    struct session_doubt doubt = {.conn_serial = 1};

    (void)state;
    come(1, CHROME);
    come(3, FIREFOX);
    say("a");
    sent(1);
    sent(3);
    w.hold_checks = true;
    say("b");
    w.attached = 0;
    come(2, CHROME);
    assert_int_equal(w.attached, 0);
    assert_int_equal(w.nchecks, 1);
    assert_int_equal(w.checks[0].client, CHROME);
    doubt.receipt = tabs[1].receipt;
    hub_receipt_sent(&doubt.receipt, doubt.receipt.last + 1, doubt.receipt.end,
                     doubt.receipt.end + length_of(session()->ring.last));
    hub_receipt_close(&doubt.receipt, doubt.receipt.end, 1, 0);
    come(5, FIREFOX);
    say("c"); /* while they are asked */
    session_table_checked(w.table, slice_of(user_key), w.checks[1].ticket, 0, NULL, 0);
    assert_string_equal(told(), "c "); /* it came after 5 did */
    memset(w.told_one, 0, sizeof w.told_one);
    w.attached = 0;
    session_table_checked(w.table, slice_of(user_key), 999, 0, &doubt, 1); /* none of ours */
    session_table_checked(w.table, slice_of("nobody"), w.checks[0].ticket, 0, &doubt, 1);
    session_table_checked(w.table, slice_of(user_key), w.checks[0].ticket, 0, &doubt, 1);
    assert_int_equal(w.attached, 1);
    assert_string_equal(told(), "b c ");
    w.nchecks = 0;
    w.hold_checks = false;
    hub_receipt_start(&tabs[2].receipt, w.start.from, w.start.torn, 0);
    tabs[1].receipt = doubt.receipt;
    lose_all_but(1, 0, 0); /* now it is found out */
    come(4, CHROME);
    assert_string_equal(told(), ""); /* its successor has it all */
    leave(2);
    leave(3);
    leave(4);
    leave(5);
}

/* What the shard answers: those n are in doubt, with one byte of their last message missing. */
static void answer_check(const unsigned *which_tabs, size_t n)
{
    struct session_doubt doubts[4];

    for (size_t i = 0; i < n; i++) {
        doubts[i] = (struct session_doubt){.conn_serial = which_tabs[i],
                                           .receipt = tabs[which_tabs[i]].receipt};
        hub_receipt_close(&doubts[i].receipt, tabs[which_tabs[i]].receipt.end, 1, 0);
    }
    memset(w.told_one, 0, sizeof w.told_one);
    session_table_checked(w.table, slice_of(user_key), w.checks[0].ticket, 0, doubts, n);
    w.nchecks = 0;
}

/* Messages were on their way to all when another came. Those that go on living are nobody's old
 * place. */
static void test_in_doubt_and_alive_after_all(void **state)
{
    (void)state;
    come(1, CHROME);
    come(2, CHROME);
    come(3, CHROME);
    say("a");
    sent(1);
    say("b");
    for (unsigned i = 1; i < 4; i++)
        sent(i);
    w.hold_checks = true;
    come(4, CHROME);
    answer_check((unsigned[]){1, 2, 3}, 3);
    assert_string_equal(told(), "b ");
    say("c");
    say("d");
    for (unsigned i = 1; i < 5; i++)
        sent(i);
    lose(1, 1);
    say("e");
    come(5, CHROME);
    answer_check(NULL, 0);
    assert_string_equal(told(), "d e ");
    come(6, CHROME);
    answer_check(NULL, 0);
    assert_string_equal(told(), "");
    w.hold_checks = false;
    for (unsigned i = 2; i < 7; i++)
        leave(i);
}

/* A tab that was lost came back while messages were on their way to its neighbour: it took its own
 * slot, after all, and left none for the next. */
static void test_a_claim_beside_one_that_lives(void **state)
{
    (void)state;
    come(1, CHROME);
    come(2, CHROME);
    lose(1, 0);
    say("a");
    sent(2);
    w.hold_checks = true;
    come(3, CHROME);
    answer_check((unsigned[]){2}, 1);
    assert_string_equal(told(), "a ");
    say("b");
    come(4, CHROME);
    answer_check(NULL, 0);
    assert_string_equal(told(), "");
    w.hold_checks = false;
    for (unsigned i = 2; i < 5; i++)
        leave(i);
}

/* Both are dead, and neither is found out: each of those that come gets what the worse one missed.
 */
static void test_both_in_doubt_and_dead(void **state)
{
    (void)state;
    come(1, CHROME);
    come(2, CHROME);
    say("a");
    sent(1);
    sent(2);
    say("b");
    sent(2);
    say("c");
    w.hold_checks = true;
    come(3, CHROME);
    answer_check((unsigned[]){1, 2}, 2);
    assert_string_equal(told(), "a b c ");
    say("d");
    come(4, CHROME);
    answer_check((unsigned[]){1, 2}, 2);
    assert_string_equal(told(), "a b c d ");
    w.hold_checks = false;
    lose(1, 4 * length_of(session()->ring.last));
    lose(2, 3 * length_of(session()->ring.last));
    come(5, CHROME);
    assert_string_equal(told(), "");
    for (unsigned i = 3; i < 6; i++)
        leave(i);
}

static void test_report(void **state)
{
    struct byte_buf json = {0};
    const char *slot;
    unsigned ends_in_ms = 0;
    int end = 0;

    (void)state;
    come(1, CHROME);
    lose(1, 0);
    say("one");
    assert_true(session_table_describe(w.table, slice_of(user_key), &json));
    byte_buf_putc(&json, '\0');
    assert_non_null(strstr(json.data, "\"replay\":{\"events\":1,\"bytes\":"));
    slot = strstr(json.data, ",\"slots\":[{");
    assert_non_null(slot);
    sscanf(slot, ",\"slots\":[{\"endsInMs\":%u,\"behind\":1}]}%n", &ends_in_ms, &end);
    assert_true(end > 0);
    assert_in_range(ends_in_ms, 89000, 90000);
    byte_buf_free(&json);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start_tabs, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_a_lost_tab_gets_what_it_missed),
        T(test_a_tab_that_left_gets_nothing),
        T(test_another_kind_of_client_gets_nothing),
        T(test_what_was_not_acknowledged_is_repeated),
        T(test_tails),
        T(test_one_of_two_tabs_drops),
        T(test_both_tabs_drop),
        T(test_replay_comes_before_anything_newer),
        T(test_lost_again_with_the_replay),
        T(test_the_night_in_between),
        T(test_the_session_stays_for_its_slots),
        T(test_the_session_is_wanted_for_its_slots),
        T(test_more_than_is_kept_is_told),
        T(test_the_bound_of_a_ring),
        T(test_the_bound_of_all_rings),
        T(test_old_events_are_not_kept_for_the_living),
        T(test_switched_off),
        T(test_status_is_not_repeated_and_resync_is),
        T(test_back_before_the_loss_is_noticed),
        T(test_in_doubt_and_alive_after_all),
        T(test_a_claim_beside_one_that_lives),
        T(test_both_in_doubt_and_dead),
        T(test_report),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
