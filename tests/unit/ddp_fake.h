/* tests/unit/ddp_fake.h - a fake of rocketchat/ddp_connector.h: what was sent is recorded, and the
 * test answers it. Defining its functions makes the linker leave the library's out. Include once,
 * in the test's only source file. */
#ifndef TESTS_UNIT_DDP_FAKE_H
#define TESTS_UNIT_DDP_FAKE_H

#include "rocketchat/ddp_connector.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define MAX_CALLS 160

struct ddp_call {
    char method[48], params[512];
    ddp_result_fn fn;
    void *arg;
    uint32_t sub_id; /* 0: a method */
    bool answered;
};

struct ddp_connector {
    struct ddp_callbacks cb;
    void *arg;
    struct ddp_call calls[MAX_CALLS];
    unsigned ncalls;
    char unsubscribed[64]; /* ids, each with a space behind */
    bool closing, ended;
};

static struct ddp_connector *conns[256];
static unsigned nconns;
static bool ddp_opens = true; /* false: ddp_connector_open says no memory */

struct ddp_connector *ddp_connector_open(struct ddp_client *client, const struct ddp_callbacks *cb,
                                         void *arg)
{
    struct ddp_connector *c = calloc(1, sizeof *c);

    (void)client;
    assert_true(nconns < 256);
    if (!ddp_opens) {
        free(c);
        return NULL;
    }
    c->cb = *cb;
    c->arg = arg;
    conns[nconns++] = c;
    return c;
}

static inline struct ddp_call *ddp_record(struct ddp_connector *c, const char *method,
                                          struct slice params, ddp_result_fn fn, void *arg)
{
    struct ddp_call *call = &c->calls[c->ncalls++];

    assert_true(c->ncalls <= MAX_CALLS && !c->closing && !c->ended);
    assert_true(params.len < sizeof call->params);
    snprintf(call->method, sizeof call->method, "%s", method);
    snprintf(call->params, sizeof call->params, "%.*s", (int)params.len, params.ptr);
    call->fn = fn;
    call->arg = arg;
    return call;
}

bool ddp_connector_call(struct ddp_connector *c, const char *method, struct slice params,
                        unsigned timeout_ms, ddp_result_fn fn, void *arg)
{
    assert_true(timeout_ms > 0);
    ddp_record(c, method, params, fn, arg);
    return true;
}

uint32_t ddp_connector_subscribe(struct ddp_connector *c, const char *name, struct slice params,
                                 unsigned timeout_ms, ddp_result_fn fn, void *arg)
{
    struct ddp_call *call;

    assert_true(timeout_ms > 0);
    /* "sub" is one of the session's own; the others go by their stream's name. */
    if (strcmp(name, "stream-notify-user") == 0)
        name = "sub";
    call = ddp_record(c, name, params, fn, arg);
    call->sub_id = c->ncalls;
    return call->sub_id;
}

void ddp_connector_unsubscribe(struct ddp_connector *c, uint32_t sub_id)
{
    char text[16];

    assert_in_range(sub_id, 1, c->ncalls);
    assert_true(c->calls[sub_id - 1].answered);
    snprintf(text, sizeof text, "%u ", (unsigned)sub_id);
    assert_true(strlen(c->unsubscribed) + strlen(text) < sizeof c->unsubscribed);
    strcat(c->unsubscribed, text);
}

void ddp_connector_pass_on(struct ddp_connector *c, const struct ddp_callbacks *cb, void *arg)
{
    c->cb = *cb;
    c->arg = arg;
}

void ddp_connector_close(struct ddp_connector *c)
{
    assert_false(c->ended);
    c->closing = true;
}

bool ddp_connector_is_monolith(const struct ddp_connector *c)
{
    (void)c;
    return true;
}

int ddp_client_new(uv_loop_t *l, const struct ddp_client_options *options, struct ddp_client **out)
{
    (void)l;
    (void)options;
    (void)out;
    return UV_ENOSYS;
}

void ddp_client_free(struct ddp_client *client, void (*done)(void *), void *arg)
{
    (void)client;
    (void)done;
    (void)arg;
}

static inline void ddp_end(struct ddp_connector *c, enum ddp_end how)
{
    struct rc_error error;

    assert_false(c->ended);
    rc_error_of(&error, how == DDP_END_LOCAL ? RC_CANCELLED : RC_UNREACHABLE);
    for (unsigned i = 0; i < c->ncalls; i++)
        if (!c->calls[i].answered) {
            c->calls[i].answered = true;
            c->calls[i].fn(c->calls[i].arg, (struct slice){0}, &error);
        }
    c->ended = true;
    c->cb.on_end(c->arg, how, 1006, NULL);
}

#endif
