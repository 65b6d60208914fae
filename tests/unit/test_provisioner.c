/* The provisioner, with Rocket.Chat played by the test: what the administrator is made to ask, and
 * what comes of the answers. */
#include "bridge/admin/metrics.h"
#include "bridge/login/lent_call.h"
#include "bridge/program.h"
#include "bridge/provisioning/provisioner.h"
#include "bridge/shard.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct lent_call {
    char path[64], query[256], body[1024], second_factor[80];
    bool post, answered, cancelled;
    lent_call_fn fn;
    void *arg;
};

static struct lent_call *calls[64];
static unsigned ncalls;
static bool no_memory;

static struct settings settings;
static struct program program;
static struct shard shard;
static struct provisioner *p;
static bool closed;
static char empty[] = "", password[] = "123qwe", admin_password[] = "pw", token_secret[] = "s3";

/* ---- lent_call.h ---- */

static void copy(char *out, size_t cap, struct slice text)
{
    assert_true(text.len < cap);
    snprintf(out, cap, "%.*s", (int)text.len, text.len == 0 ? "" : text.ptr);
}

struct lent_call *lent_call_start(struct shard *s, const struct lent_call_request *request,
                                  lent_call_fn fn, void *arg)
{
    struct lent_call *c;

    assert_ptr_equal(s, &shard);
    assert_null(request->who); /* never as a user */
    if (no_memory)
        return NULL;
    c = calloc(1, sizeof *c);
    copy(c->path, sizeof c->path, request->path);
    copy(c->query, sizeof c->query, request->query);
    copy(c->body, sizeof c->body, request->body);
    copy(c->second_factor, sizeof c->second_factor, request->second_factor);
    c->post = request->post;
    c->fn = fn;
    c->arg = arg;
    calls[ncalls++] = c;
    return c;
}

void lent_call_cancel(struct lent_call *c)
{
    c->cancelled = true;
}

/* ---- the test's side ---- */

static struct lent_call *pending(const char *path)
{
    struct lent_call *c = ncalls == 0 ? NULL : calls[ncalls - 1];

    if (c == NULL || c->answered || strcmp(c->path, path) != 0)
        fail_msg("%s is not asked, but %s", path, c == NULL ? "nothing" : c->path);
    return c;
}

static void answer(const char *path, long status, const char *body, const char *code)
{
    struct lent_call *c = pending(path);
    const struct lent_answer a = {.status = status, .body = slice_of(body)};
    struct rc_error error;

    c->answered = true;
    rc_error_set(&error, slice_of(code));
    if (code != NULL && strcmp(code, "too-many") == 0)
        error = (struct rc_error){.result = RC_RATE_LIMITED, .retry_after_ms = 7000};
    c->fn(c->arg, &a, code == NULL ? NULL : &error);
}

static void no_token(const char *path, enum rc_result result)
{
    struct lent_call *c = pending(path);
    const struct lent_answer a = {.no_token = true};
    struct rc_error error = {.result = result};

    c->answered = true;
    c->fn(c->arg, &a, &error);
}

#define UNKNOWN "{\"success\":false,\"error\":\"User not found.\"}"
#define ANA                                                                                        \
    "{\"user\":{\"_id\":\"u9\",\"username\":\"ana\",\"name\":\"Ana\",\"emails\":[{\"address\":"    \
    "\"a@x\"}]},\"success\":true}"

static const char profile[] = "a@x\0Ana\0user"; /* with its own NUL at the end */
static const char renamed[] = "a@x\0Ana B\0user";
static const struct provision_user ana = {SLICE_LIT("ana"), {profile, sizeof profile}};
static const struct provision_user ana_renamed = {SLICE_LIT("ana"), {renamed, sizeof renamed}};

static struct {
    unsigned answers;
    enum provision_result result;
    enum rc_result error;
    char code[64], token[64], username[64];
} got;

static void on_ensured(void *arg, enum provision_result result, const struct rc_error *error)
{
    (void)arg;
    got.answers++;
    got.result = result;
    got.error = error == NULL ? RC_OK : error->result;
    snprintf(got.code, sizeof got.code, "%s", error == NULL ? "" : error->code);
}

