/* Rooms that tabs have opened. Rocket.Chat's own clients follow the streams of the room on screen:
 * they show edits, reactions and replies as they happen, and rooms of which the user is no member.
 * A session follows a room once, for all of its connections that have it open, and goes on after a
 * reconnect. Who may read a room is Rocket.Chat's to say, by ready or nosub; it says so only once,
 * so the streams end here when the user leaves the room. Facts: rocketchat.md 1.5, 3.2, 7.1. */
#include "base/json_slice.h"
#include "bridge/hub/hub_method.h"
#include "bridge/log/log.h"
#include "bridge/session/event_map.h"
#include "bridge/session/user_session_internal.h"
#include <assert.h>
#include <stdlib.h>

static bool wants_deleted(const struct session_table *t)
{
    return t->settings->events.deleted;
}

static bool wants_typing(const struct session_table *t)
{
    return t->further.rows[FURTHER_TYPING].on;
}

static bool wants_read(const struct session_table *t)
{
    return t->further.rows[FURTHER_READ].on;
}

/* The streams an opened room has; what comes on them is session_events.c's. The first is what
 * opening a room means; the others do without saying when Rocket.Chat refuses them. */
static const struct opened_stream {
    const char *name;
    const char *event;                             /* stands behind the room's id */
    bool (*wanted)(const struct session_table *t); /* NULL: always */
} streams[] = {
    {"stream-room-messages", "", NULL},
    {"stream-notify-room", "/deleteMessage", wants_deleted},
    {"stream-notify-room", "/deleteMessageBulk", wants_deleted},
    {"stream-notify-room", "/user-activity", wants_typing},
    {"stream-notify-room", "/messagesRead", wants_read},
};

enum { NSTREAMS = sizeof streams / sizeof streams[0], MESSAGES = 0, RETRY_MS = 1000 };

struct opened_sub {
    struct opened_room *room;
    uint32_t id;
    uint8_t state; /* enum session_sub_state; WAITING is not used */
};

struct opener {
    struct opener *next;
    unsigned shard;
    uint64_t serial;
};

struct opened_room {
    struct opened_room *next;
    struct user_session *session;
    struct opener *openers;
    struct session_call *opening; /* calls of theirs, until its messages are followed */
    struct opened_sub subs[NSTREAMS];
    unsigned pending; /* subscriptions that Rocket.Chat has not answered: they point here */
    bool followed;    /* once, if only on an earlier connection */
    bool dropped;     /* in no list any more; goes with the last answer */
    size_t rid_len;
    char rid[];
};

static struct slice rid_of(const struct opened_room *room)
{
    return (struct slice){room->rid, room->rid_len};
}

static struct opened_room *find(const struct user_session *s, struct slice rid)
{
    struct opened_room *room = s->opened;

    while (room != NULL && !slice_eq(rid_of(room), rid))
        room = room->next;
    return room;
}

static bool is_opener(const struct opened_room *room, unsigned shard, uint64_t serial)
{
    const struct opener *o = room->openers;

    while (o != NULL && (o->shard != shard || o->serial != serial))
        o = o->next;
    return o != NULL;
}

const struct opened_room *session_opened_find(const struct user_session *s, struct slice rid)
{
    const struct opened_room *room = find(s, rid);

    return room != NULL && room->subs[MESSAGES].state == SUB_READY ? room : NULL;
}

void session_opened_push(const struct opened_room *room, struct hub_buf *message)
{
    const struct user_session *s = room->session;
    const struct session_host *host = &s->table->options.host;

    for (const struct opener *o = room->openers; o != NULL && message != NULL; o = o->next)
        host->push_to_opener(host->arg, o->shard, o->serial, (struct slice){s->key, s->key_len},
                             message);
    hub_buf_unref(message);
}

/* ---- the end of a room ---- */

static void free_room(struct opened_room *room)
{
    if (room->pending == 0)
        free(room);
}

static void remove_opener(struct opened_room *room, unsigned shard, uint64_t serial)
{
    struct opener **at = &room->openers, *gone;

    while (*at != NULL && ((*at)->shard != shard || (*at)->serial != serial))
        at = &(*at)->next;
    gone = *at;
    if (gone == NULL)
        return;
    *at = gone->next;
    free(gone);
}

/* Nobody has it open any more. */
static void drop(struct opened_room *room)
{
    struct user_session *s = room->session;
    struct opened_room **at = &s->opened;

    assert(room->opening == NULL);
    while (*at != room)
        at = &(*at)->next;
    *at = room->next;
    metrics_add(s->table->options.metrics, METRIC_OPEN_ROOMS, -1);
    while (room->openers != NULL)
        remove_opener(room, room->openers->shard, room->openers->serial);
    for (int i = 0; i < NSTREAMS; i++)
        if (room->subs[i].state == SUB_READY)
            ddp_connector_unsubscribe(s->ddp, room->subs[i].id);
    room->dropped = true;
    free_room(room);
}

/* Those who are opening it hear why they can't, and have it open no more. */
static void fail_opening(struct opened_room *room, const struct rc_error *error,
                         struct slice details)
{
    struct session_call *call;

