/* tests/unit/room_feed_session.h - a session that keeps its rooms' feeds whole, without all that
 * makes a real one: no order, no tabs, nothing held back. When it asks, and what it makes of the
 * answers, is as in session_repair.c, session_merge.c and session_lists.c; room memory and repair
 * desk are the real ones. */
#ifndef TESTS_UNIT_ROOM_FEED_SESSION_H
#define TESTS_UNIT_ROOM_FEED_SESSION_H

#include "bridge/session/repair_desk.h"
#include "rocketchat/room_memory.h"
#include <stdlib.h>

#include "room_feed_clock.h"

enum {
    BURST_OVER_MS = 1000, /* of session_repair.c */
    BURST_MAX_MS = 10 * 1000,
    RETRY_MS = 500,
    TRIES = 4,
    LOOK_AGAIN_MS = 1000, /* of session_lists.c */
    DESK_TURN_MS = 10,    /* of repair_post.c */
    OTHERS = 4, /* tickets: those of other sessions that ask for the same rooms have it set */
};

enum feed_why {
    BY_EVENT,
    BY_BURST, /* while changes come quickly, or after that */
    BY_GAP,
    WHYS,
};

struct feed_repair {
    bool on, burst, retrying;
    uint64_t ticket; /* 0: not asked for */
    int64_t due_ms;  /* 0: none */
    int64_t begun_ms, shown_ms, missed_ms, since_ms, asked_ms;
    unsigned tries;
    enum feed_why why;
};

static struct feed_session {
    struct room_memory *memory;
    struct repair_desk *desk;
    int64_t desk_due_ms; /* 0: not */
    struct feed_repair repairs[FEED_ROOMS];
    bool knows[FEED_ROOMS]; /* that the user has joined it */
    unsigned nrepairs;
    uint64_t tickets;
    struct feed_answer *answers; /* all of this run */
    struct feed_chance chance;

    bool live; /* the DDP connection */
    unsigned link;
    int64_t link_ms;   /* since when, or till when */
    int64_t hooked_ms; /* events come from then on */
    bool listed, gap, looked_again;
    int64_t listed_ms;             /* when the first list came; 0: not yet */
    int64_t resync_ms[FEED_ROOMS]; /* what was written by then the tabs load anew */

    /* How slow the server may be, in milliseconds, and how often, in percent. */
    unsigned slow_ms, slow_percent, failing_percent;
} session;

/* Since the program began. */
static struct feed_counts {
    uint64_t events, messages, resyncs;
    uint64_t asked[WHYS], needless[WHYS];
} feed_counts;

static const char *feed_sight_name(enum room_sight sight)
{
    static const char *const names[] = {"none", "first", "later", "repeat"};

    return names[sight];
}

static struct feed_message *feed_find(struct slice id)
{
    return &feed.messages[strtoul(id.ptr + 1, NULL, 10)];
}

static void feed_tell(const struct rc_message *message, enum room_sight sight)
{
    struct feed_message *m;

    if (message->id.len == 0)
        return;
    m = feed_find(message->id);
    m->first += sight == ROOM_SIGHT_FIRST;
    m->later += sight == ROOM_SIGHT_LATER;
}

/* ---- the desk's side ---- */

static void desk_wake(int64_t in_ms)
{
    int64_t at = feed.now_ms + in_ms;

    if (session.desk_due_ms == 0 || at < session.desk_due_ms)
        session.desk_due_ms = at;
}

static void desk_turn(void)
{
    uint64_t now = (uint64_t)feed.now_ms, due;

    session.desk_due_ms = 0;
    repair_desk_turn(session.desk, now);
    due = repair_desk_due_ms(session.desk);
    if (due != UINT64_MAX)
        desk_wake(due > now + DESK_TURN_MS ? (int64_t)(due - now) : DESK_TURN_MS);
}

static unsigned room_of(uint64_t ticket)
{
    return (unsigned)(ticket >> 3);
}

static uint64_t ticket_new(unsigned room, bool others)
{
    return ++session.tickets << 16 | room << 3 | (others ? OTHERS : 0);
}

