/* tests/unit/room_feed_rooms.h - rooms as Rocket.Chat keeps them, small enough to be tried by the
 * million.
 *
 * Messages with their dates, the room's counter and its lastMessage, by the same rules as the
 * double (tests/rocketchat_double/store.mjs; rocketchat.md 3.4, 6.1, 6.4): a reply inside a thread,
 * or one dated back, counts but is not the last message; a deletion counts down and looks the last
 * one up anew, among people's; an edit of the last message changes the room, too. Each change is
 * handed to the including file, which plays the network: feed_room_changed, feed_message_changed,
 * feed_message_deleted. Times are milliseconds of one clock, the server's and ours. */
#ifndef TESTS_UNIT_ROOM_FEED_ROOMS_H
#define TESTS_UNIT_ROOM_FEED_ROOMS_H

#include "base/byte_buf.h"
#include "rocketchat/rc_event.h"
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    FEED_ROOMS = 3,
    FEED_MESSAGES = 160,
    FEED_DELETED = 48,
    FEED_BACK_MS = 60 * 1000, /* dated back further: not the last message */
};

struct feed_message {
    char id[12];
    unsigned room;
    const char *type;            /* NULL: a person's */
    struct feed_message *parent; /* of a reply */
    int64_t ts_ms, updated_ms;
    int64_t written_ms; /* whatever ts says */
    int64_t touched_ms; /* for the first time; 0: never */
    int64_t removed_ms; /* 0: never */
    int64_t gone_ms;    /* 0: there, if only as one of type "rm" */
    unsigned replies;
    bool tshow, edited, touched;
    bool hidden; /* gone, but in no list of deletions */

    unsigned first, later, deleted; /* how often it was told */
};

struct feed_room {
    char rid[12];
    int64_t msgs, updated_ms;
    struct feed_message *last;
    char sub[12];       /* the user's subscription */
    bool member;        /* the user is in it ... */
    int64_t joined_ms;  /* ... since then; RC_NO_DATE: from before */
    unsigned joined_at; /* messages there were by then */
};

static struct feed {
    struct feed_room rooms[FEED_ROOMS];
    struct feed_message messages[FEED_MESSAGES];
    unsigned nrooms, nmessages;
    int64_t now_ms, stamped_ms;
    /* Of the server: several changes may share a millisecond; deletions leave a message of type
     * "rm"; or leave it hidden. */
    bool ties, shows_deleted, keeps_history;
    bool stores_no_last; /* rooms show no last message */
} feed;

static void feed_room_changed(unsigned room);
static void feed_message_changed(const struct feed_message *m);
static void feed_message_deleted(const struct feed_message *m);

static int64_t feed_stamp(void)
{
    int64_t now = feed.now_ms;

    if (now <= feed.stamped_ms)
        now = feed.stamped_ms + !feed.ties;
    feed.stamped_ms = now;
    return now;
}

/* Slices hold as long as the feed. */
static struct rc_message feed_document(const struct feed_message *m)
{
    return (struct rc_message){
        .raw = SLICE_LIT("{}"),
        .id = slice_of(m->id),
        .rid = slice_of(feed.rooms[m->room].rid),
        .type = slice_of(m->type),
        .tmid = slice_of(m->parent == NULL ? NULL : m->parent->id),
        .updated_ms = m->updated_ms,
        .ts_ms = m->ts_ms,
        .edited = m->edited,
        .tshow = m->tshow,
        .touched = m->touched,
    };
}

static struct rc_room feed_shown(unsigned room)
{
    const struct feed_room *r = &feed.rooms[room];
    struct rc_room shown = {.id = slice_of(r->rid), .msgs = r->msgs, .updated_ms = r->updated_ms};

    if (r->last != NULL && !feed.stores_no_last)
        shown.last_message = feed_document(r->last);
    return shown;
}

static bool feed_is_there(const struct feed_message *m)
{
    return m->gone_ms == 0;
}

/* A reply that shows in its thread only. */
static bool feed_is_aside(const struct feed_message *m)
{
    return m->parent != NULL && !m->tshow;
}

static void feed_begin(unsigned rooms)
{
    feed.nrooms = rooms;
    feed.nmessages = 0;
    feed.stamped_ms = 0;
    for (unsigned i = 0; i < rooms; i++) {
        feed.rooms[i] = (struct feed_room){.member = true, .joined_ms = RC_NO_DATE};
        snprintf(feed.rooms[i].rid, sizeof feed.rooms[i].rid, "r%u", i);
        snprintf(feed.rooms[i].sub, sizeof feed.rooms[i].sub, "s%u", i);
    }
}

static void feed_update_room(unsigned room)
{
    feed.rooms[room].updated_ms = feed_stamp();
    feed_room_changed(room);
}

/* m has changed. */
static void feed_touch(struct feed_message *m)
{
    m->updated_ms = feed_stamp();
    if (m->touched_ms == 0)
        m->touched_ms = feed.now_ms;
    feed_message_changed(m);
}

static void feed_change(struct feed_message *m)
{
    feed_touch(m);
    if (feed.rooms[m->room].last == m && !feed.stores_no_last)
        feed_update_room(m->room);
}

static bool feed_is_full(void)
{
    return feed.nmessages == FEED_MESSAGES;
}

