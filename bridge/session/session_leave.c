/* How a session leaves what it is in, its DDP connection and what is under way included, and for
 * what: a pause behind a failure, a refusal, another login, or nothing. */
#include "bridge/log/log.h"
#include "bridge/session/user_session_internal.h"
#include <stdlib.h>

/* ---- out of it ---- */

static void on_logged_out(void *arg, struct slice result, const struct rc_error *error)
{
    struct user_session *s = arg;

    (void)result;
    if (!s->logging_out)
        return; /* closed meanwhile */
    if (error == NULL || error->result == RC_UNAUTHORIZED)
        session_forget_token(s);
    else
        session_drop_token(s); /* over REST, then */
    if (error == NULL || (error->result != RC_UNREACHABLE && error->result != RC_CANCELLED))
        ddp_connector_close(s->ddp);
}

/* drop_token: first logs it out on the connection that uses it. */
static void close_link(struct user_session *s, bool drop_token)
{
    if (drop_token && s->authed && s->token != NULL) {
        s->logging_out = ddp_connector_call(s->ddp, "logout", SLICE_LIT("[]"), SESSION_LOGOUT_MS,
                                            on_logged_out, s);
        if (s->logging_out)
            return;
    }
    if (drop_token)
        session_drop_token(s);
    ddp_connector_close(s->ddp);
}

/* A session that held is a fresh start for whatever fails next; one that falls at once is not. */
static void note_stability(struct user_session *s)
{
    uint64_t stable_ms = s->table->settings->session.backoff_max_ms;

    if (s->state == SESSION_LIVE && session_now_ms(s->table) - s->live_since_ms >= stable_ms) {
        s->failures = s->refusals = 0;
        s->fresh = false;
        s->live_since_ms = session_now_ms(s->table); /* once for each life */
    }
}

void session_leave(struct user_session *s, enum session_state then, bool drop_token)
{
    bool linked = s->ddp != NULL;

    note_stability(s);
    if (then == SESSION_IDLE && !s->yielded)
        session_repair_stop(s);
    else /* the user may be live again: what went out before its turn is still to be told late */
        session_repair_pause(s);
    drop_token |= s->token_unwanted;
    session_login_stop(s); /* may keep the connection for itself */
    session_expect_nothing(s);
    s->then = (uint8_t)then;
    session_arm(s, 0);
    if (s->state == SESSION_CLOSING) {
        if (drop_token && !s->logging_out)
            session_drop_token(s);
        return;
    }
    if (linked)
        session_enter(s, SESSION_CLOSING);
    if (s->ddp != NULL) {
        close_link(s, drop_token);
        return;
    }
    if (drop_token)
        session_drop_token(s);
    session_left(s);
}

static void enter_pause(struct user_session *s, enum session_state to, enum session_told told)
{
    session_enter(s, to);
    session_arm(s, s->retry_in_ms == 0 ? 0 : session_now_ms(s->table) + s->retry_in_ms);
    session_tell(s, told);
    session_calls_not_live(s);
}

void session_left(struct user_session *s)
{
    if (s->authed && !s->gap) /* else it goes on */
        s->lost_at_ms = session_now_ms(s->table);
    s->authed = s->logging_out = false;
    free(s->ddp_session);
    free(s->real_name); /* it may change unseen */
    s->ddp_session = s->real_name = NULL;
    memset(s->subs, SUB_NONE, sizeof s->subs);
    session_opened_lost(s);
    session_further_lost(s);
    if (s->table->draining)
        s->then = SESSION_IDLE;
    if (s->connections == 0 && (s->then == SESSION_IDLE || s->then == SESSION_REFUSED))
        s->linger_at_ms = 0; /* nothing is kept that could be waited for */
    switch ((enum session_state)s->then) {
    case SESSION_LOGGING_IN:
        session_begin(s);
        break;
    case SESSION_BACKOFF:
        enter_pause(s, SESSION_BACKOFF, TOLD_BACKOFF);
        break;
    case SESSION_REFUSED:
        enter_pause(s, SESSION_REFUSED, TOLD_REFUSED);
        break;
    default:
        if (s->state != SESSION_IDLE)
            session_enter(s, SESSION_IDLE);
        session_arm(s, 0);
        session_calls_not_live(s);
        if (s->yielded) {
            session_forget_token(s); /* the new owner's now, or dropped */
            session_tell(s, TOLD_BACKOFF);
        }
        break;
    }
    session_borrows_step(s);
}

/* ---- what makes it leave ---- */

