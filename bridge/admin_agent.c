#include "bridge/admin_agent.h"

#include "bridge/log.h"
#include "bridge/settings.h"
#include "rocketchat/rest_client.h"
#include <assert.h>
#include <stdlib.h>

/* No user key has a NUL, so nobody's refusals are mistaken for the admin's. */
#define ADMIN_KEY SLICE_LIT("\0admin")

#define REFUSED_MIN_MS 60000
#define REFUSED_MAX_MS 1800000
#define WRONG_ROAD_MS 5000

struct admin_agent {
    struct admin_agent_options options;
    enum admin_state state;
    char error_code[64]; /* of the last failure; "" while all is well */
    char *user_id, *token;
    bool by_password; /* the token is ours to renew and to log out */
    unsigned failures;
    uint64_t last_ticket;
    bool waiting; /* for the governor's answer to last_ticket */
    struct rest_call *call;
    uv_timer_t timer;
    void (*stopped)(void *arg); /* set: stopping */
    void *stopped_arg;
};

const char *admin_state_name(enum admin_state state)
{
    static const char *const names[] = {"off", "logging-in", "ready", "refused"};

    return names[state];
}

static void wipe(char **secret)
{
    if (*secret != NULL)
        explicit_bzero(*secret, strlen(*secret));
    free(*secret);
    *secret = NULL;
}

/* ---- when to try again ---- */

static void on_timer(uv_timer_t *timer);

/* Instances that lost the same server must not come back in step; the clock's last digits will do.
 */
static uint64_t jittered(uint64_t ms)
{
    return ms / 2 + uv_hrtime() / 1000 % (ms / 2 + 1);
}

static void try_in(struct admin_agent *a, uint64_t ms)
{
    uv_timer_start(&a->timer, on_timer, ms, 0);
}

/* Doubling from min to max with every failure in a row. */
static uint64_t pause_ms(const struct admin_agent *a, uint64_t min, uint64_t max)
{
    unsigned doublings = a->failures > 16 ? 16 : a->failures;
    uint64_t ms = min << doublings;

    return ms > max ? max : ms;
}

static void failed(struct admin_agent *a, const struct rc_error *error)
{
    const struct settings *set = a->options.settings;
    bool transient = rc_result_is_transient(error->result);
    uint64_t ms =
        transient ? jittered(pause_ms(a, set->session.backoff_min_ms, set->session.backoff_max_ms))
                  : pause_ms(a, REFUSED_MIN_MS, REFUSED_MAX_MS);

    if (ms < error->retry_after_ms)
        ms = error->retry_after_ms;
    a->failures++;
    memcpy(a->error_code, error->code, sizeof a->error_code);
    /* A token that worked is kept while only the server's health is in doubt. */
    if (a->token == NULL || !transient)
        a->state = transient ? ADMIN_LOGGING_IN : ADMIN_REFUSED;
    if (error->result == RC_TWO_FACTOR)
        log_error("admin_needs_second_factor",
                  LOG_STR("set", "Im:AdminUserId and Im:AdminToken (a personal access token made "
                                 "with \"ignore two factor\") instead of Im:AdminPassword"));
    else
        log_warn("admin_login_failed", LOG_STR("result", rc_result_name(error->result)),
                 LOG_STR("code", error->code), LOG_UINT("retry_ms", ms));
    try_in(a, ms);
}

/* ---- logging in ---- */

static void ready(struct admin_agent *a, struct slice user_id, struct slice username)
{
    a->state = ADMIN_READY;
    a->failures = 0;
    a->error_code[0] = '\0';
    log_info("admin_ready", LOG_STR("by", a->by_password ? "password" : "token"));
    a->options.on_identity(a->options.arg, user_id, username);
    /* Well before the end that other tokens of the same age come to. */
    try_in(a, (uint64_t)a->options.settings->token_cache.ttl_ms * 8 / 10);
}

static void on_logged_out(void *arg, const struct rc_error *error)
{
    (void)arg;
    if (error != NULL && error->result != RC_CANCELLED)
        log_warn("admin_logout_failed", LOG_STR("result", rc_result_name(error->result)));
}

static void keep_token(struct admin_agent *a, const struct rest_login *login)
{
    char *user_id = slice_dup(login->user_id), *token = slice_dup(login->auth_token);

    if (a->token != NULL) /* renewed: the one before must not pile up on the account */
        rest_logout(a->options.rest, slice_of(a->user_id), slice_of(a->token), on_logged_out, NULL);
    wipe(&a->token);
    free(a->user_id);
    a->user_id = user_id;
    a->token = token;
}

static void finish_stop(struct admin_agent *a);

static void on_login(void *arg, const struct rest_login *login, const struct rc_error *error,
                     const struct rest_rate *rate)
{
    struct admin_agent *a = arg;

    a->call = NULL;
    a->options.gate.done(a->options.gate.arg, a->last_ticket, LOGIN_ROAD_REST, error, rate);
    if (error == NULL)
        keep_token(a, login);
    if (a->stopped != NULL)
        finish_stop(a);
    else if (error != NULL)
        failed(a, error);
    else
        ready(a, login->user_id,
              login->username.len > 0 ? login->username
                                      : slice_of(a->options.settings->im.admin_user_name));
}

