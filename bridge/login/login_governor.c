#include "bridge/login/login_governor.h"
#include "base/hash.h"
#include "bridge/login/login_pace.h"
#include <assert.h>
#include <stdlib.h>

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define HASH_NONFATAL_OOM 1
#include <uthash.h>
#include <utlist.h>

enum {
    MINUTE_MS = 60 * 1000,
    REFUSED_FIRST_MS = MINUTE_MS,
    REFUSED_LONGEST_MS = 30 * MINUTE_MS,
    PAUSE_FIRST_MS = 5 * MINUTE_MS,
    PAUSE_LONGEST_MS = 30 * MINUTE_MS,
    REFUSALS_TO_PAUSE = 20,
    REFUSALS_WITHIN_MS = 5 * MINUTE_MS,
    /* What a server may tell us to wait, however wrong its headers are. */
    RATE_LONGEST_MS = 10 * MINUTE_MS,
    /* Evenly over the second: twenty at its beginning would hold up who is there. A turn may come
     * so much late without a loss of pace. */
    DDP_SLACK_MS = 50,
    DDP_BACK_OFF_MS = 10 * 1000, /* the interval of Rocket.Chat's DDP login rules */
};

struct refusal {
    uint64_t until_ms;
    uint64_t wait_ms; /* doubles */
    enum rc_result why;
    UT_hash_handle hh; /* iterates oldest first */
    size_t user_len;
    char user[];
};

/* Calls allowed on REST. Until the server tells its window we keep the times of our last calls, so
 * that no window of its, wherever it begins, sees too many. */
struct rest_window {
    bool told;
    bool guessed;         /* told, but the current window is our own reckoning */
    uint32_t limit, left; /* left: until ends_ms, when told */
    uint32_t lowest;      /* what the server said was left in this window */
    uint64_t ends_ms;
    uint32_t running;
    uint64_t *calls; /* ring of the last options.rest_calls */
    size_t ncalls, next_call;
};

struct login_governor {
    struct login_governor_options options;
    struct login_ticket *queue;
    struct rest_window rest;
    uint64_t ddp_due_us; /* when the next DDP login is due, in an even pace */
    uint64_t ddp_closed_until_ms;
    struct refusal *refusals;
    uint64_t refused_at_ms[REFUSALS_TO_PAUSE]; /* ring of the last ones, all users */
    size_t nrefused, next_refused;
    enum login_pause pause;
    uint64_t paused_until_ms, pause_ms;
    struct login_pace pace;
    struct login_governor_stats stats;
};

static uint64_t at_most(uint64_t value, uint64_t limit)
{
    return value < limit ? value : limit;
}

struct login_governor *login_governor_new(const struct login_governor_options *options)
{
    struct login_governor *g = calloc(1, sizeof *g);

    assert(options->rest_calls > 0 && options->max_running > 0 && options->max_refused_users > 0);
    if (g == NULL)
        return NULL;
    g->options = *options;
    g->rest.limit = options->rest_calls;
    g->rest.calls = calloc(options->rest_calls, sizeof *g->rest.calls);
    if (g->rest.calls == NULL) {
        free(g);
        return NULL;
    }
    return g;
}

static void forget(struct login_governor *g, struct refusal *r)
{
    HASH_DEL(g->refusals, r);
    free(r);
}

void login_governor_free(struct login_governor *g)
{
    struct refusal *r, *next;

    if (g == NULL)
        return;
    HASH_ITER(hh, g->refusals, r, next)
    {
        forget(g, r);
    }
    free(g->rest.calls);
    free(g);
}

/* --- refusals --- */

static struct refusal *find_refusal(const struct login_governor *g, struct slice user)
{
    struct refusal *r;

    HASH_FIND(hh, g->refusals, user.ptr, user.len, r);
    return r;
}

uint64_t login_governor_refused_until(const struct login_governor *g, uint64_t now_ms,
                                      struct slice user, enum rc_result *why)
{
    const struct refusal *r = find_refusal(g, user);

