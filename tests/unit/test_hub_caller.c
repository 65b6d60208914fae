/* Hub calls from a connection to the session's shard and back, over real mailboxes. Both on one
 * loop, so that the test decides when the mail is read; hub and session are faked. */
#include "loop_shards.h"

#include "bridge/hub/hub_caller.h"
#include "bridge/hub/hub_method.h"
#include "bridge/identity/user.h"
#include "bridge/session/session_table.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HERE = 0, HOME = 1, LANE_BYTES = 4096 };

struct hub_connection {
    uint64_t serial;
    const char *key;
    struct bridge_user *user;
    bool fast, listed;
    enum hub_keep kept;
    void *data; /* of call 9 */
    bool call_open;
    int room; /* items until the client is slow */
};

static struct settings settings;
static struct program program;
static struct shard shards[2];
static uv_loop_t loop;
static struct hub_connection conn;
static char log_text[4096]; /* what the hub and the session were told, a line each */
static struct call_gate gate;

static void note(const char *format, ...)
{
    size_t n = strlen(log_text);
    va_list args;

    va_start(args, format);
    vsnprintf(log_text + n, sizeof log_text - n, format, args);
    va_end(args);
}

static void check(const char *want)
{
    assert_string_equal(log_text, want);
    log_text[0] = '\0';
}

/* ---- what stands around ---- */

enum mailbox_post shard_post(struct shard *from, unsigned to, struct mail *mail)
{
    return mailbox_post(shards[to].mailbox, from->index, mail);
}

unsigned shard_of_user(const struct program *p, struct slice user_key)
{
    assert_ptr_equal(p, &program);
    assert_true(slice_eq(user_key, slice_of(conn.key)));
    return HOME;
}

void session_table_call(struct session_table *t, struct slice key,
                        const struct call_request *request)
{
    (void)t;
    assert_true(slice_eq(request->client_address,
                         slice_of(settings.im.forward_client_address ? "10.0.0.7" : "")));
    note("session %.*s %u/%u/%u %s %.*s\n", (int)key.len, key.ptr, request->id.shard,
         (unsigned)request->id.serial, (unsigned)request->id.call, request->method->name,
         (int)request->args.len, request->args.ptr);
}

const char *session_call_listed(const struct settings *of, struct slice name)
{
    assert_ptr_equal(of, &settings);
    assert_true(slice_eq(name, SLICE_LIT("x/y")));
    return conn.listed ? "x/y" : NULL;
}

struct slice hub_connection_user_key(const struct hub_connection *c)
{
    return slice_of(c->key);
}

void *hub_connection_user_data(const struct hub_connection *c)
{
    return c->user;
}

uint64_t hub_connection_serial(const struct hub_connection *c)
{
    return c->serial;
}

struct slice hub_connection_client_address(const struct hub_connection *c)
{
    (void)c;
    return SLICE_LIT("10.0.0.7");
}

bool hub_connection_take_turn(struct hub_connection *c, uint64_t *retry_ms)
{
    *retry_ms = 1500;
    return !c->fast;
}

enum hub_keep hub_connection_keep(struct hub_connection *c, const struct hub_invocation *inv,
                                  uint64_t *call)
{
    (void)inv;
    *call = 9;
    c->call_open = c->kept == HUB_KEPT;
    return c->kept;
}

void hub_connection_refuse(struct hub_connection *c, const struct hub_invocation *inv,
                           enum hub_refusal refusal)
{
    (void)c, (void)inv;
    note("refused %d\n", refusal);
}

void hub_connection_complete(struct hub_connection *c, struct slice invocation_id,
                             struct slice result, const char *error)
{
    (void)c, (void)result;
    note("complete %.*s %s\n", (int)invocation_id.len, invocation_id.ptr,
         error == NULL ? "" : error);
}

static void end_call(struct hub_connection *c)
{
    void *data = c->data;

    c->call_open = false;
    c->data = NULL;
    if (data != NULL)
        hub_caller_ended(data);
}

