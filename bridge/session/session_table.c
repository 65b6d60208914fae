#include "bridge/identity/rc_account.h"
#include "bridge/log/log.h"
#include "bridge/session/event_map.h"
#include "bridge/session/user_session_internal.h"
#include <assert.h>
#include <stdlib.h>

enum { MAX_LOGOUTS = 10000, END_LOOK_MS = 2 };

static struct user_session *find(const struct session_table *t, struct slice key)
{
    struct user_session *s;

    HASH_FIND(hh, t->sessions, key.ptr, key.len, s);
    return s;
}

uint64_t session_now_ms(const struct session_table *t)
{
    return uv_now(t->options.loop) + t->clock_ahead_ms;
}

/* xorshift64*: jitter needs no more. */
uint64_t session_random(struct session_table *t, uint64_t below)
{
    t->random ^= t->random >> 12;
    t->random ^= t->random << 25;
    t->random ^= t->random >> 27;
    return below == 0 ? 0 : (t->random * 2685821657736338717u) % below;
}

/* ---- the clock ---- */

static void free_when_empty(struct session_table *t);

static void finish_drain(struct session_table *t)
{
    void (*done)(void *) = t->drained;

    t->drained = NULL;
    done(t->drained_arg);
}

static void drain_step(struct session_table *t)
{
    if (t->sessions == NULL && !t->orphans_asked) {
        t->orphans_asked = true;
        token_cache_drain(t->options.cache);
        return; /* they come from the loop */
    }
    if (session_now_ms(t) >= t->drain_until_ms ||
        (t->sessions == NULL && t->logins == NULL && t->late == NULL &&
         logout_queue_pending(t->logouts) == 0))
        finish_drain(t);
}

void session_table_run(struct session_table *t)
{
    t->wheel_at_ms = UINT64_MAX;
    timer_wheel_advance(t->wheel, session_now_ms(t));
    free_when_empty(t);
    if (t->restored_until_ms != 0 && session_now_ms(t) >= t->restored_until_ms)
        session_restored_free(t);
    if (t->drained != NULL)
        drain_step(t);
    session_table_set_clock(t);
}

static void on_tick(uv_timer_t *timer)
{
    session_table_run(timer->data);
}

static bool is_ending(const struct session_table *t)
{
    return t->drained != NULL || (t->freed != NULL && t->logouts != NULL);
}

/* What an end waits for comes from many sides, so it is looked for, for as long as it lasts. */
void session_table_set_clock(struct session_table *t)
{
    const uint64_t now = session_now_ms(t);
    uint64_t at = t->wheel_at_ms;

    if (is_ending(t) && at > now + END_LOOK_MS)
        at = now + END_LOOK_MS;
    if (t->restored_until_ms != 0 && t->restored_until_ms < at)
        at = t->restored_until_ms;
    if (at == UINT64_MAX)
        uv_timer_stop(&t->tick);
    else
        uv_timer_start(&t->tick, on_tick, at > now ? at - now : 0, 0);
}

static void on_wake(uint64_t at_ms, void *arg)
{
    struct session_table *t = arg;

    t->wheel_at_ms = at_ms;
    session_table_set_clock(t);
}

static void on_timer_due(struct wheel_timer *timer, void *arg)
{
    (void)arg;
    user_session_due(
        (struct user_session *)(void *)((char *)timer - offsetof(struct user_session, timer)));
}

/* ---- life ---- */

int session_table_new(const struct session_table_options *options, struct session_table **out)
{
    struct session_table *t = calloc(1, sizeof *t);
    int rc = UV_ENOMEM;

    if (t == NULL)
        return rc;
    t->options = *options;
    t->settings = options->settings;
    for (size_t i = 0; i < t->settings->events.map.count; i++)
        further_map_add(&t->further, slice_of(t->settings->events.map.items[i]));
    /* unique in the process */
    t->next_ticket = options->ticket_class | (uint64_t)options->shard << 48;
    rc = uv_random(NULL, NULL, &t->random, sizeof t->random, 0, NULL);
    if (rc != 0)
        goto fail;
    t->random |= 1;
    rc = UV_ENOMEM;
    t->wheel = timer_wheel_new(uv_now(options->loop), SESSION_TICK_MS, on_timer_due, on_wake, t);
    if (t->wheel == NULL)
        goto fail;
    rc = logout_queue_new(options->loop, options->rest, MAX_LOGOUTS, &t->logouts);
    if (rc != 0)
        goto fail;
    uv_timer_init(options->loop, &t->tick); /* cannot fail in libuv 1.x */
    t->tick.data = t;
    t->wheel_at_ms = UINT64_MAX;
    *out = t;
    return 0;
fail:
    if (t->wheel != NULL)
        timer_wheel_free(t->wheel);
    free(t);
    return rc;
}

