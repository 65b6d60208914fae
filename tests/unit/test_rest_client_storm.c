/* rest_client in a storm: many calls at once, connections cut everywhere, calls cancelled and
 * begun inside answers, the client freed in the middle of it. Each call must be answered once, and
 * not inside of what began or cancelled it. */
#include "tests/unit/storm_server.h"

#include <signal.h>

#include "rocketchat/rest_client.h"

enum { CALLS = 400, AT_ONCE = 48, SEEDS = 6 };

struct call {
    struct rest_call *handle; /* NULL: answered */
    bool begun, answered, cancelled;
};

static struct {
    struct storm server;
    struct rest_client *client;
    struct call calls[CALLS];
    unsigned begun, answered, worked, cancelled;
    bool inside; /* a call of ours: nothing may be answered */
    bool freeing, freed;
} w;

static uint64_t chance(uint64_t below)
{
    return storm_random(&w.server, below);
}

static void begin_one(void);

static void cancel_one(void)
{
    struct call *c = &w.calls[chance(w.begun)];

    for (unsigned i = 0; c->handle == NULL && i < w.begun; i++) /* the next that lives */
        c = c == &w.calls[w.begun - 1] ? w.calls : c + 1;
    if (c->handle == NULL)
        return;
    w.inside = true;
    c->cancelled = true;
    rest_call_cancel(c->handle); /* twice is fine */
    w.inside = false;
}

static void on_answer(struct call *c, const struct rc_error *error)
{
    assert_false(w.inside);
    assert_false(c->answered);
    if (c->cancelled || w.freeing)
        assert_true(error != NULL && error->result == RC_CANCELLED);
    c->answered = true;
    c->handle = NULL;
    w.answered++;
    w.worked += error == NULL;
    w.cancelled += error != NULL && error->result == RC_CANCELLED;
    for (uint64_t n = chance(8); n > 6; n--)
        cancel_one();
    for (uint64_t n = chance(3); n > 0; n--)
        begin_one();
}

static void on_me(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    assert_true((me == NULL) == (error != NULL));
    on_answer(arg, error);
}

static void on_login(void *arg, const struct rest_login *login, const struct rc_error *error,
                     const struct rest_rate *rate)
{
    assert_true((login == NULL) == (error != NULL) && rate != NULL);
    on_answer(arg, error);
}

static void on_any(void *arg, long status, struct slice body, const struct rc_error *error)
{
    assert_true(error != NULL || (status >= 200 && status < 300 && body.len > 0));
    on_answer(arg, error);
}

static void begin_one(void)
{
    static char body[20000];
    const struct slice id = SLICE_LIT("u1"), token = SLICE_LIT("tok");
    struct rest_request any = {.post = chance(2) == 0,
                               .path = SLICE_LIT("x.y"),
                               .body = {body, chance(sizeof body)},
                               .user_id = id,
                               .token = token};
    struct call *c = &w.calls[w.begun];

    if (w.begun == CALLS || w.begun - w.answered >= AT_ONCE)
        return;
    w.begun++;
    memset(body, 'b', sizeof body);
    w.inside = true;
    switch (chance(3)) {
    case 0:
        c->handle = rest_me(w.client, id, token, on_me, c);
        break;
    case 1:
        c->handle = rest_login(w.client, SLICE_LIT("ana"), SLICE_LIT("secret"), on_login, c);
        break;
    default:
        c->handle = rest_request(w.client, &any, on_any, c);
        break;
    }
    w.inside = false;
    assert_non_null(c->handle);
}

static void on_freed(void *arg)
{
    (void)arg;
    w.freed = true;
}

/* stop_at: the client is freed when so many calls have been answered. */
static void storm(uint64_t seed, unsigned stop_at)
{
    char base[64];
    struct rest_client_options o = {.base_url = base,
                                    .tls_verify = true,
                                    .timeout_ms = 150,
                                    .connect_timeout_ms = 5000,
                                    .max_body_bytes = 200000,
                                    .max_connections = 6};

    memset(&w, 0, sizeof w);
    storm_start(&w.server, seed);
    snprintf(base, sizeof base, "http://127.0.0.1:%d", w.server.port);
    assert_int_equal(rest_client_new(&w.server.loop, &o, &w.client), 0);
    while (w.answered < stop_at) {
        while (w.begun - w.answered < AT_ONCE && w.begun < CALLS)
            begin_one();
        uv_run(&w.server.loop, UV_RUN_ONCE);
        if (chance(20) == 0)
            cancel_one();
    }
    w.freeing = true;
    w.inside = true;
    rest_client_free(w.client, on_freed, NULL);
    w.inside = false;
    while (!w.freed)
        uv_run(&w.server.loop, UV_RUN_ONCE);
    assert_int_equal(w.answered, w.begun);
    storm_stop(&w.server);
}

static void test_every_call_is_answered_once(void **state)
{
    unsigned worked = 0, cancelled = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        storm(seed, CALLS);
        worked += w.worked;
        cancelled += w.cancelled;
    }
    print_message("%u calls: %u worked, %u cancelled\n", CALLS * SEEDS, worked, cancelled);
    assert_true(worked > 0 && cancelled > 0);
}

static void test_freed_in_flight(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3 * SEEDS; seed++)
        storm(seed, (unsigned)(seed * 7 % 60)); /* 0: with nothing under way */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_is_answered_once),
        cmocka_unit_test(test_freed_in_flight),
    };

    signal(SIGPIPE, SIG_IGN);                      /* as the program does */
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* must not matter */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
