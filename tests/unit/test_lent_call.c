/* One call with a lent token; the desk and Rocket.Chat are played by the test. */
#include "bridge/login/lent_call.h"
#include "bridge/login/token_desk.h"
#include "bridge/shard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct token_request {
    int unused;
};
struct rest_call {
    int unused;
};

static struct shard shard;
static struct rest_client *const client = (struct rest_client *)&shard; /* never looked into */

static struct {
    unsigned asked, called, cancelled;
    bool as_admin, no_token, no_call;
    char key[32], profile[32], refused[32];
    session_loan_fn loan;
    rest_any_fn rest;
    void *loan_arg, *rest_arg;
    char token[32], path[32], query[32], body[32], second_factor[32];
    bool post;
} w;

static struct {
    unsigned answers;
    long status;
    bool no_token;
    enum rc_result result;
    char body[32];
} got;

static void copy(char out[32], struct slice text)
{
    snprintf(out, 32, "%.*s", (int)text.len, text.len == 0 ? "" : text.ptr);
}

static struct token_request request;

static struct token_request *ask(bool as_admin, struct slice refused, session_loan_fn fn, void *arg)
{
    w.asked++;
    w.as_admin = as_admin;
    copy(w.refused, refused);
    w.loan = fn;
    w.loan_arg = arg;
    return w.no_token ? NULL : &request;
}

struct token_request *token_desk_ask(struct shard *s, const struct session_ask *question,
                                     session_loan_fn fn, void *arg)
{
    assert_ptr_equal(s, &shard);
    assert_int_equal(question->limit_ms, 1500);
    copy(w.key, question->who.key);
    copy(w.profile, question->who.profile);
    return ask(false, question->refused, fn, arg);
}

struct token_request *token_desk_ask_admin(struct shard *s, struct slice refused,
                                           session_loan_fn fn, void *arg)
{
    assert_ptr_equal(s, &shard);
    return ask(true, refused, fn, arg);
}

struct rest_call *rest_request(struct rest_client *c, const struct rest_request *r, rest_any_fn fn,
                               void *arg)
{
    static struct rest_call call;

    assert_ptr_equal(c, client);
    if (w.no_call)
        return NULL;
    w.called++;
    w.rest = fn;
    w.rest_arg = arg;
    w.post = r->post;
    copy(w.token, r->token);
    copy(w.path, r->path);
    copy(w.query, r->query);
    copy(w.body, r->body);
    copy(w.second_factor, r->second_factor);
    return &call;
}

void rest_call_cancel(struct rest_call *call)
{
    (void)call;
    w.cancelled++;
}

/* ---- the test's side ---- */

static void on_answer(void *arg, const struct lent_answer *answer, const struct rc_error *error)
{
    (void)arg;
    got.answers++;
    got.status = answer->status;
    got.no_token = answer->no_token;
    got.result = error == NULL ? RC_OK : error->result;
    copy(got.body, answer->body);
}

static int start(void **state)
{
    (void)state;
    memset(&w, 0, sizeof w);
    memset(&got, 0, sizeof got);
    return 0;
}

static struct lent_call *call_as_user(void)
{
    const struct session_who who = {
        .key = SLICE_LIT("42"), .username = SLICE_LIT("ana"), .profile = SLICE_LIT("mail")};
    const struct lent_call_request r = {.rest = client,
                                        .who = &who,
                                        .post = true,
                                        .path = SLICE_LIT("a.b"),
                                        .query = SLICE_LIT("q=1"),
                                        .body = SLICE_LIT("{}"),
                                        .second_factor = SLICE_LIT("2f"),
                                        .limit_ms = 1500};

    return lent_call_start(&shard, &r, on_answer, NULL);
}

static void lend(const char *token)
{
    const struct session_loan loan = {SLICE_LIT("u9"), slice_of(token), SLICE_LIT("ana")};

    w.loan(w.loan_arg, &loan, NULL);
}

