/* A session and its entry in the token cache, which ends, changes hands, is removed, or finds no
 * room. */
#include "session_fakes.h"

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
    lose_connection();
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

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, start_world, stop_world)
    const struct CMUnitTest tests[] = {
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
        T(test_full_cache_still_serves),
        T(test_full_cache_does_not_prolong_a_token),
        T(test_full_cache_and_a_sliding_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
