/* signalr/hub/signalr_server.h - the SignalR server of one shard.
 *
 * Owns negotiations and hub connections whose home is this shard; sits on an http_server of the
 * same loop. The host (the program, or a test) proves users, hears of connections, serves hub
 * methods and carries requests to their home.
 *
 * Homes: a connection lives on shard home_of(token). negotiate draws tokens until one is at home on
 * the shard that answers; a transport request for another home is detached and given to
 * host.hand_over. All 404 and 409 about a token are decided at its home.
 *
 * Facts: signalr.md sections 1 to 4 and 6. Single-threaded: every call on the loop's thread.
 */
#ifndef SIGNALR_HUB_SIGNALR_SERVER_H
#define SIGNALR_HUB_SIGNALR_SERVER_H

#include "base/slice.h"
#include "signalr/hub/hub_receipt.h"
#include <stdatomic.h>
#include <stdint.h>
#include <uv.h>

struct signalr_server;
struct hub_connection;
struct hub_buf;
struct http_request;
struct http_view;
struct http_handoff;

struct signalr_options {
    const char *hub_path; /* "/signalr"; matched without case */
    unsigned shard, nshards;
    unsigned keepalive_ms, client_timeout_ms, handshake_timeout_ms, negotiate_timeout_ms;
    unsigned close_wait_ms;    /* for the peer's close frame */
    unsigned expiry_spread_ms; /* closes at expiry come within this time behind it */
    size_t max_message_bytes;  /* incoming hub message */
    /* 0: none. Past max_per_user (negotiated ones count too): 429, else 503. Of this server alone,
     * but for max_pending, which is of all that share `shared`. */
    unsigned max_connections, max_per_user, max_pending;
    /* Groups (hub_address.h); 0: none. Memberships are of all that share `shared`. */
    unsigned max_groups_per_connection, max_group_memberships;
    struct signalr_shared *shared; /* NULL: this server's own */
    bool close_on_expiry;
    /* Of each connection; 0: no limit. Calls that are answered later, and how fast calls come: a
     * bucket of call_burst that fills by calls_per_second. */
    unsigned max_open_calls, calls_per_second, call_burst;
};

/* What the servers of one process count together; zero at first, outlives them. */
struct signalr_shared {
    atomic_uint pending;     /* negotiated, not connected yet */
    atomic_uint memberships; /* of connections in groups */
};

enum signalr_auth {
    SIGNALR_AUTH_USER,
    SIGNALR_AUTH_ANONYMOUS, /* let in, mute */
    SIGNALR_AUTH_REFUSED,   /* 401, empty body; nothing was filled */
};

/* Filled by host.authenticate; copied by the server. */
struct signalr_user {
    char key[320]; /* user key: unique per person and tenant; "" for anonymous */
    /* Wall clock, ms since epoch; 0: never. With the leeway of the check in it: a token let in late
     * would else be closed at once, and come back at once. */
    uint64_t expires_at_ms;
    void *host_data; /* unless NULL released by host.release_user, always, exactly once */
};

/* Why a connection ended; for counters, logs and the host. */
enum hub_end {
    HUB_END_CLIENT,    /* client closed: Close message or close frame */
    HUB_END_LOST,      /* socket gone without a close frame */
    HUB_END_TIMEOUT,   /* client silent past client_timeout_ms */
    HUB_END_HANDSHAKE, /* handshake failed or too late */
    HUB_END_PROTOCOL,  /* hub or WebSocket protocol broken, message too large */
    HUB_END_SLOW,      /* queue limit passed */
    HUB_END_EXPIRED,   /* the JWT's time is over */
    HUB_END_HOST,      /* hub_connection_close() by the host */
    HUB_END_DRAIN,
    HUB_END_NEND,
};

struct hub_invocation {
    struct slice target;        /* unescaped text */
    struct slice arguments;     /* raw JSON array text */
    struct slice invocation_id; /* unescaped; len 0: no answer wanted */
    size_t stream_ids;          /* upload streams the caller announced */
    bool stream;                /* type 4 */
};

