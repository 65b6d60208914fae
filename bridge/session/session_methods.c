/* What each hub method asks Rocket.Chat, and what becomes of the answers. Most are one row of the
 * table in hub_method.c; here are the ways through it, and the methods that take more than one
 * question. Facts: rocketchat.md 5.3, 6.3, and the sources named in hub_method.h. */
#include "base/json_slice.h"
#include "bridge/session/call_error.h"
#include "bridge/session/room_list.h"
#include "bridge/session/session_calls_internal.h"
#include "rocketchat/rc_date.h"
#include "rocketchat/rc_event.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const struct slice none;

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
        return none;
    return found;
}

static bool is_object(struct slice json)
{
    return json.len > 0 && json.ptr[0] == '{';
}

/* A string member without its quotes; empty: it has none. */
static struct slice text_member(struct slice json, const char *name)
{
    const struct slice value = member(json, name);

    return value.len > 2 && value.ptr[0] == '"' ? (struct slice){value.ptr + 1, value.len - 2}
                                                : none;
}

/* Asks by DDP with params from a template. */
static void ask_with(struct session_call *call, const char *method, const char *template,
                     call_step_fn step)
{
    struct byte_buf params = {0};

    hub_method_write(template, &call->args, slice_of(call->session->username), &params);
    if (byte_buf_failed(&params))
        session_call_fail_nomem(call);
    else
        session_ask_ddp(call, method, byte_buf_slice(&params), step);
    byte_buf_free(&params);
}

/* ---- one question, one answer ---- */

