/* A login by password on the user's own DDP connection. */
#include "session_fakes.h"

static void test_password_login_over_ddp(void **state)
{
    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    check_state(SESSION_CONNECTING);
    assert_int_equal(rest_count(REST_LOGIN), 0);
    connected("ddp1");
    assert_non_null(strstr(ddp_pending("login")->params, "{\"user\":{\"username\":\"ana\"}"));
    assert_null(strstr(ddp_pending("login")->params, "secret"));
    see_user("u9", "{\"username\":\"ana\"}");
    ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
    assert_int_equal(w.last_done, RC_OK);
    assert_int_equal(w.last_done_road, LOGIN_ROAD_DDP);
    check_state(SESSION_SUBSCRIBING);
    assert_string_equal(entry()->token, "tok1");
    assert_string_equal(seen.ddp_session, "ddp1");
    assert_int_equal(rest_count(REST_ME), 0);
    all_ready();
    check_state(SESSION_LIVE);
    assert_int_equal(nconns, 1); /* on the user's own connection */
}

static bool resumes(void)
{
    struct ddp_call *login = ddp_pending("login");

    return login != NULL && strstr(login->params, "resume") != NULL;
}

/* Logged in with it, the token works: refused later it was revoked since, and one login is the
 * cure. Where that goes on, the pauses of the lost connections grow. */
static void test_token_of_a_password_login_revoked_later_is_no_refusal(void **state)
{
    unsigned logins = 0;

    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    for (uint64_t end = session_now_ms(w.table) + 600 * 1000; session_now_ms(w.table) < end;) {
        if (session()->state != SESSION_CONNECTING) {
            assert_int_equal(session()->state, SESSION_BACKOFF);
            advance(1000);
            continue;
        }
        connected("ddp");
        if (resumes()) {
            ddp_fail("login", "403", 0);
            check_state(SESSION_CONNECTING); /* for the login, without a pause */
            continue;
        }
        logins++;
        see_user("u9", "{\"username\":\"ana\"}");
        ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
        all_ready();
        check_state(SESSION_LIVE);
        lose_connection();
    }
    assert_in_range(logins, 20, 80); /* 15 seconds apart, in the mean */
}

static void test_ddp_login_without_a_users_document_asks_me(void **state)
{
    struct rest_me me = {SLICE_LIT("u9"), SLICE_LIT("ana")};

    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    connected("ddp1");
    /* Somebody else's document proves nothing. */
    see_user("u8", "{\"username\":\"ana\"}");
    ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
    check_state(SESSION_AUTHENTICATING);
    assert_int_equal(rest_count(REST_ME), 0);
    advance(1100); /* it might have come behind the result */
    rest_answer(rest_pending(REST_ME), NULL, &me, NULL, NULL);
    settle();
    check_state(SESSION_SUBSCRIBING);
}

static void log_in_unnamed(void)
{
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    connected("ddp1");
    ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
    check_state(SESSION_AUTHENTICATING);
}

/* Meteor 3 and the streamer send the document behind the result. */
static void test_users_document_behind_the_result(void **state)
{
    (void)state;
    log_in_unnamed();
    see_user("u8", "{\"username\":\"ana\"}");
    check_state(SESSION_AUTHENTICATING);
    see_user("u9", "{\"username\":\"ana\"}");
    check_state(SESSION_SUBSCRIBING);
    assert_int_equal(rest_count(REST_ME), 0);
    assert_string_equal(entry()->token, "tok1");
}

static void test_users_document_behind_the_question(void **state)
{
    (void)state;
    log_in_unnamed();
    advance(1100);
    assert_non_null(rest_pending(REST_ME));
    see_user("u9", "{\"username\":\"bruno\"}");
    ddp_ok("logout", "");
    check_state(SESSION_REFUSED);
    assert_false(entry()->is);
}

