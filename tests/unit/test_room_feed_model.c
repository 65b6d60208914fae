/* Random histories of rooms against the memory that is to tell every message once (room_memory.h).
 *
 * A seed makes a history: what is done in a room or three (room_feed_rooms.h), and what becomes of
 * the events that tell of it. A room's event shows the room as it is when it is read, which may be
 * after later changes (rocketchat.md 3.4); it may come late, behind younger ones, and twice; while
 * the connection is lost none comes at all. A session (room_feed_session.h) listens and asks. When
 * all has come to rest, every message must have been told as new once, whatever happened in
 * between.
 *
 * ROOM_FEED_SEEDS: how many histories are tried. ROOM_FEED_FIRST: from which seed on; what fails is
 * printed with its seed, cut down to the steps that it takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "room_feed_history.h"
#include "room_feed_session.h"

/* ---- the network ---- */

enum { TRAVEL_MS = 1, BACK_MS = 3600 * 1000 };

struct room_sent {
    int64_t updated_ms, comes_ms;
};

static struct network {
    const struct history *history;
    const struct step *step;       /* which is being done; NULL: none */
    unsigned changes;              /* of rooms, by it */
    int64_t before_ms[FEED_ROOMS]; /* the last change of each before the session */
    struct {
        int64_t live_ms, from_ms, to_ms; /* events come from from_ms on */
    } links[STEPS + 1];
    unsigned nlinks;
    struct room_sent sent[FEED_ROOMS];
} network;

static bool is_link(unsigned link)
{
    return session.live && session.link == link;
}

static void on_room_event(const struct feed_task *t)
{
    struct room_hint hint;
    enum room_sight sight;

    if (!is_link(t->link))
        return;
    sight = room_memory_see_room(session.memory, t->joined ? RC_INSERTED : RC_UPDATED, &t->shown,
                                 &hint);
    feed_trace(
        "r%u event%s: %" PRId64 " messages at %" PRId64 ", last %s of %" PRId64 ": %s%s%s%s",
        t->room, t->joined ? " of joining" : "", t->shown.msgs, t->shown.updated_ms - FEED_BEGIN_MS,
        t->shown.last_message.id.len > 0 ? t->shown.last_message.id.ptr : "-",
        t->shown.last_message.id.len > 0 ? t->shown.last_message.updated_ms - FEED_BEGIN_MS : 0,
        feed_sight_name(sight), hint.lacking ? ", lacking" : "", hint.missed ? ", missed" : "",
        hint.burst ? ", burst" : "");
    feed_counts.events++;
    feed_tell(&t->shown.last_message, sight);
    repair_note(&session.repairs[t->room], &t->shown, &hint);
}

static void on_message_event(const struct feed_task *t)
{
    enum room_sight sight;

    if (!is_link(t->link))
        return;
    sight = room_memory_see_message(session.memory, &t->message);
    feed_trace("r%u stream: %s is %s", t->room, t->message.id.ptr, feed_sight_name(sight));
    feed_tell(&t->message, sight);
}

static void on_deleted_event(const struct feed_task *t)
{
    if (!is_link(t->link))
        return;
    feed_trace("r%u stream: %s is deleted", t->room, t->message.id.ptr);
    feed_find(t->message.id)->deleted += room_memory_see_deleted(
        session.memory, t->message.rid, t->message.id, RC_NO_DATE, RC_NO_DATE);
}

/* A room that is joined is hooked at once. */
static bool is_hooked(unsigned room)
{
    const struct feed_room *r = &feed.rooms[room];

    return session.live && r->member &&
           (feed.now_ms >= session.hooked_ms || r->joined_ms >= session.link_ms);
}

/* Two states of a room of one date come in their order, late or not: which is the younger one
 * nobody could tell. */
static int64_t behind_its_like(unsigned room, int64_t updated_ms, int64_t travel_ms)
{
    struct room_sent *sent = &network.sent[room];

    if (sent->updated_ms == updated_ms && feed.now_ms + travel_ms < sent->comes_ms)
        travel_ms = sent->comes_ms - feed.now_ms;
    *sent = (struct room_sent){updated_ms, feed.now_ms + travel_ms};
    return travel_ms;
}

static void on_room_read(const struct feed_task *t)
{
    struct feed_task event = *t;
    int64_t travel;

    if (!is_hooked(t->room))
        return;
    event.fn = on_room_event;
    event.link = session.link;
    event.shown = feed_shown(t->room);
    travel = behind_its_like(t->room, event.shown.updated_ms, TRAVEL_MS + t->late_ms);
    feed_after(travel, event);
    if (t->again_ms > 0)
        feed_after(travel + (feed.ties ? 0 : t->again_ms - 1), event);
}

