/* Every row of design section 3's table, with a faked Rocket.Chat. */
#include "session_fakes.h"

static int start(void **state)
{
    (void)state;
    world_start();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop();
    return 0;
}

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
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    connected("ddp1");
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
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    connected("ddp1");
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
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    connected("ddp1");
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
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    connected("ddp1");
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
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    connected("ddp1");
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
    connected("ddp1");
    ddp_ok("login", RESUMED);
    all_ready();
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

static void test_failed_lists_are_tried_five_times(void **state)
{
    (void)state;
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    connected("ddp1");
    ddp_ok("login", RESUMED);
    all_ready();
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
    write_entry(NULL, "old", "");
    attach(0, 1);
    connected("ddp1");
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
    write_entry(NULL, "old", "");
    attach(0, 1);
    connected("ddp1");
    call = ddp_pending("login");
    token_cache_put(w.cache, slice_of(user_key), &old, &newer, NULL, session_ignore_cache, NULL);
    rc_error_set(&error, SLICE_LIT("403"));
    call->answered = true;
    call->fn(call->arg, (struct slice){0}, &error);
    settle();
    assert_string_equal(entry()->token, "newer");
    assert_int_equal(w.acquires, 0);
}

static void test_fresh_token_refused_is_no_loop(void **state)
{
    unsigned logins = 0;

    (void)state;
    attach(0, 1);
    for (int hour = 0; hour < 3; hour++) {
        for (int minute = 0; minute < 60; minute++) {
            if (rest_pending(REST_LOGIN) != NULL) {
                logins++;
                ok_login("u9", "bad", "ana");
                connected("ddp");
                ddp_fail("login", "403", 0);
                check_state(SESSION_REFUSED);
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
    write_entry(NULL, "tok1", "");
    attach(0, 1);
    connected("ddp1");
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
    write_entry(NULL, "tok1", "");
    attach(0, 1);
    connected("ddp1");
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
    write_entry(NULL, "tok1", "");
    attach(0, 1);
    connected("ddp1");
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
    write_entry(NULL, "tok1", "");
    attach(0, 1);
    connected("ddp1");
    ddp_ok("login", "{}");
    check_state(SESSION_BACKOFF);
    assert_string_equal(entry()->token, "tok1");
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
    connected("ddp1");
    ddp_ok("login", RESUMED);
    all_ready();
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
    ddp_end(link_now(), DDP_END_CLOSED);
    settle();
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

/* ---- the DDP road ---- */

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
    link_now()->cb.on_document(link_now()->arg, SLICE_LIT("added"), SLICE_LIT("users"),
                               SLICE_LIT("u9"), SLICE_LIT("{\"username\":\"ana\"}"));
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
        if (strstr(ddp_pending("login")->params, "resume") != NULL) {
            ddp_fail("login", "403", 0);
            check_state(SESSION_CONNECTING); /* for the login, without a pause */
            continue;
        }
        logins++;
        link_now()->cb.on_document(link_now()->arg, SLICE_LIT("added"), SLICE_LIT("users"),
                                   SLICE_LIT("u9"), SLICE_LIT("{\"username\":\"ana\"}"));
        ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
        all_ready();
        check_state(SESSION_LIVE);
        ddp_end(link_now(), DDP_END_CLOSED);
        settle();
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
    link_now()->cb.on_document(link_now()->arg, SLICE_LIT("added"), SLICE_LIT("users"),
                               SLICE_LIT("u8"), SLICE_LIT("{\"username\":\"ana\"}"));
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

static void see_user(const char *id, const char *fields)
{
    link_now()->cb.on_document(link_now()->arg, SLICE_LIT("added"), SLICE_LIT("users"),
                               slice_of(id), slice_of(fields));
    settle();
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
    ddp_end(link_now(), DDP_END_CLOSED);
    settle();
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
    link_now()->cb.on_document(link_now()->arg, SLICE_LIT("added"), SLICE_LIT("users"),
                               SLICE_LIT("u8"), SLICE_LIT("{\"username\":\"bruno\"}"));
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
    ddp_end(link_now(), DDP_END_CLOSED); /* with the login under way */
    settle();
    assert_int_equal(w.dones, 2);
    check_state(SESSION_BACKOFF);
}

/* ---- entry's TTL ends ---- */

static void test_ttl_end_resumes_with_the_kept_token(void **state)
{
    struct ddp_connector *first;

    (void)state;
    go_live_now();
    first = link_now();
    advance(3000 * 1000);
    assert_false(first->closing);
    for (int i = 0; i < 1000 && !first->ended; i++) /* 3600 s, give or take a tenth */
        advance(1000);
    assert_true(first->ended); /* at that moment, by the clock */
    check_state(SESSION_CONNECTING);
    assert_int_equal(w.acquires, 1);
    connected("ddp2");
    assert_string_equal(ddp_pending("login")->params, "[{\"resume\":\"tok1\"}]");
    assert_string_equal(entry()->ddp_session, "ddp2");
    ddp_ok("login", RESUMED);
    all_ready();
    check_state(SESSION_LIVE);
    assert_int_equal(rest_count(REST_LOGOUT), 0);
    assert_string_equal(w.pushed[0], ""); /* nothing failed */
}

static void test_ttl_end_with_a_fresh_login(void **state)
{
    (void)state;
    w.settings.token_cache.on_expiry = ON_EXPIRY_LOGIN;
    go_live_now();
    advance(4000 * 1000);
    ddp_ok("logout", ""); /* the replaced token, while its socket is open */
    check_state(SESSION_LOGGING_IN);
    assert_int_equal(w.acquires, 2);
    ok_login("u9", "tok2", "ana");
    assert_string_equal(entry()->token, "tok2");
    assert_int_equal(rest_count(REST_LOGOUT), 0);
}

static void test_ttl_end_without_connections_logs_out(void **state)
{
    (void)state;
    w.settings.session.linger_ms = 7200 * 1000;
    go_live_now();
    detach(0, 1);
    advance(4000 * 1000);
    ddp_ok("logout", "");
    advance(100);
    assert_null(session());
    assert_false(entry()->is);
    assert_int_equal(rest_count(REST_LOGOUT), 0);
}

static void test_ttl_end_of_an_entry_nobody_watches_logs_out(void **state)
{
    (void)state;
    go_live_now();
    detach(0, 1);
    advance(91 * 1000);
    assert_null(session());
    advance(4000 * 1000);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
}

/* ---- entry shows another DDP session ---- */

static void test_newer_login_elsewhere_wins(void **state)
{
    struct ddp_connector *c;

    (void)state;
    go_live_now();
    c = link_now();
    write_entry("tok1", "tok9", "theirs");
    ddp_ok("logout", ""); /* our token is nobody's now */
    assert_true(c->ended);
    check_state(SESSION_IDLE);
    assert_string_equal(entry()->token, "tok9"); /* the loser erased nothing */
    assert_string_equal(seen.ddp_session, "theirs");
    assert_true(was_pushed(0, "{\"state\":\"backoff\",\"code\":\"cache-updated\""));
    advance(600 * 1000);
    assert_int_equal(nconns, 1); /* it stays yielded */
    attach(1, 2);
    check_state(SESSION_IDLE);
    assert_non_null(strstr(w.told_one, "cache-updated"));
    /* Theirs ends: whoever still has connections takes over with their token. */
    advance(4000 * 1000);
    check_state(SESSION_CONNECTING);
    connected("ddp2");
    assert_string_equal(ddp_pending("login")->params, "[{\"resume\":\"tok9\"}]");
}

static void test_other_ddp_session_with_the_same_token(void **state)
{
    struct ddp_connector *c;

    (void)state;
    go_live_now();
    c = link_now();
    write_entry("tok1", "tok1", "theirs");
    assert_true(c->ended);
    check_state(SESSION_IDLE);
    assert_int_equal(rest_count(REST_LOGOUT), 0); /* they use it */
    assert_string_equal(entry()->ddp_session, "theirs");
}

static void test_events_after_losing_the_entry_are_dropped(void **state)
{
    (void)state;
    go_live_now();
    write_entry("tok1", "tok9", "theirs");
    assert_non_null(ddp_pending("logout")); /* still open, waiting for the answer */
    forget_pushes();
    event("message", "[{\"_id\":\"e1\"}]");
    assert_int_equal(w.pushes[0], 0);
}

static void test_login_race_lost_to_another_writer(void **state)
{
    (void)state;
    attach(0, 1);
    write_entry(NULL, "tok9", "theirs"); /* while our login is under way */
    ok_login("u9", "tok1", "ana");
    check_state(SESSION_IDLE);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
    assert_string_equal(entry()->token, "tok9");
    assert_int_equal(w.dones, 1);
}

/* ---- entry removed ---- */

static void test_logout_elsewhere_closes_the_tabs(void **state)
{
    struct ddp_connector *c;

    (void)state;
    go_live_now();
    attach(2, 9);
    c = link_now();
    remove_entry(TOKEN_REMOVAL_LOGOUT);
    ddp_ok("logout", "");
    assert_true(c->ended);
    assert_int_equal(w.closed[0], 1);
    assert_int_equal(w.closed[1], 0);
    assert_int_equal(w.closed[2], 1);
    assert_int_equal(w.close_why, SESSION_LOGGED_OUT);
    assert_true(was_pushed(2, "{\"state\":\"refused\",\"code\":\"logged-out\""));
    check_state(SESSION_IDLE);
    detach(0, 1);
    detach(2, 9);
    advance(100);
    assert_null(session());
}

static void test_operator_revokes(void **state)
{
    (void)state;
    go_live_now();
    assert_true(session_table_revoke(w.table, slice_of(user_key), SESSION_REVOKED));
    settle();
    ddp_ok("logout", "");
    assert_int_equal(w.closed[0], 1);
    assert_int_equal(w.close_why, SESSION_REVOKED);
    assert_false(entry()->is);
    assert_int_equal(rest_count(REST_LOGOUT), 0);
    check_state(SESSION_IDLE);
    /* A new tab, with a JWT that holds, starts over, even while the old one is being closed. */
    attach(0, 2);
    check_state(SESSION_LOGGING_IN);
}

static void test_operator_revokes_a_token_without_a_session(void **state)
{
    (void)state;
    write_entry(NULL, "tok1", "");
    assert_false(session_table_revoke(w.table, slice_of(user_key), SESSION_REVOKED));
    settle();
    assert_false(entry()->is);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
}

static void test_token_refused_elsewhere_reconnects(void **state)
{
    (void)state;
    go_live_now();
    remove_entry(TOKEN_REMOVAL_REFUSED);
    check_state(SESSION_LOGGING_IN);
    assert_int_equal(w.closed[0], 0);
    assert_int_equal(w.acquires, 2);
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
    ddp_end(link_now(), DDP_END_CLOSED); /* at once: the pauses go on growing */
    settle();
    assert_int_equal(session()->failures, 10);
    advance(session()->retry_in_ms + 100);
    connected("ddp2");
    ddp_ok("login", RESUMED);
    all_ready();
    advance(31000);
    ddp_end(link_now(), DDP_END_CLOSED);
    settle();
    assert_int_equal(session()->failures, 1);
    assert_in_range(session()->retry_in_ms, 1, 1000);
}

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

/* The password is on its way: the token it gets is logged out on the connection that got it. */
static void leave_during_password_login(void)
{
    w.road = LOGIN_ROAD_DDP;
    w.settings.session.linger_ms = 5000;
    attach(0, 1);
    connected("ddp1");
    detach(0, 1);
    advance(5100);
    check_state(SESSION_CLOSING);
    assert_int_equal(w.dones, 1); /* nobody else waits for it */
    assert_int_equal(w.last_done, RC_CANCELLED);
    assert_false(link_now()->closing);
}

static void test_leaving_during_a_password_login(void **state)
{
    (void)state;
    leave_during_password_login();
    ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
    ddp_ok("logout", "");
    advance(100);
    assert_null(session());
    assert_int_equal(rest_count(REST_LOGOUT), 0);
    assert_false(entry()->is);
}

static void test_leaving_during_a_password_login_that_fails(void **state)
{
    (void)state;
    leave_during_password_login();
    ddp_fail("login", "403", 0);
    advance(100);
    assert_null(session());
    assert_null(link_now());
}

static void test_returning_during_a_password_login(void **state)
{
    (void)state;
    leave_during_password_login();
    attach(0, 2);
    ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
    ddp_ok("logout", "");
    check_state(SESSION_CONNECTING); /* for a login of its own */
    assert_int_equal(w.acquires, 2);
}

static void time_out_a_password_login(void)
{
    w.road = LOGIN_ROAD_DDP;
    attach(0, 1);
    connected("ddp1");
    advance(19 * 1000);
    check_state(SESSION_AUTHENTICATING);
    advance(1200);
    check_state(SESSION_CLOSING);
    assert_int_equal(w.dones, 1); /* nobody else waits for it */
    assert_int_equal(w.last_done, RC_TIMED_OUT);
    assert_false(link_now()->closing);
}

/* Its token would stay at Rocket.Chat for 90 days. */
static void test_password_login_answered_after_its_time(void **state)
{
    (void)state;
    time_out_a_password_login();
    advance(30 * 1000);
    ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
    ddp_ok("logout", "");
    check_state(SESSION_BACKOFF);
    assert_true(was_pushed(0, "{\"state\":\"backoff\",\"code\":\"timed-out\""));
    assert_int_equal(rest_count(REST_LOGOUT), 0);
    assert_false(entry()->is);
    advance(1100);
    assert_int_equal(w.acquires, 2);
}

static void test_password_login_answered_after_its_time_and_not_logged_out(void **state)
{
    (void)state;
    time_out_a_password_login();
    ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
    ddp_fail("logout", "500", 0);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
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

static void test_password_login_lost_while_leaving(void **state)
{
    (void)state;
    leave_during_password_login();
    ddp_end(link_now(), DDP_END_CLOSED);
    advance(100);
    assert_null(session());
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

/* ---- the cache is full ---- */

static struct token_cache *big_cache;
static struct token_watch *hold;

static void fill_cache(void)
{
    struct memory_cache_options tiny = {
        .ttl_ms = 100000000, .max_entries = 1, .on_orphan = on_orphan};
    struct token_entry other = {
        .rc_user_id = SLICE_LIT("u1"), .rc_username = SLICE_LIT("x"), .auth_token = SLICE_LIT("t")};

    big_cache = w.cache;
    w.table->options.cache = w.cache =
        memory_cache_new_with_clock(&w.loop, &tiny, cache_clock, NULL);
    hold = token_cache_watch(w.cache, SLICE_LIT("other"), (token_notice_fn)abort, NULL);
    token_cache_put(w.cache, SLICE_LIT("other"), NULL, &other, hold, session_ignore_cache, NULL);
    settle();
}

static void let_cache_go(void)
{
    token_cache_unwatch(hold);
    token_cache_free(big_cache, set_true, &w.cache_freed);
    settle();
}

static void test_full_cache_still_serves(void **state)
{
    (void)state;
    fill_cache();
    go_live_now();
    assert_false(session()->stored);
    event("message", "[{\"_id\":\"e1\"}]");
    assert_int_equal(w.pushes[0], 1);
    ddp_end(link_now(), DDP_END_CLOSED);
    settle();
    advance(1100);
    connected("ddp2"); /* with the kept token */
    assert_string_equal(ddp_pending("login")->params, "[{\"resume\":\"tok1\"}]");
    ddp_ok("login", RESUMED);
    all_ready();
    detach(0, 1);
    advance(91 * 1000);
    ddp_ok("logout", ""); /* no entry would do it later */
    advance(100);
    assert_null(session());
    let_cache_go();
}

/* Without an entry the token ends by the session's own clock. */
static void test_full_cache_does_not_prolong_a_token(void **state)
{
    struct ddp_connector *first;

    (void)state;
    fill_cache();
    go_live_now();
    first = link_now();
    advance(3200 * 1000);
    assert_false(first->ended);
    advance(800 * 1000); /* 3600 s and a tenth are over */
    assert_true(first->ended);
    check_state(SESSION_CONNECTING);
    connected("ddp2");
    assert_string_equal(ddp_pending("login")->params, "[{\"resume\":\"tok1\"}]");
    ddp_ok("login", RESUMED);
    all_ready();
    w.settings.token_cache.on_expiry = ON_EXPIRY_LOGIN;
    advance(4000 * 1000);
    ddp_ok("logout", "");
    check_state(SESSION_LOGGING_IN);
    assert_int_equal(w.acquires, 2);
    let_cache_go();
}

static void test_full_cache_and_a_sliding_token(void **state)
{
    (void)state;
    w.settings.token_cache.sliding = true;
    fill_cache();
    go_live_now();
    for (int i = 0; i < 8; i++) {
        advance(1000 * 1000);
        event("message", "[{\"_id\":\"e1\"}]");
    }
    assert_int_equal(nconns, 1);
    let_cache_go();
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
#define T(test) cmocka_unit_test_setup_teardown(test, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_first_connection_logs_in_once),
        T(test_cached_token_goes_straight_to_connecting),
        T(test_entry_is_written_before_resume),
        T(test_subscribes_once_and_waits_for_every_ready),
        T(test_refused_subscription),
        T(test_refused_private_notices_are_done_without),
        T(test_limited_subscription_is_asked_again),
        T(test_subscription_limited_for_too_long),
        T(test_ended_subscription_reconnects),
        T(test_lists_over_rest_where_the_method_is_unknown),
        T(test_failed_lists_are_tried_five_times),
        T(test_resume_refused_logs_in_afresh),
        T(test_resume_refused_spares_a_newer_entry),
        T(test_fresh_token_refused_is_no_loop),
        T(test_resume_error_that_passes_keeps_the_token),
        T(test_resume_in_a_block_waits_it_out),
        T(test_a_giant_session_id_is_not_kept),
        T(test_resume_as_somebody_else),
        T(test_resume_answer_that_is_none_keeps_the_token),
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
        T(test_ttl_end_resumes_with_the_kept_token),
        T(test_ttl_end_with_a_fresh_login),
        T(test_ttl_end_without_connections_logs_out),
        T(test_ttl_end_of_an_entry_nobody_watches_logs_out),
        T(test_newer_login_elsewhere_wins),
        T(test_other_ddp_session_with_the_same_token),
        T(test_events_after_losing_the_entry_are_dropped),
        T(test_login_race_lost_to_another_writer),
        T(test_logout_elsewhere_closes_the_tabs),
        T(test_operator_revokes),
        T(test_operator_revokes_a_token_without_a_session),
        T(test_token_refused_elsewhere_reconnects),
        T(test_ddp_lost_backs_off_and_resumes),
        T(test_backoff_doubles_to_its_ceiling_with_jitter),
        T(test_backoff_starts_over_after_a_session_that_held),
        T(test_linger),
        T(test_return_while_closing),
        T(test_connections_of_a_user_are_limited_over_all_shards),
        T(test_leaving_during_the_login),
        T(test_leaving_during_a_password_login),
        T(test_leaving_during_a_password_login_that_fails),
        T(test_returning_during_a_password_login),
        T(test_password_login_answered_after_its_time),
        T(test_password_login_answered_after_its_time_and_not_logged_out),
        T(test_password_login_that_is_never_answered),
        T(test_password_login_lost_while_leaving),
        T(test_drain_during_a_password_login),
        T(test_leaving_the_login_queue),
        T(test_renamed_user_starts_over_when_nobody_is_attached),
        T(test_full_cache_still_serves),
        T(test_full_cache_does_not_prolong_a_token),
        T(test_full_cache_and_a_sliding_token),
        T(test_drain_logs_out_everything),
        T(test_drain_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