static void query_ends(const struct feed_task *t)
{
    const bool lost = (t->number & OTHERS) == 0 && (!session.live || t->link != session.link);
    struct repair_answer *answer = NULL;
    struct rc_error error;

    if (!lost && t->answer != NULL)
        answer = repair_answer_new((struct slice){(const char *)&t->answer, sizeof t->answer});
    rc_error_of(&error, lost ? RC_UNREACHABLE : RC_RATE_LIMITED);
    error.retry_after_ms = lost ? 0 : (uint64_t)t->since_ms;
    repair_desk_done(session.desk, (uint64_t)feed.now_ms, slice_of(feed.rooms[t->room].rid),
                     t->number, answer, answer == NULL ? &error : NULL);
    repair_answer_unref(answer);
    desk_wake(REPAIR_QUIET_MS);
}

static int64_t travel_ms(void)
{
    if (feed_hits(&session.chance, session.slow_percent))
        return feed_below(&session.chance, session.slow_ms);
    return 1 + feed_below(&session.chance, 10);
}

static void query_arrives(const struct feed_task *t)
{
    struct feed_task end = *t;

    end.fn = query_ends;
    if (feed_hits(&session.chance, session.failing_percent)) {
        end.since_ms = 200 + feed_below(&session.chance, 3000); /* retry after */
        feed_after(travel_ms(), end);
        return;
    }
    end.answer = feed_ask(t->room, t->since_ms);
    end.answer->next = session.answers;
    session.answers = end.answer;
    feed_trace("r%u query %" PRIu64 " since %" PRId64 ": %u messages, %u deleted", t->room,
               t->number >> 16, t->since_ms - FEED_BEGIN_MS, end.answer->nmessages,
               end.answer->ndeleted);
    feed_after(travel_ms(), end);
}

static void desk_run(void *arg, unsigned asker, uint64_t ticket, int64_t since_ms)
{
    (void)arg;
    (void)asker;
    feed_after(travel_ms(), (struct feed_task){.fn = query_arrives,
                                               .room = room_of(ticket & 0xffff),
                                               .link = session.link,
                                               .number = ticket,
                                               .since_ms = since_ms});
}

static void answered(const struct feed_task *t);

static void desk_answer(void *arg, unsigned asker, uint64_t ticket, int64_t covers_ms,
                        struct repair_answer *answer, const struct rc_error *error)
{
    struct feed_task t = {.fn = answered,
                          .room = room_of(ticket & 0xffff),
                          .number = ticket,
                          .since_ms = answer != NULL ? covers_ms : (int64_t)error->retry_after_ms};

    (void)arg;
    (void)asker;
    if (ticket & OTHERS)
        return;
    if (answer != NULL)
        memcpy(&t.answer, answer->json, sizeof t.answer);
    feed_after(0, t);
}

/* Another session, which has heard everything, misses something. */
static void others_ask(unsigned room, int64_t back_ms)
{
    const struct feed_room *r = &feed.rooms[room];
    const uint64_t ticket = ticket_new(room, true);

    feed_trace("r%u another session asks, %" PRIu64, room, ticket >> 16);
    repair_desk_ask(session.desk, (uint64_t)feed.now_ms, slice_of(r->rid), 0, ticket,
                    r->updated_ms - back_ms, r->updated_ms);
    desk_wake(REPAIR_QUIET_MS);
}

/* ---- the session's repairs ---- */

static struct slice rid_of(const struct feed_repair *r)
{
    return slice_of(feed.rooms[r - session.repairs].rid);
}

static void repair_begin(struct feed_repair *r)
{
    *r = (struct feed_repair){.on = true,
                              .begun_ms = feed.now_ms,
                              .shown_ms = RC_NO_DATE,
                              .missed_ms = RC_NO_DATE,
                              .since_ms = RC_NO_DATE};
    session.nrepairs++;
    room_memory_pin(session.memory, true);
}

