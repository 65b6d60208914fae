/* bridge/session/user_session_internal.h - one user's session, for the files that make it up.
 *
 *   session_table.c   who is attached, the clock, the governor's answers, shutdown
 *   user_session.c    the state machine: its moves and its clock; birth and death
 *   session_leave.c   out of any state: a pause, a refusal, the end
 *   session_entry.c   the token and its cache entry: begin, write, hear what becomes of it
 *   session_login.c   a fresh login, by whichever road, and whose account it gave
 *   session_late.c    a login by DDP that nobody waits for any more
 *   session_token.c   the token lent to callers who act as the user
 *   session_link.c    the DDP connection: resume, subscribe
 *   session_lists.c   the first lists of rooms and subscriptions
 *   session_repair.c  rooms whose messages are incomplete: hold, ask
 *   session_merge.c   the answer, put in order
 *   session_calls.c   hub calls of the user's tabs; session_calls_internal.h names the rest of them
 *   session_typing.c  under which name the user is told to be typing
 *   session_further.c events of the user that only some operators want
 *   session_opened.c  rooms that tabs have opened: their streams, and who hears them
 *   session_query.c   the query for them, run for all sessions that asked
 *   session_replay.c  events kept for connections that were lost
 *   session_release.c and no longer than one of them may ask for them
 *   session_state.c   what of that outlives the process
 *   session_events.c  what Rocket.Chat sends and what the tabs are told
 *   session_report.c  what the operator sees
 *   session_why.c     and the one thing that is wrong
 *
 * An asynchronous answer of the cache or of REST comes with a session_op, which knows whether the
 * session still waits for it; DDP answers come with the session, since all of them come before the
 * connector's end, which the session outlives. */
#ifndef BRIDGE_SESSION_USER_SESSION_INTERNAL_H
#define BRIDGE_SESSION_USER_SESSION_INTERNAL_H

#include "base/byte_buf.h"
#include "base/hash.h"
#include "base/timer_wheel.h"
#include "bridge/admin/metrics.h"
#include "bridge/login/logout_queue.h"
#include "bridge/replay/lost_slots.h"
#include "bridge/replay/replay_ring.h"
#include "bridge/session/call_window.h"
#include "bridge/session/further_events.h"
#include "bridge/session/room_hold.h"
#include "bridge/session/session_table.h"
#include "bridge/settings/settings.h"
#include "cache/token_cache.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/rest_client.h"
#include "rocketchat/room_memory.h"
#include "signalr/protocol/hub_buf.h"

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define HASH_NONFATAL_OOM 1
#define uthash_nonfatal_oom(element) (element)->table = NULL
#include <uthash.h>

enum {
    SESSION_TICK_MS = 50,
    SESSION_SLOW_MS = 3000,         /* a start that takes longer is told to the tabs */
    SESSION_REFUSED_MS = 60 * 1000, /* first pause after a refusal, doubling */
    SESSION_REFUSED_MAX_MS = 30 * 60 * 1000,
    SESSION_DDP_ID_MAX = 128,          /* a UUID is 36 bytes long */
    SESSION_LOGOUT_MS = 2000,          /* wait for the answer to a DDP logout */
    SESSION_LATE_LOGIN_MS = 60 * 1000, /* a DDP login's answer is of no use, but may have a token */
    SESSION_CALL_MS = 15 * 1000,
    SESSION_NAMING_MS = 1000,    /* wait for the users document behind a login's result */
    SESSION_TOUCH_MS = 5 * 1000, /* a sliding time to live is restarted no more often ... */
    SESSION_TOUCHES = 8,         /* ... or, where it is short, this often within it */
    /* Rocket.Chat: 10 calls of a method in 10 s by one connection. Two stay for others. */
    SESSION_QUERIES = 8,
};

enum session_sub {
    SESSION_SUB_EPHEMERAL,
    SESSION_SUB_ROOMS,
    SESSION_SUB_SUBSCRIPTIONS,
    SESSION_NSUBS
};
enum session_sub_state { SUB_NONE, SUB_PENDING, SUB_WAITING, SUB_READY, SUB_REFUSED };

