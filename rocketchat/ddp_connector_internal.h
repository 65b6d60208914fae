/* rocketchat/ddp_connector_internal.h - the parts of a DDP connection and what they ask of each
 * other.
 *
 *   ddp_connector.c        the protocol: states, frames, liveness; knows no socket
 *   ddp_connector_calls.c  its calls and subscriptions
 *   ddp_socket.c           one connection's WebSocket, by libwebsockets
 *   ddp_client.c           what connections share: timers, resolver, TLS, options, and the turn
 *
 * The turn is a moment of its own in the loop, outside of every callback of a library or a caller.
 * Whatever a connector must tell late (its end) or can't do where it learns of it (the next
 * address) waits for it, so a connector never vanishes under a function that is using it. */
#ifndef ROCKETCHAT_DDP_CONNECTOR_INTERNAL_H
#define ROCKETCHAT_DDP_CONNECTOR_INTERNAL_H

#include "base/timer_wheel.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/ddp_reassembly_internal.h"
#include "rocketchat/ddp_resolver_internal.h"
#include <openssl/ssl.h>

struct lws;
struct lws_context;
struct lws_vhost;

enum ddp_state {
    DDP_RESOLVING,
    DDP_WAITING,    /* for one of the few places among those that are connecting */
    DDP_CONNECTING, /* one address after the other: TCP, proxy, TLS, HTTP upgrade */
    DDP_GREETING,   /* connect is sent, connected awaited */
    DDP_LIVE,
    DDP_ENDING, /* waits for the turn, which reports the end and frees */
    DDP_NSTATES,
};

struct ddp_call {
    struct ddp_call *next;
    struct wheel_timer timer;
    struct ddp_connector *owner;
    ddp_result_fn fn;
    void *arg;
    uint32_t id;
    bool is_sub;
};

enum {
    DDP_OUT_HEADROOM = 16,          /* what libwebsockets wants free before the bytes */
    DDP_MAX_OUT_BYTES = 256 * 1024, /* of frames that wait for the socket */
};

struct ddp_out {
    struct ddp_out *next;
    size_t len;
    unsigned char bytes[]; /* headroom, then len bytes of one frame */
};

struct ddp_connector {
    struct ddp_client *client;
    const struct ddp_callbacks *cb;
    void *arg;
    enum ddp_state state;
    uint32_t last_id; /* of calls and subscriptions, which share the numbers */

    /* the way to the server */
    struct ddp_resolve_wait resolve;
    struct ddp_addresses *addresses;                    /* NULL but while WAITING and CONNECTING */
    struct ddp_connector *next_waiting, **waiting_link; /* link NULL: not in the client's list */
    unsigned next_address;
    unsigned http_status; /* of the upgrade; 0: no answer yet */
    uint64_t open_deadline_ms;
    struct lws *wsi;       /* NULL: none, or no longer ours */
    uv_handle_t *wsi_poll; /* see ddp_socket.c */

    struct wheel_timer timer; /* by state: opening time-out or liveness */
    uint64_t heard_ms;

    struct ddp_partial partial;
    struct ddp_out *out, **out_tail;
    size_t out_bytes;
    struct ddp_call *calls, **calls_tail;
    uint32_t *ready; /* ids of subscriptions that are in force */
    unsigned nready, ready_cap, ncalls;

    bool ping_sent; /* since something was heard */
    bool monolith;
    bool queued;
    struct ddp_connector *next_queued; /* for the turn */
    enum ddp_end how;
    unsigned code;
    char *detail; /* owned; NULL: none */
};

