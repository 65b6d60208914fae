/* A user's token lent to callers, with and without connections. */
#include "session_fakes.h"

static struct lent {
    unsigned loans, refusals;
    char token[64], user_id[64], username[64];
    enum rc_result result;
    char code[64];
    uint64_t retry_after_ms;
} lent;

static bool checked; /* callers ask for a look at a kept token */

static int start(void **state)
{
    (void)state;
    world_start();
    memset(&lent, 0, sizeof lent);
    checked = false;
    return 0;
}

static void on_loan(void *arg, const struct session_loan *loan, const struct rc_error *error)
{
    (void)arg;
    if (error == NULL) {
        lent.loans++;
        snprintf(lent.token, sizeof lent.token, "%.*s", (int)loan->auth_token.len,
                 loan->auth_token.ptr);
        snprintf(lent.user_id, sizeof lent.user_id, "%.*s", (int)loan->user_id.len,
                 loan->user_id.ptr);
        snprintf(lent.username, sizeof lent.username, "%.*s", (int)loan->username.len,
                 loan->username.ptr);
        return;
    }
    lent.refusals++;
    lent.result = error->result;
    lent.retry_after_ms = error->retry_after_ms;
    snprintf(lent.code, sizeof lent.code, "%s", error->code);
}

static void borrow_as(const char *username, const char *not_for, const char *refused)
{
    const struct session_ask ask = {
        .who = {.key = slice_of(user_key), .username = slice_of(username), .refused = not_for},
        .refused = slice_of(refused),
        .check = checked,
        .limit_ms = 3000,
    };

    session_table_lend(w.table, &ask, on_loan, NULL);
    settle();
}

static void borrow(void)
{
    borrow_as("ana", NULL, NULL);
}

static void doubt(const char *token)
{
    borrow_as("ana", NULL, token);
}

/* ---- no connection ---- */

static void test_a_login_without_a_connection(void **state)
{
    (void)state;
    borrow();
    borrow();
    assert_int_equal(w.acquires, 1); /* single flight */
    assert_int_equal(lent.loans, 0);
    ok_login("u9", "tok1", "ana");
    assert_int_equal(lent.loans, 2);
    assert_string_equal(lent.token, "tok1");
    assert_string_equal(lent.user_id, "u9");
    assert_string_equal(lent.username, "ana");
    assert_int_equal(nconns, 0); /* no DDP for a request alone */
    assert_null(session());      /* and nothing kept but the entry */
    assert_string_equal(entry()->token, "tok1");
    borrow();
    assert_int_equal(lent.loans, 3);
    assert_int_equal(rest_count(REST_LOGIN), 1);
    assert_null(session());
    assert_int_equal(rest_count(REST_LOGOUT), 0);
    advance(2 * 3600 * 1000); /* nobody's any more: the orphan is logged out */
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
}

static void test_a_tab_meanwhile_gets_its_connection(void **state)
{
    (void)state;
    borrow();
    attach(0, 1);
    assert_int_equal(w.acquires, 1);
    ok_login("u9", "tok1", "ana");
    assert_int_equal(lent.loans, 1);
    check_state(SESSION_CONNECTING);
    resumed("ddp1");
    check_state(SESSION_LIVE);
    borrow();
    assert_int_equal(lent.loans, 2);
    check_state(SESSION_LIVE);
}

static void test_by_ddp_the_connection_ends_with_the_login(void **state)
{
    (void)state;
    w.road = LOGIN_ROAD_DDP;
    borrow();
    connected("ddp1");
    see_user("u9", "{\"username\":\"ana\"}");
    assert_int_equal(lent.loans, 0);
    ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
    assert_int_equal(lent.loans, 1);
    assert_null(link_now());
    assert_null(session());
    assert_string_equal(entry()->token, "tok1");
    assert_int_equal(rest_count(REST_LOGOUT), 0);
}

static void test_a_lingering_session_lends_and_goes(void **state)
{
    (void)state;
    go_live_now();
    detach(0, 1);
    borrow();
    assert_int_equal(lent.loans, 1);
    advance(95 * 1000);
    assert_null(session());
    assert_null(link_now());
}

static void test_linger_does_not_cut_a_login_that_is_waited_for(void **state)
{
    (void)state;
    attach(0, 1);
    detach(0, 1);
    advance(89 * 1000);
    borrow();
    advance(1500); /* past the linger */
    check_state(SESSION_LOGGING_IN);
    ok_login("u9", "tok1", "ana");
    assert_int_equal(lent.loans, 1);
    if (link_now() != NULL) /* still lingering a moment: */
        connected("ddp1");
    advance(5000);
    assert_null(session());
    assert_null(link_now());
}

