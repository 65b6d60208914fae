/* A fresh login: a turn from the governor, then REST, or the password on the user's own DDP
 * connection, or a token that the administrator makes; then the check whose account it gave, and
 * only then the cache. A user whom Rocket.Chat refuses, and does not know at all, may be created in
 * between (provisioner.h), and logs in again on the same turn.
 *
 * A login once sent is never given up, even if the session is: its token must be logged out. So a
 * session_login lives until its answer came, with or without its session. */
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "bridge/log/log.h"
#include "bridge/provisioning/password_policy.h"
#include "bridge/provisioning/provisioner.h"
#include "bridge/session/session_login_internal.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ME_PAUSE_MS = 60 * 1000 }; /* REST's own window, where a refusal does not tell it */

int64_t session_login_unix_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- the governor's side ---- */

void session_login_free(struct session_login *l)
{
    if (l->session != NULL)
        l->session->login = NULL;
    l->session = NULL;
    if (l->provision != NULL) { /* its answer names l, and frees it */
        provision_cancel(l->provision);
        return;
    }
    free(l->seen_id);
    free(l->seen_name);
    free(l);
}

static enum metric login_metric(const struct session_login *l, const struct rc_error *error)
{
    enum metric base = l->by_token                  ? METRIC_LOGINS_TOKEN_OK
                       : l->road == LOGIN_ROAD_REST ? METRIC_LOGINS_REST_OK
                                                    : METRIC_LOGINS_DDP_OK;

    if (error == NULL)
        return base;
    if (error->result == RC_RATE_LIMITED || error->result == RC_BLOCKED_IP)
        return base + (METRIC_LOGINS_REST_LIMITED - METRIC_LOGINS_REST_OK);
    if (!rc_result_is_transient(error->result))
        return base + (METRIC_LOGINS_REST_REFUSED - METRIC_LOGINS_REST_OK);
    return base + (METRIC_LOGINS_REST_FAILED - METRIC_LOGINS_REST_OK);
}

void session_login_tell_done(struct session_login *l, const struct rc_error *error,
                             const struct rest_rate *rate)
{
    struct session_table *t = l->table;

    assert(l->granted);
    HASH_DEL(t->logins, l);
    if (error == NULL || error->result != RC_CANCELLED)
        metrics_inc(t->options.metrics, login_metric(l, error));
    l->told = true;
    t->options.gate.done(t->options.gate.arg, l->ticket, l->road, error, rate);
}

void session_login_start(struct user_session *s)
{
    struct session_table *t = s->table;
    struct session_login *l = calloc(1, sizeof *l);

    assert(s->state == SESSION_LOGGING_IN && s->login == NULL);
    if (l == NULL) {
        session_back_off(s, rc_result_name(RC_NOMEM), 0);
        return;
    }
    l->table = t;
    l->ticket = ++t->next_ticket;
    HASH_ADD(hh, t->logins, ticket, sizeof l->ticket, l);
    if (l->table == NULL) { /* uthash_nonfatal_oom */
        free(l);
        session_back_off(s, rc_result_name(RC_NOMEM), 0);
        return;
    }
    l->session = s;
    s->login = l;
    t->options.gate.acquire(t->options.gate.arg, slice_of(s->key), l->ticket);
}

void session_login_stop(struct user_session *s)
{
    struct session_login *l = s->login;
    struct session_table *t = s->table;

    if (l == NULL)
        return;
    s->login = NULL;
    l->session = NULL;
    if (!l->granted) {
        HASH_DEL(t->logins, l);
        t->options.gate.cancel(t->options.gate.arg, l->ticket);
        session_login_free(l);
    } else if (l->road == LOGIN_ROAD_DDP && !l->by_token) {
        struct rc_error cancelled;
        rc_error_of(&cancelled, RC_CANCELLED);
        if (!l->told)
            session_login_tell_done(l, &cancelled, NULL);
        if (l->asked)
            session_late_begin(l, s);
        else
            session_login_free(l);
    } /* else the answer under way ends it */
}

void session_logins_abort(struct session_table *t)
{
    struct session_login *l, *next;

    HASH_ITER(hh, t->logins, l, next)
    if (l->call != NULL)
        rest_call_cancel(l->call);
    else if (l->provision != NULL)
        provision_cancel(l->provision);
}

static uint64_t block_ms(const struct rc_error *error)
{
    return error->retry_after_ms > RC_LOGIN_BLOCK_MS ? error->retry_after_ms : RC_LOGIN_BLOCK_MS;
}

