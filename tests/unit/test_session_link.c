/* DDP connected, the login's result, subscriptions and lists; a refused resume, a lost connection.
 */
#include "session_fakes.h"

/* ---- DDP connected ---- */

static void test_entry_is_written_before_resume(void **state)
{
    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    advance(1800 * 1000);
    link_now()->cb.on_connected(link_now()->arg, SLICE_LIT("ddp1"));
    assert_null(ddp_pending("login")); /* the cache has not answered yet */
    settle();
    assert_non_null(ddp_pending("login"));
    assert_string_equal(entry()->ddp_session, "ddp1");
    ddp_ok("login", RESUMED);
    all_ready();
    advance(1900 * 1000); /* past the first end of the TTL: connecting restarted it */
    check_state(SESSION_LIVE);
    assert_string_equal(entry()->token, "tok1");
}

/* ---- login result ok ---- */

static void test_subscribes_once_and_waits_for_every_ready(void **state)
{
    static const char *const names[] = {"[\"u9/message\",false]", "[\"u9/rooms-changed\",false]",
                                        "[\"u9/subscriptions-changed\",false]"};
    struct ddp_connector *c;

    (void)state;
    connect_first();
    c = link_now();
    assert_int_equal(c->ncalls, 1); /* nothing before the login's result */
    ddp_ok("login", RESUMED);
    check_state(SESSION_SUBSCRIBING);
    assert_int_equal(c->ncalls, 4);
    for (int i = 0; i < 3; i++)
        assert_string_equal(c->calls[i + 1].params, names[i]);
    ddp_ok("sub", "");
    ddp_ok("sub", "");
    check_state(SESSION_SUBSCRIBING);
    assert_null(ddp_pending("subscriptions/get"));
    ddp_ok("sub", "");
    check_state(SESSION_LIVE);
    assert_non_null(ddp_pending("subscriptions/get"));
    assert_null(ddp_pending("rooms/get"));
    lists("[]", "[]");
    assert_int_equal(c->ncalls, 6); /* each once */
}

static void test_refused_subscription(void **state)
{
    (void)state;
    connect_first();
    ddp_ok("login", RESUMED);
    ddp_fail("sub", "not-allowed", 0); /* subscriptions-changed: no session without */
    check_state(SESSION_BACKOFF);
    assert_true(was_pushed(0, "{\"state\":\"backoff\",\"code\":\"not-allowed\",\"retryAfter\":1}"));
    assert_string_equal(entry()->token, "tok1");
}

static void test_refused_private_notices_are_done_without(void **state)
{
    struct ddp_call *call;
    struct rc_error error;

    (void)state;
    connect_first();
    ddp_ok("login", RESUMED);
    ddp_ok("sub", "");
    ddp_ok("sub", "");
    call = ddp_pending("sub");
    assert_true(call != NULL && strstr(call->params, "/message") != NULL);
    rc_error_set(&error, SLICE_LIT("404"));
    call->answered = true;
    call->fn(call->arg, (struct slice){0}, &error);
    check_state(SESSION_LIVE);
}

static void test_limited_subscription_is_asked_again(void **state)
{
    (void)state;
    connect_first();
    ddp_ok("login", RESUMED);
    ddp_fail("sub", "too-many-requests", 2000);
    ddp_ok("sub", "");
    ddp_ok("sub", "");
    check_state(SESSION_SUBSCRIBING);
    advance(1900);
    assert_null(ddp_pending("sub"));
    advance(200);
    assert_non_null(strstr(ddp_pending("sub")->params, "subscriptions-changed"));
    ddp_ok("sub", "");
    check_state(SESSION_LIVE);
}

static void test_subscription_limited_for_too_long(void **state)
{
    (void)state;
    connect_first();
    ddp_ok("login", RESUMED);
    ddp_fail("sub", "too-many-requests", 11000);
    check_state(SESSION_BACKOFF); /* and the tabs know for how long */
    assert_true(
        was_pushed(0, "{\"state\":\"backoff\",\"code\":\"too-many-requests\",\"retryAfter\":12}"));
    advance(10900);
    check_state(SESSION_BACKOFF);
    advance(1200);
    check_state(SESSION_CONNECTING);
}