/* What the tabs last heard of the session by bridgeStatus. */
enum session_told { TOLD_NOTHING, TOLD_CONNECTING, TOLD_BACKOFF, TOLD_REFUSED };

struct session_borrow;
struct session_call;
struct session_calls;
struct opened_room;
struct session_further;
struct session_login;
struct session_repair;
struct session_restored;
struct session_arrival;

/* The tabs are asked how far they have received what is kept. */
struct session_release {
    uint64_t asked_ms; /* the last time; 0: never */
    uint64_t ticket;
    uint64_t upto;      /* while asked: the lowest answer so far */
    uint32_t waits;     /* for so many shards; 0: nothing is asked */
    uint32_t kept_then; /* bytes that the last answer left */
};

struct user_session {
    UT_hash_handle hh; /* in table->sessions, by key */
    struct session_table *table;
    struct wheel_timer timer; /* the earlier of step_at_ms and linger_at_ms */
    uint64_t step_at_ms;      /* retry, slow start, list retry: by state; 0: none */
    uint64_t linger_at_ms;    /* 0: wanted, or already left */
    uint64_t repair_at_ms;    /* 0: none is due */
    uint64_t calls_at_ms;     /* the first waiting call's time is over; 0: none waits */
    uint64_t opened_at_ms;    /* Rocket.Chat takes the next subscription; 0: none waits */
    uint64_t further_at_ms;   /* the same */
    uint64_t replay_at_ms;    /* a slot ends, events are too old to keep, tabs are to be asked */
    uint64_t queries_ms[SESSION_QUERIES]; /* when the last ones of messages/get left; 0: none */
    uint64_t lost_at_ms;            /* where the gap begins that is to be caught up with, or was */
    struct session_repair *repairs; /* rooms being repaired */
    struct session_calls *calls;    /* NULL: no tab called anything yet */
    struct opened_room *opened;
    struct session_further *further; /* NULL: none is wanted, or none was asked for yet */
    struct token_watch *watch;
    struct ddp_connector *ddp;
    struct session_login *login; /* a fresh login under way */
    struct replay_ring ring;     /* numbers what all tabs are sent */
    struct session_release release;
    struct lost_slots slots;
    struct session_arrival *arrivals; /* connections not answered yet */
    struct room_memory *rooms;        /* delivery memory; outlives DDP connections */
    struct rest_call *rest;           /* under way, of the latest op */
    struct rest_call *history_call;   /* for a room's messages */
    struct session_borrow *borrows;   /* callers who wait for the token */
    uint64_t borrow_at_ms;            /* when the first of them has waited long enough; 0: none */
    struct rest_call *check;          /* asks whether the token is alive */

    char *user_id, *token; /* Rocket.Chat's; printable ASCII; NULL: none. token is wiped */
    char *ddp_session;     /* of the connection at hand; raw text */
    char *real_name;       /* Rocket.Chat's `name`, JSON with its quotes; NULL: not known */
    char *profile;         /* packed, see profile.h; NULL: nothing is known */
    int64_t issued_at_ms;
    uint64_t epoch;
    uint64_t subscribing_until_ms;
    uint64_t ttl_ends_ms;   /* of the entry, as the cache told it last */
    uint64_t token_ends_ms; /* of a token that the full cache did not take; 0: none */
    uint64_t touched_ms;
    uint64_t missed_since_ms; /* what is told now is not for pages that came fresh since then: they
                                 have loaded it as history; 0: it is for all */
    uint64_t live_since_ms, last_event_in_ms, last_event_out_ms;
    uint64_t retry_in_ms; /* pause of BACKOFF or REFUSED; 0 in REFUSED: no retry */
    uint32_t events_in, events_out;
    char code[40]; /* why not live */
    char *failure; /* the last one's code, kept for the operator; NULL: none, or no memory */
    uint64_t failed_at_ms;

