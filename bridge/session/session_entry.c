/* A session and its entry in the token cache: look it up and begin with it, write the DDP session
 * into it, and hear what becomes of it. The entry bounds the DDP connection; whoever wrote it last
 * has the session. */
#include "bridge/identity/rc_account.h"
#include "bridge/log/log.h"
#include "bridge/session/user_session_internal.h"
#include <stdlib.h>

/* ---- the token ---- */

static bool fits_header(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f || s.ptr[i] == '"' || s.ptr[i] == '\\')
            return false;
    return s.len > 0 && s.len < 256;
}

void session_forget_token(struct user_session *s)
{
    if (s->token != NULL)
        explicit_bzero(s->token, strlen(s->token));
    free(s->token);
    free(s->user_id);
    s->token = s->user_id = NULL;
    s->token_unwanted = s->naming = false;
}

bool session_set_token(struct user_session *s, struct slice user_id, struct slice token,
                       int64_t issued_at_ms)
{
    session_forget_token(s);
    if (!fits_header(user_id) || !fits_header(token))
        return false;
    s->user_id = slice_dup(user_id);
    s->token = slice_dup(token);
    s->issued_at_ms = issued_at_ms;
    if (s->user_id != NULL && s->token != NULL)
        return true;
    session_forget_token(s);
    return false;
}

void session_drop_token(struct user_session *s)
{
    if (s->token != NULL)
        logout_queue_add(s->table->logouts, slice_of(s->user_id), slice_of(s->token));
    session_forget_token(s);
}

void session_ignore_cache(void *arg, enum token_cache_result result,
                          const struct token_entry *entry)
{
    (void)arg;
    (void)result;
    (void)entry;
}

void session_touch(struct user_session *s)
{
    const struct settings *settings = s->table->settings;
    uint64_t now = session_now_ms(s->table), gap = settings->token_cache.ttl_ms / SESSION_TOUCHES;
    struct token_expect expect;

    if (gap > SESSION_TOUCH_MS)
        gap = SESSION_TOUCH_MS;
    if (!settings->token_cache.sliding || s->token == NULL || now < s->touched_ms + gap)
        return;
    s->touched_ms = now;
    s->ttl_ends_ms = now + settings->token_cache.ttl_ms; /* but for the jitter */
    if (!s->stored) {
        if (s->token_ends_ms != 0)
            s->token_ends_ms = s->ttl_ends_ms;
        return;
    }
    expect = (struct token_expect){slice_of(s->token), s->epoch};
    token_cache_touch(s->table->options.cache, slice_of(s->key), &expect);
}

/* ---- beginning ---- */

const char *session_account_refusal(const struct user_session *s, struct slice user_id,
                                    struct slice username)
{
    enum rc_account_result r =
        rc_account_check(s->username, username, user_id, s->table->admin_name, s->table->admin_id);

    return r == RC_ACCOUNT_OK ? NULL : rc_account_code(r);
}

/* An entry whose account is not the user's (the template changed, say) is of no use to anybody. */
static void discard_entry(struct user_session *s, const struct token_entry *entry)
{
    struct token_expect expect = {entry->auth_token, entry->epoch};

    log_warn("session_entry_discarded", LOG_ID("user", slice_of(s->key)),
             LOG_ID("rc_user", entry->rc_user_id));
    token_cache_remove(s->table->options.cache, slice_of(s->key), &expect, TOKEN_REMOVAL_REFUSED,
                       s->watch, session_ignore_cache, NULL);
    if (fits_header(entry->rc_user_id) && fits_header(entry->auth_token))
        logout_queue_add(s->table->logouts, entry->rc_user_id, entry->auth_token);
}