    if (r == NULL || r->until_ms <= now_ms)
        return 0;
    if (why != NULL)
        *why = r->why;
    return r->until_ms;
}

static void remember_refusal(struct login_governor *g, uint64_t now_ms, struct slice user,
                             enum rc_result why)
{
    struct refusal *r = find_refusal(g, user);

    if (r != NULL) {
        HASH_DEL(g->refusals, r);
        memset(&r->hh, 0, sizeof r->hh);
    } else {
        if (HASH_COUNT(g->refusals) >= g->options.max_refused_users)
            forget(g, g->refusals);
        r = calloc(1, sizeof *r + user.len);
        if (r == NULL)
            return;
        memcpy(r->user, user.ptr, user.len);
        r->user_len = user.len;
    }
    r->wait_ms = r->wait_ms == 0 ? REFUSED_FIRST_MS : at_most(2 * r->wait_ms, REFUSED_LONGEST_MS);
    if (why == RC_BLOCKED_USER && r->wait_ms < RC_LOGIN_BLOCK_MS)
        r->wait_ms = RC_LOGIN_BLOCK_MS;
    r->until_ms = now_ms + r->wait_ms;
    r->why = why;
    HASH_ADD_KEYPTR(hh, g->refusals, r->user, r->user_len, r); /* last: the newest */
    if (r->hh.tbl == NULL)
        free(r); /* no memory: one try more than there should be, the least harm */
}

uint64_t login_governor_paced_until(const struct login_governor *g, uint64_t now_ms,
                                    struct slice user)
{
    return login_pace_until(&g->pace, now_ms, user);
}

/* --- the pause --- */

enum login_pause login_governor_pause(const struct login_governor *g, uint64_t now_ms,
                                      uint64_t *until_ms)
{
    if (now_ms >= g->paused_until_ms)
        return LOGIN_PAUSE_NONE;
    if (until_ms != NULL)
        *until_ms = g->paused_until_ms;
    return g->pause;
}

static void start_pause(struct login_governor *g, uint64_t now_ms, enum login_pause why)
{
    if (now_ms < g->paused_until_ms)
        return; /* logins that were under way when it began; they are not news */
    g->pause = why;
    g->pause_ms = g->pause_ms == 0 ? PAUSE_FIRST_MS : at_most(2 * g->pause_ms, PAUSE_LONGEST_MS);
    g->paused_until_ms = now_ms + g->pause_ms;
    g->stats.pauses++;
}

static void count_refusal(struct login_governor *g, uint64_t now_ms)
{
    uint64_t oldest;

    g->refused_at_ms[g->next_refused] = now_ms;
    g->next_refused = (g->next_refused + 1) % REFUSALS_TO_PAUSE;
    if (g->nrefused < REFUSALS_TO_PAUSE)
        g->nrefused++;
    oldest = g->refused_at_ms[g->next_refused];
    if (g->nrefused == REFUSALS_TO_PAUSE && now_ms - oldest < REFUSALS_WITHIN_MS)
        start_pause(g, now_ms, LOGIN_PAUSE_REFUSALS);
}

/* --- the roads: from when on one more login fits --- */

static uint64_t rest_ready_ms(const struct login_governor *g, uint64_t now_ms)
{
    const struct rest_window *w = &g->rest;
    uint64_t oldest;

    if (w->told)
        return w->left > 0 || now_ms >= w->ends_ms ? now_ms : w->ends_ms;
    if (w->ncalls < w->limit)
        return now_ms;
    oldest = w->calls[w->next_call] + g->options.rest_window_ms;
    return oldest > now_ms ? oldest : now_ms;
}

static uint64_t ddp_ready_ms(const struct login_governor *g, uint64_t now_ms)
{
    uint64_t ready = g->ddp_closed_until_ms > now_ms ? g->ddp_closed_until_ms : now_ms;
    uint64_t due = g->ddp_due_us / 1000;

    return ready + DDP_SLACK_MS >= due ? ready : due - DDP_SLACK_MS;
}

