/* bridge/session/session_table.h - the user sessions of one shard.
 *
 * A user's session lives on shard hash(key) % N; the user's connections may live on any. They tell
 * the table of their coming and going (attach, detach), and the session posts what happens to each
 * shard that holds one of them. Design sections 2, 3 and 5 are the rules.
 *
 * Single-threaded, on the shard's loop. Host callbacks may run inside any call here: they post to
 * mailboxes and return; they never call back into the table.
 *
 * FIFO: attached(), push(), push_missed(), push_to_connection() and ask_received() for one shard
 * must be carried in the order of the calls, and what comes back from it in the order in which it
 * was said there. A connection is addressable once its attached() has arrived, so that nothing
 * overtakes and nothing doubles.
 *
 * A shard has a second table, with a cache of its own, for the tokens handed out to browsers:
 * nobody attaches there, so its sessions only log in and lend. A token handed out is so of another
 * class than the session's: neither's end, renewal or time to live touches the other.
 */
#ifndef BRIDGE_SESSION_SESSION_TABLE_H
#define BRIDGE_SESSION_SESSION_TABLE_H

#include "base/slice.h"
#include "bridge/login/login_gate.h"
#include "bridge/session/call_gate.h"
#include "bridge/session/repair_gate.h"
#include "bridge/session/user_session.h"
#include "signalr/hub/hub_receipt.h"
#include <stdint.h>
#include <uv.h>

struct session_table;
struct byte_buf;
struct replay_state_user;
struct ddp_client;
struct hub_buf;
struct metrics_block;
struct rest_client;
struct settings;
struct token_cache;
struct token_entry;

/* Who attaches. Slices are borrowed for the call. */
struct session_who {
    struct slice key;      /* user key; not empty, at most 319 bytes */
    struct slice username; /* Rocket.Chat's, out of the template; may be empty when refused */
    const char *refused;   /* static text: why this user can have no session (rc_account_code():
                              "tenant-template", ...); NULL: none of that */
    uint64_t client;       /* its kind: struct bridge_user */
    struct slice profile;  /* packed, see profile.h; empty: nothing is known */
};

/* Where a connection begins to hear (hub_receipt_start()). */
struct session_start {
    uint64_t from;
    bool torn;
    uint64_t fresh_ms; /* it has lost nothing, and came then, by the session's clock; 0: it may lack
                          all that push_missed() carries */
};

/* A connection that was lost, or that we closed to have it back. */
struct session_loss {
    uint64_t client; /* as in session_who */
    bool drained;    /* closed because this process stops */
    struct hub_receipt receipt;
};

/* One that may have been lost. */
struct session_doubt {
    uint64_t conn_serial;
    bool closing; /* it is sent nothing any more */
    struct hub_receipt receipt;
};

/* What the user's connections on a shard have received, in the sense of PushBridge:Replay:Tail. */
struct session_received {
    uint64_t lowest; /* of those whose receipt alone tells it; UINT64_MAX: there is none */
    const struct hub_receipt *receipts; /* the others', as of now; borrowed */
    size_t count;
};

enum session_revoke {
    SESSION_LOGGED_OUT, /* the user, or the operator, ended the session in good order */
    SESSION_REVOKED,    /* the entry was taken away: the user must prove who they are again */
};

struct session_host {
    /* A client of that kind has come: which of the user's connections of its kind on this shard may
     * have been lost? The answer is session_table_checked(), later and once. */
    void (*check)(void *arg, unsigned shard, struct slice key, uint64_t client, uint64_t ticket);
    /* What have the user's connections on this shard received? Those are meant that attached() was
     * carried to before this. The answer is session_table_received(), later and once. */
    void (*ask_received)(void *arg, unsigned shard, struct slice key, uint64_t ticket);
    /* The answer to an attach. */
    void (*attached)(void *arg, unsigned shard, uint64_t conn_serial, struct slice key,
                     const struct session_start *start);
    /* To every attached connection of the user on this shard. Take a reference to keep message. */
    void (*push)(void *arg, unsigned shard, struct slice key, struct hub_buf *message);
    /* The same, but for those that came fresh at `since_ms` or later: they have it. */
    void (*push_missed)(void *arg, unsigned shard, struct slice key, uint64_t since_ms,
                        struct hub_buf *message);
    void (*push_to_connection)(void *arg, unsigned shard, uint64_t conn_serial, struct slice key,
                               struct hub_buf *message);
    /* An event for one connection: as push, where there is no room for it the user is told. */
    void (*push_to_opener)(void *arg, unsigned shard, uint64_t conn_serial, struct slice key,
                           struct hub_buf *message);
    /* Close the user's connections on this shard, without allowReconnect. They detach as usual. */
    void (*close_user)(void *arg, unsigned shard, struct slice key, enum session_revoke why);
    void *arg;
};

