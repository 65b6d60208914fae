/* The token of a user's session, lent to callers who act as the user: the REST proxy, the routes of
 * ABP's shape. A caller waits here while the user is being logged in, and for as long as it said;
 * the login itself goes on without it. */
#include "base/hash.h"
#include "bridge/log/log.h"
#include "bridge/provisioning/provisioner.h"
#include "bridge/session/user_session_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Where Rocket.Chat does not tell whether a token is alive (a 429), one as young as this is taken
 * to be: else a route that answers 401 for reasons of its own would cost a login a call. */
#define YOUNG_MS 60000
/* A token found alive is not looked into again for so long, however many calls it brings a 401. */
#define CHECK_PAUSE_MS 5000

struct session_borrow {
    struct session_borrow *next;
    session_loan_fn fn;
    void *arg;
    uint64_t until_ms;
    bool check;     /* a token kept from before must be looked into */
    char refused[]; /* what Rocket.Chat did not take; "": none, or looked into already. Wiped */
};

struct token_check {
    struct user_session *session;
    char token[]; /* wiped */
};

void session_loan_refuse(session_loan_fn fn, void *arg, enum rc_result result, const char *code,
                         uint64_t retry_after_ms)
{
    struct rc_error error = {.result = result, .retry_after_ms = retry_after_ms};

    snprintf(error.code, sizeof error.code, "%s", code);
    fn(arg, NULL, &error);
}

/* ---- who waits ---- */

static bool wants_link(const struct user_session *s)
{
    return !s->yielded && (s->connections > 0 || s->linger_at_ms != 0);
}

bool session_is_wanted(const struct user_session *s)
{
    return wants_link(s) || s->borrows != NULL;
}

/* Out of the list and freed; b's fn is the caller's to run. */
static void take_out(struct user_session *s, struct session_borrow **link)
{
    struct session_borrow *b = *link;

    *link = b->next;
    explicit_bzero(b->refused, strlen(b->refused));
    free(b);
    s->borrow_at_ms = 0;
    for (b = s->borrows; b != NULL; b = b->next)
        s->borrow_at_ms = session_sooner(s->borrow_at_ms, b->until_ms);
    session_rearm(s);
}

void session_turn_away(struct user_session *s, enum rc_result result, const char *code,
                       uint64_t retry_after_ms)
{
    while (s->borrows != NULL) {
        struct session_borrow b = *s->borrows;

        take_out(s, &s->borrows);
        metrics_inc(s->table->options.metrics, METRIC_LOANS_REFUSED);
        session_loan_refuse(b.fn, b.arg, result, code, retry_after_ms);
    }
}

void session_borrows_due(struct user_session *s)
{
    uint64_t now = session_now_ms(s->table);
    struct session_borrow **link = &s->borrows;

    while (*link != NULL) {
        struct session_borrow b = **link;

        if (b.until_ms > now) {
            link = &(*link)->next;
            continue;
        }
        take_out(s, link);
        metrics_inc(s->table->options.metrics, METRIC_LOANS_TIMED_OUT);
        session_loan_refuse(b.fn, b.arg, RC_TIMED_OUT,
                            s->code[0] != '\0' ? s->code : rc_result_name(RC_TIMED_OUT), 0);
    }
}

/* ---- is a token alive? ---- */

static bool is_young(const struct user_session *s)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 - s->issued_at_ms < YOUNG_MS;
}

static bool is_refused(const struct user_session *s, const struct session_borrow *b)
{
    return strcmp(b->refused, s->token) == 0;
}

void session_believe_token(struct user_session *s)
{
    for (struct session_borrow *b = s->borrows; b != NULL; b = b->next) {
        b->check = false;
        if (is_refused(s, b))
            b->refused[0] = '\0';
    }
}

/* Somebody holds the answer 401 to this very token. */
static bool is_suspect(const struct user_session *s)
{
    for (struct session_borrow *b = s->borrows; b != NULL; b = b->next)
        if (is_refused(s, b))
            return true;
    return false;
}

/* Rocket.Chat has forgotten the token: so do we, and the next one is fetched. */
static void bury(struct user_session *s)
{
    struct token_expect expect = {slice_of(s->token), s->epoch};

    log_info("session_token_dead", LOG_ID("user", slice_of(s->key)));
    metrics_inc(s->table->options.metrics, METRIC_LOANS_TOKENS_DEAD);
    /* What is asked of the cache behind this no longer finds it. */
    if (!token_cache_remove(s->table->options.cache, slice_of(s->key), &expect,
                            TOKEN_REMOVAL_REFUSED, s->watch, session_ignore_cache, NULL)) {
        session_turn_away(s, RC_UNREACHABLE, rc_result_name(RC_NOMEM), 0);
        return;
    }
    s->stored = false;
    session_forget_token(s);
    if (session_is_up(s))
        session_leave(s, SESSION_LOGGING_IN, false);
    else if (s->state == SESSION_BACKOFF && s->borrows != NULL)
        session_begin(s);
}

/* Kept by token: a session without connections ends with the loan. */
static struct session_checked *checked_place(const struct user_session *s, uint64_t *name)
{
    *name = hash_bytes(s->token, strlen(s->token));
    return &s->table->checked[*name % SESSION_CHECKED];
}

static void note_check(const struct user_session *s)
{
    uint64_t name;
    struct session_checked *c = checked_place(s, &name);

    *c = (struct session_checked){name, session_now_ms(s->table)};
}