void session_table_forget(struct user_session *s)
{
    HASH_DEL(s->table->sessions, s);
    session_repair_stop(s);
    user_session_free(s);
}

static struct user_session *add(struct session_table *t, const struct session_who *who)
{
    struct user_session *s;

    if (HASH_COUNT(t->sessions) >= t->options.max_sessions)
        return NULL;
    s = user_session_new(t, who);
    if (s == NULL)
        return NULL;
    HASH_ADD_KEYPTR(hh, t->sessions, s->key, s->key_len, s);
    if (s->table == NULL) { /* uthash_nonfatal_oom */
        s->table = t;
        user_session_free(s);
        return NULL;
    }
    if (who->refused == NULL)
        session_take_up(s);
    return s;
}

/* The name behind a key may change (renamed, another template). A session that is nobody's at the
 * moment starts over with the new one; one that others use stays as it is until they are gone. */
static bool is_outdated(const struct user_session *s, const struct session_who *who)
{
    bool refused = s->state == SESSION_REFUSED && s->retry_in_ms == 0;

    return s->connections == 0 && s->borrows == NULL && s->holds == 0 && s->ddp == NULL &&
           s->login == NULL && (refused || !slice_eq(who->username, slice_of(s->username)));
}

/* The user's session, a new one where there is none; NULL: no memory, or too many. */
static struct user_session *find_or_add(struct session_table *t, const struct session_who *who,
                                        bool *is_new)
{
    struct user_session *s = find(t, who->key);

    assert(who->key.len > 0 && who->key.len < 320);
    if (s != NULL && is_outdated(s, who)) {
        session_table_forget(s);
        s = NULL;
    }
    *is_new = s == NULL;
    if (s == NULL)
        s = add(t, who);
    if (s == NULL)
        log_warn("session_not_started", LOG_ID("user", who->key),
                 LOG_UINT("sessions", HASH_COUNT(t->sessions)));
    else
        session_take_profile(s, who->profile);
    return s;
}

enum session_attach session_table_attach(struct session_table *t, const struct session_who *who,
                                         unsigned shard, uint64_t conn_serial)
{
    const unsigned most = t->settings->limits.connections_per_user;
    struct user_session *s = find(t, who->key);
    bool is_new;

    assert(shard < t->options.nshards);
    if (t->draining)
        return SESSION_NO_ROOM;
    if (s != NULL && most != 0 && s->connections >= most)
        return SESSION_TOO_MANY;
    s = find_or_add(t, who, &is_new);
    if (s == NULL)
        return SESSION_NO_ROOM;
    s->interest[shard]++;
    s->connections++;
    session_replay_arrive(s, shard, conn_serial, who->client);
    if (is_new && who->refused != NULL)
        session_refuse_for_good(s, who->refused);
    else
        user_session_wanted(s);
    return SESSION_ATTACHED;
}

void session_table_detach(struct session_table *t, struct slice key, unsigned shard,
                          uint64_t conn_serial, const struct session_loss *loss)
{
    struct user_session *s = find(t, key);

    if (t->draining)
        return; /* forgotten by the drain */
    assert(s != NULL && s->interest[shard] > 0);
    session_calls_detach(s, shard, conn_serial);
    session_opened_detach(s, shard, conn_serial);
    s->interest[shard]--;
    session_replay_left(s, shard, conn_serial, loss);
    if (--s->connections == 0)
        user_session_unwanted(s);
}

