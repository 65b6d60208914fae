/* Requests on the hub path over loopback: negotiate, which transport, homes, users, limits. */
#include "hub_loopback.h"

#define ALICE "Authorization: Bearer alice\r\n"
#define BOB "Authorization: Bearer bob\r\n"

static void test_negotiate(void **state)
{
    static const struct {
        const char *method, *target, *extra;
        int status;
        const char *body; /* what it starts with */
    } rows[] = {
        {"POST", "/hub/negotiate?negotiateVersion=1", ALICE, 200,
         "{\"negotiateVersion\":1,\"connectionId\":\""},
        {"POST", "/HUB/Negotiate/?NEGOTIATEVERSION=1", ALICE, 200, "{\"negotiateVersion\":1,"},
        {"POST", "/hub/negotiate?a=b&negotiateVersion=%31&c", "", 200, "{\"negotiateVersion\":1,"},
        {"POST", "/hub/negotiate?negotiateVersion=7", "", 200, "{\"negotiateVersion\":1,"},
        {"POST", "/hub/negotiate", "", 200, "{\"negotiateVersion\":0,\"connectionId\":\""},
        {"POST", "/hub/negotiate?negotiateVersion=", "", 200,
         "{\"error\":\"The client requested a non-integer protocol version.\"}"},
        {"POST", "/hub/negotiate?negotiateVersion=%zz", "", 200, "{\"error\":\"The client"},
        {"POST", "/hub/negotiate?negotiateVersion=1111111111111111111111111111111111111111", "",
         200, "{\"error\":\"The client requested a non-integer"},
        {"POST", "/hub/negotiate?negotiateVersion=-1", "", 200,
         "{\"error\":\"The client requested version '-1', but the server does not support this "
         "version.\"}"},
        {"GET", "/hub/negotiate?negotiateVersion=1", "", 405, ""},
        {"DELETE", "/hub/negotiate", "", 405, ""},
        {"POST", "/hub/negotiate", "Authorization: Bearer refuse\r\n", 401, ""},
        {"POST", "/hub/negotiate/x", "", 404, ""},
        {"POST", "/hubnegotiate", "", 404, ""},
        {"POST", "/hu", "", 404, ""},
        {"POST", "/", "", 404, ""},
    };
    struct world *w = world_start(world_options());
    char body[1024];

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status =
            request(w, 0, rows[i].method, rows[i].target, rows[i].extra, body, sizeof body);

        if (status != rows[i].status || strncmp(body, rows[i].body, strlen(rows[i].body)) != 0 ||
            (rows[i].body[0] == '\0' && body[0] != '\0'))
            fail_msg("%s %s: %d '%s'", rows[i].method, rows[i].target, status, body);
        assert_null(strstr(body, "ProtocolVersion"));
    }
    assert_int_equal(stats_of(w, 0).refused_auth, 1);
    assert_int_equal(stats_of(w, 0).negotiations, stats_of(w, 0).pending);
    world_stop(w);
}

/* signalr.md 2.1, by method and by what the token is. T stands for a negotiated token, A for an
 * attached one, U for an unknown one. */