static void on_login(void *arg, const struct rest_login *login, const struct rc_error *error)
{
    on_ensured(arg, PROVISION_FAILED, error);
    if (login != NULL) {
        copy(got.token, sizeof got.token, login->auth_token);
        copy(got.username, sizeof got.username, login->username);
    }
}

static void settle(void)
{
    for (int i = 0; i < 5; i++)
        uv_run(&shard.loop, UV_RUN_NOWAIT);
}

static int start(void **state)
{
    (void)state;
    memset(&got, 0, sizeof got);
    memset(&settings, 0, sizeof settings);
    ncalls = 0;
    no_memory = closed = false;
    settings.im.admin_password = admin_password;
    settings.im.admin_user_id = settings.provisioning.password_secret = empty;
    settings.im.default_password = password;
    settings.provisioning.token_secret = token_secret;
    settings.provisioning.enabled = settings.provisioning.follow = true;
    settings.provisioning.verified_emails = settings.provisioning.join_default_channels = true;
    settings.provisioning.follows_per_minute = 60000; /* one a millisecond */
    program = (struct program){.settings = &settings, .nshards = 1};
    program.metrics = metrics_new(1);
    shard.program = &program;
    shard.metrics = metrics_block(program.metrics, 0);
    assert_int_equal(uv_loop_init(&shard.loop), 0);
    assert_int_equal(provisioner_open(&shard, &p), 0);
    return 0;
}

static void on_closed(void *arg)
{
    *(bool *)arg = true;
}

static int stop(void **state)
{
    (void)state;
    provisioner_close(p, on_closed, &closed);
    if (ncalls > 0 && calls[ncalls - 1]->cancelled && !calls[ncalls - 1]->answered)
        answer(calls[ncalls - 1]->path, 0, "", "cancelled");
    uv_run(&shard.loop, UV_RUN_DEFAULT);
    assert_true(closed);
    assert_int_equal(uv_loop_close(&shard.loop), 0);
    for (unsigned i = 0; i < ncalls; i++)
        free(calls[i]);
    metrics_free(program.metrics);
    return 0;
}

static void ensure(void)
{
    assert_non_null(provisioner_ensure(p, &ana, on_ensured, NULL));
    assert_int_equal(got.answers, 0);
}

/* ---- ensure ---- */

static void test_known(void **state)
{
    (void)state;
    ensure();
    assert_string_equal(pending("users.info")->query, "username=ana");
    answer("users.info", 200, ANA, NULL);
    assert_int_equal(got.result, PROVISION_KNOWN);
    assert_int_equal(ncalls, 1);
}

static void test_created(void **state)
{
    (void)state;
    ensure();
    answer("users.info", 400, UNKNOWN, "http-400");
    assert_true(pending("users.create")->post);
    assert_string_equal(pending("users.create")->body,
                        "{\"username\":\"ana\",\"email\":\"a@x\",\"name\":\"Ana\",\"password\":"
                        "\"123qwe\",\"roles\":[\"user\"],\"verified\":true,\"joinDefaultChannels\":"
                        "true,\"requirePasswordChange\":false,\"sendWelcomeEmail\":false}");
    answer("users.create", 200, ANA, NULL);
    assert_int_equal(got.result, PROVISION_CREATED);
    got.answers = 0;
    ensure(); /* another login of the same user was refused meanwhile */
    answer("users.info", 200, ANA, NULL);
    assert_int_equal(got.result, PROVISION_CREATED);
    provisioner_follow(p, &ana); /* as it was made */
    settle();
    assert_int_equal(ncalls, 3);
}

static void test_somebody_else_was_first(void **state)
{
    (void)state;
    ensure();
    answer("users.info", 400, UNKNOWN, "http-400");
    answer("users.create", 400, "{}", "error-field-unavailable");
    answer("users.info", 200, ANA, NULL);
    assert_int_equal(got.result, PROVISION_CREATED);
}

static void test_the_address_is_taken(void **state)
{
    (void)state;
    ensure();
    answer("users.info", 400, UNKNOWN, "http-400");
    answer("users.create", 400, "{}", "error-field-unavailable");
    answer("users.info", 400, UNKNOWN, "http-400");
    assert_int_equal(got.result, PROVISION_FAILED);
    assert_int_equal(got.error, RC_NOT_ALLOWED);
    assert_string_equal(got.code, "provision-failed");
}