struct ddp_client {
    uv_loop_t *loop;
    struct ddp_client_options options; /* its strings are owned */
    char *host_header;                 /* "chat.example.org:3000", "[::1]" */
    char *connect_host;                /* what a proxy is asked for */
    char *proxy_host, *proxy_auth;     /* NULL: none; auth "user:password" */
    uint16_t proxy_port;
    struct lws_context *context;
    struct lws_vhost *vhost;
    uv_handle_t *forgotten_poll; /* of the socket that is dying right now; NULL: none */
    uv_handle_t *event_poll;     /* libwebsockets' own; these four: see the end of ddp_socket.c */
    uv_close_cb close_event_poll;
    int event_number;
    bool event_poll_closed, event_number_taken;
    SSL_CTX *tls;            /* NULL: plain */
    const char *tls_problem; /* what was wrong with the last certificate; static text */
    struct ddp_resolver resolver;
    struct ddp_reassembly reassembly;
    struct byte_buf scratch; /* a frame being written */
    struct timer_wheel *connector_timers, *call_timers;
    uv_timer_t connector_tick, call_tick;
    uv_timer_t turn;
    struct ddp_connector *queued, **queued_tail;
    struct ddp_connector *waiting, **waiting_tail; /* oldest first */
    unsigned nconnecting;
    unsigned nconnectors;
    unsigned nlingering; /* sockets in their closing handshake that no connector has any more */
    unsigned holders;    /* handles that are still to close */
    uint64_t linger_until_ms;
    void (*freed)(void *);
    void *freed_arg;
};

/* ddp_client.c */
void ddp_client_queue(struct ddp_client *client, struct ddp_connector *c); /* for the next turn */

/* What a connection needs until it is open is three times what it keeps: when thousands come back
 * at once, all at the same time would leave a heap of holes, and a server in a sweat. */
void ddp_client_wait(struct ddp_client *client, struct ddp_connector *c); /* the turn starts it */
void ddp_client_wait_cancel(struct ddp_client *client, struct ddp_connector *c); /* or nothing */
void ddp_client_connecting_over(struct ddp_client *client); /* of one that was started */

/* ddp_connector.c; those with chunk come from inside libwebsockets */
void ddp_connector_turn(struct ddp_connector *c);  /* may free c */
void ddp_connector_start(struct ddp_connector *c); /* it has a place */
void ddp_connector_on_timer(struct ddp_connector *c);
void ddp_connector_opened(struct ddp_connector *c);
void ddp_connector_heard(struct ddp_connector *c); /* a sign of life */
void ddp_connector_chunk(struct ddp_connector *c, struct slice chunk, size_t announced, bool last);
/* The attempt failed, or the connection is lost. reason: plain words. */
void ddp_connector_lost(struct ddp_connector *c, unsigned code, const char *reason);
/* From any state but ENDING. detail: plain words; NULL keeps what is known. */
void ddp_connector_end(struct ddp_connector *c, enum ddp_end how, unsigned code,
                       const char *detail);
void ddp_connector_pop_out(struct ddp_connector *c); /* the first of c->out is written */
/* To send: write one frame into the scratch, which comes empty, then queue it. False: no room. */
struct byte_buf *ddp_connector_scratch(struct ddp_connector *c);
bool ddp_connector_send(struct ddp_connector *c);

/* ddp_connector_calls.c */
struct ddp_frame;
void ddp_connector_on_call_timer(struct ddp_call *call);
void ddp_connector_on_result(struct ddp_connector *c, const struct ddp_frame *f);
void ddp_connector_on_ready(struct ddp_connector *c, struct slice subs);
void ddp_connector_on_nosub(struct ddp_connector *c, const struct ddp_frame *f);
void ddp_connector_fail_calls(struct ddp_connector *c, enum rc_result why);

/* ddp_socket.c */
bool ddp_socket_init(struct ddp_client *client);                       /* makes context and vhost */
bool ddp_socket_connect(struct ddp_connector *c, const char *address); /* false: failed at once */
void ddp_socket_wants_write(struct ddp_connector *c);
/* Not from inside libwebsockets. code: sent to the server, whose answer a moment is waited for; 0:
 * cut off. */
void ddp_socket_drop(struct ddp_connector *c, unsigned code);
/* Two steps with turns of the loop between: true when the context is gone. */
void ddp_socket_destroy_begin(struct ddp_client *client);
bool ddp_socket_destroy_done(struct ddp_client *client);

#endif
