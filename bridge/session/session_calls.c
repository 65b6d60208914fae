/* The hub calls of a user's tabs (call_gate.h) at their session: how they come in, wait while the
 * session is starting, are paced, and are answered. What each does in between: session_methods.c.
 */
#include "base/json_slice.h"
#include "bridge/session/call_error.h"
#include "bridge/session/session_calls_internal.h"
#include "rocketchat/rc_ejson.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    RUNNING_MAX = 64, /* of one session at Rocket.Chat; the session's own calls need room, too */
    WAITING_MAX = 64, /* for the session to become live ... */
    WAIT_MS = 10 * 1000,
};

static struct session_calls *calls_of(struct user_session *s)
{
    if (s->calls == NULL && (s->calls = calloc(1, sizeof *s->calls)) != NULL)
        s->calls->waiting_end = &s->calls->waiting;
    return s->calls;
}

uint64_t session_calls_pace(struct user_session *s, const char *method)
{
    struct session_calls *calls = calls_of(s);

    return calls == NULL ? 1000
                         : call_windows_take(&calls->windows, method, session_now_ms(s->table));
}

/* ---- answers; each ends the call ---- */

void session_call_answer(struct session_call *call, enum call_answer kind, struct slice text)
{
    const struct session_table *t = call->session->table;
    const struct call_gate *gate = &t->options.calls;
    struct byte_buf dates = {0};

    if (kind != CALL_ERROR && t->settings->events.dates == DATES_EJSON && call->by_rest) {
        rc_ejson_of_rest(text, &dates);
        text = byte_buf_slice(&dates);
    } else if (kind != CALL_ERROR) {
        text = session_dates(t, text, &dates); /* what came by REST has none to convert */
    }
    if (byte_buf_failed(&dates)) {
        kind = CALL_ERROR;
        text = SLICE_LIT("no-memory: out of memory");
    }
    gate->answer(gate->arg, &call->id, kind, text);
    byte_buf_free(&dates);
    byte_buf_free(&call->first);
    free(call);
}

static void answer_error(struct session_call *call, struct byte_buf *text)
{
    session_call_answer(call, CALL_ERROR,
                        byte_buf_failed(text) ? SLICE_LIT("no-memory: out of memory")
                                              : byte_buf_slice(text));
    byte_buf_free(text);
}

void session_call_fail(struct session_call *call, const char *code, const char *words,
                       uint64_t retry_ms)
{
    struct byte_buf text = {0};

    call_error_write(&text, code, words, retry_ms);
    answer_error(call, &text);
}

void session_call_fail_rc(struct session_call *call, const struct rc_error *error,
                          struct slice details)
{
    struct byte_buf text = {0};

    call_error_write_rc(&text, error, details);
    answer_error(call, &text);
}

void session_call_fail_nomem(struct session_call *call)
{
    session_call_fail(call, rc_result_name(RC_NOMEM), "out of memory", 0);
}

/* Where the session stands, and why. */
static void write_not_live(const struct user_session *s, struct byte_buf *text)
{
    char words[128];

    snprintf(words, sizeof words, "the session with Rocket.Chat is %s%s%s",
             session_state_name((enum session_state)s->state), s->code[0] == '\0' ? "" : ", ",
             s->code);
    call_error_write(text, "not-live", words,
                     s->state == SESSION_BACKOFF || s->state == SESSION_REFUSED ? s->retry_in_ms
                                                                                : 0);
}

void session_call_fail_not_live(struct session_call *call)
{
    struct byte_buf text = {0};

    write_not_live(call->session, &text);
    answer_error(call, &text);
}

const struct call_id *session_call_id(const struct session_call *call)
{
    return &call->id;
}

void session_call_push(struct session_call **list, struct session_call *call)
{
    call->next = *list;
    *list = call;
}

struct session_call *session_call_pop(struct session_call **list)
{
    struct session_call *call = *list;

    if (call != NULL)
        *list = call->next;
    return call;
}

struct slice session_call_room(const struct session_call *call)
{
    return hub_args_text(&call->args, 0);
}

/* ---- coming in ---- */

static void begin(struct session_call *call)
{
    if (call->session->calls->running < RUNNING_MAX)
        session_method_run(call);
    else
        session_call_fail(call, "overload", "too many calls under way", 0);
}

static bool is_starting(const struct user_session *s)
{
    switch ((enum session_state)s->state) {
    case SESSION_LOGGING_IN:
    case SESSION_CONNECTING:
    case SESSION_AUTHENTICATING:
    case SESSION_SUBSCRIBING:
        return true;
    case SESSION_CLOSING:
        return s->then == SESSION_LOGGING_IN;
    default:
        return false;
    }
}

static void rearm(struct user_session *s)
{
    s->calls_at_ms = s->calls->waiting == NULL ? 0 : s->calls->waiting->due_ms;
    session_rearm(s);
}