/* Answers to invocations, in .NET's words. */
enum hub_refusal {
    HUB_REFUSE_UNKNOWN,       /* no such method */
    HUB_REFUSE_ARGUMENTS,     /* wrong number or types of arguments */
    HUB_REFUSE_UNAUTHORIZED,  /* this user may not call it */
    HUB_REFUSE_NOT_STREAMING, /* type 4 for a method that returns one result */
    HUB_REFUSE_STREAMING,     /* type 1 for a method that returns a stream */
    HUB_REFUSE_STREAM_IDS,    /* upload streams for a method that takes none */
    HUB_REFUSE_FAILED,        /* the method broke */
};

struct signalr_host {
    enum signalr_auth (*authenticate)(void *arg, const struct http_view *request,
                                      struct signalr_user *out);
    void (*release_user)(void *arg, void *host_data);
    void (*connected)(void *arg, struct hub_connection *c); /* the handshake answer is queued */
    /* Once per connected(), the last word about c: it dies behind it. */
    void (*disconnected)(void *arg, struct hub_connection *c, enum hub_end why);
    /* A hub method was called. True: it exists; the host completes it (at once or later) when it
     * has an invocation id. False: unknown method, the server answers. Borrowed for the call. */
    bool (*invoke)(void *arg, struct hub_connection *c, const struct hub_invocation *inv);
    void (*hand_over)(void *arg, unsigned home, struct http_handoff *handoff);
    /* An item of this stream had to wait (HUB_ITEM_LATER): there is room again. NULL: the host
     * sends none. */
    void (*stream_resumed)(void *arg, struct hub_connection *c, uint64_t call, void *data);
    /* A call with data (hub_connection_set_call_data) ended: answered, cancelled by the client, or
     * gone with its connection. The data is the host's again. NULL: the host sets none. */
    void (*call_ended)(void *arg, void *data);
    void *arg;
};

int signalr_server_new(uv_loop_t *loop, const struct signalr_options *options,
                       const struct signalr_host *host, struct signalr_server **out);

/* True: the request is the hub's and has been answered or handed over. False: not ours, untouched.
 */
bool signalr_server_handle(struct signalr_server *s, struct http_request *req);

/* No new negotiations or connections (503); those open are closed with allowReconnect, spread over
 * spread_ms; done is called once when none is left. */
void signalr_server_drain(struct signalr_server *s, unsigned spread_ms, void (*done)(void *),
                          void *arg);
/* No transport may be left: behind drain's done, or behind http_server_close(). done is called when
 * the memory is gone. */
void signalr_server_free(struct signalr_server *s, void (*done)(void *), void *arg);

struct signalr_stats {
    uint64_t negotiations, opened, ended[HUB_END_NEND], invocations, unknown_methods, refused_auth;
    uint64_t groups_missed; /* a new connection found no room in a group of its user */
    uint64_t calls_too_fast, calls_too_many;
    unsigned pending, handshaking, open, closing, open_calls;
};
void signalr_server_stats(const struct signalr_server *s, struct signalr_stats *out);

unsigned signalr_server_anonymous(const struct signalr_server *s); /* open, without a user */

/* ---- connections ---- */
struct slice hub_connection_id(const struct hub_connection *c); /* the public one */
/* Unique within the shard, never reused. */
uint64_t hub_connection_serial(const struct hub_connection *c);
struct hub_connection *signalr_server_find(struct signalr_server *s, uint64_t serial); /* open */
bool hub_connection_is_open(const struct hub_connection *c);
struct hub_connection *signalr_server_find_any(struct signalr_server *s, uint64_t serial);
struct slice hub_connection_user_key(const struct hub_connection *c); /* empty: anonymous */
void *hub_connection_user_data(const struct hub_connection *c);       /* signalr_user.host_data */
struct slice hub_connection_client_address(const struct hub_connection *c);
size_t hub_connection_queued_bytes(const struct hub_connection *c);
uint64_t hub_connection_last_write_ms(const struct hub_connection *c);
void hub_connection_set_data(struct hub_connection *c, void *data);
void *hub_connection_data(const struct hub_connection *c);
/* In disconnected(): what of the numbered messages came through, and whether the client may be
 * back for the rest: the connection was lost, or we closed it and want it back, or the client gave
 * it up without having them all and without a word that this was all. acks_are_the_clients: no
 * proxy between acknowledges what the client may never get. */