static void feed_room_changed(unsigned room)
{
    static const struct fault none = {0};
    const struct fault *f = &none;
    struct feed_task read;

    if (network.step != NULL)
        f = &network.step->faults[network.changes++ % FAULTS];
    read = (struct feed_task){
        .fn = on_room_read, .room = room, .late_ms = f->late_ms, .again_ms = f->again_ms};
    if (f->read_ms == 0)
        on_room_read(&read);
    else
        feed_after(f->read_ms, read);
}

/* The room's own stream has what has changed as it was then. */
static void stream(const struct feed_message *m, void (*fn)(const struct feed_task *t))
{
    const struct fault *f = network.step != NULL ? &network.step->faults[FAULTS - 1] : NULL;

    if (network.history->opened[m->room] && is_hooked(m->room) &&
        (session.knows[m->room] || !network.history->joins[m->room]))
        feed_after(
            TRAVEL_MS + (f != NULL ? f->late_ms : 0),
            (struct feed_task){
                .fn = fn, .room = m->room, .link = session.link, .message = feed_document(m)});
}

static void feed_message_changed(const struct feed_message *m)
{
    stream(m, on_message_event);
}

static void feed_message_deleted(const struct feed_message *m)
{
    stream(m, on_deleted_event);
}

static void on_subscription_event(const struct feed_task *t)
{
    if (is_link(t->link))
        session_joined(t->room);
}

/* The subscription's event, then the room's, which may overtake it; then the room says so. */
static void join(const struct step *s)
{
    const struct fault *f = s->faults;

    if (feed.rooms[s->room].member || session.listed_ms == 0)
        return; /* before the lists, nothing tells a room just joined from any other */
    feed_join(s->room);
    if (session.live) {
        const struct feed_task told = {
            .fn = on_subscription_event, .room = s->room, .link = session.link};

        feed_after(TRAVEL_MS + f[2].late_ms, told);
        if (f[2].again_ms > 0)
            feed_after(TRAVEL_MS + f[2].late_ms + f[2].again_ms - 1, told);
        feed_after(f[1].read_ms, (struct feed_task){.fn = on_room_read,
                                                    .room = s->room,
                                                    .joined = true,
                                                    .late_ms = f[1].late_ms,
                                                    .again_ms = f[1].again_ms});
    }
    if (s->pick < 700)
        feed_say_joined(s->room);
}

static void link_up(int64_t hook_ms)
{
    session_is_live(hook_ms);
    network.links[network.nlinks].live_ms = feed.now_ms;
    network.links[network.nlinks].from_ms = session.hooked_ms;
    network.links[network.nlinks++].to_ms = INT64_MAX;
}

static void on_link_up(const struct feed_task *t)
{
    link_up(t->late_ms);
}

/* ---- what is done ---- */

static bool may_be_picked(const struct feed_message *m, unsigned room, enum op op)
{
    if (m->room != room || !feed_is_there(m) || (m->type != NULL && strcmp(m->type, "rm") == 0))
        return false;
    return (op != REPLY && op != REPLY_SHOWN) || m->parent == NULL;
}

/* One of the room's messages, a young one rather; NULL: there is none. */
static struct feed_message *pick(const struct step *s)
{
    unsigned fit = 0, skip;

    for (unsigned i = 0; i < feed.nmessages; i++)
        fit += may_be_picked(&feed.messages[i], s->room, s->op);
    if (fit == 0)
        return NULL;
    skip = (unsigned)((uint64_t)s->pick * s->pick * fit / 1000000);
    for (unsigned i = feed.nmessages; i-- > 0;)
        if (may_be_picked(&feed.messages[i], s->room, s->op) && skip-- == 0)
            return &feed.messages[i];
    return NULL;
}

static void cut(const struct step *s)
{
    if (!session.live || session.listed_ms == 0) /* what is not listed begins anew */
        return;
    session_is_cut();
    network.links[network.nlinks - 1].to_ms = feed.now_ms;
    feed_after(20 + s->extra_ms, (struct feed_task){.fn = on_link_up, .late_ms = s->pick / 4});
}