static void repair_cancel(struct feed_repair *r)
{
    if (r->ticket == 0)
        return;
    repair_desk_cancel(session.desk, (uint64_t)feed.now_ms, rid_of(r), r->ticket);
    desk_wake(REPAIR_QUIET_MS);
    r->ticket = 0;
}

static void repair_end(struct feed_repair *r)
{
    repair_cancel(r);
    r->on = false;
    if (--session.nrepairs == 0)
        room_memory_pin(session.memory, false);
}

static void repair_ask(struct feed_repair *r, enum feed_why why)
{
    const int64_t since = room_memory_lacking_since(session.memory, rid_of(r));
    const unsigned room = (unsigned)(r - session.repairs);

    if (since == RC_NO_DATE) {
        repair_end(r);
        return;
    }
    r->due_ms = 0;
    r->retrying = false;
    r->asked_ms = since;
    r->why = why;
    r->ticket = ticket_new(room, false);
    feed_trace("r%u asked for since %" PRId64 ", %" PRIu64, room, since - FEED_BEGIN_MS,
               r->ticket >> 16);
    repair_desk_ask(session.desk, (uint64_t)feed.now_ms, rid_of(r), 0, r->ticket, since,
                    room_memory_changed_ms(session.memory, rid_of(r)));
    desk_wake(REPAIR_QUIET_MS);
}

static void repair_note(struct feed_repair *r, const struct rc_room *shown,
                        const struct room_hint *hint)
{
    const bool under_way = r->on;

    if (!r->on && !hint->lacking && !hint->burst)
        return;
    if (!r->on)
        repair_begin(r);
    if (shown->updated_ms > r->shown_ms)
        r->shown_ms = shown->updated_ms;
    if (r->since_ms == RC_NO_DATE && (hint->burst || hint->missed))
        r->since_ms = shown->updated_ms;
    r->burst |= hint->burst;
    if (hint->missed && shown->updated_ms > r->missed_ms)
        r->missed_ms = shown->updated_ms;
    if (under_way)
        r->why = BY_BURST;
    if (r->ticket != 0 || r->retrying)
        return;
    if (hint->lacking) {
        repair_ask(r, hint->burst || under_way ? BY_BURST : BY_EVENT);
    } else if (hint->burst) {
        r->due_ms = feed.now_ms + BURST_OVER_MS;
        if (r->due_ms > r->begun_ms + BURST_MAX_MS)
            r->due_ms = r->begun_ms + BURST_MAX_MS;
    }
}

static void repair_due(struct feed_repair *r)
{
    if (!r->retrying)
        room_memory_doubt(session.memory, rid_of(r), r->since_ms);
    r->burst = false;
    repair_ask(r, r->retrying ? r->why : BY_BURST);
}

/* True: it had something new. */
static bool repair_take(struct feed_repair *r, const struct feed_answer *answer)
{
    bool news = false;

    for (unsigned i = 0; i < answer->ndeleted; i++)
        if (room_memory_see_deleted(session.memory, rid_of(r), answer->deleted[i].id,
                                    answer->deleted[i].updated_ms, r->asked_ms)) {
            feed_trace("   answer: %s is deleted", answer->deleted[i].id.ptr);
            feed_find(answer->deleted[i].id)->deleted++;
            news = true;
        }
    for (unsigned i = 0; i < answer->nmessages; i++) {
        const enum room_sight sight =
            room_memory_see_repaired(session.memory, &answer->messages[i], r->asked_ms);

        feed_trace("   answer: %s is %s", answer->messages[i].id.ptr, feed_sight_name(sight));
        feed_tell(&answer->messages[i], sight);
        news |= sight == ROOM_SIGHT_FIRST || sight == ROOM_SIGHT_LATER;
    }
    if (room_memory_take_doubtful(session.memory) > 0) {
        feed_trace("   resync");
        session.resync_ms[r - session.repairs] = feed.now_ms;
        feed_counts.resyncs++;
    }
    return news;
}