void session_table_lend(struct session_table *t, const struct session_ask *ask, session_loan_fn fn,
                        void *arg)
{
    struct user_session *s = NULL;
    bool is_new;

    if (ask->who.refused != NULL) {
        session_loan_refuse(fn, arg, RC_REFUSED, ask->who.refused, 0);
        return;
    }
    if (t->draining) {
        session_loan_refuse(fn, arg, RC_CANCELLED, "draining", 0);
        return;
    }
    s = find_or_add(t, &ask->who, &is_new);
    if (s == NULL || !session_borrow(s, ask, fn, arg)) {
        session_loan_refuse(fn, arg, RC_UNREACHABLE, "overload", 0);
        if (s != NULL)
            session_rearm(s); /* one that was added for nothing goes */
    }
}

/* ---- the governor's answers ---- */

void session_table_login_granted(struct session_table *t, uint64_t ticket, enum login_road road)
{
    struct session_login *l = session_login_find(t, ticket);
    struct rc_error cancelled;

    if (l != NULL) {
        session_login_go(l, road);
        return;
    }
    rc_error_of(&cancelled, RC_CANCELLED);
    t->options.gate.done(t->options.gate.arg, ticket, road, &cancelled, NULL);
}

void session_table_login_refused(struct session_table *t, uint64_t ticket,
                                 const struct rc_error *error)
{
    struct session_login *l = session_login_find(t, ticket);

    if (l != NULL)
        session_login_turned_away(l, error);
}

/* ---- news from elsewhere ---- */

static bool replace(char **text, struct slice with)
{
    char *copy = slice_dup(with);

    if (copy == NULL)
        return false;
    free(*text);
    *text = copy;
    return true;
}

void session_table_set_admin(struct session_table *t, struct slice user_id, struct slice username)
{
    struct user_session *s, *next;

    if (!replace(&t->admin_id, user_id) || !replace(&t->admin_name, username)) {
        log_error("no_memory", LOG_STR("for", "admin identity"));
        return;
    }
    /* In any state: a token kept for the next connection is the admin's as well. */
    HASH_ITER(hh, t->sessions, s, next)
    if (s->user_id != NULL && slice_eq(slice_of(s->user_id), user_id)) {
        log_error("session_is_the_admins", LOG_ID("user", slice_of(s->key)));
        if (s->state == SESSION_REFUSED) {
            session_drop_token(s);
            continue;
        }
        s->token_unwanted = true;
        session_refuse_for_good(s, rc_account_code(RC_ACCOUNT_ADMIN));
    }
}

bool session_table_is_admin(const struct session_table *t, struct slice user_id)
{
    return t->admin_id != NULL && slice_eq(slice_of(t->admin_id), user_id);
}

bool session_table_is_admin_name(const struct session_table *t, struct slice username)
{
    return t->admin_name != NULL && rc_account_same_name(slice_of(t->admin_name), username);
}

void session_table_orphan(struct session_table *t, const struct token_entry *entry)
{
    logout_queue_add(t->logouts, entry->rc_user_id, entry->auth_token);
}

bool session_table_resync(struct session_table *t, struct slice key, unsigned shard,
                          const char *reason)
{
    struct hub_buf *message = event_map_resync((struct slice){0}, reason);

    if (message == NULL)
        return false;
    metrics_inc(t->options.metrics, METRIC_EVENTS_OUT_RESYNC);
    t->options.host.push(t->options.host.arg, shard, key, message);
    hub_buf_unref(message);
    return true;
}

/* The session logs its own token out; this is the token of an entry that no session uses. */
static void on_revoked(void *arg, enum token_cache_result result, const struct token_entry *entry)
{
    struct session_table *t = arg;

    t->revocations--;
    if (result == TOKEN_CACHE_OK)
        session_table_orphan(t, entry);
}