void session_login_fail(struct user_session *s, const struct rc_error *error)
{
    switch (error->result) {
    case RC_UNAUTHORIZED:
    case RC_TWO_FACTOR:
    case RC_DEACTIVATED:
    case RC_REFUSED:
    case RC_NOT_ALLOWED:
        session_refuse(s, error->code, error->retry_after_ms);
        break;
    case RC_BLOCKED_USER:
        session_refuse(s, error->code, block_ms(error));
        break;
    case RC_BLOCKED_IP: /* everybody waits for its end (login_governor.h), and is told so */
        session_back_off(s, error->code, block_ms(error));
        break;
    default:
        session_back_off(s, error->code, error->retry_after_ms);
        break;
    }
}

struct session_login *session_login_find(struct session_table *t, uint64_t ticket)
{
    struct session_login *l;

    HASH_FIND(hh, t->logins, &ticket, sizeof ticket, l);
    return l;
}

void session_login_turned_away(struct session_login *l, const struct rc_error *error)
{
    struct user_session *s = l->session;

    HASH_DEL(l->table->logins, l);
    session_login_free(l);
    if (s != NULL)
        session_login_fail(s, error);
}

/* ---- whose account it is, and into the cache ---- */

void session_login_accept(struct user_session *s, struct slice username)
{
    const char *refusal = session_account_refusal(s, slice_of(s->user_id), username);

    if (refusal != NULL) {
        log_warn("session_account_refused", LOG_ID("user", slice_of(s->key)),
                 LOG_ID("rc_user", slice_of(s->user_id)), LOG_STR("code", refusal));
        session_refuse(s, refusal, 0);
        return;
    }
    if (s->naming)
        session_arm(s, 0);
    s->naming = s->token_unwanted = false;
    s->fresh = !s->authed; /* logged in on the connection at hand: it works */
    s->fresh_refused &= s->fresh;
    session_believe_token(s);
    session_store(s, session_token_ready);
}

static void on_me(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    struct user_session *s = session_op_end(arg);

    if (s == NULL)
        return;
    s->rest = NULL;
    if (error == NULL && slice_eq(me->user_id, slice_of(s->user_id))) {
        session_login_accept(s, me->username);
    } else if (error != NULL && error->result == RC_RATE_LIMITED && s->naming) {
        /* Logged in all the same: giving it up would only cost another login. */
        session_set_code(s, error->code);
        session_tell(s, TOLD_CONNECTING);
        session_arm(s, session_now_ms(s->table) +
                           (error->retry_after_ms > 0 ? error->retry_after_ms : ME_PAUSE_MS));
    } else {
        session_back_off(s, error != NULL ? error->code : rc_result_name(RC_MALFORMED),
                         error != NULL ? error->retry_after_ms : 0);
    }
}

void session_login_ask_me(struct user_session *s)
{
    struct session_op *op = session_op_new(s);

    session_arm(s, s->told == TOLD_NOTHING ? session_now_ms(s->table) + SESSION_SLOW_MS : 0);
    if (op != NULL)
        s->rest =
            rest_me(s->table->options.rest, slice_of(s->user_id), slice_of(s->token), on_me, op);
    if (s->rest != NULL)
        return;
    if (op != NULL)
        session_op_end(op);
    session_back_off(s, rc_result_name(RC_NOMEM), 0);
}

bool session_login_take_token(struct user_session *s, struct slice user_id, struct slice token)
{
    if (!session_set_token(s, user_id, token, session_login_unix_ms()))
        return false;
    s->token_unwanted = true;
    return true;
}

/* ---- by REST ---- */

static void end_login(struct session_login *l, const struct rc_error *error,
                      const struct rest_rate *rate)
{
    struct user_session *s = l->session;

    session_login_tell_done(l, error, rate);
    session_login_free(l);
    if (s != NULL && error != NULL)
        session_login_fail(s, error);
}

/* l is through; login is borrowed. */
static void take_login(struct session_login *l, const struct rest_login *login,
                       const struct rest_rate *rate)
{
    struct session_table *t = l->table;
    struct user_session *s = l->session;

    end_login(l, NULL, rate);
    if (s == NULL) {
        logout_queue_add(t->logouts, login->user_id, login->auth_token);
    } else if (!session_login_take_token(s, login->user_id, login->auth_token)) {
        logout_queue_add(t->logouts, login->user_id, login->auth_token);
        session_back_off(s, rc_result_name(RC_MALFORMED), 0);
    } else if (login->username.len > 0) {
        session_login_accept(s, login->username);
    } else {
        session_login_ask_me(s);
    }
}

static void end_without_memory(struct session_login *l)
{
    struct rc_error error;

    rc_error_of(&error, RC_NOMEM);
    end_login(l, &error, NULL);
}

