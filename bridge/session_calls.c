/* A session carries out the hub calls of its user's tabs (call_gate.h): as DDP methods on its own
 * connection, or as REST calls with its token where Rocket.Chat has no such method (8.x and 9.x
 * take many away). Calls that come while the session is starting wait for it a little. Which method
 * becomes what: hub_method.c. Facts: rocketchat.md 1.4, 5.3, 6.3, 7.1. */
#include "base/json_slice.h"
#include "bridge/call_error.h"
#include "bridge/hub_method.h"
#include "bridge/room_list.h"
#include "bridge/user_session_internal.h"
#include "rocketchat/rc_event.h"
#include <assert.h>
#include <stdlib.h>

enum {
    RUNNING_MAX = 64, /* of one session at Rocket.Chat; the session's own calls need room, too */
    WAITING_MAX = 64, /* for the session to become live ... */
    WAIT_MS = 10 * 1000,
    NEW_ID_LEN = 17,
};

struct session_call {
    struct session_call *next; /* in calls->waiting, calls->rest or a room's list */
    struct user_session *session;
    struct call_id id;
    const struct hub_method *method;
    struct hub_args args; /* point into text, or new_id */
    const char *ddp;      /* the DDP method; static, or a setting's */
    uint64_t due_ms;      /* while it waits */
    struct rest_call *rest;
    bool by_rest;                /* what it answers came by REST */
    struct byte_buf first;       /* ACTION_ROOMS: the first list */
    char new_id[NEW_ID_LEN + 3]; /* with quotes and NUL */
    size_t len;
    char text[];
};

struct session_calls {
    struct session_call *waiting, **waiting_end; /* oldest first */
    struct session_call *rest;                   /* in the REST client's hands */
    struct call_windows windows;
    unsigned nwaiting, running;
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

