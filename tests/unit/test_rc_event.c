#include "base/json_slice.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/rc_event.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOTIFY "stream-notify-user"
#define MESSAGES "stream-room-messages"

#define PLAIN                                                                                      \
    "{\"_id\":\"Zq3kTm8vWc2Rr5pLd\",\"rid\":\"GENERAL\",\"msg\":\"h\xc3\xa9llo @bruno "            \
    "\xf0\x9f\x9a\x80\","                                                                          \
    "\"ts\":{\"$date\":1714557600123},\"u\":{\"_id\":\"uAna000000000001x\",\"username\":\"ana\"}," \
    "\"_updatedAt\":{\"$date\":1714557600140},\"urls\":[],\"md\":[{\"type\":\"PARAGRAPH\","        \
    "\"value\":"                                                                                   \
    "[{\"type\":\"PLAIN_TEXT\",\"value\":\"h\"}]}]}"
#define JOINED                                                                                     \
    "{\"_id\":\"p8Yc2mWk4sTn6vQxA\",\"t\":\"uj\",\"rid\":\"GENERAL\",\"msg\":\"bruno\",\"ts\":"    \
    "\"2024-05-01T10:00:01.000Z\",\"groupable\":false,\"_updatedAt\":\"2024-05-01T10:00:01."       \
    "003Z\"}"
#define EDITED                                                                                     \
    "{\"editedAt\":{\"$date\":1714557900000},\"editedBy\":{\"_id\":\"u1\"},\"_id\":\"m1\","        \
    "\"rid\":\"r1\","                                                                              \
    "\"tmid\":\"m0\",\"_updatedAt\":{\"$date\":5},\"ts\":{\"$date\":4}}"
#define SUBSCRIPTION                                                                               \
    "{\"_id\":\"sub1\",\"rid\":\"r1\",\"t\":\"p\",\"name\":\"ops\",\"u\":{\"_id\":\"u1\",\"rid\":" \
    "\"no\"},"                                                                                     \
    "\"unread\":2, \"x\":1e2}"
#define ROOM(last)                                                                                 \
    "{\"_id\":\"r1\",\"t\":\"p\",\"msgs\":42,\"u\":{\"_id\":\"u1\"},\"lastMessage\":" last         \
    ",\"_updatedAt\":{\"$date\":9}}"