void hub_connection_answer(struct hub_connection *c, uint64_t call, struct slice result,
                           const char *error)
{
    assert_int_equal(call, 9);
    if (!c->call_open)
        return;
    note("answer %.*s %s\n", (int)result.len, result.len == 0 ? "" : result.ptr,
         error == NULL ? "" : error);
    end_call(c);
}

bool hub_connection_set_call_data(struct hub_connection *c, uint64_t call, void *data)
{
    assert_int_equal(call, 9);
    if (c->call_open)
        c->data = data;
    return c->call_open;
}

enum hub_item hub_connection_item(struct hub_connection *c, uint64_t call, struct slice item)
{
    assert_int_equal(call, 9);
    if (!c->call_open)
        return HUB_ITEM_GONE;
    if (c->room == 0)
        return HUB_ITEM_LATER;
    c->room--;
    note("item %.*s\n", (int)item.len, item.ptr);
    return HUB_ITEM_SENT;
}

struct hub_connection *signalr_server_find(struct signalr_server *s, uint64_t serial)
{
    assert_non_null(s);
    return serial == conn.serial ? &conn : NULL;
}

/* ---- the test's side ---- */

static int start(void **state)
{
    (void)state;
    memset(shards, 0, sizeof shards);
    log_text[0] = '\0';
    settings.im.forward_client_address = true;
    program = (struct program){.settings = &settings};
    conn = (struct hub_connection){.serial = 41, .key = "ana", .listed = true, .room = 100};
    conn.user = calloc(1, sizeof *conn.user + 4);
    loop_shards_open(&loop, &program, shards, 2, 2, LANE_BYTES);
    for (unsigned i = 0; i < 2; i++)
        shards[i].signalr = (struct signalr_server *)&program;
    gate = hub_caller_gate(&shards[HOME]);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    end_call(&conn);
    loop_shards_close(&loop, shards, 2);
    free(conn.user);
    return 0;
}

static void settle(void)
{
    for (int i = 0; i < 5; i++)
        uv_run(&loop, UV_RUN_NOWAIT);
}

static bool invoke(const char *target, const char *args, bool stream)
{
    const struct hub_invocation inv = {.target = slice_of(target),
                                       .arguments = slice_of(args),
                                       .invocation_id = SLICE_LIT("1"),
                                       .stream = stream};

    return hub_caller_invoke(&shards[HERE], &conn, &inv);
}

static void answer(enum call_answer kind, const char *text)
{
    const struct call_id id = {HERE, conn.serial, 9};

    gate.answer(gate.arg, &id, kind, slice_of(text));
}

static void test_there_and_back(void **state)
{
    (void)state;
    assert_true(invoke("markread", " [\"r1\"] ", false));
    check("");
    settle();
    check("session ana 0/41/9 MarkRead  [\"r1\"] \n");
    answer(CALL_RESULT, "");
    check("");
    settle();
    check("answer  \n");
    invoke("ListRooms", "[]", false);
    settle();
    answer(CALL_RESULT, "[1]");
    settle();
    check("session ana 0/41/9 ListRooms []\nanswer [1] \n");
    invoke("ListRooms", "[]", false);
    settle();
    answer(CALL_ERROR, "code: \"words\"");
    settle();
    check("session ana 0/41/9 ListRooms []\nanswer  code: \"words\"\n");
    assert_false(invoke("Nothing", "[]", false));
    settings.im.forward_client_address = false;
    invoke("ListRooms", "[]", false);
    settle();
    check("session ana 0/41/9 ListRooms []\n");
}

