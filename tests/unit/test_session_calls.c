/* Hub calls of a user's tabs, carried out by the session: by DDP, by REST, now or a little later.
 */
#include "session_hub_calls.h"

/* An error of Rocket.Chat's with its words. */
static void ddp_fail_with(const char *method, const char *json, const char *code, uint64_t wait_ms)
{
    struct ddp_call *pending = ddp_pending(method);
    struct rc_error error;

    assert_non_null(pending);
    rc_error_set(&error, slice_of(code));
    error.retry_after_ms = wait_ms;
    pending->answered = true;
    pending->fn(pending->arg, slice_of(json), &error);
    settle();
}

static void test_a_call_and_its_answer(void **state)
{
    (void)state;
    go_live_now();
    call("EditMessage", "[\"r1\",\"m1\",\"new\"]");
    check_params("updateMessage", "[{\"_id\":\"m1\",\"rid\":\"r1\",\"msg\":\"new\"}]");
    assert_string_equal(w.answered, "");
    ddp_ok("updateMessage", "");
    check_answer("result ");
    call("OpenDirectMessage", "[\"bob\"]");
    ddp_ok("createDirectMessage", "{\"t\":\"d\",\"rid\":\"u1u2\"}");
    check_answer("result {\"t\":\"d\",\"rid\":\"u1u2\"}");
    call("History", "[\"r1\"]");
    check_params("loadHistory", "[\"r1\",null,50,null,true]");
    ddp_ok("loadHistory",
           "{\"unreadNotLoaded\":0,\"messages\":[{\"_id\":\"m2\"}, {\"_id\":\"m1\"}]}");
    check_answer("items [{\"_id\":\"m2\"}, {\"_id\":\"m1\"}]");
    call("History", "[\"r1\"]");
    ddp_ok("loadHistory", "false");
    check_answer("error error-not-allowed: no such room, or not readable");
    call("React", "[\"m1\",\"x\"]");
    ddp_ok("setReaction", "false"); /* muted */
    check_answer("error error-not-allowed: Rocket.Chat did not do it");
}

static void test_errors(void **state)
{
    (void)state;
    go_live_now();
    call("DeleteMessage", "[\"r1\",\"m1\"]");
    ddp_fail_with("deleteMessage",
                  "{\"error\":\"error-action-not-allowed\",\"reason\":\"Not allowed\"}",
                  "error-action-not-allowed", 0);
    check_answer("error error-action-not-allowed: Not allowed");
    call("DeleteMessage", "[\"r1\",\"m1\"]");
    ddp_fail_with("deleteMessage", "{}", "too-many-requests", 2500);
    check_answer("error too-many-requests: too many calls for Rocket.Chat (retry after 3 s)");
    call("DeleteMessage", "[\"r1\",\"m1\"]");
    ddp_fail("deleteMessage", "timed-out", 0);
    check_answer("error timed-out: Rocket.Chat answered with an error");
    call("DeleteMessage", "[\"r1\",\"m1\"]");
    lose_connection();
    check_answer("error unreachable: the connection to Rocket.Chat was lost before it answered");
}

static void test_no_session(void **state)
{
    (void)state;
    call_as("nobody", 2, 7, 5, "ListRooms", "[]");
    check_answer("error not-live: there is no session with Rocket.Chat");
}

static void test_waits_while_the_session_starts(void **state)
{
    (void)state;
    attach(0, 1);
    call("MarkRead", "[\"r1\"]");
    ok_login("u9", "tok1", "ana");
    connected("ddp1");
    call("MarkRead", "[\"r2\"]");
    ddp_ok("login", RESUMED);
    assert_string_equal(w.answered, "");
    all_ready();
    check_params("readMessages", "[\"r2\"]");
    ddp_ok("readMessages", "");
    check_params("readMessages", "[\"r1\"]");
    ddp_ok("readMessages", "");
    assert_string_equal(w.answered, "2/7/5 result \n2/7/5 result \n");
    w.answered[0] = '\0';
}

static void test_waits_no_longer_than_that(void **state)
{
    (void)state;
    w.hold_logins = true;
    attach(0, 1);
    call("MarkRead", "[\"r1\"]");
    advance(5000);
    call("MarkRead", "[\"r2\"]");
    advance(4800);
    assert_string_equal(w.answered, "");
    advance(400);
    check_answer("error not-live: the session with Rocket.Chat is logging-in, login-queue");
    advance(5000);
    check_answer("error not-live: the session with Rocket.Chat is logging-in, login-queue");
    for (int i = 0; i < 65; i++)
        call("MarkRead", "[\"r1\"]");
    check_answer("error overload: too many calls wait for the session");
}