static void repair_failed(struct feed_repair *r, int64_t retry_after_ms)
{
    int64_t wait = (int64_t)RETRY_MS << r->tries;

    r->due_ms = feed.now_ms + (retry_after_ms > wait ? retry_after_ms : wait);
    r->retrying = true;
    if (retry_after_ms == 0) /* to wait for one's turn is no failure */
        assert(++r->tries < TRIES);
}

static void answered(const struct feed_task *t)
{
    struct feed_repair *r = &session.repairs[t->room];
    bool more;

    if (!r->on || r->ticket != t->number)
        return;
    r->ticket = 0;
    if (t->answer == NULL) {
        repair_failed(r, t->since_ms);
        return;
    }
    feed_trace("r%u answered %" PRIu64 ", covers %" PRId64, t->room, t->number >> 16,
               t->since_ms - FEED_BEGIN_MS);
    more = r->missed_ms > t->since_ms;
    feed_counts.asked[r->why]++;
    feed_counts.needless[r->why] += !repair_take(r, t->answer);
    room_memory_repaired(session.memory, rid_of(r), t->since_ms);
    r->tries = 0;
    if (more) {
        room_memory_doubt(session.memory, rid_of(r), r->since_ms);
        repair_ask(r, BY_BURST);
    } else if (r->burst && r->shown_ms > t->since_ms) {
        r->due_ms = feed.now_ms + BURST_OVER_MS;
        r->begun_ms = feed.now_ms;
    } else {
        repair_end(r);
    }
}

/* ---- lists and gaps ---- */

enum { LIST_OF_SUBSCRIPTIONS, LIST_OF_ROOMS };

static void list_comes(const struct feed_task *t);

static void list_is_made(const struct feed_task *t)
{
    struct feed_task coming = *t;
    struct byte_buf json = {0};

    feed_list(&json, t->number == LIST_OF_SUBSCRIPTIONS);
    coming.fn = list_comes;
    coming.shown.raw = byte_buf_slice(&json);
    coming.since_ms = feed.now_ms;
    /* Which frees it. That of subscriptions comes in order with their events. */
    feed_after(t->number == LIST_OF_SUBSCRIPTIONS ? 1 : travel_ms(), coming);
}

static void list_ask(uint64_t which)
{
    feed_after(travel_ms(),
               (struct feed_task){.fn = list_is_made, .link = session.link, .number = which});
}

static void look_again(const struct feed_task *t)
{
    if (session.live && t->link == session.link)
        list_ask(LIST_OF_ROOMS);
}

static void repair_gap(struct feed_repair *r)
{
    const int64_t changed_ms = room_memory_changed_ms(session.memory, rid_of(r));

    if (!r->on)
        repair_begin(r);
    if (changed_ms > r->missed_ms)
        r->missed_ms = changed_ms;
    if (r->ticket == 0 && !r->retrying)
        repair_ask(r, BY_GAP);
}

static void on_moved(void *arg, struct slice rid, int64_t moved)
{
    (void)arg;
    feed_trace("%.*s moved by %" PRId64, (int)rid.len, rid.ptr, moved);
    repair_gap(&session.repairs[rid.ptr[1] - '0']);
}

static void on_joined(void *arg, const struct rc_subscription *sub)
{
    (void)arg;
    feed_trace("%.*s was joined", (int)sub->rid.len, sub->rid.ptr);
    session.knows[sub->rid.ptr[1] - '0'] = true;
}

static void on_left(void *arg, struct slice sub_id, struct slice rid)
{
    (void)arg;
    (void)sub_id;
    (void)rid;
    assert(false); /* nobody leaves */
}

static void subscriptions_come(struct slice json)
{
    const struct room_membership membership = {on_joined, on_left, NULL};

    if (session.gap)
        room_memory_check_subscriptions(session.memory, json, &membership);
    else
        room_memory_fill_subscriptions(session.memory, json);
    list_ask(LIST_OF_ROOMS);
}

