/* What a session pushes, over a real mailbox to another shard; what no longer fits is told of. Two
 * shards on one loop, so that the test decides when the other one reads its mail. */
#include "loop_shards.h"

#include "base/hash.h"
#include "bridge/admin/metrics.h"
#include "bridge/hub/audience.h"
#include "bridge/hub/publisher.h"
#include "signalr/hub/signalr_server.h"
#include "signalr/protocol/hub_buf.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LANE_BYTES = 4096, FROM = 0, TO = 1 };

static struct settings settings = {.limits = {.mailbox_bytes = LANE_BYTES}};
static struct program program;
static struct shard shards[2];
static uv_loop_t *loop;
static struct session_host host;
static char heard[4096]; /* "user:message " and so on, in order */
static bool no_memory;
static const struct session_start nine = {.from = 9};

/* ---- what stands around the publisher ---- */

static void note(const char *what, struct slice key, const char *text)
{
    size_t n = strlen(heard);

    /* What goes to a connection itself has no user. */
    snprintf(heard + n, sizeof heard - n, "%s%.*s:%s ", what, (int)key.len,
             key.ptr == NULL ? "" : key.ptr, text);
}

enum mailbox_post shard_post(struct shard *from, unsigned to, struct mail *mail)
{
    return mailbox_post(shards[to].mailbox, from->index, mail);
}

void audience_attached(struct shard *s, unsigned session_shard, struct slice key, uint64_t serial,
                       const struct session_start *start)
{
    assert_ptr_equal(s, &shards[TO]);
    assert_int_equal(session_shard, FROM);
    assert_int_equal(start->from, 9);
    assert_int_equal(serial, 7);
    note("attached ", key, "");
}

void audience_check(struct shard *s, unsigned session_shard, struct slice key, uint64_t client,
                    uint64_t ticket)
{
    assert_ptr_equal(s, &shards[TO]);
    assert_int_equal(session_shard, FROM);
    assert_int_equal(client, 77);
    assert_int_equal(ticket, 123);
    note("check ", key, "");
}

void audience_ask_received(struct shard *s, unsigned session_shard, struct slice key,
                           uint64_t ticket)
{
    assert_ptr_equal(s, &shards[TO]);
    assert_int_equal(session_shard, FROM);
    assert_int_equal(ticket, 124);
    note("ask ", key, "");
}

static struct hub_buf *message_of(const char *text)
{
    return hub_buf_new(text, strlen(text) + 1);
}

bool session_table_resync(struct session_table *t, struct slice key, unsigned shard,
                          const char *reason)
{
    struct hub_buf *message;

    (void)t;
    if (no_memory)
        return false;
    message = message_of(reason);
    host.push(host.arg, shard, key, message);
    hub_buf_unref(message);
    return true;
}

unsigned signalr_server_send_user(struct signalr_server *s, struct slice user_key,
                                  struct hub_buf *message)
{
    size_t len;

    assert_non_null(s);
    note("", user_key, (const char *)hub_buf_bytes(message, &len));
    return 1;
}

void audience_send_missed(struct shard *s, struct slice key, uint64_t since_ms,
                          struct hub_buf *message)
{
    size_t len;

    assert_ptr_equal(s, &shards[TO]);
    assert_int_equal(since_ms, 5000);
    note("missed ", key, (const char *)hub_buf_bytes(message, &len));
}

struct hub_connection *signalr_server_find(struct signalr_server *s, uint64_t serial)
{
    (void)s;
    return serial == 7 ? (struct hub_connection *)&shards[TO] : NULL;
}

void hub_connection_send(struct hub_connection *c, struct hub_buf *message)
{
    size_t len;

    assert_ptr_equal(c, &shards[TO]);
    note("one", (struct slice){0}, (const char *)hub_buf_bytes(message, &len));
}

void hub_connection_close(struct hub_connection *c, const char *error, bool allow_reconnect)
{
    assert_ptr_equal(c, &shards[TO]);
    assert_false(allow_reconnect);
    note("closed", (struct slice){0}, error == NULL ? "" : "revoked");
}

void signalr_server_each_of_user(struct signalr_server *s, struct slice user_key,
                                 void (*fn)(struct hub_connection *c, void *arg), void *arg)
{
    (void)s, (void)user_key;
    fn((struct hub_connection *)&shards[TO], arg);
}

/* ---- the test's side ---- */

static int start(void **state)
{
    static const uint8_t seed[16] = {1};

    (void)state;
    hash_seed(seed);
    heard[0] = '\0';
    no_memory = false;
    memset(shards, 0, sizeof shards);
    program = (struct program){.settings = &settings};
    program.metrics = metrics_new(2);
    loop = &shards[FROM].loop;
    loop_shards_open(loop, &program, shards, 2, 3, LANE_BYTES);
    for (unsigned i = 0; i < 2; i++)
        shards[i].metrics = metrics_block(program.metrics, i);
    shards[TO].signalr = (struct signalr_server *)&program;
    publisher_open(&shards[FROM].publisher, &shards[FROM]);
    host = publisher_session_host(&shards[FROM].publisher);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    publisher_close(&shards[FROM].publisher);
    loop_shards_close(loop, shards, 2);
    metrics_free(program.metrics);
    return 0;
}

