#include "bridge/login/admin_agent.h"
#include "bridge/settings/settings.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "rest_fake.h"

static struct {
    uv_loop_t loop;
    struct settings settings;
    struct admin_agent *agent;
    uint64_t ticket;
    unsigned acquires, cancels, dones, identities;
    enum rc_result last_done;
    char id[64], name[64];
    bool stopped;
} w;

static char empty[] = "", boss[] = "boss", password[] = "pw", admin_id[] = "uA", pat[] = "pat1";

static void on_acquire(void *arg, struct slice key, uint64_t ticket)
{
    (void)arg;
    assert_memory_equal(key.ptr, "\0admin", 6); /* no user's key: those hold no NUL */
    w.ticket = ticket;
    w.acquires++;
}

static void on_cancel(void *arg, uint64_t ticket)
{
    (void)arg;
    assert_int_equal(ticket, w.ticket);
    w.cancels++;
}

static void on_done(void *arg, uint64_t ticket, enum login_road road, const struct rc_error *error,
                    const struct rest_rate *rate)
{
    (void)arg;
    (void)ticket;
    (void)road;
    (void)rate;
    w.dones++;
    w.last_done = error == NULL ? RC_OK : error->result;
}

static void on_identity(void *arg, struct slice user_id, struct slice username)
{
    (void)arg;
    w.identities++;
    snprintf(w.id, sizeof w.id, "%.*s", (int)user_id.len, user_id.ptr);
    snprintf(w.name, sizeof w.name, "%.*s", (int)username.len, username.ptr);
}

static void on_stopped(void *arg)
{
    *(bool *)arg = true;
}

static void start(void)
{
    struct admin_agent_options options;

    options = (struct admin_agent_options){
        .loop = &w.loop,
        .settings = &w.settings,
        .gate = {on_acquire, on_cancel, on_done, NULL},
        .ticket_base = 1000,
        .on_identity = on_identity,
    };
    assert_int_equal(admin_agent_new(&options, &w.agent), 0);
    uv_run(&w.loop, UV_RUN_NOWAIT);
}

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    w.settings.im.admin_user_name = boss;
    w.settings.im.admin_password = password;
    w.settings.im.admin_user_id = w.settings.im.admin_token = empty;
    w.settings.token_cache.ttl_ms = 3600 * 1000;
    uv_loop_init(&w.loop);
    return 0;
}

static void run_until(const bool *flag)
{
    for (int i = 0; i < 1000 && !*flag; i++) {
        uv_run(&w.loop, UV_RUN_NOWAIT);
        rest_answer_cancelled();
    }
    assert_true(*flag);
}

static int teardown(void **state)
{
    (void)state;
    if (!w.stopped) {
        admin_agent_stop(w.agent, 0, on_stopped, &w.stopped);
        for (int i = 0; i < 100 && !w.stopped; i++) {
            uv_run(&w.loop, UV_RUN_NOWAIT);
            rest_answer_cancelled();
        }
    }
    assert_true(w.stopped);
    for (unsigned i = 0; i < nrests; i++)
        if (!rests[i]->answered)
            rest_answer(rests[i], NULL, NULL, NULL, NULL);
    rest_free_all();
    assert_int_equal(uv_loop_close(&w.loop), 0);
    return 0;
}

static void grant(void)
{
    admin_agent_login_granted(w.agent, w.ticket, LOGIN_ROAD_REST);
}

static void log_in(const char *token)
{
    struct rest_login login = {slice_of("uA"), slice_of(token), slice_of("boss")};

    grant();
    rest_answer(rest_pending(REST_LOGIN), &login, NULL, NULL, NULL);
}

/* Timers of minutes are not waited for: the agent's own timer is made to fire. */
static void fire_timer(void)
{
    unsigned acquires = w.acquires, calls = nrests;

    for (int i = 0; i < 400 && w.acquires == acquires && nrests == calls; i++) {
        uv_run(&w.loop, UV_RUN_NOWAIT);
        uv_sleep(10);
    }
}

static void check_state(enum admin_state want, const char *want_code)
{
    const char *code;

    assert_int_equal(admin_agent_state(w.agent, &code), want);
    assert_string_equal(code, want_code);
}

