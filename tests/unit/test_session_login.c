/* The first connection of a user, a login refused for good, and whose account the answer is. */
#include "session_fakes.h"

/* ---- first connection of a user ---- */

static void test_first_connection_logs_in_once(void **state)
{
    (void)state;
    attach(0, 1);
    attach(1, 2);
    attach(2, 3);
    attach(0, 4);
    assert_int_equal(w.attached, 4);
    assert_int_equal(w.acquires, 1); /* single flight, however many tabs */
    assert_int_equal(rest_count(REST_LOGIN), 1);
    check_state(SESSION_LOGGING_IN);
    assert_string_equal(rest_pending(REST_LOGIN)->user, "ana");
    assert_string_equal(rest_pending(REST_LOGIN)->token, "secret");
    ok_login("u9", "tok1", "ana");
    assert_int_equal(w.dones, 1);
    assert_int_equal(w.last_done, RC_OK);
    check_state(SESSION_CONNECTING);
    assert_string_equal(entry()->token, "tok1");
    assert_string_equal(seen.user_id, "u9");
    assert_string_equal(seen.username, "ana");
    assert_string_equal(seen.ddp_session, "");
    connected("ddp1");
    check_state(SESSION_AUTHENTICATING);
    ddp_ok("login", RESUMED);
    all_ready();
    check_state(SESSION_LIVE);
    assert_int_equal(rest_count(REST_LOGIN), 1);
    assert_int_equal(nconns, 1);
    assert_int_equal(w.pushes[0], 0); /* a normal start is not worth a status */
}

static void test_cached_token_goes_straight_to_connecting(void **state)
{
    (void)state;
    write_entry(NULL, "tok1", "old");
    attach(0, 1);
    check_state(SESSION_CONNECTING);
    assert_int_equal(w.acquires, 0);
    connected("ddp1");
    assert_string_equal(entry()->ddp_session, "ddp1");
    assert_string_equal(seen.instance, "one");
    assert_string_equal(ddp_pending("login")->params, "[{\"resume\":\"tok1\"}]");
}

/* ---- login refused for good ---- */

static void test_refusals_pause_and_grow(void **state)
{
    static const char *const codes[] = {"403", "totp-required", "error-user-is-not-activated",
                                        "error-user-has-no-roles"};

    (void)state;
    attach(1, 1);
    for (int i = 0; i < 4; i++) {
        struct rc_error error;
        char status[128];

        assert_non_null(rest_pending(REST_LOGIN));
        rc_error_set(&error, slice_of(codes[i]));
        rest_answer(rest_pending(REST_LOGIN), NULL, NULL, NULL, &error);
        settle();
        check_state(SESSION_REFUSED);
        snprintf(status, sizeof status,
                 "{\"state\":\"refused\",\"code\":\"%s\",\"retryAfter\":", codes[i]);
        assert_true(was_pushed(1, status));
        assert_int_equal(w.last_done, error.result);
        advance((uint64_t)(59 << i) * 1000);
        check_state(SESSION_REFUSED);
        advance((uint64_t)(8 << i) * 1000); /* the jitter is a tenth */
        check_state(SESSION_LOGGING_IN);
    }
    assert_int_equal(w.dones, 4);
    attach(2, 2);
    assert_non_null(strstr(w.told_one, "2:2 "));
    assert_non_null(strstr(w.told_one, "connecting"));
}

static void test_late_tab_hears_of_the_refusal(void **state)
{
    (void)state;
    attach(0, 1);
    rest_fail(rest_pending(REST_LOGIN), RC_UNAUTHORIZED, "403");
    settle();
    attach(2, 7);
    assert_int_equal(w.attached, 2);
    assert_non_null(strstr(w.told_one, "2:7 "));
    assert_non_null(strstr(w.told_one, "{\"state\":\"refused\",\"code\":\"403\",\"retryAfter\":6"));
    check_state(SESSION_REFUSED); /* another tab is no reason to try again */
    assert_int_equal(rest_count(REST_LOGIN), 1);
}

static void test_governor_refuses(void **state)
{
    struct rc_error error;

    (void)state;
    w.hold_logins = true;
    attach(0, 1);
    rc_error_of(&error, RC_UNAUTHORIZED);
    error.retry_after_ms = 500000;
    session_table_login_refused(w.table, w.tickets[0], &error);
    settle();
    check_state(SESSION_REFUSED);
    advance(499000);
    check_state(SESSION_REFUSED);
    advance(2000);
    check_state(SESSION_LOGGING_IN);
    assert_int_equal(w.dones, 0); /* nothing was granted */
}

