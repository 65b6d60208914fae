/* tests/unit/session_fakes.h - what stands behind the user sessions in their tests.
 *
 * Rocket.Chat's two clients and the provisioner are faked: the test plays the server, looks at what
 * was sent (ddp_pending, rest_pending) and answers it. Cache, room memory, event parsing and
 * encoding are the real ones. The clock is moved by hand (advance). Include once, in the test's
 * only source file. */
#ifndef TESTS_UNIT_SESSION_FAKES_H
#define TESTS_UNIT_SESSION_FAKES_H

#include "bridge/session/user_session_internal.h"
#include "cache/memory_cache_internal.h"
#include "signalr/protocol/hub_buf.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ddp_fake.h"
#include "provision_fake.h"
#include "rest_fake.h"

#define NSHARDS 3

/* ---- the world ---- */

static struct world {
    uv_loop_t loop;
    struct settings settings;
    struct metrics *metrics;
    struct token_cache *cache;
    struct session_table *table;
    uint64_t now_ms; /* of the cache; follows advance() */

    enum login_road road; /* auto-granted on it */
    bool hold_logins;     /* acquires wait for the test */
    uint64_t tickets[64];
    unsigned acquires, cancels, dones;
    enum rc_result last_done;
    enum login_road last_done_road;

    unsigned attached, closed[NSHARDS];
    struct session_start start; /* of the last attached */
    struct check {
        unsigned shard;
        uint64_t client, ticket;
    } checks[16];
    unsigned nchecks;
    bool hold_checks; /* they wait for the test */
    struct ask {
        unsigned shard;
        uint64_t ticket;
    } asks[16]; /* what has been received; the test answers */
    unsigned nasks;
    enum session_revoke close_why;
    char pushed[NSHARDS][65536]; /* texts, one a line */
    unsigned pushes[NSHARDS];
    uint64_t missed_since_ms[16]; /* of each push_missed */
    unsigned nmissed;
    char told_one[4096]; /* push_to_connection */
    char answered[8192]; /* calls, one a line */
    char repair_rid[300];
    int64_t repair_since_ms, repair_until_ms;
    uint64_t repair_ticket;
    unsigned repair_asks, repair_cancels, repair_dones;
    bool drained, freed, cache_freed;
} w;

static const char user_key[] = "42@1";

static inline void put_line(char *log, size_t cap, const char *prefix, struct hub_buf *b)
{
    size_t len, used = strlen(log);
    const uint8_t *bytes = hub_buf_bytes(b, &len);
    size_t head = bytes[1] == 126 ? 4 : 2;

    assert_true(used + len + 64 < cap);
    snprintf(log + used, cap - used, "%s%.*s\n", prefix, (int)(len - head - 1),
             (const char *)bytes + head);
}

static inline void on_check(void *arg, unsigned shard, struct slice key, uint64_t client,
                            uint64_t ticket)
{
    (void)arg;
    assert_true(key.len > 0 && shard < NSHARDS && w.nchecks < 16);
    w.checks[w.nchecks++] = (struct check){shard, client, ticket};
}

static inline void on_ask_received(void *arg, unsigned shard, struct slice key, uint64_t ticket)
{
    (void)arg;
    assert_true(key.len > 0 && shard < NSHARDS);
    w.asks[w.nasks++ % 16] = (struct ask){shard, ticket};
}

static inline void on_attached(void *arg, unsigned shard, uint64_t serial, struct slice key,
                               const struct session_start *start)
{
    (void)arg;
    (void)serial;
    assert_true(key.len > 0 && shard < NSHARDS);
    w.start = *start;
    w.attached++;
}

static inline void on_push(void *arg, unsigned shard, struct slice key, struct hub_buf *message)
{
    (void)arg;
    assert_true(key.len > 0);
    w.pushes[shard]++;
    put_line(w.pushed[shard], sizeof w.pushed[shard], "", message);
}

static inline void on_push_missed(void *arg, unsigned shard, struct slice key, uint64_t since_ms,
                                  struct hub_buf *message)
{
    (void)arg;
    assert_true(key.len > 0 && since_ms != 0);
    w.pushes[shard]++;
    w.missed_since_ms[w.nmissed++ % 16] = since_ms;
    put_line(w.pushed[shard], sizeof w.pushed[shard], "missed ", message);
}

static inline void on_push_to_connection(void *arg, unsigned shard, uint64_t serial,
                                         struct slice key, struct hub_buf *message)
{
    char prefix[64];