/* NULL: not there. What a kind has not is not looked at. */
static const struct event_case {
    const char *name, *collection, *event_name, *args;
    enum rc_event_kind kind;
    const char *user_id, *raw_action;
    enum rc_action action;
    bool stranger;
    const char *raw, *id, *rid, *type, *tmid;
    int64_t updated_ms, ts_ms;
    bool edited;
    int64_t msgs;
    const char *room_id, *room_type;
} cases[] = {
    {"ephemeral",
     NOTIFY,
     "u9/message",
     "[" PLAIN "]",
     RC_EVENT_EPHEMERAL,
     "u9",
     NULL,
     0,
     false,
     PLAIN,
     "Zq3kTm8vWc2Rr5pLd",
     "GENERAL",
     NULL,
     NULL,
     1714557600140,
     1714557600123,
     false,
     0,
     NULL,
     NULL},
    {"ephemeral with a number for an id", NOTIFY, "u9/message",
     "[{\"_id\":1714557600555,\"msg\":\"x\"}]", RC_EVENT_EPHEMERAL, "u9",
     .raw = "{\"_id\":1714557600555,\"msg\":\"x\"}", .updated_ms = RC_NO_DATE, .ts_ms = RC_NO_DATE},
    {"ephemeral that is no object", NOTIFY, "u9/message", "[\"x\"]", .kind = RC_EVENT_OTHER},
    {"system message, ISO dates",
     MESSAGES,
     "GENERAL",
     "[" JOINED "]",
     RC_EVENT_ROOM_MESSAGE,
     NULL,
     NULL,
     0,
     false,
     JOINED,
     "p8Yc2mWk4sTn6vQxA",
     "GENERAL",
     "uj",
     NULL,
     1714557601003,
     1714557601000,
     false,
     0,
     NULL,
     NULL},
    {"edited thread reply",
     MESSAGES,
     "r1",
     " [ " EDITED " ] ",
     RC_EVENT_ROOM_MESSAGE,
     NULL,
     NULL,
     0,
     false,
     EDITED,
     "m1",
     "r1",
     NULL,
     "m0",
     5,
     4,
     true,
     0,
     NULL,
     NULL},
    {"my messages, participant",
     MESSAGES,
     "__my_messages__",
     "[{\"_id\":\"m\"},{\"roomParticipant\":true,\"roomType\":\"c\"}]",
     RC_EVENT_ROOM_MESSAGE,
     NULL,
     NULL,
     0,
     false,
     "{\"_id\":\"m\"}",
     "m",
     NULL,
     NULL,
     NULL,
     RC_NO_DATE,
     RC_NO_DATE,
     false,
     0,
     NULL,
     NULL},
    {"my messages, stranger",
     MESSAGES,
     "__my_messages__",
     "[{\"_id\":\"m\"},{\"roomType\":\"c\",\"roomParticipant\":false}]",
     RC_EVENT_ROOM_MESSAGE,
     NULL,
     NULL,
     0,
     true,
     "{\"_id\":\"m\"}",
     "m",
     NULL,
     NULL,
     NULL,
     RC_NO_DATE,
     RC_NO_DATE,
     false,
     0,
     NULL,
     NULL},
    {"second argument is no object",
     MESSAGES,
     "__my_messages__",
     "[{\"_id\":\"m\"},null,1]",
     RC_EVENT_ROOM_MESSAGE,
     NULL,
     NULL,
     0,
     false,
     "{\"_id\":\"m\"}",
     "m",
     NULL,
     NULL,
     NULL,
     RC_NO_DATE,
     RC_NO_DATE,
     false,
     0,
     NULL,
     NULL},
    {"message without id", MESSAGES, "r1", "[{\"rid\":\"r1\"}]", .kind = RC_EVENT_OTHER},
    {"no message", MESSAGES, "r1", "[]", .kind = RC_EVENT_OTHER},
    {"message is null", MESSAGES, "r1", "[null]", .kind = RC_EVENT_OTHER},

    {"subscription",
     NOTIFY,
     "u9/subscriptions-changed",
     "[\"updated\"," SUBSCRIPTION "]",
     RC_EVENT_SUBSCRIPTION,
     "u9",
     "updated",
     RC_UPDATED,
     false,
     SUBSCRIPTION,
     "sub1",
     "r1",
     "p",
     NULL,
     0,
     0,
     false,
     0,
     NULL,
     NULL},
    {"old action",
     NOTIFY,
     "u9/subscriptions-changed",
     "[\"insert\"," SUBSCRIPTION "]",
     RC_EVENT_SUBSCRIPTION,
     "u9",
     "insert",
     RC_INSERTED,
     false,
     SUBSCRIPTION,
     "sub1",
     "r1",
     "p",
     NULL,
     0,
     0,
     false,
     0,
     NULL,
     NULL},
    {"removed, without rid",
     NOTIFY,
     "u9/subscriptions-changed",
     "[\"removed\",{\"u\":{\"_id\":\"u9\"}}]",
     RC_EVENT_SUBSCRIPTION,
     "u9",
     "removed",
     RC_REMOVED,
     false,
     "{\"u\":{\"_id\":\"u9\"}}",
     NULL,
     NULL,
     NULL,
     NULL,
     0,
     0,
     false,
     0,
     NULL,
     NULL},
    {"escapes everywhere",
     NOTIFY,
     "u9\\/subscriptions\\u002dchanged",
     "[\"\\u0072emove\",{\"\\u005fid\":\"s\",\"ri\\u0064\":\"r\"}]",
     RC_EVENT_SUBSCRIPTION,
     "u9",
     "\\u0072emove",
     RC_REMOVED,
     false,
     "{\"\\u005fid\":\"s\",\"ri\\u0064\":\"r\"}",
     "s",
     "r",
     NULL,
     NULL,
     0,
     0,
     false,
     0,
     NULL,
     NULL},
    {"unknown action", NOTIFY, "u9/subscriptions-changed", "[\"moved\",{}]",
     .kind = RC_EVENT_OTHER},
    {"action is no string", NOTIFY, "u9/subscriptions-changed", "[1,{}]", .kind = RC_EVENT_OTHER},
    {"no document", NOTIFY, "u9/subscriptions-changed", "[\"removed\"]", .kind = RC_EVENT_OTHER},

    {"room",
     NOTIFY,
     "u9/rooms-changed",
     "[\"updated\"," ROOM(PLAIN) "]",
     RC_EVENT_ROOM,
     "u9",
     "updated",
     RC_UPDATED,
     false,
     PLAIN,
     "Zq3kTm8vWc2Rr5pLd",
     "GENERAL",
     NULL,
     NULL,
     1714557600140,
     1714557600123,
     false,
     42,
     "r1",
     "p"},
    {"room, message null",
     NOTIFY,
     "u9/rooms-changed",
     "[\"inserted\"," ROOM("null") "]",
     RC_EVENT_ROOM,
     "u9",
     "inserted",
     RC_INSERTED,
     false,
     NULL,
     NULL,
     NULL,
     NULL,
     NULL,
     RC_NO_DATE,
     RC_NO_DATE,
     false,
     42,
     "r1",
     "p"},
    {"room removed",
     NOTIFY,
     "u9/rooms-changed",
     "[\"removed\",{\"_id\":\"r1\"}]",
     RC_EVENT_ROOM,
     "u9",
     "removed",
     RC_REMOVED,
     false,
     NULL,
     NULL,
     NULL,
     NULL,
     NULL,
     0,
     0,
     false,
     RC_NO_COUNT,
     "r1",
     NULL},
    {"room, odd counter",
     NOTIFY,
     "u9/rooms-changed",
     "[\"updated\",{\"msgs\":-1,\"_id\":\"r1\"}]",
     RC_EVENT_ROOM,
     "u9",
     "updated",
     RC_UPDATED,
     false,
     NULL,
     NULL,
     NULL,
     NULL,
     NULL,
     0,
     0,
     false,
     RC_NO_COUNT,
     "r1",
     NULL},
    {"room, counter past all bounds",
     NOTIFY,
     "u9/rooms-changed",
     "[\"updated\",{\"msgs\":123456789012345678901234567890,\"_id\":\"r1\"}]",
     RC_EVENT_ROOM,
     "u9",
     "updated",
     RC_UPDATED,
     false,
     NULL,
     NULL,
     NULL,
     NULL,
     NULL,
     0,
     0,
     false,
     RC_NO_COUNT,
     "r1",
     NULL},
    {"room without id", NOTIFY, "u9/rooms-changed", "[\"updated\",{\"msgs\":1}]",
     .kind = RC_EVENT_OTHER},

    {"another event", NOTIFY, "u9/uiInteraction", "[{}]", .kind = RC_EVENT_OTHER},
    {"no slash", NOTIFY, "rooms-changed", "[\"removed\",{\"_id\":\"r1\"}]", .kind = RC_EVENT_OTHER},
    {"empty name", NOTIFY, "", "[]", .kind = RC_EVENT_OTHER},
    {"a backslash before the slash",
     NOTIFY,
     "u9\\\\/message",
     "[{\"_id\":\"m\"}]",
     RC_EVENT_EPHEMERAL,
     "u9\\\\",
     NULL,
     0,
     false,
     "{\"_id\":\"m\"}",
     "m",
     NULL,
     NULL,
     NULL,
     RC_NO_DATE,
     RC_NO_DATE,
     false,
     0,
     NULL,
     NULL},
    {"another stream", "stream-notify-room", "r1/user-activity", "[{\"_id\":\"m\"}]",
     .kind = RC_EVENT_OTHER},
};