    uint32_t op_seq; /* answers of older ops are stale */
    uint32_t holds;  /* ops under way: the session must live until they answered */
    uint32_t connections;
    uint32_t held_bytes; /* of messages that wait for repairs */
    uint8_t state;       /* enum session_state; written by session_enter() alone */
    uint8_t then;        /* enum session_state: where CLOSING leads */
    uint8_t told;        /* enum session_told */
    uint8_t failed_in;   /* enum session_state: where the last failure struck */
    uint8_t failed_sub;  /* enum session_sub: refused or ended; SESSION_NSUBS: unknown which */
    uint8_t failures;    /* in a row; the exponent of the backoff */
    uint8_t refusals;    /* in a row; the exponent of REFUSED's pause */
    uint8_t list_tries;
    uint8_t next_query; /* the oldest of queries_ms */
    uint16_t nrepairs;
    uint16_t gap_rooms;          /* that moved in the gap being caught up with */
    uint8_t subs[SESSION_NSUBS]; /* enum session_sub_state */
    bool stored : 1;             /* there is an entry with our token in the cache */
    bool authed : 1;             /* the DDP connection is logged in */
    bool fresh : 1;              /* of a login just made, and no DDP connection has used it yet */
    bool fresh_refused : 1;  /* such a token was refused, as one may be, and none worked since */
    bool yielded : 1;        /* IDLE though wanted: another instance has the session */
    bool token_unwanted : 1; /* leaving, however it is done, logs the token out */
    bool naming : 1;         /* logged in over DDP, whose account it is not known yet */
    bool logging_out : 1;    /* CLOSING waits for the answer to a DDP logout */
    bool connected_before : 1;
    bool gap : 1;             /* LIVE again after a loss, and not caught up yet */
    bool looked_again : 1;    /* rooms/get is asked, or was, for the second time */
    bool history_by_rest : 1; /* this server has no messages/get */
    bool restored : 1;        /* begun by what the last process left */

    uint16_t username_len, key_len, profile_len;
    uint32_t *interest;   /* connections per shard; into tail */
    char *username, *key; /* NUL-terminated; into tail */
    char tail[];
};

/* When a token was found alive last. Where two share a place, one is asked about once too often. */
struct session_checked {
    uint64_t name; /* the token's hash */
    uint64_t at_ms;
};

enum { SESSION_CHECKED = 256 };

struct session_table {
    struct session_table_options options;
    const struct settings *settings;
    struct further_map further;     /* settings->events.map, read */
    struct byte_buf dates;          /* of session_event: the event with its dates converted */
    struct user_session *sessions;  /* uthash */
    struct session_repair *repairs; /* uthash by ticket: those asked for */
    struct session_login *logins;   /* uthash by ticket: those that wait for the governor or run */
    struct session_login *late;     /* utlist: those of session_late.c */
    struct logout_queue *logouts;
    struct timer_wheel *wheel;
    uv_timer_t tick;         /* only while something is due */
    uint64_t wheel_at_ms;    /* the wheel's; UINT64_MAX: nothing is armed */
    uint64_t clock_ahead_ms; /* tests move the clock with it */
    uint64_t next_ticket;
    uint64_t history_limited_until_ms; /* over REST */
    uint64_t names_known_until_ms;     /* shows_real_names is believed; 0: nothing is known */
    uint64_t me_again_ms;              /* no user's name is asked for before */
    uint64_t random;
    struct session_checked checked[SESSION_CHECKED]; /* session_token.c; by name */
    size_t replay_bytes;                             /* in all rings */
    struct session_restored *restored; /* uthash by key: users of the process before this one */
    uint64_t restored_until_ms;        /* 0: there are none */
    unsigned by_state[SESSION_NSTATES];
    char *admin_id, *admin_name;
    bool shows_real_names; /* Rocket.Chat does: session_typing.c */
    bool draining;
    bool orphans_asked;
    unsigned revocations; /* cache answers that come to the table itself */
    uint64_t drain_until_ms;
    void (*drained)(void *arg);
    void *drained_arg;
    void (*freed)(void *arg);
    void *freed_arg;
};

