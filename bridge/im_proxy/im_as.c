#include "bridge/im_proxy/im_exchange_internal.h"

#include "bridge/program.h"
#include "bridge/shard.h"
#include "bridge/shard_ask.h"
#include <stdlib.h>

static void refused(struct im_exchange *ex)
{
    im_exchange_over(ex, METRIC_IM_REFUSED);
}

/* Both fit: checked where they were taken in, and by size here. */
static bool use(struct im_exchange *ex, struct slice user_id, struct slice token)
{
    if (user_id.len >= sizeof ex->user_id || token.len >= sizeof ex->auth_token)
        return false;
    memcpy(ex->user_id, user_id.ptr, user_id.len);
    ex->user_id[user_id.len] = '\0';
    memcpy(ex->auth_token, token.ptr, token.len);
    ex->auth_token[token.len] = '\0';
    return true;
}

bool im_as_take_login(struct im_exchange *ex)
{
    uint64_t wait = im_logins_take(ex->proxy->shard->program->im_logins, uv_hrtime() / 1000000,
                                   slice_of(ex->user_id));

    if (wait == 0)
        return true;
    im_refuse(ex->req, 429, "Error, too many requests. Please slow down.",
              "error-too-many-requests", wait);
    im_exchange_over(ex, METRIC_IM_LIMITED);
    return false;
}

/* All is there that the call is made with, but perhaps its body. */
static void go(struct im_exchange *ex)
{
    if (!im_path_is_login(ex->call) || im_as_take_login(ex))
        im_exchange_send(ex);
}

static void on_loan(void *arg, const struct session_loan *loan, const struct rc_error *error)
{
    struct im_exchange *ex = arg;
    bool again = ex->held;

    ex->loan = NULL;
    if (again && (loan == NULL || slice_eq(loan->auth_token, slice_of(ex->auth_token)) ||
                  !use(ex, loan->user_id, loan->auth_token))) {
        im_exchange_release(ex); /* the call's own 401, or there is no other token */
        return;
    }
    if (again && !ex->whole) { /* its body is gone; from now on there is the other token */
        im_refuse(ex->req, 503, "The login to Rocket.Chat was renewed: please send it again", "",
                  1000);
        refused(ex);
    } else if (again) {
        ex->retried = true;
        metrics_inc(ex->proxy->shard->metrics, METRIC_IM_RETRIED);
        im_exchange_send(ex);
    } else if (loan == NULL) {
        im_refuse_loan(ex->req, error);
        refused(ex);
    } else if (!use(ex, loan->user_id, loan->auth_token)) {
        im_refuse(ex->req, 502, "Token too long", "", 0);
        refused(ex);
    } else {
        go(ex);
    }
}

static void ask_token(struct im_exchange *ex, struct slice dead)
{
    const struct session_ask ask = {
        .who = {.key = slice_of(ex->who.key),
                .username = slice_of(ex->who.username),
                .refused = ex->who.refused,
                .profile = {ex->who.profile, ex->who.profile_len}},
        .refused = dead,
        .limit_ms = TOKEN_DESK_LIMIT_MS,
    };

    ex->loan = ex->who.as == IM_AS_USER ? token_desk_ask(ex->proxy->shard, &ask, on_loan, ex)
                                        : token_desk_ask_admin(ex->proxy->shard, dead, on_loan, ex);
    if (ex->loan != NULL)
        return;
    if (ex->held) {
        im_exchange_release(ex);
        return;
    }
    im_refuse(ex->req, 503, "Too many logins wait", "", 1000);
    refused(ex);
}

/* The caller's own credentials, known or not: Rocket.Chat looks at them with every call. Only what
 * the administrator is given here must be earned first. */
static void go_as_caller(struct im_exchange *ex, enum im_identity_answer answer,
                         const struct rc_error *error)
{
    const struct im_caller *caller = &ex->who.caller;
    bool admin = session_table_is_admin(ex->proxy->shard->sessions, slice_of(caller->user_id));

    if (answer == IM_IDENTITY_REFUSED) {
        im_refuse_login(ex->req);
        refused(ex);
    } else if (!admin || im_path_is_logout(ex->call)) { /* it ends a token: never the agent's */
        use(ex, slice_of(caller->user_id), slice_of(caller->auth_token));
        go(ex);
    } else if (answer == IM_IDENTITY_ACCEPTED) {
        ex->who.as = IM_AS_ADMIN;
        ask_token(ex, (struct slice){0});
    } else {
        im_refuse(ex->req, 503, "Rocket.Chat could not be asked who this is",
                  error == NULL ? "" : error->code, 1000);
        refused(ex);
    }
}

static void on_identity(void *arg, enum im_identity_answer answer, const struct rc_error *error)
{
    struct im_exchange *ex = arg;

    ex->wait = NULL;
    go_as_caller(ex, answer, error);
}

static void ask_identity(struct im_exchange *ex)
{
    const struct im_caller *caller = &ex->who.caller;
    bool tell = ex->proxy->shard->program->settings->im.forward_client_address;
    enum im_identity_answer answer = IM_IDENTITY_UNKNOWN;

    if (im_identity_ask(ex->proxy->identity, slice_of(caller->user_id),
                        slice_of(caller->auth_token),
                        tell ? http_request_view(ex->req)->client_address : (struct slice){0},
                        on_identity, ex, &answer, &ex->wait)) {
        go_as_caller(ex, answer, NULL);
    } else if (ex->wait == NULL) {
        im_refuse(ex->req, 503, "Too many callers are being looked at", "", 1000);
        refused(ex);
    }
}

void im_as_start(struct im_exchange *ex)
{
    if (ex->who.as == IM_AS_CALLER)
        ask_identity(ex);
    else
        ask_token(ex, (struct slice){0});
}

void im_as_retry(struct im_exchange *ex)
{
    ask_token(ex, slice_of(ex->auth_token));
}

/* ---- the end of a caller's token ---- */

struct forgetting {
    struct shard_ask ask; /* first */
    uint8_t digest[IM_IDENTITY_DIGEST];
};

static void forget_on_shard(struct shard_ask *ask, struct shard *s)
{
    if (s->proxy != NULL)
        im_identity_forget_digest(s->proxy->identity, ((struct forgetting *)ask)->digest);
}

static void forgotten(struct shard_ask *ask)
{
    free(ask);
}

/* No shard goes by what it remembers of the token: the administrator's would still be one. */
void im_as_logged_out(struct im_exchange *ex)
{
    struct forgetting *f = calloc(1, sizeof *f);

    if (f == NULL)
        return; /* for Proxy:IdentitySeconds, then */
    f->ask = (struct shard_ask){
        .on_shard = forget_on_shard, .done = forgotten, .from = ex->proxy->shard};
    if (!im_identity_digest(slice_of(ex->user_id), slice_of(ex->auth_token), f->digest) ||
        shard_ask_start(&f->ask) != SHARD_ASK_SENT)
        free(f);
}

void im_as_abandon(struct im_exchange *ex)
{
    if (ex->loan != NULL)
        token_request_abandon(ex->loan);
    if (ex->wait != NULL)
        im_identity_abandon(ex->wait);
}