    (void)arg;
    (void)key;
    snprintf(prefix, sizeof prefix, "%u:%u ", shard, (unsigned)serial);
    put_line(w.told_one, sizeof w.told_one, prefix, message);
}

static inline void on_close_user(void *arg, unsigned shard, struct slice key,
                                 enum session_revoke why)
{
    (void)arg;
    (void)key;
    w.closed[shard]++;
    w.close_why = why;
}

static inline void on_acquire(void *arg, struct slice key, uint64_t ticket)
{
    (void)arg;
    assert_true(key.len > 0);
    w.tickets[w.acquires++ % 64] = ticket;
}

static inline void on_cancel(void *arg, uint64_t ticket)
{
    (void)arg;
    (void)ticket;
    w.cancels++;
}

static inline void on_login_done(void *arg, uint64_t ticket, enum login_road road,
                                 const struct rc_error *error, const struct rest_rate *rate)
{
    (void)arg;
    (void)ticket;
    (void)rate;
    w.dones++;
    w.last_done = error == NULL ? RC_OK : error->result;
    w.last_done_road = road;
}

static inline void on_repair_ask(void *arg, struct slice rid, int64_t since_ms, int64_t until_ms,
                                 uint64_t ticket)
{
    (void)arg;
    assert_true(rid.len > 0 && rid.len < sizeof w.repair_rid);
    snprintf(w.repair_rid, sizeof w.repair_rid, "%.*s", (int)rid.len, rid.ptr);
    w.repair_since_ms = since_ms;
    w.repair_until_ms = until_ms;
    w.repair_ticket = ticket;
    w.repair_asks++;
}

static inline void on_repair_cancel(void *arg, struct slice rid, uint64_t ticket)
{
    (void)arg;
    (void)rid;
    (void)ticket;
    w.repair_cancels++;
}

static inline void on_repair_done(void *arg, struct slice rid, uint64_t ticket,
                                  struct repair_answer *answer, const struct rc_error *error)
{
    (void)arg;
    (void)rid;
    w.repair_dones++;
    session_table_repair_answered(w.table, ticket, w.repair_until_ms, answer, error);
    repair_answer_unref(answer);
}

static inline void on_call_answer(void *arg, const struct call_id *id, enum call_answer kind,
                                  struct slice text)
{
    static const char *const kinds[] = {"result", "items", "error"};
    const size_t used = strlen(w.answered);

    (void)arg;
    assert_true(used + text.len + 64 < sizeof w.answered);
    snprintf(w.answered + used, sizeof w.answered - used, "%u/%u/%u %s %.*s\n", id->shard,
             (unsigned)id->serial, (unsigned)id->call, kinds[kind], (int)text.len,
             text.len == 0 ? "" : text.ptr);
}

static inline uint64_t cache_clock(void *arg)
{
    (void)arg;
    return w.now_ms;
}

static inline void on_orphan(void *arg, struct slice key, const struct token_entry *entry,
                             enum token_orphan why)
{
    (void)arg;
    (void)key;
    (void)why;
    session_table_orphan(w.table, entry);
}

/* Lets everything happen that needs no answer of Rocket.Chat's. */
static inline void settle(void)
{
    static unsigned granted;

    if (w.acquires == 0)
        granted = 0;
    for (int i = 0; i < 12; i++) {
        uv_run(&w.loop, UV_RUN_NOWAIT);
        for (unsigned n = 0; n < nconns; n++)
            if (conns[n]->closing && !conns[n]->ended)
                ddp_end(conns[n], DDP_END_LOCAL);
        rest_answer_cancelled();
        provision_answer_cancelled();
        for (unsigned n = 0; !w.hold_checks && n < w.nchecks; n++)
            session_table_checked(w.table, slice_of(user_key), w.checks[n].ticket,
                                  w.checks[n].shard, NULL, 0);
        w.nchecks = w.hold_checks ? w.nchecks : 0;
        while (!w.hold_logins && granted < w.acquires)
            session_table_login_granted(w.table, w.tickets[granted++ % 64], w.road);
        session_table_run(w.table);
    }
}

/* Time passes; in steps, so that timers fire in their order. */
static inline void advance(uint64_t ms)
{
    while (ms > 0) {
        uint64_t step = ms < 100 ? ms : ms < 20000 ? 100 : ms / 200;
        w.table->clock_ahead_ms += step;
        w.now_ms += step;
        ms -= step;
        memory_cache_tick(w.cache);
        settle();
    }
}

