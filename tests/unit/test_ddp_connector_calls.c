/* Calls and subscriptions: their answers, bounds and time-outs. */
#include "ddp_script.h"

static bool answer_login(struct wsd_conn *c)
{
    if (!greet(c))
        return false;
    want_text(
        c,
        "{\"msg\":\"method\",\"id\":\"1\",\"method\":\"login\",\"params\":[{\"resume\":\"t\"}]}");
    wsd_text(c, "{\"msg\":\"updated\",\"methods\":[\"1\"]}");
    wsd_text(c, "{\"msg\":\"added\",\"collection\":\"users\",\"id\":\"u9\",\"fields\":{"
                "\"username\":\"ana\"}}");
    return wsd_text(c, "{\"msg\":\"result\",\"id\":\"1\",\"result\":{\"id\":\"u9\"}}");
}

static void answers_login(struct wsd_conn *c)
{
    if (answer_login(c))
        wsd_drain(c);
}

static void answers_calls(struct wsd_conn *c)
{
    if (!answer_login(c))
        return;
    want_text(c, "{\"msg\":\"method\",\"id\":\"2\",\"method\":\"me\",\"params\":[]}");
    wsd_text(c, "{\"msg\":\"result\",\"id\":\"2\"}");
    wsd_text(c, "{\"msg\":\"result\",\"id\":\"2\",\"result\":\"again\"}");
    wsd_text(c, "{\"msg\":\"updated\",\"methods\":[\"2\"]}");
    want_text(c, "{\"msg\":\"method\",\"id\":\"3\",\"method\":\"x\",\"params\":[]}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"3\"}"); /* a method is no subscription */
    wsd_text(c, "{\"msg\":\"result\",\"id\":\"77\",\"result\":1}");
    wsd_text(c, "{\"msg\":\"result\",\"id\":3,\"result\":1}");
    wsd_text(c, "{\"msg\":\"result\",\"id\":\"3\",\"error\":{\"error\":\"too-many-requests\","
                "\"details\":{\"timeToReset\":1234}}}");
    wsd_drain(c);
}

static void test_calls(void **state)
{
    struct fixture f = start(answers_calls, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    assert_true(probe_call(&p, "login", "[{\"resume\":\"t\"}]", 5000));
    probe_until(&p.answers, 1);
    assert_int_equal(p.error.result, RC_OK);
    assert_string_equal(p.result, "{\"id\":\"u9\"}");
    assert_string_equal(p.last, "added|users|u9|{\"username\":\"ana\"}");
    assert_true(probe_call(&p, "me", "[]", 5000));
    probe_until(&p.answers, 2);
    assert_string_equal(p.result, "");
    assert_true(probe_call(&p, "x", "[]", 5000));
    probe_until(&p.answers, 3);
    assert_int_equal(p.error.result, RC_RATE_LIMITED);
    assert_int_equal(p.error.retry_after_ms, 1234);
    assert_string_equal(p.result,
                        "{\"error\":\"too-many-requests\",\"details\":{\"timeToReset\":1234}}");
    probe_close(&p);
    probe_until(&p.ends, 1);
    assert_int_equal(p.answers, 3);
    finish(&f);
}

/* The call answers whom it was made for; all else is the other's. */
static void test_passed_on(void **state)
{
    struct fixture f = start(answers_login, NULL);
    struct probe first = {0}, second = {0};

    (void)state;
    probe_open(&first, f.client);
    probe_until(&first.connects, 1);
    assert_true(probe_call(&first, "login", "[{\"resume\":\"t\"}]", 5000));
    ddp_connector_pass_on(first.c, &probe_callbacks, &second);
    second.c = first.c;
    probe_until(&first.answers, 1);
    assert_string_equal(first.result, "{\"id\":\"u9\"}");
    assert_int_equal(first.documents, 0);
    assert_int_equal(second.documents, 1);
    probe_close(&second);
    probe_until(&second.ends, 1);
    assert_int_equal(first.ends + second.answers, 0);
    finish(&f);
}

static void serves_subscriptions(struct wsd_conn *c)
{
    char sub[256];

    if (!greet(c))
        return;
    want_text(
        c,
        "{\"msg\":\"sub\",\"id\":\"1\",\"name\":\"stream-notify-user\",\"params\":[\"a\",false]}");
    for (int i = 2; i <= 6; i++)
        wsd_expect(c, sub, sizeof sub);
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"3\",7,\"1\",\"99\",\"1\"]}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"2\",\"error\":{\"error\":\"not-allowed\"}}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"4\"}");
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"5\"]}");
    want_text(c, "{\"msg\":\"unsub\",\"id\":\"6\"}"); /* it timed out */
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"6\"]}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"6\"}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"1\",\"error\":{\"error\":\"not-allowed\"}}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"1\"}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"5\"}");
    wsd_drain(c);
}

