#include "bridge/session/room_list.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define SUB1 "{\"_id\":\"s1\",\"rid\":\"r1\",\"unread\":3,\"alert\":true,\"x\":1.10}"
#define SUB2 "{\"rid\":\"r22\",\"unread\":\"many\",\"alert\":null}"
#define ROOM1 "{\"_id\":\"r1\",\"name\":\"one\"}"
#define ONE                                                                                        \
    "{\"rid\":\"r1\",\"unread\":3,\"alert\":true,\"subscription\":" SUB1 ",\"room\":" ROOM1 "}"
#define TWO "{\"rid\":\"r22\",\"unread\":0,\"alert\":false,\"subscription\":" SUB2 ",\"room\":null}"

static void test_join(void **state)
{
    static const struct {
        const char *subscriptions, *rooms, *want; /* NULL: no list */
    } rows[] = {
        {"[]", "[]", "[]"},
        {"[" SUB2 "," SUB1 "]",
         "[{\"_id\":\"r7\"},{\"_id\":\"r5\"},{\"_id\":\"r222\"},{\"_id\":\"r2\"}," ROOM1 "]",
         "[" TWO "," ONE "]"},
        {"{\"update\":[" SUB1 "],\"remove\":[]}", "{\"success\":true,\"update\":[" ROOM1 "]}",
         "[" ONE "]"},
        {"[7,null,{},{\"rid\":\"\"}," SUB1 "]", "[7,{\"_id\":5}," ROOM1 "]", "[" ONE "]"},
        {"[" SUB1, "[]", NULL},
        {"[]", "[", NULL},
        {"{}", "[]", NULL},
        {"[]", "null", NULL},
        {"", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct byte_buf out = {0};

        assert_int_equal(
            room_list_join(slice_of(rows[i].subscriptions), slice_of(rows[i].rooms), &out),
            rows[i].want != NULL);
        if (rows[i].want != NULL)
            assert_true(slice_eq(byte_buf_slice(&out), slice_of(rows[i].want)));
        byte_buf_free(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_join)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
