/* Rooms of one session whose feed lacks messages: what Rocket.Chat's events show of them waits, the
 * missing ones are asked for (repair_gate.h), and all of it goes out in the room's order
 * (session_merge.c). Design section 5; rocketchat.md 6.4, 7.1. */
#include "bridge/log/log.h"
#include "bridge/session/user_session_internal.h"
#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(element) (element)->session = NULL
#include "rocketchat/room_memory.h"
#include <assert.h>
#include <stdlib.h>

enum {
    HOLD_MS = 3000,
    HOLD_EVENTS = 256,        /* of one room */
    HOLD_BYTES = 1024 * 1024, /* of one session */
    BURST_OVER_MS = 1000,     /* quiet for so long: the burst is over ... */
    BURST_MAX_MS = 10 * 1000, /* ... or has gone on for so long */
    TRIES = 4,
    RETRY_MS = 500,                  /* doubling */
    LIMITED_MAX_MS = 10 * 60 * 1000, /* waiting for Rocket.Chat's limits, all told */
    REPAIRS_MAX = 2000,              /* rooms of one session at once */
};

struct session_repair {
    UT_hash_handle hh; /* in table->repairs by ticket, while it is asked for */
    struct session_repair *next;
    struct user_session *session;
    uint64_t ticket;           /* 0: not asked for */
    uint64_t due_ms;           /* the burst is over, or the next try; 0: none */
    uint64_t begun_ms;         /* the burst */
    uint64_t hold_until_ms;    /* while something is held */
    int64_t shown_ms;          /* server time: when the room changed, as shown last ... */
    int64_t missed_ms;         /* ... and as shown last by an event that misses messages */
    uint64_t lacking_since_ms; /* our clock; 0: not asked for yet */
    int64_t since_ms;          /* server time: a burst's look goes back to here at least */
    int64_t asked_ms;          /* server time: what was asked for begins here */
    int64_t passed_ms;         /* server time: the newest message that has gone out */
    struct room_hold hold;     /* its bytes are part of the session's */
    uint8_t tries;
    bool holding;  /* what comes waits */
    bool cut;      /* it would wait too long */
    bool retrying; /* due is the next try */
    bool burst;
    bool gap; /* something in a gap is asked for */
    uint16_t rid_len;
    char rid[];
};

static struct slice rid_of(const struct session_repair *r)
{
    return (struct slice){r->rid, r->rid_len};
}

static void count(const struct user_session *s, enum metric which)
{
    metrics_inc(s->table->options.metrics, which);
}

/* ---- the list ---- */

static struct session_repair *find(const struct user_session *s, struct slice rid)
{
    struct session_repair *r = s->repairs;

    while (r != NULL && !slice_eq(rid_of(r), rid))
        r = r->next;
    return r;
}

static void rearm(struct user_session *s)
{
    uint64_t at = 0;

    for (struct session_repair *r = s->repairs; r != NULL; r = r->next) {
        at = session_sooner(at, r->due_ms);
        if (r->hold.count > 0)
            at = session_sooner(at, r->hold_until_ms);
    }
    s->repair_at_ms = at;
    session_rearm(s);
}

static struct session_repair *add(struct user_session *s, struct slice rid, int64_t told_ms)
{
    struct session_repair *r = NULL;

    if (s->nrepairs < REPAIRS_MAX && rid.len <= ROOM_MEMORY_ID_MAX)
        r = calloc(1, sizeof *r + rid.len);
    if (r == NULL)
        return NULL;
    r->session = s;
    r->since_ms = r->asked_ms = r->shown_ms = r->missed_ms = RC_NO_DATE;
    r->passed_ms = told_ms;
    room_hold_init(&r->hold);
    r->begun_ms = session_now_ms(s->table);
    r->rid_len = (uint16_t)rid.len;
    memcpy(r->rid, rid.ptr, rid.len);
    r->next = s->repairs;
    s->repairs = r;
    s->nrepairs++;
    metrics_add(s->table->options.metrics, METRIC_ROOMS_IN_REPAIR, 1);
    room_memory_pin(s->rooms, true);
    return r;
}