static void test_ended_subscription_reconnects(void **state)
{
    (void)state;
    go_live_now();
    link_now()->cb.on_subscription_end(link_now()->arg, 2, NULL);
    settle();
    check_state(SESSION_BACKOFF);
    assert_true(was_pushed(0, "subscription-ended"));
}

static void test_lists_over_rest_where_the_method_is_unknown(void **state)
{
    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    resumed("ddp1");
    ddp_fail("subscriptions/get", "404", 0);
    assert_string_equal(rest_pending(REST_SUBSCRIPTIONS)->token, "tok1");
    rest_answer(rest_pending(REST_SUBSCRIPTIONS), NULL, NULL,
                "{\"update\":[{\"_id\":\"s1\",\"rid\":\"r1\"}],\"remove\":[],\"success\":true}",
                NULL);
    ddp_fail("rooms/get", "404", 0);
    rest_answer(rest_pending(REST_ROOMS), NULL, NULL,
                "{\"update\":[],\"remove\":[],\"success\":true}", NULL);
    event("subscriptions-changed", "[\"removed\",{\"_id\":\"s1\"}]");
    assert_true(was_pushed(0, "{\"rid\":\"r1\",\"_id\":\"s1\"}"));
}

#define OLD_SUBSCRIPTIONS "[{\"_id\":\"s1\",\"rid\":\"r1\",\"ts\":{\"$date\":1000}}]"
#define OLD_ROOMS                                                                                  \
    "[{\"_id\":\"r1\",\"msgs\":7,\"_updatedAt\":{\"$date\":9000},\"lastMessage\":{\"_id\":\"m7\"," \
    "\"rid\":"                                                                                     \
    "\"r1\",\"ts\":{\"$date\":9000},\"_updatedAt\":{\"$date\":9000}}}]"

/* No list has come yet: nothing of what the first one shows was joined or missed meanwhile. */
static void check_rooms_are_old(void)
{
    advance(session()->retry_in_ms + 100);
    resumed("ddp2");
    lists(OLD_SUBSCRIPTIONS, OLD_ROOMS);
    assert_false(was_pushed(0, "getRoomSubscriptionChangedNotification"));
    assert_int_equal(w.nasks, 0);
    check_state(SESSION_LIVE);
}

static void test_rooms_are_old_after_a_refused_subscription(void **state)
{
    (void)state;
    connect_first();
    ddp_ok("login", RESUMED);
    ddp_fail("sub", "500", 0);
    check_rooms_are_old();
    assert_false(was_pushed(0, "resyncRequired"));
}

static void test_rooms_are_old_after_a_loss_before_the_lists(void **state)
{
    (void)state;
    connect_first();
    ddp_ok("login", RESUMED);
    all_ready();
    ddp_ok("subscriptions/get", OLD_SUBSCRIPTIONS);
    lose_connection();
    check_rooms_are_old();
    assert_true(was_pushed(0, "{\"rid\":null,\"reason\":\"no-lists\"}"));
}

static void test_failed_lists_are_tried_five_times(void **state)
{
    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    resumed("ddp1");
    for (int i = 0; i < 5; i++) {
        ddp_fail("subscriptions/get", "500", 0);
        check_state(SESSION_LIVE);
        advance(16100); /* eight seconds, and up to eight more */
    }
    assert_null(ddp_pending("subscriptions/get"));
}

/* ---- resume refused ---- */

static void test_resume_refused_logs_in_afresh(void **state)
{
    (void)state;
    connect_with("old");
    ddp_fail("login", "403", 0);
    assert_false(entry()->is);
    check_state(SESSION_LOGGING_IN);
    ok_login("u9", "tok2", "ana");
    connected("ddp2");
    assert_string_equal(ddp_pending("login")->params, "[{\"resume\":\"tok2\"}]");
    assert_string_equal(entry()->token, "tok2");
    assert_int_equal(rest_count(REST_LOGOUT), 0); /* the old one is dead already */
}