static void test_no_address(void **state)
{
    static const char bare[] = "\0Ana";
    const struct provision_user user = {SLICE_LIT("ana"), {bare, sizeof bare}};

    (void)state;
    assert_non_null(provisioner_ensure(p, &user, on_ensured, NULL));
    answer("users.info", 400, UNKNOWN, "http-400");
    assert_string_equal(got.code, "provision-no-email");
    assert_int_equal(ncalls, 1);
}

static void test_what_the_administrator_meets(void **state)
{
    (void)state;
    ensure();
    no_token("users.info", RC_UNREACHABLE);
    assert_int_equal(got.error, RC_UNREACHABLE);
    assert_string_equal(got.code, "provision-unavailable");
    got.answers = 0;
    ensure();
    no_token("users.info", RC_REFUSED);
    assert_int_equal(got.error, RC_NOT_ALLOWED);
    got.answers = 0;
    ensure();
    answer("users.info", 429, "{}", "too-many");
    assert_int_equal(got.error, RC_RATE_LIMITED);
    assert_string_equal(got.code, "provision-unavailable");
    got.answers = 0;
    ensure();
    answer("users.info", 400, UNKNOWN, "http-400");
    answer("users.create", 403, "{}", "error-unauthorized");
    assert_int_equal(got.error, RC_NOT_ALLOWED);
    assert_string_equal(got.code, "provision-failed");
    got.answers = 0;
    ensure();
    answer("users.info", 200, "{\"user\":7}", NULL);
    assert_int_equal(got.error, RC_MALFORMED);
}

static void test_no_memory(void **state)
{
    (void)state;
    no_memory = true;
    assert_null(provisioner_ensure(p, &ana, on_ensured, NULL));
    no_memory = false;
    ensure();
    no_memory = true;
    answer("users.info", 400, UNKNOWN, "http-400");
    assert_int_equal(got.error, RC_NOMEM);
}

static void test_cancelled(void **state)
{
    struct provision *op = provisioner_ensure(p, &ana, on_ensured, NULL);

    (void)state;
    provision_cancel(op);
    assert_true(calls[0]->cancelled);
    answer("users.info", 200, ANA, NULL);
    assert_int_equal(got.error, RC_CANCELLED);
}

/* ---- login ---- */

static void login(void)
{
    settings.provisioning.password_policy = PASSWORD_TOKEN;
    got.answers = 0;
    assert_non_null(provisioner_login(p, &ana, on_login, NULL));
}

static void test_login_by_token(void **state)
{
    (void)state;
    login();
    answer("users.info", 200, ANA, NULL);
    assert_string_equal(pending("users.createToken")->body,
                        "{\"userId\":\"u9\",\"secret\":\"s3\"}");
    answer("users.createToken", 200, "{\"data\":{\"userId\":\"u9\",\"authToken\":\"tok\"}}", NULL);
    assert_int_equal(got.error, RC_OK);
    assert_string_equal(got.token, "tok");
    assert_string_equal(got.username, "ana");
    login();
    answer("users.info", 200, ANA, NULL);
    answer("users.createToken", 200, "{\"data\":{\"userId\":\"u8\",\"authToken\":\"tok\"}}", NULL);
    assert_int_equal(got.error, RC_MALFORMED); /* somebody else's */
    login();
    answer("users.info", 200, ANA, NULL);
    answer("users.createToken", 400, "{}", "error-not-authorized");
    assert_int_equal(got.error, RC_NOT_ALLOWED);
}

static void test_login_of_an_unknown_user(void **state)
{
    (void)state;
    login();
    answer("users.info", 400, UNKNOWN, "http-400");
    assert_null(strstr(pending("users.create")->body, "123qwe")); /* nobody's to know */
    answer("users.create", 200, ANA, NULL);
    answer("users.createToken", 200, "{\"data\":{\"userId\":\"u9\",\"authToken\":\"tok\"}}", NULL);
    assert_string_equal(got.token, "tok");
    settings.provisioning.enabled = false;
    login();
    answer("users.info", 400, UNKNOWN, "http-400");
    assert_int_equal(got.error, RC_UNAUTHORIZED);
    assert_string_equal(got.code, "user-unknown");
}