static inline void world_start(void)
{
    static const uint8_t seed[16] = "session test key";
    static char password[] = "secret", instance[] = "one";
    struct memory_cache_options cache = {
        .ttl_ms = 3600 * 1000, .max_entries = 100, .on_orphan = on_orphan};
    struct session_table_options options;

    hash_seed(seed);
    memset(&w, 0, sizeof w);
    nconns = nrests = 0;
    ddp_opens = true;
    w.now_ms = 1000000;
    w.settings.im.default_password = password;
    w.settings.instance_name = instance;
    w.settings.session.linger_ms = 90 * 1000;
    w.settings.session.ready_timeout_ms = 10 * 1000;
    w.settings.session.backoff_min_ms = 1000;
    w.settings.session.backoff_max_ms = 30 * 1000;
    w.settings.session.max_rooms = 1000;
    w.settings.limits.remembered_messages = 64;
    w.settings.token_cache.ttl_ms = 3600 * 1000;
    w.settings.token_cache.on_expiry = ON_EXPIRY_RESUME;
    w.settings.logins.timeout_ms = 20 * 1000;
    w.settings.events.updates = UPDATES_SEPARATE;
    w.settings.events.deleted = true;
    w.settings.catch_up.max_gap_ms = 24 * 3600 * 1000;
    w.settings.catch_up.max_rooms = 100;
    w.settings.catch_up.max_messages = 1000;
    assert_int_equal(uv_loop_init(&w.loop), 0);
    w.metrics = metrics_new(1);
    w.cache = memory_cache_new_with_clock(&w.loop, &cache, cache_clock, NULL);
    assert_non_null(w.cache);
    options = (struct session_table_options){
        .loop = &w.loop,
        .nshards = NSHARDS,
        .max_sessions = 100,
        .settings = &w.settings,
        .metrics = metrics_block(w.metrics, 0),
        .cache = w.cache,
        .host = {on_check, on_ask_received, on_attached, on_push, on_push_missed,
                 on_push_to_connection, on_push_to_connection, on_close_user, NULL},
        .gate = {on_acquire, on_cancel, on_login_done, NULL},
        .repairs = {on_repair_ask, on_repair_cancel, on_repair_done, NULL},
        .calls = {on_call_answer, NULL},
    };
    assert_int_equal(session_table_new(&options, &w.table), 0);
    w.table->random = 42;
}

/* For tests of tabs that are lost and come back, each a kind of client. */
enum { CHROME = 7, FIREFOX = 8, SECOND = 1000 };

static inline void set_replay(void)
{
    w.settings.hub.client_timeout_ms = 30 * SECOND;
    w.settings.replay.seconds_ms = 90 * SECOND;
    w.settings.replay.ring_bytes = 64 * 1024;
    w.settings.replay.total_bytes = 1024 * 1024;
    w.settings.replay.ring_events = 100;
    w.settings.limits.queue_bytes = 1024 * 1024;
}

static inline void set_true(void *arg)
{
    *(bool *)arg = true;
}

/* Whatever is under way, everything comes to its end and nothing leaks. */
static inline void world_stop(void)
{
    struct session_stats stats;

    w.hold_logins = false;
    if (!w.table->draining)
        session_table_drain(w.table, 1000, set_true, &w.drained);
    for (int i = 0; i < 100 && !w.drained; i++) {
        for (unsigned n = 0; n < nrests; n++)
            if (!rests[n]->answered && rests[n]->what == REST_LOGOUT)
                rest_answer(rests[n], NULL, NULL, NULL, NULL);
        advance(50);
    }
    assert_true(w.drained);
    session_table_free(w.table, set_true, &w.freed);
    for (int i = 0; i < 200 && !w.freed; i++) {
        uv_run(&w.loop, UV_RUN_NOWAIT);
        for (unsigned n = 0; n < nconns; n++)
            if (conns[n]->closing && !conns[n]->ended)
                ddp_end(conns[n], DDP_END_LOCAL);
        rest_answer_cancelled();
        provision_answer_cancelled();
        if (!w.freed && w.table->logouts != NULL) {
            session_table_stats(w.table, &stats);
            session_table_run(w.table);
        }
    }
    assert_true(w.freed);
    token_cache_free(w.cache, set_true, &w.cache_freed);
    uv_run(&w.loop, UV_RUN_DEFAULT);
    assert_true(w.cache_freed);
    for (unsigned i = 0; i < nconns; i++) {
        assert_true(conns[i]->ended);
        free(conns[i]);
    }
    rest_free_all();
    provision_free_all();
    metrics_free(w.metrics);
    assert_int_equal(uv_loop_close(&w.loop), 0);
}

