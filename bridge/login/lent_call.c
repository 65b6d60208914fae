#include "bridge/login/lent_call.h"

#include "bridge/login/token_desk.h"
#include "bridge/shard.h"
#include <assert.h>
#include <stdlib.h>

struct lent_call {
    struct shard *shard;
    lent_call_fn fn;
    void *arg;
    struct rest_client *client;
    struct rest_call *rest; /* under way; NULL: a token is waited for */
    bool as_admin, post, again, cancelled;
    struct session_who who;
    unsigned limit_ms;
    char *token; /* lent for the call; wiped */
    struct slice path, query, body, second_factor;
    size_t len;
    char text[]; /* what the slices point into; wiped */
};

static void call_free(struct lent_call *c)
{
    if (c->token != NULL)
        explicit_bzero(c->token, strlen(c->token));
    free(c->token);
    explicit_bzero(c->text, c->len);
    free(c);
}

static void finish(struct lent_call *c, const struct lent_answer *answer,
                   const struct rc_error *error)
{
    c->fn(c->arg, answer, error);
    call_free(c);
}

static void finish_early(struct lent_call *c, bool no_token, const struct rc_error *error)
{
    const struct lent_answer answer = {
        .status = !no_token && error->result == RC_UNAUTHORIZED ? 401 : 0, .no_token = no_token};

    finish(c, &answer, error);
}

static bool borrow(struct lent_call *c);

static void on_rest(void *arg, long status, struct slice body, const struct rc_error *error)
{
    struct lent_call *c = arg;
    const struct lent_answer answer = {status, body, false};

    c->rest = NULL;
    if (error != NULL && error->result == RC_UNAUTHORIZED && !c->again && !c->cancelled) {
        c->again = true;
        if (borrow(c))
            return;
    }
    finish(c, &answer, error);
}

static void on_loan(void *arg, const struct session_loan *loan, const struct rc_error *error)
{
    struct lent_call *c = arg;
    struct rest_request request;
    struct rc_error own;

    if (error != NULL) {
        finish_early(c, true, error);
        return;
    }
    rc_error_of(&own, RC_CANCELLED);
    if (c->again && slice_eq(loan->auth_token, slice_of(c->token)))
        rc_error_of(&own, RC_UNAUTHORIZED); /* it is alive: the route has reasons of its own */
    if (c->cancelled || own.result == RC_UNAUTHORIZED) {
        finish_early(c, false, &own);
        return;
    }
    if (c->token != NULL)
        explicit_bzero(c->token, strlen(c->token));
    free(c->token);
    c->token = slice_dup(loan->auth_token);
    request = (struct rest_request){
        .post = c->post,
        .path = c->path,
        .query = c->query,
        .body = c->body,
        .user_id = loan->user_id,
        .token = loan->auth_token,
        .second_factor = c->second_factor,
    };
    if (c->token != NULL)
        c->rest = rest_request(c->client, &request, on_rest, c);
    if (c->rest == NULL) {
        rc_error_of(&own, RC_NOMEM);
        finish_early(c, false, &own);
    }
}

static bool borrow(struct lent_call *c)
{
    const struct session_ask ask = {
        .who = c->who, .refused = slice_of(c->token), .limit_ms = c->limit_ms};

    return (c->as_admin ? token_desk_ask_admin(c->shard, slice_of(c->token), on_loan, c)
                        : token_desk_ask(c->shard, &ask, on_loan, c)) != NULL;
}

/* Appends a copy. */
static struct slice keep(struct lent_call *c, struct slice text)
{
    struct slice kept = {c->text + c->len, text.len};

    if (text.len > 0)
        memcpy(c->text + c->len, text.ptr, text.len);
    c->len += text.len;
    return kept;
}

struct lent_call *lent_call_start(struct shard *s, const struct lent_call_request *r,
                                  lent_call_fn fn, void *arg)
{
    static const struct session_who nobody;
    const struct session_who *who = r->who == NULL ? &nobody : r->who;
    struct lent_call *c =
        calloc(1, sizeof *c + r->path.len + r->query.len + r->body.len + r->second_factor.len +
                      who->key.len + who->username.len + who->profile.len);

    if (c == NULL)
        return NULL;
    c->shard = s;
    c->client = r->rest;
    c->fn = fn;
    c->arg = arg;
    c->as_admin = r->who == NULL;
    c->post = r->post;
    c->limit_ms = r->limit_ms;
    c->path = keep(c, r->path);
    c->query = keep(c, r->query);
    c->body = keep(c, r->body);
    c->second_factor = keep(c, r->second_factor);
    c->who = *who;
    c->who.key = keep(c, who->key);
    c->who.username = keep(c, who->username);
    c->who.profile = keep(c, who->profile);
    if (borrow(c))
        return c;
    call_free(c);
    return NULL;
}

void lent_call_cancel(struct lent_call *c)
{
    if (!c->cancelled && c->rest != NULL)
        rest_call_cancel(c->rest);
    c->cancelled = true;
}