struct held *session_take_held(struct user_session *s, struct room_hold *hold, int64_t until_ms)
{
    const size_t before = hold->bytes;
    struct held *held = room_hold_take(hold, until_ms);

    s->held_bytes -= (uint32_t)(before - hold->bytes);
    return held;
}

static void release_held(struct session_repair *r)
{
    r->holding = false;
    session_merge_held(r->session, rid_of(r), r->asked_ms, &r->hold, &r->passed_ms);
}

/* What is held goes out first. */
static void end(struct session_repair *r)
{
    struct user_session *s = r->session;
    struct session_repair **at = &s->repairs;
    const struct repair_gate *gate = &s->table->options.repairs;

    release_held(r);
    if (r->ticket != 0) {
        HASH_DEL(s->table->repairs, r);
        gate->cancel(gate->arg, rid_of(r), r->ticket);
    }
    while (*at != r)
        at = &(*at)->next;
    *at = r->next;
    metrics_add(s->table->options.metrics, METRIC_ROOMS_IN_REPAIR, -1);
    if (--s->nrepairs == 0)
        room_memory_pin(s->rooms, false);
    free(r);
}

/* The room's order or completeness can't be kept: the tabs load it anew. */
static void give_up(struct user_session *s, struct slice rid, const char *reason)
{
    room_memory_give_up(s->rooms, rid);
    session_resync(s, rid, reason);
}

/* ---- asking ---- */

/* False: there was nothing to ask for, or no way; the repair has ended. */
static bool ask(struct session_repair *r)
{
    struct user_session *s = r->session;
    const struct repair_gate *gate = &s->table->options.repairs;
    int64_t since = room_memory_lacking_since(s->rooms, rid_of(r));

    if (since == RC_NO_DATE) {
        end(r);
        return false;
    }
    r->due_ms = 0;
    r->retrying = false;
    if (r->lacking_since_ms == 0)
        r->lacking_since_ms = session_now_ms(s->table);
    r->holding = !r->cut;
    r->asked_ms = since;
    r->ticket = ++s->table->next_ticket;
    HASH_ADD(hh, s->table->repairs, ticket, sizeof r->ticket, r);
    if (r->session == NULL) { /* uthash_nonfatal_oom */
        r->session = s;
        r->ticket = 0;
        give_up(s, rid_of(r), "overload");
        end(r);
        return false;
    }
    gate->ask(gate->arg, rid_of(r), since, room_memory_changed_ms(s->rooms, rid_of(r)), r->ticket);
    return true;
}

/* Notes what an event says of the room; from here on its messages may have to wait. */
static struct session_repair *note(struct user_session *s, const struct rc_room *room,
                                   const struct room_hint *hint)
{
    struct session_repair *r = find(s, room->id);
    uint64_t now = session_now_ms(s->table);

    if (r == NULL && !hint->lacking && !hint->burst)
        return NULL;
    if (r == NULL && (r = add(s, room->id, hint->told_ms)) == NULL) {
        give_up(s, room->id, "overload");
        return NULL;
    }
    if (room->updated_ms > r->shown_ms)
        r->shown_ms = room->updated_ms;
    if (r->since_ms == RC_NO_DATE && (hint->burst || hint->missed)) /* else it may be a late one */
        r->since_ms = room->updated_ms;
    r->burst |= hint->burst;
    if (hint->missed && room->updated_ms > r->missed_ms)
        r->missed_ms = room->updated_ms;
    /* While it is asked for, the answer has this, too, unless the query is out already. */
    if (r->ticket == 0 && hint->lacking && !r->retrying) {
        count(s, METRIC_REPAIRS_MISSED);
        if (!ask(r))
            r = NULL;
    } else if (r->ticket == 0 && hint->burst && !r->retrying) {
        r->due_ms = now + BURST_OVER_MS;
        if (r->due_ms > r->begun_ms + BURST_MAX_MS)
            r->due_ms = r->begun_ms + BURST_MAX_MS;
    }
    rearm(s);
    return r;
}