/* back_ms: how far it is dated back. */
static struct feed_message *feed_post(unsigned room, const char *type, struct feed_message *parent,
                                      bool tshow, int64_t back_ms)
{
    struct feed_message *m = &feed.messages[feed.nmessages];
    const int64_t stamp = feed_stamp();

    assert(!feed_is_full());
    *m = (struct feed_message){
        .room = room,
        .type = type,
        .parent = parent,
        .tshow = tshow,
        .ts_ms = stamp - back_ms,
        .updated_ms = stamp,
        .written_ms = feed.now_ms,
    };
    snprintf(m->id, sizeof m->id, "m%u", feed.nmessages++);
    feed_message_changed(m);
    if (parent != NULL && feed_is_there(parent)) {
        parent->replies++;
        parent->touched = true;
        feed_change(parent);
    }
    feed.rooms[room].msgs++;
    if (!feed_is_aside(m) && back_ms <= FEED_BACK_MS)
        feed.rooms[room].last = m;
    feed_update_room(room);
    return m;
}

static void feed_edit(struct feed_message *m)
{
    m->edited = true;
    feed_change(m);
}

static void feed_react(struct feed_message *m)
{
    m->touched = true;
    feed_change(m);
}

static void feed_change_topic(unsigned room)
{
    feed_update_room(room);
    feed_post(room, "room_changed_topic", NULL, false, 0);
}

/* The user joins; what says so is dated the same. */
static void feed_join(unsigned room)
{
    struct feed_room *r = &feed.rooms[room];

    r->member = true;
    r->joined_ms = feed_stamp();
    r->joined_at = feed.nmessages;
}

static void feed_say_joined(unsigned room)
{
    feed_post(room, "uj", NULL, false, feed.ties ? 0 : 1);
}

/* Messages.getLastVisibleUserMessageSentByRoomId */
static struct feed_message *feed_last_visible(unsigned room)
{
    struct feed_message *last = NULL;

    for (unsigned i = 0; i < feed.nmessages; i++) {
        struct feed_message *m = &feed.messages[i];

        if (m->room == room && feed_is_there(m) && m->type == NULL && !feed_is_aside(m) &&
            (last == NULL || last->ts_ms <= m->ts_ms))
            last = m;
    }
    return last;
}

static void feed_remove(struct feed_message *m)
{
    struct feed_room *r = &feed.rooms[m->room];

    m->removed_ms = feed.now_ms;
    if (feed.shows_deleted || m->replies > 0) {
        m->type = "rm";
        m->edited = m->touched = true;
        feed_touch(m);
    } else {
        m->gone_ms = feed_stamp();
        m->hidden = feed.keeps_history;
        feed_message_deleted(m);
    }
    r->msgs--;
    if (r->last == m || r->last == NULL)
        r->last = feed_last_visible(m->room);
    feed_update_room(m->room);
}

/* A line of subscriptions/get or rooms/get. */
static void feed_list_room(struct byte_buf *json, const struct feed_room *r, bool subscriptions)
{
    const struct feed_message *m = feed.stores_no_last ? NULL : r->last;

    if (json->len > 1)
        byte_buf_putc(json, ',');
    byte_buf_printf(json, "{\"_id\":\"%s\"", subscriptions ? r->sub : r->rid);
    if (subscriptions) {
        byte_buf_printf(json, ",\"rid\":\"%s\",\"ts\":{\"$date\":%" PRId64 "}}", r->rid,
                        r->joined_ms == RC_NO_DATE ? 1 : r->joined_ms);
        return;
    }
    byte_buf_printf(json, ",\"msgs\":%" PRId64 ",\"_updatedAt\":{\"$date\":%" PRId64 "}", r->msgs,
                    r->updated_ms);
    if (m != NULL)
        byte_buf_printf(json,
                        ",\"lastMessage\":{\"_id\":\"%s\",\"rid\":\"%s\",\"ts\":{\"$date\":%" PRId64
                        "},\"_updatedAt\":{\"$date\":%" PRId64 "}}",
                        m->id, r->rid, m->ts_ms, m->updated_ms);
    byte_buf_putc(json, '}');
}

/* The answer of subscriptions/get or rooms/get. */
static void feed_list(struct byte_buf *json, bool subscriptions)
{
    byte_buf_putc(json, '[');
    for (unsigned i = 0; i < feed.nrooms; i++)
        if (feed.rooms[i].member)
            feed_list_room(json, &feed.rooms[i], subscriptions);
    byte_buf_putc(json, ']');
    assert(!byte_buf_failed(json));
}

/* The answer of messages/get: what had changed, or gone, after since_ms; in the room's order. */
struct feed_answer {
    struct feed_answer *next;
    unsigned nmessages, ndeleted;
    struct rc_message deleted[FEED_DELETED]; /* with the date of that */
    struct rc_message messages[];
};

static int feed_in_order(const void *left, const void *right)
{
    const struct rc_message *a = left, *b = right;

    if (a->ts_ms != b->ts_ms)
        return a->ts_ms < b->ts_ms ? -1 : 1;
    return strcmp(a->id.ptr, b->id.ptr);
}

/* The caller frees it. */
static struct feed_answer *feed_ask(unsigned room, int64_t since_ms)
{
    struct feed_answer *a = malloc(sizeof *a + feed.nmessages * sizeof a->messages[0]);

    assert(a != NULL);
    a->nmessages = a->ndeleted = 0;
    for (unsigned i = 0; i < feed.nmessages; i++) {
        const struct feed_message *m = &feed.messages[i];

        if (m->room != room)
            continue;
        if (feed_is_there(m) && m->updated_ms > since_ms)
            a->messages[a->nmessages++] = feed_document(m);
        if (!feed_is_there(m) && !m->hidden && m->gone_ms > since_ms) {
            assert(a->ndeleted < FEED_DELETED);
            a->deleted[a->ndeleted] = feed_document(m);
            a->deleted[a->ndeleted++].updated_ms = m->gone_ms;
        }
    }
    qsort(a->messages, a->nmessages, sizeof a->messages[0], feed_in_order);
    return a;
}

#endif