/* ---- follow ---- */

static void test_follow(void **state)
{
    (void)state;
    provisioner_follow(p, &ana);
    provisioner_follow(p, &ana);
    settle();
    assert_int_equal(ncalls, 1);
    answer("users.info", 200, ANA, NULL);
    assert_int_equal(ncalls, 1); /* nothing differs */
    provisioner_follow(p, &ana_renamed);
    for (int i = 0; i < 100 && ncalls == 1; i++)
        uv_run(&shard.loop, UV_RUN_ONCE);
    answer("users.info", 200, ANA, NULL);
    assert_string_equal(pending("users.update")->body,
                        "{\"userId\":\"u9\",\"data\":{\"name\":\"Ana B\"}}");
    /* printf pw | sha256sum: where the account has no other second factor */
    assert_string_equal(pending("users.update")->second_factor,
                        "30c952fab122c3f9759f02a6d95c3758b246b4fee239957b2d4fee46e26170c4");
    answer("users.update", 200, ANA, NULL);
    provisioner_follow(p, &ana_renamed);
    settle();
    assert_int_equal(ncalls, 3);
}

static void test_a_change_is_tried_once(void **state)
{
    (void)state;
    provisioner_follow(p, &ana_renamed);
    settle();
    answer("users.info", 200, ANA, NULL);
    answer("users.update", 400, "{}", "error-field-unavailable");
    provisioner_follow(p, &ana_renamed);
    settle();
    assert_int_equal(ncalls, 2);
}

static void test_but_again_after_a_passing_failure(void **state)
{
    (void)state;
    provisioner_follow(p, &ana_renamed);
    settle();
    answer("users.info", 502, "", "500");
    provisioner_follow(p, &ana_renamed);
    for (int i = 0; i < 100 && ncalls == 1; i++)
        uv_run(&shard.loop, UV_RUN_ONCE);
    answer("users.info", 200, ANA, NULL);
    answer("users.update", 200, ANA, NULL);
}

static void test_a_second_factor_stops_it_for_long(void **state)
{
    static const char other[] = "b@x\0Bob";
    const struct provision_user bob = {SLICE_LIT("bob"), {other, sizeof other}};

    (void)state;
    settings.im.admin_user_id = password; /* a token's: there is no password to offer */
    provisioner_follow(p, &ana_renamed);
    provisioner_follow(p, &bob);
    settle();
    answer("users.info", 200, ANA, NULL);
    assert_string_equal(pending("users.update")->second_factor, "");
    answer("users.update", 400, "{}", "totp-required");
    uv_sleep(20);
    settle();
    assert_int_equal(ncalls, 2);
}

static void test_paced(void **state)
{
    static const char other[] = "b@x\0Bob";
    const struct provision_user bob = {SLICE_LIT("bob"), {other, sizeof other}};

    (void)state;
    settings.provisioning.follows_per_minute = 1;
    provisioner_follow(p, &ana);
    provisioner_follow(p, &bob);
    settle();
    answer("users.info", 200, ANA, NULL);
    uv_sleep(20);
    settle();
    assert_int_equal(ncalls, 1); /* bob's is a minute away */
}

static void test_off_and_without_a_profile(void **state)
{
    const struct provision_user nobody = {SLICE_LIT("ana"), {0}};

    (void)state;
    provisioner_follow(p, &nobody);
    settle();
    assert_int_equal(ncalls, 0);
}

static void test_closed_while_following(void **state)
{
    (void)state;
    provisioner_follow(p, &ana);
    settle();
    provisioner_follow(p, &ana_renamed);
    assert_int_equal(ncalls, 1); /* stop() cancels it */
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_known),
        T(test_created),
        T(test_somebody_else_was_first),
        T(test_the_address_is_taken),
        T(test_no_address),
        T(test_what_the_administrator_meets),
        T(test_no_memory),
        T(test_cancelled),
        T(test_login_by_token),
        T(test_login_of_an_unknown_user),
        T(test_follow),
        T(test_a_change_is_tried_once),
        T(test_but_again_after_a_passing_failure),
        T(test_a_second_factor_stops_it_for_long),
        T(test_paced),
        T(test_off_and_without_a_profile),
        T(test_closed_while_following),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
