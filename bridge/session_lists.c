/* After the last `ready`: subscriptions/get, then rooms/get, once, in silence. They tell which
 * subscription is of which room and what each room's last message is, so that nothing old looks
 * new. Events that come before them are judged by their own times (room_memory.h), so nothing
 * waits.
 *
 * Asked as DDP methods; a server that answers 404 to one is asked over REST. */
#include "bridge/log.h"
#include "bridge/user_session_internal.h"
#include "rocketchat/room_memory.h"

enum { LIST_TRIES = 3, LIST_RETRY_MS = 10 * 1000 };

enum list { LIST_SUBSCRIPTIONS, LIST_ROOMS };

static bool take(struct user_session *s, enum list which, struct slice json)
{
    return which == LIST_SUBSCRIPTIONS ? room_memory_fill_subscriptions(s->rooms, json)
                                       : room_memory_fill_rooms(s->rooms, json);
}

static void ask(struct user_session *s, enum list which);

static void on_list(struct user_session *s, enum list which, struct slice json,
                    const struct rc_error *error)
{
    if (error == NULL && take(s, which, json)) {
        if (which == LIST_SUBSCRIPTIONS)
            ask(s, LIST_ROOMS);
        return;
    }
    log_warn("session_list_failed", LOG_ID("user", slice_of(s->key)),
             LOG_STR("list", which == LIST_ROOMS ? "rooms" : "subscriptions"),
             LOG_STR("code", error != NULL ? error->code : rc_result_name(RC_MALFORMED)));
    /* The session works without, only less knowingly: a few tries, then it stays so. */
    if (++s->list_tries < LIST_TRIES) {
        uint64_t wait = error != NULL && error->retry_after_ms > LIST_RETRY_MS
                            ? error->retry_after_ms
                            : LIST_RETRY_MS;
        session_arm(s, session_now_ms(s->table) + wait);
    }
}

/* ---- over REST ---- */

static void on_rest(void *arg, enum list which, struct slice json, const struct rc_error *error)
{
    struct user_session *s = session_op_end(arg);

    if (s == NULL)
        return;
    s->rest = NULL;
    on_list(s, which, json, error);
}

static void on_rest_subscriptions(void *arg, struct slice json, const struct rc_error *error)
{
    on_rest(arg, LIST_SUBSCRIPTIONS, json, error);
}

static void on_rest_rooms(void *arg, struct slice json, const struct rc_error *error)
{
    on_rest(arg, LIST_ROOMS, json, error);
}

static void ask_rest(struct user_session *s, enum list which)
{
    struct session_op *op = session_op_new(s);
    struct rest_client *rest = s->table->options.rest;
    struct slice user_id = slice_of(s->user_id), token = slice_of(s->token);

    if (op == NULL)
        return;
    s->rest = which == LIST_SUBSCRIPTIONS
                  ? rest_subscriptions_get(rest, user_id, token, on_rest_subscriptions, op)
                  : rest_rooms_get(rest, user_id, token, on_rest_rooms, op);
    if (s->rest == NULL)
        session_op_end(op);
}

/* ---- over DDP ---- */

static void on_ddp(struct user_session *s, enum list which, struct slice result,
                   const struct rc_error *error)
{
    if (s->state != SESSION_LIVE)
        return;
    if (error != NULL && error->result == RC_NOT_FOUND)
        ask_rest(s, which);
    else if (error == NULL || error->result != RC_UNREACHABLE)
        on_list(s, which, result, error);
}

static void on_ddp_subscriptions(void *arg, struct slice result, const struct rc_error *error)
{
    on_ddp(arg, LIST_SUBSCRIPTIONS, result, error);
}

static void on_ddp_rooms(void *arg, struct slice result, const struct rc_error *error)
{
    on_ddp(arg, LIST_ROOMS, result, error);
}

static void ask(struct user_session *s, enum list which)
{
    if (which == LIST_SUBSCRIPTIONS)
        ddp_connector_call(s->ddp, "subscriptions/get", SLICE_LIT("[]"), SESSION_CALL_MS,
                           on_ddp_subscriptions, s);
    else
        ddp_connector_call(s->ddp, "rooms/get", SLICE_LIT("[]"), SESSION_CALL_MS, on_ddp_rooms, s);
}

void session_lists_ask(struct user_session *s)
{
    ask(s, LIST_SUBSCRIPTIONS);
}
