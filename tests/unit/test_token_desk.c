/* A token borrowed from another shard, over real mailboxes; both on one loop. The session table and
 * the admin agent are faked. */
#include "loop_shards.h"

#include "bridge/login/token_desk.h"
#include <stdio.h>
#include <string.h>

enum { ADMIN_HOME = 0, HERE = 1, HOME = 2, NSHARDS = 3 };

static struct program program;
static struct settings settings;
static struct shard shards[NSHARDS];
static uv_loop_t loop;
static char sessions, handed; /* two tables to tell apart */

static struct {
    session_loan_fn fn; /* asked, and not answered yet */
    void *arg;
    unsigned asked, admin_asked, ended, limit_ms;
    struct session_table *which;
    bool check;
    char key[32], username[32], refused[32], not_for[32];
} table;

static struct {
    unsigned answers;
    bool lent, failed;
    char token[32], user_id[32], username[32], code[32];
} got;

/* ---- what stands around the desk ---- */

enum mailbox_post shard_post(struct shard *from, unsigned to, struct mail *mail)
{
    return mailbox_post(shards[to].mailbox, from->index, mail);
}

unsigned shard_of_user(const struct program *p, struct slice user_key)
{
    (void)p, (void)user_key;
    return HOME;
}

static void copy(char out[32], struct slice text)
{
    snprintf(out, 32, "%.*s", (int)text.len, text.len == 0 ? "" : text.ptr);
}

void session_table_lend(struct session_table *t, const struct session_ask *ask, session_loan_fn fn,
                        void *arg)
{
    table.which = t;
    table.check = ask->check;
    table.asked++;
    table.fn = fn;
    table.arg = arg;
    table.limit_ms = ask->limit_ms;
    copy(table.key, ask->who.key);
    copy(table.username, ask->who.username);
    copy(table.refused, ask->refused);
    copy(table.not_for, slice_of(ask->who.refused));
}

bool session_table_revoke(struct session_table *t, struct slice key, enum session_revoke why)
{
    assert_int_equal(why, SESSION_LOGGED_OUT);
    table.which = t;
    table.ended++;
    copy(table.key, key);
    return true;
}

void login_desk_lend_admin(struct login_desk *d, struct slice refused, session_loan_fn fn,
                           void *arg)
{
    const struct session_loan loan = {SLICE_LIT("uA"), SLICE_LIT("tokA"), SLICE_LIT("boss")};

    (void)d;
    table.admin_asked++;
    copy(table.refused, refused);
    fn(arg, &loan, NULL);
}

/* ---- the test's side ---- */

static int start(void **state)
{
    (void)state;
    memset(shards, 0, sizeof shards);
    memset(&table, 0, sizeof table);
    memset(&got, 0, sizeof got);
    memset(&settings, 0, sizeof settings);
    settings.limits.token_requests = 2;
    program = (struct program){.settings = &settings};
    loop_shards_open(&loop, &program, shards, NSHARDS, NSHARDS, 4096);
    for (unsigned i = 0; i < NSHARDS; i++) {
        shards[i].sessions = (struct session_table *)&sessions;
        shards[i].handed = (struct session_table *)&handed;
    }
    return 0;
}

static int stop(void **state)
{
    (void)state;
    loop_shards_close(&loop, shards, NSHARDS);
    return 0;
}

