/* tests/unit/ddp_script.h - the connector against a scripted server: what scripts share, and how a
 * test begins and ends. A script runs on the server's threads; what it finds wrong fails its test.
 * Include once, in the test's only source file. */
#ifndef TESTS_UNIT_DDP_SCRIPT_H
#define TESTS_UNIT_DDP_SCRIPT_H

#include "ddp_probe.h"
#include "ws_double.h"
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#define CONNECT "{\"msg\":\"connect\",\"version\":\"1\",\"support\":[\"1\"]}"
#define MONOLITH_ID "tvJ4KxQqH2wLm8PzR"
#define CONNECTED "{\"msg\":\"connected\",\"session\":\"" MONOLITH_ID "\"}"
#define EVENT(args)                                                                                \
    "{\"msg\":\"changed\",\"collection\":\"stream-notify-user\",\"id\":\"id\",\"fields\":"         \
    "{\"eventName\":\"u9/x\",\"args\":" args "}}"

/* What a script found wrong; the first one counts. */
static _Atomic(const char *) complaint;

static inline void want(bool good, const char *what)
{
    if (!good && atomic_load(&complaint) == NULL)
        atomic_store(&complaint, what);
}

static inline void want_text(struct wsd_conn *c, const char *text)
{
    char got[4096] = "";

    if (!wsd_expect(c, got, sizeof got) || strcmp(got, text) != 0) {
        fprintf(stderr, "server wanted %s, got %s\n", text, got);
        want(false, text);
    }
}

static inline bool greet(struct wsd_conn *c)
{
    if (!wsd_upgrade(c, ""))
        return false;
    want_text(c, CONNECT);
    return wsd_text(c, CONNECTED);
}

/* One server, one client; the limits of the test may be changed in between. */
struct fixture {
    struct wsd *server;
    struct ddp_client *client;
};

static inline struct fixture start(wsd_script script, void *arg)
{
    struct fixture f;
    struct ddp_client_options o;

    atomic_store(&complaint, NULL);
    probe_loop_open();
    f.server = wsd_start(script, arg, NULL);
    o = probe_options(f.server->port);
    f.client = probe_client(&o);
    return f;
}

static inline void finish(struct fixture *f)
{
    probe_client_free(f->client);
    wsd_stop(f->server);
    probe_loop_close();
    if (atomic_load(&complaint) != NULL)
        fail_msg("the server missed: %s", atomic_load(&complaint));
}

static inline void greet_and_wait(struct wsd_conn *c)
{
    if (!greet(c))
        return;
    want(strstr(c->head, "GET /websocket HTTP/1.1\r\n") == c->head, "the path");
    want(strstr(c->head, "Sec-WebSocket-Extensions") == NULL, "no extensions");
    want(strstr(c->head, "Sec-WebSocket-Protocol") == NULL, "no subprotocol");
    wsd_drain(c);
    want(c->closed == 1000, "close 1000");
}

static inline void greets_and_reads(struct wsd_conn *c)
{
    if (greet(c))
        wsd_drain(c);
}

#endif