/* cmocka's fixtures: a world for each test. */
static inline int start_world(void **state)
{
    (void)state;
    world_start();
    return 0;
}

static inline int stop_world(void **state)
{
    (void)state;
    world_stop();
    return 0;
}

/* ---- a user, and the server's usual answers ---- */

static inline bool attach_as(const char *key, const char *username, const char *refused,
                             unsigned shard, uint64_t serial)
{
    struct session_who who = {
        .key = slice_of(key), .username = slice_of(username), .refused = refused};
    bool ok = session_table_attach(w.table, &who, shard, serial) == SESSION_ATTACHED;

    settle();
    return ok;
}

static inline void attach(unsigned shard, uint64_t serial)
{
    assert_true(attach_as(user_key, "ana", NULL, shard, serial));
}

static inline void detach(unsigned shard, uint64_t serial)
{
    session_table_detach(w.table, slice_of(user_key), shard, serial, NULL);
    settle();
}

static inline struct user_session *session(void)
{
    struct user_session *s;

    HASH_FIND(hh, w.table->sessions, user_key, strlen(user_key), s);
    return s;
}

static inline enum session_state state_now(void)
{
    return session() == NULL ? SESSION_NSTATES : (enum session_state)session()->state;
}

static inline void check_state(enum session_state want)
{
    if (state_now() != want)
        fail_msg("state is %s, want %s",
                 state_now() == SESSION_NSTATES ? "gone" : session_state_name(state_now()),
                 session_state_name(want));
}

static inline struct ddp_connector *link_now(void)
{
    return nconns == 0 || conns[nconns - 1]->ended ? NULL : conns[nconns - 1];
}

static inline void ok_login(const char *user_id, const char *token, const char *username)
{
    struct rest_login login = {slice_of(user_id), slice_of(token), slice_of(username)};

    assert_non_null(rest_pending(REST_LOGIN));
    rest_answer(rest_pending(REST_LOGIN), &login, NULL, NULL, NULL);
    settle();
}

static inline void connected(const char *ddp_session)
{
    assert_non_null(link_now());
    link_now()->cb.on_connected(link_now()->arg, slice_of(ddp_session));
    settle();
}

/* The latest call of a method that waits there; NULL: none. */
static inline struct ddp_call *ddp_pending_on(struct ddp_connector *c, const char *method)
{
    for (unsigned i = c == NULL ? 0 : c->ncalls; i-- > 0;)
        if (!c->calls[i].answered && strcmp(c->calls[i].method, method) == 0)
            return &c->calls[i];
    return NULL;
}

static inline struct ddp_call *ddp_pending(const char *method)
{
    return ddp_pending_on(link_now(), method);
}

static inline void ddp_ok_on(struct ddp_connector *c, const char *method, const char *result)
{
    struct ddp_call *call = ddp_pending_on(c, method);

    if (call == NULL)
        fail_msg("no %s under way", method);
    call->answered = true;
    call->fn(call->arg, slice_of(result), NULL);
    settle();
}

static inline void ddp_ok(const char *method, const char *result)
{
    ddp_ok_on(link_now(), method, result);
}

static inline void ddp_fail(const char *method, const char *code, uint64_t wait_ms)
{
    struct ddp_call *call = ddp_pending(method);
    struct rc_error error;

    if (call == NULL)
        fail_msg("no %s under way", method);
    rc_error_set(&error, slice_of(code));
    error.retry_after_ms = wait_ms;
    call->answered = true;
    call->fn(call->arg, (struct slice){0}, &error);
    settle();
}

static inline void all_ready(void)
{
    for (int i = 0; i < SESSION_NSUBS; i++)
        ddp_ok("sub", "");
}

static inline void lists(const char *subscriptions, const char *rooms)
{
    ddp_ok("subscriptions/get", subscriptions);
    ddp_ok("rooms/get", rooms);
}

#define RESUMED "{\"id\":\"u9\",\"token\":\"tok1\",\"type\":\"resume\"}"