static void test_password_login(void **state)
{
    (void)state;
    start();
    check_state(ADMIN_LOGGING_IN, "");
    assert_int_equal(w.acquires, 1);
    assert_int_equal(nrests, 0); /* not before its turn */
    log_in("tokA");
    check_state(ADMIN_READY, "");
    assert_int_equal(w.dones, 1);
    assert_int_equal(w.identities, 1);
    assert_string_equal(w.id, "uA");
    assert_string_equal(w.name, "boss");

    admin_agent_stop(w.agent, 1000, on_stopped, &w.stopped);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tokA");
    assert_false(w.stopped);
    rest_answer(rest_pending(REST_LOGOUT), NULL, NULL, NULL, NULL);
    run_until(&w.stopped);
}

static void test_retries_while_down_and_says_why(void **state)
{
    (void)state;
    start();
    grant();
    rest_fail(rest_pending(REST_LOGIN), RC_UNREACHABLE, "connection-refused");
    check_state(ADMIN_LOGGING_IN, "connection-refused");
    assert_int_equal(w.last_done, RC_UNREACHABLE);
    fire_timer();
    assert_int_equal(w.acquires, 2);
    log_in("tokA");
    check_state(ADMIN_READY, "");
}

static void test_full_rest_window_is_waited_for(void **state)
{
    (void)state;
    start();
    admin_agent_login_granted(w.agent, w.ticket, LOGIN_ROAD_DDP);
    assert_int_equal(nrests, 0);
    assert_int_equal(w.last_done, RC_CANCELLED);
    check_state(ADMIN_LOGGING_IN, "");
}

static void test_rest_whatever_users_log_in_by(void **state)
{
    (void)state;
    w.settings.im.login_via = LOGIN_VIA_DDP;
    start();
    admin_agent_login_granted(w.agent, w.ticket, LOGIN_ROAD_DDP);
    assert_non_null(rest_pending(REST_LOGIN));
}

static void test_refused(void **state)
{
    (void)state;
    start();
    grant();
    rest_fail(rest_pending(REST_LOGIN), RC_TWO_FACTOR, "totp-required");
    check_state(ADMIN_REFUSED, "totp-required");
    uv_sleep(50);
    uv_run(&w.loop, UV_RUN_NOWAIT);
    assert_int_equal(w.acquires, 1); /* minutes away */
}

static void test_renewal_replaces_the_token(void **state)
{
    (void)state;
    w.settings.token_cache.ttl_ms = 100;
    start();
    log_in("tokA");
    fire_timer();
    assert_int_equal(w.acquires, 2);
    check_state(ADMIN_READY, ""); /* with the old one, meanwhile */
    log_in("tokB");
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tokA");
}

static void test_renewal_that_fails_for_now_keeps_the_token(void **state)
{
    (void)state;
    w.settings.token_cache.ttl_ms = 100;
    start();
    log_in("tokA");
    fire_timer();
    grant();
    rest_fail(rest_pending(REST_LOGIN), RC_TIMED_OUT, NULL);
    check_state(ADMIN_READY, "timed-out");
    assert_null(rest_pending(REST_LOGOUT));
}

static void test_personal_access_token(void **state)
{
    struct rest_me me = {SLICE_LIT("uA"), SLICE_LIT("boss")};
    (void)state;
    w.settings.im.admin_user_id = admin_id;
    w.settings.im.admin_token = pat;
    start();
    assert_int_equal(w.acquires, 0); /* no login, no turn */
    assert_string_equal(rest_pending(REST_ME)->token, "pat1");
    rest_answer(rest_pending(REST_ME), NULL, &me, NULL, NULL);
    check_state(ADMIN_READY, "");
    assert_string_equal(w.name, "boss");
    admin_agent_stop(w.agent, 1000, on_stopped, &w.stopped);
    run_until(&w.stopped);
    assert_int_equal(rest_count(REST_LOGOUT), 0); /* not ours to end */
}

static void test_personal_access_token_of_somebody_else(void **state)
{
    struct rest_me me = {SLICE_LIT("uB"), SLICE_LIT("other")};

    (void)state;
    w.settings.im.admin_user_id = admin_id;
    w.settings.im.admin_token = pat;
    start();
    rest_answer(rest_pending(REST_ME), NULL, &me, NULL, NULL);
    check_state(ADMIN_REFUSED, "unauthorized");
    assert_int_equal(w.identities, 0);
}