/* Somebody logged in elsewhere while our resume was under way: their entry stays. */
static void test_resume_refused_spares_a_newer_entry(void **state)
{
    struct ddp_call *call;
    struct rc_error error;
    struct token_expect old = {SLICE_LIT("old"), 0};
    struct token_entry newer = {.rc_user_id = SLICE_LIT("u9"),
                                .rc_username = SLICE_LIT("ana"),
                                .auth_token = SLICE_LIT("newer")};

    (void)state;
    connect_with("old");
    call = ddp_pending("login");
    token_cache_put(w.cache, slice_of(user_key), &old, &newer, NULL, session_ignore_cache, NULL);
    rc_error_set(&error, SLICE_LIT("403"));
    call->answered = true;
    call->fn(call->arg, (struct slice){0}, &error);
    settle();
    assert_string_equal(entry()->token, "newer");
    assert_int_equal(w.acquires, 0);
}

static void refuse_fresh(void)
{
    ok_login("u9", "bad", "ana");
    connected("ddp");
    ddp_fail("login", "403", 0);
}

/* Ended between its login and its use: one more login, and no pause, is the cure. */
static void test_fresh_token_refused_is_followed_by_one_login(void **state)
{
    (void)state;
    attach(0, 1);
    for (int i = 0; i < 2; i++) {
        refuse_fresh();
        check_state(SESSION_LOGGING_IN);
        assert_false(entry()->is);
        ok_login("u9", "good", "ana");
        resumed("ddp2");
        check_state(SESSION_LIVE);
        assert_false(was_pushed(0, "refused"));
        lose_connection(); /* it has worked: the next is the first again */
        advance(session()->retry_in_ms + 100);
        connected("ddp3");
        ddp_fail("login", "403", 0);
    }
}

static void test_fresh_token_refused_is_no_loop(void **state)
{
    unsigned logins = 0;

    (void)state;
    attach(0, 1);
    for (int hour = 0; hour < 3; hour++) {
        for (int minute = 0; minute < 60; minute++) {
            if (rest_pending(REST_LOGIN) != NULL) {
                if (logins++ == 0) {
                    refuse_fresh();
                    check_state(SESSION_LOGGING_IN);
                }
                refuse_fresh();
                check_state(SESSION_REFUSED);
                assert_string_equal(session()->code, "resume-refused");
            }
            advance(60 * 1000);
        }
        if (hour == 0)
            assert_in_range(logins, 4, 7); /* 1, 2, 4, 8, 16, 30 minutes apart */
    }
    assert_in_range(logins, 7, 11);
}

static void test_resume_error_that_passes_keeps_the_token(void **state)
{
    (void)state;
    connect_with("tok1");
    ddp_fail("login", "500", 0);
    check_state(SESSION_BACKOFF);
    assert_string_equal(entry()->token, "tok1");
    advance(1100);
    check_state(SESSION_CONNECTING);
}

/* Thousands of sessions that go on trying would keep the block of our address alive. */
static void test_resume_in_a_block_waits_it_out(void **state)
{
    (void)state;
    connect_with("tok1");
    ddp_fail("login", "error-login-blocked-for-ip", 0);
    check_state(SESSION_BACKOFF);
    advance(299 * 1000);
    check_state(SESSION_BACKOFF);
    advance(3 * 1000);
    connected("ddp2");
    ddp_fail("login", "error-login-blocked-for-user", 0);
    check_state(SESSION_BACKOFF);
    advance(299 * 1000);
    check_state(SESSION_BACKOFF);
    advance(4 * 1000);
    check_state(SESSION_CONNECTING);
    assert_string_equal(entry()->token, "tok1");
}

static void test_a_giant_session_id_is_not_kept(void **state)
{
    char id[300];

    (void)state;
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    write_entry(NULL, "tok1", "");
    attach(0, 1);
    connected(id);
    check_state(SESSION_BACKOFF);
    assert_string_equal(session()->code, "malformed");
    assert_string_equal(entry()->ddp_session, "");
}

