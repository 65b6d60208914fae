#include "bridge/provisioning/provision_json.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_info(void **state)
{
    struct provision_info info;

    (void)state;
    assert_true(provision_read_info(
        SLICE_LIT("{\"user\":{\"_id\":\"u9\",\"username\":\"ana\",\"name\":\"An \\u00e4\",\"x\":{},"
                  "\"emails\":[{\"verified\":true,\"address\":\"a@x\"},{\"address\":\"b@x\"}]},"
                  "\"success\":true}"),
        &info));
    assert_string_equal(info.id, "u9");
    assert_string_equal(info.username, "ana");
    assert_string_equal(info.name, "An \xc3\xa4");
    assert_string_equal(info.email, "a@x");
    assert_true(info.has_emails);
    assert_true(provision_read_info(SLICE_LIT("{\"user\":{\"_id\":\"u9\",\"name\":null}}"), &info));
    assert_false(info.has_emails);
    assert_string_equal(info.name, "");
}

static void test_info_that_is_none(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{}",
        "{\"user\":[]}",
        "{\"user\":{\"_id\":7}}",
        "{\"user\":{\"_id\":\"\"}}",
        "{\"user\":{\"_id\":\"a b\"}}",
        "{\"user\":{\"_id\":\"u\\u0000\"}}",
        "{\"user\":{\"_id\":\"u9\"}",
        "{\"user\":{\"_id\":\"u9\",\"emails\":[{\"address\":\"a\"}}}",
        ("{\"user\":{\"_id\":"
         "\"uuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuuu"
         "\"}}"),
    };
    struct provision_info info;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (provision_read_info(slice_of(bad[i]), &info))
            fail_msg("%s", bad[i]);
}

static void test_token(void **state)
{
    char id[PROVISION_ID_MAX], token[256];

    (void)state;
    assert_true(provision_read_token(
        SLICE_LIT("{\"data\":{\"userId\":\"u9\",\"authToken\":\"tok-_1\"},\"success\":true}"), id,
        token));
    assert_string_equal(id, "u9");
    assert_string_equal(token, "tok-_1");
    assert_false(provision_read_token(SLICE_LIT("{\"data\":{\"userId\":\"u9\"}}"), id, token));
    assert_false(provision_read_token(
        SLICE_LIT("{\"data\":{\"userId\":\"u9\",\"authToken\":\"a\\r\\nb\"}}"), id, token));
    assert_false(provision_read_token(SLICE_LIT("{\"data\":[]}"), id, token));
}

static void test_unknown(void **state)
{
    (void)state;
    assert_true(
        provision_is_unknown(SLICE_LIT("{\"success\":false,\"error\":\"User not found.\"}")));
    assert_false(provision_is_unknown(SLICE_LIT("{\"success\":false,\"error\":\"unauthorized\"}")));
    assert_false(provision_is_unknown(SLICE_LIT("<html>User not found.</html>")));
    assert_false(provision_is_unknown(SLICE_LIT("{\"error\":\"User not found.\"")));
}

static void check(struct byte_buf *out, const char *want)
{
    byte_buf_putc(out, '\0');
    assert_string_equal(out->data, want);
    byte_buf_free(out);
}

static void test_writing(void **state)
{
    const struct profile full = {
        .email = "a@x", .name = "An \"A\"", .nroles = 2, .roles = {"user", "r"}};
    const struct profile bare = {.email = "a@x", .name = ""};
    struct byte_buf out = {0};

    (void)state;
    provision_write_create(&out, SLICE_LIT("ana"), SLICE_LIT("p\"w"), &full, true, false);
    check(&out, "{\"username\":\"ana\",\"email\":\"a@x\",\"name\":\"An \\\"A\\\"\",\"password\":"
                "\"p\\\"w\",\"roles\":[\"user\",\"r\"],\"verified\":true,\"joinDefaultChannels\":"
                "false,\"requirePasswordChange\":false,\"sendWelcomeEmail\":false}");
    provision_write_create(&out, SLICE_LIT("ana"), SLICE_LIT("pw"), &bare, false, true);
    check(&out, "{\"username\":\"ana\",\"email\":\"a@x\",\"name\":\"ana\",\"password\":\"pw\","
                "\"verified\":false,\"joinDefaultChannels\":true,\"requirePasswordChange\":false,"
                "\"sendWelcomeEmail\":false}");
    provision_write_token(&out, SLICE_LIT("u9"), (struct slice){0});
    check(&out, "{\"userId\":\"u9\"}"); /* 7 and before */
    provision_write_token(&out, SLICE_LIT("u9"), SLICE_LIT("s"));
    check(&out, "{\"userId\":\"u9\",\"secret\":\"s\"}");
}

static void test_update(void **state)
{
    const struct provision_info is = {
        .id = "u9", .name = "Ana", .email = "a@x", .has_emails = true};
    const struct provision_info unseen = {.id = "u9", .name = "Ana"};
    const struct profile same = {.email = "a@x", .name = "Ana"};
    const struct profile silent = {.email = "", .name = ""};
    const struct profile renamed = {.email = "a@x", .name = "Ana B"};
    const struct profile moved = {.email = "b@x", .name = "Ana"};
    const struct profile both = {.email = "b@x", .name = "Ana B"};
    struct byte_buf out = {0};

    (void)state;
    assert_false(provision_write_update(&out, &is, &same, true));
    assert_false(provision_write_update(&out, &is, &silent, true));
    assert_false(provision_write_update(&out, &unseen, &moved, true)); /* who knows what it is */
    assert_int_equal(out.len, 0);
    assert_true(provision_write_update(&out, &is, &renamed, true));
    check(&out, "{\"userId\":\"u9\",\"data\":{\"name\":\"Ana B\"}}");
    assert_true(provision_write_update(&out, &is, &moved, false));
    check(&out, "{\"userId\":\"u9\",\"data\":{\"email\":\"b@x\",\"verified\":false}}");
    assert_true(provision_write_update(&out, &is, &both, true));
    check(&out,
          "{\"userId\":\"u9\",\"data\":{\"name\":\"Ana B\",\"email\":\"b@x\",\"verified\":true}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_info),    cmocka_unit_test(test_info_that_is_none),
        cmocka_unit_test(test_token),   cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_writing), cmocka_unit_test(test_update),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
