#include "bridge/provisioning/provisioner_internal.h"

#include "base/hash.h"
#include "base/percent.h"
#include "bridge/admin/metrics.h"
#include "bridge/log/log.h"
#include "bridge/login/lent_call.h"
#include "bridge/program.h"
#include "bridge/provisioning/password_policy.h"
#include "bridge/shard.h"
#include <assert.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t now_ms(const struct provisioner *p)
{
    return uv_now(&p->shard->loop);
}

static void count(struct provisioner *p, enum metric which)
{
    metrics_inc(p->shard->metrics, which);
}

/* ---- who was made lately ---- */

static uint64_t hash_of(struct slice text)
{
    return hash_bytes(text.ptr, text.len);
}

static void note_created(struct provisioner *p, struct slice username)
{
    p->recent[p->next_recent % RECENT].user = hash_of(username);
    p->recent[p->next_recent++ % RECENT].at_ms = now_ms(p);
}

static bool was_created(const struct provisioner *p, struct slice username)
{
    uint64_t user = hash_of(username);

    for (unsigned i = 0; i < RECENT; i++)
        if (p->recent[i].user == user && p->recent[i].at_ms != 0 &&
            now_ms(p) - p->recent[i].at_ms < RECENT_MS)
            return true;
    return false;
}

bool provisioner_is_busy(const struct provisioner *p)
{
    const unsigned last = p->next_recent - 1;

    return p->next_recent > 0 && now_ms(p) - p->recent[last % RECENT].at_ms < BUSY_MS;
}

/* ---- the end of an operation ---- */

const char *provision_step_name(enum provision_step step)
{
    static const char *const names[] = {
        [STEP_INFO] = "users.info",       [STEP_CREATE] = "users.create",
        [STEP_INFO_AGAIN] = "users.info", [STEP_TOKEN] = "users.createToken",
        [STEP_UPDATE] = "users.update",
    };
    return names[step];
}

/* Frees op. */
static void finish(struct provision *op, const struct rest_login *login,
                   const struct rc_error *error)
{
    if (op->ensured != NULL)
        op->ensured(op->arg,
                    error != NULL ? PROVISION_FAILED
                    : op->created ? PROVISION_CREATED
                                  : PROVISION_KNOWN,
                    error);
    else if (op->logged_in != NULL)
        op->logged_in(op->arg, login, error);
    else {
        provision_follow_finished(op, error);
        return;
    }
    free(op);
}

static void fail(struct provision *op, enum rc_result result, const char *code,
                 uint64_t retry_after_ms)
{
    struct rc_error error = {.result = result, .retry_after_ms = retry_after_ms};

    snprintf(error.code, sizeof error.code, "%s", code);
    finish(op, NULL, &error);
}

/* What the administrator met says nothing about the user: the codes are ours. */
static void fail_call(struct provision *op, const struct lent_answer *answer,
                      const struct rc_error *error)
{
    bool follow = op->ensured == NULL && op->logged_in == NULL;
    bool later =
        answer->no_token ? error->result != RC_REFUSED : rc_result_is_transient(error->result);

    if (follow || error->result == RC_CANCELLED) {
        finish(op, NULL, error);
        return;
    }
    count(op->p, METRIC_PROVISIONS_FAILED);
    log_warn("provision_failed", LOG_ID("rc_user", op->username),
             LOG_STR("call", provision_step_name(op->step)), LOG_STR("code", error->code));
    if (later)
        fail(op, answer->no_token ? RC_UNREACHABLE : error->result, "provision-unavailable",
             error->retry_after_ms);
    else
        fail(op, RC_NOT_ALLOWED, "provision-failed", 0);
}

/* ---- the steps ---- */

static void on_answer(void *arg, const struct lent_answer *answer, const struct rc_error *error);

static void write_create(struct provision *op, struct byte_buf *body)
{
    const struct settings *set = op->p->settings;
    char made_up[PASSWORD_POLICY_BYTES];
    struct slice password = password_policy_new(set, op->username, made_up);
    struct profile profile;

    profile_unpack(op->profile, &profile);
    byte_buf_reserve(body, 2 * PROFILE_MAX_BYTES + 6 * password.len); /* no stray copies */
    provision_write_create(body, op->username, password, &profile,
                           set->provisioning.verified_emails,
                           set->provisioning.join_default_channels);
    explicit_bzero(made_up, sizeof made_up);
}