static void on_me(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    const struct rc_error other = {.result = RC_UNAUTHORIZED, .code = "other-user"};
    struct admin_agent *a = arg;

    a->call = NULL;
    if (a->stopped != NULL)
        finish_stop(a);
    else if (error != NULL)
        failed(a, error);
    else if (!slice_eq(me->user_id, slice_of(a->options.settings->im.admin_user_id)))
        failed(a, &other);
    else
        ready(a, me->user_id, me->username);
}

static void on_timer(uv_timer_t *timer)
{
    const struct rc_error no_memory = {.result = RC_NOMEM, .code = "no-memory"};
    struct admin_agent *a = timer->data;

    if (a->by_password) {
        a->waiting = true;
        a->options.gate.acquire(a->options.gate.arg, ADMIN_KEY, ++a->last_ticket);
        return;
    }
    a->call = rest_me(a->options.rest, slice_of(a->user_id), slice_of(a->token), on_me, a);
    if (a->call == NULL)
        failed(a, &no_memory);
}

void admin_agent_login_granted(struct admin_agent *a, uint64_t ticket, enum login_road road)
{
    const struct settings *set = a->options.settings;
    const struct rc_error cancelled = {.result = RC_CANCELLED, .code = "cancelled"};

    /* The agent has no DDP connection to log in by. Where REST's window is full it waits for room;
     * where REST was switched off for users, its one login a TTL goes there all the same. */
    bool usable = road == LOGIN_ROAD_REST || set->im.login_via == LOGIN_VIA_DDP;

    assert(ticket == a->last_ticket);
    a->waiting = false;
    if (usable && a->stopped == NULL)
        a->call = rest_login(a->options.rest, slice_of(set->im.admin_user_name),
                             slice_of(set->im.admin_password), on_login, a);
    if (a->call != NULL)
        return;
    a->options.gate.done(a->options.gate.arg, ticket, road, &cancelled, NULL);
    if (a->stopped != NULL)
        finish_stop(a);
    else
        try_in(a, WRONG_ROAD_MS);
}

void admin_agent_login_refused(struct admin_agent *a, uint64_t ticket, const struct rc_error *error)
{
    assert(ticket == a->last_ticket);
    a->waiting = false;
    if (a->stopped != NULL)
        finish_stop(a);
    else
        failed(a, error);
}

/* ---- life ---- */

int admin_agent_new(const struct admin_agent_options *options, struct admin_agent **out)
{
    const struct settings *set = options->settings;
    struct admin_agent *a = calloc(1, sizeof *a);

    if (a == NULL)
        return UV_ENOMEM;
    a->options = *options;
    a->last_ticket = options->ticket_base;
    uv_timer_init(options->loop, &a->timer);
    a->timer.data = a;
    if (set->im.admin_token[0] != '\0') {
        a->user_id = strdup(set->im.admin_user_id);
        a->token = strdup(set->im.admin_token);
    } else {
        a->by_password = set->im.admin_user_name[0] != '\0' && set->im.admin_password[0] != '\0';
    }
    if (a->token != NULL || a->by_password) {
        a->state = ADMIN_LOGGING_IN;
        try_in(a, 0);
    }
    *out = a;
    return 0;
}

enum admin_state admin_agent_state(const struct admin_agent *a, const char **last_error_code)
{
    *last_error_code = a->error_code;
    return a->state;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct admin_agent *a = handle->data;
    void (*stopped)(void *) = a->stopped;
    void *arg = a->stopped_arg;

    wipe(&a->token);
    free(a->user_id);
    free(a);
    stopped(arg);
}

static void close_agent(struct admin_agent *a)
{
    uv_close((uv_handle_t *)&a->timer, on_timer_closed);
}

static void on_last_logout(void *arg, const struct rc_error *error)
{
    struct admin_agent *a = arg;

    a->call = NULL;
    on_logged_out(NULL, error);
    close_agent(a);
}

static void on_stop_limit(uv_timer_t *timer)
{
    struct admin_agent *a = timer->data;

    if (a->call != NULL)
        rest_call_cancel(a->call); /* its answer ends the agent */
}

/* Nothing is under way any more but, from here on, the logout. */
static void finish_stop(struct admin_agent *a)
{
    if (a->by_password && a->token != NULL)
        a->call = rest_logout(a->options.rest, slice_of(a->user_id), slice_of(a->token),
                              on_last_logout, a);
    if (a->call == NULL)
        close_agent(a);
}

void admin_agent_stop(struct admin_agent *a, unsigned limit_ms, void (*done)(void *), void *arg)
{
    a->stopped = done;
    a->stopped_arg = arg;
    uv_timer_start(&a->timer, on_stop_limit, limit_ms, 0);
    if (a->waiting) {
        a->options.gate.cancel(a->options.gate.arg, a->last_ticket);
        a->waiting = false; /* the host delivers no answer to a stopped agent */
    }
    if (a->call == NULL)
        finish_stop(a);
}
