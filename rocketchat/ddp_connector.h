/* rocketchat/ddp_connector.h - DDP connections to one Rocket.Chat server, on one libuv loop.
 *
 * A ddp_client is a shard's outbound side: one libwebsockets context on the loop, the resolver, TLS
 * and proxy settings. A ddp_connector is one connection: it opens the WebSocket, sends connect,
 * answers pings, keeps the liveness deadline, matches results and readies to calls, and hands
 * stream events out as slices of the received frame. It never reconnects by itself: that is the
 * session's decision. Facts: rocketchat.md sections 1 and 2. Single-threaded.
 */
#ifndef ROCKETCHAT_DDP_CONNECTOR_H
#define ROCKETCHAT_DDP_CONNECTOR_H

#include "base/slice.h"
#include "rocketchat/rc_result.h"
#include <stdint.h>
#include <uv.h>

struct ddp_client;
struct ddp_connector;

struct ddp_client_options {
    const char *host; /* Rocket.Chat's name or address */
    uint16_t port;
    bool tls;
    const char *path;                                         /* "/websocket", with any prefix */
    const char *ca_file, *client_cert_file, *client_key_file; /* NULL: none */
    bool tls_verify;
    const char *proxy; /* "http://[user:password@]host:port"; NULL: none; environment ignored */
    size_t max_frame_bytes;      /* whole DDP frame; longer ones end the connection */
    unsigned connect_timeout_ms; /* from open to `connected` */
    unsigned ping_ms, dead_ms;   /* own ping after silence; end after silence */
};

enum ddp_end {
    DDP_END_UNREACHABLE, /* never got as far as `connected`: name, TCP, TLS, proxy, HTTP status */
    DDP_END_TIMED_OUT,   /* no `connected` in time */
    DDP_END_FAILED,      /* `failed`: no common DDP version */
    DDP_END_DEAD,        /* nothing heard for dead_ms */
    DDP_END_CLOSED,      /* server closed or the socket was lost; code says how */
    DDP_END_MALFORMED,   /* a frame that is not DDP, or too large */
    DDP_END_LOCAL,       /* ddp_connector_close() */
};

/* A frame `changed` of a stream-* collection. Slices are borrowed from the frame for the call. */
struct ddp_event {
    struct slice collection; /* raw text between quotes, e.g. stream-notify-user */
    struct slice event_name; /* raw text between quotes, e.g. u9/rooms-changed */
    struct slice args;       /* raw JSON array; empty array text when missing */
    uint64_t received_ns;    /* uv_hrtime when the frame was whole */
};

/* Every member is set. */
struct ddp_callbacks {
    void (*on_connected)(void *arg, struct slice session_id);
    void (*on_event)(void *arg, const struct ddp_event *event);
    /* added/changed/removed of an ordinary collection (users); fields raw JSON or empty. */
    void (*on_document)(void *arg, struct slice msg, struct slice collection, struct slice id,
                        struct slice fields);
    /* A nosub for a subscription that had been ready: the server ended it. */
    void (*on_subscription_end)(void *arg, uint32_t sub_id, const struct rc_error *error);
    /* Exactly once, last, never inside a call; the connector is dead when it returns. code: the
     * WebSocket close code or 1006 (libwebsockets shows 1012 to 1014 as 1002). detail: plain words
     * for a log, never NULL. Calls under way were answered RC_UNREACHABLE (RC_CANCELLED
     * after DDP_END_LOCAL) before it. */
    void (*on_end)(void *arg, enum ddp_end how, unsigned code, const char *detail);
};

/* 0; UV_EINVAL: an option or a file it names is no good; UV_ENOTSUP: libwebsockets or its libuv
 * plugin; UV_ENOMEM. Connections are opened 128 at a time, names are resolved once for all who ask.
 * Sockets are found by number in tables of RLIMIT_NOFILE entries, at most 262,144: keep that limit
 * near what is needed, each close costs a walk along it. */
int ddp_client_new(uv_loop_t *loop, const struct ddp_client_options *options,
                   struct ddp_client **out);
void ddp_client_free(struct ddp_client *client, void (*done)(void *),
                     void *arg); /* no connectors left */

/* NULL: no memory. The first callback comes later. cb outlives the connector. */
struct ddp_connector *ddp_connector_open(struct ddp_client *client, const struct ddp_callbacks *cb,
                                         void *arg);

/* result: raw JSON (empty: undefined); with an error the server's own error object, raw (empty: the
 * error is not the server's), for ddp_error_reason(). Borrowed for the call. */
typedef void (*ddp_result_fn)(void *arg, struct slice result, const struct rc_error *error);

/* Sends a method call; params: the raw JSON array. Answered exactly once, timeout included
 * (RC_TIMED_OUT). False: not sent (closed, or no memory, or too many under way) and fn never runs.
 */
bool ddp_connector_call(struct ddp_connector *c, const char *method, struct slice params,
                        unsigned timeout_ms, ddp_result_fn fn, void *arg);
/* Subscribes; fn reports ready (error NULL) or nosub. Returns the sub id, 0: not sent. */
uint32_t ddp_connector_subscribe(struct ddp_connector *c, const char *name, struct slice params,
                                 unsigned timeout_ms, ddp_result_fn fn, void *arg);

/* Params of `login` (rocketchat.md 2.1), as JSON into out; false: no memory. digest: SHA-256. */
struct byte_buf;
bool ddp_login_resume_params(struct byte_buf *out, struct slice token);
bool ddp_login_password_params(struct byte_buf *out, struct slice username, struct slice password);

/* What a successful login answered: printable ASCII, without spaces and escapes. */
struct ddp_login_result {
    struct slice user_id, token;
};
bool ddp_login_result_parse(struct slice result, struct ddp_login_result *out);

/* Ends a subscription that is ready: sub_id means nothing from here on, and its last events may
 * still come. Any other: nothing. */
void ddp_connector_unsubscribe(struct ddp_connector *c, uint32_t sub_id);

/* Whoever opened it leaves it to another: callbacks go there from here on. Calls and subscriptions
 * under way still answer as they were asked to. */
void ddp_connector_pass_on(struct ddp_connector *c, const struct ddp_callbacks *cb, void *arg);

void ddp_connector_close(struct ddp_connector *c); /* on_end(DDP_END_LOCAL) follows */
bool ddp_connector_is_monolith(
    const struct ddp_connector *c); /* by the session id's form; a hint */

#endif
