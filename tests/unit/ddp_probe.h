/* tests/unit/ddp_probe.h - a loop, a client and connectors that write down what they are told. */
#ifndef TESTS_UNIT_DDP_PROBE_H
#define TESTS_UNIT_DDP_PROBE_H

#include "rocketchat/ddp_connector.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { PROBE_LIMIT_MS = 60000 };

struct probe {
    struct ddp_connector *c; /* NULL after the end */
    char session[64];
    unsigned events, documents, subscription_ends, connects, ends;
    char last[4096]; /* collection|event|args, or msg|collection|id|fields */
    size_t last_args_len;
    char subscription_log[64]; /* "ID|CODE " for each that ended */
    enum ddp_end how;
    unsigned code;
    char detail[256];
    unsigned answers; /* of calls */
    struct rc_error error;
    char result[256];
    void (*on_event)(struct probe *p);     /* NULL: nothing more */
    void (*on_connected)(struct probe *p); /* NULL: nothing more */
    bool inside; /* a call into the library is under way: nothing may be reported */
};

static _Thread_local uv_loop_t probe_loop; /* a test may run several */

static inline void probe_connected(void *arg, struct slice session)
{
    struct probe *p = arg;

    assert(!p->inside);
    p->connects++;
    snprintf(p->session, sizeof p->session, "%.*s", (int)session.len, session.ptr);
    if (p->on_connected != NULL)
        p->on_connected(p);
}

static inline void probe_event(void *arg, const struct ddp_event *e)
{
    struct probe *p = arg;

    assert(!p->inside && p->ends == 0 && e->received_ns > 0);
    p->events++;
    p->last_args_len = e->args.len;
    snprintf(p->last, sizeof p->last, "%.*s|%.*s|%.*s", (int)e->collection.len, e->collection.ptr,
             (int)e->event_name.len, e->event_name.ptr, (int)e->args.len, e->args.ptr);
    if (p->on_event != NULL)
        p->on_event(p);
}

static inline void probe_document(void *arg, struct slice msg, struct slice collection,
                                  struct slice id, struct slice fields)
{
    struct probe *p = arg;

    assert(!p->inside && p->ends == 0);
    p->documents++;
    snprintf(p->last, sizeof p->last, "%.*s|%.*s|%.*s|%.*s", (int)msg.len, msg.ptr,
             (int)collection.len, collection.ptr, (int)id.len, id.ptr, (int)fields.len,
             fields.len == 0 ? "" : fields.ptr);
}

static inline void probe_subscription_end(void *arg, uint32_t id, const struct rc_error *error)
{
    struct probe *p = arg;

    assert(!p->inside && p->ends == 0);
    p->subscription_ends++;
    snprintf(p->subscription_log + strlen(p->subscription_log),
             sizeof p->subscription_log - strlen(p->subscription_log), "%u|%s ", (unsigned)id,
             error == NULL ? "-" : error->code);
}

static inline void probe_end(void *arg, enum ddp_end how, unsigned code, const char *detail)
{
    struct probe *p = arg;

    assert(!p->inside && p->ends == 0);
    p->ends++;
    p->how = how;
    p->code = code;
    p->c = NULL;
    snprintf(p->detail, sizeof p->detail, "%s", detail);
}

static inline void probe_answer(void *arg, struct slice result, const struct rc_error *error)
{
    struct probe *p = arg;

    assert(!p->inside && p->ends == 0);
    p->answers++;
    p->error = error == NULL ? (struct rc_error){0} : *error;
    snprintf(p->result, sizeof p->result, "%.*s", (int)result.len,
             result.len == 0 ? "" : result.ptr);
}

static const struct ddp_callbacks probe_callbacks = {
    .on_connected = probe_connected,
    .on_event = probe_event,
    .on_document = probe_document,
    .on_subscription_end = probe_subscription_end,
    .on_end = probe_end,
};

static inline struct ddp_client_options probe_options(uint16_t port)
{
    return (struct ddp_client_options){
        .host = "127.0.0.1",
        .port = port,
        .path = "/websocket",
        .tls_verify = true,
        .max_frame_bytes = 8 << 20,
        .connect_timeout_ms = 10000,
        .ping_ms = 20000,
        .dead_ms = 45000,
    };
}

static inline struct ddp_client *probe_client(const struct ddp_client_options *o)
{
    struct ddp_client *client = NULL;
    int status = ddp_client_new(&probe_loop, o, &client);

    if (status != 0) {
        fprintf(stderr, "ddp_client_new: %s\n", uv_strerror(status));
        abort();
    }
    return client;
}

static inline void probe_open(struct probe *p, struct ddp_client *client)
{
    p->inside = true;
    p->c = ddp_connector_open(client, &probe_callbacks, p);
    p->inside = false;
    assert(p->c != NULL);
}

static inline void probe_close(struct probe *p)
{
    p->inside = true;
    ddp_connector_close(p->c);
    p->inside = false;
}

static inline bool probe_call(struct probe *p, const char *method, const char *params, unsigned ms)
{
    bool sent;

    p->inside = true;
    sent = ddp_connector_call(p->c, method, slice_of(params), ms, probe_answer, p);
    p->inside = false;
    return sent;
}

static inline uint32_t probe_subscribe(struct probe *p, const char *params, unsigned ms)
{
    uint32_t id;

    p->inside = true;
    id = ddp_connector_subscribe(p->c, "stream-notify-user", slice_of(params), ms, probe_answer, p);
    p->inside = false;
    return id;
}

static inline void probe_tick(uv_timer_t *t)
{
    (void)t;
}

/* Runs the loop until *counter reaches want. */
static inline void probe_until(const unsigned *counter, unsigned want)
{
    uint64_t limit = uv_hrtime() + (uint64_t)PROBE_LIMIT_MS * 1000000;
    uv_timer_t wake;

    uv_timer_init(&probe_loop, &wake);
    uv_timer_start(&wake, probe_tick, 10, 10);
    while (*counter < want) {
        if (uv_hrtime() > limit) {
            fprintf(stderr, "waited too long: %u of %u\n", *counter, want);
            abort();
        }
        uv_run(&probe_loop, UV_RUN_ONCE);
    }
    uv_close((uv_handle_t *)&wake, NULL);
    uv_run(&probe_loop, UV_RUN_NOWAIT);
}

static inline void probe_freed(void *arg)
{
    ++*(unsigned *)arg;
}

/* Nothing may stay on the loop. */
static inline void probe_client_free(struct ddp_client *client)
{
    unsigned freed = 0;

    ddp_client_free(client, probe_freed, &freed);
    assert(freed == 0);
    uv_run(&probe_loop, UV_RUN_DEFAULT);
    assert(freed == 1 && !uv_loop_alive(&probe_loop));
}

static inline void probe_loop_open(void)
{
    uv_loop_init(&probe_loop);
}

static inline void probe_loop_close(void)
{
    int status = uv_loop_close(&probe_loop); /* busy: a handle was left behind */

    if (status != 0) {
        uv_print_all_handles(&probe_loop, stderr);
        abort();
    }
}

#endif