static void answer_result(struct session_call *call, struct slice result)
{
    struct slice items;

    switch (call->method->result) {
    case RESULT_NOTHING:
        /* setReaction answers so when the user is muted (setReaction.ts); nothing else does. */
        if (slice_eq(result, SLICE_LIT("false")))
            session_call_fail(call, "error-not-allowed", "Rocket.Chat did not do it", 0);
        else
            session_call_answer(call, CALL_RESULT, none);
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

static void take_body(struct session_call *call, struct slice json, const struct rc_error *error)
{
    const char *name = call->method->member;

    if (error != NULL)
        session_call_fail_rc(call, error, json);
    else
        answer_result(call, name == NULL ? json : member(json, name));
}

static void history_by_rest(struct session_call *call);
static void take_sent_by_rest(struct session_call *call, struct slice json,
                              const struct rc_error *error);

/* The method is not there: the REST call that does the same. */
static void run_by_rest(struct session_call *call)
{
    struct byte_buf body = {0};

    if (call->method->result == RESULT_ITEMS) {
        history_by_rest(call);
        return;
    }
    if (call->method->route == NULL) {
        session_call_fail(call, "not-supported", "this Rocket.Chat has no such method", 0);
        return;
    }
    hub_method_write(call->method->body, &call->args, none, &body);
    if (byte_buf_failed(&body))
        session_call_fail_nomem(call);
    else
        session_ask_rest(call, call->method->route, none, byte_buf_slice(&body),
                         call->method->action == ACTION_SEND ? take_sent_by_rest : take_body);
    byte_buf_free(&body);
}

static void take_result(struct session_call *call, struct slice result,
                        const struct rc_error *error)
{
    if (session_ask_missed(call, error) && call->method->action != ACTION_NAMED)
        run_by_rest(call);
    else if (error != NULL)
        session_call_fail_rc(call, error, result);
    else
        answer_result(call, result);
}

static void run_named(struct session_call *call)
{
    struct byte_buf params = {0};

    byte_buf_putc(&params, '[');
    byte_buf_put(&params, call->args.more);
    byte_buf_putc(&params, ']');
    if (byte_buf_failed(&params))
        session_call_fail_nomem(call);
    else
        session_ask_ddp(call, call->ddp, byte_buf_slice(&params), take_result);
    byte_buf_free(&params);
}

/* ---- sending ---- */

/* Rocket.Chat gives no answer for an id it knows, and none for most errors either, which it tells
 * by an ephemeral message (sendMessage.ts): whether the message is there decides. By REST an error
 * may have come, which is the answer when it is not. */
static void answer_found(struct session_call *call, struct slice found)
{
    const struct slice author = text_member(member(found, "u"), "_id");

    if (text_member(found, "_id").len == 0 && call->first.len > 0)
        session_call_answer(call, CALL_ERROR, byte_buf_slice(&call->first));
    else if (text_member(found, "_id").len == 0)
        session_call_fail(call, "error-message-not-sent", "Rocket.Chat did not take the message",
                          0);
    else if (!slice_eq(text_member(found, "rid"), session_call_room(call)) ||
             !json_string_eq(author, slice_of(call->session->user_id)))
        session_call_fail(call, "error-id-in-use", "another message has this id", 0);
    else
        session_call_answer(call, CALL_RESULT, found);
}

/* chat.getMessage answers 400 for a message that is not there. */
static void take_found_by_rest(struct session_call *call, struct slice json,
                               const struct rc_error *error)
{
    if (error == NULL)
        answer_found(call, member(json, "message"));
    else if (error->result == RC_FAILED || error->result == RC_NOT_FOUND || call->first.len > 0)
        answer_found(call, none);
    else
        session_call_fail_rc(call, error, json);
}

static void look_by_rest(struct session_call *call)
{
    char query[64];

    snprintf(query, sizeof query, "msgId=%.*s", CALL_NEW_ID_LEN, hub_args_text(&call->args, 2).ptr);
    session_ask_rest(call, "chat.getMessage", slice_of(query), none, take_found_by_rest);
}

static void take_found(struct session_call *call, struct slice result, const struct rc_error *error)
{
    if (session_ask_missed(call, error))
        look_by_rest(call);
    else if (error != NULL)
        session_call_fail_rc(call, error, result);
    else
        answer_found(call, result);
}

/* Rocket.Chat has a code for most that goes wrong. For an id it knows its route trips over the
 * message that it did not get: an error without a code (rocketchat.md 6.3; 7.x,
 * apps/meteor/app/utils/server/ lib/normalizeMessagesForUser.ts, indexed id 1252912751). */
static bool says_little(const struct rc_error *error)
{
    return (error->result == RC_FAILED || error->result == RC_SERVER_ERROR) &&
           strncmp(error->code, "http-", 5) == 0;
}

static void take_sent_by_rest(struct session_call *call, struct slice json,
                              const struct rc_error *error)
{
    const struct slice sent = error == NULL ? member(json, "message") : none;

    if (is_object(sent)) {
        session_call_answer(call, CALL_RESULT, sent);
    } else if (error != NULL && !says_little(error)) {
        session_call_fail_rc(call, error, json);
    } else {
        if (error != NULL)
            call_error_write_rc(&call->first, error, json);
        if (byte_buf_failed(&call->first))
            session_call_fail_nomem(call);
        else
            look_by_rest(call);
    }
}

static void take_sent(struct session_call *call, struct slice result, const struct rc_error *error)
{
    if (session_ask_missed(call, error))
        run_by_rest(call);
    else if (error != NULL)
        session_call_fail_rc(call, error, result);
    else if (is_object(result))
        session_call_answer(call, CALL_RESULT, result);
    else
        ask_with(call, "getSingleMessage", "[$2]", take_found);
}

/* As Meteor's Random.id(): no characters that look alike. */
static bool draw_id(char id[CALL_NEW_ID_LEN + 3])
{
    static const char letters[] = "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz";
    unsigned char bytes[CALL_NEW_ID_LEN * 4];
    size_t n = 1;

    if (uv_random(NULL, NULL, bytes, sizeof bytes, 0, NULL) != 0)
        return false;
    id[0] = '"';
    for (size_t i = 0; i < sizeof bytes && n <= CALL_NEW_ID_LEN; i++)
        if (bytes[i] < 220) /* 4 times the letters: each as likely as the others */
            id[n++] = letters[bytes[i] % (sizeof letters - 1)];
    id[n] = '"';
    id[n + 1] = '\0';
    return n == CALL_NEW_ID_LEN + 1;
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
    ask_with(call, call->ddp, call->method->params, take_sent);
}

/* ---- the list of rooms ---- */

static void take_rooms(struct session_call *call, struct slice json, const struct rc_error *error)
{
    struct byte_buf joined = {0};

    if (session_ask_missed(call, error))
        session_ask_rest(call, "rooms.get", none, none, take_rooms);
    else if (error != NULL)
        session_call_fail_rc(call, error, json);
    else if (room_list_join(byte_buf_slice(&call->first), json, &joined))
        session_call_answer(call, CALL_RESULT, byte_buf_slice(&joined));
    else
        session_call_fail(call, rc_result_name(RC_MALFORMED), "no list of rooms", 0);
    byte_buf_free(&joined);
}

static void take_subscriptions(struct session_call *call, struct slice json,
                               const struct rc_error *error)
{
    if (session_ask_missed(call, error)) {
        session_ask_rest(call, "subscriptions.get", none, none, take_subscriptions);
        return;
    }
    if (error != NULL) {
        session_call_fail_rc(call, error, json);
        return;
    }
    byte_buf_put(&call->first, json);
    if (byte_buf_failed(&call->first))
        session_call_fail_nomem(call);
    else if (call->by_rest)
        session_ask_rest(call, "rooms.get", none, none, take_rooms);
    else
        session_ask_ddp(call, "rooms/get", SLICE_LIT("[]"), take_rooms);
}

/* ---- history by REST: which call depends on the room's type ---- */

static void put_encoded(struct byte_buf *out, struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.ptr[i];

        if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'))
            byte_buf_putc(out, (char)c);
        else
            byte_buf_printf(out, "%%%02X", c);
    }
}

/* {"$date":ms} as the ISO text that REST wants; what no calendar holds is left out. */
static void put_latest(struct byte_buf *out, struct slice date)
{
    struct json_reader r;
    struct tm utc;
    int64_t ms;
    time_t s;

    if (date.ptr == NULL)
        return;
    json_reader_init(&r, date.ptr, date.len, JSON_MAX_DEPTH);
    ms = rc_date_read(&r);
    s = (time_t)(ms / 1000 - (ms % 1000 < 0));
    if (ms == RC_NO_DATE || gmtime_r(&s, &utc) == NULL)
        return;
    byte_buf_printf(out, "&latest=%04d-%02d-%02dT%02d%%3A%02d%%3A%02d.%03dZ", utc.tm_year + 1900,
                    utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                    (int)(ms - (int64_t)s * 1000));
}

static const char *history_route(struct slice type)
{
    if (slice_eq(type, SLICE_LIT("c")))
        return "channels.history";
    if (slice_eq(type, SLICE_LIT("p")))
        return "groups.history";
    return slice_eq(type, SLICE_LIT("d")) ? "im.history" : NULL;
}

static void take_room_info(struct session_call *call, struct slice json,
                           const struct rc_error *error)
{
    const char *route = history_route(text_member(member(json, "room"), "t"));
    struct byte_buf query = {0};

    if (error != NULL) {
        session_call_fail_rc(call, error, json);
        return;
    }
    if (route == NULL) {
        session_call_fail(call, "not-supported", "no history of this type of room", 0);
        return;
    }
    byte_buf_puts(&query, "roomId=");
    put_encoded(&query, session_call_room(call));
    put_latest(&query, call->args.given[1]);
    byte_buf_puts(&query, "&count=");
    byte_buf_put(&query, call->args.given[2]);
    byte_buf_puts(&query, "&showThreadMessages=");
    byte_buf_put(&query, call->args.given[3]);
    if (byte_buf_failed(&query))
        session_call_fail_nomem(call);
    else
        session_ask_rest(call, route, byte_buf_slice(&query), none, take_body);
    byte_buf_free(&query);
}

static void history_by_rest(struct session_call *call)
{
    struct byte_buf query = {0};

    byte_buf_puts(&query, "roomId=");
    put_encoded(&query, session_call_room(call));
    if (byte_buf_failed(&query))
        session_call_fail_nomem(call);
    else
        session_ask_rest(call, "rooms.info", byte_buf_slice(&query), none, take_room_info);
    byte_buf_free(&query);
}

/* ---- which way ---- */

void session_method_send(struct session_call *call)
{
    ask_with(call, call->ddp, call->method->params, take_result);
}

void session_method_run(struct session_call *call)
{
    switch (call->method->action) {
    case ACTION_CALL:
        session_method_send(call);
        return;
    case ACTION_TYPING:
        session_typing_run(call);
        return;
    case ACTION_SEND:
        run_send(call);
        return;
    case ACTION_ROOMS:
        session_ask_ddp(call, "subscriptions/get", SLICE_LIT("[]"), take_subscriptions);
        return;
    case ACTION_NAMED:
        run_named(call);
        return;
    case ACTION_OPEN:
        session_opened_open(call->session, call);
        return;
    case ACTION_CLOSE:
        session_opened_close(call->session, call);
        return;
    case ACTION_REGISTER: /* never sent here */
        break;
    }
    abort();
}
