/* A hub call's question to Rocket.Chat: a DDP method on the session's own connection, or a REST
 * call with its token where Rocket.Chat has no such method (8.x and 9.x take many away). */
#include "bridge/session/session_calls_internal.h"

/* ---- DDP ---- */

static void on_result(void *arg, struct slice result, const struct rc_error *error)
{
    struct session_call *call = arg;

    call->session->calls->running--;
    call->step(call, result, error);
}

void session_ask_ddp(struct session_call *call, const char *method, struct slice params,
                     call_step_fn step)
{
    struct user_session *s = call->session;
    uint64_t wait_ms;

    if (s->state != SESSION_LIVE) { /* a later step of a call */
        session_call_fail_not_live(call);
        return;
    }
    wait_ms = session_calls_pace(s, method);
    if (wait_ms > 0) {
        metrics_inc(s->table->options.metrics, METRIC_CALLS_PACED);
        session_call_fail(call, "too-many-requests", "too many calls of this method", wait_ms);
        return;
    }
    call->step = step;
    call->by_rest = false;
    if (ddp_connector_call(s->ddp, method, params, SESSION_CALL_MS, on_result, call))
        s->calls->running++;
    else
        session_call_fail(call, "overload", "too many calls under way", 0);
}

bool session_ask_missed(const struct session_call *call, const struct rc_error *error)
{
    return !call->by_rest && error != NULL && error->result == RC_NOT_FOUND;
}

/* ---- REST ---- */

static void remove_from_rest(struct session_call *call)
{
    struct session_call **at = &call->session->calls->rest;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    call->next = NULL;
    call->rest = NULL;
}

static void on_body(void *arg, long status, struct slice body, const struct rc_error *error)
{
    struct session_call *call = arg;
    struct user_session *s = call->session;

    (void)status;
    remove_from_rest(call);
    s->calls->running--;
    call->step(call, body, error);
    if (--s->holds == 0)
        session_rearm(s);
}

void session_ask_rest(struct session_call *call, const char *path, struct slice query,
                      struct slice body, call_step_fn step)
{
    struct user_session *s = call->session;
    const struct rest_request request = {
        .post = body.len > 0,
        .path = slice_of(path),
        .query = query,
        .body = body,
        .user_id = slice_of(s->user_id),
        .token = slice_of(s->token),
        .client_address = {call->text + call->args_len, call->address_len},
    };

    if (s->token == NULL) {
        session_call_fail_not_live(call);
        return;
    }
    call->step = step;
    call->by_rest = true;
    call->rest = rest_request(s->table->options.rest, &request, on_body, call);
    if (call->rest == NULL) {
        session_call_fail_nomem(call);
        return;
    }
    metrics_inc(s->table->options.metrics, METRIC_CALLS_REST);
    s->holds++; /* it must live until the answer */
    s->calls->running++;
    session_call_push(&s->calls->rest, call);
}
