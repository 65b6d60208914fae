/* What Rocket.Chat sends becomes hub messages, each encoded once and pushed to every shard that
 * holds a connection of the user; and what the tabs are told of the session itself. */
#include "base/json_slice.h"
#include "bridge/log/log.h"
#include "bridge/session/event_map.h"
#include "bridge/session/user_session_internal.h"
#include "rocketchat/rc_iso.h"
#include "rocketchat/room_memory.h"
#include <assert.h>

enum { DATES_KEPT = 64 * 1024 }; /* bytes of the buffer that stay for the next event */

static void count(const struct user_session *s, enum metric which)
{
    metrics_inc(s->table->options.metrics, which);
}

/* To all tabs; takes the reference. kept: also for those that are lost at the moment. born: when
 * the frame behind it came in; 0: none. */
static void push(struct user_session *s, struct hub_buf *message, enum metric which, uint64_t born,
                 bool kept)
{
    const struct session_host *host = &s->table->options.host;
    const struct slice key = {s->key, s->key_len};

    if (message == NULL) {
        count(s, METRIC_DROPS_NO_MEMORY);
        return;
    }
    count(s, which);
    hub_buf_set_born(message, born);
    if (kept)
        session_replay_keep(s, message);
    for (unsigned i = 0; i < s->table->options.nshards; i++)
        if (s->interest[i] > 0 && s->missed_since_ms != 0)
            host->push_missed(host->arg, i, key, s->missed_since_ms, message);
        else if (s->interest[i] > 0)
            host->push(host->arg, i, key, message);
    hub_buf_unref(message);
}

/* only: the room, when those who opened it are to hear it and nobody else; NULL: all tabs. */
static void push_event(struct user_session *s, const struct opened_room *only,
                       struct hub_buf *message, enum metric which, uint64_t born)
{
    s->events_out++;
    s->last_event_out_ms = session_now_ms(s->table);
    if (only == NULL || message == NULL) {
        push(s, message, which, born, true);
        return;
    }
    count(s, which);
    hub_buf_set_born(message, born);
    session_opened_push(only, message);
}

/* ---- events ---- */

static bool is_excluded(const struct user_session *s, const struct rc_message *m)
{
    const struct settings_list *types = &s->table->settings->events.exclude_types;

    for (size_t i = 0; m->type.len > 0 && i < types->count; i++)
        if (json_string_is(m->type, types->items[i]))
            return true;
    return false;
}

static void tell_message(struct user_session *s, const struct opened_room *only,
                         const struct rc_message *m, enum room_sight sight, uint64_t born)
{
    enum settings_updates updates = s->table->settings->events.updates;

    if ((sight == ROOM_SIGHT_FIRST || sight == ROOM_SIGHT_LATER) && is_excluded(s, m)) {
        count(s, METRIC_DROPS_EXCLUDED);
        return;
    }
    switch (sight) {
    case ROOM_SIGHT_NONE:
        count(s, METRIC_DROPS_NO_MESSAGE);
        break;
    case ROOM_SIGHT_REPEAT:
        count(s, METRIC_DROPS_REPEATED);
        break;
    case ROOM_SIGHT_FIRST:
        if (m->tmid.len > 0 && !m->tshow)
            push_event(s, only, event_map_thread_message(m), METRIC_EVENTS_OUT_THREAD, born);
        else
            push_event(s, only, event_map_message(m), METRIC_EVENTS_OUT_MESSAGE, born);
        break;
    case ROOM_SIGHT_LATER:
        if (updates == UPDATES_OFF)
            count(s, METRIC_DROPS_UPDATES_OFF);
        else
            push_event(s, only, event_map_message_update(m, updates), METRIC_EVENTS_OUT_UPDATED,
                       born);
        break;
    }
}

void session_tell_message(struct user_session *s, const struct rc_message *m, enum room_sight sight,
                          uint64_t born)
{
    tell_message(s, NULL, m, sight, born);
}

static void tell_deleted(struct user_session *s, const struct opened_room *only, struct slice rid,
                         struct slice id, uint64_t born)
{
    if (s->table->settings->events.deleted)
        push_event(s, only, event_map_deleted(rid, id), METRIC_EVENTS_OUT_DELETED, born);
}

void session_tell_deleted(struct user_session *s, struct slice rid, struct slice id)
{
    tell_deleted(s, NULL, rid, id, 0);
}

void session_tell_membership(struct user_session *s, const struct rc_event *e, struct slice rid,
                             uint64_t born)
{
    push_event(s, NULL,
               event_map_subscription(e, rid, s->table->settings->events.raw_subscription_methods),
               METRIC_EVENTS_OUT_SUBSCRIPTION, born);
}

void session_resync(struct user_session *s, struct slice rid, const char *reason)
{
    push(s, event_map_resync(rid, reason), METRIC_EVENTS_OUT_RESYNC, 0, true);
}