static void test_refused_and_backing_off(void **state)
{
    (void)state;
    attach(0, 1);
    call("MarkRead", "[\"r1\"]");
    rest_fail(rest_pending(REST_LOGIN), RC_DEACTIVATED, "error-user-is-not-activated");
    settle();
    assert_non_null(strstr(w.answered, "2/7/5 error not-live: the session with Rocket.Chat is "
                                       "refused, error-user-is-not-activated (retry after 6"));
    w.answered[0] = '\0';
    call("MarkRead", "[\"r1\"]");
    assert_non_null(strstr(w.answered, "refused, error-user-is-not-activated (retry after 6"));
    w.answered[0] = '\0';
}

static void test_pace(void **state)
{
    (void)state;
    go_live_now();
    for (int i = 0; i < 10; i++) {
        call("MarkRead", "[\"r1\"]");
        ddp_ok("readMessages", "");
    }
    w.answered[0] = '\0';
    call("MarkRead", "[\"r1\"]");
    assert_null(ddp_pending("readMessages"));
    check_answer("error too-many-requests: too many calls of this method (retry after 11 s)");
    call("DeleteMessage", "[\"r1\",\"m1\"]"); /* another method has its own */
    ddp_ok("deleteMessage", "");
    w.answered[0] = '\0';
    advance(10400);
    call("MarkRead", "[\"r1\"]");
    ddp_ok("readMessages", "");
    check_answer("result ");
}

static void test_running_bound(void **state)
{
    static const char *const methods[] = {"EditMessage", "DeleteMessage", "React",  "MarkRead",
                                          "JoinRoom",    "LeaveRoom",     "History"};
    static const char *const args[] = {"[\"r\",\"m\",\"t\"]",
                                       "[\"r\",\"m\"]",
                                       "[\"m\",\"e\"]",
                                       "[\"r\"]",
                                       "[\"r\"]",
                                       "[\"r\"]",
                                       "[\"r\"]"};

    (void)state;
    go_live_now();
    for (int i = 0; i < 64; i++)
        call(methods[i / 10], args[i / 10]);
    assert_string_equal(w.answered, "");
    call("Typing", "[\"r\"]");
    check_answer("error overload: too many calls under way");
    lose_connection();
    w.answered[0] = '\0';
}

/* ---- sending ---- */

#define SENT "{\"_id\":\"abcdefgh012345678\",\"rid\":\"r1\",\"u\":{\"_id\":\"u9\"},\"msg\":\"hi\"}"

static void send_with_id(void)
{
    call("SendMessage", "[\"r1\",\"hi\",\"abcdefgh012345678\"]");
    check_params("sendMessage", "[{\"_id\":\"abcdefgh012345678\",\"rid\":\"r1\",\"msg\":\"hi\"}]");
}

static void test_send(void **state)
{
    char ids[2][18] = {"", ""};

    (void)state;
    go_live_now();
    send_with_id();
    ddp_ok("sendMessage", SENT);
    check_answer("result " SENT);
    for (int i = 0; i < 2; i++) { /* ids of ours */
        call("SendMessage", "[\"r1\",\"hi\"]");
        assert_memory_equal(ddp_pending("sendMessage")->params, "[{\"_id\":\"", 9);
        memcpy(ids[i], ddp_pending("sendMessage")->params + 9, 17);
        assert_int_equal(strspn(ids[i], "23456789ABCDEFGHJKLMNPQRSTWXYZabcdefghijkmnopqrstuvwxyz"),
                         17);
        ddp_ok("sendMessage", "{}");
        check_answer("result {}");
    }
    assert_string_not_equal(ids[0], ids[1]);
}

static void test_send_again(void **state)
{
    static const struct {
        const char *found, *answer;
    } rows[] = {
        {SENT, "result " SENT},
        {"null", "error error-message-not-sent: Rocket.Chat did not take the message"},
        {"", "error error-message-not-sent: Rocket.Chat did not take the message"},
        {"{\"_id\":\"abcdefgh012345678\",\"rid\":\"r1\",\"u\":{\"_id\":\"u8\"}}",
         "error error-id-in-use: another message has this id"},
        {"{\"_id\":\"abcdefgh012345678\",\"rid\":\"r2\",\"u\":{\"_id\":\"u9\"}}",
         "error error-id-in-use: another message has this id"},
        {"{\"_id\":\"abcdefgh012345678\",\"rid\":\"r1\"}",
         "error error-id-in-use: another message has this id"},
    };

    (void)state;
    go_live_now();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        send_with_id();
        ddp_ok("sendMessage", i == 0 ? "false" : "");
        check_params("getSingleMessage", "[\"abcdefgh012345678\"]");
        ddp_ok("getSingleMessage", rows[i].found);
        check_answer(rows[i].answer);
    }
    send_with_id();
    ddp_ok("sendMessage", "");
    ddp_fail("getSingleMessage", "error-not-allowed", 0);
    check_answer("error error-not-allowed: not allowed");
}