/* Rocket.Chat guards users.update by a second factor and takes the password for one where the
 * account has no other (rocketchat.md 5.3). */
static void write_second_factor(const struct settings *set, char hex[2 * SHA256_DIGEST_LENGTH + 1])
{
    unsigned char digest[SHA256_DIGEST_LENGTH];
    const char *password = set->im.admin_password;

    hex[0] = '\0';
    if (password[0] == '\0' || set->im.admin_user_id[0] != '\0')
        return;
    SHA256((const unsigned char *)password, strlen(password), digest);
    for (size_t i = 0; i < sizeof digest; i++)
        snprintf(hex + 2 * i, 3, "%02x", digest[i]);
}

/* False: no memory, or too many tokens are asked for. */
static bool start(struct provision *op, enum provision_step step)
{
    static const char *const paths[] = {
        [STEP_INFO] = "users.info",       [STEP_CREATE] = "users.create",
        [STEP_INFO_AGAIN] = "users.info", [STEP_TOKEN] = "users.createToken",
        [STEP_UPDATE] = "users.update",
    };
    const struct settings *set = op->p->settings;
    struct lent_call_request request = {.rest = op->p->shard->rest, .path = slice_of(paths[step])};
    char second_factor[2 * SHA256_DIGEST_LENGTH + 1] = "";
    struct byte_buf text = {0};
    struct profile profile;

    op->step = step;
    switch (step) {
    case STEP_INFO:
    case STEP_INFO_AGAIN:
        byte_buf_puts(&text, "username=");
        percent_encode(&text, op->username);
        request.query = byte_buf_slice(&text);
        break;
    case STEP_CREATE:
        write_create(op, &text);
        break;
    case STEP_TOKEN:
        provision_write_token(&text, slice_of(op->info.id),
                              slice_of(set->provisioning.token_secret));
        break;
    case STEP_UPDATE:
        profile_unpack(op->profile, &profile);
        provision_write_update(&text, &op->info, &profile, set->provisioning.verified_emails);
        write_second_factor(set, second_factor);
        request.second_factor = slice_of(second_factor);
        break;
    }
    request.post = request.query.len == 0;
    if (request.post)
        request.body = byte_buf_slice(&text);
    op->call =
        byte_buf_failed(&text) ? NULL : lent_call_start(op->p->shard, &request, on_answer, op);
    explicit_bzero(second_factor, sizeof second_factor);
    if (text.data != NULL)
        explicit_bzero(text.data, text.cap);
    byte_buf_free(&text);
    return op->call != NULL;
}

void provision_go_on(struct provision *op, enum provision_step step)
{
    if (!start(op, step))
        fail(op, RC_NOMEM, rc_result_name(RC_NOMEM), 0);
}

/* The account is there, and op->info is its. */
static void found(struct provision *op)
{
    struct profile profile;
    struct byte_buf update = {0};
    bool differs;

    if (op->logged_in != NULL) {
        provision_go_on(op, STEP_TOKEN);
        return;
    }
    if (op->ensured != NULL) {
        finish(op, NULL, NULL);
        return;
    }
    profile_unpack(op->profile, &profile);
    differs = provision_write_update(&update, &op->info, &profile, true);
    byte_buf_free(&update);
    if (differs)
        provision_go_on(op, STEP_UPDATE);
    else
        finish(op, NULL, NULL);
}

static void unknown(struct provision *op)
{
    struct profile profile;

    profile_unpack(op->profile, &profile);
    if (op->ensured == NULL && op->logged_in == NULL)
        finish(op, NULL, NULL); /* gone again: nothing to follow */
    else if (!op->p->settings->provisioning.enabled)
        fail(op, RC_UNAUTHORIZED, "user-unknown", 0);
    else if (profile.email[0] == '\0') /* Rocket.Chat makes no account without */
        fail(op, RC_NOT_ALLOWED, "provision-no-email", 0);
    else
        provision_go_on(op, STEP_CREATE);
}

static void created(struct provision *op)
{
    op->created = true;
    count(op->p, METRIC_PROVISIONS_CREATED);
    log_info("user_created", LOG_ID("rc_user", slice_of(op->info.id)));
    note_created(op->p, op->username);
    provision_follow_note(op->p, op->username, op->profile);
    found(op);
}