static void on_subscription(struct user_session *s, const struct rc_event *e, uint64_t born)
{
    char buffer[ROOM_MEMORY_ID_MAX];
    struct slice rid = {0};

    switch (e->action) {
    case RC_INSERTED:
        if (!room_memory_subscription_inserted(s->rooms, &e->subscription)) {
            count(s, METRIC_DROPS_REPEATED);
            return;
        }
        if (room_memory_lacking_since(s->rooms, e->subscription.rid) != RC_NO_DATE)
            session_repair_gap(s, e->subscription.rid);
        break;
    case RC_UPDATED:
        room_memory_subscription_updated(s->rooms, &e->subscription);
        break;
    case RC_REMOVED:
        rid = room_memory_subscription_removed(s->rooms, &e->subscription, buffer);
        session_repair_left(s, rid);
        session_opened_left(s, rid);
        break;
    }
    if (s->table->settings->events.subscription_shape == SHAPE_ROOM && e->action != RC_REMOVED)
        return; /* the room's own event tells it */
    session_tell_membership(s, e, rid, born);
}

/* typing and read are about what is on screen: for the tabs that have the room open, now. */
static void tell_further(struct user_session *s, enum further_event which, const struct rc_event *e,
                         uint64_t born)
{
    static_assert(METRIC_EVENTS_OUT_ROOM - METRIC_EVENTS_OUT_TYPING == FURTHER_ROOM_CHANGED,
                  "one row for each");
    const struct further_row *row = &s->table->further.rows[which];
    const struct opened_room *only = NULL;
    const enum metric metric = (enum metric)(METRIC_EVENTS_OUT_TYPING + (int)which);
    struct hub_buf *message;

    if (which == FURTHER_TYPING || which == FURTHER_READ) {
        only = session_opened_find(s, e->room_id);
        if (only == NULL)
            return;
    }
    message =
        further_event_message(row, which, e, s->table->settings->events.raw_subscription_methods);
    if (only != NULL || message == NULL)
        push_event(s, only, message, metric, born);
    else
        push(s, message, metric, born, which != FURTHER_USER_STATUS); /* stale soon */
}

static void on_further(struct user_session *s, const struct rc_event *e, uint64_t born)
{
    enum further_event which;

    if (further_event_of(e, &which) && s->table->further.rows[which].on)
        tell_further(s, which, e, born);
}

static void on_room(struct user_session *s, const struct rc_event *e, uint64_t born)
{
    const struct settings *settings = s->table->settings;

    if (s->table->further.rows[FURTHER_ROOM_CHANGED].on)
        tell_further(s, FURTHER_ROOM_CHANGED, e, born);
    if (settings->events.subscription_shape == SHAPE_ROOM && e->action != RC_REMOVED)
        push_event(s, NULL, event_map_room(e, settings->events.raw_subscription_methods),
                   METRIC_EVENTS_OUT_SUBSCRIPTION, born);
    session_repair_room(s, e, born);
}

/* Who hears what comes on a room's own streams: a member's tabs all of it, and whoever is none
 * those that opened the room. False: nobody. The streams may go on after the user was removed from
 * the room, and __my_messages__ shows rooms that the user could read but is not in
 * (rocketchat.md 3.2).
 */
static bool audience_of(const struct user_session *s, struct slice rid,
                        const struct opened_room **only)
{
    *only = NULL;
    if (room_memory_is_member(s->rooms, rid))
        return true;
    *only = session_opened_find(s, rid);
    return *only != NULL;
}

static void on_room_message(struct user_session *s, const struct rc_event *e, uint64_t born)
{
    const struct opened_room *only;
    enum room_sight sight;

    if (!e->participant || !audience_of(s, e->message.rid, &only)) {
        count(s, METRIC_DROPS_NO_MESSAGE);
        return;
    }
    session_saw_return(s, &e->message);
    sight = room_memory_see_message(s->rooms, &e->message);
    session_saw_leave(s, &e->message, sight);
    if (!session_repair_hold(s, sight, &e->message))
        tell_message(s, only, &e->message, sight, born);
}

static void one_deleted(struct user_session *s, const struct opened_room *only, struct slice rid,
                        struct slice id, uint64_t born)
{
    /* Of a room that is not remembered nothing is told by another road either. */
    if (room_memory_see_deleted(s->rooms, rid, id, RC_NO_DATE, RC_NO_DATE) || only != NULL)
        tell_deleted(s, only, rid, id, born);
    else
        count(s, METRIC_DROPS_REPEATED);
}

static void on_deleted(struct user_session *s, const struct rc_event *e, uint64_t born)
{
    const struct opened_room *only;
    struct json_reader r;
    struct slice id;

    if (!audience_of(s, e->room_id, &only)) {
        count(s, METRIC_DROPS_NO_MESSAGE);
    } else if (e->kind == RC_EVENT_DELETED) {
        one_deleted(s, only, e->room_id, e->message.id, born);
    } else if (e->ids.ptr == NULL) { /* all of a span of time: what that is, we don't know */
        if (only != NULL)
            session_opened_push(only, event_map_resync(e->room_id, "pruned"));
        else
            session_resync(s, e->room_id, "pruned");
    } else {
        json_reader_init(&r, e->ids.ptr, e->ids.len, JSON_MAX_DEPTH);
        json_enter_array(&r);
        while (json_next_item(&r))
            if (json_peek(&r) != JSON_KIND_STRING)
                json_skip(&r);
            else if (json_read_string(&r, &id) && id.len > 0)
                one_deleted(s, only, e->room_id, id, born);
    }
}

