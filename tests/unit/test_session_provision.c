/* Logins of users whom Rocket.Chat does not know, and by tokens that the administrator makes. */
#include "session_fakes.h"

static int start(void **state)
{
    (void)state;
    world_start();
    w.table->options.provisioner = &provisioner;
    provisioner.creates = true;
    return 0;
}

static void attach_with(const char *profile, uint64_t serial)
{
    struct session_who who = {
        .key = slice_of(user_key), .username = SLICE_LIT("ana"), .profile = slice_of(profile)};

    assert_int_equal(session_table_attach(w.table, &who, 0, serial), SESSION_ATTACHED);
    settle();
}

static void refuse_login(void)
{
    rest_fail(rest_pending(REST_LOGIN), RC_UNAUTHORIZED, "403");
    settle();
}

static void ensured(enum provision_result result)
{
    provision_answer(provision_pending(), result, NULL, NULL);
    settle();
}

static void test_an_unknown_user_is_created_and_logged_in(void **state)
{
    (void)state;
    attach_with("mail", 1);
    refuse_login();
    assert_int_equal(w.dones, 0); /* on the same turn */
    check_state(SESSION_LOGGING_IN);
    assert_string_equal(provision_pending()->username, "ana");
    assert_string_equal(provision_pending()->profile, "mail");
    ensured(PROVISION_CREATED);
    assert_int_equal(w.acquires, 1);
    ok_login("u9", "tok1", "ana");
    assert_int_equal(w.dones, 1);
    assert_int_equal(w.last_done, RC_OK);
    check_state(SESSION_CONNECTING);
}

static void test_a_known_user_has_another_password(void **state)
{
    (void)state;
    attach_with("mail", 1);
    refuse_login();
    ensured(PROVISION_KNOWN);
    check_state(SESSION_REFUSED);
    assert_int_equal(w.last_done, RC_UNAUTHORIZED); /* the governor remembers */
    assert_true(was_pushed(0, "\"code\":\"403\""));
}

static void test_refused_again_after_all(void **state)
{
    (void)state;
    attach_with("mail", 1);
    refuse_login();
    ensured(PROVISION_CREATED);
    refuse_login();
    assert_null(provision_pending()); /* asked once */
    check_state(SESSION_REFUSED);
}

static void test_the_administrator_fails(void **state)
{
    (void)state;
    attach_with("mail", 1);
    refuse_login();
    provision_fail(provision_pending(), RC_NOT_ALLOWED, "provision-failed");
    settle();
    check_state(SESSION_REFUSED);
    assert_int_equal(w.last_done, RC_UNAUTHORIZED);
    assert_true(was_pushed(0, "\"code\":\"provision-failed\""));
    assert_int_equal(rest_count(REST_LOGIN), 1);
}

static void test_only_a_refusal_is_looked_into(void **state)
{
    (void)state;
    attach_with("mail", 1);
    rest_fail(rest_pending(REST_LOGIN), RC_TWO_FACTOR, "totp-required");
    settle();
    assert_null(provision_pending());
    check_state(SESSION_REFUSED);
}

static void test_switched_off(void **state)
{
    (void)state;
    provisioner.creates = false;
    attach_with("mail", 1);
    refuse_login();
    assert_null(provision_pending());
    check_state(SESSION_REFUSED);
}

static void test_by_ddp_on_the_same_connection(void **state)
{
    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach_with("mail", 1);
    connected("ddp1");
    ddp_fail("login", "403", 0);
    check_state(SESSION_AUTHENTICATING);
    assert_int_equal(w.dones, 0);
    ensured(PROVISION_CREATED);
    see_user("u9", "{\"username\":\"ana\"}");
    ddp_ok("login", "{\"id\":\"u9\",\"token\":\"tok1\"}");
    check_state(SESSION_SUBSCRIBING);
    assert_int_equal(nconns, 1);
}

static void test_the_connection_is_lost_meanwhile(void **state)
{
    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach_with("mail", 1);
    connected("ddp1");
    ddp_fail("login", "403", 0);
    lose_connection();
    check_state(SESSION_BACKOFF);
    assert_int_equal(w.dones, 1);
    assert_true(provisioner.ops[0]->cancelled && provisioner.ops[0]->answered);
}

static void test_nobody_waits_any_more(void **state)
{
    (void)state;
    attach_with("mail", 1);
    refuse_login();
    assert_true(session_table_revoke(w.table, slice_of(user_key), SESSION_LOGGED_OUT));
    settle();
    assert_int_equal(w.dones, 0);
    ensured(PROVISION_CREATED);
    assert_int_equal(w.dones, 1);
    assert_null(rest_pending(REST_LOGIN));
}

static void test_the_end_comes_meanwhile(void **state)
{
    (void)state;
    attach_with("mail", 1);
    refuse_login(); /* world_stop() ends it all */
}

static void test_looked_at_first_while_many_come(void **state)
{
    (void)state;
    provisioner.busy = true;
    attach_with("mail", 1);
    assert_null(rest_pending(REST_LOGIN)); /* no refusal is risked */
    ensured(PROVISION_CREATED);
    ok_login("u9", "tok1", "ana");
    check_state(SESSION_CONNECTING);
}