static void test_resume_as_somebody_else(void **state)
{
    (void)state;
    connect_with("tok1");
    ddp_ok("login", "{\"id\":\"u8\",\"token\":\"tok1\"}");
    assert_false(entry()->is);
    assert_null(ddp_pending("sub"));
    ddp_ok("logout", ""); /* the token is no use to anybody */
    check_state(SESSION_LOGGING_IN);
    ok_login("u9", "tok2", "ana");
    connected("ddp2");
    assert_string_equal(ddp_pending("login")->params, "[{\"resume\":\"tok2\"}]");
    ddp_ok("login", "{\"id\":\"u8\",\"token\":\"tok2\"}"); /* again: no loop */
    ddp_ok("logout", "");
    check_state(SESSION_REFUSED);
    assert_false(entry()->is);
    assert_int_equal(w.acquires, 1);
}

static void test_resume_answer_that_is_none_keeps_the_token(void **state)
{
    (void)state;
    connect_with("tok1");
    ddp_ok("login", "{}");
    check_state(SESSION_BACKOFF);
    assert_string_equal(entry()->token, "tok1");
}

/* ---- DDP lost ---- */

static void test_ddp_lost_backs_off_and_resumes(void **state)
{
    (void)state;
    go_live_now();
    ddp_end(link_now(), DDP_END_DEAD);
    settle();
    check_state(SESSION_BACKOFF);
    assert_true(was_pushed(0, "{\"state\":\"backoff\",\"code\":\"silent\",\"retryAfter\":1}"));
    advance(1100);
    check_state(SESSION_CONNECTING);
    attach(1, 2);
    assert_non_null(strstr(w.told_one, "{\"state\":\"connecting\""));
    connected("ddp2");
    assert_string_equal(ddp_pending("login")->params, "[{\"resume\":\"tok1\"}]");
    ddp_ok("login", RESUMED);
    all_ready();
    assert_true(was_pushed(0, "{\"state\":\"live\""));
    assert_true(was_pushed(1, "{\"state\":\"live\""));
    assert_int_equal(w.acquires, 1);
}

static void test_backoff_doubles_to_its_ceiling_with_jitter(void **state)
{
    uint64_t longest = 0;

    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    for (int i = 0; i < 200; i++) {
        uint64_t ceiling = i < 5 ? 1000u << i : 30000, waited;

        ddp_end(link_now(), DDP_END_UNREACHABLE);
        settle();
        check_state(SESSION_BACKOFF);
        waited = session()->retry_in_ms;
        assert_in_range(waited, 1, ceiling);
        if (waited > longest)
            longest = waited;
        advance(waited + 100);
        check_state(SESSION_CONNECTING);
    }
    assert_in_range(longest, 25000, 30000); /* full jitter reaches everywhere */
}

static void test_backoff_starts_over_after_a_session_that_held(void **state)
{
    (void)state;
    go_live_now();
    session()->failures = 9;
    lose_connection(); /* at once: the pauses go on growing */
    assert_int_equal(session()->failures, 10);
    advance(session()->retry_in_ms + 100);
    resumed("ddp2");
    advance(31000);
    lose_connection();
    assert_int_equal(session()->failures, 1);
    assert_in_range(session()->retry_in_ms, 1, 1000);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_entry_is_written_before_resume),
        T(test_subscribes_once_and_waits_for_every_ready),
        T(test_refused_subscription),
        T(test_refused_private_notices_are_done_without),
        T(test_limited_subscription_is_asked_again),
        T(test_subscription_limited_for_too_long),
        T(test_ended_subscription_reconnects),
        T(test_lists_over_rest_where_the_method_is_unknown),
        T(test_rooms_are_old_after_a_refused_subscription),
        T(test_rooms_are_old_after_a_loss_before_the_lists),
        T(test_failed_lists_are_tried_five_times),
        T(test_resume_refused_logs_in_afresh),
        T(test_resume_refused_spares_a_newer_entry),
        T(test_fresh_token_refused_is_followed_by_one_login),
        T(test_fresh_token_refused_is_no_loop),
        T(test_resume_error_that_passes_keeps_the_token),
        T(test_resume_in_a_block_waits_it_out),
        T(test_a_giant_session_id_is_not_kept),
        T(test_resume_as_somebody_else),
        T(test_resume_answer_that_is_none_keeps_the_token),
        T(test_ddp_lost_backs_off_and_resumes),
        T(test_backoff_doubles_to_its_ceiling_with_jitter),
        T(test_backoff_starts_over_after_a_session_that_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