static void keep_waiting(struct session_call *call)
{
    struct session_calls *calls = call->session->calls;

    *calls->waiting_end = call;
    calls->waiting_end = &call->next;
    calls->nwaiting++;
}

static void wait_for_session(struct session_call *call)
{
    struct user_session *s = call->session;

    if (s->calls->nwaiting == WAITING_MAX) {
        session_call_fail(call, "overload", "too many calls wait for the session", 0);
        return;
    }
    call->due_ms = session_now_ms(s->table) + WAIT_MS;
    keep_waiting(call);
    rearm(s);
}

static struct session_call *take_waiting(struct user_session *s)
{
    struct session_calls *calls = s->calls;
    struct session_call *call = calls->waiting;

    calls->waiting = call->next;
    if (calls->waiting == NULL)
        calls->waiting_end = &calls->waiting;
    calls->nwaiting--;
    call->next = NULL;
    return call;
}

/* The setting's own string, since the name must outlive the call; NULL: not listed. */
const char *session_call_listed(const struct settings *settings, struct slice name)
{
    const struct settings_list *allowed = &settings->methods.allowed_calls;

    for (size_t i = 0; i < allowed->count; i++)
        if (json_string_is(name, allowed->items[i]))
            return allowed->items[i];
    return NULL;
}

static struct session_call *call_new(struct user_session *s, const struct call_request *request)
{
    const struct slice args = request->args, address = request->client_address;
    struct session_call *call = calloc(1, sizeof *call + args.len + address.len);

    if (call == NULL)
        return NULL;
    call->session = s;
    call->id = request->id;
    call->method = request->method;
    call->args_len = args.len;
    call->address_len = address.len;
    memcpy(call->text, args.ptr, args.len);
    if (address.len > 0)
        memcpy(call->text + args.len, address.ptr, address.len);
    if (!hub_args_parse(call->method, (struct slice){call->text, args.len}, &call->args))
        abort(); /* the connection's side has looked */
    call->ddp = call->method->action == ACTION_NAMED
                    ? session_call_listed(s->table->settings, hub_args_text(&call->args, 0))
                    : call->method->method;
    return call;
}

static void refuse(struct session_table *t, const struct call_id *id, struct slice text)
{
    t->options.calls.answer(t->options.calls.arg, id, CALL_ERROR, text);
}

void session_table_call(struct session_table *t, struct slice key,
                        const struct call_request *request)
{
    struct session_call *call;
    struct user_session *s;

    HASH_FIND(hh, t->sessions, key.ptr, key.len, s);
    if (s == NULL || t->draining) {
        refuse(t, &request->id, SLICE_LIT("not-live: there is no session with Rocket.Chat"));
        return;
    }
    call = calls_of(s) == NULL ? NULL : call_new(s, request);
    if (call == NULL) {
        refuse(t, &request->id, SLICE_LIT("no-memory: out of memory"));
        return;
    }
    metrics_inc(t->options.metrics, METRIC_CALLS);
    if (s->state == SESSION_LIVE)
        begin(call);
    else if (is_starting(s))
        wait_for_session(call);
    else
        session_call_fail_not_live(call);
}

/* ---- what becomes of the session ---- */

void session_calls_live(struct user_session *s)
{
    if (s->calls == NULL)
        return;
    for (unsigned n = s->calls->nwaiting; n > 0 && s->state == SESSION_LIVE; n--)
        begin(take_waiting(s));
    rearm(s);
}

void session_calls_not_live(struct user_session *s)
{
    if (s->calls == NULL)
        return;
    while (s->calls->waiting != NULL)
        session_call_fail_not_live(take_waiting(s));
    rearm(s);
}

void session_calls_due(struct user_session *s)
{
    const uint64_t now = session_now_ms(s->table);

    while (s->calls->waiting != NULL && s->calls->waiting->due_ms <= now)
        session_call_fail_not_live(take_waiting(s));
    rearm(s);
}

void session_calls_detach(struct user_session *s, unsigned shard, uint64_t conn_serial)
{
    if (s->calls == NULL)
        return;
    for (unsigned n = s->calls->nwaiting; n > 0; n--) {
        struct session_call *call = take_waiting(s);

        if (call->method->action == ACTION_OPEN && call->id.shard == shard &&
            call->id.serial == conn_serial)
            session_call_fail(call, "closed", "the connection has gone", 0);
        else
            keep_waiting(call);
    }
    rearm(s);
}

void session_calls_abort(struct user_session *s)
{
    struct session_call *call = s->calls == NULL ? NULL : s->calls->rest;

    for (; call != NULL; call = call->next) /* answered later, by RC_CANCELLED */
        rest_call_cancel(call->rest);
}

void session_calls_free(struct user_session *s)
{
    if (s->calls == NULL)
        return;
    while (s->calls->waiting != NULL)
        session_call_fail_not_live(take_waiting(s));
    assert(s->calls->running == 0);
    call_windows_free(&s->calls->windows);
    free(s->calls);
}
