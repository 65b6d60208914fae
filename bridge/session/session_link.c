/* A session's DDP connection: open it, write it into the cache entry, log in with the kept token,
 * subscribe, and hear how it ends. */
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "bridge/log/log.h"
#include "bridge/session/user_session_internal.h"
#include "rocketchat/room_memory.h"
#include <stdlib.h>

static const char *const event_names[SESSION_NSUBS] = {
    [SESSION_SUB_EPHEMERAL] = "message",
    [SESSION_SUB_ROOMS] = "rooms-changed",
    [SESSION_SUB_SUBSCRIPTIONS] = "subscriptions-changed",
};

const char *session_sub_event(enum session_sub which)
{
    return event_names[which];
}

static void subscribe(struct user_session *s, enum session_sub which);

/* ---- resume ---- */

static void on_entry_removed(void *arg, enum token_cache_result result,
                             const struct token_entry *entry)
{
    struct user_session *s = session_op_end(arg);

    (void)result; /* a newer entry, if there is one, is found by the next look-up */
    (void)entry;
    if (s == NULL)
        return;
    s->stored = false;
    if (!s->token_unwanted) /* else leaving logs it out */
        session_forget_token(s);
    /* One may have been ended between its login and its use. As the one before, or another's: the
     * next login would end the same way. */
    if (s->fresh && (s->fresh_refused || s->token_unwanted)) {
        session_refuse(s, "resume-refused", 0);
        return;
    }
    s->fresh_refused |= s->fresh;
    session_leave(s, SESSION_LOGGING_IN, false);
}

/* The token is of no use: its entry goes, and a login is next. */
static void resume_failed_for_good(struct user_session *s)
{
    struct token_expect expect = {slice_of(s->token), s->epoch};
    struct session_op *op = session_op_new(s);

    metrics_inc(s->table->options.metrics, METRIC_RESUMES_REFUSED);
    if (op != NULL && token_cache_remove(s->table->options.cache, slice_of(s->key), &expect,
                                         TOKEN_REMOVAL_REFUSED, s->watch, on_entry_removed, op))
        return;
    if (op != NULL)
        session_op_end(op);
    session_back_off(s, rc_result_name(RC_NOMEM), 0);
}

static void on_resumed_as(struct user_session *s, struct slice user_id)
{
    s->authed = true;
    if (slice_eq(user_id, slice_of(s->user_id))) {
        metrics_inc(s->table->options.metrics, METRIC_RESUMES_OK);
        /* It has worked once: a later 403 tells that it was revoked since, and then a new login is
         * the cure. If that goes on, the growing pauses of the lost connections slow it down. */
        s->fresh = s->fresh_refused = false;
        session_subscribe(s);
        return;
    }
    log_error("session_resumed_as_another", LOG_ID("user", slice_of(s->key)),
              LOG_ID("rc_user", slice_of(s->user_id)), LOG_ID("answered", user_id));
    s->token_unwanted = true;
    resume_failed_for_good(s);
}

static void on_resumed(void *arg, struct slice result, const struct rc_error *error)
{
    struct user_session *s = arg;
    struct ddp_login_result parsed;

    if (s->state != SESSION_AUTHENTICATING)
        return;
    if (error == NULL && ddp_login_result_parse(result, &parsed)) {
        on_resumed_as(s, parsed.user_id);
        return;
    }
    if (error != NULL && error->result == RC_UNAUTHORIZED) {
        log_info("session_resume_refused", LOG_ID("user", slice_of(s->key)));
        resume_failed_for_good(s);
        return;
    }
    metrics_inc(s->table->options.metrics, METRIC_RESUMES_FAILED);
    if (error == NULL)
        session_back_off(s, rc_result_name(RC_MALFORMED), 0);
    else if (error->result == RC_DEACTIVATED || error->result == RC_REFUSED)
        session_refuse(s, error->code, 0);
    else if (error->result == RC_BLOCKED_IP || error->result == RC_BLOCKED_USER)
        session_back_off(s, error->code, RC_LOGIN_BLOCK_MS); /* to try is to prolong it */
    else if (error->result != RC_UNREACHABLE) /* else the connection's end follows and says it */
        session_back_off(s, error->code, error->retry_after_ms);
}

static void resume(struct user_session *s)
{
    struct byte_buf params = {0};
    bool sent = ddp_login_resume_params(&params, slice_of(s->token)) &&
                ddp_connector_call(s->ddp, "login", byte_buf_slice(&params),
                                   s->table->settings->logins.timeout_ms, on_resumed, s);

    if (params.data != NULL)
        explicit_bzero(params.data, params.cap);
    byte_buf_free(&params);
    if (!sent)
        session_back_off(s, rc_result_name(RC_NOMEM), 0);
}

