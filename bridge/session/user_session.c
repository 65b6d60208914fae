#include "bridge/log/log.h"
#include "bridge/session/user_session_internal.h"
#include "rocketchat/room_memory.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const state_names[SESSION_NSTATES] = {
    [SESSION_IDLE] = "idle",
    [SESSION_LOGGING_IN] = "logging-in",
    [SESSION_CONNECTING] = "connecting",
    [SESSION_AUTHENTICATING] = "authenticating",
    [SESSION_SUBSCRIBING] = "subscribing",
    [SESSION_LIVE] = "live",
    [SESSION_BACKOFF] = "backoff",
    [SESSION_REFUSED] = "refused",
    [SESSION_CLOSING] = "closing",
};

/* Design section 3. What ends without a DDP connection to close skips CLOSING. */
static const bool legal[SESSION_NSTATES][SESSION_NSTATES] = {
    [SESSION_IDLE] = {[SESSION_LOGGING_IN] = true, [SESSION_REFUSED] = true},
    [SESSION_LOGGING_IN] = {[SESSION_CONNECTING] = true,
                            [SESSION_BACKOFF] = true,
                            [SESSION_REFUSED] = true,
                            [SESSION_IDLE] = true},
    [SESSION_CONNECTING] =
        {[SESSION_AUTHENTICATING] = true, [SESSION_BACKOFF] = true, [SESSION_CLOSING] = true},
    [SESSION_AUTHENTICATING] =
        {[SESSION_SUBSCRIBING] = true, [SESSION_BACKOFF] = true, [SESSION_CLOSING] = true},
    [SESSION_SUBSCRIBING] =
        {[SESSION_LIVE] = true, [SESSION_BACKOFF] = true, [SESSION_CLOSING] = true},
    [SESSION_LIVE] = {[SESSION_BACKOFF] = true, [SESSION_CLOSING] = true},
    [SESSION_BACKOFF] =
        {[SESSION_LOGGING_IN] = true, [SESSION_REFUSED] = true, [SESSION_IDLE] = true},
    [SESSION_REFUSED] = {[SESSION_LOGGING_IN] = true, [SESSION_IDLE] = true},
    [SESSION_CLOSING] = {[SESSION_IDLE] = true,
                         [SESSION_LOGGING_IN] = true,
                         [SESSION_BACKOFF] = true,
                         [SESSION_REFUSED] = true},
};

const char *session_state_name(enum session_state state)
{
    assert((unsigned)state < SESSION_NSTATES);
    return state_names[state];
}

/* ---- state and time ---- */

void session_set_code(struct user_session *s, const char *code)
{
    snprintf(s->code, sizeof s->code, "%s", code);
}

static void count_state(struct user_session *s, int by)
{
    s->table->by_state[s->state] += (unsigned)by;
}

/* The only writer of s->state. */
void session_enter(struct user_session *s, enum session_state to)
{
    assert(legal[s->state][to]);
    count_state(s, -1); /* gauges move with the state, so they cannot drift */
    s->state = (uint8_t)to;
    count_state(s, 1);
    log_debug("session_state", LOG_ID("user", slice_of(s->key)),
              LOG_STR("state", session_state_name(to)));
}

static bool is_done(const struct user_session *s)
{
    /* A refusal is remembered to the end of its pause, or each visit would cost a login. */
    return s->connections == 0 && (s->slots.count == 0 || s->table->draining) &&
           s->linger_at_ms == 0 && s->borrows == NULL && s->holds == 0 && s->ddp == NULL &&
           (s->state == SESSION_IDLE || (s->state == SESSION_REFUSED && s->step_at_ms == 0));
}

void session_rearm(struct user_session *s)
{
    uint64_t at = session_sooner(session_sooner(s->step_at_ms, s->linger_at_ms),
                                 session_sooner(s->repair_at_ms, s->borrow_at_ms));

    at = session_sooner(session_sooner(at, s->token_ends_ms), s->replay_at_ms);
    at = session_sooner(at, session_sooner(s->calls_at_ms, s->opened_at_ms));
    at = session_sooner(at, s->further_at_ms);

    /* Never freed where it became useless: the callers up the stack still hold it. */
    if (is_done(s))
        at = session_now_ms(s->table);
    if (at == 0)
        timer_wheel_cancel(s->table->wheel, &s->timer);
    else
        timer_wheel_arm(s->table->wheel, &s->timer, at);
}

void session_arm(struct user_session *s, uint64_t step_at_ms)
{
    s->step_at_ms = step_at_ms;
    session_rearm(s);
}

static bool is_due(uint64_t at_ms, uint64_t now_ms)
{
    return at_ms != 0 && now_ms >= at_ms;
}

static void linger_due(struct user_session *s)
{
    if (s->borrows != NULL) {
        s->linger_at_ms = s->borrow_at_ms; /* somebody waits for what is under way */
        return;
    }
    s->linger_at_ms = 0;
    /* The token stays cached until its time ends; without an entry nobody would log it out. */
    session_leave(s, SESSION_IDLE, !s->stored);
}