/* The earlier of two times; 0: none. */
static inline uint64_t session_sooner(uint64_t a, uint64_t b)
{
    return a == 0 || (b != 0 && b < a) ? b : a;
}

/* ---- session_table.c ---- */
uint64_t session_now_ms(const struct session_table *t);
uint64_t session_random(struct session_table *t, uint64_t below); /* 0..below - 1; below 0: 0 */
void session_table_forget(struct user_session *s);                /* out of the table, and freed */
void session_table_run(struct session_table *t);       /* what is due at session_now_ms(); tests */
void session_table_set_clock(struct session_table *t); /* what it waits for has changed */

/* ---- user_session.c ---- */
struct user_session *user_session_new(struct session_table *t, const struct session_who *who);
void user_session_free(struct user_session *s);
void user_session_wanted(struct user_session *s);   /* a connection attached */
void user_session_unwanted(struct user_session *s); /* the last one left */
void user_session_due(struct user_session *s);      /* its timer fired */

void session_enter(struct user_session *s, enum session_state to);
void session_arm(struct user_session *s, uint64_t step_at_ms); /* 0: no step */
void session_rearm(struct user_session *s);
void session_set_code(struct user_session *s, const char *code);

static inline bool session_is_up(const struct user_session *s) /* has a DDP connection in use */
{
    return s->ddp != NULL && s->state != SESSION_CLOSING;
}

struct session_op {
    struct user_session *session;
    uint32_t seq;
    void (*next)(struct user_session *s); /* of session_store() */
};
struct session_op *session_op_new(struct user_session *s); /* NULL: no memory */
/* Ends op. NULL: nobody waits for it any more, and the session may be gone. */
struct user_session *session_op_end(struct session_op *op);
void session_expect_nothing(struct user_session *s); /* all ops under way become stale */

/* ---- session_leave.c ---- */
/* Ends what is under way, DDP included, then goes to IDLE, LOGGING_IN (begin), BACKOFF or REFUSED.
 * drop_token: logs it out. */
void session_leave(struct user_session *s, enum session_state then, bool drop_token);
void session_left(struct user_session *s); /* DDP is gone: does what `then` says */
/* Something failed: try again later. least_ms: not before that (a server's wish). */
void session_back_off(struct user_session *s, const char *code, uint64_t least_ms);
/* Rocket.Chat, or we, won't have this user. retry_ms 0: with growing pauses. */
void session_refuse(struct user_session *s, const char *code, uint64_t retry_ms);
void session_refuse_for_good(struct user_session *s, const char *code); /* no retry */
void session_yield(struct user_session *s, bool drop_token);
void user_session_revoke(struct user_session *s, enum session_revoke why);
void user_session_drain(struct user_session *s);
void user_session_abort(struct user_session *s); /* waits for no answer of Rocket.Chat's any more */

/* ---- session_entry.c ---- */
/* Looks the token up and goes on from there. From IDLE, BACKOFF, REFUSED or the end of CLOSING.
 * fetch: the same for a session that has yielded and only wants to know the token. */
void session_begin(struct user_session *s);
void session_fetch(struct user_session *s);
/* Writes token and DDP session into the entry; next runs when it stands, or the cache is full. */
void session_store(struct user_session *s, void (*next)(struct user_session *s));
void session_on_notice(void *arg, const struct token_notice *notice);
void session_token_ended(struct user_session *s); /* token_ends_ms has come */
void session_touch(struct user_session *s);       /* the entry was of use */
bool session_set_token(struct user_session *s, struct slice user_id, struct slice token,
                       int64_t issued_at_ms); /* false: no memory, or unfit for a header */
/* NULL: the account is this user's. Else why not (rc_account_code()). */
const char *session_account_refusal(const struct user_session *s, struct slice user_id,
                                    struct slice username);