static void on_looked_up(void *arg, enum token_cache_result result, const struct token_entry *entry)
{
    struct user_session *s = session_op_end(arg);

    if (s == NULL)
        return;
    s->stored = false;
    if (result == TOKEN_CACHE_OK &&
        (session_account_refusal(s, entry->rc_user_id, entry->rc_username) != NULL ||
         !session_set_token(s, entry->rc_user_id, entry->auth_token, entry->issued_at_ms))) {
        discard_entry(s, entry);
        session_forget_token(s);
    } else if (result == TOKEN_CACHE_OK) {
        s->epoch = entry->epoch;
        s->stored = true;
    }
    /* Without an entry there may still be a token: kept over the entry's end, or never stored. */
    if (s->token != NULL) {
        session_token_ready(s);
    } else {
        s->yielded = false; /* nobody has the session any more */
        session_login_start(s);
    }
}

void session_begin(struct user_session *s)
{
    s->yielded = false;
    session_fetch(s);
}

void session_fetch(struct user_session *s)
{
    struct session_op *op;

    session_enter(s, SESSION_LOGGING_IN);
    session_arm(s, s->told == TOLD_NOTHING ? session_now_ms(s->table) + SESSION_SLOW_MS : 0);
    op = session_op_new(s);
    if (op != NULL && token_cache_get(s->table->options.cache, slice_of(s->key), on_looked_up, op))
        return;
    if (op != NULL)
        session_op_end(op);
    session_back_off(s, rc_result_name(RC_NOMEM), 0);
}

/* ---- writing the entry ---- */

static bool put(struct session_op *op);

/* The time to live that the cache would have given. */
static uint64_t draw_ttl(struct user_session *s)
{
    uint64_t ttl = s->table->settings->token_cache.ttl_ms;

    return ttl - ttl / 10 + session_random(s->table, ttl / 5 + 1);
}

static void on_put(void *arg, enum token_cache_result result, const struct token_entry *entry)
{
    struct session_op *op = arg;
    void (*next)(struct user_session *) = op->next;
    struct user_session *s = op->session;

    /* What we compared with has ended in between: once more, with nothing. */
    if (result == TOKEN_CACHE_CONFLICT && entry == NULL && s->stored && op->seq == s->op_seq) {
        s->stored = false;
        if (put(op))
            return;
    }
    s = session_op_end(op);
    if (s == NULL)
        return;
    if (result == TOKEN_CACHE_CONFLICT) {
        /* A newer login stands there: it wins. Ours is logged out unless it is the same token. */
        session_yield(s, entry == NULL || !slice_eq(entry->auth_token, slice_of(s->token)));
        return;
    }
    s->stored = result == TOKEN_CACHE_OK;
    s->token_ends_ms = 0;
    if (s->stored) {
        s->ttl_ends_ms = session_now_ms(s->table) + entry->ttl_left_ms;
    } else {
        log_warn("token_cache_full", LOG_ID("user", slice_of(s->key)));
        s->ttl_ends_ms = s->token_ends_ms = session_now_ms(s->table) + draw_ttl(s);
        session_rearm(s);
    }
    next(s);
}

static bool put(struct session_op *op)
{
    struct user_session *s = op->session;
    struct token_expect expect = {slice_of(s->token), s->epoch};
    struct token_entry entry = {
        .rc_user_id = slice_of(s->user_id),
        .rc_username = slice_of(s->username),
        .auth_token = slice_of(s->token),
        .ddp_session = slice_of(s->ddp_session),
        .instance = slice_of(s->table->settings->instance_name),
        .epoch = s->epoch,
        .issued_at_ms = s->issued_at_ms,
    };

    return token_cache_put(s->table->options.cache, slice_of(s->key), s->stored ? &expect : NULL,
                           &entry, s->watch, on_put, op);
}

void session_store(struct user_session *s, void (*next)(struct user_session *s))
{
    struct session_op *op = session_op_new(s);

    if (op != NULL) {
        op->next = next;
        if (put(op))
            return;
        session_op_end(op);
    }
    session_back_off(s, rc_result_name(RC_NOMEM), 0);
}

/* ---- notices of the cache ---- */