static void test_unfit_token_never_reaches_a_header(void **state)
{
    static char bad[] = "pat\r\nX: y";

    (void)state;
    w.settings.im.admin_user_id = admin_id;
    w.settings.im.admin_token = bad;
    start();
    assert_int_equal(nrests, 0);
    check_state(ADMIN_REFUSED, "refused");
}

static void test_no_admin(void **state)
{
    (void)state;
    w.settings.im.admin_user_name = empty;
    start();
    check_state(ADMIN_OFF, "");
    assert_int_equal(w.acquires, 0);
    admin_agent_stop(w.agent, 1000, on_stopped, &w.stopped);
    run_until(&w.stopped);
}

static void test_stop_while_waiting_for_a_turn(void **state)
{
    (void)state;
    start();
    admin_agent_stop(w.agent, 1000, on_stopped, &w.stopped);
    assert_int_equal(w.cancels, 1);
    run_until(&w.stopped);
}

static void test_stop_during_the_login_logs_its_token_out(void **state)
{
    struct rest_login login = {SLICE_LIT("uA"), SLICE_LIT("tokA"), SLICE_LIT("boss")};

    (void)state;
    start();
    grant();
    admin_agent_stop(w.agent, 1000, on_stopped, &w.stopped);
    rest_answer(rest_pending(REST_LOGIN), &login, NULL, NULL, NULL);
    assert_string_equal(rest_pending(REST_LOGOUT)->token, "tokA");
    rest_answer(rest_pending(REST_LOGOUT), NULL, NULL, NULL, NULL);
    run_until(&w.stopped);
    assert_int_equal(w.identities, 0);
}

static void test_stop_is_bounded(void **state)
{
    (void)state;
    start();
    log_in("tokA");
    admin_agent_stop(w.agent, 20, on_stopped, &w.stopped);
    for (int i = 0; i < 200 && !w.stopped; i++) {
        uv_run(&w.loop, UV_RUN_NOWAIT);
        rest_answer_cancelled();
        uv_sleep(1);
    }
    assert_true(w.stopped);
}

/* ---- lending ---- */

static struct {
    unsigned loans, refusals;
    char token[64], username[64], code[64];
    enum rc_result result;
} lent;

static void on_loan(void *arg, const struct session_loan *loan, const struct rc_error *error)
{
    (void)arg;
    if (error != NULL) {
        lent.refusals++;
        lent.result = error->result;
        snprintf(lent.code, sizeof lent.code, "%s", error->code);
        return;
    }
    lent.loans++;
    snprintf(lent.token, sizeof lent.token, "%.*s", (int)loan->auth_token.len,
             loan->auth_token.ptr);
    snprintf(lent.username, sizeof lent.username, "%.*s", (int)loan->username.len,
             loan->username.ptr);
}

static void borrow(const char *refused)
{
    admin_agent_lend(w.agent, slice_of(refused), on_loan, NULL);
}

static void test_lends_when_ready(void **state)
{
    (void)state;
    memset(&lent, 0, sizeof lent);
    start();
    borrow(NULL);
    assert_int_equal(lent.refusals, 1);
    assert_int_equal(lent.result, RC_UNREACHABLE);
    assert_string_equal(lent.code, "admin-logging-in");
    log_in("tokA");
    borrow("other");
    assert_int_equal(lent.loans, 1);
    assert_string_equal(lent.token, "tokA");
    assert_string_equal(lent.username, "boss");
    assert_null(rest_pending(REST_ME));
}

