/* How a connection becomes its user's, and leaves: over real mailboxes between the connection's
 * shard and the session's. Both on one loop; the session and the hub are faked. */
#include "loop_shards.h"

#include "bridge/hub/audience.h"
#include "bridge/identity/user.h"
#include "signalr/hub/signalr_server.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HERE = 0, HOME = 1 };

struct hub_connection {
    uint64_t serial;
    const char *key;
    struct bridge_user *user;
    void *data;
    struct hub_receipt receipt;
    uint32_t unacked, unsent;
    bool open, gone, joined, in_doubt, closed, may_return;
    char error[64];
};

static struct settings settings;
static struct program program;
static struct shard shards[2];
static uv_loop_t loop;
static struct hub_connection conn;
static unsigned alike = 1; /* as many connections as conn */
static enum session_attach answer;
static int attached; /* attaches less detaches */
static char username[64], refused[64];
static uint64_t client;
static struct session_start starts = {.from = 5};
static unsigned sends;
static unsigned checked;  /* answers to checks ... */
static size_t in_doubt;   /* ... and what the last one said */
static unsigned answered; /* answers to what has been received ... */
static uint64_t lowest;   /* ... and what the last one said */
static size_t receipts;
static bool left; /* the last detach left a slot ... */
static struct session_loss loss;

/* ---- what stands around the audience ---- */

enum mailbox_post shard_post(struct shard *from, unsigned to, struct mail *mail)
{
    return mailbox_post(shards[to].mailbox, from->index, mail);
}

unsigned shard_of_user(const struct program *p, struct slice user_key)
{
    (void)p, (void)user_key;
    return HOME;
}

struct reply {
    struct mail mail;
    uint64_t serial;
};

static void reply_deliver(struct mail *mail, void *consumer)
{
    audience_attached(consumer, HOME, SLICE_LIT("ana"), ((struct reply *)mail)->serial, &starts);
    free(mail);
}

static void reply_discard(struct mail *mail)
{
    free(mail);
}

enum session_attach session_table_attach(struct session_table *t, const struct session_who *who,
                                         unsigned shard, uint64_t conn_serial)
{
    struct reply *r;

    (void)t;
    assert_true(slice_eq(who->key, SLICE_LIT("ana")));
    assert_int_equal(shard, HERE);
    snprintf(username, sizeof username, "%.*s", (int)who->username.len, who->username.ptr);
    snprintf(refused, sizeof refused, "%s", who->refused == NULL ? "" : who->refused);
    client = who->client;
    if (answer != SESSION_ATTACHED)
        return answer;
    attached++;
    r = calloc(1, sizeof *r);
    r->mail = (struct mail){.deliver = reply_deliver, .discard = reply_discard, .control = true};
    r->serial = conn_serial;
    shard_post(&shards[HOME], shard, &r->mail);
    return SESSION_ATTACHED;
}

void session_table_detach(struct session_table *t, struct slice key, unsigned shard,
                          uint64_t conn_serial, const struct session_loss *how)
{
    (void)t;
    left = how != NULL;
    if (left)
        loss = *how;
    assert_true(slice_eq(key, SLICE_LIT("ana")));
    assert_int_equal(shard, HERE);
    assert_int_equal(conn_serial, conn.serial);
    assert_true(attached > 0); /* once for each attach, and never before it */
    attached--;
}

struct slice hub_connection_user_key(const struct hub_connection *c)
{
    return slice_of(c->key);
}

uint64_t hub_connection_serial(const struct hub_connection *c)
{
    return c->serial;
}

void *hub_connection_user_data(const struct hub_connection *c)
{
    return c->user;
}

void *hub_connection_data(const struct hub_connection *c)
{
    return c->data;
}

void hub_connection_set_data(struct hub_connection *c, void *data)
{
    c->data = data;
}

void hub_connection_join_user(struct hub_connection *c, uint64_t from, bool torn)
{
    c->joined = c->open;
    hub_receipt_start(&c->receipt, from, torn, 100);
}

const struct hub_receipt *hub_connection_receipt(const struct hub_connection *c)
{
    return &c->receipt;
}

bool hub_connection_may_return(const struct hub_connection *c, bool acks_are_the_clients)
{
    assert_true(acks_are_the_clients);
    return c->may_return;
}

bool hub_connection_is_open(const struct hub_connection *c)
{
    return c->open;
}