static void use_rest(struct login_governor *g, uint64_t now_ms)
{
    struct rest_window *w = &g->rest;

    if (w->told) {
        if (now_ms >= w->ends_ms) { /* a new window; what is still under way falls into it */
            w->lowest = w->limit;
            w->left = w->limit > w->running ? w->limit - w->running : 1;
            w->ends_ms = now_ms + g->options.rest_window_ms;
            w->guessed = true;
        }
        w->left--;
    } else {
        w->calls[w->next_call] = now_ms;
        w->next_call = (w->next_call + 1) % w->limit;
        if (w->ncalls < w->limit)
            w->ncalls++;
    }
    w->running++;
    g->stats.granted_rest++;
}

static void use_ddp(struct login_governor *g, uint64_t now_ms)
{
    if (g->options.ddp_per_second > 0) {
        if (g->ddp_due_us < now_ms * 1000)
            g->ddp_due_us = now_ms * 1000;
        g->ddp_due_us += 1000000 / g->options.ddp_per_second;
    }
    g->stats.granted_ddp++;
}

/* The window as the server tells it. What is still under way may or may not be in its count; taken
 * as not, which errs towards too few until it has been answered. A window that is over tells
 * nothing about the next. */
static void learn_window(struct rest_window *w, uint64_t now_ms, const struct rest_rate *rate)
{
    uint64_t ends_ms = now_ms + at_most(rate->reset_in_ms, RATE_LONGEST_MS);
    bool same_window = w->told && !w->guessed && now_ms < w->ends_ms && ends_ms < w->ends_ms + 2000;

    if (rate->reset_in_ms == 0)
        return;
    w->limit = rate->limit > 0 ? rate->limit : 1;
    if (!same_window || rate->remaining < w->lowest) /* answers overtake each other: */
        w->lowest = rate->remaining;                 /* the lower one is later */
    if (w->lowest > w->limit)
        w->lowest = w->limit;
    w->left = w->lowest > w->running ? w->lowest - w->running : 0;
    w->ends_ms = same_window && w->ends_ms > ends_ms ? w->ends_ms : ends_ms;
    w->told = true;
    w->guessed = false;
}

/* --- the queue --- */

enum login_request_result login_governor_request(struct login_governor *g, uint64_t now_ms,
                                                 struct slice user, struct login_ticket *ticket)
{
    assert(ticket->state == LOGIN_TICKET_IDLE);
    if (login_governor_refused_until(g, now_ms, user, NULL) > 0) {
        g->stats.turned_away_refused++;
        return LOGIN_REQUEST_REFUSED;
    }
    if (login_pace_until(&g->pace, now_ms, user) > 0) {
        g->stats.turned_away_paced++;
        return LOGIN_REQUEST_PACED;
    }
    if (g->stats.queued >= g->options.max_queued && !ticket->ahead) {
        g->stats.turned_away_full++;
        return LOGIN_REQUEST_FULL;
    }
    ticket->state = LOGIN_TICKET_QUEUED;
    if (ticket->ahead)
        DL_PREPEND(g->queue, ticket);
    else
        DL_APPEND(g->queue, ticket);
    g->stats.queued++;
    return LOGIN_REQUEST_QUEUED;
}

/* When the head of the queue may go, were there room for one more running. */
static uint64_t ready_ms(const struct login_governor *g, uint64_t now_ms, enum login_road *road)
{
    uint64_t from = now_ms > g->paused_until_ms ? now_ms : g->paused_until_ms;
    uint64_t rest = rest_ready_ms(g, from), ddp = ddp_ready_ms(g, from);

    if (g->options.via == LOGIN_VIA_REST || (g->options.via == LOGIN_VIA_AUTO && rest <= ddp)) {
        *road = LOGIN_ROAD_REST;
        return rest;
    }
    *road = LOGIN_ROAD_DDP;
    return ddp;
}

/* For the head of the queue. */
static bool has_room(const struct login_governor *g)
{
    return g->queue != NULL && (g->stats.running < g->options.max_running || g->queue->ahead);
}

uint64_t login_governor_wakeup_ms(const struct login_governor *g, uint64_t now_ms)
{
    enum login_road road;

    if (!has_room(g))
        return UINT64_MAX;
    return ready_ms(g, now_ms, &road);
}