static void test_send_over_rest(void **state)
{
    (void)state;
    go_live_now();
    send_with_id();
    ddp_fail("sendMessage", "404", 0);
    assert_string_equal(rest_pending(REST_ANY)->path, "chat.sendMessage");
    assert_string_equal(
        rest_pending(REST_ANY)->body,
        "{\"message\":{\"_id\":\"abcdefgh012345678\",\"rid\":\"r1\",\"msg\":\"hi\"}}");
    assert_string_equal(rest_pending(REST_ANY)->user, "u9");
    assert_string_equal(rest_pending(REST_ANY)->token, "tok1");
    assert_string_equal(rest_pending(REST_ANY)->address, "10.0.0.7");
    rest_answer(rest_pending(REST_ANY), NULL, NULL, "{\"success\":true,\"message\":" SENT "}",
                NULL);
    check_answer("result " SENT);

    send_with_id();
    ddp_ok("sendMessage", "");
    ddp_fail("getSingleMessage", "404", 0);
    assert_string_equal(rest_pending(REST_ANY)->path, "chat.getMessage?msgId=abcdefgh012345678");
    rest_answer(rest_pending(REST_ANY), NULL, NULL, "{\"success\":true,\"message\":" SENT "}",
                NULL);
    check_answer("result " SENT);
    send_with_id();
    ddp_ok("sendMessage", "");
    ddp_fail("getSingleMessage", "404", 0);
    rest_fail(rest_pending(REST_ANY), RC_FAILED, NULL);
    check_answer("error error-message-not-sent: Rocket.Chat did not take the message");
}

/* ---- REST in place of a method that is gone ---- */

static void test_over_rest(void **state)
{
    struct rc_error error;

    (void)state;
    go_live_now();
    call("React", "[\"m1\",\"smile\",false]");
    ddp_fail("setReaction", "404", 0);
    assert_string_equal(rest_pending(REST_ANY)->path, "chat.react");
    assert_string_equal(rest_pending(REST_ANY)->body,
                        "{\"messageId\":\"m1\",\"emoji\":\"smile\",\"shouldReact\":false}");
    rest_answer(rest_pending(REST_ANY), NULL, NULL, "{\"success\":true}", NULL);
    check_answer("result ");
    call("React", "[\"m1\",\"smile\"]");
    ddp_fail("setReaction", "404", 0);
    rc_error_set(&error, SLICE_LIT("error-too-many-requests"));
    error.retry_after_ms = 30000;
    rest_answer(rest_pending(REST_ANY), NULL, NULL, "{\"success\":false,\"error\":\"Slow down\"}",
                &error);
    check_answer("error error-too-many-requests: Slow down (retry after 30 s)");
    call("Typing", "[\"r1\",true,null,\"ana\"]");
    ddp_fail("stream-notify-room", "404", 0);
    check_answer("error not-supported: this Rocket.Chat has no such method");
}

static void test_history_over_rest(void **state)
{
    static const struct {
        const char *info, *path; /* NULL: not supported */
    } rows[] = {
        {"{\"room\":{\"_id\":\"r.1\",\"t\":\"c\"}}", "channels.history"},
        {"{\"room\":{\"t\":\"p\"}}", "groups.history"},
        {"{\"room\":{\"t\":\"d\"}}", "im.history"},
        {"{\"room\":{\"t\":\"l\"}}", NULL},
        {"{\"room\":7}", NULL},
    };
    char path[200];

    (void)state;
    go_live_now();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        call("History", "[\"r.1\",1714557600123,10,false]");
        ddp_fail("loadHistory", "404", 0);
        assert_string_equal(rest_pending(REST_ANY)->path, "rooms.info?roomId=r%2E1");
        rest_answer(rest_pending(REST_ANY), NULL, NULL, rows[i].info, NULL);
        if (rows[i].path == NULL) {
            check_answer("error not-supported: no history of this type of room");
            continue;
        }
        snprintf(path, sizeof path,
                 "%s?roomId=r%%2E1&latest=2024-05-01T10%%3A00%%3A00.123Z&count=10&"
                 "showThreadMessages=false",
                 rows[i].path);
        assert_string_equal(rest_pending(REST_ANY)->path, path);
        rest_answer(rest_pending(REST_ANY), NULL, NULL,
                    "{\"messages\":[{\"_id\":\"m\"}],\"success\":true}", NULL);
        check_answer("items [{\"_id\":\"m\"}]");
    }
    call("History", "[\"r1\"]");
    ddp_fail("loadHistory", "404", 0);
    rest_answer(rest_pending(REST_ANY), NULL, NULL, rows[0].info, NULL);
    assert_string_equal(rest_pending(REST_ANY)->path,
                        "channels.history?roomId=r1&count=50&showThreadMessages=true");
    rest_fail(rest_pending(REST_ANY), RC_NOT_FOUND, "404"); /* nowhere else to ask */
    check_answer("error 404: Rocket.Chat has no such method");
}