bool hub_connection_in_doubt(const struct hub_connection *c, bool acks_are_the_clients,
                             struct hub_receipt *out)
{
    assert_true(acks_are_the_clients);
    *out = c->receipt;
    return c->in_doubt;
}

void hub_connection_receipt_now(const struct hub_connection *c, struct hub_receipt *out)
{
    *out = c->receipt;
    hub_receipt_close(out, out->end, c->unacked, c->unsent);
}

void signalr_server_each_known(struct signalr_server *s, struct slice user_key,
                               void (*fn)(struct hub_connection *c, void *arg), void *arg)
{
    assert_non_null(s);
    assert_true(slice_eq(user_key, SLICE_LIT("ana")));
    for (unsigned i = 0; i < alike && !conn.gone; i++)
        fn(&conn, arg);
}

void signalr_server_each_of_user(struct signalr_server *s, struct slice user_key,
                                 void (*fn)(struct hub_connection *c, void *arg), void *arg)
{
    signalr_server_each_known(s, user_key, fn, arg);
}

void hub_connection_send(struct hub_connection *c, struct hub_buf *message)
{
    assert_ptr_equal(c, &conn);
    assert_ptr_equal(message, &program); /* whatever it is */
    sends++;
}

void session_table_received(struct session_table *t, struct slice key, uint64_t ticket,
                            const struct session_received *received)
{
    (void)t;
    assert_true(slice_eq(key, SLICE_LIT("ana")));
    assert_int_equal(ticket, 124);
    answered++;
    lowest = received->lowest;
    receipts = received->count;
    for (size_t i = 0; i < receipts; i++)
        assert_memory_equal(&received->receipts[i].last, &conn.receipt.last, sizeof(uint64_t));
}

void session_table_checked(struct session_table *t, struct slice key, uint64_t ticket,
                           unsigned shard, const struct session_doubt *doubts, size_t count)
{
    (void)t;
    assert_true(slice_eq(key, SLICE_LIT("ana")));
    assert_int_equal(ticket, 123);
    assert_int_equal(shard, HERE);
    checked++;
    in_doubt = count;
    if (count > 0) {
        assert_int_equal(doubts[0].conn_serial, conn.serial);
        assert_int_equal(doubts[0].closing, !conn.open);
    }
}

void hub_connection_close(struct hub_connection *c, const char *error, bool allow_reconnect)
{
    assert_true(c->open);
    c->open = false;
    c->closed = true;
    c->may_return = allow_reconnect;
    snprintf(c->error, sizeof c->error, "%s", error == NULL ? "" : error);
}

struct hub_connection *signalr_server_find_any(struct signalr_server *s, uint64_t serial)
{
    assert_non_null(s);
    return !conn.gone && conn.serial == serial ? &conn : NULL;
}

/* ---- the test's side ---- */

static int start(void **state)
{
    (void)state;
    memset(shards, 0, sizeof shards);
    answer = SESSION_ATTACHED;
    attached = 0;
    left = false;
    username[0] = '\0';
    program = (struct program){.settings = &settings};
    conn = (struct hub_connection){.serial = 41, .key = "ana", .open = true};
    conn.user = malloc(sizeof *conn.user + 4);
    conn.user->refused = NULL;
    conn.user->profile_len = 0;
    conn.user->client = 77;
    memcpy(conn.user->username, "Ana", 4);
    loop_shards_open(&loop, &program, shards, 2, 2, 4096);
    for (unsigned i = 0; i < 2; i++)
        shards[i].signalr = (struct signalr_server *)&program;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_null(shards[i].audience.ended);
        audience_close(&shards[i].audience);
    }
    loop_shards_close(&loop, shards, 2);
    free(conn.user);
    return 0;
}