static void test_login_that_fails_for_now(void **state)
{
    (void)state;
    attach(0, 1);
    rest_fail(rest_pending(REST_LOGIN), RC_UNREACHABLE, "connection-refused");
    settle();
    check_state(SESSION_BACKOFF);
    assert_true(was_pushed(0, "{\"state\":\"backoff\",\"code\":\"connection-refused\""));
    advance(1100);
    assert_non_null(rest_pending(REST_LOGIN));
    ok_login("u9", "tok1", "ana");
    resumed("ddp1");
    assert_true(was_pushed(0, "{\"state\":\"live\",\"code\":null,\"retryAfter\":null}"));
}

/* rocketchat.md 2.3: the block lasts 5 minutes, by default. */
static void test_login_of_a_blocked_user_waits_the_block_out(void **state)
{
    (void)state;
    attach(0, 1);
    rest_fail(rest_pending(REST_LOGIN), RC_BLOCKED_USER, "error-login-blocked-for-user");
    settle();
    check_state(SESSION_REFUSED);
    assert_true(was_pushed(
        0, "{\"state\":\"refused\",\"code\":\"error-login-blocked-for-user\",\"retryAfter\":300"));
    advance(RC_LOGIN_BLOCK_MS - 2000);
    assert_int_equal(w.acquires, 1);
    advance(2200);
    assert_int_equal(w.acquires, 2);
}

static void test_login_from_a_blocked_address_waits_the_block_out(void **state)
{
    (void)state;
    attach(0, 1);
    rest_fail(rest_pending(REST_LOGIN), RC_BLOCKED_IP, "error-login-blocked-for-ip");
    settle();
    check_state(SESSION_BACKOFF);
    assert_true(was_pushed(
        0, "{\"state\":\"backoff\",\"code\":\"error-login-blocked-for-ip\",\"retryAfter\":30"));
    advance(RC_LOGIN_BLOCK_MS - 100);
    assert_null(rest_pending(REST_LOGIN));
    advance(1200);
    assert_non_null(rest_pending(REST_LOGIN));
}

static void test_limited_login_waits_as_told(void **state)
{
    struct rc_error error;

    (void)state;
    attach(0, 1);
    rc_error_of(&error, RC_RATE_LIMITED);
    error.retry_after_ms = 37000;
    rest_answer(rest_pending(REST_LOGIN), NULL, NULL, NULL, &error);
    settle();
    advance(36900);
    assert_null(rest_pending(REST_LOGIN));
    advance(1300);
    assert_non_null(rest_pending(REST_LOGIN));
}

/* ---- whose account it is ---- */

static void test_answer_for_somebody_else_is_refused(void **state)
{
    (void)state;
    attach(0, 1);
    ok_login("u8", "tok8", "anabel");
    check_state(SESSION_REFUSED);
    assert_false(entry()->is);
    assert_int_equal(nconns, 0);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok8"); /* not left behind */
}

static void test_answer_without_a_name_asks_me(void **state)
{
    struct rest_me me = {SLICE_LIT("u9"), SLICE_LIT("ana")};

    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", "");
    check_state(SESSION_LOGGING_IN);
    assert_string_equal(rest_pending(REST_ME)->token, "tok1");
    rest_answer(rest_pending(REST_ME), NULL, &me, NULL, NULL);
    settle();
    check_state(SESSION_CONNECTING);
}

static void test_me_that_fails_drops_the_token(void **state)
{
    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", "");
    rest_fail(rest_pending(REST_ME), RC_TIMED_OUT, NULL);
    settle();
    check_state(SESSION_BACKOFF);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
    assert_false(entry()->is);
}

/* Each visit would cost a login of the few there are a minute, and a logout. */
static void test_a_refused_account_is_remembered_without_tabs(void **state)
{
    (void)state;
    attach(0, 1);
    ok_login("u7", "tok7", "somebody");
    check_state(SESSION_REFUSED);
    assert_int_equal(rest_count(REST_LOGIN), 1);
    for (uint64_t visit = 2; visit < 6; visit++) {
        detach(0, visit - 1);
        advance(1000);
        attach(0, visit);
        settle();
        check_state(SESSION_REFUSED);
    }
    assert_int_equal(rest_count(REST_LOGIN), 1);
    assert_non_null(strstr(w.told_one, "refused"));
    detach(0, 5);
    advance(70 * 1000);
    assert_null(w.table->sessions); /* nobody asks: nothing is tried, nothing is kept */
    assert_int_equal(rest_count(REST_LOGIN), 1);
}

