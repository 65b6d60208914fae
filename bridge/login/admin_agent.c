#include "bridge/login/admin_agent.h"
#include "bridge/log/log.h"
#include "bridge/login/loan_queue.h"
#include "bridge/settings/settings.h"
#include "rocketchat/rest_client.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    BACKOFF_MIN_MS = 1000,
    BACKOFF_MAX_MS = 30 * 1000,
    REFUSED_MIN_MS = 60 * 1000,
    REFUSED_MAX_MS = 30 * 60 * 1000,
    WRONG_ROAD_MS = 5000,
    DOUBT_PAUSE_MS = 5000, /* between looks at `me`, however many calls bring a 401 */
};

static const char *const names[ADMIN_NSTATES] = {
    [ADMIN_OFF] = "off",
    [ADMIN_LOGGING_IN] = "logging-in",
    [ADMIN_READY] = "ready",
    [ADMIN_REFUSED] = "refused",
};

struct admin_agent {
    struct admin_agent_options options;
    uv_timer_t timer; /* the next login, look at `me`, or the end of stop's patience */
    enum admin_state state;
    bool by_password; /* else by the token the settings give */
    bool stopping, out_of_time;
    uint64_t last_ticket, ticket; /* ticket 0: none asked for */
    struct rest_call *call;
    bool granted;
    char *user_id, *token; /* token is wiped; NULL: none */
    char *username;        /* as Rocket.Chat told it; NULL: not yet */
    unsigned failures;
    uint64_t no_doubt_until_ms; /* of this token */
    struct loan_queue waiting;  /* whose token was refused: until that is looked into */
    char code[64];              /* of the last failure; empty: none */
    void (*done)(void *arg);
    void *done_arg;
};

static void attempt(struct admin_agent *a);
static void log_out_and_stop(struct admin_agent *a);
static void finish_stop(struct admin_agent *a);
static void settle(struct admin_agent *a);

enum admin_state admin_agent_state(const struct admin_agent *a, const char **last_error_code)
{
    if (last_error_code != NULL)
        *last_error_code = a->code;
    return a->state;
}

/* ---- the token at hand ---- */

static void forget_token(struct admin_agent *a)
{
    if (a->token != NULL)
        explicit_bzero(a->token, strlen(a->token));
    free(a->token);
    free(a->user_id);
    a->token = a->user_id = NULL;
}

static bool fits_header(const char *s)
{
    size_t n = 0;

    for (; s[n] != '\0'; n++)
        if (s[n] <= ' ' || s[n] >= 0x7f)
            return false;
    return n > 0;
}

static void on_old_logged_out(void *arg, const struct rc_error *error)
{
    (void)arg;
    if (error != NULL && error->result != RC_UNAUTHORIZED && error->result != RC_CANCELLED)
        log_warn("admin_logout_failed", LOG_STR("code", error->code));
}

/* A token that is given up must not pile up at Rocket.Chat; one from the settings is not ours. */
static void drop_token(struct admin_agent *a)
{
    if (a->token != NULL && a->by_password)
        rest_logout(a->options.rest, slice_of(a->user_id), slice_of(a->token), on_old_logged_out,
                    NULL);
    forget_token(a);
}

/* In the place of the one at hand. False: no memory, and nothing was changed. */
static bool take_token(struct admin_agent *a, struct slice user_id, struct slice token)
{
    char *new_id = slice_dup(user_id), *new_token = slice_dup(token);

    if (new_id == NULL || new_token == NULL) {
        free(new_id);
        free(new_token);
        return false;
    }
    drop_token(a);
    a->user_id = new_id;
    a->token = new_token;
    a->no_doubt_until_ms = 0;
    return true;
}

/* ---- the next attempt ---- */

static uint64_t jitter(uint64_t ms)
{
    uint32_t r = 0;

    uv_random(NULL, NULL, &r, sizeof r, 0, NULL);
    return ms + (uint64_t)((double)ms / 10 * (r / (double)UINT32_MAX));
}

static void on_timer(uv_timer_t *timer);