/* What the state waited for, or a word to the tabs that it takes long. */
static void step_due(struct user_session *s)
{
    s->step_at_ms = 0;
    switch ((enum session_state)s->state) {
    case SESSION_REFUSED:
        if (s->connections > 0)
            session_begin(s);
        break;
    case SESSION_BACKOFF:
        if (session_is_wanted(s))
            session_begin(s);
        else
            session_enter(s, SESSION_IDLE); /* the pause was only remembered */
        break;
    case SESSION_LOGGING_IN:
        if (s->login != NULL && s->code[0] == '\0')
            session_set_code(s, "login-queue");
        session_tell(s, TOLD_CONNECTING);
        break;
    case SESSION_AUTHENTICATING:
        if (s->naming && s->rest == NULL)
            session_login_ask_me(s);
        else if (!session_login_gave_up(s))
            session_tell(s, TOLD_CONNECTING);
        break;
    case SESSION_CONNECTING:
        session_tell(s, TOLD_CONNECTING);
        break;
    case SESSION_SUBSCRIBING:
    case SESSION_LIVE:
        session_link_step(s);
        break;
    case SESSION_IDLE:
    case SESSION_CLOSING:
    case SESSION_NSTATES:
        break;
    }
}

void user_session_due(struct user_session *s)
{
    const uint64_t now = session_now_ms(s->table);

    if (is_due(s->borrow_at_ms, now))
        session_borrows_due(s);
    if (is_due(s->linger_at_ms, now))
        linger_due(s);
    if (is_due(s->repair_at_ms, now))
        session_repair_due(s);
    if (is_due(s->calls_at_ms, now))
        session_calls_due(s);
    if (is_due(s->opened_at_ms, now))
        session_opened_due(s);
    if (is_due(s->further_at_ms, now))
        session_further_due(s);
    if (is_due(s->replay_at_ms, now))
        session_replay_due(s);
    if (is_due(s->token_ends_ms, now))
        session_token_ended(s);
    if (is_due(s->step_at_ms, now))
        step_due(s);
    if (is_done(s))
        session_table_forget(s);
    else
        session_rearm(s);
}

/* ---- answers that come later ---- */

struct session_op *session_op_new(struct user_session *s)
{
    struct session_op *op = calloc(1, sizeof *op);

    if (op == NULL)
        return NULL;
    op->session = s;
    op->seq = s->op_seq;
    s->holds++;
    return op;
}

struct user_session *session_op_end(struct session_op *op)
{
    struct user_session *s = op->session;
    bool waited_for = op->seq == s->op_seq;

    free(op);
    if (--s->holds == 0)
        session_rearm(s);
    return waited_for ? s : NULL;
}

void session_expect_nothing(struct user_session *s)
{
    s->op_seq++;
    if (s->rest != NULL)
        rest_call_cancel(s->rest);
    if (s->history_call != NULL)
        rest_call_cancel(s->history_call);
    s->rest = s->history_call = NULL;
}

/* ---- birth and death ---- */

struct user_session *user_session_new(struct session_table *t, const struct session_who *who)
{
    size_t interest = t->options.nshards * sizeof(uint32_t);
    struct user_session *s = calloc(1, sizeof *s + interest + who->key.len + who->username.len + 2);

    if (s == NULL)
        return NULL;
    s->table = t;
    s->interest = (uint32_t *)(void *)s->tail;
    s->key = s->tail + interest;
    memcpy(s->key, who->key.ptr, who->key.len);
    s->key_len = (uint16_t)who->key.len;
    s->username = s->key + who->key.len + 1;
    if (who->username.len > 0)
        memcpy(s->username, who->username.ptr, who->username.len);
    s->username_len = (uint16_t)who->username.len;
    s->watch = token_cache_watch(t->options.cache, who->key, session_on_notice, s);
    if (s->watch == NULL) {
        free(s);
        return NULL;
    }
    replay_ring_init(&s->ring);
    count_state(s, 1);
    return s;
}

void user_session_free(struct user_session *s)
{
    assert(s->ddp == NULL && s->holds == 0 && s->login == NULL && s->repairs == NULL &&
           s->borrows == NULL);
    count_state(s, -1);
    timer_wheel_cancel(s->table->wheel, &s->timer);
    session_opened_free(s);
    session_further_free(s);
    session_calls_free(s);
    token_cache_unwatch(s->watch);
    room_memory_free(s->rooms);
    session_replay_free(s);
    session_forget_token(s);
    free(s->ddp_session);
    free(s->real_name);
    free(s->profile);
    free(s->failure);
    free(s);
}

void user_session_wanted(struct user_session *s)
{
    s->linger_at_ms = 0;
    session_rearm(s);
    session_touch(s);
    if (s->state == SESSION_IDLE && !s->yielded)
        session_begin(s);
    else if (s->state == SESSION_CLOSING && s->then == SESSION_IDLE && !s->yielded)
        s->then = SESSION_LOGGING_IN;
}

void user_session_unwanted(struct user_session *s)
{
    const uint64_t slots_end = lost_slots_last_end_ms(&s->slots);

    if (s->state != SESSION_IDLE && s->state != SESSION_REFUSED)
        s->linger_at_ms = session_now_ms(s->table) + s->table->settings->session.linger_ms;
    if (s->linger_at_ms != 0 && s->linger_at_ms < slots_end)
        s->linger_at_ms = slots_end;
    session_replay_due(s); /* what was kept for tabs that will not ask for it */
    session_rearm(s);
}