static void set_failure(struct user_session *s, const char *code)
{
    session_set_code(s, code);
    free(s->failure);
    s->failure = slice_dup(slice_of(s->code));
    s->failed_at_ms = session_now_ms(s->table);
    s->failed_in = s->state;
}

void session_back_off(struct user_session *s, const char *code, uint64_t least_ms)
{
    const struct settings *settings = s->table->settings;
    uint64_t ceiling;

    note_stability(s);
    ceiling = (uint64_t)settings->session.backoff_min_ms << (s->failures < 16 ? s->failures : 16);
    if (ceiling > settings->session.backoff_max_ms)
        ceiling = settings->session.backoff_max_ms;
    if (s->failures < UINT8_MAX)
        s->failures++;
    set_failure(s, code);
    /* Full jitter: whatever took all sessions down, they don't come back as one. */
    s->retry_in_ms = least_ms + session_random(s->table, ceiling) + 1;
    log_info("session_backoff", LOG_ID("user", slice_of(s->key)), LOG_STR("code", s->code),
             LOG_UINT("retry_ms", s->retry_in_ms));
    session_leave(s, SESSION_BACKOFF, false);
}

void session_refuse(struct user_session *s, const char *code, uint64_t retry_ms)
{
    uint64_t pause = retry_ms;

    note_stability(s);
    if (pause == 0) {
        pause = (uint64_t)SESSION_REFUSED_MS << (s->refusals < 8 ? s->refusals : 8);
        if (pause > SESSION_REFUSED_MAX_MS)
            pause = SESSION_REFUSED_MAX_MS;
        pause += session_random(s->table, pause / 10);
    }
    if (s->refusals < UINT8_MAX)
        s->refusals++;
    set_failure(s, code);
    s->retry_in_ms = pause;
    log_warn("session_refused", LOG_ID("user", slice_of(s->key)), LOG_STR("code", s->code),
             LOG_UINT("retry_ms", pause));
    session_leave(s, SESSION_REFUSED, false);
}

void session_refuse_for_good(struct user_session *s, const char *code)
{
    set_failure(s, code);
    s->retry_in_ms = 0;
    log_warn("session_refused", LOG_ID("user", slice_of(s->key)), LOG_STR("code", s->code));
    session_leave(s, SESSION_REFUSED, false);
}

void session_yield(struct user_session *s, bool drop_token)
{
    s->yielded = true;
    s->stored = false;
    session_set_code(s, "cache-updated");
    s->retry_in_ms = 0;
    session_turn_away(s, RC_UNREACHABLE, s->code, 0);
    log_info("session_yielded", LOG_ID("user", slice_of(s->key)), LOG_STR("end", "cache updated"));
    session_leave(s, SESSION_IDLE, drop_token);
}

void user_session_revoke(struct user_session *s, enum session_revoke why)
{
    s->stored = false;
    s->retry_in_ms = 0;
    session_set_code(s, why == SESSION_REVOKED ? "revoked" : "logged-out");
    log_info("session_ended", LOG_ID("user", slice_of(s->key)), LOG_STR("code", s->code));
    session_turn_away(s, RC_CANCELLED, s->code, 0);
    session_leave(s, SESSION_IDLE, true);
    session_tell(s, TOLD_REFUSED);
    s->told = TOLD_NOTHING; /* the tabs that hear it next are others */
    for (unsigned i = 0; i < s->table->options.nshards; i++)
        if (s->interest[i] > 0)
            s->table->options.host.close_user(s->table->options.host.arg, i, slice_of(s->key), why);
}

void user_session_drain(struct user_session *s)
{
    bool stored = s->stored;

    s->linger_at_ms = 0;
    session_calls_abort(s);
    session_turn_away(s, RC_CANCELLED, "draining", 0);
    /* With an open socket the token goes by DDP, so the cache need not give it to REST. */
    if (stored && s->authed && s->token != NULL) {
        struct token_expect expect = {slice_of(s->token), s->epoch};
        token_cache_remove(s->table->options.cache, slice_of(s->key), &expect, TOKEN_REMOVAL_LOGOUT,
                           s->watch, session_ignore_cache, NULL);
        s->stored = stored = false;
    }
    session_leave(s, SESSION_IDLE, !stored);
}

void user_session_abort(struct user_session *s)
{
    if (s->check != NULL)
        rest_call_cancel(s->check);
    if (s->state == SESSION_CLOSING && s->logging_out) {
        s->logging_out = false;
        ddp_connector_close(s->ddp);
    }
}