static void check(const char *name, const char *what, struct slice got, const char *want)
{
    if (want == NULL ? got.ptr == NULL : got.ptr != NULL && slice_eq(got, slice_of(want)))
        return;
    fail_msg("%s, %s: got <%.*s>, want <%s>", name, what, (int)got.len,
             got.ptr == NULL ? "nothing" : got.ptr, want == NULL ? "nothing" : want);
}

static void check_message(const struct event_case *c, const struct rc_message *m)
{
    check(c->name, "raw", m->raw, c->raw);
    if (c->raw == NULL)
        return;
    check(c->name, "id", m->id, c->id);
    check(c->name, "rid", m->rid, c->rid);
    check(c->name, "type", m->type, c->type);
    check(c->name, "tmid", m->tmid, c->tmid);
    assert_true(m->updated_ms == c->updated_ms && m->ts_ms == c->ts_ms && m->edited == c->edited);
}

static void check_event(const struct event_case *c, const struct rc_event *e)
{
    if (e->kind != c->kind)
        fail_msg("%s: kind %d", c->name, e->kind);
    if (c->kind == RC_EVENT_OTHER)
        return;
    check(c->name, "user id", e->user_id, c->user_id);
    check(c->name, "action", e->raw_action, c->raw_action);
    assert_int_equal(e->action, c->action);
    assert_int_equal(e->participant, !c->stranger);
    switch (c->kind) {
    case RC_EVENT_SUBSCRIPTION:
        check(c->name, "raw", e->subscription.raw, c->raw);
        check(c->name, "id", e->subscription.id, c->id);
        check(c->name, "rid", e->subscription.rid, c->rid);
        check(c->name, "type", e->subscription.type, c->type);
        break;
    case RC_EVENT_ROOM:
        check(c->name, "room", e->room.id, c->room_id);
        check(c->name, "room type", e->room.type, c->room_type);
        assert_true(e->room.msgs == c->msgs);
        check_message(c, &e->room.last_message);
        break;
    default:
        check_message(c, &e->message);
    }
}