/* What is held has waited long enough, or is too much; what comes now does not wait. */
static void cut(struct session_repair *r)
{
    count(r->session, METRIC_HOLDS_CUT);
    r->cut = true;
    release_held(r);
}

/* False: it need not, or can't, wait. */
static bool hold(struct session_repair *r, enum room_sight sight, const struct rc_message *message)
{
    struct user_session *s = r->session;
    const size_t len = message->raw.len;

    if (!r->holding || (sight != ROOM_SIGHT_FIRST && sight != ROOM_SIGHT_LATER))
        return false;
    if (r->hold.count == HOLD_EVENTS || len > HOLD_BYTES - s->held_bytes ||
        !room_hold_add(&r->hold, sight, message)) {
        cut(r);
        return false;
    }
    if (r->hold.count == 1)
        r->hold_until_ms = session_now_ms(s->table) + HOLD_MS;
    s->held_bytes += (uint32_t)len;
    count(s, METRIC_EVENTS_HELD);
    rearm(s);
    return true;
}

void session_repair_room(struct user_session *s, const struct rc_event *e, uint64_t born)
{
    const struct rc_message *message = &e->room.last_message;
    struct session_repair *r = NULL;
    int64_t *passed_ms;
    enum room_sight sight;
    struct room_hint hint;
    bool behind;

    session_saw_return(s, message);
    sight = room_memory_see_room(s->rooms, e->action, &e->room, &hint);
    session_saw_leave(s, message, sight);
    if (s->table->settings->message_source == SOURCE_REPAIR)
        r = note(s, &e->room, &hint);
    else if (sight == ROOM_SIGHT_REPEAT)
        sight = ROOM_SIGHT_FIRST; /* as it comes, every time */
    if (r == NULL || !hold(r, sight, message)) {
        passed_ms = r != NULL ? &r->passed_ms : &hint.told_ms;
        behind = hint.late && session_is_behind(message, sight, *passed_ms);
        session_tell_passed(s, message, sight, born, passed_ms);
        if (behind && s->table->settings->message_source == SOURCE_REPAIR)
            session_resync(s, e->room.id, "late");
    }
    if (e->action == RC_REMOVED)
        session_repair_left(s, e->room.id);
}

bool session_repair_hold(struct user_session *s, enum room_sight sight,
                         const struct rc_message *message)
{
    struct session_repair *r = s->repairs == NULL ? NULL : find(s, message->rid);

    if (r == NULL || hold(r, sight, message))
        return r != NULL;
    session_note_passed(message, sight, &r->passed_ms);
    return false;
}

void session_repair_gap(struct user_session *s, struct slice rid)
{
    struct session_repair *r = find(s, rid);

    if (r == NULL && (r = add(s, rid, room_memory_told_ms(s->rooms, rid))) == NULL) {
        give_up(s, rid, "overload");
        return;
    }
    r->gap = true;
    /* An answer under way may be older than the list that shows it. */
    if (room_memory_changed_ms(s->rooms, rid) > r->missed_ms)
        r->missed_ms = room_memory_changed_ms(s->rooms, rid);
    if (r->ticket == 0 && !r->retrying) { /* else it is asked for, or will be again */
        count(s, METRIC_REPAIRS_GAP);
        ask(r);
    }
    rearm(s);
}

void session_repair_left(struct user_session *s, struct slice rid)
{
    struct session_repair *r = find(s, rid);

    if (r != NULL)
        end(r);
    rearm(s);
}

void session_repair_stop(struct user_session *s)
{
    while (s->repairs != NULL)
        end(s->repairs);
    rearm(s);
}

void session_repair_pause(struct user_session *s)
{
    const struct repair_gate *gate = &s->table->options.repairs;

    for (struct session_repair *r = s->repairs; r != NULL; r = r->next) {
        if (r->ticket != 0) {
            HASH_DEL(s->table->repairs, r);
            gate->cancel(gate->arg, rid_of(r), r->ticket);
            r->ticket = 0;
        }
        room_memory_doubt(s->rooms, rid_of(r), r->since_ms);
        r->due_ms = 0;
        r->tries = 0;
        r->burst = r->retrying = false;
    }
    rearm(s);
}