static void test_refused(void **state)
{
    char expected[64];

    (void)state;
    invoke("ListRooms", "[]", true);
    snprintf(expected, sizeof expected, "refused %d\n", HUB_REFUSE_NOT_STREAMING);
    check(expected);
    invoke("History", "[\"r1\"]", false);
    snprintf(expected, sizeof expected, "refused %d\n", HUB_REFUSE_STREAMING);
    check(expected);
    invoke("MarkRead", "[]", false);
    snprintf(expected, sizeof expected, "refused %d\n", HUB_REFUSE_ARGUMENTS);
    check(expected);
    conn.listed = false;
    invoke("Call", "[\"x/y\"]", false);
    snprintf(expected, sizeof expected, "refused %d\n", HUB_REFUSE_UNAUTHORIZED);
    check(expected);
    conn.user->refused = "tenant-template";
    invoke("ListRooms", "[]", false);
    check(expected);
    conn.key = "";
    conn.user->refused = NULL;
    invoke("ListRooms", "[]", false);
    check(expected);
    invoke("Register", "[]", false);
    check("complete 1 \n");
    conn.key = "ana";
    conn.fast = true;
    invoke("ListRooms", "[]", false);
    check("complete 1 too-many-calls: slow down (retry after 2 s)\n");
    conn.fast = false;
    conn.kept = HUB_KEEP_TOO_MANY;
    invoke("ListRooms", "[]", false);
    check("complete 1 too-many-calls: wait for answers first\n");
    conn.kept = HUB_KEEP_ID_IN_USE; /* the hub has said so */
    invoke("ListRooms", "[]", false);
    settle();
    check("");
}

static void test_a_page(void **state)
{
    (void)state;
    invoke("History", "[\"r1\"]", true);
    settle();
    log_text[0] = '\0';
    conn.room = 2;
    answer(CALL_ITEMS, "[{\"a\":1}, 2 ,[3],\"4\"]");
    settle();
    check("item {\"a\":1}\nitem 2\n");
    conn.room = 1;
    hub_caller_resumed(&conn, 9, conn.data);
    check("item [3]\n");
    conn.room = 9;
    hub_caller_resumed(&conn, 9, conn.data);
    check("item \"4\"\nanswer  \n");
    assert_null(conn.data);

    invoke("History", "[\"r1\"]", true);
    settle();
    answer(CALL_ITEMS, "[]");
    settle();
    check("session ana 0/41/9 History [\"r1\"]\nanswer  \n");
}

static void test_nobody_is_there_any_more(void **state)
{
    (void)state;
    invoke("History", "[\"r1\"]", true);
    settle();
    log_text[0] = '\0';
    conn.room = 1;
    answer(CALL_ITEMS, "[1,2,3]");
    settle();
    end_call(&conn); /* cancelled in the middle: the page goes with it */
    check("item 1\n");
    answer(CALL_ITEMS, "[1,2,3]");
    answer(CALL_RESULT, "1");
    settle();
    conn.serial++; /* another connection */
    gate.answer(gate.arg, &(struct call_id){HERE, 41, 9}, CALL_ITEMS, SLICE_LIT("[1]"));
    gate.answer(gate.arg, &(struct call_id){HERE, 41, 9}, CALL_ERROR, SLICE_LIT("x: y"));
    settle();
    shards[HERE].signalr = NULL; /* the hub is closed, the mail still comes */
    answer(CALL_RESULT, "1");
    settle();
    check("");
}

/* What is in a mailbox that nobody reads any more is freed with it: see stop(). */
static void test_left_in_the_mail(void **state)
{
    (void)state;
    invoke("ListRooms", "[]", false);
    answer(CALL_ITEMS, "[1]");
}

static void test_overload(void **state)
{
    static char text[LANE_BYTES];

    (void)state;
    memset(text, '1', sizeof text - 1);
    invoke("ListRooms", "[]", false);
    settle();
    log_text[0] = '\0';
    gate.answer(gate.arg, &(struct call_id){HERE, 40, 1}, CALL_RESULT, slice_of(text));
    answer(CALL_RESULT, text); /* the lane is full */
    settle();
    check("answer  overload: the answer is too large by now\n");
    for (int i = 0; i < 100 && log_text[0] == '\0'; i++)
        invoke("ListRooms", "[]", false); /* nobody reads */
    check("answer  overload: too much is under way\n");
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, start, stop)
    const struct CMUnitTest tests[] = {
        T(test_there_and_back),           T(test_refused),          T(test_a_page),
        T(test_nobody_is_there_any_more), T(test_left_in_the_mail), T(test_overload),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