struct session_table_options {
    uv_loop_t *loop;
    unsigned shard, nshards;
    unsigned max_sessions;
    const struct settings *settings; /* outlives the table, like all that follows */
    struct metrics_block *metrics;   /* this shard's */
    struct token_cache *cache;       /* this shard's; its orphans go to session_table_orphan() */
    struct ddp_client *ddp;
    struct rest_client *rest;
    struct provisioner *provisioner; /* NULL: there is none */
    struct session_host host;
    struct login_gate gate;
    struct repair_gate repairs;
    struct call_gate calls;
    uint64_t ticket_class; /* 0, or SESSION_HANDED_TICKETS: which table an answer is for */
};

#define SESSION_HANDED_TICKETS (UINT64_C(1) << 62)

/* 0, or a negative libuv error. */
int session_table_new(const struct session_table_options *options, struct session_table **out);

enum session_attach {
    SESSION_ATTACHED,
    SESSION_NO_ROOM,  /* no memory, too many sessions, or draining */
    SESSION_TOO_MANY, /* connections of this user, on all shards together */
};

/* The answer is host.attached, whatever state the session is in: at once, or behind the answers to
 * host.check where the user has other connections. To that connection follow
 * what it missed, if a lost one of the same kind of client left a slot, and a bridgeStatus when the
 * session is not live for a reason worth knowing. But for
 * SESSION_ATTACHED nothing was called, and detach must not be. */
enum session_attach session_table_attach(struct session_table *t, const struct session_who *who,
                                         unsigned shard, uint64_t conn_serial)
    __attribute__((warn_unused_result));
/* Once for every attach that was answered by SESSION_ATTACHED. loss: it may come back for what it
 * did not get; NULL: it left in good order. */
void session_table_detach(struct session_table *t, struct slice key, unsigned shard,
                          uint64_t conn_serial, const struct session_loss *loss);

/* A user's token, for a caller who acts as the user. Slices are borrowed for the call. */
struct session_loan {
    struct slice user_id, auth_token; /* fit for a header */
    struct slice username;
};

/* error NULL: it is lent. Otherwise its code says why not, its result what to do about it:
 *   RC_TIMED_OUT     not within limit_ms; code: what it waits for. It goes on: ask again.
 *   RC_UNREACHABLE   not now: Rocket.Chat is away, the login failed for a passing reason
 *   RC_REFUSED       Rocket.Chat, or we, won't have this user
 *   RC_CANCELLED     the session was ended meanwhile, or the program stops
 * retry_after_ms: when a login may be tried next; 0: not known. */
typedef void (*session_loan_fn)(void *arg, const struct session_loan *loan,
                                const struct rc_error *error);

struct session_ask {
    struct session_who who;
    /* A token this caller was lent, which Rocket.Chat answered 401: if it is still the one at hand
     * and dead indeed, it is dropped and the user logged in afresh. Where it is alive after all it
     * is lent again: a route's own 401 must not cost a login. Empty: none. */
    struct slice refused;
    bool check;        /* a kept token is looked into first, as if it had been refused: who gets it
                          can't come back with a 401. Where Rocket.Chat doesn't tell, it is lent */
    unsigned limit_ms; /* the longest wait for an answer */
};

/* Lends the user's token, the session's own. Where there is none the user is logged in, by the
 * rules of any login; without connections no DDP connection is kept, and the token stays in the
 * cache for its time to live. fn runs exactly once, perhaps inside this call, and like the host's
 * callbacks does not call back into the table. */
void session_table_lend(struct session_table *t, const struct session_ask *ask, session_loan_fn fn,
                        void *arg);

/* The answer to host.check: all of them, up to LOST_SLOTS_MAX, so that the others live. key:
 * unknown by now: nothing. */
void session_table_checked(struct session_table *t, struct slice key, uint64_t ticket,
                           unsigned shard, const struct session_doubt *doubts, size_t count);