static void take_token(struct provision *op, struct slice body)
{
    char user_id[PROVISION_ID_MAX], token[256];
    struct rest_login login;

    if (!provision_read_token(body, user_id, token) || strcmp(user_id, op->info.id) != 0) {
        fail(op, RC_MALFORMED, rc_result_name(RC_MALFORMED), 0);
    } else {
        login =
            (struct rest_login){slice_of(user_id), slice_of(token), slice_of(op->info.username)};
        finish(op, &login, NULL);
    }
    explicit_bzero(token, sizeof token);
}

static void on_answer(void *arg, const struct lent_answer *answer, const struct rc_error *error)
{
    struct provision *op = arg;
    bool info = op->step == STEP_INFO || op->step == STEP_INFO_AGAIN;

    op->call = NULL;
    if (op->cancelled) {
        fail(op, RC_CANCELLED, rc_result_name(RC_CANCELLED), 0);
        return;
    }
    if (op->step == STEP_INFO && error != NULL && provision_is_unknown(answer->body)) {
        unknown(op);
    } else if (op->step == STEP_CREATE && error != NULL &&
               strcmp(error->code, "error-field-unavailable") == 0) {
        provision_go_on(
            op, STEP_INFO_AGAIN); /* another login of this user was first, or the e-mail is taken */
    } else if (error != NULL) {
        fail_call(op, answer, error);
    } else if (op->step == STEP_TOKEN) {
        take_token(op, answer->body);
    } else if (op->step == STEP_UPDATE) {
        finish(op, NULL, NULL);
    } else if (!provision_read_info(answer->body, &op->info)) {
        fail(op, RC_MALFORMED, rc_result_name(RC_MALFORMED), 0);
    } else if (op->step == STEP_CREATE) {
        created(op);
    } else {
        assert(info);
        op->created = op->step == STEP_INFO_AGAIN || was_created(op->p, op->username);
        found(op);
    }
}

/* ---- asking ---- */

struct provision *provision_new(struct provisioner *p, const struct provision_user *user, void *arg)
{
    struct provision *op = calloc(1, sizeof *op + user->username.len + user->profile.len + 1);

    if (op == NULL)
        return NULL;
    op->p = p;
    op->arg = arg;
    memcpy(op->text, user->username.ptr, user->username.len);
    op->username = (struct slice){op->text, user->username.len};
    if (user->profile.len > 0)
        memcpy(op->text + user->username.len, user->profile.ptr, user->profile.len);
    op->profile = (struct slice){op->text + user->username.len, user->profile.len};
    return op;
}

static struct provision *begin(struct provision *op)
{
    if (op == NULL || start(op, STEP_INFO))
        return op;
    free(op);
    return NULL;
}

bool provisioner_creates(const struct provisioner *p)
{
    return p->settings->provisioning.enabled;
}

bool provisioner_logs_in(const struct provisioner *p)
{
    return p->settings->provisioning.password_policy == PASSWORD_TOKEN;
}

struct provision *provisioner_ensure(struct provisioner *p, const struct provision_user *user,
                                     provision_fn fn, void *arg)
{
    struct provision *op = provision_new(p, user, arg);

    if (op != NULL)
        op->ensured = fn;
    return begin(op);
}

struct provision *provisioner_login(struct provisioner *p, const struct provision_user *user,
                                    provision_login_fn fn, void *arg)
{
    struct provision *op = provision_new(p, user, arg);

    if (op != NULL)
        op->logged_in = fn;
    return begin(op);
}

void provision_cancel(struct provision *op)
{
    op->cancelled = true;
    if (op->call != NULL)
        lent_call_cancel(op->call);
}

/* ---- life ---- */

int provisioner_open(struct shard *s, struct provisioner **out)
{
    const struct settings *set = s->program->settings;
    struct provisioner *p = calloc(1, sizeof *p);

    if (p == NULL)
        return UV_ENOMEM;
    p->shard = s;
    p->settings = set;
    p->last = &p->first;
    if (!provision_follow_open(p)) {
        free(p);
        return UV_ENOMEM;
    }
    *out = p;
    return 0;
}

void provisioner_close(struct provisioner *p, void (*done)(void *arg), void *arg)
{
    p->closing = true;
    p->done = done;
    p->done_arg = arg;
    provision_follow_close(p);
}