    while ((call = session_call_pop(&room->opening)) != NULL) {
        const struct call_id id = *session_call_id(call);

        session_call_fail_rc(call, error, details);
        remove_opener(room, id.shard, id.serial);
    }
}

/* Rocket.Chat won't have it followed, or not any more. */
static void refuse(struct opened_room *room, const struct rc_error *error, struct slice details)
{
    fail_opening(room, error, details);
    /* Those who had it open are told that what they show stands still. */
    session_opened_push(room, event_map_resync(rid_of(room), "room-closed"));
    drop(room);
}

/* ---- subscriptions ---- */

static void pump(struct user_session *s);

static void retry_at(struct user_session *s, uint64_t at_ms)
{
    s->opened_at_ms = session_sooner(s->opened_at_ms, at_ms);
    session_rearm(s);
}

static void on_followed(struct opened_room *room)
{
    struct user_session *s = room->session;
    struct session_call *call;

    /* What a member missed meanwhile is caught up with; of other rooms nothing tells. */
    if (room->followed && !room_memory_is_member(s->rooms, rid_of(room)))
        session_opened_push(room, event_map_resync(rid_of(room), "reconnected"));
    room->followed = true;
    while ((call = session_call_pop(&room->opening)) != NULL)
        session_call_answer(call, CALL_RESULT, (struct slice){0});
}

static void on_refused(struct opened_sub *sub, struct slice details, const struct rc_error *error)
{
    struct opened_room *room = sub->room;
    struct user_session *s = room->session;
    const bool lost = error->result == RC_UNREACHABLE || error->result == RC_CANCELLED;

    sub->state = SUB_NONE;
    if (error->result == RC_RATE_LIMITED) {
        retry_at(s, session_now_ms(s->table) +
                        (error->retry_after_ms > 0 ? error->retry_after_ms : RETRY_MS));
    } else if (lost) { /* those who had it open have it again by the next connection */
        fail_opening(room, error, details);
        if (room->openers == NULL)
            drop(room);
    } else if (sub == &room->subs[MESSAGES]) {
        refuse(room, error, details);
    } else {
        sub->state = SUB_REFUSED;
        log_warn("room_stream_refused", LOG_ID("user", slice_of(s->key)),
                 LOG_STR("event", streams[sub - room->subs].event), LOG_STR("code", error->code));
    }
}

static void on_subscribed(void *arg, struct slice result, const struct rc_error *error)
{
    struct opened_sub *sub = arg;
    struct opened_room *room = sub->room;

    room->pending--;
    if (room->dropped) {
        if (error == NULL)
            ddp_connector_unsubscribe(room->session->ddp, sub->id);
        free_room(room);
    } else if (error != NULL) {
        on_refused(sub, result, error);
    } else {
        sub->state = SUB_READY;
        if (sub == &room->subs[MESSAGES])
            on_followed(room);
    }
}

/* False: not now. */
static bool subscribe(struct opened_room *room, const struct opened_stream *stream)
{
    struct user_session *s = room->session;
    struct opened_sub *sub = &room->subs[stream - streams];
    struct byte_buf params = {0};
    uint64_t wait_ms = session_calls_pace(s, stream->name);

    if (wait_ms == 0) {
        byte_buf_printf(&params, "[\"%.*s%s\",false]", (int)room->rid_len, room->rid,
                        stream->event);
        sub->id = 0;
        if (!byte_buf_failed(&params))
            sub->id = ddp_connector_subscribe(s->ddp, stream->name, byte_buf_slice(&params),
                                              s->table->settings->session.ready_timeout_ms,
                                              on_subscribed, sub);
        byte_buf_free(&params);
        wait_ms = sub->id == 0 ? RETRY_MS : 0;
    }
    if (wait_ms > 0) {
        retry_at(s, session_now_ms(s->table) + wait_ms);
        return false;
    }
    sub->state = SUB_PENDING;
    room->pending++;
    return true;
}

/* All rooms' messages first. Whatever a stream's limit does not let out now waits. */
static void pump(struct user_session *s)
{
    for (int i = 0; i < NSTREAMS && s->state == SESSION_LIVE; i++) {
        struct opened_room *room = s->opened;

        if (streams[i].wanted != NULL && !streams[i].wanted(s->table))
            continue;
        while (room != NULL && (room->subs[i].state != SUB_NONE || subscribe(room, &streams[i])))
            room = room->next;
    }
}

void session_opened_due(struct user_session *s)
{
    s->opened_at_ms = 0;
    pump(s);
    session_rearm(s);
}

void session_opened_live(struct user_session *s)
{
    pump(s);
}

void session_opened_lost(struct user_session *s)
{
    for (struct opened_room *room = s->opened; room != NULL; room = room->next)
        for (int i = 0; i < NSTREAMS; i++)
            room->subs[i].state = SUB_NONE;
    s->opened_at_ms = 0;
    session_rearm(s);
}