/* A REST call holds the session; a shutdown cancels it. */
static void test_shutdown_while_rest_runs(void **state)
{
    (void)state;
    go_live_now();
    call("React", "[\"m1\",\"smile\"]");
    ddp_fail("setReaction", "404", 0);
    session_table_drain(w.table, 1000, set_true, &w.drained);
    settle();
    check_answer("error cancelled: the connection to Rocket.Chat was lost before it answered");
    call("MarkRead", "[\"r1\"]");
    check_answer("error not-live: there is no session with Rocket.Chat");
}

static void test_detached_meanwhile(void **state)
{
    (void)state;
    w.settings.session.linger_ms = 1000;
    go_live_now();
    call("React", "[\"m1\",\"smile\"]");
    ddp_fail("setReaction", "404", 0);
    detach(0, 1);
    advance(3000); /* the session would be over, but for the answer it waits for */
    assert_non_null(session());
    rest_answer(rest_pending(REST_ANY), NULL, NULL, "{\"success\":true}", NULL);
    check_answer("result ");
    advance(200);
    assert_null(session());
}

/* ---- rooms, and methods by name ---- */

#define SUBS "[{\"_id\":\"s1\",\"rid\":\"r1\",\"unread\":2,\"alert\":true}]"
#define ROOMS "[{\"_id\":\"r1\",\"name\":\"one\"}]"
#define LIST                                                                                       \
    "[{\"rid\":\"r1\",\"unread\":2,\"alert\":true,\"subscription\":{\"_id\":\"s1\",\"rid\":"       \
    "\"r1\","                                                                                      \
    "\"unread\":2,\"alert\":true},\"room\":{\"_id\":\"r1\",\"name\":\"one\"}}]"

static void test_list_rooms(void **state)
{
    (void)state;
    go_live_now();
    advance(1500); /* the session's own second look */
    ddp_ok("rooms/get", "[]");
    call("ListRooms", "[]");
    ddp_ok("subscriptions/get", SUBS);
    ddp_ok("rooms/get", ROOMS);
    check_answer("result " LIST);
    call("ListRooms", "[]");
    ddp_fail("subscriptions/get", "404", 0);
    assert_string_equal(rest_pending(REST_ANY)->path, "subscriptions.get");
    rest_answer(rest_pending(REST_ANY), NULL, NULL, "{\"update\":" SUBS ",\"success\":true}", NULL);
    assert_string_equal(rest_pending(REST_ANY)->path, "rooms.get");
    rest_answer(rest_pending(REST_ANY), NULL, NULL, "{\"update\":" ROOMS ",\"success\":true}",
                NULL);
    check_answer("result " LIST);
    call("ListRooms", "[]");
    ddp_ok("subscriptions/get", SUBS);
    ddp_fail("rooms/get", "404", 0);
    rest_answer(rest_pending(REST_ANY), NULL, NULL, "<html>", NULL);
    check_answer("error malformed: no list of rooms");
    call("ListRooms", "[]");
    ddp_ok("subscriptions/get", SUBS);
    ddp_fail("rooms/get", "500", 0);
    check_answer("error 500: Rocket.Chat answered with an error");
}

static void test_named(void **state)
{
    static char name[] = "x/y";
    static char *items[] = {name, NULL};

    (void)state;
    w.settings.methods.allowed_calls = (struct settings_list){items, 1};
    go_live_now();
    call("Call", "[\"x\\/y\",1,{\"a\":[]}]");
    check_params("x/y", "[1,{\"a\":[]}]");
    ddp_ok("x/y", "[1.0]");
    check_answer("result [1.0]");
    call("Call", "[\"x/y\"]");
    check_params("x/y", "[]");
    ddp_fail("x/y", "404", 0);
    check_answer("error 404: Rocket.Chat has no such method");
    w.settings.methods.allowed_calls.count = 0;
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start_world, stop_world)
    const struct CMUnitTest tests[] = {
        T(test_a_call_and_its_answer),
        T(test_errors),
        T(test_no_session),
        T(test_waits_while_the_session_starts),
        T(test_waits_no_longer_than_that),
        T(test_refused_and_backing_off),
        T(test_pace),
        T(test_running_bound),
        T(test_send),
        T(test_send_again),
        T(test_send_over_rest),
        T(test_over_rest),
        T(test_history_over_rest),
        T(test_shutdown_while_rest_runs),
        T(test_detached_meanwhile),
        T(test_list_rooms),
        T(test_named),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