void session_repair_resume(struct user_session *s)
{
    struct session_repair *r, *next;

    for (r = s->repairs; r != NULL; r = next) {
        next = r->next;
        if (r->ticket == 0 && r->due_ms == 0)
            ask(r);
    }
    rearm(s);
}

void session_repair_due(struct user_session *s)
{
    uint64_t now = session_now_ms(s->table);
    struct session_repair *r, *next;

    for (r = s->repairs; r != NULL; r = next) {
        next = r->next;
        if (r->hold.count > 0 && now >= r->hold_until_ms)
            cut(r);
        if (r->due_ms == 0 || now < r->due_ms)
            continue;
        if (!r->retrying) {
            count(s, METRIC_REPAIRS_BURST);
            room_memory_doubt(s->rooms, rid_of(r), r->since_ms);
        }
        r->burst = false;
        ask(r);
    }
    rearm(s);
}

void session_table_repair_run(struct session_table *t, uint64_t ticket, int64_t since_ms)
{
    struct session_repair *r;

    HASH_FIND(hh, t->repairs, &ticket, sizeof ticket, r);
    if (r != NULL) /* else: cancelled; the desk has heard it, or is about to */
        session_query_run(r->session, rid_of(r), since_ms, ticket);
}

/* ---- the answer ---- */

static void failed(struct session_repair *r, const struct rc_error *error)
{
    struct user_session *s = r->session;
    uint64_t wait = (uint64_t)RETRY_MS << r->tries, now = session_now_ms(s->table);
    bool limited = error->result == RC_RATE_LIMITED && now < r->lacking_since_ms + LIMITED_MAX_MS;

    /* To wait for one's turn is no failure. */
    if (limited || (++r->tries < TRIES && error->result != RC_NOT_FOUND)) {
        r->due_ms = now + (error->retry_after_ms > wait ? error->retry_after_ms : wait);
        r->retrying = true;
        return;
    }
    log_warn("room_not_repaired", LOG_ID("user", slice_of(s->key)), LOG_ID("room", rid_of(r)),
             LOG_STR("code", error->code));
    give_up(s, rid_of(r), error->result == RC_NOT_FOUND ? "no-history" : "repair-failed");
    end(r);
}

static bool take(struct session_repair *r, const struct repair_answer *answer, bool more)
{
    const struct session_answer a = {
        .json = {answer->json, answer->len}, .asked_ms = r->asked_ms, .more = more, .gap = r->gap};

    return session_merge(r->session, rid_of(r), &a, &r->hold, &r->passed_ms);
}

void session_table_repair_answered(struct session_table *t, uint64_t ticket, int64_t covers_ms,
                                   struct repair_answer *answer, const struct rc_error *error)
{
    struct session_repair *r;
    struct user_session *s;
    struct rc_error malformed;
    bool more;

    HASH_FIND(hh, t->repairs, &ticket, sizeof ticket, r);
    if (r == NULL)
        return;
    s = r->session;
    HASH_DEL(t->repairs, r);
    r->ticket = 0;
    more = r->missed_ms > covers_ms; /* shown after the query went out */
    if (answer != NULL && !take(r, answer, more)) {
        rc_error_of(&malformed, RC_MALFORMED);
        error = &malformed;
        answer = NULL;
    }
    if (answer == NULL) {
        failed(r, error);
        rearm(s);
        return;
    }
    room_memory_repaired(s->rooms, rid_of(r), covers_ms);
    r->tries = 0;
    r->cut = r->holding = false;
    r->gap &= more;
    r->lacking_since_ms = 0;
    if (more) {
        room_memory_doubt(s->rooms, rid_of(r), r->since_ms);
        ask(r);
    } else if (r->burst && r->shown_ms > covers_ms) {
        r->due_ms = session_now_ms(t) + BURST_OVER_MS;
        r->begun_ms = session_now_ms(t);
    } else {
        end(r);
    }
    rearm(s);
}