static void rooms_come(struct slice json)
{
    if (session.gap || session.looked_again)
        room_memory_check_rooms(session.memory, json, on_moved, NULL);
    else
        room_memory_fill_rooms(session.memory, json);
    if (session.listed_ms == 0)
        session.listed_ms = feed.now_ms;
    if (session.gap)
        for (unsigned i = 0; i < feed.nrooms; i++) {
            struct feed_repair *r = &session.repairs[i];

            if (r->on && r->ticket == 0 && r->due_ms == 0)
                repair_ask(r, BY_GAP);
        }
    session.gap = false;
    if (!session.looked_again)
        feed_after(LOOK_AGAIN_MS, (struct feed_task){.fn = look_again, .link = session.link});
    session.looked_again = true;
}

static void list_comes(const struct feed_task *t)
{
    const struct slice json = t->shown.raw;

    if (session.live && t->link == session.link) {
        feed_trace("list of %s of %" PRId64, t->number == LIST_OF_ROOMS ? "rooms" : "subscriptions",
                   t->since_ms - FEED_BEGIN_MS);
        if (t->number == LIST_OF_ROOMS)
            rooms_come(json);
        else
            subscriptions_come(json);
    }
    free((void *)(uintptr_t)json.ptr);
}

/* The event of a subscription. */
static void session_joined(unsigned room)
{
    const struct feed_room *r = &feed.rooms[room];
    const struct rc_subscription sub = {
        .id = slice_of(r->sub), .rid = slice_of(r->rid), .ts_ms = r->joined_ms};

    feed_trace("r%u event: joined", room);
    session.knows[room] = true;
    if (room_memory_subscription_inserted(session.memory, &sub) &&
        room_memory_lacking_since(session.memory, sub.rid) != RC_NO_DATE)
        repair_gap(&session.repairs[room]);
}

/* hook_ms: from ready to the first event. */
static void session_is_live(int64_t hook_ms)
{
    session.live = true;
    session.link++;
    session.link_ms = feed.now_ms;
    session.hooked_ms = feed.now_ms + hook_ms;
    session.looked_again = false;
    if (session.listed_ms != 0) {
        room_memory_gap(session.memory);
        session.gap = true;
    }
    feed_trace("live");
    list_ask(LIST_OF_SUBSCRIPTIONS);
}

static void session_is_cut(void)
{
    session.live = false;
    feed_trace("cut");
    for (unsigned i = 0; i < feed.nrooms; i++) {
        struct feed_repair *r = &session.repairs[i];

        if (!r->on)
            continue;
        repair_cancel(r);
        room_memory_doubt(session.memory, rid_of(r), r->since_ms);
        r->due_ms = 0;
        r->tries = 0;
        r->burst = r->retrying = false;
    }
}

/* ---- life ---- */

static void session_begin(uint16_t remembered, uint64_t seed)
{
    static const struct repair_desk_host host = {.run = desk_run, .answer = desk_answer};

    session = (struct feed_session){.chance = {seed}};
    session.memory = room_memory_new(FEED_ROOMS, remembered);
    session.desk = repair_desk_new(&host);
    assert(session.memory != NULL && session.desk != NULL);
}

static void session_end(void)
{
    struct feed_answer *a;

    room_memory_free(session.memory);
    repair_desk_free(session.desk);
    while ((a = session.answers) != NULL) {
        session.answers = a->next;
        free(a);
    }
}

/* When it, or the desk, does something by itself; 0: never. */
static int64_t session_due_ms(void)
{
    int64_t at = session.desk_due_ms;

    for (unsigned i = 0; i < feed.nrooms; i++) {
        const struct feed_repair *r = &session.repairs[i];

        if (r->on && r->due_ms != 0 && (at == 0 || r->due_ms < at))
            at = r->due_ms;
    }
    return at;
}

static void session_do_due(void)
{
    if (session.desk_due_ms != 0 && session.desk_due_ms <= feed.now_ms)
        desk_turn();
    for (unsigned i = 0; i < feed.nrooms; i++) {
        struct feed_repair *r = &session.repairs[i];

        if (r->on && r->due_ms != 0 && r->due_ms <= feed.now_ms)
            repair_due(r);
    }
}

#endif