static void on_other_notice(void *arg, const struct token_notice *notice)
{
    (void)arg;
    (void)notice;
}

/* A token that no entry keeps would be logged out under its borrower. */
static void test_no_room_in_the_cache(void **state)
{
    struct token_watch *watches[100];
    struct token_entry other = {.rc_user_id = SLICE_LIT("u"), .auth_token = SLICE_LIT("t")};
    char key[32];

    (void)state;
    for (int i = 0; i < 100; i++) {
        snprintf(key, sizeof key, "other%d", i);
        watches[i] = token_cache_watch(w.cache, slice_of(key), on_other_notice, NULL);
        assert_true(token_cache_put(w.cache, slice_of(key), NULL, &other, watches[i],
                                    session_ignore_cache, NULL));
    }
    borrow();
    ok_login("u9", "tok1", "ana");
    assert_int_equal(lent.refusals, 1);
    assert_string_equal(lent.code, "token-cache-full");
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
    for (int i = 0; i < 100; i++)
        token_cache_unwatch(watches[i]);
}

/* ---- those who get nothing ---- */

static void test_users_that_can_have_no_session(void **state)
{
    (void)state;
    borrow_as("", "tenant-template", NULL);
    assert_int_equal(lent.refusals, 1);
    assert_int_equal(lent.result, RC_REFUSED);
    assert_string_equal(lent.code, "tenant-template");
    assert_null(session());
    assert_int_equal(w.acquires, 0);
}

static void test_another_account_is_not_lent(void **state)
{
    (void)state;
    borrow();
    ok_login("u9", "tok1", "Ana");
    assert_int_equal(lent.loans, 0);
    assert_string_equal(lent.code, "account-other-name");
    assert_int_equal(lent.result, RC_REFUSED);
    assert_true(lent.retry_after_ms >= 60000);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
}

static void test_not_before_it_is_known_whose_account_it_is(void **state)
{
    struct rest_me me = {SLICE_LIT("u9"), SLICE_LIT("ana")};

    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", ""); /* so `me` is asked */
    borrow();
    assert_int_equal(lent.loans, 0);
    rest_answer(rest_pending(REST_ME), NULL, &me, NULL, NULL);
    settle();
    assert_int_equal(lent.loans, 1);
}

static void test_the_admins_token_is_not_lent(void **state)
{
    (void)state;
    session_table_set_admin(w.table, SLICE_LIT("u9"), SLICE_LIT("boss"));
    borrow();
    ok_login("u9", "tok1", "ana");
    assert_int_equal(lent.loans, 0);
    assert_string_equal(lent.code, "account-admin");
}

static void test_a_refusal_is_remembered(void **state)
{
    (void)state;
    borrow();
    rest_fail(rest_pending(REST_LOGIN), RC_UNAUTHORIZED, "403");
    settle();
    assert_int_equal(lent.refusals, 1);
    assert_int_equal(lent.result, RC_REFUSED);
    assert_string_equal(lent.code, "403");
    borrow();
    assert_int_equal(lent.refusals, 2);
    assert_int_equal(rest_count(REST_LOGIN), 1); /* not asked again */
    assert_true(lent.retry_after_ms > 0 && lent.retry_after_ms <= 66000);
    advance(70 * 1000);
    assert_null(session()); /* nobody is connected: no retry of its own */
    assert_int_equal(rest_count(REST_LOGIN), 1);
}

static void test_a_passing_failure(void **state)
{
    (void)state;
    borrow();
    rest_fail(rest_pending(REST_LOGIN), RC_UNREACHABLE, NULL);
    settle();
    assert_int_equal(lent.refusals, 1);
    assert_int_equal(lent.result, RC_UNREACHABLE);
    assert_true(lent.retry_after_ms > 0 && lent.retry_after_ms <= 1001);
    borrow(); /* within the pause */
    assert_int_equal(lent.refusals, 2);
    assert_int_equal(rest_count(REST_LOGIN), 1);
    advance(1500);
    assert_null(session()); /* no retry for nobody */
    borrow();
    assert_int_equal(rest_count(REST_LOGIN), 2);
    ok_login("u9", "tok1", "ana");
    assert_int_equal(lent.loans, 1);
}

static void test_a_kept_token_is_lent_while_ddp_is_away(void **state)
{
    (void)state;
    go_live_now();
    lose_connection();
    check_state(SESSION_BACKOFF);
    borrow();
    assert_int_equal(lent.loans, 1);
    check_state(SESSION_BACKOFF);
}