static void do_step(const struct step *s)
{
    static const char *const names[] = {"send",  "reply",  "reply shown", "edit",
                                        "react", "remove", "topic",       "date back",
                                        "join",  "cut",    "others ask"};
    struct feed_message *m = s->op == SEND || s->op >= TOPIC ? NULL : pick(s);

    if (m == NULL && s->op != SEND && s->op < TOPIC)
        return;
    if (s->op != CUT && s->op != OTHERS_ASK && (s->op != JOIN || !feed.rooms[s->room].member))
        feed_trace("r%u %s %s (read %u late %u again %u, read %u late %u again %u)", s->room,
                   names[s->op], m != NULL ? m->id : "", s->faults[0].read_ms, s->faults[0].late_ms,
                   s->faults[0].again_ms, s->faults[1].read_ms, s->faults[1].late_ms,
                   s->faults[1].again_ms);
    network.step = s;
    network.changes = 0;
    switch (s->op) {
    case SEND:
        feed_post(s->room, NULL, NULL, false, 0);
        break;
    case REPLY:
    case REPLY_SHOWN:
        feed_post(s->room, NULL, m, s->op == REPLY_SHOWN, 0);
        break;
    case EDIT:
        feed_edit(m);
        break;
    case REACT:
        feed_react(m);
        break;
    case REMOVE:
        feed_remove(m);
        break;
    case TOPIC:
        feed_change_topic(s->room);
        break;
    case DATE_BACK:
        feed_post(s->room, NULL, NULL, false, FEED_BACK_MS + 1 + BACK_MS / 1000 * s->pick);
        break;
    case JOIN:
        join(s);
        break;
    case CUT:
        cut(s);
        break;
    case OTHERS_ASK:
        others_ask(s->room, s->extra_ms);
        break;
    case OPS:
        break;
    }
    network.step = NULL;
}

/* ---- the judgement ---- */

enum {
    /* With a connection that has stood for so long all of a message has been heard: an event, late,
     * and a burst's end, and a query that failed. */
    SERVED_MS = 30 * 1000,
    SLOW_CLOCK_MS = 5 * 1000,
    LOOKED_AGAIN_MS = LOOK_AGAIN_MS + 3 * SLOW_MS,
};

struct verdict {
    const char *what; /* NULL: all is well */
    const struct feed_message *message;
};

/* Was there time to hear of m between its writing and until_ms? */
static bool was_served(const struct feed_message *m, int64_t until_ms)
{
    for (unsigned i = 0; i < network.nlinks; i++) {
        int64_t from = network.links[i].from_ms, to = network.links[i].to_ms;

        if (from < m->written_ms)
            from = m->written_ms;
        if (to > until_ms)
            to = until_ms;
        if (to - from > SERVED_MS)
            return true;
    }
    return false;
}

/* What came and what went leave a room with as many messages as before, and with an event that only
 * says that something changed, or with none:
 * - a new connection has no events for a while, until the room is looked at for the second time;
 * - both were read at once, and of the two events, which are alike, the connection's end took one.
 */
static bool hides(int64_t written, int64_t removed)
{
    const int64_t first = written < removed ? written : removed;
    const int64_t last = written < removed ? removed : written;

    for (unsigned i = 0; i < network.nlinks; i++) {
        const int64_t live = network.links[i].live_ms, hooked = network.links[i].from_ms;
        const int64_t end = network.links[i].to_ms;

        if (live <= first && first <= hooked && last <= hooked + LOOKED_AGAIN_MS)
            return true;
        if (last <= end && end <= first + READ_MS + LATE_MS)
            return true;
    }
    return false;
}

/* Of m's coming, or of its going. */
static bool was_hidden(const struct feed_message *m, bool going)
{
    for (unsigned i = 0; i < feed.nmessages; i++) {
        const struct feed_message *other = &feed.messages[i];

        if (other->room != m->room)
            continue;
        if (going ? hides(other->written_ms, m->removed_ms)
                  : other->removed_ms != 0 && hides(m->written_ms, other->removed_ms))
            return true;
    }
    return false;
}

static bool may_be_unheard(const struct feed_message *m)
{
    if (was_hidden(m, false))
        return true;
    /* No list, no answer and no event has a message that is gone. */
    if (!feed_is_there(m) && !was_served(m, m->gone_ms))
        return true;
    /* Dated back, it comes as a later version where nothing tells it from an old one that was told
     * long ago: only that nobody has touched it does, and on a room's own stream not even that
     * (when somebody is renamed, all that they ever wrote may come by it, rocketchat.md 3.2). */
    if (m->updated_ms - m->ts_ms <= FEED_BACK_MS || m->later == 0)
        return false;
    return network.history->opened[m->room] ||
           (m->touched_ms != 0 && !was_served(m, m->touched_ms));
}