static void settle(void)
{
    for (int i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static void on_loan(void *arg, const struct session_loan *loan, const struct rc_error *error)
{
    (void)arg;
    got.answers++;
    got.lent = loan != NULL;
    got.failed = error != NULL;
    copy(got.code, slice_of(error == NULL ? "" : error->code));
    if (loan == NULL)
        return;
    copy(got.user_id, loan->user_id);
    copy(got.token, loan->auth_token);
    copy(got.username, loan->username);
}

static struct token_request *ask(const char *refused)
{
    const struct session_ask question = {
        .who = {.key = SLICE_LIT("42@1"), .username = SLICE_LIT("ana")},
        .refused = slice_of(refused),
        .limit_ms = TOKEN_DESK_LIMIT_MS,
    };

    return token_desk_ask(&shards[HERE], &question, on_loan, NULL);
}

static void test_there_and_back(void **state)
{
    const struct session_loan loan = {SLICE_LIT("u9"), SLICE_LIT("tok1"), SLICE_LIT("ana")};

    (void)state;
    assert_non_null(ask("tok0"));
    settle();
    assert_int_equal(table.asked, 1);
    assert_ptr_equal(table.which, &sessions);
    assert_string_equal(table.key, "42@1");
    assert_string_equal(table.username, "ana");
    assert_string_equal(table.refused, "tok0");
    assert_string_equal(table.not_for, "");
    assert_int_equal(table.limit_ms, 3000);
    assert_int_equal(got.answers, 0);
    table.fn(table.arg, &loan, NULL);
    assert_int_equal(got.answers, 0); /* never on the other shard's stack */
    settle();
    assert_int_equal(got.answers, 1);
    assert_true(got.lent);
    assert_string_equal(got.user_id, "u9");
    assert_string_equal(got.token, "tok1");
    assert_string_equal(got.username, "ana");
    assert_int_equal(shards[HERE].token_requests, 0);
}

static void test_an_error_comes_back(void **state)
{
    const struct rc_error error = {.result = RC_REFUSED, .code = "403", .retry_after_ms = 60000};

    (void)state;
    assert_non_null(ask(NULL));
    settle();
    table.fn(table.arg, NULL, &error);
    settle();
    assert_int_equal(got.answers, 1);
    assert_false(got.lent);
    assert_string_equal(got.code, "403");
}

static void test_why_there_is_no_session_goes_along(void **state)
{
    const struct session_ask question = {.who = {.key = SLICE_LIT("42"), .refused = "tenant"}};

    (void)state;
    assert_non_null(token_desk_ask(&shards[HERE], &question, on_loan, NULL));
    settle();
    assert_string_equal(table.not_for, "tenant");
    assert_string_equal(table.username, "");
    table.fn(table.arg, NULL, &(struct rc_error){.result = RC_REFUSED});
    settle();
    assert_int_equal(got.answers, 1);
}

static void test_abandoned(void **state)
{
    const struct session_loan loan = {SLICE_LIT("u9"), SLICE_LIT("tok1"), SLICE_LIT("ana")};

    (void)state;
    token_request_abandon(ask(NULL));
    settle();
    table.fn(table.arg, &loan, NULL);
    settle();
    assert_int_equal(got.answers, 0);
    assert_int_equal(shards[HERE].token_requests, 0);
}

static void test_waiting_requests_are_bounded(void **state)
{
    session_loan_fn fn;
    void *arg;

    (void)state;
    assert_non_null(ask(NULL));
    settle();
    fn = table.fn;
    arg = table.arg;
    assert_non_null(ask(NULL));
    assert_null(ask(NULL));
    settle();
    fn(arg, NULL, &(struct rc_error){.result = RC_REFUSED});
    settle();
    assert_int_equal(got.answers, 1);
    table.fn(table.arg, NULL, &(struct rc_error){.result = RC_REFUSED});
    assert_non_null(ask(NULL));
    settle();
    table.fn(table.arg, NULL, &(struct rc_error){.result = RC_REFUSED});
    settle();
    assert_int_equal(got.answers, 3);
}

static void test_the_admins_is_on_shard_0(void **state)
{
    (void)state;
    assert_non_null(token_desk_ask_admin(&shards[HERE], SLICE_LIT("tokOld"), on_loan, NULL));
    settle();
    assert_int_equal(table.admin_asked, 1);
    assert_string_equal(table.refused, "tokOld");
    assert_int_equal(got.answers, 1);
    assert_string_equal(got.token, "tokA");
}

static void test_the_handed_out_class(void **state)
{
    const struct session_ask question = {.who = {.key = SLICE_LIT("42")}, .check = true};

    (void)state;
    assert_non_null(token_desk_ask_handed(&shards[HERE], &question, on_loan, NULL));
    settle();
    assert_ptr_equal(table.which, &handed);
    assert_true(table.check);
    table.fn(table.arg, NULL, &(struct rc_error){.result = RC_REFUSED});
    settle();
    assert_true(got.failed);
    assert_non_null(token_desk_end_handed(&shards[HERE], SLICE_LIT("42"), on_loan, NULL));
    settle();
    assert_ptr_equal(table.which, &handed);
    assert_int_equal(table.ended, 1);
    assert_string_equal(table.key, "42");
    assert_int_equal(got.answers, 2);
    assert_false(got.lent || got.failed);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_there_and_back),
        T(test_an_error_comes_back),
        T(test_why_there_is_no_session_goes_along),
        T(test_abandoned),
        T(test_waiting_requests_are_bounded),
        T(test_the_admins_is_on_shard_0),
        T(test_the_handed_out_class),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