static void test_limited_me_is_asked_again_on_the_same_connection(void **state)
{
    struct rest_me me = {SLICE_LIT("u9"), SLICE_LIT("ana")};
    struct rc_error limited;

    (void)state;
    log_in_unnamed();
    advance(1100);
    rc_error_of(&limited, RC_RATE_LIMITED);
    limited.retry_after_ms = 30 * 1000;
    rest_answer(rest_pending(REST_ME), NULL, NULL, NULL, &limited);
    settle();
    check_state(SESSION_AUTHENTICATING);
    assert_true(was_pushed(0, "\"connecting\""));
    advance(29 * 1000);
    assert_null(rest_pending(REST_ME));
    advance(1100);
    rest_answer(rest_pending(REST_ME), NULL, &me, NULL, NULL);
    settle();
    check_state(SESSION_SUBSCRIBING);
    assert_int_equal(nconns, 1);
    assert_int_equal(w.acquires, 1);
}

/* A token of an unknown account must not be resumed with. */
static void test_unnamed_login_that_is_lost_is_logged_out(void **state)
{
    (void)state;
    log_in_unnamed();
    lose_connection();
    check_state(SESSION_BACKOFF);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
    advance(1100);
    assert_int_equal(w.acquires, 2); /* a login, no resume */
}

static void test_ddp_login_as_somebody_else(void **state)
{
    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    connected("ddp1");
    see_user("u8", "{\"username\":\"bruno\"}");
    ddp_ok("login", "{\"id\":\"u8\",\"token\":\"tok8\"}");
    ddp_ok("logout", "");
    check_state(SESSION_REFUSED);
    assert_false(entry()->is);
    assert_int_equal(rest_count(REST_LOGOUT), 0);
}

static void test_ddp_login_refused_is_not_tried_by_rest(void **state)
{
    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    connected("ddp1");
    ddp_fail("login", "403", 0);
    assert_int_equal(w.last_done, RC_UNAUTHORIZED);
    check_state(SESSION_REFUSED);
    assert_int_equal(rest_count(REST_LOGIN), 0);
}

static void test_ddp_login_link_lost_gives_the_turn_back(void **state)
{
    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    ddp_end(link_now(), DDP_END_UNREACHABLE); /* before connected */
    settle();
    assert_int_equal(w.dones, 1);
    assert_int_equal(w.last_done, RC_UNREACHABLE);
    check_state(SESSION_BACKOFF);
    advance(1100);
    connected("ddp1");
    lose_connection(); /* with the login under way */
    assert_int_equal(w.dones, 2);
    check_state(SESSION_BACKOFF);
}

/* ---- the password is on its way, and nobody waits for it any more ---- */

#define LATE_LOGIN "{\"id\":\"u9\",\"token\":\"late\"}"

/* The login keeps the connection. */
static void leave_during_password_login(void)
{
    w.road = LOGIN_ROAD_DDP;
    w.settings.session.linger_ms = 5000;
    attach(0, 1);
    connected("ddp1");
    detach(0, 1);
    advance(5100);
    assert_null(session());
    assert_int_equal(w.dones, 1); /* nobody else waits for it */
    assert_int_equal(w.last_done, RC_CANCELLED);
    assert_false(conns[0]->closing);
}

/* What is late is logged out on the connection that got it. */
static void answer_late_login(void)
{
    ddp_ok_on(conns[0], "login", LATE_LOGIN);
    assert_false(conns[0]->ended);
    ddp_ok_on(conns[0], "logout", "");
    assert_true(conns[0]->ended);
    assert_int_equal(rest_count(REST_LOGOUT), 0);
}

static void log_in_on(const char *ddp_session, const char *result)
{
    connected(ddp_session);
    see_user("u9", "{\"username\":\"ana\"}");
    ddp_ok("login", result);
    all_ready();
    check_state(SESSION_LIVE);
}

static void test_leaving_during_a_password_login(void **state)
{
    (void)state;
    leave_during_password_login();
    answer_late_login();
    assert_false(entry()->is);
}

static void test_leaving_during_a_password_login_that_fails(void **state)
{
    (void)state;
    leave_during_password_login();
    ddp_fail("login", "403", 0);
    assert_null(link_now());
}

static void test_returning_during_a_password_login(void **state)
{
    (void)state;
    leave_during_password_login();
    attach(0, 2);
    assert_int_equal(w.acquires, 2); /* a login of its own, on a connection of its own */
    log_in_on("ddp2", "{\"id\":\"u9\",\"token\":\"tok2\"}");
    answer_late_login();
    check_state(SESSION_LIVE);
    assert_string_equal(entry()->token, "tok2");
}