static const char *judge_message(const struct feed_message *m)
{
    const struct feed_room *r = &feed.rooms[m->room];
    const bool demanded = m->written_ms > session.listed_ms &&
                          session.resync_ms[m->room] < m->written_ms && r->member &&
                          m >= &feed.messages[r->joined_at];

    if (m->first > 1)
        return "told twice";
    if (m->first > 0 && m->written_ms < FEED_BEGIN_MS &&
        m->written_ms < network.before_ms[m->room] - BEFORE_MS)
        return "told, though from before the first list";
    /* The room's own stream tells of deletions without their dates: forgotten ones may come again.
     */
    /* An event that shows an older one may show a new one, dated by a clock that is slow. */
    if (m->first > 0 && m < &feed.messages[r->joined_at] &&
        m->written_ms < r->joined_ms - SLOW_CLOCK_MS)
        return "told, though from before the user joined";
    if (m->deleted > 1 &&
        (!network.history->opened[m->room] || network.history->remembered >= FEED_MESSAGES))
        return "deletion told twice";
    if (!demanded)
        return NULL;
    if (m->first == 0 && !may_be_unheard(m))
        return "lost";
    /* Of a deletion as old as the mark nobody can say that it was not among those forgotten. */
    if (m->first > 0 && !feed_is_there(m) && !m->hidden && m->deleted == 0 &&
        network.history->remembered >= FEED_MESSAGES && !was_hidden(m, true))
        return "deletion lost";
    return NULL;
}

static struct verdict judge(void)
{
    for (unsigned i = 0; i < feed.nmessages; i++) {
        const char *what = judge_message(&feed.messages[i]);

        if (what != NULL)
            return (struct verdict){what, &feed.messages[i]};
    }
    for (unsigned i = 0; i < feed.nrooms; i++)
        if (feed.rooms[i].member &&
            room_memory_lacking_since(session.memory, slice_of(feed.rooms[i].rid)) != RC_NO_DATE)
            return (struct verdict){.what = "a room that is lacking is not asked for"};
    return (struct verdict){0};
}

/* ---- a run ---- */

static void on_step(const struct feed_task *t)
{
    const struct history *h = network.history;
    const unsigned next = (unsigned)t->number + 1;

    if (!h->steps[t->number].skipped && !feed_is_full())
        do_step(&h->steps[t->number]);
    if (next < h->nsteps)
        feed_after(h->steps[next].gap_ms, (struct feed_task){.fn = on_step, .number = next});
}

static void come_to_rest(void)
{
    for (;;) {
        struct feed_task *next = feed_next();
        const int64_t due = session_due_ms();

        if (due != 0 && (next == NULL || due < next->at_ms)) {
            if (due > feed.now_ms)
                feed.now_ms = due;
            session_do_due();
        } else if (next != NULL) {
            feed_do(next);
        } else {
            return;
        }
    }
}

/* What was there before the session came: for minutes, or since just now. */
static void write_before(const struct history *h)
{
    static const enum op ops[] = {SEND, SEND, REPLY, REMOVE, TOPIC, DATE_BACK};
    struct feed_chance c = {~h->seed};
    struct step steps[BEFORE];
    int64_t age = h->pause_ms;

    for (unsigned i = 0; i < h->before; i++) {
        draw_step(&c, h, &steps[i]);
        steps[i].op = ops[feed_below(&c, sizeof ops / sizeof ops[0])];
        age += steps[i].gap_ms;
    }
    feed.now_ms = FEED_BEGIN_MS - age;
    feed.ties = false; /* what shares the millisecond of the list's last message counts as news */
    for (unsigned i = 0; i < h->before; i++) {
        do_step(&steps[i]);
        feed.now_ms += steps[i].gap_ms;
    }
    for (unsigned i = 0; i < h->rooms; i++) {
        network.before_ms[i] = feed.rooms[i].updated_ms;
        feed.rooms[i].member = !h->joins[i];
    }
}

static struct verdict run(const struct history *h)
{
    struct verdict verdict;

