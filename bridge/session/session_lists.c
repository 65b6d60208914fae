/* After the last `ready`: subscriptions/get, then rooms/get, in silence. After a gap they are
 * compared with what is remembered, and what moved is repaired; a page that was opened meanwhile is
 * not told what it has loaded as history. rooms/get is asked again a little later: Rocket.Chat
 * follows a user's rooms only some time after `ready` (rocketchat.md 3.4). They tell which
 * subscription is of which room and what each room's last message is, so that nothing old looks
 * new. Events that come before them are judged by their own times (room_memory.h), so nothing
 * waits.
 *
 * Asked as DDP methods; a server that answers 404 to one is asked over REST. Its limit leaves no
 * room for a second look at the rooms: the only one after a gap is taken when the second would be,
 * the first of a session at once, since nothing is known before it. */
#include "bridge/log/log.h"
#include "bridge/session/user_session_internal.h"
#include "rocketchat/rc_ejson.h"
#include "rocketchat/room_memory.h"
#include <time.h>

enum { LIST_TRIES = 5, LIST_RETRY_MS = 1000 /* doubling */, LOOK_AGAIN_MS = 1000 };

/* Between the instances of one Rocket.Chat, each of which dates what is written there. */
enum { CLOCKS_DIFFER_MS = 1000 };

enum list { LIST_SUBSCRIPTIONS, LIST_ROOMS };

/* ---- after a gap ---- */

static void on_moved(void *arg, struct slice rid, int64_t moved)
{
    struct user_session *s = arg;
    const struct settings *settings = s->table->settings;
    bool many_rooms = s->gap_rooms >= settings->catch_up.max_rooms;

    if (settings->message_source != SOURCE_REPAIR) {
        room_memory_give_up(s->rooms, rid);
    } else if (many_rooms || moved > (int64_t)settings->catch_up.max_messages) {
        room_memory_give_up(s->rooms, rid);
        session_resync(s, rid, many_rooms ? "too-many-rooms" : "too-many-messages");
    } else {
        s->gap_rooms++;
        session_repair_gap(s, rid);
    }
}

/* Rocket.Chat's clock is known by its REST answers. Where it isn't, or leaves a doubt, the page is
 * told: rather twice than not at all. Those from before the gap are, too, whatever the date says: a
 * message can be dated back. */
uint64_t session_missed_since(const struct user_session *s, int64_t server_ms)
{
    const uint64_t now = session_now_ms(s->table);
    struct timespec wall;
    int64_t ahead, ago;

    if (server_ms == RC_NO_DATE || !rest_client_clock(s->table->options.rest, &ahead))
        return 0;
    clock_gettime(CLOCK_REALTIME, &wall);
    ago =
        (int64_t)wall.tv_sec * 1000 + wall.tv_nsec / 1000000 + ahead - CLOCKS_DIFFER_MS - server_ms;
    if (ago <= 0)
        return 0;
    return (uint64_t)ago < now - s->lost_at_ms ? now - (uint64_t)ago : s->lost_at_ms;
}

static void on_joined(void *arg, const struct rc_subscription *sub)
{
    struct user_session *s = arg;
    const struct rc_event e = {.kind = RC_EVENT_SUBSCRIPTION,
                               .raw_action = SLICE_LIT("inserted"),
                               .action = RC_INSERTED,
                               .subscription = *sub};

    s->missed_since_ms = session_missed_since(s, sub->ts_ms);
    if (s->table->settings->events.subscription_shape == SHAPE_ROOM)
        session_resync(s, sub->rid, "joined");
    else
        session_tell_membership(s, &e, sub->rid, 0);
    s->missed_since_ms = 0;
}

static void on_left(void *arg, struct slice sub_id, struct slice rid)
{
    struct user_session *s = arg;
    struct rc_event e = {
        .kind = RC_EVENT_SUBSCRIPTION, .raw_action = SLICE_LIT("removed"), .action = RC_REMOVED};
    struct byte_buf doc = {0};

    session_repair_left(s, rid);
    session_opened_left(s, rid);
    byte_buf_printf(&doc, "{\"_id\":\"%.*s\"}", (int)sub_id.len, sub_id.ptr);
    e.subscription.raw = byte_buf_slice(&doc);
    if (!byte_buf_failed(&doc))
        session_tell_membership(s, &e, rid, 0);
    byte_buf_free(&doc);
}

static bool compare(struct user_session *s, enum list which, struct slice json)
{
    const struct room_membership membership = {on_joined, on_left, s};

    return which == LIST_SUBSCRIPTIONS
               ? room_memory_check_subscriptions(s->rooms, json, &membership)
               : room_memory_check_rooms(s->rooms, json, on_moved, s);
}