static struct rc_event parse(const struct event_case *c, struct slice args)
{
    struct ddp_event in = {
        .collection = slice_of(c->collection), .event_name = slice_of(c->event_name), .args = args};
    struct rc_event out;

    rc_event_parse(&in, &out);
    return out;
}

static void test_cases(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct rc_event e = parse(&cases[i], slice_of(cases[i].args));

        check_event(&cases[i], &e);
    }
}

static void test_deletions(void **state)
{
    static const struct {
        const char *event, *args;
        enum rc_event_kind kind;
        const char *id, *ids;
    } rows[] = {
        {"r1/deleteMessage", "[{\"_id\":\"m1\"}]", RC_EVENT_DELETED, "m1", NULL},
        {"r1/deleteMessage", "[{}]", RC_EVENT_OTHER, NULL, NULL},
        {"r1/deleteMessage", "[]", RC_EVENT_OTHER, NULL, NULL},
        {"r1/deleteMessageBulk",
         "[{\"rid\":\"r1\",\"ts\":{\"$gt\":{\"$date\":1}},\"users\":[],\"ids\":[\"a\", \"b\"]}]",
         RC_EVENT_DELETED_MANY, NULL, "[\"a\", \"b\"]"},
        {"r1\\/deleteMessageBulk", "[{\"rid\":\"r1\",\"ids\":null}]", RC_EVENT_DELETED_MANY, NULL,
         NULL},
        {"r1/deleteMessageBulk", "[\"r1\"]", RC_EVENT_OTHER, NULL, NULL},
        {"deleteMessage", "[{\"_id\":\"m1\"}]", RC_EVENT_OTHER, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct event_case c = {
            .name = rows[i].event, .collection = "stream-notify-room", .event_name = rows[i].event};
        const struct rc_event e = parse(&c, slice_of(rows[i].args));

        assert_int_equal(e.kind, rows[i].kind);
        if (e.kind == RC_EVENT_OTHER)
            continue;
        check(c.name, "room", e.room_id, "r1");
        check(c.name, "user", e.user_id, NULL);
        if (e.kind == RC_EVENT_DELETED)
            check(c.name, "id", e.message.id, rows[i].id);
        else
            check(c.name, "ids", e.ids, rows[i].ids);
    }
}

/* The codec hands over whole JSON only; on anything less, reading still stays inside. */
static void test_every_cut(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t len = strlen(cases[i].args);

        for (size_t cut = 0; cut < len; cut++) {
            char *part = malloc(cut + 1);

            assert_non_null(part);
            memcpy(part, cases[i].args, cut);
            parse(&cases[i], (struct slice){part, cut});
            free(part);
        }
    }
}

/* The lists that rooms/get and subscriptions/get answer are read with the same functions. */
static void test_lists(void **state)
{
    static const char rooms[] = "[" ROOM(PLAIN) ",7,{\"_id\":\"r2\",\"msgs\":0}]";
    struct json_reader r;
    struct rc_room room;

    (void)state;
    json_reader_init(&r, rooms, sizeof rooms - 1, JSON_MAX_DEPTH);
    assert_true(json_enter_array(&r));
    assert_true(json_next_item(&r));
    rc_room_read(&r, &room);
    assert_true(slice_eq(room.id, SLICE_LIT("r1")) && room.msgs == 42);
    assert_true(json_next_item(&r));
    rc_room_read(&r, &room);
    assert_null(room.id.ptr);
    assert_true(json_next_item(&r));
    rc_room_read(&r, &room);
    assert_true(slice_eq(room.id, SLICE_LIT("r2")) && room.msgs == 0);
    assert_null(room.last_message.raw.ptr);
    assert_false(json_next_item(&r));
    assert_true(json_end(&r));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cases), cmocka_unit_test(test_deletions),
        cmocka_unit_test(test_every_cut), cmocka_unit_test(test_lists)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