void session_forget_token(struct user_session *s); /* wiped; not logged out */
void session_drop_token(struct user_session *s);   /* to the logout queue */
void session_ignore_cache(void *arg, enum token_cache_result result,
                          const struct token_entry *entry); /* a token_cache_fn */

/* ---- session_token.c ---- */
bool session_borrow(struct user_session *s, const struct session_ask *ask, session_loan_fn fn,
                    void *arg); /* false: no memory, fn never runs */
void session_loan_refuse(session_loan_fn fn, void *arg, enum rc_result result, const char *code,
                         uint64_t retry_after_ms);
/* There is a token, and it is ours: lends it, then on to DDP, or, with nobody connected, to IDLE.
 */
void session_token_ready(struct user_session *s);
/* Callers wait, and the state has changed: lends, begins, or turns them away. */
void session_borrows_step(struct user_session *s);
void session_borrows_due(struct user_session *s);
/* Rocket.Chat has just vouched for the token: those who wait need not ask again. */
void session_believe_token(struct user_session *s);
/* All of them hear that they get nothing. */
void session_turn_away(struct user_session *s, enum rc_result result, const char *code,
                       uint64_t retry_after_ms);
/* What the claims say by now; empty: nothing new. Follows it, where the user is logged in. */
void session_take_profile(struct user_session *s, struct slice profile);
void session_follow_profile(struct user_session *s);
bool session_is_wanted(const struct user_session *s); /* by anybody: there is a use in retrying */

/* ---- session_login.c ---- */
void session_login_start(struct user_session *s);
void session_login_stop(struct user_session *s);    /* whatever of it is under way */
void session_logins_abort(struct session_table *t); /* cancels those in REST's hands */
void session_late_abort(struct session_table *t);   /* session_late.c: closes their connections */
/* The governor's answers; l is in table->logins. */
struct session_login *session_login_find(struct session_table *t, uint64_t ticket);
void session_login_go(struct session_login *l, enum login_road road);
void session_login_turned_away(struct session_login *l, const struct rc_error *error);
/* On the DDP road: `connected` came, the users document came, the connection was lost. */
bool session_login_wants_password(const struct user_session *s);
void session_login_by_ddp(struct user_session *s);
/* A step is due: true: the answer was waited for long enough, and the session has left it. */
bool session_login_gave_up(struct user_session *s);
void session_login_saw_user(struct user_session *s, struct slice id, struct slice fields);
const char *session_login_state(const struct user_session *s); /* for the operator */
void session_login_ask_me(struct user_session *s);             /* naming took too long */
void session_login_lost(struct user_session *s, enum rc_result result);

/* ---- session_link.c ---- */
void session_connect(struct user_session *s);
void session_count_end(struct session_table *t, enum ddp_end how); /* of one of its connections */
void session_subscribe(struct user_session *s);        /* logged in and ours: on with it */
const char *session_sub_event(enum session_sub which); /* "rooms-changed", ... */
void session_link_step(struct user_session *s);        /* a step is due in SUBSCRIBING or LIVE */

/* ---- session_report.c, session_why.c ---- */
void session_report(const struct user_session *s, struct byte_buf *json);
const char *session_sub_state_name(uint8_t state); /* enum session_sub_state */
void session_why(const struct user_session *s, struct session_why *why);

/* ---- session_lists.c ---- */
void session_lists_ask(struct user_session *s);
/* Logged in again: what is remembered of the rooms is behind now, or too old to be of use. */
void session_begin_gap(struct user_session *s);
/* What was written or changed at `server_ms` and is caught up with: for missed_since_ms. */
uint64_t session_missed_since(const struct user_session *s, int64_t server_ms);

/* ---- session_repair.c ---- */
/* rooms-changed: judges it, and sends its message on, or keeps it until the room is complete. */
void session_repair_room(struct user_session *s, const struct rc_event *e, uint64_t born);
/* True: the message waits for its room's repair, and is sent then. */
bool session_repair_hold(struct user_session *s, enum room_sight sight,
                         const struct rc_message *message);