static void take_event(struct user_session *s, const struct ddp_event *event)
{
    struct rc_event e;

    rc_event_parse(event, &e);
    /* Another user's events can't come on this connection; if they did, they would stop here. */
    if (e.user_id.ptr != NULL && !slice_eq(e.user_id, slice_of(s->user_id)))
        e.kind = RC_EVENT_OTHER;
    switch (e.kind) {
    case RC_EVENT_ROOM:
        count(s, METRIC_EVENTS_IN_ROOMS);
        on_room(s, &e, event->received_ns);
        break;
    case RC_EVENT_SUBSCRIPTION:
        count(s, METRIC_EVENTS_IN_SUBSCRIPTIONS);
        on_subscription(s, &e, event->received_ns);
        break;
    case RC_EVENT_EPHEMERAL:
        count(s, METRIC_EVENTS_IN_EPHEMERAL);
        push_event(s, NULL, event_map_ephemeral(&e.message), METRIC_EVENTS_OUT_EPHEMERAL,
                   event->received_ns);
        break;
    case RC_EVENT_ROOM_MESSAGE:
        count(s, METRIC_EVENTS_IN_ROOM_MESSAGES);
        on_room_message(s, &e, event->received_ns);
        break;
    case RC_EVENT_DELETED:
    case RC_EVENT_DELETED_MANY:
        count(s, METRIC_EVENTS_IN_DELETED);
        on_deleted(s, &e, event->received_ns);
        break;
    case RC_EVENT_ACTIVITY:
    case RC_EVENT_READ:
    case RC_EVENT_NOTIFICATION:
    case RC_EVENT_USER_DATA:
    case RC_EVENT_USER_STATUS:
        count(s, METRIC_EVENTS_IN_FURTHER);
        on_further(s, &e, event->received_ns);
        break;
    case RC_EVENT_OTHER:
        count(s, METRIC_EVENTS_IN_OTHER);
        break;
    }
}

struct slice session_dates(const struct session_table *t, struct slice json, struct byte_buf *out)
{
    if (t->settings->events.dates == DATES_EJSON || json.len == 0)
        return json;
    rc_iso_of_ejson(json, out);
    return byte_buf_failed(out) ? (struct slice){NULL, 0} : byte_buf_slice(out);
}

void session_event(struct user_session *s, const struct ddp_event *event)
{
    struct session_table *t = s->table;
    struct ddp_event e = *event;

    s->events_in++;
    s->last_event_in_ms = session_now_ms(t);
    session_touch(s);
    byte_buf_clear(&t->dates);
    e.args = session_dates(t, event->args, &t->dates);
    if (e.args.ptr == NULL)
        count(s, METRIC_DROPS_NO_MEMORY);
    else
        take_event(s, &e);
    if (t->dates.cap > DATES_KEPT)
        byte_buf_free(&t->dates);
}

/* ---- bridgeStatus ---- */

static struct hub_buf *status(const struct user_session *s, enum session_told what)
{
    uint64_t now = session_now_ms(s->table);
    uint64_t wait = s->step_at_ms > now ? s->step_at_ms - now : 0;

    switch (what) {
    case TOLD_CONNECTING:
        return event_map_status("connecting", s->code, 0);
    case TOLD_BACKOFF:
        return event_map_status("backoff", s->code, wait);
    case TOLD_REFUSED:
        return event_map_status("refused", s->code, wait);
    case TOLD_NOTHING:
        break;
    }
    return event_map_status("live", NULL, 0);
}

void session_tell(struct user_session *s, enum session_told what)
{
    if (what == TOLD_NOTHING && s->told == TOLD_NOTHING)
        return; /* it was live, for all they know */
    s->told = (uint8_t)what;
    push(s, status(s, what), METRIC_EVENTS_OUT_STATUS, 0, false);
}

static bool is_starting(const struct user_session *s)
{
    return s->state != SESSION_BACKOFF && s->state != SESSION_REFUSED && s->state != SESSION_IDLE;
}

void session_tell_connection(struct user_session *s, unsigned shard, uint64_t conn_serial)
{
    const struct session_host *host = &s->table->options.host;
    struct hub_buf *message;

    if (s->told == TOLD_NOTHING)
        return;
    message = status(s, is_starting(s) ? TOLD_CONNECTING : (enum session_told)s->told);
    if (message == NULL)
        return;
    count(s, METRIC_EVENTS_OUT_STATUS);
    host->push_to_connection(host->arg, shard, conn_serial, (struct slice){s->key, s->key_len},
                             message);
    hub_buf_unref(message);
}