static void on_rest_login(void *arg, const struct rest_login *login, const struct rc_error *error,
                          const struct rest_rate *rate)
{
    struct session_login *l = arg;

    l->call = NULL;
    if (error == NULL)
        take_login(l, login, rate);
    else if (!session_login_ensure(l, error, rate))
        end_login(l, error, rate);
}

static void login_by_rest(struct session_login *l)
{
    struct session_table *t = l->table;
    struct slice username = slice_of(l->session->username);
    char made_up[PASSWORD_POLICY_BYTES];

    l->call = rest_login(t->options.rest, username,
                         password_policy_login(t->settings, username, made_up), on_rest_login, l);
    explicit_bzero(made_up, sizeof made_up);
    if (l->call == NULL)
        end_without_memory(l);
}

/* ---- by a token, and with an account that is made on the way ---- */

static struct provision_user user_of(const struct user_session *s)
{
    return (struct provision_user){slice_of(s->username), {s->profile, s->profile_len}};
}

static void on_token_login(void *arg, const struct rest_login *login, const struct rc_error *error)
{
    struct session_login *l = arg;
    struct user_session *s = l->session;
    struct rc_error none;

    l->provision = NULL;
    if (error == NULL) {
        take_login(l, login, NULL);
    } else if (error->result == RC_NOT_ALLOWED) { /* the administrator's trouble, not the user's */
        rc_error_of(&none, RC_CANCELLED);
        session_login_tell_done(l, &none, NULL);
        session_login_free(l);
        if (s != NULL)
            session_login_fail(s, error);
    } else {
        end_login(l, error, NULL);
    }
}

static void login_by_token(struct session_login *l)
{
    const struct provision_user user = user_of(l->session);

    l->by_token = true;
    l->provision = provisioner_login(l->table->options.provisioner, &user, on_token_login, l);
    if (l->provision == NULL)
        end_without_memory(l);
}

static void log_in(struct session_login *l)
{
    if (l->road == LOGIN_ROAD_DDP)
        session_connect(l->session);
    else
        login_by_rest(l);
}

static void on_ensured(void *arg, enum provision_result result, const struct rc_error *error)
{
    struct session_login *l = arg;
    struct rc_error refusal = l->refusal;

    l->provision = NULL;
    if (l->told) { /* given up meanwhile */
        session_login_free(l);
        return;
    }
    if (l->session != NULL && refusal.result == RC_OK) { /* looked at first: now the login itself */
        log_in(l);
        return;
    }
    if (result == PROVISION_CREATED && l->session != NULL) {
        if (l->road == LOGIN_ROAD_REST)
            login_by_rest(l);
        else
            session_login_by_ddp(l->session);
        return;
    }
    if (refusal.result == RC_OK)
        rc_error_of(&refusal, RC_CANCELLED);
    /* Refused all the same, and remembered as such: each try counts at Rocket.Chat. */
    if (result == PROVISION_FAILED)
        snprintf(refusal.code, sizeof refusal.code, "%s", error->code);
    end_login(l, &refusal, l->road == LOGIN_ROAD_REST ? &l->rate : NULL);
}

bool session_login_ensure(struct session_login *l, const struct rc_error *error,
                          const struct rest_rate *rate)
{
    struct provisioner *p = l->table->options.provisioner;
    struct provision_user user;

    if (error->result != RC_UNAUTHORIZED || l->ensured || l->session == NULL || p == NULL ||
        !provisioner_creates(p))
        return false;
    user = user_of(l->session);
    l->ensured = true;
    l->refusal = *error;
    if (rate != NULL)
        l->rate = *rate;
    l->provision = provisioner_ensure(p, &user, on_ensured, l);
    return l->provision != NULL;
}

/* Where unknown users keep coming: each refused login counts against our address. */
static bool look_first(struct session_login *l, struct provisioner *p)
{
    const struct provision_user user = user_of(l->session);

    l->ensured = true;
    l->provision = provisioner_ensure(p, &user, on_ensured, l);
    return l->provision != NULL;
}

void session_login_go(struct session_login *l, enum login_road road)
{
    struct provisioner *p = l->table->options.provisioner;

    l->granted = true;
    l->road = road;
    if (p != NULL && provisioner_logs_in(p))
        login_by_token(l);
    else if (p == NULL || !provisioner_is_busy(p) || !look_first(l, p))
        log_in(l);
}

const char *session_login_state(const struct user_session *s)
{
    if (s->naming)
        return "checking the account";
    if (s->login == NULL)
        return s->token != NULL ? "has a token" : "none";
    if (!s->login->granted)
        return "waiting for its turn";
    if (s->login->by_token)
        return "by users.createToken";
    if (s->login->provision != NULL)
        return "being created";
    return s->login->road == LOGIN_ROAD_REST ? "by REST" : "by DDP";
}