static void push(const char *user, const char *text, size_t len)
{
    uint8_t *bytes;
    struct hub_buf *message = hub_buf_alloc(len, &bytes);

    memset(bytes, 0, len);
    memcpy(bytes, text, strlen(text));
    host.push(host.arg, TO, slice_of(user), message);
    hub_buf_unref(message);
}

static void turn_for(uint64_t ms)
{
    uint64_t end = uv_hrtime() + ms * 1000000;

    do {
        uv_run(loop, UV_RUN_NOWAIT);
        uv_sleep(1);
    } while (uv_hrtime() < end);
}

/* Turns until all of it is heard, and then looks for what should not be. */
static void hears(const char *all)
{
    for (int i = 0; i < 1000 && strcmp(heard, all) != 0; i++)
        turn_for(10);
    turn_for(20);
    assert_string_equal(heard, all);
}

static uint64_t drops(void)
{
    return shards[FROM].metrics->values[METRIC_DROPS_MAILBOX];
}

/* ---- tests ---- */

static void test_all_kinds_keep_their_order(void **state)
{
    struct hub_buf *message = message_of("hello");

    (void)state;
    host.attached(host.arg, TO, 7, SLICE_LIT("ana"), &nine);
    host.push_to_connection(host.arg, TO, 7, SLICE_LIT("ana"), message);
    host.check(host.arg, TO, SLICE_LIT("ana"), 77, 123);
    host.ask_received(host.arg, TO, SLICE_LIT("ana"), 124);
    host.push_to_connection(host.arg, TO, 8, SLICE_LIT("ana"), message); /* gone: nobody */
    host.push(host.arg, TO, SLICE_LIT("ana"), message);
    host.push_missed(host.arg, TO, SLICE_LIT("ana"), 5000, message);
    host.close_user(host.arg, TO, SLICE_LIT("ana"), SESSION_REVOKED);
    host.close_user(host.arg, TO, SLICE_LIT("ana"), SESSION_LOGGED_OUT);
    hub_buf_unref(message);
    assert_string_equal(heard, "");
    turn_for(5);
    assert_string_equal(heard, "attached ana: one:hello check ana: ask ana: ana:hello "
                               "missed ana:hello closed:revoked closed: ");
}

/* The dropped ones lie behind what got through, and the word of it behind them. */
static void test_a_gap_is_told_behind_it(void **state)
{
    (void)state;
    push("ana", "1", 2000);
    push("ana", "2", 1500);
    push("ana", "lost", 2000);
    push("ana", "lost", 2000);
    push("ana", "3", 10); /* there is room for a small one */
    assert_int_equal(drops(), 2);
    hears("ana:1 ana:2 ana:3 ana:overload ");
    push("ana", "4", 2000);
    hears("ana:1 ana:2 ana:3 ana:overload ana:4 ");
}

static void test_control_is_never_dropped(void **state)
{
    (void)state;
    push("ana", "1", 5000); /* an empty lane takes any size */
    push("ana", "lost", 10);
    host.close_user(host.arg, TO, SLICE_LIT("ana"), SESSION_LOGGED_OUT);
    host.attached(host.arg, TO, 7, SLICE_LIT("bo"), &nine);
    assert_int_equal(drops(), 1);
    hears("ana:1 closed: attached bo: ana:overload ");
}

static void test_each_user_is_told_once_for_each_gap(void **state)
{
    (void)state;
    push("ana", "1", 4000);
    for (int i = 0; i < 5; i++) {
        push("ana", "lost", 2000);
        push("bo", "lost", 2000);
    }
    hears("ana:1 ana:overload bo:overload ");
    push("bo", "2", 4000);
    push("bo", "lost", 4000);
    hears("ana:1 ana:overload bo:overload bo:2 bo:overload ");
}

/* While the other shard reads nothing, the word waits: it would only take room itself. */
static void test_the_word_waits_for_room(void **state)
{
    uv_timer_t *timer = &shards[FROM].publisher.gap_timer;

    (void)state;
    push("ana", "1", 4000);
    push("ana", "lost", 2000);
    for (int i = 0; i < 3; i++) /* the timer's turn comes, the other shard's does not */
        timer->timer_cb(timer);
    assert_int_equal(drops(), 1);
    hears("ana:1 ana:overload ");
    assert_false(uv_is_active((uv_handle_t *)timer));
}

static void test_no_memory_for_the_word_now(void **state)
{
    (void)state;
    push("ana", "1", 4000);
    push("ana", "lost", 2000);
    no_memory = true;
    hears("ana:1 ");
    no_memory = false;
    hears("ana:1 ana:overload ");
}

static void test_gap_at_the_end_is_no_leak(void **state)
{
    (void)state;
    push("ana", "1", 4000);
    push("ana", "lost", 2000); /* stop() closes over it */
}

static void test_shard_whose_connections_are_gone(void **state)
{
    (void)state;
    push("ana", "1", 10);
    host.close_user(host.arg, TO, SLICE_LIT("ana"), SESSION_LOGGED_OUT);
    shards[TO].signalr = NULL;
    turn_for(5);
    assert_string_equal(heard, "");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_all_kinds_keep_their_order), T(test_a_gap_is_told_behind_it),
        T(test_control_is_never_dropped),   T(test_each_user_is_told_once_for_each_gap),
        T(test_the_word_waits_for_room),    T(test_no_memory_for_the_word_now),
        T(test_gap_at_the_end_is_no_leak),  T(test_shard_whose_connections_are_gone),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