static void test_transport_table(void **state)
{
#define EVENT_STREAM "Accept: text/html;q=1, Text/Event-Stream ; q=0.9\r\n"
    static const struct {
        const char *method, *target, *extra;
        int status;
        const char *body;
    } rows[] = {
        {"POST", "/hub", "", 400, "Connection ID required"},
        {"POST", "/hub?id=", "", 400, "Connection ID required"},
        {"POST", "/hub?id=U", "", 404, "No Connection with that ID"},
        {"POST", "/hub?id=T", "", 405, "POST requests are not allowed for WebSocket connections."},
        {"POST", "/hub?id=A", "", 405, "POST requests are not allowed for WebSocket connections."},
        {"GET", "/hub", "", 400, "Connection ID required"},
        {"GET", "/hub?id=U", "", 404, "No Connection with that ID"},
        {"GET", "/hub?id=short", "", 404, "No Connection with that ID"},
        {"GET", "/hub?id=T", "", 404, "LongPolling transport not supported by this end point type"},
        {"GET", "/hub?id=T", "Accept: text/*\r\n", 404,
         "LongPolling transport not supported by this end point type"},
        {"GET", "/hub?id=T", EVENT_STREAM, 404,
         "ServerSentEvents transport not supported by this end point type"},
        {"GET", "/hub", EVENT_STREAM, 400, "Connection ID required"},
        {"GET", "/hub/?_=1&ID=T", "", 404,
         "LongPolling transport not supported by this end point type"},
        {"DELETE", "/hub", "", 400, "Connection ID required"},
        {"DELETE", "/hub?id=U", "", 404, "No Connection with that ID"},
        {"DELETE", "/hub?id=A", "", 400,
         "Cannot terminate this connection using the DELETE endpoint."},
        {"PUT", "/hub?id=T", "", 405, ""},
        {"PATCH", "/hub", "", 405, ""},
        {"GET", "/hub?id=T", "Authorization: Bearer refuse\r\n", 401, ""},
        {"POST", "/hub?id=U", "Authorization: Bearer refuse\r\n", 401, ""},
    };
    struct world *w = world_start(world_options());
    static struct client attached, second;
    char negotiated[32], token[32], target[64], body[1024];

    (void)state;
    negotiate(w, 0, "", negotiated);
    negotiate(w, 0, "", token);
    snprintf(target, sizeof target, "/hub?id=%s", token);
    assert_int_equal(client_upgrade(&attached, w, 0, target, ""), 101);
    assert_int_equal(client_upgrade(&second, w, 0, target, ""), 409);
    client_close(&second);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const size_t len = strlen(rows[i].target);
        int status;

        if (rows[i].target[len - 2] == '=' && strchr("UTA", rows[i].target[len - 1]) != NULL)
            snprintf(target, sizeof target, "%.*s%s", (int)len - 1, rows[i].target,
                     rows[i].target[len - 1] == 'T'   ? negotiated
                     : rows[i].target[len - 1] == 'A' ? token
                                                      : "AAAAAAAAAAAAAAAAAAAAAA");
        else
            snprintf(target, sizeof target, "%s", rows[i].target);
        status = request(w, 0, rows[i].method, target, rows[i].extra, body, sizeof body);
        if (status != rows[i].status || strcmp(body, rows[i].body) != 0)
            fail_msg("%s %s: %d '%s'", rows[i].method, rows[i].target, status, body);
    }
    assert_int_equal(client_upgrade(&second, w, 0, "/hub?id=AAAAAAAAAAAAAAAAAAAAAA", ""), 404);
    client_close(&second);
    client_close(&attached);
    world_stop(w);
}

/* RFC 9110 15.5.6: a 405 says what would be allowed. */
static void test_allow(void **state)
{
    static const struct {
        const char *method, *target, *allow;
    } rows[] = {
        {"GET", "/hub/negotiate", "\r\nAllow: POST\r\n"},
        {"PATCH", "/hub", "\r\nAllow: GET, POST, DELETE\r\n"},
        {"OPTIONS", "/hub", "\r\nAllow: GET, POST, DELETE\r\n"},
        {"POST", "/hub?id=", "\r\nAllow: GET\r\n"},
    };
    struct world *w = world_start(world_options());
    char token[32], text[256];

    (void)state;
    negotiate(w, 0, "", token);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static struct client c;
        int len = snprintf(
            text, sizeof text, "%s %s%s HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
            rows[i].method, rows[i].target, strchr(rows[i].target, '=') != NULL ? token : "");

        client_open(&c, w, 0);
        client_send(&c, text, (size_t)len);
        while (memmem(c.in, c.len, "\r\n\r\n", 4) == NULL && !c.ended)
            client_pump(&c);
        assert_memory_equal(c.in, "HTTP/1.1 405 ", 13);
        if (memmem(c.in, c.len, rows[i].allow, strlen(rows[i].allow)) == NULL)
            fail_msg("%s %s: %.*s", rows[i].method, rows[i].target, (int)c.len, c.in);
        client_close(&c);
    }
    world_stop(w);
}

static void test_whose_token(void **state)
{
    static const struct {
        const char *negotiated, *transport;
        int status;
    } rows[] = {
        {ALICE, ALICE, 101}, {"", "", 101},    {"", BOB, 101},
        {ALICE, BOB, 404},   {ALICE, "", 404}, {BOB, ALICE, 404},
    };
    struct world *w = world_start(world_options());
    static struct client c;

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char token[32], target[64];

        negotiate(w, 0, rows[i].negotiated, token);
        snprintf(target, sizeof target, "/hub?id=%s", token);
        assert_int_equal(client_upgrade(&c, w, 0, target, rows[i].transport), rows[i].status);
        if (rows[i].status == 101) {
            client_text(&c, JSON_HANDSHAKE);
            client_expect(&c, "{}" RS);
            assert_true(slice_eq(hub_connection_user_key(w->last),
                                 slice_of(rows[i].transport[0] == '\0'          ? ""
                                          : strcmp(rows[i].transport, BOB) == 0 ? "bob"
                                                                                : "alice")));
            assert_true(slice_eq(hub_connection_client_address(w->last), SLICE_LIT("127.0.0.1")));
            client_leave(&c);
            /* the token died with it */
            assert_int_equal(client_upgrade(&c, w, 0, target, rows[i].transport), 404);
        }
        client_close(&c);
    }
    world_stop(w);
}

