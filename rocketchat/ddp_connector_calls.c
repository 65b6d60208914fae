/* The calls and subscriptions of a connection: what is under way and what is in force. */
#include "base/json_slice.h"
#include "rocketchat/ddp_codec.h"
#include "rocketchat/ddp_connector_internal.h"
#include "rocketchat/ddp_error.h"
#include <assert.h>
#include <stdlib.h>

enum {
    MAX_CALLS = 256,  /* under way */
    MAX_READY = 4096, /* subscriptions in force: rooms opened in all tabs, and more */
};

static struct ddp_call *add_call(struct ddp_connector *c, unsigned timeout_ms, bool is_sub,
                                 ddp_result_fn fn, void *arg)
{
    struct ddp_call *call = calloc(1, sizeof *call);

    if (call == NULL)
        return NULL;
    call->owner = c;
    call->fn = fn;
    call->arg = arg;
    call->id = c->last_id;
    call->is_sub = is_sub;
    *c->calls_tail = call;
    c->calls_tail = &call->next;
    c->ncalls++;
    timer_wheel_arm(c->client->call_timers, &call->timer, uv_now(c->client->loop) + timeout_ms);
    return call;
}

/* Out of the list, not yet answered. Answers come nearly in order, so the search is short. */
static struct ddp_call *take_call(struct ddp_connector *c, uint32_t id, bool is_sub)
{
    for (struct ddp_call **at = &c->calls; *at != NULL; at = &(*at)->next) {
        struct ddp_call *call = *at;

        if (call->id != id || call->is_sub != is_sub)
            continue;
        *at = call->next;
        if (c->calls_tail == &call->next)
            c->calls_tail = at;
        c->ncalls--;
        timer_wheel_cancel(c->client->call_timers, &call->timer);
        return call;
    }
    return NULL;
}

static void answer_call(struct ddp_call *call, struct slice result, const struct rc_error *error)
{
    ddp_result_fn fn = call->fn;
    void *arg = call->arg;

    free(call); /* first: fn may end everything else */
    fn(arg, result, error);
}

/* Room for one more ready id, so that `ready` can't fail. */
static bool reserve_ready(struct ddp_connector *c)
{
    unsigned need = c->nready + c->ncalls + 1, cap = c->ready_cap == 0 ? 4 : c->ready_cap;
    uint32_t *bigger;

    if (need <= c->ready_cap)
        return true;
    while (cap < need)
        cap *= 2;
    if (need > MAX_READY)
        return false;
    bigger = realloc(c->ready, cap * sizeof *bigger);
    if (bigger == NULL)
        return false;
    c->ready = bigger;
    c->ready_cap = cap;
    return true;
}

static bool may_call(const struct ddp_connector *c)
{
    return c->state == DDP_LIVE && c->ncalls < MAX_CALLS;
}

static void next_id(struct ddp_connector *c)
{
    if (++c->last_id == 0)
        c->last_id = 1;
}

bool ddp_connector_call(struct ddp_connector *c, const char *method, struct slice params,
                        unsigned timeout_ms, ddp_result_fn fn, void *arg)
{
    if (!may_call(c))
        return false;
    next_id(c);
    ddp_write_method(ddp_connector_scratch(c), c->last_id, method, params);
    if (add_call(c, timeout_ms, false, fn, arg) == NULL)
        return false;
    if (ddp_connector_send(c))
        return true;
    free(take_call(c, c->last_id, false));
    return false;
}

uint32_t ddp_connector_subscribe(struct ddp_connector *c, const char *name, struct slice params,
                                 unsigned timeout_ms, ddp_result_fn fn, void *arg)
{
    if (!may_call(c) || !reserve_ready(c))
        return 0;
    next_id(c);
    ddp_write_sub(ddp_connector_scratch(c), c->last_id, name, params);
    if (add_call(c, timeout_ms, true, fn, arg) == NULL)
        return 0;
    if (ddp_connector_send(c))
        return c->last_id;
    free(take_call(c, c->last_id, true));
    return 0;
}

/* Its nosub is expected, and nobody's any more. */
void ddp_connector_unsubscribe(struct ddp_connector *c, uint32_t sub_id)
{
    for (unsigned i = 0; i < c->nready; i++)
        if (c->ready[i] == sub_id) {
            c->ready[i] = c->ready[--c->nready];
            if (c->state == DDP_LIVE) {
                ddp_write_unsub(ddp_connector_scratch(c), sub_id);
                ddp_connector_send(c);
            }
            return;
        }
}

void ddp_connector_on_call_timer(struct ddp_call *call)
{
    struct ddp_connector *c = call->owner;
    struct rc_error error;

    take_call(c, call->id, call->is_sub);
    if (call->is_sub) { /* nobody would listen to what a late ready brings */
        ddp_write_unsub(ddp_connector_scratch(c), call->id);
        ddp_connector_send(c);
    }
    rc_error_of(&error, RC_TIMED_OUT);
    answer_call(call, (struct slice){0}, &error);
}

void ddp_connector_on_result(struct ddp_connector *c, const struct ddp_frame *f)
{
    struct ddp_call *call;
    struct rc_error error;
    uint32_t id;

    if (f->id.ptr == NULL || !ddp_id_parse(f->id, &id))
        return;
    call = take_call(c, id, false);
    if (call == NULL) /* timed out before */
        return;
    if (f->error.ptr != NULL)
        ddp_error_parse(f->error, &error);
    answer_call(call, f->error.ptr != NULL ? f->error : f->result,
                f->error.ptr != NULL ? &error : NULL);
}

void ddp_connector_on_ready(struct ddp_connector *c, struct slice subs)
{
    struct json_reader r;

    json_reader_init(&r, subs.ptr, subs.len, JSON_MAX_DEPTH);
    json_enter_array(&r);
    while (c->state == DDP_LIVE && json_next_item(&r)) {
        struct ddp_call *call;
        struct slice raw;
        uint32_t id;

        if (json_peek(&r) != JSON_KIND_STRING) {
            json_skip(&r);
            continue;
        }
        json_read_string(&r, &raw);
        call = ddp_id_parse(raw, &id) ? take_call(c, id, true) : NULL;
        if (call == NULL)
            continue;
        assert(c->nready < c->ready_cap);
        c->ready[c->nready++] = id;
        answer_call(call, (struct slice){0}, NULL);
    }
}

/* A subscription was refused, or one that was in force ended. */
void ddp_connector_on_nosub(struct ddp_connector *c, const struct ddp_frame *f)
{
    struct ddp_call *call;
    struct rc_error error;
    uint32_t id;

    if (f->id.ptr == NULL || !ddp_id_parse(f->id, &id))
        return;
    if (f->error.ptr != NULL)
        ddp_error_parse(f->error, &error);
    else
        rc_error_set(&error, SLICE_LIT("nosub"));
    call = take_call(c, id, true);
    if (call != NULL) {
        answer_call(call, f->error, &error);
        return;
    }
    for (unsigned i = 0; i < c->nready; i++)
        if (c->ready[i] == id) {
            c->ready[i] = c->ready[--c->nready];
            c->cb->on_subscription_end(c->arg, id, f->error.ptr != NULL ? &error : NULL);
            return;
        }
}

void ddp_connector_fail_calls(struct ddp_connector *c, enum rc_result why)
{
    struct rc_error error;

    rc_error_of(&error, why);
    while (c->calls != NULL) {
        struct ddp_call *call = c->calls;

        answer_call(take_call(c, call->id, call->is_sub), (struct slice){0}, &error);
    }
}