static void test_waiting_ends_and_the_login_goes_on(void **state)
{
    (void)state;
    w.hold_logins = true;
    borrow();
    advance(2900);
    assert_int_equal(lent.refusals, 0);
    advance(200);
    assert_int_equal(lent.refusals, 1);
    assert_int_equal(lent.result, RC_TIMED_OUT);
    check_state(SESSION_LOGGING_IN);
    w.hold_logins = false;
    settle();
    ok_login("u9", "tok1", "ana");
    assert_string_equal(entry()->token, "tok1");
    assert_null(session());
}

static void test_those_who_wait_hear_of_the_end(void **state)
{
    (void)state;
    w.hold_logins = true;
    borrow();
    assert_true(session_table_revoke(w.table, slice_of(user_key), SESSION_LOGGED_OUT));
    settle();
    assert_int_equal(lent.refusals, 1);
    assert_int_equal(lent.result, RC_CANCELLED);
    assert_string_equal(lent.code, "logged-out");
    borrow();
    session_table_drain(w.table, 1000, set_true, &w.drained);
    settle();
    assert_int_equal(lent.refusals, 2);
    assert_string_equal(lent.code, "draining");
    borrow();
    assert_int_equal(lent.refusals, 3);
    assert_string_equal(lent.code, "draining");
}

/* ---- tokens that were refused ---- */

static void answer_me_ok(void)
{
    struct rest_me me = {SLICE_LIT("u9"), SLICE_LIT("ana")};

    rest_answer(rest_pending(REST_ME), NULL, &me, NULL, NULL);
    settle();
}

static void answer_me_dead(void)
{
    rest_fail(rest_pending(REST_ME), RC_UNAUTHORIZED, "401");
    settle();
}

static void test_a_dead_token_makes_room_for_a_new_one(void **state)
{
    (void)state;
    borrow();
    ok_login("u9", "tok1", "ana");
    doubt("tok1");
    doubt("tok1");
    assert_int_equal(rest_count(REST_ME), 1);
    assert_int_equal(lent.loans, 1);
    answer_me_dead();
    assert_string_equal(rest_pending(REST_LOGIN)->user, "ana");
    ok_login("u9", "tok2", "ana");
    assert_int_equal(lent.loans, 3);
    assert_string_equal(lent.token, "tok2");
    assert_string_equal(entry()->token, "tok2");
    doubt("tok1"); /* an older one than the one at hand */
    assert_int_equal(lent.loans, 4);
    assert_string_equal(lent.token, "tok2");
    assert_int_equal(rest_count(REST_ME), 1);
    assert_null(session());
}

static void test_a_live_token_is_lent_again(void **state)
{
    (void)state;
    borrow();
    ok_login("u9", "tok1", "ana");
    doubt("tok1");
    borrow(); /* has no doubts: does not wait */
    assert_int_equal(lent.loans, 2);
    answer_me_ok();
    assert_int_equal(lent.loans, 3);
    assert_string_equal(lent.token, "tok1");
    assert_int_equal(rest_count(REST_LOGIN), 1);
    assert_null(session());
    doubt("tok1"); /* whoever has cause for a 401 gets theirs: it is not asked about at each */
    assert_int_equal(lent.loans, 4);
    assert_int_equal(rest_count(REST_ME), 1);
    advance(5000);
    doubt("tok1");
    assert_int_equal(lent.loans, 4);
    answer_me_ok();
    assert_int_equal(lent.loans, 5);
}

static void test_a_new_token_is_doubted_at_once(void **state)
{
    (void)state;
    borrow();
    ok_login("u9", "tok1", "ana");
    advance(1000);
    doubt("tok1");
    answer_me_ok();
    remove_entry(TOKEN_REMOVAL_REFUSED);
    write_entry(NULL, "tok2", "");
    doubt("tok2");
    answer_me_dead();
    ok_login("u9", "tok3", "ana");
    assert_string_equal(lent.token, "tok3");
}

static void test_a_kept_token_is_checked_where_asked(void **state)
{
    (void)state;
    checked = true;
    borrow();
    ok_login("u9", "tok1", "ana");
    assert_int_equal(lent.loans, 1); /* made this moment */
    assert_null(rest_pending(REST_ME));
    borrow(); /* by the same session still, or not */
    assert_int_equal(lent.loans, 1);
    answer_me_ok();
    assert_int_equal(lent.loans, 2);
    advance(1000);
    borrow();
    rest_fail(rest_pending(REST_ME), RC_RATE_LIMITED, NULL);
    settle();
    assert_int_equal(lent.loans, 3); /* nobody had a 401 from it */
    borrow();
    answer_me_dead();
    ok_login("u9", "tok2", "ana");
    assert_int_equal(lent.loans, 4);
    assert_string_equal(lent.token, "tok2");
}