void session_repair_gap(struct user_session *s, struct slice rid);  /* it moved in a gap */
void session_repair_left(struct user_session *s, struct slice rid); /* the user left the room */
void session_repair_stop(struct user_session *s); /* what waits goes out; nothing is asked for */
/* The DDP connection is lost, and comes back: what waits may still find its place. */
void session_repair_pause(struct user_session *s);
void session_repair_resume(struct user_session *s); /* the lists after the gap are compared */
void session_repair_due(struct user_session *s);

struct held *session_take_held(struct user_session *s, struct room_hold *hold, int64_t until_ms);

/* ---- session_merge.c ---- */
struct session_answer {
    struct slice json;
    int64_t asked_ms; /* what was asked for begins there */
    bool more;        /* what is newer than the answer is asked for next */
    bool gap;         /* for what was missed in a gap */
};
/* Sends on what of the answer is news, and what is held, in the room's order. more: what is held
 * and newer goes on waiting. *passed_ms: the newest message of the room that has gone out. False:
 * json is no answer, and nothing was done. */
bool session_merge(struct user_session *s, struct slice rid, const struct session_answer *answer,
                   struct room_hold *hold, int64_t *passed_ms);
/* The same for what is held alone: it has waited long enough. */
void session_merge_held(struct user_session *s, struct slice rid, int64_t asked_ms,
                        struct room_hold *hold, int64_t *passed_ms);
/* It is news, and a newer one has gone out. */
bool session_is_behind(const struct rc_message *message, enum room_sight sight, int64_t passed_ms);
/* A message of a room under repair goes out before its answer: notes it, and sends it. */
void session_note_passed(const struct rc_message *message, enum room_sight sight,
                         int64_t *passed_ms);
void session_tell_passed(struct user_session *s, const struct rc_message *message,
                         enum room_sight sight, uint64_t born, int64_t *passed_ms);
/* The room's own messages tell of the user's comings and goings (uj, au; ul, ru): before a message
 * is judged, and after. */
void session_saw_return(struct user_session *s, const struct rc_message *message);
void session_saw_leave(struct user_session *s, const struct rc_message *message,
                       enum room_sight sight);

/* ---- session_calls.c ---- */
/* Each ends the call. text, details: borrowed. */
void session_call_answer(struct session_call *call, enum call_answer kind, struct slice text);
void session_call_fail(struct session_call *call, const char *code, const char *words,
                       uint64_t retry_ms);
void session_call_fail_rc(struct session_call *call, const struct rc_error *error,
                          struct slice details);
struct slice session_call_room(const struct session_call *call); /* its first argument, raw */
const struct call_id *session_call_id(const struct session_call *call);
/* A call waits in one list at a time, its owner's. */
void session_call_push(struct session_call **list, struct session_call *call);
struct session_call *session_call_pop(struct session_call **list); /* NULL: empty */
/* Takes one call of a method from the connection's limits. 0: send it; else: in so many ms. */
uint64_t session_calls_pace(struct user_session *s, const char *method);
void session_calls_live(struct user_session *s);     /* those that waited are carried out */
void session_calls_not_live(struct user_session *s); /* those that waited fail */
void session_calls_due(struct user_session *s);
/* The connection has gone: a room that it waits to open would stay open for nobody. */
void session_calls_detach(struct user_session *s, unsigned shard, uint64_t conn_serial);
void session_calls_abort(struct user_session *s); /* cancels what REST is asked for */
void session_calls_free(struct user_session *s);

/* ---- session_typing.c ---- */
void session_saw_name(struct user_session *s, struct slice document); /* of the user; JSON */