static void answer(long status, const char *body, enum rc_result result)
{
    struct rc_error error;

    rc_error_of(&error, result);
    w.rest(w.rest_arg, status, slice_of(body), result == RC_OK ? NULL : &error);
}

static void test_a_call(void **state)
{
    (void)state;
    assert_non_null(call_as_user());
    assert_string_equal(w.key, "42");
    assert_string_equal(w.profile, "mail");
    lend("tok1");
    assert_string_equal(w.token, "tok1");
    assert_string_equal(w.path, "a.b");
    assert_string_equal(w.query, "q=1");
    assert_string_equal(w.body, "{}");
    assert_string_equal(w.second_factor, "2f");
    assert_true(w.post);
    answer(200, "{\"a\":1}", RC_OK);
    assert_int_equal(got.answers, 1);
    assert_int_equal(got.status, 200);
    assert_string_equal(got.body, "{\"a\":1}");
}

static void test_once_more_with_another_token(void **state)
{
    (void)state;
    assert_non_null(call_as_user());
    lend("tok1");
    answer(401, "", RC_UNAUTHORIZED);
    assert_int_equal(got.answers, 0);
    assert_string_equal(w.refused, "tok1");
    lend("tok2");
    assert_string_equal(w.token, "tok2");
    assert_string_equal(w.body, "{}");
    answer(401, "no", RC_UNAUTHORIZED); /* and not a third time */
    assert_int_equal(got.answers, 1);
    assert_int_equal(got.result, RC_UNAUTHORIZED);
    assert_string_equal(got.body, "no");
    assert_int_equal(w.asked, 2);
}

static void test_the_token_is_alive_after_all(void **state)
{
    (void)state;
    assert_non_null(call_as_user());
    lend("tok1");
    answer(401, "", RC_UNAUTHORIZED);
    lend("tok1");
    assert_int_equal(w.called, 1);
    assert_int_equal(got.status, 401);
    assert_int_equal(got.result, RC_UNAUTHORIZED);
    assert_false(got.no_token);
}

static void test_no_loan(void **state)
{
    const struct rc_error error = {.result = RC_REFUSED};

    (void)state;
    assert_non_null(call_as_user());
    w.loan(w.loan_arg, NULL, &error);
    assert_true(got.no_token);
    assert_int_equal(got.result, RC_REFUSED);
    w.no_token = true;
    assert_null(call_as_user());
    assert_int_equal(got.answers, 1);
}

static void test_as_the_administrator(void **state)
{
    const struct lent_call_request r = {.rest = client, .path = SLICE_LIT("users.info")};

    (void)state;
    assert_non_null(lent_call_start(&shard, &r, on_answer, NULL));
    assert_true(w.as_admin);
    lend("tokA");
    assert_false(w.post);
    w.no_token = true; /* nothing to be had for a second try */
    answer(401, "", RC_UNAUTHORIZED);
    assert_int_equal(got.result, RC_UNAUTHORIZED);
}

static void test_cancelled(void **state)
{
    struct lent_call *c = call_as_user();

    (void)state;
    lent_call_cancel(c); /* before the token came */
    lend("tok1");
    assert_int_equal(w.called, 0);
    assert_int_equal(got.result, RC_CANCELLED);
    c = call_as_user();
    lend("tok1");
    lent_call_cancel(c);
    lent_call_cancel(c);
    assert_int_equal(w.cancelled, 1);
    answer(401, "", RC_UNAUTHORIZED); /* crossed: not tried again */
    assert_int_equal(got.answers, 2);
}

static void test_no_memory_for_the_call(void **state)
{
    (void)state;
    assert_non_null(call_as_user());
    w.no_call = true;
    lend("tok1");
    assert_int_equal(got.result, RC_NOMEM);
    assert_false(got.no_token);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup(f, start)
    const struct CMUnitTest tests[] = {
        T(test_a_call),
        T(test_once_more_with_another_token),
        T(test_the_token_is_alive_after_all),
        T(test_no_loan),
        T(test_as_the_administrator),
        T(test_cancelled),
        T(test_no_memory_for_the_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
