/* rest_stream in a storm: many exchanges at once with bodies both ways, each side pausing,
 * connections cut everywhere, exchanges cancelled and begun inside the end of another. */
#include "tests/unit/storm_server.h"

#include <signal.h>

#include "rocketchat/rest_stream.h"

enum { EXCHANGES = 300, AT_ONCE = 24, SEEDS = 6, BODY_MAX = 200000 };

struct exchange {
    struct rest_stream *st; /* NULL: over */
    uint64_t to_send, length, got;
    bool begun, over, read_waits, body_waits, head;
};

static struct {
    struct storm server;
    struct rest_stream_client *client;
    struct exchange all[EXCHANGES];
    unsigned begun, over, whole, cancelled, timed_out;
    bool inside, freed;
} w;

static uint64_t chance(uint64_t below)
{
    return storm_random(&w.server, below);
}

static void begin_one(void);

static void cancel_one(void)
{
    struct exchange *x = &w.all[chance(w.begun)];
    struct rest_stream *st;

    for (unsigned i = 0; x->st == NULL && i < w.begun; i++) /* the next that lives */
        x = x == &w.all[w.begun - 1] ? w.all : x + 1;
    st = x->st;
    if (st == NULL)
        return;
    x->st = NULL;
    x->over = true;
    w.over++;
    w.cancelled++;
    rest_stream_cancel(st);
}

static enum rest_stream_read on_read(void *arg, char *to, size_t cap, size_t *n)
{
    struct exchange *x = arg;

    assert_false(w.inside || x->over);
    if (x->to_send == 0)
        return REST_STREAM_END;
    if (x->read_waits || chance(6) == 0) { /* asked anew on a fresh connection, perhaps */
        x->read_waits = true;
        return REST_STREAM_EMPTY;
    }
    *n = 1 + chance(cap < x->to_send ? cap : x->to_send);
    memset(to, 'u', *n);
    x->to_send -= *n;
    return REST_STREAM_DATA;
}

static void on_header(void *arg, struct slice name, struct slice value)
{
    struct exchange *x = arg;

    assert_false(w.inside || x->over || x->head);
    assert_true(name.len > 0 && value.len < 1000);
}

static void on_head(void *arg, int status, uint64_t length)
{
    struct exchange *x = arg;

    assert_false(w.inside || x->over || x->head);
    assert_in_range(status, 200, 599);
    x->head = true;
    x->length = length;
}

static bool on_body(void *arg, struct slice bytes)
{
    struct exchange *x = arg;

    assert_false(x->over); /* may come inside go_on() */
    assert_true(x->head && bytes.len > 0);
    x->got += bytes.len;
    x->body_waits = x->body_waits || chance(5) == 0;
    return !x->body_waits;
}

static void on_done(void *arg, const struct rc_error *error)
{
    struct exchange *x = arg;

    assert_false(w.inside || x->over);
    assert_true(error != NULL || x->head);
    if (error == NULL && x->length != REST_LENGTH_UNKNOWN)
        assert_int_equal(x->got, x->length);
    x->st = NULL;
    x->over = true;
    w.over++;
    w.whole += error == NULL;
    w.timed_out += error != NULL && error->result == RC_TIMED_OUT;
    /* Several stand still at once and are ended one after the other: the next may be gone then. */
    for (uint64_t n = error != NULL && error->result == RC_TIMED_OUT ? 4 : chance(8) / 7; n > 0;
         n--)
        cancel_one();
    for (uint64_t n = chance(3); n > 0; n--)
        begin_one();
}

static void begin_one(void)
{
    static const struct rest_stream_events events = {on_read, on_header, on_head, on_body, on_done};
    const struct rest_stream_header headers[] = {{SLICE_LIT("X-Auth-Token"), SLICE_LIT("tok")}};
    struct exchange *x = &w.all[w.begun];
    struct rest_stream_request r = {
        .method = "GET", .target = SLICE_LIT("/api/v1/x"), .headers = headers, .nheaders = 1};

    if (w.begun == EXCHANGES || w.begun - w.over >= AT_ONCE)
        return;
    w.begun++;
    if (chance(2) == 0) {
        x->to_send = chance(3) == 0 ? chance(BODY_MAX) : chance(100);
        r.method = "POST";
        r.has_body = true;
        r.length = chance(2) == 0 ? x->to_send : REST_LENGTH_UNKNOWN;
    }
    w.inside = true;
    x->st = rest_stream_start(w.client, &r, &events, x);
    w.inside = false;
    assert_non_null(x->st);
}

/* What the caller's own side does: it has something more, or room again. */
static void stir(void)
{
    for (unsigned i = 0; i < w.begun; i++) {
        struct exchange *x = &w.all[i];

        if (x->st == NULL || chance(3) == 0)
            continue;
        if (x->read_waits) {
            x->read_waits = false;
            rest_stream_more(x->st);
        }
        if (x->st != NULL && x->body_waits) {
            x->body_waits = false;
            rest_stream_go_on(x->st);
        }
    }
    if (chance(60) == 0 && w.begun > 0)
        cancel_one();
}

static void on_freed(void *arg)
{
    (void)arg;
    w.freed = true;
}

static void on_beat(uv_timer_t *beat)
{
    (void)beat; /* turns the loop while all exchanges are paused */
}

/* stop_at: when so many are over, all others are cancelled, and the client freed. */
static void storm(uint64_t seed, unsigned stop_at)
{
    char base[64];
    uv_timer_t beat;
    struct rest_client_options o = {.base_url = base,
                                    .tls_verify = true,
                                    .timeout_ms = 150,
                                    .connect_timeout_ms = 5000,
                                    .max_connections = 6};

    memset(&w, 0, sizeof w);
    storm_start(&w.server, seed);
    snprintf(base, sizeof base, "http://127.0.0.1:%d", w.server.port);
    assert_int_equal(rest_stream_client_new(&w.server.loop, &o, &w.client), 0);
    uv_timer_init(&w.server.loop, &beat);
    uv_timer_start(&beat, on_beat, 5, 5);
    while (w.over < stop_at) {
        while (w.begun - w.over < AT_ONCE && w.begun < EXCHANGES)
            begin_one();
        uv_run(&w.server.loop, UV_RUN_ONCE);
        stir();
    }
    while (w.over < w.begun)
        cancel_one();
    rest_stream_client_free(w.client, on_freed, NULL);
    uv_close((uv_handle_t *)&beat, NULL);
    while (!w.freed)
        uv_run(&w.server.loop, UV_RUN_ONCE);
    storm_stop(&w.server);
}

static void test_every_exchange_ends_once(void **state)
{
    unsigned whole = 0, cancelled = 0, timed_out = 0;

    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        storm(seed, EXCHANGES);
        whole += w.whole;
        cancelled += w.cancelled;
        timed_out += w.timed_out;
    }
    print_message("%u exchanges: %u whole, %u cancelled, %u timed out\n", EXCHANGES * SEEDS, whole,
                  cancelled, timed_out);
    assert_true(whole > 0 && cancelled > 0 && timed_out > 0);
}

static void test_cancelled_in_flight(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3 * SEEDS; seed++)
        storm(seed, (unsigned)(seed * 7 % 40));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_exchange_ends_once),
        cmocka_unit_test(test_cancelled_in_flight),
    };

    signal(SIGPIPE, SIG_IGN);                      /* as the program does */
    setenv("http_proxy", "http://127.0.0.1:1", 1); /* must not matter */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
