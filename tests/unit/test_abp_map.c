#include "bridge/abp/abp_map.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct {
    const char *row;
    bool good;
} rows[] = {
    {"GET Chat/GetRooms -> GET rooms.get user", true},
    {"  GET\tChat/GetRooms  ->  GET rooms.get  user  ", true},
    {"DELETE Chat/Delete -> POST rooms.delete admin", true},
    {"PATCH A/B/C -> POST rooms.upload/x admin role=A|B c", false},
    {"PATCH A/B/C -> POST rooms.upload/x admin role=A|B", true},
    {"", false},
    {"GET", false},
    {"HEAD A/B -> GET x user", false},
    {"get A/B -> GET x user", false},
    {"GET A -> GET x user", false},
    {"GET /A/B -> GET x user", false},
    {"GET A/B/ -> GET x user", false},
    {"GET A//B -> GET x user", false},
    {"GET A/B%2f -> GET x user", false},
    {"GET A/B GET x user", false},
    {"GET A/B -> PUT x user", false},
    {"GET A/B -> GET user", false},
    {"GET A/B -> GET ../admin user", false},
    {"GET A/B -> GET a/../b user", false},
    {"GET A/B -> GET a/./b user", false},
    {"GET A/B -> GET a?b=c user", false},
    {"GET A/B -> GET http://x user", false},
    {"GET A/B -> GET x", false},
    {"GET A/B -> GET x everybody", false},
    {"GET A/B -> GET x user role=", false},
    {"GET A/B -> GET x user role=|", false},
    {"GET A/B -> GET x user role=A|", false},
    {"GET A/B -> GET x user role=A||B", false},
    {"GET A/B -> GET x user roles=A", false},
    {"POST Im/Authenticate -> GET x user", false},
    {"POST A/B -> POST logout user", false},
    {"POST A/B -> POST Logout admin", false},
    {"POST A/B -> POST users.logout user", true},
    {"GET im/deleteuser -> GET x user", false},
};

static void test_rows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *text = strdup(rows[i].row);

        if ((abp_map_check(text) == NULL) != rows[i].good)
            fail_msg("%s", rows[i].row);
        free(text);
    }
}

static struct settings_list list_of(const char **items, size_t count)
{
    return (struct settings_list){(char **)(uintptr_t)items, count};
}

static void test_find(void **state)
{
    const char *items[] = {"GET Chat/GetRooms -> GET rooms.get user",
                           "POST Chat/GetRooms -> POST rooms.info admin role=A|Be"};
    struct settings_list list = list_of(items, 2);
    const char *error, *at;
    struct abp_map *m = abp_map_new(&list, &error, &at);
    const struct abp_row *row;
    char allow[48];

    (void)state;
    assert_non_null(m);
    row = abp_map_find(m, HTTP_GET_, SLICE_LIT("chat/GETROOMS"), allow);
    assert_non_null(row);
    assert_string_equal(row->path, "rooms.get");
    assert_false(row->post || row->as_admin);
    assert_null(row->roles);
    row = abp_map_find(m, HTTP_POST_, SLICE_LIT("Chat/GetRooms"), allow);
    assert_true(row->post && row->as_admin);
    assert_string_equal(row->roles[0], "A");
    assert_string_equal(row->roles[1], "Be");
    assert_null(row->roles[2]);
    assert_null(abp_map_find(m, HTTP_PUT_, SLICE_LIT("Chat/GetRooms"), allow));
    assert_string_equal(allow, "GET, POST");
    assert_null(abp_map_find(m, HTTP_GET_, SLICE_LIT("Chat/GetRoom"), allow));
    assert_string_equal(allow, "");
    abp_map_free(m);
}

static void test_a_route_stands_once(void **state)
{
    const char *items[] = {"GET Chat/Get -> GET rooms.get user",
                           "GET chat/get -> GET rooms.info user"};
    struct settings_list list = list_of(items, 2);
    const char *error, *at;

    (void)state;
    assert_null(abp_map_new(&list, &error, &at));
    assert_string_equal(error, "is there already");
    assert_ptr_equal(at, items[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_a_route_stands_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