    network = (struct network){.history = h};
    feed.shows_deleted = h->shows_deleted;
    feed.keeps_history = h->keeps_history;
    feed.stores_no_last = h->stores_no_last;
    feed_clock.ntasks = 0;
    feed_begin(h->rooms);
    session_begin((uint16_t)h->remembered, h->seed);
    session.slow_ms = h->slow_ms;
    session.slow_percent = h->slow_percent;
    session.failing_percent = h->failing_percent;
    write_before(h);
    feed.ties = h->ties;
    feed.now_ms = FEED_BEGIN_MS;
    link_up(0);
    feed_after(h->steps[0].gap_ms, (struct feed_task){.fn = on_step});
    come_to_rest();
    if (h->ends_plainly) {
        feed.now_ms += 10 * 1000;
        for (unsigned i = 0; i < h->rooms && !feed_is_full(); i++)
            feed_post(i, NULL, NULL, false, 0);
        come_to_rest();
    }
    feed_counts.messages += feed.nmessages;
    verdict = judge();
    session_end();
    return verdict;
}

/* ---- what fails ---- */

static bool still_fails(const struct history *h)
{
    return run(h).what != NULL;
}

/* Leaves out what it does not take: steps, then faults. */
static void cut_down(struct history *h)
{
    static struct history less;
    bool gone;

    do {
        gone = false;
        for (unsigned i = 0; i < h->nsteps; i++) {
            less = *h;
            less.steps[i].skipped = true;
            if (!h->steps[i].skipped && still_fails(&less)) {
                *h = less;
                gone = true;
            }
        }
        for (unsigned i = 0; i < h->nsteps * FAULTS * 3; i++) {
            unsigned *ms;

            less = *h;
            ms = &less.steps[i / 9].faults[i / 3 % 3].read_ms + i % 3;
            if (*ms == 0 || h->steps[i / 9].skipped)
                continue;
            *ms = 0;
            if (still_fails(&less)) {
                *h = less;
                gone = true;
            }
        }
    } while (gone);
}

static void report(struct history *h)
{
    struct verdict verdict;

    cut_down(h);
    feed_clock.traced = true;
    printf("seed %" PRIu64 ", cut down, %u remembered%s%s%s%s:\n", h->seed, h->remembered,
           h->ties ? ", ties" : "", h->shows_deleted ? ", deleted ones shown" : "",
           h->keeps_history ? ", history kept" : "", h->stores_no_last ? ", no last message" : "");
    verdict = run(h);
    feed_clock.traced = false;
    if (verdict.message != NULL)
        fail_msg("seed %" PRIu64 ": %s: %s of %" PRId64, h->seed, verdict.what, verdict.message->id,
                 verdict.message->written_ms - FEED_BEGIN_MS);
    fail_msg("seed %" PRIu64 ": %s", h->seed, verdict.what);
}

/* ---- the tests ---- */

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);

    return text != NULL ? strtoull(text, NULL, 10) : otherwise;
}

static void print_counts(const char *title)
{
    static const char *const names[WHYS] = {"event", "burst", "gap"};

    printf("%s: %" PRIu64 " messages, %" PRIu64 " events, %" PRIu64
           " resyncs; queries per 1,000 events (needless):",
           title, feed_counts.messages, feed_counts.events, feed_counts.resyncs);
    for (int i = 0; i < WHYS; i++)
        printf(" %s %.2f (%.2f)", names[i],
               1000.0 * (double)feed_counts.asked[i] / (double)feed_counts.events,
               1000.0 * (double)feed_counts.needless[i] / (double)feed_counts.events);
    putchar('\n');
}

/* Short histories first: what they find is easier to read. */
static void try_seeds(uint64_t seeds, enum peace peace)
{
    static struct history h;
    static const unsigned lengths[] = {5, 10, 20, STEPS};
    const uint64_t first = number_of("ROOM_FEED_FIRST", 1);

    memset(&feed_counts, 0, sizeof feed_counts);
    for (uint64_t i = 0; i < seeds; i++) {
        draw_history(&h, first + i, lengths[i * 4 / seeds], peace);
        if (run(&h).what != NULL)
            report(&h);
    }
}

static void test_nothing_is_lost_in_peace(void **state)
{
    (void)state;
    try_seeds(number_of("ROOM_FEED_SEEDS", 4000) / 4, NO_FAULTS);
    print_counts("no faults");
    /* What was written just before the first list may be counted once too often. */
    assert_true(feed_counts.needless[BY_EVENT] * 10000 <= feed_counts.events);
}

static void test_nothing_is_lost(void **state)
{
    (void)state;
    try_seeds(number_of("ROOM_FEED_SEEDS", 4000), ANY_FAULTS);
    print_counts("faults");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_lost_in_peace),
        cmocka_unit_test(test_nothing_is_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