static bool was_checked_lately(const struct user_session *s)
{
    uint64_t name;
    const struct session_checked *c = checked_place(s, &name);

    return c->name == name && c->at_ms != 0 && session_now_ms(s->table) - c->at_ms < CHECK_PAUSE_MS;
}

static void on_checked(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    struct token_check *check = arg;
    struct user_session *s = check->session;
    bool is_it = s->token != NULL && strcmp(s->token, check->token) == 0;
    bool dead = error != NULL &&
                (error->result == RC_UNAUTHORIZED ||
                 (error->result == RC_RATE_LIMITED && is_it && is_suspect(s) && !is_young(s)));

    (void)me;
    explicit_bzero(check->token, strlen(check->token));
    free(check);
    s->check = NULL;
    s->holds--;
    if (is_it && dead) {
        bury(s);
    } else if (is_it) {
        note_check(s);
        session_believe_token(s);
    }
    session_borrows_step(s);
    session_rearm(s);
}

/* False: no memory. */
static bool check_token(struct user_session *s)
{
    struct token_check *check;

    if (s->check != NULL)
        return true;
    check = malloc(sizeof *check + strlen(s->token) + 1);
    if (check == NULL)
        return false;
    check->session = s;
    memcpy(check->token, s->token, strlen(s->token) + 1);
    s->check = rest_me(s->table->options.rest, slice_of(s->user_id), slice_of(s->token), on_checked,
                       check);
    if (s->check == NULL) {
        explicit_bzero(check->token, strlen(check->token));
        free(check);
        return false;
    }
    s->holds++;
    return true;
}

/* ---- lending ---- */

/* A login's token is nobody's before it is known whose account it gave. */
static bool has_token(const struct user_session *s)
{
    return s->token != NULL && !s->token_unwanted && !s->logging_out;
}

static void lend(struct user_session *s)
{
    struct session_borrow **link = &s->borrows;
    bool lent = false;

    while (*link != NULL) {
        struct session_borrow b = **link;
        const struct session_loan loan = {slice_of(s->user_id), slice_of(s->token),
                                          slice_of(s->username)};

        if ((b.check || (is_refused(s, *link) && !was_checked_lately(s))) && check_token(s)) {
            link = &(*link)->next;
            continue;
        }
        take_out(s, link);
        metrics_inc(s->table->options.metrics, METRIC_LOANS_OK);
        b.fn(b.arg, &loan, NULL);
        lent = true;
    }
    if (lent)
        session_touch(s);
}

void session_follow_profile(struct user_session *s)
{
    const struct provision_user user = {slice_of(s->username),
                                        (struct slice){s->profile, s->profile_len}};

    if (s->table->options.provisioner != NULL && s->profile != NULL)
        provisioner_follow(s->table->options.provisioner, &user);
}

void session_take_profile(struct user_session *s, struct slice profile)
{
    char *copy;

    if (profile.len == 0 || slice_eq(profile, (struct slice){s->profile, s->profile_len}))
        return;
    copy = malloc(profile.len);
    if (copy == NULL)
        return; /* with the next one, then */
    memcpy(copy, profile.ptr, profile.len);
    free(s->profile);
    s->profile = copy;
    s->profile_len = (uint16_t)profile.len;
    if (has_token(s))
        session_follow_profile(s);
}

void session_token_ready(struct user_session *s)
{
    bool linked = wants_link(s);

    session_follow_profile(s);

    if (!linked && !s->stored) /* logged out in a moment */
        session_turn_away(s, RC_UNREACHABLE, "token-cache-full", 0);
    lend(s);
    if (!linked)
        session_leave(s, SESSION_IDLE, !s->stored);
    else if (s->ddp != NULL)
        session_subscribe(s); /* logged in on this very connection */
    else
        session_connect(s);
}

void session_borrows_step(struct user_session *s)
{
    uint64_t now = session_now_ms(s->table);
    uint64_t left = s->step_at_ms > now ? s->step_at_ms - now : 0;

    if (s->borrows == NULL)
        return;
    if (s->state == SESSION_REFUSED) {
        session_turn_away(s, RC_REFUSED, s->code, left);
    } else if (has_token(s)) {
        lend(s);
    } else if (s->state == SESSION_IDLE) {
        if (s->yielded)
            session_fetch(s);
        else
            session_begin(s);
    } else if (s->state == SESSION_BACKOFF) {
        session_turn_away(s, RC_UNREACHABLE, s->code, left);
    } else if (s->state == SESSION_CLOSING && s->then == SESSION_IDLE) {
        s->then = SESSION_LOGGING_IN;
    }
}

bool session_borrow(struct user_session *s, const struct session_ask *ask, session_loan_fn fn,
                    void *arg)
{
    struct session_borrow *b = calloc(1, sizeof *b + ask->refused.len + 1), **last = &s->borrows;

    if (b == NULL)
        return false;
    b->fn = fn;
    b->arg = arg;
    b->check = ask->check;
    b->until_ms = session_now_ms(s->table) + ask->limit_ms;
    if (ask->refused.len > 0)
        memcpy(b->refused, ask->refused.ptr, ask->refused.len);
    while (*last != NULL)
        last = &(*last)->next;
    *last = b;
    s->borrow_at_ms = session_sooner(s->borrow_at_ms, b->until_ms);
    session_rearm(s);
    session_borrows_step(s);
    return true;
}