static void again_in(struct admin_agent *a, uint64_t ms)
{
    if (!a->stopping)
        uv_timer_start(&a->timer, on_timer, ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct admin_agent *a = timer->data;

    if (a->call != NULL)
        again_in(a, BACKOFF_MIN_MS); /* the token is being looked into (doubt_token()) */
    else
        attempt(a);
}

static uint64_t doubling(uint64_t least, uint64_t most, unsigned times)
{
    uint64_t ms = least << (times < 8 ? times : 8);

    return ms < most ? ms : most;
}

static bool is_refusal(enum rc_result r)
{
    return r == RC_UNAUTHORIZED || r == RC_TWO_FACTOR || r == RC_DEACTIVATED || r == RC_REFUSED ||
           r == RC_NOT_ALLOWED || r == RC_BLOCKED_USER;
}

static void say_why(const struct admin_agent *a, const struct rc_error *error)
{
    const char *hint = "check Im:AdminUserName and Im:AdminPassword";

    if (!a->by_password)
        hint = "check Im:AdminUserId and Im:AdminToken";
    else if (error->result == RC_TWO_FACTOR)
        hint = "the account asks for a second factor: set Im:AdminUserId and Im:AdminToken "
               "(a personal access token that ignores it) instead of Im:AdminPassword";
    if (is_refusal(error->result))
        log_error("admin_login_refused", LOG_STR("code", error->code), LOG_STR("hint", hint));
    else
        log_warn("admin_login_failed", LOG_STR("code", error->code));
}

static void fail(struct admin_agent *a, const struct rc_error *error)
{
    bool refused = is_refusal(error->result);
    uint64_t pause;

    if (strcmp(a->code, error->code) != 0) /* once, not at every try */
        say_why(a, error);
    snprintf(a->code, sizeof a->code, "%s", error->code);
    if (refused) {
        drop_token(a);
        a->state = ADMIN_REFUSED;
        pause = doubling(REFUSED_MIN_MS, REFUSED_MAX_MS, a->failures++);
    } else {
        /* A renewal that fails for now leaves the old token in use. */
        if (a->state != ADMIN_READY)
            a->state = ADMIN_LOGGING_IN;
        pause = doubling(BACKOFF_MIN_MS, BACKOFF_MAX_MS, a->failures++);
    }
    if (error->result == RC_BLOCKED_USER && pause < RC_LOGIN_BLOCK_MS)
        pause = RC_LOGIN_BLOCK_MS;
    if (error->retry_after_ms > pause)
        pause = error->retry_after_ms;
    again_in(a, jitter(pause));
    settle(a);
}

static void succeed(struct admin_agent *a, struct slice username)
{
    char *name = slice_dup(username);

    if (name != NULL) {
        free(a->username);
        a->username = name;
    }
    log_info("admin_ready", LOG_ID("rc_user", slice_of(a->user_id)));
    a->state = ADMIN_READY;
    a->failures = 0;
    a->code[0] = '\0';
    a->options.on_identity(a->options.arg, slice_of(a->user_id), username);
    /* Well before the time to live ends, so that there is time to retry. */
    again_in(a, jitter(a->options.settings->token_cache.ttl_ms / 5 * 4));
    settle(a);
}

/* ---- attempts ---- */

static void on_me(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    struct admin_agent *a = arg;
    const struct settings *settings = a->options.settings;
    struct rc_error other;

    a->call = NULL;
    if (a->stopping) {
        finish_stop(a);
        return;
    }
    if (error == NULL && !slice_eq(me->user_id, slice_of(settings->im.admin_user_id))) {
        rc_error_of(&other, RC_UNAUTHORIZED);
        error = &other;
    }
    if (error != NULL)
        fail(a, error);
    else
        succeed(a, me->username);
}

static void fail_with(struct admin_agent *a, enum rc_result result)
{
    struct rc_error error;

    rc_error_of(&error, result);
    fail(a, &error);
}

static void check_given_token(struct admin_agent *a)
{
    const struct settings *settings = a->options.settings;
    const char *user_id = settings->im.admin_user_id, *token = settings->im.admin_token;

    if (!fits_header(user_id) || !fits_header(token)) {
        fail_with(a, RC_REFUSED);
        return;
    }
    if (a->token == NULL && !take_token(a, slice_of(user_id), slice_of(token))) {
        fail_with(a, RC_NOMEM);
        return;
    }
    a->call = rest_me(a->options.rest, slice_of(a->user_id), slice_of(a->token), on_me, a);
    if (a->call == NULL)
        fail_with(a, RC_NOMEM);
}

static void attempt(struct admin_agent *a)
{
    if (!a->by_password) {
        check_given_token(a);
        return;
    }
    a->ticket = a->options.ticket_base + ++a->last_ticket;
    a->granted = false;
    a->options.gate.acquire(a->options.gate.arg, (struct slice){"\0admin", 6}, a->ticket);
}

static void on_login(void *arg, const struct rest_login *login, const struct rc_error *error,
                     const struct rest_rate *rate)
{
    struct admin_agent *a = arg;
    uint64_t ticket = a->ticket;
    struct rc_error no_memory;

    a->call = NULL;
    a->ticket = 0;
    a->options.gate.done(a->options.gate.arg, ticket, LOGIN_ROAD_REST, error, rate);
    if (error == NULL && !take_token(a, login->user_id, login->auth_token)) {
        rc_error_of(&no_memory, RC_NOMEM);
        error = &no_memory;
    }
    if (a->stopping) { /* what was under way may have brought a token all the same */
        log_out_and_stop(a);
    } else if (error != NULL) {
        fail(a, error);
    } else {
        succeed(a, login->username.len > 0 ? login->username
                                           : slice_of(a->options.settings->im.admin_user_name));
    }
}

void admin_agent_login_granted(struct admin_agent *a, uint64_t ticket, enum login_road road)
{
    const struct settings *settings = a->options.settings;
    struct rc_error error;

    /* The agent has no DDP connection to log in by. Where REST's window is full it waits for room;
     * where REST was switched off for users, its one login a TTL goes there all the same. */
    bool usable = road == LOGIN_ROAD_REST || settings->im.login_via == LOGIN_VIA_DDP ||
                  settings->provisioning.password_policy == PASSWORD_TOKEN;

    rc_error_of(&error, RC_CANCELLED);
    if (ticket != a->ticket || a->stopping) { /* crossed our cancel */
        a->options.gate.done(a->options.gate.arg, ticket, road, &error, NULL);
        return;
    }
    if (usable) {
        rc_error_of(&error, RC_NOMEM);
        a->call = rest_login(a->options.rest, slice_of(settings->im.admin_user_name),
                             slice_of(settings->im.admin_password), on_login, a);
    }
    a->granted = a->call != NULL;
    if (a->granted)
        return;
    a->ticket = 0;
    a->options.gate.done(a->options.gate.arg, ticket, road, &error, NULL);
    if (usable)
        fail(a, &error);
    else
        again_in(a, jitter(WRONG_ROAD_MS));
}

void admin_agent_login_refused(struct admin_agent *a, uint64_t ticket, const struct rc_error *error)
{
    if (ticket != a->ticket || a->stopping)
        return;
    a->ticket = 0;
    fail(a, error);
}

/* ---- lending ---- */

static void on_doubted(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    struct admin_agent *a = arg;

    (void)me;
    a->call = NULL;
    if (a->stopping) {
        log_out_and_stop(a);
        return;
    }
    if (error == NULL || error->result != RC_UNAUTHORIZED) {
        settle(a);
        return;
    }
    log_warn("admin_token_dead");
    forget_token(a);
    a->state = ADMIN_LOGGING_IN;
    again_in(a, 0);
}

static bool is_being_looked_into(const struct admin_agent *a)
{
    return a->call != NULL || a->ticket != 0;
}

/* A renewal under way, or a token that is not ours to renew, is looked at anyway. */
static void doubt_token(struct admin_agent *a)
{
    uint64_t now = uv_now(a->options.loop);

    if (is_being_looked_into(a) || now < a->no_doubt_until_ms)
        return;
    a->no_doubt_until_ms = now + DOUBT_PAUSE_MS;
    if (a->by_password)
        a->call = rest_me(a->options.rest, slice_of(a->user_id), slice_of(a->token), on_doubted, a);
    else
        check_given_token(a);
}

/* False: there is none; error says why. */
static bool token_at_hand(const struct admin_agent *a, struct session_loan *loan,
                          struct rc_error *error)
{
    *error = (struct rc_error){.result = RC_UNREACHABLE};
    if (a->state == ADMIN_READY) {
        *loan =
            (struct session_loan){slice_of(a->user_id), slice_of(a->token), slice_of(a->username)};
        return true;
    }
    if (a->state != ADMIN_LOGGING_IN)
        error->result = RC_REFUSED;
    snprintf(error->code, sizeof error->code, "admin-%s", names[a->state]);
    return false;
}

static void settle(struct admin_agent *a)
{
    struct session_loan loan;
    struct rc_error error;
    bool ready = token_at_hand(a, &loan, &error);

    loan_queue_settle(&a->waiting, ready ? &loan : NULL, ready ? NULL : &error);
}

void admin_agent_lend(struct admin_agent *a, struct slice refused, session_loan_fn fn, void *arg)
{
    struct session_loan loan;
    struct rc_error error;
    bool ready = token_at_hand(a, &loan, &error), waits = false;

    if (ready && slice_eq(refused, loan.auth_token)) {
        doubt_token(a);
        ready = token_at_hand(a, &loan, &error);
        waits = is_being_looked_into(a);
    } else if (a->state == ADMIN_LOGGING_IN) { /* in the place of one that is known to be dead */
        waits = refused.len > 0 || a->waiting.first != NULL;
    }
    if (!waits || !loan_queue_add(&a->waiting, fn, arg))
        fn(arg, ready ? &loan : NULL, ready ? NULL : &error);
}

/* ---- start and stop ---- */

int admin_agent_new(const struct admin_agent_options *options, struct admin_agent **out)
{
    const struct settings *settings = options->settings;
    struct admin_agent *a = calloc(1, sizeof *a);
    int rc;

    if (a == NULL)
        return UV_ENOMEM;
    a->options = *options;
    rc = uv_timer_init(options->loop, &a->timer);
    if (rc != 0) {
        free(a);
        return rc;
    }
    loan_queue_init(&a->waiting, options->loop);
    a->timer.data = a;
    *out = a;
    if (settings->im.admin_user_id[0] != '\0') {
        a->state = ADMIN_LOGGING_IN;
        again_in(a, 0);
    } else if (settings->im.admin_user_name[0] != '\0') {
        a->by_password = true;
        a->state = ADMIN_LOGGING_IN;
        again_in(a, 0);
    }
    return 0;
}

static void on_queue_closed(void *arg)
{
    struct admin_agent *a = arg;
    void (*done)(void *) = a->done;
    void *done_arg = a->done_arg;

    forget_token(a);
    free(a->username);
    free(a);
    done(done_arg);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct admin_agent *a = handle->data;

    loan_queue_close(&a->waiting, on_queue_closed, a);
}

static void finish_stop(struct admin_agent *a)
{
    if (a->call == NULL && !uv_is_closing((uv_handle_t *)&a->timer))
        uv_close((uv_handle_t *)&a->timer, on_timer_closed);
}

static void on_stop_logged_out(void *arg, const struct rc_error *error)
{
    struct admin_agent *a = arg;

    a->call = NULL;
    if (error == NULL)
        log_info("admin_logged_out", LOG_ID("rc_user", slice_of(a->user_id)));
    else
        on_old_logged_out(NULL, error);
    finish_stop(a);
}

static void log_out_and_stop(struct admin_agent *a)
{
    if (a->by_password && a->token != NULL && !a->out_of_time)
        a->call = rest_logout(a->options.rest, slice_of(a->user_id), slice_of(a->token),
                              on_stop_logged_out, a);
    finish_stop(a);
}

static void on_patience_over(uv_timer_t *timer)
{
    struct admin_agent *a = timer->data;

    a->out_of_time = true;
    if (a->call != NULL)
        rest_call_cancel(a->call); /* its answer ends the agent */
}

void admin_agent_stop(struct admin_agent *a, unsigned limit_ms, void (*done)(void *arg), void *arg)
{
    struct rc_error cancelled;

    assert(!a->stopping);
    a->stopping = true;
    a->state = ADMIN_OFF;
    a->done = done;
    a->done_arg = arg;
    rc_error_of(&cancelled, RC_CANCELLED);
    loan_queue_settle(&a->waiting, NULL, &cancelled);
    if (a->ticket != 0 && !a->granted)
        a->options.gate.cancel(a->options.gate.arg, a->ticket);
    uv_timer_start(&a->timer, on_patience_over, limit_ms, 0);
    if (a->call == NULL)
        log_out_and_stop(a);
    else if (!a->by_password)
        rest_call_cancel(a->call);
}
