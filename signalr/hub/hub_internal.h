/* signalr/hub/hub_internal.h - what the files of signalr/hub share: the server, its connections,
 * its users, and the registry that finds them.
 *
 *   hub_endpoint.c    a request comes in: method, token, home, user  -> status, or a transport
 *   hub_negotiate.c   negotiate
 *   hub_connection.c  life of a connection: states, time-outs, sending, closing
 *   hub_loss.c        what the client of a lost connection has
 *   hub_dispatch.c    one received hub message
 *   hub_calls.c       calls that are answered later, and how many may come
 *   hub_registry.c    by token, by serial, by user
 *   signalr_server.c  construction, clock, drain, sending to many
 */
#ifndef SIGNALR_HUB_HUB_INTERNAL_H
#define SIGNALR_HUB_HUB_INTERNAL_H

#include "base/hash.h"
#include "base/timer_wheel.h"
#include "signalr/http/http_server.h"
#include "signalr/hub/hub_connection.h"
#include "signalr/hub/hub_ids.h"
#include "signalr/hub/hub_inbox.h"
#include "signalr/hub/hub_receipt.h"
#include "signalr/hub/hub_token.h"

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define HASH_NONFATAL_OOM 1 /* an element that was not added has hh.tbl NULL */
#include <uthash.h>

enum conn_state {
    CONN_NEGOTIATED, /* has a token, waits for its transport */
    CONN_HANDSHAKE,
    CONN_OPEN,
    CONN_CLOSING, /* the token is dead; the transport is ending */
    CONN_CLOSED,
    CONN_NSTATES
};

/* Exists while a connection, negotiated ones included, belongs to the user. */
struct hub_user {
    UT_hash_handle hh;
    struct hub_connection *connections; /* doubly linked by user_prev, user_next */
    unsigned count;
    uint32_t key_len;
    char key[];
};

struct hub_membership;
struct hub_calls;

struct hub_doubt {
    struct hub_receipt receipt; /* as it was when bytes were found unacknowledged */
    uint64_t again_ms;          /* when to look again; UINT64_MAX: with the next ping */
    uint64_t lived_ms;          /* hub_loss_spares() */
};

struct hub_connection {
    struct signalr_server *server;
    struct ws_conn *ws;    /* NULL: none yet, or gone */
    struct hub_user *user; /* NULL: anonymous */
    struct hub_connection *user_prev, *user_next;
    void *data;              /* the host's, about this connection */
    void *user_data;         /* signalr_user.host_data of the transport request */
    struct hub_calls *calls; /* NULL: it made none yet */
    char *client_address;
    struct hub_inbox inbox;
    struct hub_receipt receipt;
    struct hub_doubt *doubt;       /* NULL: none */
    struct hub_membership *groups; /* hub_groups_internal.h */
    UT_hash_handle by_token, by_serial;
    struct wheel_timer timer; /* for whichever of the deadlines below comes first */
    uint64_t serial;
    uint64_t due_ms;        /* negotiate or handshake time-out; once open, the next ping */
    uint64_t heard_ms;      /* the last whole message */
    uint64_t expires_at_ms; /* wall clock; 0: never */
    uint32_t pinged_to;     /* in the stream: the end of the last ping */
    uint8_t state;          /* enum conn_state; written by conn_enter() alone */
    uint8_t ended;          /* enum hub_end, from CONN_CLOSING on */
    bool has_token;         /* false without negotiation, and once closing */
    bool pinged;            /* the first ping arms the client time-out */
    bool told_host;         /* connected() was called, so disconnected() is due */
    bool joined;
    bool for_good;    /* ended by its client, which will not be back for what it did not get */
    bool may_return;  /* closed by the host with allowReconnect */
    bool passed_over; /* by the send under way: excepted, or has it already */
    char token[HUB_TOKEN_LEN], id[HUB_TOKEN_LEN];
};

struct hub_group;
struct hub_group_user;

struct signalr_server {
    struct signalr_options options;
    struct signalr_host host;
    char *hub_path; /* owned copy, without a slash at the end */
    uv_loop_t *loop;
    uv_timer_t tick; /* advances the wheel, ends a drain */
    unsigned tick_ms;
    struct timer_wheel *wheel;
    struct hub_connection *by_token, *by_serial; /* uthash heads; by_serial has all */
    struct hub_user *users;
    struct hub_ids ids;
    struct hub_group *groups;           /* uthash, by name */
    struct hub_group_user *group_users; /* uthash, by user key */
    unsigned ngroup_users;              /* entries of all of them */
    uint64_t next_serial, next_call;
    unsigned open_calls;
    unsigned gauge[CONN_NSTATES];
    struct signalr_shared own;  /* where the options name none to share */
    struct signalr_stats stats; /* its totals; the gauges are filled in when asked */
    char *scratch;              /* options.max_message_bytes, for unescaped texts of one message */
    /* The messages every connection gets alike, encoded once. */
    struct hub_buf *handshake_ok, *ping, *close_plain, *close_reconnect, *close_error;
    bool draining;
    uint64_t drain_start_ms;
    unsigned drain_spread_ms;
    void (*drained)(void *arg); /* NULL once called */
    void *drained_arg;
    void (*freed)(void *arg);
    void *freed_arg;
};