static void test_the_admin_is_nobodys_account(void **state)
{
    (void)state;
    session_table_set_admin(w.table, SLICE_LIT("uAdmin"), SLICE_LIT("boss"));
    attach(0, 1);
    ok_login("uAdmin", "tokA", "ana");
    check_state(SESSION_REFUSED);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tokA");
}

static void test_a_session_found_to_be_the_admins_ends(void **state)
{
    (void)state;
    go_live_now();
    session_table_set_admin(w.table, SLICE_LIT("u9"), SLICE_LIT("boss"));
    ddp_ok("logout", ""); /* nothing of the admin's is left behind */
    check_state(SESSION_REFUSED);
    session_table_set_admin(w.table, SLICE_LIT("u9"), SLICE_LIT("boss")); /* at each renewal */
    advance(3600 * 1000);
    check_state(SESSION_REFUSED);
    assert_int_equal(nconns, 1);
}

/* The admin may become known while a session is between two connections. */
static void test_a_waiting_session_found_to_be_the_admins_ends(void **state)
{
    (void)state;
    go_live_now();
    lose_connection();
    check_state(SESSION_BACKOFF);
    token_cache_remove(w.cache, slice_of(user_key), NULL, TOKEN_REMOVAL_REFUSED, session()->watch,
                       session_ignore_cache, NULL); /* so that only the kept token tells */
    settle();
    session_table_set_admin(w.table, SLICE_LIT("u9"), SLICE_LIT("boss"));
    settle();
    check_state(SESSION_REFUSED);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
    advance(3600 * 1000);
    check_state(SESSION_REFUSED);
    assert_int_equal(nconns, 1);
}

static void test_cached_entry_of_another_account_is_discarded(void **state)
{
    struct token_entry other = {.rc_user_id = SLICE_LIT("u7"),
                                .rc_username = SLICE_LIT("old-name"),
                                .auth_token = SLICE_LIT("tok7")};

    (void)state;
    token_cache_put(w.cache, slice_of(user_key), NULL, &other, NULL, session_ignore_cache, NULL);
    settle();
    attach(0, 1);
    check_state(SESSION_LOGGING_IN);
    assert_int_equal(w.acquires, 1);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok7");
    ok_login("u9", "tok1", "ana");
    assert_string_equal(entry()->token, "tok1");
}

static void test_refused_identity_has_a_connection_but_no_login(void **state)
{
    (void)state;
    assert_true(attach_as(user_key, "", "tenant-template", 1, 5));
    assert_int_equal(w.attached, 1);
    check_state(SESSION_REFUSED);
    assert_true(
        was_pushed(1, "{\"state\":\"refused\",\"code\":\"tenant-template\",\"retryAfter\":null}"));
    advance(7200 * 1000);
    assert_int_equal(w.acquires, 0);
    assert_true(attach_as(user_key, "", "tenant-template", 1, 6));
    assert_non_null(strstr(w.told_one, "1:6 "));
    detach(1, 5);
    detach(1, 6);
    advance(100);
    assert_null(session());
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_first_connection_logs_in_once),
        T(test_cached_token_goes_straight_to_connecting),
        T(test_refusals_pause_and_grow),
        T(test_late_tab_hears_of_the_refusal),
        T(test_governor_refuses),
        T(test_login_that_fails_for_now),
        T(test_login_of_a_blocked_user_waits_the_block_out),
        T(test_login_from_a_blocked_address_waits_the_block_out),
        T(test_limited_login_waits_as_told),
        T(test_answer_for_somebody_else_is_refused),
        T(test_answer_without_a_name_asks_me),
        T(test_me_that_fails_drops_the_token),
        T(test_a_refused_account_is_remembered_without_tabs),
        T(test_the_admin_is_nobodys_account),
        T(test_a_session_found_to_be_the_admins_ends),
        T(test_a_waiting_session_found_to_be_the_admins_ends),
        T(test_cached_entry_of_another_account_is_discarded),
        T(test_refused_identity_has_a_connection_but_no_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