static void test_version_0_and_no_negotiation(void **state)
{
    struct world *w = world_start(world_options());
    static struct client c;
    char body[1024], id[32], target[64];

    (void)state;
    assert_int_equal(request(w, 0, "POST", "/hub/negotiate", "", body, sizeof body), 200);
    assert_null(strstr(body, "connectionToken"));
    copy_member(body, "connectionId", id);
    snprintf(target, sizeof target, "/hub?id=%s", id);
    assert_int_equal(client_upgrade(&c, w, 0, target, ""), 101);
    client_text(&c, JSON_HANDSHAKE);
    client_expect(&c, "{}" RS);
    assert_true(slice_eq(hub_connection_id(w->last), slice_of(id)));
    client_leave(&c);

    assert_int_equal(client_upgrade(&c, w, 0, "/hub", ALICE), 101);
    client_text(&c, JSON_HANDSHAKE);
    client_expect(&c, "{}" RS);
    assert_true(slice_eq(hub_connection_user_key(w->last), SLICE_LIT("alice")));
    assert_int_equal(hub_connection_id(w->last).len, 22);
    assert_ptr_equal(signalr_server_find(w->shards[0].signalr, hub_connection_serial(w->last)),
                     w->last);
    client_leave(&c);
    world_stop(w);
}

static void test_negotiation_runs_out(void **state)
{
    struct signalr_options options = world_options();
    struct world *w;
    static struct client c;
    char token[32], target[64];

    (void)state;
    options.negotiate_timeout_ms = 100;
    w = world_start(options);
    negotiate(w, 0, ALICE, token);
    assert_int_equal(stats_of(w, 0).pending, 1);
    pump_until(w, stats_of(w, 0).pending == 0);
    snprintf(target, sizeof target, "/hub?id=%s", token);
    assert_int_equal(client_upgrade(&c, w, 0, target, ALICE), 404);
    client_close(&c);
    world_stop(w);
}

static void test_limits(void **state)
{
    struct signalr_options options = world_options();
    struct world *w;
    static struct client a, b;
    char token[32], target[64], body[1024];

    (void)state;
    options.max_pending = 3;
    options.max_per_user = 2;
    options.max_connections = 2;
    w = world_start(options);
#define NEGOTIATE(user) request(w, 0, "POST", "/hub/negotiate?negotiateVersion=1", user, body, 1024)
    client_connect(&a, w, 0, ALICE);
    negotiate(w, 0, ALICE, token);
    assert_int_equal(NEGOTIATE(ALICE), 429);
    assert_int_equal(client_upgrade(&b, w, 0, "/hub", ALICE), 429);
    client_close(&b);
    /* the one counted as negotiated may still come */
    snprintf(target, sizeof target, "/hub?id=%s", token);
    assert_int_equal(client_upgrade(&b, w, 0, target, ALICE), 101);
    assert_int_equal(NEGOTIATE(BOB), 503);
    client_close(&b);
    pump_until(w, stats_of(w, 0).handshaking == 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(NEGOTIATE(i == 0 ? BOB : ""), 200);
    assert_int_equal(NEGOTIATE(BOB), 503);
    client_leave(&a);
    world_stop(w);
}

/* Whichever shard the kernel gives the upgrade to, the connection lives at home. */
static void test_homes(void **state)
{
    struct signalr_options options = world_options();
    struct world *w;
    static struct client c;
    char body[1024];

    (void)state;
    options.nshards = 2;
    w = world_start(options);
    for (unsigned home = 0; home < 2; home++)
        for (unsigned at = 0; at < 2; at++) {
            char token[32], target[64];

            negotiate(w, home, ALICE, token);
            assert_int_equal(stats_of(w, home).pending, 1);
            snprintf(target, sizeof target, "/hub?id=%s", token);
            w->handed_over = 0;
            assert_int_equal(request(w, at, "POST", target, ALICE, body, sizeof body), 405);
            assert_int_equal(request(w, at, "POST", target, BOB, body, sizeof body), 404);
            assert_int_equal(client_upgrade(&c, w, at, target, ALICE), 101);
            assert_int_equal(w->handed_over, at == home ? 0 : 3);
            client_text(&c, JSON_HANDSHAKE);
            client_expect(&c, "{}" RS);
            assert_int_equal(stats_of(w, home).open, 1);
            assert_int_equal(stats_of(w, !home).open, 0);
            client_text(&c, "{\"type\":1,\"target\":\"echo\",\"arguments\":[1],"
                            "\"invocationId\":\"0\"}" RS);
            client_expect(&c, "{\"type\":3,\"invocationId\":\"0\",\"result\":1}" RS);
            client_leave(&c);
        }
    world_stop(w);
}

int main(void)
{
    static const uint8_t key[16] = "a fixed test key";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_negotiate),
        cmocka_unit_test(test_transport_table),
        cmocka_unit_test(test_allow),
        cmocka_unit_test(test_whose_token),
        cmocka_unit_test(test_version_0_and_no_negotiation),
        cmocka_unit_test(test_negotiation_runs_out),
        cmocka_unit_test(test_limits),
        cmocka_unit_test(test_homes),
    };

    hash_seed(key);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