/* ---- the entry in the cache ---- */

/* Reads the entry of the user out of the cache. */
static struct seen_entry {
    bool is, asked;
    char token[64], ddp_session[64], instance[64], user_id[64], username[64];
} seen;

static inline void on_seen(void *arg, enum token_cache_result result, const struct token_entry *e)
{
    (void)arg;
    seen.asked = true;
    seen.is = result == TOKEN_CACHE_OK;
    if (!seen.is)
        return;
    snprintf(seen.token, sizeof seen.token, "%.*s", (int)e->auth_token.len, e->auth_token.ptr);
    snprintf(seen.ddp_session, sizeof seen.ddp_session, "%.*s", (int)e->ddp_session.len,
             e->ddp_session.len == 0 ? "" : e->ddp_session.ptr);
    snprintf(seen.instance, sizeof seen.instance, "%.*s", (int)e->instance.len, e->instance.ptr);
    snprintf(seen.user_id, sizeof seen.user_id, "%.*s", (int)e->rc_user_id.len, e->rc_user_id.ptr);
    snprintf(seen.username, sizeof seen.username, "%.*s", (int)e->rc_username.len,
             e->rc_username.ptr);
}

static inline const struct seen_entry *entry(void)
{
    memset(&seen, 0, sizeof seen);
    assert_true(token_cache_get(w.cache, slice_of(user_key), on_seen, NULL));
    settle();
    assert_true(seen.asked);
    return &seen;
}

/* Another instance writes. token NULL: what stands. */
static inline void write_entry(const char *expect, const char *token, const char *ddp_session)
{
    struct token_expect e = {slice_of(expect), 0};
    struct token_entry t = {.rc_user_id = SLICE_LIT("u9"),
                            .rc_username = SLICE_LIT("ana"),
                            .auth_token = slice_of(token),
                            .ddp_session = slice_of(ddp_session),
                            .instance = SLICE_LIT("two")};

    assert_true(token_cache_put(w.cache, slice_of(user_key), expect == NULL ? NULL : &e, &t, NULL,
                                session_ignore_cache, NULL));
    settle();
}

static inline void remove_entry(enum token_removal reason)
{
    assert_true(token_cache_remove(w.cache, slice_of(user_key), NULL, reason, NULL,
                                   session_ignore_cache, NULL));
    settle();
}

/* ---- the ways of a session ---- */

/* A first tab: its user is logged in and connected, and the resume waits for its answer. */
static inline void connect_first(void)
{
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    connected("ddp1");
}

/* The same with a token that the cache has. */
static inline void connect_with(const char *token)
{
    write_entry(NULL, token, "");
    attach(0, 1);
    connected("ddp1");
}

/* Connected, resumed and subscribed; about to ask for the lists. */
static inline void resumed(const char *ddp_session)
{
    connected(ddp_session);
    ddp_ok("login", RESUMED);
    all_ready();
}

static inline void lose_connection(void)
{
    ddp_end(link_now(), DDP_END_CLOSED);
    settle();
}

/* A user's document, as Rocket.Chat publishes it about a login. */
static inline void see_user(const char *id, const char *fields)
{
    link_now()->cb.on_document(link_now()->arg, SLICE_LIT("added"), SLICE_LIT("users"),
                               slice_of(id), slice_of(fields));
    settle();
}

/* A first tab, all the way to LIVE. */
static inline void go_live_with(const char *subscriptions, const char *rooms)
{
    attach(0, 1);
    ok_login("u9", "tok1", "ana");
    resumed("ddp1");
    lists(subscriptions, rooms);
    check_state(SESSION_LIVE);
}

static inline void go_live_now(void)
{
    go_live_with("[]", "[]");
}

static inline void event(const char *name, const char *args)
{
    char event_name[64];
    struct ddp_event e = {.collection = SLICE_LIT("stream-notify-user"), .args = slice_of(args)};

    snprintf(event_name, sizeof event_name, "u9/%s", name);
    e.event_name = slice_of(event_name);
    link_now()->cb.on_event(link_now()->arg, &e);
}

static inline bool was_pushed(unsigned shard, const char *text)
{
    return strstr(w.pushed[shard], text) != NULL;
}

static inline void forget_pushes(void)
{
    memset(w.pushed, 0, sizeof w.pushed);
    memset(w.pushes, 0, sizeof w.pushes);
    w.nmissed = 0;
}

#endif