bool session_table_revoke(struct session_table *t, struct slice key, enum session_revoke why)
{
    struct user_session *s = find(t, key);
    enum token_removal reason =
        why == SESSION_REVOKED ? TOKEN_REMOVAL_REVOKED : TOKEN_REMOVAL_LOGOUT;
    bool in_use = s != NULL && s->token != NULL;

    if (!token_cache_remove(t->options.cache, key, NULL, reason, s == NULL ? NULL : s->watch,
                            in_use ? session_ignore_cache : on_revoked, t))
        log_error("no_memory", LOG_STR("for", "revocation"));
    else if (!in_use)
        t->revocations++;
    if (s == NULL)
        return false;
    user_session_revoke(s, why);
    return true;
}

/* ---- the operator's view ---- */

bool session_table_find(const struct session_table *t, struct slice name_or_id, struct slice *key)
{
    struct user_session *s = find(t, name_or_id), *next;

    if (s == NULL)
        HASH_ITER(hh, t->sessions, s, next)
    if (slice_eq(slice_of(s->username), name_or_id) ||
        (s->user_id != NULL && slice_eq(slice_of(s->user_id), name_or_id)))
        break;
    if (s != NULL)
        *key = slice_of(s->key);
    return s != NULL;
}

bool session_table_describe(const struct session_table *t, struct slice key, struct byte_buf *json)
{
    struct user_session *s = find(t, key);

    if (s != NULL)
        session_report(s, json);
    return s != NULL;
}

bool session_table_status(const struct session_table *t, struct slice key,
                          struct session_status *out)
{
    struct user_session *s = find(t, key);
    uint64_t now = session_now_ms(t);

    *out = (struct session_status){.state = SESSION_IDLE};
    if (s == NULL)
        return false;
    out->state = (enum session_state)s->state;
    out->connections = s->connections;
    memcpy(out->code, s->code, sizeof out->code);
    if ((s->state == SESSION_BACKOFF || s->state == SESSION_REFUSED) && s->step_at_ms > now)
        out->retry_after_ms = s->step_at_ms - now;
    return true;
}

bool session_table_why(const struct session_table *t, struct slice key, struct session_why *why)
{
    const struct user_session *s = find(t, key);

    if (s != NULL)
        session_why(s, why);
    return s != NULL;
}

void session_table_stats(const struct session_table *t, struct session_stats *out)
{
    memcpy(out->by_state, t->by_state, sizeof out->by_state);
    out->sessions = HASH_COUNT(t->sessions);
}

/* ---- shutdown ---- */

static void on_tick_closed(uv_handle_t *handle)
{
    struct session_table *t = handle->data;
    void (*done)(void *) = t->freed;
    void *arg = t->freed_arg;

    timer_wheel_free(t->wheel);
    byte_buf_free(&t->dates);
    free(t->admin_id);
    free(t->admin_name);
    session_restored_free(t);
    free(t);
    done(arg);
}

static void on_logouts_freed(void *arg)
{
    struct session_table *t = arg;

    uv_close((uv_handle_t *)&t->tick, on_tick_closed);
}

static void free_when_empty(struct session_table *t)
{
    if (t->freed == NULL || t->logouts == NULL || t->sessions != NULL || t->logins != NULL ||
        t->late != NULL || t->revocations > 0)
        return;
    logout_queue_free(t->logouts, on_logouts_freed, t);
    t->logouts = NULL;
}

void session_table_free(struct session_table *t, void (*done)(void *arg), void *arg)
{
    struct user_session *s, *next;

    assert(t->draining && t->drained == NULL && t->freed == NULL);
    t->freed = done;
    t->freed_arg = arg;
    session_logins_abort(t);
    session_late_abort(t);
    HASH_ITER(hh, t->sessions, s, next)
    user_session_abort(s);
    session_table_set_clock(t);
}

void session_table_drain(struct session_table *t, unsigned limit_ms, void (*done)(void *arg),
                         void *arg)
{
    struct user_session *s, *next;

    assert(!t->draining);
    t->draining = true;
    t->drained = done;
    t->drained_arg = arg;
    t->drain_until_ms = session_now_ms(t) + limit_ms;
    logout_queue_hurry(t->logouts, limit_ms);
    HASH_ITER(hh, t->sessions, s, next)
    {
        memset(s->interest, 0, t->options.nshards * sizeof *s->interest);
        s->connections = 0;
        user_session_drain(s);
    }
    session_table_set_clock(t);
}