/* The answer to host.ask_received, likewise. */
void session_table_received(struct session_table *t, struct slice key, uint64_t ticket,
                            const struct session_received *received);

/* The governor's answer to gate.acquire. An unknown ticket (cancelled meanwhile) is given back by
 * gate.done with RC_CANCELLED. refused: no login now, for error's reason; tried again later. */
void session_table_login_granted(struct session_table *t, uint64_t ticket, enum login_road road);
void session_table_login_refused(struct session_table *t, uint64_t ticket,
                                 const struct rc_error *error);

/* The desk's answers to repairs.ask. run: this session is to ask Rocket.Chat for the room's
 * messages since then, for all who asked, and reports by repairs.done. answered: see repair_desk.h;
 * answer is borrowed. Unknown tickets (cancelled meanwhile): nothing. */
void session_table_repair_run(struct session_table *t, uint64_t ticket, int64_t since_ms);
void session_table_repair_answered(struct session_table *t, uint64_t ticket, int64_t covers_ms,
                                   struct repair_answer *answer, const struct rc_error *error);

/* A hub call of one of the user's connections. The answer is calls.answer, once, inside or later.
 */
void session_table_call(struct session_table *t, struct slice key,
                        const struct call_request *request);
/* What `Call` may name, the setting's own string; NULL: not listed. name: raw. */
const char *session_call_listed(const struct settings *settings, struct slice name);

/* The admin agent logged in: no user's login may answer with this id or name. */
void session_table_set_admin(struct session_table *t, struct slice user_id, struct slice username);

bool session_table_is_admin(const struct session_table *t, struct slice user_id);
bool session_table_is_admin_name(const struct session_table *t, struct slice username);

/* A cached token came to its end with nobody watching (token_orphan_fn of the cache): logs it out.
 */
void session_table_orphan(struct session_table *t, const struct token_entry *entry);

/* A mailbox lost messages for the user's connections on a shard (design section 2): tells them by
 * resyncRequired({rid:null,reason}). reason: a word of ours. False: no memory, they were not told.
 */
bool session_table_resync(struct session_table *t, struct slice key, unsigned shard,
                          const char *reason);

/* For the operator. find: by user key, Rocket.Chat user name or id; *key is borrowed until the
 * session ends. describe: one JSON object without secrets; the caller adds what it knows of tabs.
 */
bool session_table_find(const struct session_table *t, struct slice name_or_id, struct slice *key);
bool session_table_describe(const struct session_table *t, struct slice key, struct byte_buf *json);
struct session_status {
    enum session_state state;
    char code[40];           /* why not live; "": nothing to tell */
    uint64_t retry_after_ms; /* until the next try; 0: none is due */
    unsigned connections;
};
/* False: no such session; *out is that of one that is idle. */
bool session_table_status(const struct session_table *t, struct slice key,
                          struct session_status *out);
/* The first thing that keeps messages from the user, as far as the session knows. */
struct session_why {
    const char *code; /* stable, for programs; "ok": nothing is wrong */
    char text[400];   /* a plain sentence or two; no secrets */
};
bool session_table_why(const struct session_table *t, struct slice key, struct session_why *why);
/* Ends the session: token logged out, entry removed, connections closed. False: no such session. */
bool session_table_revoke(struct session_table *t, struct slice key, enum session_revoke why);

struct session_stats {
    unsigned by_state[SESSION_NSTATES];
    unsigned sessions;
};
void session_table_stats(const struct session_table *t, struct session_stats *out);

/* At a stop, when the connections are closed and before the drain: appends the record of each user
 * with a slot (replay_state.h) and returns how many; those past the buffer's limit are left out.
 * And at the next start: the record, copied, waits for its user. False: no memory, or known. */
unsigned session_table_save(struct session_table *t, struct byte_buf *records);
bool session_table_restore(struct session_table *t, const struct replay_state_user *user,
                           struct slice record);

/* Shutdown, after the connections are closed (those still attached are forgotten): logins are
 * cancelled, DDP closed, the tokens that only this process knows logged out. done is called once,
 * later, at most limit_ms from now. Then free. */
void session_table_drain(struct session_table *t, unsigned limit_ms, void (*done)(void *arg),
                         void *arg);
/* After drain. done is called later, when the loop no longer knows the table. */
void session_table_free(struct session_table *t, void (*done)(void *arg), void *arg);

#endif
