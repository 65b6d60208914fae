/* Typing: under which name, and what is asked to know it. */
#include "session_hub_calls.h"

#define SETTINGS(value)                                                                            \
    "{\"settings\":[{\"_id\":\"UI_Other\",\"value\":true},{\"value\":" value                       \
    ",\"modules\":[],\"_id\":\"UI_Use_Real_Name\"}],\"count\":2,\"success\":true}"

static void asked(const char *path)
{
    assert_non_null(rest_pending(REST_ANY));
    assert_string_equal(rest_pending(REST_ANY)->path, path);
    assert_string_equal(rest_pending(REST_ANY)->token, "tok1");
    assert_string_equal(rest_pending(REST_ANY)->body, "");
}

static void answer(const char *json)
{
    rest_answer(rest_pending(REST_ANY), NULL, NULL, json, NULL);
    settle();
}

static void answer_setting(const char *json)
{
    asked("settings.public?_id=UI_Use_Real_Name&count=0");
    answer(json);
}

/* name: JSON */
static void told_as(const char *name)
{
    char params[200];

    assert_null(rest_pending(REST_ANY));
    snprintf(params, sizeof params, "[\"r1/user-activity\",%s,[\"user-typing\"],{}]", name);
    check_params("stream-notify-room", params);
    ddp_ok("stream-notify-room", "");
    check_answer("result ");
}

static void type(void)
{
    call("Typing", "[\"r1\"]");
}

static void test_user_names_are_shown(void **state)
{
    (void)state;
    go_live_now();
    see_user("u9", "{\"username\":\"ana\",\"name\":\"Ana Ruiz\"}");
    type();
    answer_setting(SETTINGS("false"));
    told_as("\"ana\"");
    type();
    told_as("\"ana\"");
}

static void test_real_names_are_shown(void **state)
{
    (void)state;
    go_live_now();
    see_user("u9", "{\"username\":\"ana\",\"name\":\"Ana \\\"R\\\" Ruiz\",\"x\":{\"name\":\"y\"}}");
    see_user("u8", "{\"username\":\"bruno\",\"name\":\"Bruno\"}");
    type();
    answer_setting(SETTINGS("true"));
    told_as("\"Ana \\\"R\\\" Ruiz\"");
    link_now()->cb.on_document(link_now()->arg, SLICE_LIT("changed"), SLICE_LIT("users"),
                               SLICE_LIT("u9"), SLICE_LIT("{\"name\":\"Ana Diaz\"}"));
    type();
    told_as("\"Ana Diaz\"");
    call("Typing", "[\"r1\",true,null,\"Another\"]"); /* as the tab wants it */
    told_as("\"Another\"");
}

/* A users document without it (before 7), or none (streamers). */
static void test_own_name_by_me(void **state)
{
    (void)state;
    go_live_now();
    see_user("u9", "{\"username\":\"ana\"}");
    type();
    answer_setting(SETTINGS("true"));
    asked("me");
    answer("{\"_id\":\"u9\",\"username\":\"ana\",\"name\":\"Ana Ruiz\",\"success\":true}");
    told_as("\"Ana Ruiz\"");
    type();
    told_as("\"Ana Ruiz\"");
    lose_connection(); /* it may be another by then */
    advance(session()->retry_in_ms + 100);
    resumed("ddp2");
    type();
    asked("me");
    answer("{\"name\":\"Ana Diaz\"}");
    told_as("\"Ana Diaz\"");
}

static void test_own_name_unknown(void **state)
{
    static const char *const answers[] = {"{\"name\":null}", "{\"name\":[\"x\"]}", "[]",
                                          "{\"name\":\"x"};

    (void)state;
    go_live_now();
    type();
    answer_setting(SETTINGS("true"));
    asked("me");
    rest_fail(rest_pending(REST_ANY), RC_RATE_LIMITED, NULL);
    told_as("\"ana\""); /* the best there is */
    type();
    told_as("\"ana\"");
    advance(30 * 1000);
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        type();
        asked("me");
        answer(answers[i]);
        told_as("\"ana\"");
    }
}

static void test_no_answer_about_the_setting(void **state)
{
    static const char *const answers[] = {
        "[]", "{\"settings\":7}", "{\"success\":true}",
        "{\"settings\":[{\"_id\":\"UI_Use_Real_Name\",\"value\":true}"};

    (void)state;
    go_live_now();
    type();
    asked("settings.public?_id=UI_Use_Real_Name&count=0");
    rest_fail(rest_pending(REST_ANY), RC_RATE_LIMITED, NULL);
    told_as("\"ana\"");
    type();
    told_as("\"ana\"");
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        advance(30 * 1000);
        type();
        answer_setting(answers[i]);
        told_as("\"ana\"");
    }
}

/* A server that has no such setting shows user names. */
static void test_the_setting_is_read_again_after_a_while(void **state)
{
    (void)state;
    go_live_now();
    see_user("u9", "{\"name\":\"Ana Ruiz\"}");
    type();
    answer_setting("{\"settings\":[7,{\"_id\":3},{\"_id\":\"UI_Other\",\"value\":true}]}");
    told_as("\"ana\"");
    advance(599 * 1000);
    type();
    told_as("\"ana\"");
    advance(1000);
    type();
    asked("settings.public?_id=UI_Use_Real_Name&count=0");
    type(); /* others need not wait for it */
    ddp_ok("stream-notify-room", "");
    check_answer("result ");
    answer(SETTINGS("true"));
    told_as("\"Ana Ruiz\"");
    type();
    told_as("\"Ana Ruiz\"");
}

static void test_lost_while_the_setting_is_asked_for(void **state)
{
    (void)state;
    go_live_now();
    type();
    lose_connection();
    answer_setting(SETTINGS("true"));
    asked("me");
    answer("{}");
    assert_non_null(strstr(w.answered, "error not-live: "));
    w.answered[0] = '\0';
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start_world, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_user_names_are_shown),
        T(test_real_names_are_shown),
        T(test_own_name_by_me),
        T(test_own_name_unknown),
        T(test_no_answer_about_the_setting),
        T(test_the_setting_is_read_again_after_a_while),
        T(test_lost_while_the_setting_is_asked_for),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