static void test_subscriptions(void **state)
{
    struct fixture f = start(serves_subscriptions, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    for (uint32_t id = 1; id <= 6; id++)
        assert_int_equal(probe_subscribe(&p, "[\"a\",false]", id == 6 ? 300 : 9000), id);
    probe_until(&p.answers, 2);
    assert_int_equal(p.error.result, RC_OK);
    probe_until(&p.answers, 5);
    probe_until(&p.answers, 6);
    assert_int_equal(p.error.result, RC_TIMED_OUT);
    probe_until(&p.subscription_ends, 2);
    assert_string_equal(p.subscription_log, "1|not-allowed 5|- ");
    probe_close(&p);
    probe_until(&p.ends, 1);
    assert_int_equal(p.subscription_ends, 2);
    assert_int_equal(p.answers, 6);
    finish(&f);
}

static void serves_one_that_ends(struct wsd_conn *c)
{
    char sub[256];

    if (!greet(c))
        return;
    for (int i = 1; i <= 2; i++)
        wsd_expect(c, sub, sizeof sub);
    wsd_text(c, "{\"msg\":\"ready\",\"subs\":[\"1\"]}");
    want_text(c, "{\"msg\":\"unsub\",\"id\":\"1\"}");
    wsd_text(c, "{\"msg\":\"nosub\",\"id\":\"1\"}");
    wsd_text(
        c,
        "{\"msg\":\"nosub\",\"id\":\"2\",\"error\":{\"error\":\"not-allowed\",\"reason\":\"No\"}}");
    wsd_drain(c);
}

/* One's own end is not told; a refusal comes with the server's words. */
static void test_unsubscribe(void **state)
{
    struct fixture f = start(serves_one_that_ends, NULL);
    struct probe p = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    assert_int_equal(probe_subscribe(&p, "[\"a\",false]", 9000), 1);
    assert_int_equal(probe_subscribe(&p, "[\"b\",false]", 9000), 2);
    ddp_connector_unsubscribe(p.c, 2); /* not ready: nothing */
    probe_until(&p.answers, 1);
    ddp_connector_unsubscribe(p.c, 1);
    ddp_connector_unsubscribe(p.c, 1);
    ddp_connector_unsubscribe(p.c, 99);
    probe_until(&p.answers, 2);
    assert_int_equal(p.error.result, RC_NOT_ALLOWED);
    assert_string_equal(p.result, "{\"error\":\"not-allowed\",\"reason\":\"No\"}");
    assert_int_equal(p.subscription_ends, 0);
    probe_close(&p);
    probe_until(&p.ends, 1);
    finish(&f);
}

static void test_bounds(void **state)
{
    struct fixture f = start(greets_and_reads, NULL);
    char *large = calloc(1, 300 * 1024);
    struct probe p = {0};
    unsigned sent = 0;

    (void)state;
    assert_non_null(large);
    memset(large, ' ', 300 * 1024 - 1);
    probe_open(&p, f.client);
    probe_until(&p.connects, 1);
    assert_false(probe_call(&p, "large", large, 1000)); /* past what may wait for the socket */
    while (probe_call(&p, "a", "[]", 60000))
        sent++;
    assert_int_equal(sent, 256);
    assert_int_equal(probe_subscribe(&p, "[]", 1000), 0);
    probe_close(&p);
    probe_until(&p.ends, 1);
    assert_int_equal(p.answers, 256);
    free(large);
    finish(&f);
}

/* Time-outs of calls come in any order and leave the others alone. */
static void test_call_time_outs(void **state)
{
    struct fixture f = start(greets_and_reads, NULL);
    struct probe p = {0}, other = {0};

    (void)state;
    probe_open(&p, f.client);
    probe_open(&other, f.client);
    probe_until(&p.connects, 1);
    probe_until(&other.connects, 1);
    assert_true(probe_call(&other, "a", "[]", 60000));
    assert_true(probe_call(&p, "a", "[]", 300));
    assert_true(probe_call(&p, "b", "[]", 100));
    assert_true(probe_call(&p, "c", "[]", 200));
    probe_until(&p.answers, 3);
    assert_int_equal(p.error.result, RC_TIMED_OUT);
    assert_int_equal(other.answers, 0);
    assert_true(probe_call(&p, "d", "[]", 100));
    probe_until(&p.answers, 4);
    probe_close(&p);
    probe_close(&other);
    probe_until(&p.ends, 1);
    probe_until(&other.ends, 1);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_calls),         cmocka_unit_test(test_passed_on),
        cmocka_unit_test(test_subscriptions), cmocka_unit_test(test_unsubscribe),
        cmocka_unit_test(test_bounds),        cmocka_unit_test(test_call_time_outs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