bool session_opened_ended(struct user_session *s, uint32_t sub_id)
{
    struct rc_error error;

    for (struct opened_room *room = s->opened; room != NULL; room = room->next)
        for (int i = 0; i < NSTREAMS; i++) {
            if (room->subs[i].state != SUB_READY || room->subs[i].id != sub_id)
                continue;
            room->subs[i].state = SUB_REFUSED;
            rc_error_of(&error, RC_NOT_ALLOWED);
            if (i == MESSAGES)
                refuse(room, &error, (struct slice){0});
            return true;
        }
    return false;
}

/* ---- opening and closing ---- */

static struct opened_room *add(struct user_session *s, struct slice rid)
{
    struct opened_room *room = calloc(1, sizeof *room + rid.len);

    if (room == NULL)
        return NULL;
    room->session = s;
    for (int i = 0; i < NSTREAMS; i++)
        room->subs[i].room = room;
    room->rid_len = rid.len;
    memcpy(room->rid, rid.ptr, rid.len);
    room->next = s->opened;
    s->opened = room;
    metrics_inc(s->table->options.metrics, METRIC_OPEN_ROOMS);
    return room;
}

/* NULL: it may be opened. */
static const char *bound_of(const struct user_session *s, const struct opened_room *known,
                            const struct call_id *id)
{
    const struct settings *settings = s->table->settings;
    unsigned all = 0, own = 0;

    for (const struct opened_room *room = s->opened; room != NULL; room = room->next) {
        all++;
        own += is_opener(room, id->shard, id->serial);
    }
    if (own >= settings->methods.open_rooms)
        return "this connection has as many rooms open as it may";
    if (known == NULL && all >= settings->methods.open_rooms_per_user)
        return "the user has as many rooms open as may be";
    return NULL;
}

static bool add_opener(struct opened_room *room, const struct call_id *id)
{
    struct opener *o = calloc(1, sizeof *o);

    if (o == NULL)
        return false;
    o->shard = id->shard;
    o->serial = id->serial;
    o->next = room->openers;
    room->openers = o;
    return true;
}

void session_opened_open(struct user_session *s, struct session_call *call)
{
    const struct slice rid = session_call_room(call);
    const struct call_id *id = session_call_id(call);
    struct opened_room *room = find(s, rid);

    if (room == NULL || !is_opener(room, id->shard, id->serial)) {
        const char *bound = bound_of(s, room, id);

        if (bound != NULL) {
            session_call_fail(call, "too-many-rooms", bound, 0);
            return;
        }
        if (room == NULL)
            room = add(s, rid);
        if (room == NULL || !add_opener(room, id)) {
            session_call_fail(call, rc_result_name(RC_NOMEM), "out of memory", 0);
            if (room != NULL && room->openers == NULL)
                drop(room);
            return;
        }
    }
    if (room->subs[MESSAGES].state == SUB_READY) {
        session_call_answer(call, CALL_RESULT, (struct slice){0});
        return;
    }
    session_call_push(&room->opening, call);
    pump(s);
}

/* What of its calls is still under way is answered by the room's ready, or by its end. */
static void leave(struct opened_room *room, unsigned shard, uint64_t serial)
{
    struct session_call *call;

    remove_opener(room, shard, serial);
    if (room->openers != NULL)
        return;
    while ((call = session_call_pop(&room->opening)) != NULL)
        session_call_fail(call, "closed", "the room was closed meanwhile", 0);
    drop(room);
}

void session_opened_close(struct user_session *s, struct session_call *call)
{
    const struct call_id *id = session_call_id(call);
    struct opened_room *room = find(s, session_call_room(call));

    if (room != NULL)
        leave(room, id->shard, id->serial);
    session_call_answer(call, CALL_RESULT, (struct slice){0});
}

void session_opened_detach(struct user_session *s, unsigned shard, uint64_t conn_serial)
{
    struct opened_room *next;

    for (struct opened_room *room = s->opened; room != NULL; room = next) {
        next = room->next;
        if (is_opener(room, shard, conn_serial))
            leave(room, shard, conn_serial);
    }
}

/* They hear of it by the subscription's own event. */
void session_opened_left(struct user_session *s, struct slice rid)
{
    struct opened_room *room = find(s, rid);
    struct session_call *call;

    if (room == NULL)
        return;
    while ((call = session_call_pop(&room->opening)) != NULL)
        session_call_fail(call, "error-not-allowed", "the user has left the room", 0);
    drop(room);
}

void session_opened_free(struct user_session *s)
{
    struct session_call *call;

    while (s->opened != NULL) {
        while ((call = session_call_pop(&s->opened->opening)) != NULL)
            session_call_fail(call, "not-live", "the session has ended", 0);
        drop(s->opened);
    }
}

void session_opened_report(const struct user_session *s, struct byte_buf *json)
{
    byte_buf_putc(json, '[');
    for (const struct opened_room *room = s->opened; room != NULL; room = room->next) {
        unsigned connections = 0;

        for (const struct opener *o = room->openers; o != NULL; o = o->next)
            connections++;
        byte_buf_puts(json, room == s->opened ? "{\"rid\":" : ",{\"rid\":");
        json_write_string(json, rid_of(room));
        byte_buf_printf(json, ",\"connections\":%u,\"followed\":%s}", connections,
                        room->subs[MESSAGES].state == SUB_READY ? "true" : "false");
    }
    byte_buf_putc(json, ']');
}