const struct hub_receipt *hub_connection_receipt(const struct hub_connection *c);
bool hub_connection_may_return(const struct hub_connection *c, bool acks_are_the_clients);
/* Before that: its receipt as it would be if c ended now. */
void hub_connection_receipt_now(const struct hub_connection *c, struct hub_receipt *out);
/* c may have been lost already. out: its receipt as of now. */
bool hub_connection_in_doubt(const struct hub_connection *c, bool acks_are_the_clients,
                             struct hub_receipt *out);

/* Queues an encoded message; nothing once the connection is closing. A full queue closes the
 * connection as a slow consumer (Close with allowReconnect); the disconnected callback comes later,
 * never inside a send. */
void hub_connection_send(struct hub_connection *c, struct hub_buf *message);
void hub_connection_close(struct hub_connection *c, const char *error, bool allow_reconnect);
/* result: raw JSON; error: text, then result is ignored; both empty: void ("result":null). */
void hub_connection_complete(struct hub_connection *c, struct slice invocation_id,
                             struct slice result, const char *error);
/* Completes an invocation with the error of that refusal; nothing if it wants no answer. */
void hub_connection_refuse(struct hub_connection *c, const struct hub_invocation *inv,
                           enum hub_refusal refusal);

/* ---- calls that are answered later (hub_calls.c) ----
 * A call is known by a number, unique within the shard and never reused, so an answer may come when
 * call and connection are long gone: it is then dropped. */

/* Takes one call's turn from the connection's rate. False: too fast; it may try again in *retry_ms.
 */
bool hub_connection_take_turn(struct hub_connection *c, uint64_t *retry_ms);

enum hub_keep {
    HUB_KEPT,
    HUB_KEEP_TOO_MANY,  /* max_open_calls */
    HUB_KEEP_ID_IN_USE, /* a stream of this id is open; the client was told in .NET's words */
    HUB_KEEP_NOMEM,
};
/* Keeps the invocation open, also one that wants no answer: it counts. */
enum hub_keep hub_connection_keep(struct hub_connection *c, const struct hub_invocation *inv,
                                  uint64_t *call);
/* Once for a call. False: it has ended, and the data stays the caller's. */
bool hub_connection_set_call_data(struct hub_connection *c, uint64_t call, void *data);

/* Ends the call. result: raw JSON, empty: null; a stream's end has none. error: text, not empty;
 * then result is ignored. What does not fit into the queue now is sent when it does. */
void hub_connection_answer(struct hub_connection *c, uint64_t call, struct slice result,
                           const char *error);
enum hub_item {
    HUB_ITEM_SENT,
    HUB_ITEM_LATER, /* not sent: the client is slow. host.stream_resumed tells when to go on */
    HUB_ITEM_GONE,  /* the call has ended */
};
enum hub_item hub_connection_item(struct hub_connection *c, uint64_t call, struct slice item);

/* ---- addressing ----
 * A connection hears what is sent to its user from the moment the host joins it, which lets the
 * host put a replay in front. from, torn: hub_receipt_start(). Joined already: nothing;
 * closing: it hears no more, but its receipt is right. For other addressees see hub_address.h. */
void hub_connection_join_user(struct hub_connection *c, uint64_t from, bool torn);
/* Sends to every joined connection of the user here; returns how many. */
unsigned signalr_server_send_user(struct signalr_server *s, struct slice user_key,
                                  struct hub_buf *message);
/* Sends to every open connection, joined or not; returns how many. */
unsigned signalr_server_send_all(struct signalr_server *s, struct hub_buf *message);
/* Every connection of the user that the host was told of, closing ones too. */
void signalr_server_each_known(struct signalr_server *s, struct slice user_key,
                               void (*fn)(struct hub_connection *c, void *arg), void *arg);
/* Every open connection of the user here, joined or not; fn may close it. */
void signalr_server_each_of_user(struct signalr_server *s, struct slice user_key,
                                 void (*fn)(struct hub_connection *c, void *arg), void *arg);

#endif