static void time_out_a_password_login(void)
{
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    connected("ddp1");
    advance(19 * 1000);
    check_state(SESSION_AUTHENTICATING);
    advance(1200);
    check_state(SESSION_BACKOFF);
    assert_true(was_pushed(0, "{\"state\":\"backoff\",\"code\":\"timed-out\""));
    assert_int_equal(w.dones, 1); /* nobody else waits for it */
    assert_int_equal(w.last_done, RC_TIMED_OUT);
    assert_false(conns[0]->closing);
}

/* Its token would stay at Rocket.Chat for 90 days; and the user needs a session before. */
static void test_password_login_answered_after_its_time(void **state)
{
    (void)state;
    time_out_a_password_login();
    advance(1100);
    assert_int_equal(w.acquires, 2);
    log_in_on("ddp2", "{\"id\":\"u9\",\"token\":\"tok2\"}");
    advance(30 * 1000);
    answer_late_login();
    check_state(SESSION_LIVE);
    assert_string_equal(entry()->token, "tok2");
}

static void test_the_other_road_while_a_password_login_is_late(void **state)
{
    (void)state;
    time_out_a_password_login();
    w.road = LOGIN_ROAD_REST;
    advance(1100);
    ok_login("u9", "tok2", "ana");
    resumed("ddp2");
    check_state(SESSION_LIVE);
    answer_late_login();
    check_state(SESSION_LIVE);
    assert_string_equal(entry()->token, "tok2");
}

static void test_password_login_answered_after_its_time_and_not_logged_out(void **state)
{
    (void)state;
    time_out_a_password_login();
    ddp_ok("login", LATE_LOGIN);
    ddp_fail("logout", "500", 0);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "late");
    assert_null(link_now());
    check_state(SESSION_BACKOFF);
}

static void test_late_login_lost_before_its_logout(void **state)
{
    (void)state;
    time_out_a_password_login();
    ddp_ok("login", LATE_LOGIN);
    lose_connection();
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "late");
    check_state(SESSION_BACKOFF);
}

static void test_password_login_that_is_never_answered(void **state)
{
    (void)state;
    time_out_a_password_login();
    ddp_fail("login", "timed-out", 0); /* the connector's own */
    check_state(SESSION_BACKOFF);
    assert_null(link_now());
}

static void test_password_login_lost_while_late(void **state)
{
    (void)state;
    leave_during_password_login();
    lose_connection();
    assert_null(link_now());
    assert_int_equal(rest_count(REST_LOGOUT), 0);
}

static void test_drain_during_a_password_login(void **state)
{
    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    connected("ddp1");
    session_table_drain(w.table, 3000, set_true, &w.drained);
    settle();
    advance(2900);
    assert_false(w.drained); /* Rocket.Chat may answer yet */
    advance(200);
    assert_true(w.drained);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_password_login_over_ddp),
        T(test_token_of_a_password_login_revoked_later_is_no_refusal),
        T(test_ddp_login_without_a_users_document_asks_me),
        T(test_users_document_behind_the_result),
        T(test_users_document_behind_the_question),
        T(test_limited_me_is_asked_again_on_the_same_connection),
        T(test_unnamed_login_that_is_lost_is_logged_out),
        T(test_ddp_login_as_somebody_else),
        T(test_ddp_login_refused_is_not_tried_by_rest),
        T(test_ddp_login_link_lost_gives_the_turn_back),
        T(test_leaving_during_a_password_login),
        T(test_leaving_during_a_password_login_that_fails),
        T(test_returning_during_a_password_login),
        T(test_password_login_answered_after_its_time),
        T(test_the_other_road_while_a_password_login_is_late),
        T(test_password_login_answered_after_its_time_and_not_logged_out),
        T(test_late_login_lost_before_its_logout),
        T(test_password_login_that_is_never_answered),
        T(test_password_login_lost_while_late),
        T(test_drain_during_a_password_login),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