static void settle(void)
{
    for (int i = 0; i < 10; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

/* As the hub ends a connection: not found any more, then told to the host. */
static void leave(void)
{
    conn.open = false;
    conn.gone = true;
    audience_disconnected(&shards[HERE], &conn, false);
}

/* ---- tests ---- */

static void test_joined_by_the_answer(void **state)
{
    (void)state;
    audience_connected(&shards[HERE], &conn);
    assert_false(conn.joined);
    settle();
    assert_true(conn.joined);
    assert_int_equal(attached, 1);
    assert_int_equal(client, 77);
    assert_string_equal(username, "Ana");
    assert_string_equal(refused, "");
    leave();
    settle();
    assert_int_equal(attached, 0);
    assert_false(left);
}

static void test_what_was_missed_is_not_for_fresh_ones(void **state)
{
    struct hub_buf *message = (struct hub_buf *)&program;

    (void)state;
    static const struct {
        uint64_t fresh_ms;
        unsigned sends;
    } cases[] = {{0, 1}, {4999, 1}, {5000, 0}, {9000, 0}};

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        starts.fresh_ms = cases[i].fresh_ms;
        sends = 0;
        audience_connected(&shards[HERE], &conn);
        audience_send_missed(&shards[HERE], SLICE_LIT("ana"), 5000, message);
        assert_int_equal(sends, 0); /* not answered yet */
        settle();
        audience_send_missed(&shards[HERE], SLICE_LIT("ana"), 5000, message);
        assert_int_equal(sends, cases[i].sends);
        leave(); /* as any other */
        settle();
        assert_int_equal(attached, 0);
        conn.gone = conn.joined = false;
        conn.open = true;
    }
    starts.fresh_ms = 0;
}

static void test_lost_goes_with_its_receipt(void **state)
{
    (void)state;
    audience_connected(&shards[HERE], &conn);
    settle();
    hub_receipt_sent(&conn.receipt, 6, 100, 110);
    conn.may_return = true;
    leave();
    settle();
    assert_int_equal(attached, 0);
    assert_true(left);
    assert_int_equal(loss.client, 77);
    assert_int_equal(loss.receipt.first, 5);
    assert_int_equal(loss.receipt.last, 6);
}

/* What was claimed for it goes back: it starts where this one would have. */
static void test_lost_before_the_session_heard(void **state)
{
    (void)state;
    conn.may_return = true;
    audience_connected(&shards[HERE], &conn);
    leave();
    settle();
    assert_int_equal(attached, 0);
    assert_true(left);
    assert_int_equal(loss.client, 77);
    assert_int_equal(hub_receipt_before(&loss.receipt, loss.receipt.unacked, 0, NULL, NULL), 5);
}

static void test_who_is_in_doubt(void **state)
{
    (void)state;
    checked = 0;
    audience_check(&shards[HERE], HOME, SLICE_LIT("ana"), 77, 123);
    settle();
    assert_int_equal(checked, 1);
    assert_int_equal(in_doubt, 0);
    conn.in_doubt = true;
    audience_connected(&shards[HERE], &conn);
    audience_check(&shards[HERE], HOME, SLICE_LIT("ana"), 77, 123);
    settle();
    assert_int_equal(in_doubt, 0); /* it was not its session's yet, or was it that asked */
    audience_check(&shards[HERE], HOME, SLICE_LIT("ana"), 77, 123);
    settle();
    assert_int_equal(in_doubt, 1);
    audience_check(&shards[HERE], HOME, SLICE_LIT("ana"), 78, 123); /* another kind */
    settle();
    assert_int_equal(in_doubt, 0);
    conn.open = false;
    audience_check(&shards[HERE], HOME, SLICE_LIT("ana"), 77, 123);
    settle();
    assert_int_equal(in_doubt, 1);
    assert_int_equal(checked, 5);
    leave();
    settle();
}

static void ask(void)
{
    const unsigned before = answered;

    audience_ask_received(&shards[HERE], HOME, SLICE_LIT("ana"), 124);
    settle();
    assert_int_equal(answered, before + 1);
}

static void test_what_has_been_received(void **state)
{
    static const struct {
        enum settings_replay_tail tail;
        uint32_t unacked, unsent;
        uint64_t lowest;
        size_t receipts;
    } cases[] = {
        {REPLAY_TAIL_ACKED, 0, 0, 7, 0},
        {REPLAY_TAIL_ACKED, 1, 0, UINT64_MAX, 1}, /* the session knows how long 7 is */
        {REPLAY_TAIL_NONE, 1, 0, 7, 0},
        {REPLAY_TAIL_NONE, 1, 1, UINT64_MAX, 1},
        {REPLAY_TAIL_LAST_PING, 1, 1, 6, 0},
    };

    (void)state;
    ask();
    assert_true(lowest == UINT64_MAX && receipts == 0); /* not its session's yet */
    audience_connected(&shards[HERE], &conn);
    ask();
    assert_true(lowest == UINT64_MAX && receipts == 0); /* nor while that is on its way here */
    ask();
    assert_int_equal(lowest, 5);
    hub_receipt_sent(&conn.receipt, 6, 100, 110);
    hub_receipt_heard(&conn.receipt, 10000);
    hub_receipt_heard(&conn.receipt, 20000);
    hub_receipt_sent(&conn.receipt, 7, 110, 120);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        settings.replay.tail = cases[i].tail;
        conn.unacked = cases[i].unacked;
        conn.unsent = cases[i].unsent;
        ask();
        assert_true(lowest == cases[i].lowest);
        assert_int_equal(receipts, cases[i].receipts);
    }
    settings.replay.tail = REPLAY_TAIL_ACKED;
    conn.open = false; /* closing, and not told yet */
    ask();
    assert_int_equal(receipts, 1);
    leave();
    ask();
    assert_true(lowest == UINT64_MAX && receipts == 0); /* its loss went ahead */
    assert_int_equal(attached, 0);
    shards[HERE].signalr = NULL;
    ask();
    assert_true(lowest == UINT64_MAX);
}