/* ---- subscriptions ---- */

static void go_live(struct user_session *s)
{
    session_enter(s, SESSION_LIVE);
    s->live_since_ms = session_now_ms(s->table);
    s->list_tries = 0;
    s->looked_again = false;
    s->history_by_rest = false;
    s->gap_rooms = 0;
    session_arm(s, 0);
    log_info("session_live", LOG_ID("user", slice_of(s->key)),
             LOG_ID("rc_user", slice_of(s->user_id)), LOG_STR("ddp", s->ddp_session));
    s->code[0] = '\0';
    session_tell(s, TOLD_NOTHING);
    session_lists_ask(s);
    session_opened_live(s);
    session_calls_live(s);
    session_further_live(s);
}

static void on_ready(struct user_session *s, enum session_sub which, const struct rc_error *error)
{
    unsigned settled = 0;

    if (s->state != SESSION_SUBSCRIBING)
        return;
    if (error == NULL) {
        s->subs[which] = SUB_READY;
    } else if (error->result == RC_RATE_LIMITED) {
        uint64_t wait = error->retry_after_ms > 0 ? error->retry_after_ms : 1000;
        uint64_t again_ms = session_now_ms(s->table) + wait;

        if (again_ms >= s->subscribing_until_ms) {
            s->failed_sub = (uint8_t)which;
            session_back_off(s, error->code, wait);
            return;
        }
        s->subs[which] = SUB_WAITING;
        session_arm(s, again_ms);
    } else if (which == SESSION_SUB_EPHEMERAL && !rc_result_is_transient(error->result) &&
               error->result != RC_CANCELLED) {
        s->subs[which] = SUB_REFUSED; /* private notices alone are not worth a session */
        log_warn("session_sub_refused", LOG_ID("user", slice_of(s->key)),
                 LOG_STR("event", event_names[which]), LOG_STR("code", error->code));
    } else {
        s->failed_sub = (uint8_t)which;
        if (error->result != RC_UNREACHABLE)
            session_back_off(s, error->code, error->retry_after_ms);
        return;
    }
    for (int i = 0; i < SESSION_NSUBS; i++)
        settled += s->subs[i] == SUB_READY || s->subs[i] == SUB_REFUSED;
    if (settled == SESSION_NSUBS)
        go_live(s);
}

static void on_ephemeral_ready(void *arg, struct slice result, const struct rc_error *error)
{
    (void)result;
    on_ready(arg, SESSION_SUB_EPHEMERAL, error);
}

static void on_rooms_ready(void *arg, struct slice result, const struct rc_error *error)
{
    (void)result;
    on_ready(arg, SESSION_SUB_ROOMS, error);
}

static void on_subscriptions_ready(void *arg, struct slice result, const struct rc_error *error)
{
    (void)result;
    on_ready(arg, SESSION_SUB_SUBSCRIPTIONS, error);
}

static void subscribe(struct user_session *s, enum session_sub which)
{
    static const ddp_result_fn fns[SESSION_NSUBS] = {
        [SESSION_SUB_EPHEMERAL] = on_ephemeral_ready,
        [SESSION_SUB_ROOMS] = on_rooms_ready,
        [SESSION_SUB_SUBSCRIPTIONS] = on_subscriptions_ready,
    };
    struct byte_buf params = {0};
    uint32_t id = 0;

    byte_buf_printf(&params, "[\"%s/%s\",false]", s->user_id, event_names[which]);
    if (!byte_buf_failed(&params))
        id = ddp_connector_subscribe(s->ddp, "stream-notify-user", byte_buf_slice(&params),
                                     s->table->settings->session.ready_timeout_ms, fns[which], s);
    byte_buf_free(&params);
    s->subs[which] = id == 0 ? SUB_NONE : SUB_PENDING;
}

static void subscribe_open_ones(struct user_session *s)
{
    for (int i = 0; i < SESSION_NSUBS; i++) {
        if (s->subs[i] != SUB_NONE && s->subs[i] != SUB_WAITING)
            continue;
        subscribe(s, (enum session_sub)i);
        if (s->subs[i] == SUB_NONE) {
            session_back_off(s, rc_result_name(RC_NOMEM), 0);
            return;
        }
    }
}

void session_subscribe(struct user_session *s)
{
    const struct settings *settings = s->table->settings;

    session_begin_gap(s);
    if (s->rooms == NULL) /* kept over DDP connections: what was told stays told */
        s->rooms = room_memory_new((uint16_t)settings->session.max_rooms,
                                   (uint16_t)settings->limits.remembered_messages);
    if (s->rooms == NULL) {
        session_back_off(s, rc_result_name(RC_NOMEM), 0);
        return;
    }
    session_enter(s, SESSION_SUBSCRIBING);
    s->subscribing_until_ms = session_now_ms(s->table) + settings->session.ready_timeout_ms;
    subscribe_open_ones(s);
}