static void begin_anew(struct user_session *s)
{
    session_repair_stop(s);
    room_memory_free(s->rooms);
    s->rooms = NULL;
    s->gap = false;
}

void session_begin_gap(struct user_session *s)
{
    const struct settings *settings = s->table->settings;

    if (s->rooms == NULL)
        return;
    if (!room_memory_is_listed(s->rooms)) { /* every room would look as if joined in the gap */
        begin_anew(s);
        if (s->live_since_ms != 0 || s->restored)
            session_resync(s, (struct slice){0}, "no-lists");
        return;
    }
    if (session_now_ms(s->table) - s->lost_at_ms > settings->catch_up.max_gap_ms) {
        begin_anew(s);
        session_resync(s, (struct slice){0}, "gap-too-long");
        return;
    }
    metrics_inc(s->table->options.metrics, METRIC_CATCH_UPS);
    room_memory_gap(s->rooms);
    s->gap = true;
}

static bool compare_in_form(struct user_session *s, enum list which, struct slice json)
{
    struct byte_buf dates = {0};
    const struct slice in_form = session_dates(s->table, json, &dates);
    const bool good = !byte_buf_failed(&dates) && compare(s, which, in_form);

    byte_buf_free(&dates);
    return good;
}

static bool take(struct user_session *s, enum list which, struct slice json)
{
    if (s->gap || s->looked_again)
        return compare_in_form(s, which, json); /* tabs may hear of it */
    return which == LIST_SUBSCRIPTIONS ? room_memory_fill_subscriptions(s->rooms, json)
                                       : room_memory_fill_rooms(s->rooms, json);
}

static void ask(struct user_session *s, enum list which);

static void on_list(struct user_session *s, enum list which, struct slice json,
                    const struct rc_error *error)
{
    if (error == NULL && take(s, which, json)) {
        if (which == LIST_SUBSCRIPTIONS) {
            ask(s, LIST_ROOMS);
            return;
        }
        if (s->gap)
            session_repair_resume(s);
        s->gap = false;
        if (!s->looked_again) {
            s->looked_again = true;
            session_arm(s, session_now_ms(s->table) + LOOK_AGAIN_MS);
        }
        return;
    }
    log_warn("session_list_failed", LOG_ID("user", slice_of(s->key)),
             LOG_STR("list", which == LIST_ROOMS ? "rooms" : "subscriptions"),
             LOG_STR("code", error != NULL ? error->code : rc_result_name(RC_MALFORMED)));
    if (++s->list_tries < LIST_TRIES) {
        uint64_t wait = (uint64_t)LIST_RETRY_MS << (s->list_tries - 1);

        if (error != NULL && error->retry_after_ms > wait)
            wait = error->retry_after_ms;
        /* Not all of a limiter's window at its very beginning. */
        session_arm(s, session_now_ms(s->table) + wait + session_random(s->table, wait));
    } else if (s->gap) { /* which rooms moved in it will not be known */
        s->gap = false;
        session_repair_stop(s);
        room_memory_give_up_all(s->rooms);
        session_resync(s, (struct slice){0}, "no-lists");
    }
    /* Else the session works without the lists, only less knowingly. */
}

/* ---- over REST ---- */

static void on_rest(void *arg, enum list which, struct slice json, const struct rc_error *error)
{
    struct user_session *s = session_op_end(arg);
    struct byte_buf with_dates = {0};
    struct rc_error nomem;

    if (s == NULL)
        return;
    s->rest = NULL;
    if (error == NULL)
        rc_ejson_of_rest(json, &with_dates);
    if (byte_buf_failed(&with_dates)) {
        rc_error_of(&nomem, RC_NOMEM);
        error = &nomem;
    }
    on_list(s, which, byte_buf_slice(&with_dates), error);
    byte_buf_free(&with_dates);
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
    if (error != NULL && error->result == RC_UNREACHABLE)
        return;
    if (error == NULL || error->result != RC_NOT_FOUND) {
        on_list(s, which, result, error);
    } else if (which == LIST_ROOMS && s->gap && !s->looked_again) {
        s->looked_again = true;
        session_arm(s, session_now_ms(s->table) + LOOK_AGAIN_MS);
    } else {
        s->looked_again = which == LIST_ROOMS;
        ask_rest(s, which);
    }
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
    ask(s, s->looked_again ? LIST_ROOMS : LIST_SUBSCRIPTIONS);
}