/* The token's time is over, in whichever state that finds the session. */
static void token_ended(struct user_session *s)
{
    bool login = s->table->settings->token_cache.on_expiry == ON_EXPIRY_LOGIN;
    bool wanted = s->connections > 0 || s->slots.count > 0;

    log_info("session_ttl_ended", LOG_ID("user", slice_of(s->key)),
             LOG_STR("end", "cache timeout"));
    switch ((enum session_state)s->state) {
    case SESSION_CONNECTING:
    case SESSION_AUTHENTICATING:
    case SESSION_SUBSCRIBING:
    case SESSION_LIVE:
        session_leave(s, wanted ? SESSION_LOGGING_IN : SESSION_IDLE, login || !wanted);
        break;
    case SESSION_IDLE: /* yielded: whoever had the session let it end */
        if (login || !wanted)
            session_drop_token(s);
        if (wanted)
            session_begin(s);
        break;
    case SESSION_CLOSING:
        if (!s->logging_out && (login || s->then == SESSION_IDLE))
            session_drop_token(s);
        break;
    case SESSION_REFUSED:
        session_drop_token(s);
        break;
    case SESSION_LOGGING_IN:
    case SESSION_BACKOFF: /* goes on with the kept token, or with none */
        if (login)
            session_drop_token(s);
        break;
    case SESSION_NSTATES:
        abort();
    }
}

static void on_expired(struct user_session *s, const struct token_entry *entry)
{
    s->stored = false;
    /* The entry's token is the one that matters: ours, but for an instance that had taken over. */
    if (s->token == NULL || !slice_eq(slice_of(s->token), entry->auth_token)) {
        if (s->token != NULL || s->state == SESSION_CLOSING ||
            !session_set_token(s, entry->rc_user_id, entry->auth_token, entry->issued_at_ms)) {
            if (fits_header(entry->rc_user_id) && fits_header(entry->auth_token))
                logout_queue_add(s->table->logouts, entry->rc_user_id, entry->auth_token);
            return;
        }
    }
    token_ended(s);
}

void session_token_ended(struct user_session *s)
{
    s->token_ends_ms = 0;
    if (s->token != NULL && !s->stored)
        token_ended(s);
}

static void on_replaced(struct user_session *s, const struct token_entry *entry)
{
    bool same_token = s->token != NULL && slice_eq(slice_of(s->token), entry->auth_token);

    if (same_token && s->ddp_session != NULL &&
        slice_eq(slice_of(s->ddp_session), entry->ddp_session)) {
        s->epoch = entry->epoch;
        return;
    }
    if (s->state == SESSION_IDLE && s->yielded)
        return;
    session_yield(s, !same_token);
}

static void on_removed(struct user_session *s, const struct token_entry *entry,
                       enum token_removal reason)
{
    bool same_token = s->token != NULL && slice_eq(slice_of(s->token), entry->auth_token);

    s->stored = false;
    switch (reason) {
    case TOKEN_REMOVAL_LOGOUT:
        user_session_revoke(s, SESSION_LOGGED_OUT);
        break;
    case TOKEN_REMOVAL_REVOKED:
        user_session_revoke(s, SESSION_REVOKED);
        break;
    case TOKEN_REMOVAL_REFUSED: /* another writer learned that the token is dead */
        if (same_token && session_is_up(s)) {
            session_forget_token(s);
            session_leave(s, SESSION_LOGGING_IN, false);
        } else if (same_token) {
            session_forget_token(s);
        } else if (s->yielded && s->connections > 0) {
            session_begin(s);
        }
        break;
    }
}

void session_on_notice(void *arg, const struct token_notice *notice)
{
    struct user_session *s = arg;

    switch (notice->kind) {
    case TOKEN_NOTICE_EXPIRED:
        on_expired(s, notice->entry);
        break;
    case TOKEN_NOTICE_REPLACED:
        on_replaced(s, notice->entry);
        break;
    case TOKEN_NOTICE_REMOVED:
        on_removed(s, notice->entry, notice->reason);
        break;
    }
}