static void test_what_is_not_known_goes_by_the_tokens_age(void **state)
{
    (void)state;
    borrow();
    ok_login("u9", "tok1", "ana");
    doubt("tok1");
    rest_fail(rest_pending(REST_ME), RC_RATE_LIMITED, NULL);
    settle();
    assert_int_equal(lent.loans, 2); /* young: the same again */
    assert_int_equal(rest_count(REST_LOGIN), 1);
    advance(5000);
    doubt("tok1");
    rest_fail(rest_pending(REST_ME), RC_UNREACHABLE, NULL);
    settle();
    assert_int_equal(lent.loans, 3);
    remove_entry(TOKEN_REMOVAL_REFUSED);
    write_entry(NULL, "old", ""); /* issued in 1970 */
    doubt("old");
    rest_fail(rest_pending(REST_ME), RC_RATE_LIMITED, NULL);
    settle();
    assert_int_equal(lent.loans, 3);
    ok_login("u9", "tok2", "ana");
    assert_int_equal(lent.loans, 4);
    assert_string_equal(lent.token, "tok2");
}

static void test_a_dead_token_takes_the_connection_along(void **state)
{
    (void)state;
    go_live_now();
    doubt("tok1");
    check_state(SESSION_LIVE);
    answer_me_dead();
    check_state(SESSION_LOGGING_IN);
    assert_int_equal(rest_count(REST_LOGOUT), 0); /* it is dead */
    ok_login("u9", "tok2", "ana");
    assert_int_equal(lent.loans, 1);
    assert_string_equal(lent.token, "tok2");
    check_state(SESSION_CONNECTING);
}

static void test_the_doubted_token_is_replaced_meanwhile(void **state)
{
    (void)state;
    go_live_now();
    doubt("tok1");
    remove_entry(TOKEN_REMOVAL_REFUSED); /* the session leaves, and logs in by itself */
    ok_login("u9", "tok2", "ana");
    assert_int_equal(lent.loans, 1);
    assert_string_equal(lent.token, "tok2");
    answer_me_dead();
    assert_string_equal(entry()->token, "tok2");
}

static void test_time_is_up_during_the_check(void **state)
{
    (void)state;
    borrow();
    ok_login("u9", "tok1", "ana");
    doubt("tok1");
    advance(3100);
    assert_int_equal(lent.refusals, 1);
    assert_int_equal(lent.result, RC_TIMED_OUT);
    assert_non_null(session());
    answer_me_dead();
    assert_null(session());
    assert_false(entry()->is);
    assert_int_equal(rest_count(REST_LOGIN), 1); /* nobody asks any more */
}

static void test_the_end_comes_during_the_check(void **state)
{
    (void)state;
    borrow();
    ok_login("u9", "tok1", "ana");
    doubt("tok1"); /* world_stop() ends it all */
    session_table_drain(w.table, 1000, set_true, &w.drained);
    settle();
    assert_int_equal(lent.refusals, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop_world)
        T(test_a_login_without_a_connection),
        T(test_a_tab_meanwhile_gets_its_connection),
        T(test_by_ddp_the_connection_ends_with_the_login),
        T(test_a_lingering_session_lends_and_goes),
        T(test_linger_does_not_cut_a_login_that_is_waited_for),
        T(test_no_room_in_the_cache),
        T(test_users_that_can_have_no_session),
        T(test_another_account_is_not_lent),
        T(test_not_before_it_is_known_whose_account_it_is),
        T(test_the_admins_token_is_not_lent),
        T(test_a_refusal_is_remembered),
        T(test_a_passing_failure),
        T(test_a_kept_token_is_lent_while_ddp_is_away),
        T(test_waiting_ends_and_the_login_goes_on),
        T(test_those_who_wait_hear_of_the_end),
        T(test_a_dead_token_makes_room_for_a_new_one),
        T(test_a_live_token_is_lent_again),
        T(test_a_new_token_is_doubted_at_once),
        T(test_a_kept_token_is_checked_where_asked),
        T(test_what_is_not_known_goes_by_the_tokens_age),
        T(test_a_dead_token_takes_the_connection_along),
        T(test_the_doubted_token_is_replaced_meanwhile),
        T(test_time_is_up_during_the_check),
        T(test_the_end_comes_during_the_check),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
