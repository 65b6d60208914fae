#include "bridge/login/loan_queue.h"

#include "bridge/login/token_desk.h"
#include <assert.h>
#include <stdlib.h>

struct loan_wait {
    struct loan_wait *next;
    session_loan_fn fn;
    void *arg;
    uint64_t until_ms;
};

void loan_queue_init(struct loan_queue *q, uv_loop_t *loop)
{
    *q = (struct loan_queue){.last = &q->first};
    uv_timer_init(loop, &q->timer); /* cannot fail in libuv 1.x */
    q->timer.data = q;
}

static void answer_first(struct loan_queue *q, const struct session_loan *loan,
                         const struct rc_error *error)
{
    struct loan_wait *w = q->first;

    q->first = w->next;
    if (q->first == NULL)
        q->last = &q->first;
    w->fn(w->arg, loan, error);
    free(w);
}

static void on_timer(uv_timer_t *timer)
{
    struct loan_queue *q = timer->data;
    const uint64_t now = uv_now(timer->loop);
    struct rc_error late;

    rc_error_of(&late, RC_TIMED_OUT);
    while (q->first != NULL && q->first->until_ms <= now)
        answer_first(q, NULL, &late);
    if (q->first != NULL)
        uv_timer_start(timer, on_timer, q->first->until_ms - now, 0);
}

bool loan_queue_add(struct loan_queue *q, session_loan_fn fn, void *arg)
{
    struct loan_wait *w = calloc(1, sizeof *w);

    if (w == NULL)
        return false;
    w->fn = fn;
    w->arg = arg;
    w->until_ms = uv_now(q->timer.loop) + TOKEN_DESK_LIMIT_MS;
    *q->last = w;
    q->last = &w->next;
    if (!uv_is_active((uv_handle_t *)&q->timer))
        uv_timer_start(&q->timer, on_timer, TOKEN_DESK_LIMIT_MS, 0);
    return true;
}

void loan_queue_settle(struct loan_queue *q, const struct session_loan *loan,
                       const struct rc_error *error)
{
    uv_timer_stop(&q->timer);
    while (q->first != NULL)
        answer_first(q, loan, error);
}

static void on_closed(uv_handle_t *handle)
{
    struct loan_queue *q = handle->data;

    q->closed(q->arg);
}

void loan_queue_close(struct loan_queue *q, void (*closed)(void *arg), void *arg)
{
    assert(q->first == NULL);
    q->closed = closed;
    q->arg = arg;
    uv_close((uv_handle_t *)&q->timer, on_closed);
}
