#include "bridge/login/logout_queue.h"
#include "bridge/log/log.h"
#include "rocketchat/rest_client.h"
#include <assert.h>
#include <stdlib.h>

enum {
    PARALLEL = 4,
    ATTEMPTS = 3,
    PAUSE_MS = 5000,
    LIMITED_PAUSE_MS = 10000,
    HURRIED_PAUSE_MS = 100,
    HURRIED_FAILURES = PARALLEL, /* in a row: the server is not there */
};

struct logout {
    struct logout *next;
    struct logout_queue *queue;
    struct rest_call *call; /* under way; NULL: waiting */
    unsigned attempts;
    struct slice user_id, token; /* into bytes */
    size_t nbytes;
    char bytes[];
};

struct logout_queue {
    struct rest_client *rest;
    uv_timer_t timer; /* runs: paused, or about to start more */
    struct logout *first, **last;
    struct logout *running;
    size_t waiting, nrunning, max_waiting;
    unsigned failures; /* in a row, that may pass */
    bool hurried, freeing;
    uint64_t until_ms; /* when hurried: nothing waits longer */
    void (*done)(void *arg);
    void *done_arg;
};

static void logout_free(struct logout *l)
{
    explicit_bzero(l->bytes, l->nbytes);
    free(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct logout_queue *q = handle->data;
    void (*done)(void *) = q->done;
    void *arg = q->done_arg;

    free(q);
    done(arg);
}

static void close_when_empty(struct logout_queue *q)
{
    if (q->freeing && q->nrunning == 0)
        uv_close((uv_handle_t *)&q->timer, on_timer_closed);
}

static void enqueue(struct logout_queue *q, struct logout *l)
{
    l->next = NULL;
    *q->last = l;
    q->last = &l->next;
    q->waiting++;
}

static void start_some(uv_timer_t *timer);

/* Starts what may start in delay_ms, unless a pause under way ends later still. */
static void schedule(struct logout_queue *q, uint64_t delay_ms)
{
    uint64_t due = uv_is_active((uv_handle_t *)&q->timer) ? uv_timer_get_due_in(&q->timer) : 0;

    if (!q->freeing)
        uv_timer_start(&q->timer, start_some, delay_ms > due ? delay_ms : due, 0);
}

static void drop_waiting(struct logout_queue *q)
{
    while (q->first != NULL) {
        struct logout *l = q->first;

        q->first = l->next;
        logout_free(l);
    }
    q->last = &q->first;
    q->waiting = 0;
}

static void give_up(struct logout_queue *q, const char *code)
{
    if (q->waiting > 0)
        log_warn("token_logouts_given_up", LOG_UINT("tokens", q->waiting), LOG_STR("code", code));
    drop_waiting(q);
}

/* How long to wait behind a failure that may pass. */
static uint64_t pause_of(const struct logout_queue *q, const struct rc_error *error)
{
    if (error->result == RC_RATE_LIMITED)
        return error->retry_after_ms > 0 ? error->retry_after_ms : LIMITED_PAUSE_MS;
    return q->hurried ? HURRIED_PAUSE_MS : PAUSE_MS;
}

static bool is_in_vain(const struct logout_queue *q, uint64_t pause_ms)
{
    return q->hurried &&
           (q->failures >= HURRIED_FAILURES || uv_now(q->timer.loop) + pause_ms >= q->until_ms);
}

static void on_done(void *arg, const struct rc_error *error)
{
    struct logout *l = arg, **link = &l->queue->running;
    struct logout_queue *q = l->queue;
    uint64_t pause = 0;
    bool again = error != NULL && rc_result_is_transient(error->result) && !q->freeing;

    while (*link != l)
        link = &(*link)->next;
    *link = l->next;
    q->nrunning--;
    l->call = NULL;
    if (again)
        pause = pause_of(q, error);
    q->failures = again ? q->failures + 1 : 0;
    if (again && error->result != RC_RATE_LIMITED)
        again = ++l->attempts < ATTEMPTS;
    /* RC_UNAUTHORIZED is as good as done: the token was gone already. */
    if (error != NULL && !again && error->result != RC_UNAUTHORIZED &&
        error->result != RC_CANCELLED)
        log_warn("token_logout_failed", LOG_ID("rc_user", l->user_id),
                 LOG_STR("code", error->code));
    if (again)
        enqueue(q, l);
    else
        logout_free(l);
    if (pause > 0 && is_in_vain(q, pause))
        give_up(q, error->code);
    if (q->waiting > 0)
        schedule(q, pause);
    close_when_empty(q);
}

static void start_some(uv_timer_t *timer)
{
    struct logout_queue *q = timer->data;

    while (q->waiting > 0 && q->nrunning < PARALLEL) {
        struct logout *l = q->first;

        q->first = l->next;
        if (q->first == NULL)
            q->last = &q->first;
        q->waiting--;
        l->call = rest_logout(q->rest, l->user_id, l->token, on_done, l);
        if (l->call == NULL) {
            log_warn("token_logout_failed", LOG_ID("rc_user", l->user_id),
                     LOG_STR("code", rc_result_name(RC_NOMEM)));
            logout_free(l);
            continue;
        }
        l->next = q->running;
        q->running = l;
        q->nrunning++;
    }
}

int logout_queue_new(uv_loop_t *loop, struct rest_client *rest, size_t max_waiting,
                     struct logout_queue **out)
{
    struct logout_queue *q = calloc(1, sizeof *q);
    int rc;

    if (q == NULL)
        return UV_ENOMEM;
    rc = uv_timer_init(loop, &q->timer);
    if (rc != 0) {
        free(q);
        return rc;
    }
    q->timer.data = q;
    q->rest = rest;
    q->max_waiting = max_waiting;
    q->last = &q->first;
    *out = q;
    return 0;
}

void logout_queue_add(struct logout_queue *q, struct slice user_id, struct slice token)
{
    size_t n = user_id.len + token.len;
    struct logout *l = NULL;

    assert(user_id.len > 0 && token.len > 0);
    if (q->waiting < q->max_waiting && !q->freeing)
        l = calloc(1, sizeof *l + n);
    if (l == NULL) {
        log_warn("token_logout_dropped", LOG_ID("rc_user", user_id),
                 LOG_UINT("waiting", q->waiting));
        return;
    }
    l->queue = q;
    l->nbytes = n;
    memcpy(l->bytes, user_id.ptr, user_id.len);
    memcpy(l->bytes + user_id.len, token.ptr, token.len);
    l->user_id = (struct slice){l->bytes, user_id.len};
    l->token = (struct slice){l->bytes + user_id.len, token.len};
    enqueue(q, l);
    schedule(q, 0);
}

size_t logout_queue_pending(const struct logout_queue *q)
{
    return q->waiting + q->nrunning;
}

void logout_queue_hurry(struct logout_queue *q, unsigned limit_ms)
{
    q->hurried = true;
    q->until_ms = uv_now(q->timer.loop) + limit_ms;
    q->failures = 0;
    if (uv_is_active((uv_handle_t *)&q->timer)) /* a longer pause, perhaps */
        uv_timer_start(&q->timer, start_some, 0, 0);
}

void logout_queue_free(struct logout_queue *q, void (*done)(void *arg), void *arg)
{
    q->freeing = true;
    q->done = done;
    q->done_arg = arg;
    uv_timer_stop(&q->timer);
    drop_waiting(q);
    for (struct logout *l = q->running; l != NULL; l = l->next)
        rest_call_cancel(l->call);
    close_when_empty(q);
}
