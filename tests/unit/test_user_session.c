/* The end of a user's session: the last connection leaves, or the program stops. */
#include "session_fakes.h"

/* ---- last connection leaves ---- */

static void test_linger(void **state)
{
    struct ddp_connector *c;

    (void)state;
    go_live_now();
    c = link_now();
    attach(1, 2);
    detach(0, 1);
    advance(200 * 1000);
    check_state(SESSION_LIVE);
    detach(1, 2);
    advance(89 * 1000);
    check_state(SESSION_LIVE);
    attach(2, 3); /* the client's retry */
    advance(200 * 1000);
    check_state(SESSION_LIVE);
    detach(2, 3);
    advance(91 * 1000);
    assert_true(c->ended);
    assert_null(session());
    assert_string_equal(entry()->token, "tok1"); /* until its TTL */
    assert_int_equal(rest_count(REST_LOGOUT), 0);
}

static void test_return_while_closing(void **state)
{
    (void)state;
    go_live_now();
    detach(0, 1);
    w.table->clock_ahead_ms += 91 * 1000;
    session_table_run(w.table);
    check_state(SESSION_CLOSING);
    assert_int_equal(session_table_attach(w.table,
                                          &(struct session_who){.key = SLICE_LIT(user_key),
                                                                .username = SLICE_LIT("ana")},
                                          0, 2),
                     SESSION_ATTACHED);
    settle();
    check_state(SESSION_CONNECTING);
    assert_int_equal(nconns, 2);
}

static void test_connections_of_a_user_are_limited_over_all_shards(void **state)
{
    const struct session_who ana = {.key = SLICE_LIT(user_key), .username = SLICE_LIT("ana")};

    (void)state;
    w.settings.limits.connections_per_user = 3;
    attach(0, 1);
    attach(1, 1);
    attach(2, 1);
    assert_int_equal(session_table_attach(w.table, &ana, 1, 2), SESSION_TOO_MANY);
    assert_int_equal(w.attached, 3);
    detach(2, 1);
    attach(1, 2);
    assert_int_equal(session()->connections, 3);
}

static void test_leaving_during_the_login(void **state)
{
    (void)state;
    attach(0, 1);
    detach(0, 1);
    advance(91 * 1000);
    assert_null(session());
    /* The answer comes late: its token is nobody's. */
    ok_login("u9", "tok1", "ana");
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
    assert_int_equal(w.dones, 1);
}

static void test_leaving_the_login_queue(void **state)
{
    (void)state;
    w.hold_logins = true;
    attach(0, 1);
    advance(4000);
    assert_true(was_pushed(0, "{\"state\":\"connecting\",\"code\":\"login-queue\""));
    detach(0, 1);
    advance(91 * 1000);
    assert_int_equal(w.cancels, 1);
    assert_null(session());
    /* A grant that crosses the cancel is given back. */
    session_table_login_granted(w.table, w.tickets[0], LOGIN_ROAD_REST);
    assert_int_equal(w.last_done, RC_CANCELLED);
    assert_int_equal(rest_count(REST_LOGIN), 0);
}

static void test_renamed_user_starts_over_when_nobody_is_attached(void **state)
{
    (void)state;
    attach(0, 1);
    rest_fail(rest_pending(REST_LOGIN), RC_UNAUTHORIZED, "403");
    settle();
    session_table_detach(w.table, slice_of(user_key), 0, 1, NULL);
    assert_true(attach_as(user_key, "anna", NULL, 0, 2));
    assert_string_equal(rest_pending(REST_LOGIN)->user, "anna");
}

/* ---- shutdown ---- */

static void test_drain_logs_out_everything(void **state)
{
    (void)state;
    go_live_now();
    assert_true(attach_as("7", "bruno", NULL, 0, 2)); /* a login under way */
    w.hold_logins = true;
    assert_true(attach_as("8", "carla", NULL, 0, 3)); /* one waiting for its turn */
    token_cache_put(w.cache, SLICE_LIT("9"), NULL,
                    &(struct token_entry){.rc_user_id = SLICE_LIT("u99"),
                                          .rc_username = SLICE_LIT("dora"),
                                          .auth_token = SLICE_LIT("tok99")},
                    NULL, session_ignore_cache, NULL);
    settle();
    session_table_drain(w.table, 5000, set_true, &w.drained);
    assert_false(w.drained);
    assert_int_equal(w.cancels, 1);
    settle();
    ddp_ok("logout", "");
    advance(200);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok99"); /* only in the cache */
    rest_answer(rest_pending(REST_LOGOUT), NULL, NULL, NULL, NULL);
    assert_false(w.drained);
    ok_login("u7", "tok7", "bruno");
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok7");
    rest_answer(rest_pending(REST_LOGOUT), NULL, NULL, NULL, NULL);
    advance(200);
    assert_true(w.drained);
    assert_false(attach_as("11", "late", NULL, 0, 4));
}

static void test_drain_is_bounded(void **state)
{
    (void)state;
    go_live_now();
    session_table_drain(w.table, 3000, set_true, &w.drained);
    settle();
    assert_non_null(ddp_pending("logout")); /* never answered */
    advance(2900);
    assert_false(w.drained);
    advance(200);
    assert_true(w.drained);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_linger),
        T(test_return_while_closing),
        T(test_connections_of_a_user_are_limited_over_all_shards),
        T(test_leaving_during_the_login),
        T(test_leaving_the_login_queue),
        T(test_renamed_user_starts_over_when_nobody_is_attached),
        T(test_drain_logs_out_everything),
        T(test_drain_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