/* More than a mail is to carry: they hold all that is theirs. */
static void test_many_that_lack_something(void **state)
{
    (void)state;
    audience_connected(&shards[HERE], &conn);
    settle();
    hub_receipt_sent(&conn.receipt, 6, 100, 110);
    conn.unacked = 1;
    alike = 100;
    ask();
    alike = 1;
    assert_int_equal(receipts, 64);
    assert_int_equal(lowest, 5);
    leave();
    settle();
}

static void test_why_there_is_no_session_goes_along(void **state)
{
    (void)state;
    conn.user->refused = "tenant-template";
    audience_connected(&shards[HERE], &conn);
    settle();
    assert_string_equal(refused, "tenant-template");
    leave();
    settle();
}

static void test_left_before_the_session_heard(void **state)
{
    (void)state;
    audience_connected(&shards[HERE], &conn);
    leave();
    settle();
    assert_false(conn.joined);
    assert_int_equal(attached, 0);
    assert_false(left);
}

/* Closing already when the answer comes, and gone later: one detach. */
static void test_closing_when_the_answer_comes(void **state)
{
    (void)state;
    audience_connected(&shards[HERE], &conn);
    conn.open = false;
    settle();
    assert_false(conn.joined);
    assert_int_equal(attached, 1);
    conn.may_return = true;
    leave();
    settle();
    assert_int_equal(attached, 0);
    assert_int_equal(loss.receipt.first, 5);
}

static void test_no_room(void **state)
{
    (void)state;
    answer = SESSION_NO_ROOM;
    audience_connected(&shards[HERE], &conn);
    settle();
    assert_true(conn.closed && conn.may_return);
    leave();
    settle();
}

static void test_one_too_many(void **state)
{
    (void)state;
    answer = SESSION_TOO_MANY;
    audience_connected(&shards[HERE], &conn);
    settle();
    assert_true(conn.closed && !conn.may_return);
    assert_string_equal(conn.error, "The user is at the limit of connections.");
    leave();
    settle();
}

static void test_refused_when_it_has_left(void **state)
{
    (void)state;
    answer = SESSION_TOO_MANY;
    audience_connected(&shards[HERE], &conn);
    leave();
    settle();
    assert_false(conn.closed);
}

static void test_anonymous_is_nobodys(void **state)
{
    (void)state;
    conn.key = "";
    audience_connected(&shards[HERE], &conn);
    settle();
    leave();
    settle();
    assert_string_equal(username, ""); /* nobody asked */
}

static void test_answer_at_a_shard_that_stops(void **state)
{
    (void)state;
    audience_connected(&shards[HERE], &conn);
    shards[HERE].signalr = NULL;
    settle();
    assert_false(conn.joined);
    assert_int_equal(attached, 0);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_joined_by_the_answer),
        T(test_what_was_missed_is_not_for_fresh_ones),
        T(test_lost_goes_with_its_receipt),
        T(test_who_is_in_doubt),
        T(test_what_has_been_received),
        T(test_many_that_lack_something),
        T(test_lost_before_the_session_heard),
        T(test_why_there_is_no_session_goes_along),
        T(test_left_before_the_session_heard),
        T(test_closing_when_the_answer_comes),
        T(test_no_room),
        T(test_one_too_many),
        T(test_refused_when_it_has_left),
        T(test_anonymous_is_nobodys),
        T(test_answer_at_a_shard_that_stops),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