static void test_a_doubted_token_is_looked_into(void **state)
{
    struct rest_me me = {SLICE_LIT("uA"), SLICE_LIT("boss")};

    (void)state;
    memset(&lent, 0, sizeof lent);
    start();
    log_in("tokA");
    borrow("tokA");
    borrow("tokA");
    assert_int_equal(lent.loans, 0); /* they wait for the outcome */
    assert_int_equal(rest_count(REST_ME), 1);
    borrow("other");
    assert_int_equal(lent.loans, 1);                           /* this one need not */
    rest_answer(rest_pending(REST_ME), NULL, &me, NULL, NULL); /* alive after all */
    assert_int_equal(lent.loans, 3);
    assert_string_equal(lent.token, "tokA");
    check_state(ADMIN_READY, "");
    assert_int_equal(w.acquires, 1);
    borrow("tokA");
    assert_int_equal(lent.loans, 4);
    assert_null(rest_pending(REST_ME)); /* not at each call that is refused */
    w.loop.time += 5000;
    borrow("tokA");
    w.loop.time -= 5000;
    rest_fail(rest_pending(REST_ME), RC_UNAUTHORIZED, "401");
    check_state(ADMIN_LOGGING_IN, "");
    borrow("tokA");
    borrow(NULL); /* with those who wait already */
    assert_int_equal(lent.loans, 4);
    fire_timer();
    assert_int_equal(w.acquires, 2);
    log_in("tokB");
    assert_null(rest_pending(REST_LOGOUT)); /* it is dead */
    assert_int_equal(lent.loans, 7);
    assert_string_equal(lent.token, "tokB");
    borrow("tokA");
    assert_int_equal(lent.loans, 8);
    assert_int_equal(lent.refusals, 0);
}

static void test_a_dead_token_whose_login_fails(void **state)
{
    (void)state;
    memset(&lent, 0, sizeof lent);
    start();
    log_in("tokA");
    borrow("tokA");
    rest_fail(rest_pending(REST_ME), RC_UNAUTHORIZED, "401");
    fire_timer();
    grant();
    assert_int_equal(lent.refusals, 0);
    rest_fail(rest_pending(REST_LOGIN), RC_UNAUTHORIZED, "401");
    assert_int_equal(lent.refusals, 1);
    assert_int_equal(lent.result, RC_REFUSED);
    assert_string_equal(lent.code, "admin-refused");
}

static void test_nobody_waits_for_ever(void **state)
{
    (void)state;
    memset(&lent, 0, sizeof lent);
    start();
    log_in("tokA");
    borrow("tokA");
    for (int i = 0; i < 1000 && lent.refusals == 0; i++) {
        uv_run(&w.loop, UV_RUN_NOWAIT);
        uv_sleep(10);
    }
    assert_int_equal(lent.loans, 0);
    assert_int_equal(lent.result, RC_TIMED_OUT);
    rest_fail(rest_pending(REST_ME), RC_TIMED_OUT, NULL);
    check_state(ADMIN_READY, "");
    assert_int_equal(lent.refusals, 1);
}

static void test_no_admin_lends_nothing(void **state)
{
    (void)state;
    memset(&lent, 0, sizeof lent);
    w.settings.im.admin_user_name = empty;
    start();
    borrow(NULL);
    assert_int_equal(lent.result, RC_REFUSED);
    assert_string_equal(lent.code, "admin-off");
}

static void test_stop_while_the_token_is_looked_into(void **state)
{
    (void)state;
    start();
    log_in("tokA");
    memset(&lent, 0, sizeof lent);
    borrow("tokA");
    admin_agent_stop(w.agent, 1000, on_stopped, &w.stopped);
    assert_int_equal(lent.refusals, 1);
    rest_fail(rest_pending(REST_ME), RC_UNAUTHORIZED, "401");
    rest_answer(rest_pending(REST_LOGOUT), NULL, NULL, NULL, NULL);
    run_until(&w.stopped);
}

int main(void)
{
#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(test_password_login),
        T(test_retries_while_down_and_says_why),
        T(test_full_rest_window_is_waited_for),
        T(test_rest_whatever_users_log_in_by),
        T(test_refused),
        T(test_renewal_replaces_the_token),
        T(test_renewal_that_fails_for_now_keeps_the_token),
        T(test_personal_access_token),
        T(test_personal_access_token_of_somebody_else),
        T(test_unfit_token_never_reaches_a_header),
        T(test_no_admin),
        T(test_stop_while_waiting_for_a_turn),
        T(test_stop_during_the_login_logs_its_token_out),
        T(test_stop_is_bounded),
        T(test_lends_when_ready),
        T(test_a_doubted_token_is_looked_into),
        T(test_a_dead_token_whose_login_fails),
        T(test_nobody_waits_for_ever),
        T(test_no_admin_lends_nothing),
        T(test_stop_while_the_token_is_looked_into),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