struct login_ticket *login_governor_next(struct login_governor *g, uint64_t now_ms)
{
    struct login_ticket *t = g->queue;

    if (!has_room(g) || ready_ms(g, now_ms, &t->road) > now_ms)
        return NULL;
    DL_DELETE(g->queue, t);
    g->stats.queued--;
    g->stats.running++;
    t->state = LOGIN_TICKET_RUNNING;
    if (t->road == LOGIN_ROAD_REST)
        use_rest(g, now_ms);
    else
        use_ddp(g, now_ms);
    return t;
}

static void end_running(struct login_governor *g, struct login_ticket *t)
{
    assert(t->state == LOGIN_TICKET_RUNNING);
    t->state = LOGIN_TICKET_IDLE;
    g->stats.running--;
    if (t->road == LOGIN_ROAD_REST)
        g->rest.running--;
}

static void back_off(struct login_governor *g, uint64_t now_ms, enum login_road road,
                     uint64_t retry_after_ms, const struct rest_rate *rate)
{
    uint64_t wait = retry_after_ms;

    g->stats.rate_limited++;
    if (road == LOGIN_ROAD_DDP) {
        wait = wait > 0 ? at_most(wait, RATE_LONGEST_MS) : DDP_BACK_OFF_MS;
        g->ddp_closed_until_ms = now_ms + wait;
        return;
    }
    if (wait == 0 && rate != NULL)
        wait = rate->reset_in_ms;
    if (wait == 0)
        wait = g->options.rest_window_ms;
    learn_window(&g->rest, now_ms,
                 &(struct rest_rate){.limit = g->rest.limit, .reset_in_ms = wait});
}

static void on_success(struct login_governor *g, uint64_t now_ms, struct slice user)
{
    struct refusal *r = find_refusal(g, user);

    g->stats.succeeded++;
    g->pause_ms = 0;
    login_pace_note(&g->pace, now_ms, user);
    if (r != NULL)
        forget(g, r);
}

void login_governor_done(struct login_governor *g, uint64_t now_ms, struct login_ticket *ticket,
                         struct slice user, const struct rc_error *error,
                         const struct rest_rate *rate)
{
    enum rc_result result = error != NULL ? error->result : RC_OK;

    end_running(g, ticket);
    if (ticket->road == LOGIN_ROAD_DDP || rate == NULL || !rate->known)
        rate = NULL;
    else
        learn_window(&g->rest, now_ms, rate);
    switch (result) {
    case RC_OK:
        on_success(g, now_ms, user);
        break;
    case RC_UNAUTHORIZED:
    case RC_TWO_FACTOR:
    case RC_DEACTIVATED:
    case RC_REFUSED:
    case RC_BLOCKED_USER:
        g->stats.refused++;
        remember_refusal(g, now_ms, user, result);
        count_refusal(g, now_ms);
        break;
    case RC_BLOCKED_IP:
        g->stats.failed++;
        start_pause(g, now_ms, LOGIN_PAUSE_BLOCKED_IP);
        break;
    case RC_RATE_LIMITED:
        g->stats.failed++;
        back_off(g, now_ms, ticket->road, error->retry_after_ms, rate);
        break;
    case RC_CANCELLED:
        g->stats.cancelled++;
        break;
    default:
        g->stats.failed++;
    }
}

void login_governor_cancel(struct login_governor *g, struct login_ticket *ticket)
{
    if (ticket->state == LOGIN_TICKET_IDLE)
        return;
    g->stats.cancelled++;
    if (ticket->state == LOGIN_TICKET_RUNNING) {
        end_running(g, ticket);
        return;
    }
    DL_DELETE(g->queue, ticket);
    ticket->state = LOGIN_TICKET_IDLE;
    g->stats.queued--;
}

void login_governor_use(struct login_governor *g, enum settings_login_via via)
{
    g->options.via = via;
}

const struct login_governor_stats *login_governor_stats(const struct login_governor *g)
{
    return &g->stats;
}