static void test_looked_at_first_in_vain(void **state)
{
    (void)state;
    provisioner.busy = true;
    attach_with("mail", 1);
    provision_fail(provision_pending(), RC_UNREACHABLE, "provision-unavailable");
    settle();
    refuse_login(); /* the login itself is tried all the same */
    assert_null(provision_pending());
    check_state(SESSION_REFUSED);
    assert_int_equal(w.last_done, RC_UNAUTHORIZED);
}

static void test_looked_at_first_for_ddp(void **state)
{
    (void)state;
    provisioner.busy = true;
    w.road = LOGIN_ROAD_DDP;
    attach_with("mail", 1);
    assert_int_equal(nconns, 0);
    ensured(PROVISION_KNOWN);
    connected("ddp1");
    assert_non_null(ddp_pending("login"));
}

static void test_looked_at_first_for_nobody(void **state)
{
    (void)state;
    provisioner.busy = true;
    attach_with("mail", 1);
    session_table_revoke(w.table, slice_of(user_key), SESSION_LOGGED_OUT);
    settle();
    ensured(PROVISION_KNOWN);
    assert_int_equal(w.dones, 1);
    assert_int_equal(w.last_done, RC_CANCELLED);
    assert_null(rest_pending(REST_LOGIN));
}

/* Refused, and answered: nothing more comes on the connection that could be waited for. */
static void test_nobody_waits_any_more_on_the_connection(void **state)
{
    (void)state;
    w.road = LOGIN_ROAD_DDP;
    attach_with("mail", 1);
    connected("ddp1");
    ddp_fail("login", "403", 0);
    assert_true(session_table_revoke(w.table, slice_of(user_key), SESSION_LOGGED_OUT));
    settle();
    check_state(SESSION_IDLE);
    assert_null(link_now());
}

/* ---- by users.createToken ---- */

static void token_made(const char *username)
{
    struct rest_login login = {SLICE_LIT("u9"), SLICE_LIT("tok1"), slice_of(username)};

    provision_answer(provision_pending(), PROVISION_KNOWN, &login, NULL);
    settle();
}

static void test_login_by_token(void **state)
{
    (void)state;
    provisioner.logs_in = true;
    w.road = LOGIN_ROAD_DDP; /* what the road is called */
    attach_with("mail", 1);
    assert_int_equal(rest_count(REST_LOGIN), 0);
    assert_int_equal(nconns, 0);
    token_made("ana");
    check_state(SESSION_CONNECTING);
    assert_int_equal(w.last_done, RC_OK);
    connected("ddp1");
    assert_string_equal(ddp_pending("login")->params, "[{\"resume\":\"tok1\"}]");
}

static void test_a_token_of_another_account(void **state)
{
    (void)state;
    provisioner.logs_in = true;
    attach_with("mail", 1);
    token_made("Ana");
    check_state(SESSION_REFUSED);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
}

static void test_the_administrators_trouble_is_not_the_users(void **state)
{
    (void)state;
    provisioner.logs_in = true;
    attach_with("mail", 1);
    provision_fail(provision_pending(), RC_NOT_ALLOWED, "provision-failed");
    settle();
    check_state(SESSION_REFUSED);
    assert_int_equal(w.last_done, RC_CANCELLED); /* nothing the governor would hold against them */
    advance(70 * 1000);
    provision_fail(provision_pending(), RC_UNREACHABLE, "provision-unavailable");
    settle();
    check_state(SESSION_BACKOFF);
}

static void test_a_token_for_nobody(void **state)
{
    (void)state;
    provisioner.logs_in = true;
    attach_with("mail", 1);
    session_table_revoke(w.table, slice_of(user_key), SESSION_LOGGED_OUT);
    settle();
    token_made("ana");
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tok1");
    assert_int_equal(w.dones, 1);
}

/* ---- profiles ---- */

static void test_profiles_are_followed(void **state)
{
    (void)state;
    attach_with("one", 1);
    assert_int_equal(provisioner.follows, 0); /* not before it is known whose account it is */
    ok_login("u9", "tok1", "ana");
    assert_int_equal(provisioner.follows, 1);
    assert_string_equal(provisioner.followed, "one");
    attach_with("one", 2);
    attach_with("", 3);
    assert_int_equal(provisioner.follows, 1);
    attach_with("two", 4); /* a newer token says something else */
    assert_int_equal(provisioner.follows, 2);
    assert_string_equal(provisioner.followed, "two");
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, start, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_an_unknown_user_is_created_and_logged_in),
        T(test_a_known_user_has_another_password),
        T(test_refused_again_after_all),
        T(test_the_administrator_fails),
        T(test_only_a_refusal_is_looked_into),
        T(test_switched_off),
        T(test_by_ddp_on_the_same_connection),
        T(test_the_connection_is_lost_meanwhile),
        T(test_nobody_waits_any_more),
        T(test_the_end_comes_meanwhile),
        T(test_looked_at_first_while_many_come),
        T(test_looked_at_first_in_vain),
        T(test_looked_at_first_for_ddp),
        T(test_looked_at_first_for_nobody),
        T(test_nobody_waits_any_more_on_the_connection),
        T(test_login_by_token),
        T(test_a_token_of_another_account),
        T(test_the_administrators_trouble_is_not_the_users),
        T(test_a_token_for_nobody),
        T(test_profiles_are_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
