/* The map of further events: what its rows may be, and what each event becomes. */
#include "base/json_slice.h"
#include "bridge/session/further_events.h"
#include "rocketchat/ddp_connector.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_rows(void **state)
{
    static const struct {
        const char *item, *must; /* NULL: good */
        enum further_event which;
        const char *target;
        bool as_args;
    } rows[] = {
        {"typing", NULL, FURTHER_TYPING, "getUserActivityNotification", false},
        {"read=seen", NULL, FURTHER_READ, "seen", false},
        {"user-status=a.b/c:args", NULL, FURTHER_USER_STATUS, "a.b/c", true},
        {"notification:args", NULL, FURTHER_NOTIFICATION, "getDesktopNotification", true},
        {"user-data=x", NULL, FURTHER_USER_DATA, "x", false},
        {"room-changed", NULL, FURTHER_ROOM_CHANGED, "getRoomChangedNotification", false},
        {"Typing", "must be typing", 0, NULL, false},
        {"", "must be typing", 0, NULL, false},
        {"typing ", "must be typing", 0, NULL, false},
        {":args", "must be typing", 0, NULL, false},
        {"typing=", "must name a target", 0, NULL, false},
        {"typing=a b", "must name a target", 0, NULL, false},
        {"typing=a\"", "must name a target", 0, NULL, false},
        {"typing=a:arg", "must name a target", 0, NULL, false},
        {"typing=\xc3\xa9", "must name a target", 0, NULL, false},
    };
    static struct further_map all;
    char long_item[200];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct further_map map = {0};
        const char *must = further_map_add(&map, slice_of(rows[i].item));
        const struct further_row *row = &map.rows[rows[i].which];

        if (rows[i].must != NULL) {
            assert_non_null(must);
            assert_ptr_equal(strstr(must, rows[i].must), must);
            continue;
        }
        assert_null(must);
        assert_true(row->on);
        assert_string_equal(row->target, rows[i].target);
        assert_int_equal(row->as_args, rows[i].as_args);
        assert_null(further_map_add(&all, slice_of(rows[i].item)));
        assert_string_equal(further_map_add(&all, slice_of(rows[i].item)),
                            "must be there once only");
    }
    memset(long_item, 'x', sizeof long_item);
    memcpy(long_item, "read=", 5);
    for (size_t over = 0; over <= 1; over++) {
        struct further_map map = {0};

        assert_int_equal(
            further_map_add(&map, (struct slice){long_item, 5 + FURTHER_TARGET_MAX + over}) == NULL,
            over == 0);
    }
}

static void test_messages(void **state)
{
    static const struct {
        const char *collection, *name, *args;
        enum further_event which;
        const char *object, *as_args; /* the arguments */
    } rows[] = {
        {"stream-notify-room", "r1/user-activity", "[ \"an\\u00e4\" , [\"user-typing\"],{}]",
         FURTHER_TYPING, "{\"rid\":\"r1\",\"user\":\"an\\u00e4\",\"activities\":[\"user-typing\"]}",
         "\"r1\", \"an\\u00e4\" , [\"user-typing\"],{}"},
        {"stream-notify-room", "r1/user-activity", "[\"ana\"]", FURTHER_TYPING,
         "{\"rid\":\"r1\",\"user\":\"ana\",\"activities\":[]}", "\"r1\",\"ana\""},
        {"stream-notify-room", "r1/messagesRead", "[{\"until\":{\"$date\":1.0e0}}]", FURTHER_READ,
         "{\"rid\":\"r1\",\"until\":{\"$date\":1.0e0}}", "\"r1\",{\"until\":{\"$date\":1.0e0}}"},
        {"stream-notify-room", "r1/messagesRead", "[{ }]", FURTHER_READ, "{\"rid\":\"r1\" }",
         "\"r1\",{ }"},
        {"stream-notify-logged", "user-status", "[[\"u2\",\"bob\",1,\"\",\"Bob\",[]]]",
         FURTHER_USER_STATUS, "[\"u2\",\"bob\",1,\"\",\"Bob\",[]]",
         "[\"u2\",\"bob\",1,\"\",\"Bob\",[]]"},
        {"stream-notify-user", "u1/notification", "[{\"title\":\"T\"},5]", FURTHER_NOTIFICATION,
         "{\"title\":\"T\"}", "{\"title\":\"T\"},5"},
        {"stream-notify-user", "u1/userData", "[{\"type\":\"removed\"}]", FURTHER_USER_DATA,
         "{\"type\":\"removed\"}", "{\"type\":\"removed\"}"},
        {"stream-notify-user", "u1/rooms-changed", "[\"updated\",{\"_id\":\"r1\"}]",
         FURTHER_ROOM_CHANGED, "{\"msg\":{\"_id\":\"r1\"},\"method\":\"update\"}",
         "\"updated\",{\"_id\":\"r1\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        for (int as_args = 0; as_args <= 1; as_args++) {
            const struct ddp_event in = {.collection = slice_of(rows[i].collection),
                                         .event_name = slice_of(rows[i].name),
                                         .args = slice_of(rows[i].args)};
            const struct further_row row = {.on = true, .as_args = as_args, .target = "T"};
            enum further_event which;
            char want[512];
            struct rc_event e;
            struct hub_buf *b;
            size_t len;

            rc_event_parse(&in, &e);
            if (further_event_of(&e, &which))
                assert_int_equal(which, rows[i].which);
            else
                assert_int_equal(rows[i].which, FURTHER_ROOM_CHANGED);
            which = rows[i].which;
            b = further_event_message(&row, which, &e, false);
            snprintf(want, sizeof want, "{\"type\":1,\"target\":\"T\",\"arguments\":[%s]}\x1e",
                     as_args ? rows[i].as_args : rows[i].object);
            hub_buf_bytes(b, &len);
            assert_in_range(len, strlen(want), strlen(want) + 4);
            assert_memory_equal(hub_buf_bytes(b, &len) + len - strlen(want), want, strlen(want));
            assert_true(json_valid(want, strlen(want) - 1, 64));
            hub_buf_unref(b);
        }
}

/* What has not the form of its kind is no event. */
static void test_malformed(void **state)
{
    static const struct {
        const char *collection, *name, *args;
    } rows[] = {
        {"stream-notify-room", "r1/user-activity", "[]"},
        {"stream-notify-room", "r1/user-activity", "[1,[]]"},
        {"stream-notify-room", "r1/messagesRead", "[null]"},
        {"stream-notify-logged", "user-status", "[{}]"},
        {"stream-notify-logged", "u1/user-status", "[[]]"},
        {"stream-notify-all", "user-status", "[[]]"},
        {"stream-notify-user", "u1/notification", "[\"x\"]"},
        {"stream-notify-room", "r1/userData", "[{}]"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct ddp_event in = {.collection = slice_of(rows[i].collection),
                                     .event_name = slice_of(rows[i].name),
                                     .args = slice_of(rows[i].args)};
        struct rc_event e;

        rc_event_parse(&in, &e);
        assert_int_equal(e.kind, RC_EVENT_OTHER);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_malformed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