/* ---- session_opened.c ---- */
void session_opened_open(struct user_session *s, struct session_call *call);  /* ends it later */
void session_opened_close(struct user_session *s, struct session_call *call); /* ends it */
void session_opened_detach(struct user_session *s, unsigned shard, uint64_t conn_serial);
void session_opened_left(struct user_session *s, struct slice rid); /* the user left the room */
void session_opened_live(struct user_session *s);                   /* subscribes to all again */
void session_opened_lost(struct user_session *s); /* no subscription is in force any more */
void session_opened_due(struct user_session *s);
/* A subscription that was ready ended. False: it is not one of these. */
bool session_opened_ended(struct user_session *s, uint32_t sub_id);
/* The room, if a tab has it open and its messages are followed; NULL: not so. */
const struct opened_room *session_opened_find(const struct user_session *s, struct slice rid);
/* To the connections that have it open, and no other. Takes the reference. */
void session_opened_push(const struct opened_room *room, struct hub_buf *message);
void session_opened_report(const struct user_session *s, struct byte_buf *json); /* an array */
void session_opened_free(struct user_session *s);

/* ---- session_query.c ---- */
/* Reports its end to the gate. */
void session_query_run(struct user_session *s, struct slice rid, int64_t since_ms, uint64_t ticket);

/* ---- session_replay.c ---- */
/* Before it is pushed to all: numbers it, and keeps it while somebody may come back for it. */
void session_replay_keep(struct user_session *s, struct hub_buf *message);
/* A connection has ended. loss: NULL: in good order. */
void session_replay_left(struct user_session *s, unsigned shard, uint64_t conn_serial,
                         const struct session_loss *loss);
/* A connection comes: it is answered, and sent what it missed. Perhaps later: its old one may not
 * have been found dead yet, so first those of its kind that are in doubt are asked for. */
void session_replay_arrive(struct user_session *s, unsigned shard, uint64_t conn_serial,
                           uint64_t client);
void session_replay_due(struct user_session *s);
/* A lost connection, or one that comes, may ask for what follows this number; UINT64_MAX: nobody.
 */
uint64_t session_replay_needed_after(const struct user_session *s);
/* What a connection counts as having received; LOST_SLOT_UNKNOWN: nobody can say. */
uint64_t session_replay_position(const struct user_session *s, const struct hub_receipt *receipt);
void session_replay_release(struct user_session *s,
                            uint64_t upto); /* nobody asks for that any more */
void session_replay_rearm(struct user_session *s);
void session_replay_free(struct user_session *s);

/* ---- session_release.c ---- */
/* When to ask the tabs what they have received; 0: there is no use in it now. */
uint64_t session_release_at_ms(const struct user_session *s);
void session_release_ask(struct user_session *s);
/* A connection was answered that begins to hear behind this number. */
void session_release_attached(struct user_session *s, uint64_t from);

/* ---- session_further.c ---- */
void session_further_live(struct user_session *s);
void session_further_lost(struct user_session *s); /* no subscription is in force any more */
void session_further_due(struct user_session *s);
bool session_further_ended(struct user_session *s, uint32_t sub_id); /* true: one of these */
void session_further_report(const struct user_session *s, struct byte_buf *json);
void session_further_free(struct user_session *s);

/* ---- session_state.c ---- */
void session_take_up(struct user_session *s); /* a new one: what the last process left, if any */
void session_restored_free(struct session_table *t);

/* ---- session_events.c ---- */
/* json, with dates as DDP has them, as the tabs are to have it (Events:Dates): itself, or converted
 * in out, which the caller frees. ptr NULL: no memory. */
struct slice session_dates(const struct session_table *t, struct slice json, struct byte_buf *out);
void session_tell_message(struct user_session *s, const struct rc_message *m, enum room_sight sight,
                          uint64_t born);
void session_tell_deleted(struct user_session *s, struct slice rid, struct slice id);
void session_tell_membership(struct user_session *s, const struct rc_event *e, struct slice rid,
                             uint64_t born);
void session_resync(struct user_session *s, struct slice rid, const char *reason); /* all tabs */
void session_event(struct user_session *s, const struct ddp_event *event);
/* By bridgeStatus, all tabs or a new one. TOLD_NOTHING says "live" to those who heard otherwise. */
void session_tell(struct user_session *s, enum session_told what);
void session_tell_connection(struct user_session *s, unsigned shard, uint64_t conn_serial);

#endif