    if (kind != CALL_ERROR) {
        /* A list of rooms may be half of each road. */
        text = session_dates(t, text, call->by_rest && t->settings->events.dates == DATES_EJSON,
                             &dates);
        if (byte_buf_failed(&dates)) {
            kind = CALL_ERROR;
            text = SLICE_LIT("no-memory: out of memory");
        }
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

static void fail_nomem(struct session_call *call)
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

static void fail_not_live(struct session_call *call)
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

/* ---- what came back ---- */

/* The raw value of a member of an object; ptr NULL: it has none. */
static struct slice member(struct slice json, const char *name)
{
    struct slice key, value, found = {0};
    struct json_reader r;

    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    if (json.len > 0 && json_enter_object(&r))
        while (json_next_key(&r, &key))
            if (json_read_raw(&r, &value) && json_string_is(key, name))
                found = value;
    if (json_failed(&r))
        return (struct slice){0};
    return found;
}

static bool is_object(struct slice json)
{
    return json.len > 0 && json.ptr[0] == '{';
}

static void answer_result(struct session_call *call, struct slice result)
{
    struct slice items;

    switch (call->method->result) {
    case RESULT_NOTHING:
        /* setReaction answers so when the user is muted (setReaction.ts); nothing else does. */
        if (slice_eq(result, SLICE_LIT("false")))
            session_call_fail(call, "error-not-allowed", "Rocket.Chat did not do it", 0);
        else
            session_call_answer(call, CALL_RESULT, (struct slice){0});
        break;
    case RESULT_VALUE:
        session_call_answer(call, CALL_RESULT, result);
        break;
    case RESULT_ITEMS:
        items = member(result, "messages");
        if (items.len > 0 && items.ptr[0] == '[')
            session_call_answer(call, CALL_ITEMS, items);
        else /* false: no such room, or not the user's to read (loadHistory.ts) */
            session_call_fail(call, "error-not-allowed", "no such room, or not readable", 0);
        break;
    }
}

/* ---- over REST ---- */

typedef void (*rest_answer_fn)(struct session_call *call, struct slice json,
                               const struct rc_error *error);

/* Out of the list; the session may end once the caller is done with it. */
static void rest_over(struct session_call *call)
{
    struct session_call **at = &call->session->calls->rest;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->rest = NULL;
    call->session->calls->running--;
}

static void release(struct user_session *s)
{
    if (--s->holds == 0)
        session_rearm(s);
}

/* body empty: a GET. fn: a rest_any_fn that begins with rest_over() and ends with release(). */
static void ask_rest(struct session_call *call, const char *path, struct slice query,
                     struct slice body, rest_any_fn fn)
{
    struct user_session *s = call->session;
    const struct rest_request request = {
        .post = body.len > 0,
        .path = slice_of(path),
        .query = query,
        .body = body,
        .user_id = slice_of(s->user_id),
        .token = slice_of(s->token),
    };

    if (s->token == NULL) {
        fail_not_live(call);
        return;
    }
    call->by_rest = true;
    call->rest = rest_request(s->table->options.rest, &request, fn, call);
    if (call->rest == NULL) {
        fail_nomem(call);
        return;
    }
    metrics_inc(s->table->options.metrics, METRIC_CALLS_REST);
    s->holds++;
    s->calls->running++;
    session_call_push(&s->calls->rest, call);
}

static void on_rest(void *arg, long status, struct slice json, const struct rc_error *error)
{
    struct session_call *call = arg;
    struct user_session *s = call->session;
    const struct hub_method *m = call->method;

    (void)status;
    rest_over(call);
    if (error != NULL)
        session_call_fail_rc(call, error, json);
    else
        answer_result(call, m->member == NULL ? json : member(json, m->member));
    release(s);
}

/* The method is not there: the REST call that does the same. */
static void run_rest(struct session_call *call)
{
    struct user_session *s = call->session;
    struct byte_buf body = {0};

    if (call->method->route == NULL) {
        session_call_fail(call, "not-supported", "this Rocket.Chat has no such method", 0);
        return;
    }
    hub_method_write(call->method->body, &call->args, slice_of(s->username), &body);
    if (byte_buf_failed(&body))
        fail_nomem(call);
    else
        ask_rest(call, call->method->route, (struct slice){0}, byte_buf_slice(&body), on_rest);
    byte_buf_free(&body);
}

/* ---- over DDP ---- */

/* False: the call was answered. */
static bool ask_ddp(struct session_call *call, const char *method, struct slice params,
                    ddp_result_fn fn)
{
    struct user_session *s = call->session;
    uint64_t wait_ms;

    if (s->state != SESSION_LIVE) { /* the second step of a call */
        fail_not_live(call);
        return false;
    }
    wait_ms = session_calls_pace(s, method);
    if (wait_ms > 0) {
        metrics_inc(s->table->options.metrics, METRIC_CALLS_PACED);
        session_call_fail(call, "too-many-requests", "too many calls of this method", wait_ms);
        return false;
    }
    if (!ddp_connector_call(s->ddp, method, params, SESSION_CALL_MS, fn, call)) {
        session_call_fail(call, "overload", "too many calls under way", 0);
        return false;
    }
    s->calls->running++;
    return true;
}

static struct session_call *ddp_over(void *arg)
{
    struct session_call *call = arg;

    call->session->calls->running--;
    return call;
}

/* Of a method that is not there; a 404 that the method itself gives has other words, but none does.
 */
static bool is_missing(const struct rc_error *error)
{
    return error != NULL && error->result == RC_NOT_FOUND;
}

static void on_result(void *arg, struct slice result, const struct rc_error *error)
{
    struct session_call *call = ddp_over(arg);

    if (is_missing(error) && call->method->action != ACTION_NAMED)
        run_rest(call);
    else if (error != NULL)
        session_call_fail_rc(call, error, result);
    else
        answer_result(call, result);
}

static void run(struct session_call *call, ddp_result_fn fn)
{
    struct byte_buf params = {0};

    hub_method_write(call->method->params, &call->args, slice_of(call->session->username), &params);
    if (byte_buf_failed(&params))
        fail_nomem(call);
    else
        ask_ddp(call, call->ddp, byte_buf_slice(&params), fn);
    byte_buf_free(&params);
}

static void run_named(struct session_call *call)
{
    struct byte_buf params = {0};

    byte_buf_putc(&params, '[');
    byte_buf_put(&params, call->args.more);
    byte_buf_putc(&params, ']');
    if (byte_buf_failed(&params))
        fail_nomem(call);
    else
        ask_ddp(call, call->ddp, byte_buf_slice(&params), on_result);
    byte_buf_free(&params);
}

/* ---- sending ---- */

static bool is_own(const struct user_session *s, struct slice message)
{
    const struct slice id = member(member(message, "u"), "_id");

    return id.len >= 2 && id.ptr[0] == '"' &&
           json_string_eq((struct slice){id.ptr + 1, id.len - 2}, slice_of(s->user_id));
}

/* Rocket.Chat gives no answer for an id it knows, and none for most errors either, which it tells
 * by an ephemeral message (sendMessage.ts): whether the message is there decides. */
static void answer_found(struct session_call *call, struct slice found)
{
    struct json_reader r;
    struct rc_message message;

    json_reader_init(&r, found.ptr, found.len, JSON_MAX_DEPTH);
    rc_message_read(&r, &message);
    if (message.id.len == 0)
        session_call_fail(call, "error-message-not-sent", "Rocket.Chat did not take the message",
                          0);
    else if (!slice_eq(message.rid, session_call_room(call)) || !is_own(call->session, found))
        session_call_fail(call, "error-id-in-use", "another message has this id", 0);
    else
        session_call_answer(call, CALL_RESULT, found);
}

static void on_rest_found(void *arg, long status, struct slice json, const struct rc_error *error)
{
    struct session_call *call = arg;
    struct user_session *s = call->session;

    (void)status;
    rest_over(call);
    if (error != NULL && error->result != RC_FAILED && error->result != RC_NOT_FOUND)
        session_call_fail_rc(call, error, json);
    else
        answer_found(call, error == NULL ? member(json, "message") : (struct slice){0});
    release(s);
}

static void look_over_rest(struct session_call *call)
{
    char query[64];

    snprintf(query, sizeof query, "msgId=%.*s", NEW_ID_LEN, hub_args_text(&call->args, 2).ptr);
    ask_rest(call, "chat.getMessage", slice_of(query), (struct slice){0}, on_rest_found);
}

static void on_found(void *arg, struct slice result, const struct rc_error *error)
{
    struct session_call *call = ddp_over(arg);

    if (is_missing(error))
        look_over_rest(call);
    else if (error != NULL)
        session_call_fail_rc(call, error, result);
    else
        answer_found(call, result);
}

static void on_sent(void *arg, struct slice result, const struct rc_error *error)
{
    struct session_call *call = ddp_over(arg);
    struct byte_buf params = {0};

    if (is_missing(error)) {
        run_rest(call);
    } else if (error != NULL) {
        session_call_fail_rc(call, error, result);
    } else if (is_object(result)) {
        session_call_answer(call, CALL_RESULT, result);
    } else {
        hub_method_write("[$2]", &call->args, (struct slice){0}, &params);
        if (byte_buf_failed(&params))
            fail_nomem(call);
        else
            ask_ddp(call, "getSingleMessage", byte_buf_slice(&params), on_found);
        byte_buf_free(&params);
    }
}

/* As Meteor's Random.id(): no characters that look alike. */
static bool draw_id(char id[NEW_ID_LEN + 3])
{
    static const char letters[] = "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz";
    unsigned char bytes[NEW_ID_LEN * 4];
    size_t n = 1;

    if (uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL) != 0)
        return false;
    id[0] = '"';
    for (size_t i = 0; i < sizeof bytes && n <= NEW_ID_LEN; i++)
        if (bytes[i] < 220) /* 4 times the letters: each as likely as the others */
            id[n++] = letters[bytes[i] % (sizeof letters - 1)];
    id[n] = '"';
    id[n + 1] = '\0';
    return n == NEW_ID_LEN + 1;
}

static void run_send(struct session_call *call)
{
    if (call->args.given[2].ptr == NULL) {
        if (!draw_id(call->new_id)) {
            session_call_fail(call, "overload", "no random bytes", 0);
            return;
        }
        call->args.given[2] = slice_of(call->new_id);
    }
    run(call, on_sent);
}

/* ---- the list of rooms ---- */

static void take_rooms(struct session_call *call, struct slice rooms)
{
    struct byte_buf joined = {0};

    if (room_list_join(byte_buf_slice(&call->first), rooms, &joined))
        session_call_answer(call, CALL_RESULT, byte_buf_slice(&joined));
    else
        session_call_fail(call, rc_result_name(RC_MALFORMED), "no list of rooms", 0);
    byte_buf_free(&joined);
}

static void on_rest_rooms(void *arg, long status, struct slice json, const struct rc_error *error)
{
    struct session_call *call = arg;
    struct user_session *s = call->session;

    (void)status;
    rest_over(call);
    if (error != NULL)
        session_call_fail_rc(call, error, json);
    else
        take_rooms(call, json);
    release(s);
}

static void on_rooms(void *arg, struct slice result, const struct rc_error *error)
{
    struct session_call *call = ddp_over(arg);

    if (is_missing(error))
        ask_rest(call, "rooms.get", (struct slice){0}, (struct slice){0}, on_rest_rooms);
    else if (error != NULL)
        session_call_fail_rc(call, error, result);
    else
        take_rooms(call, result);
}

/* True: on to the rooms. */
static bool take_subscriptions(struct session_call *call, struct slice json)
{
    byte_buf_put(&call->first, json);
    if (!byte_buf_failed(&call->first))
        return true;
    fail_nomem(call);
    return false;
}

static void on_rest_subscriptions(void *arg, long status, struct slice json,
                                  const struct rc_error *error)
{
    struct session_call *call = arg;
    struct user_session *s = call->session;

    (void)status;
    rest_over(call);
    if (error != NULL)
        session_call_fail_rc(call, error, json);
    else if (take_subscriptions(call, json))
        ask_rest(call, "rooms.get", (struct slice){0}, (struct slice){0}, on_rest_rooms);
    release(s);
}

static void on_subscriptions(void *arg, struct slice result, const struct rc_error *error)
{
    struct session_call *call = ddp_over(arg);

    if (is_missing(error))
        ask_rest(call, "subscriptions.get", (struct slice){0}, (struct slice){0},
                 on_rest_subscriptions);
    else if (error != NULL)
        session_call_fail_rc(call, error, result);
    else if (take_subscriptions(call, result))
        ask_ddp(call, "rooms/get", SLICE_LIT("[]"), on_rooms);
}

/* ---- coming in ---- */

static void begin(struct session_call *call)
{
    struct user_session *s = call->session;

    if (s->calls->running >= RUNNING_MAX) {
        session_call_fail(call, "overload", "too many calls under way", 0);
        return;
    }
    switch (call->method->action) {
    case ACTION_CALL:
        run(call, on_result);
        break;
    case ACTION_SEND:
        run_send(call);
        break;
    case ACTION_ROOMS:
        ask_ddp(call, "subscriptions/get", SLICE_LIT("[]"), on_subscriptions);
        break;
    case ACTION_NAMED:
        run_named(call);
        break;
    case ACTION_OPEN:
        session_opened_open(s, call);
        break;
    case ACTION_CLOSE:
        session_opened_close(s, call);
        break;
    case ACTION_REGISTER: /* never sent here */
        abort();
    }
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

static void wait_for_session(struct session_call *call)
{
    struct user_session *s = call->session;

    if (s->calls->nwaiting == WAITING_MAX) {
        session_call_fail(call, "overload", "too many calls wait for the session", 0);
        return;
    }
    call->due_ms = session_now_ms(s->table) + WAIT_MS;
    *s->calls->waiting_end = call;
    s->calls->waiting_end = &call->next;
    s->calls->nwaiting++;
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
    struct session_call *call = calloc(1, sizeof *call + request->args.len);

    if (call == NULL)
        return NULL;
    call->session = s;
    call->id = request->id;
    call->method = request->method;
    call->len = request->args.len;
    memcpy(call->text, request->args.ptr, call->len);
    if (!hub_args_parse(call->method, (struct slice){call->text, call->len}, &call->args))
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
        fail_not_live(call);
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
        fail_not_live(take_waiting(s));
    rearm(s);
}

void session_calls_due(struct user_session *s)
{
    const uint64_t now = session_now_ms(s->table);

    while (s->calls->waiting != NULL && s->calls->waiting->due_ms <= now)
        fail_not_live(take_waiting(s));
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
        fail_not_live(take_waiting(s));
    assert(s->calls->running == 0);
    call_windows_free(&s->calls->windows);
    free(s->calls);
}