/* ---- hub_registry.c ---- */

/* Adds c by serial, and by token where it has one. False: no memory, nothing was added. */
bool hub_registry_add(struct hub_connection *c);
void hub_registry_remove(struct hub_connection *c);
void hub_registry_drop_token(struct hub_connection *c); /* none: nothing */
struct hub_connection *hub_registry_by_token(struct signalr_server *s, struct slice token);
struct hub_user *hub_registry_user(struct signalr_server *s, struct slice key); /* NULL: none */
/* Makes c the user's, away from the one it was. Empty key: anonymous. False: no memory. */
bool hub_registry_set_user(struct hub_connection *c, struct slice key);

/* ---- hub_groups.c ---- */
void hub_groups_opened(struct hub_connection *c);    /* joins the groups of its user */
void hub_groups_leave_all(struct hub_connection *c); /* none: nothing */
void hub_groups_free(struct signalr_server *s);      /* no connection is left */

/* ---- hub_connection.c ---- */

/* A connection in CONN_NEGOTIATED, registered, with a fresh id and, where asked for, a token.
 * id_is_token: negotiate version 0. NULL: no memory, no random bytes, or
 * it would have a token and as many as may be are pending. */
enum hub_token_kind { HUB_TOKEN_NONE, HUB_TOKEN_IS_ID, HUB_TOKEN_OWN };
struct hub_connection *hub_connection_new(struct signalr_server *s, enum hub_token_kind token,
                                          struct slice user_key);
/* The transport stands: expects the handshake. user_data is c's to release from here on. */
void hub_connection_attached(struct hub_connection *c, struct ws_conn *ws,
                             const struct signalr_user *user);
void hub_connection_discard(struct hub_connection *c); /* CONN_NEGOTIATED only: frees it */
void hub_connection_on_timer(struct hub_connection *c);
/* Arms the timer anew after one of the deadlines has changed. */
void hub_connection_rearm(struct hub_connection *c);
/* Sends close (borrowed; NULL: nothing) if open, and ends the transport. Closing already: nothing.
 */
void hub_connection_end(struct hub_connection *c, enum hub_end why, struct hub_buf *close);
/* Queues and drops the caller's reference. NULL, which is no memory, ends the connection. */
void hub_connection_send_new(struct hub_connection *c, struct hub_buf *message);

/* ---- hub_loss.c ----
 * A client whose network stalls gives up after a while. What its TCP then still takes in, it drops,
 * and its acknowledgement proves nothing. So the connection is looked at with every ping: when
 * bytes are found unacknowledged then, the receipt of that moment stands until a later look finds
 * them acknowledged and the client alive. Bytes that are younger than the last ping may merely be
 * on their way: then it is looked at again a moment later, when nobody can have given up yet. */
void hub_loss_look(struct hub_connection *c, uint64_t now_ms);
void hub_loss_look_again(struct hub_connection *c);
void hub_loss_close(struct hub_connection *c); /* the transport can still be asked */
/* It has been silent for too long, but its TCP has acknowledged what it was in doubt for: so it had
 * a network again. Its own word, whether it lives or has given up, waits for its kernel to try once
 * more, which may take as long again as the stall took. True, once for a doubt: that counts as a
 * sign of life as of now. Else a client that heard everything would be sent it again. */
bool hub_loss_spares(struct hub_connection *c, uint64_t now_ms);

/* ---- hub_dispatch.c ---- */
void hub_dispatch(struct hub_connection *c, struct slice body);

/* ---- hub_calls.c ---- */
void hub_calls_cancel(struct hub_connection *c, struct slice invocation_id); /* by the client */
void hub_calls_resume(struct hub_connection *c); /* what waited for room goes on */
void hub_calls_free(struct hub_connection *c);

/* ---- hub_endpoint.c, hub_negotiate.c ---- */
void hub_endpoint(struct signalr_server *s, struct http_request *req);
void hub_negotiate(struct signalr_server *s, struct http_request *req);
void hub_respond(struct http_request *req, int status, const char *text); /* text/plain */
void hub_respond_not_allowed(struct http_request *req, const char *allow, const char *text);
/* False: refused, and answered with 401. */
bool hub_authenticate(struct signalr_server *s, struct http_request *req,
                      struct signalr_user *user);
void hub_release_user(struct signalr_server *s, struct signalr_user *user);
/* May one more connection of that user come? False: answered with 503 or 429. already: it is
 * counted with its user as negotiated. */
bool hub_admit(struct signalr_server *s, struct http_request *req, struct slice user_key,
               bool already);

bool hub_pending_is_full(const struct signalr_server *s);

/* ---- signalr_server.c ---- */
void hub_server_left(struct signalr_server *s); /* a connection has; perhaps a drain's last */

#endif