void session_link_step(struct user_session *s)
{
    if (s->state == SESSION_LIVE)
        session_lists_ask(s);
    else if (session_now_ms(s->table) < s->subscribing_until_ms)
        subscribe_open_ones(s);
    else
        session_back_off(s, rc_result_name(RC_RATE_LIMITED), 0);
}

/* ---- the connector's callbacks ---- */

static void on_connected(void *arg, struct slice session_id)
{
    struct user_session *s = arg;

    if (s->state != SESSION_CONNECTING)
        return;
    session_enter(s, SESSION_AUTHENTICATING);
    if (session_id.len > SESSION_DDP_ID_MAX) { /* it goes to logs and into the cache */
        session_back_off(s, rc_result_name(RC_MALFORMED), 0);
        return;
    }
    s->ddp_session = slice_dup(session_id);
    if (s->ddp_session == NULL)
        session_back_off(s, rc_result_name(RC_NOMEM), 0);
    else if (session_login_wants_password(s))
        session_login_by_ddp(s);
    else
        session_store(s, resume);
}

static void on_event(void *arg, const struct ddp_event *event)
{
    struct user_session *s = arg;

    /* Also the check that our cache entry is still ours: the notice that it is not has ended LIVE.
     */
    if (s->state == SESSION_LIVE || s->state == SESSION_SUBSCRIBING)
        session_event(s, event);
}

static void on_document(void *arg, struct slice msg, struct slice collection, struct slice id,
                        struct slice fields)
{
    struct user_session *s = arg;

    if (!json_string_is(collection, "users"))
        return;
    if (s->user_id != NULL && slice_eq(id, slice_of(s->user_id)))
        session_saw_name(s, fields);
    if (s->state == SESSION_AUTHENTICATING && json_string_is(msg, "added"))
        session_login_saw_user(s, id, fields); /* may leave */
}

static void on_subscription_end(void *arg, uint32_t sub_id, const struct rc_error *error)
{
    struct user_session *s = arg;

    if (session_opened_ended(s, sub_id) || session_further_ended(s, sub_id))
        return;
    s->failed_sub = SESSION_NSUBS;
    if (s->state == SESSION_LIVE || s->state == SESSION_SUBSCRIBING)
        session_back_off(s, error != NULL ? error->code : "subscription-ended", 0);
}

static const char *end_code(enum ddp_end how)
{
    switch (how) {
    case DDP_END_UNREACHABLE:
        return "unreachable";
    case DDP_END_TIMED_OUT:
        return "timed-out";
    case DDP_END_FAILED:
        return "ddp-version";
    case DDP_END_DEAD:
        return "silent";
    case DDP_END_CLOSED:
        return "connection-lost";
    case DDP_END_MALFORMED:
        return "malformed";
    case DDP_END_LOCAL:
        return "closed";
    }
    abort();
}

void session_count_end(struct session_table *t, enum ddp_end how)
{
    metrics_add(t->options.metrics, METRIC_DDP_SOCKETS, -1);
    metrics_inc(t->options.metrics, (enum metric)(METRIC_DDP_ENDED_UNREACHABLE + (int)how));
}

static void on_end(void *arg, enum ddp_end how, unsigned code, const char *detail)
{
    struct user_session *s = arg;

    s->ddp = NULL;
    session_count_end(s->table, how);
    if (s->state == SESSION_CLOSING) {
        session_left(s);
        return;
    }
    log_info("ddp_lost", LOG_ID("user", slice_of(s->key)), LOG_STR("end", end_code(how)),
             LOG_UINT("close_code", code), LOG_STR("detail", detail == NULL ? "" : detail));
    if (session_login_wants_password(s))
        session_login_lost(s, how == DDP_END_TIMED_OUT ? RC_TIMED_OUT : RC_UNREACHABLE);
    session_back_off(s, end_code(how), 0);
}

void session_connect(struct user_session *s)
{
    static const struct ddp_callbacks callbacks = {
        .on_connected = on_connected,
        .on_event = on_event,
        .on_document = on_document,
        .on_subscription_end = on_subscription_end,
        .on_end = on_end,
    };

    s->ddp = ddp_connector_open(s->table->options.ddp, &callbacks, s);
    if (s->ddp == NULL) {
        session_back_off(s, rc_result_name(RC_NOMEM), 0);
        return;
    }
    metrics_inc(s->table->options.metrics, METRIC_DDP_SOCKETS);
    if (s->connected_before)
        metrics_inc(s->table->options.metrics, METRIC_DDP_RECONNECTS);
    s->connected_before = true;
    session_enter(s, SESSION_CONNECTING);
}
