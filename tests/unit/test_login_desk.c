/* One governor for all shards: real threads ask it, over real mailboxes (TSan runs this too). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "bridge/admin/metrics.h"
#include "bridge/login/login_desk.h"
#include "bridge/program.h"
#include "bridge/session/session_table.h"
#include "bridge/shard.h"
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHARDS = 3, USERS = 200, MAX_RUNNING = 5 };

static char nothing[] = "";
static struct settings settings = {
    .im = {.login_via = LOGIN_VIA_DDP,
           .admin_user_id = nothing,
           .admin_user_name = nothing,
           .admin_token = nothing,
           .admin_password = nothing},
    .logins = {.rest_per_minute = 10, .ddp_per_second = 10000, .max_running = MAX_RUNNING},
    .limits = {.login_queue = 100000, .refused_users = 100},
};
static struct program program;
static struct shard shards[SHARDS];
static atomic_uint running, most_running, finished, granted, refused_at_once, admins;

enum user_state { ASKED, GRANTED, CANCELLED, OVER };

/* What a shard's sessions would be: each user logs in a few times, some give up at once. */
struct asker {
    struct shard *shard;
    struct login_gate gate;
    uv_timer_t timer;
    enum user_state users[USERS];
    unsigned left;
    bool all_asked;
};

static struct asker askers[SHARDS];

static uint64_t ticket_of(const struct asker *a, unsigned user)
{
    return (uint64_t)a->shard->index << 48 | (user + 1);
}

static unsigned user_of(uint64_t ticket)
{
    return (unsigned)(ticket & 0xffff) - 1;
}

static void over(struct asker *a, unsigned user)
{
    assert_true(a->users[user] != OVER); /* answered once */
    a->users[user] = OVER;
    if (--a->left == 0)
        atomic_fetch_add(&finished, 1);
}

/* ---- what stands around the desk ---- */

enum mailbox_post shard_post(struct shard *from, unsigned to, struct mail *mail)
{
    return mailbox_post(shards[to].mailbox, from->index, mail);
}

static void end_login(struct asker *a, uint64_t ticket, enum login_road road)
{
    unsigned user = user_of(ticket);
    struct rc_error error;

    atomic_fetch_sub(&running, 1);
    if (user % 10 == 1)
        rc_error_of(&error, RC_SERVER_ERROR);
    if (user % 10 == 2)
        rc_error_of(&error, RC_CANCELLED);
    a->gate.done(a->gate.arg, ticket, road, user % 10 == 1 || user % 10 == 2 ? &error : NULL, NULL);
    over(a, user);
}

void session_table_login_granted(struct session_table *t, uint64_t ticket, enum login_road road)
{
    struct asker *a = (struct asker *)t;
    unsigned user = user_of(ticket), now = atomic_fetch_add(&running, 1) + 1;
    unsigned most = atomic_load(&most_running);

    assert_int_equal(road, LOGIN_ROAD_DDP);
    assert_int_equal(ticket >> 48, a->shard->index);
    while (now > most && !atomic_compare_exchange_weak(&most_running, &most, now))
        ;
    atomic_fetch_add(&granted, 1);
    if (a->users[user] == CANCELLED) { /* it crossed the cancel */
        struct rc_error error;

        rc_error_of(&error, RC_CANCELLED);
        atomic_fetch_sub(&running, 1);
        a->gate.done(a->gate.arg, ticket, road, &error, NULL);
        return;
    }
    assert_int_equal(a->users[user], ASKED);
    a->users[user] = GRANTED;
    if (user % 3 == 0)
        end_login(a, ticket, road);
}

void session_table_login_refused(struct session_table *t, uint64_t ticket,
                                 const struct rc_error *error)
{
    struct asker *a = (struct asker *)t;

    assert_true(error->result != RC_OK);
    atomic_fetch_add(&refused_at_once, 1);
    if (a->users[user_of(ticket)] != CANCELLED)
        over(a, user_of(ticket));
}

void session_table_set_admin(struct session_table *t, struct slice user_id, struct slice username)
{
    (void)t, (void)user_id, (void)username;
    atomic_fetch_add(&admins, 1);
}

/* ---- the shards ---- */

static void ask(struct asker *a, unsigned user)
{
    char key[32];

    snprintf(key, sizeof key, "user%u@%u", user, a->shard->index);
    a->users[user] = ASKED;
    a->gate.acquire(a->gate.arg, slice_of(key), ticket_of(a, user));
    if (user % 7 == 0) {
        a->users[user] = CANCELLED;
        a->gate.cancel(a->gate.arg, ticket_of(a, user));
        if (--a->left == 0)
            atomic_fetch_add(&finished, 1);
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct asker *a = timer->data;

    if (!a->all_asked) {
        a->all_asked = true;
        for (unsigned user = 0; user < USERS; user++)
            ask(a, user);
    }
    for (unsigned user = 0; user < USERS; user++) /* logins that took a while */
        if (a->users[user] == GRANTED)
            end_login(a, ticket_of(a, user), LOGIN_ROAD_DDP);
}

static void run_shard(void *arg)
{
    struct shard *s = arg;

    uv_run(&s->loop, UV_RUN_DEFAULT);
}

/* The steps of a shutdown, told by mail from the test's thread. */
struct step {
    struct mail mail;
    void (*fn)(struct shard *s);
    atomic_uint *done;
};

static void step_deliver(struct mail *mail, void *consumer)
{
    struct step *step = (struct step *)mail;
    atomic_uint *done = step->done;

    mailbox_deliver_all(((struct shard *)consumer)->mailbox);
    step->fn(consumer);
    free(mail);
    if (done != NULL)
        atomic_fetch_add(done, 1);
}

static void step_discard(struct mail *mail)
{
    free(mail);
}

static void tell(unsigned shard, void (*fn)(struct shard *s), atomic_uint *done)
{
    struct step *step = calloc(1, sizeof *step);

    step->mail = (struct mail){.deliver = step_deliver, .discard = step_discard, .control = true};
    step->fn = fn;
    step->done = done;
    mailbox_post(shards[shard].mailbox, SHARDS, &step->mail);
}

static void wait_for(atomic_uint *n, unsigned want)
{
    for (int i = 0; i < 30000 && atomic_load(n) < want; i++)
        uv_sleep(1);
    assert_int_equal(atomic_load(n), want);
}

static void stop_asking(struct shard *s)
{
    uv_close((uv_handle_t *)&askers[s->index].timer, NULL);
}

static atomic_uint admin_stopped;

static void on_admin_stopped(void *arg)
{
    (void)arg;
    atomic_fetch_add(&admin_stopped, 1);
}

static void stop_admin(struct shard *s)
{
    login_desk_admin_stop(program.desk, 1000, on_admin_stopped, s);
}

static void close_shard(struct shard *s)
{
    if (s->index == 0)
        login_desk_close(program.desk);
    mailbox_close(s->mailbox);
}

static void open_shards(void)
{
    program = (struct program){.settings = &settings, .shards = shards, .nshards = SHARDS};
    program.metrics = metrics_new(SHARDS);
    for (unsigned i = 0; i < SHARDS; i++) {
        struct shard *s = &shards[i];

        *s = (struct shard){.index = i, .program = &program};
        s->metrics = metrics_block(program.metrics, i);
        s->sessions = (struct session_table *)&askers[i];
        assert_int_equal(uv_loop_init(&s->loop), 0);
        assert_int_equal(mailbox_new(&s->loop, SHARDS + 1, i, SIZE_MAX, s, &s->mailbox), 0);
        askers[i] = (struct asker){.shard = s, .gate = login_desk_gate(s), .left = USERS};
        uv_timer_init(&s->loop, &askers[i].timer);
        askers[i].timer.data = &askers[i];
        uv_timer_start(&askers[i].timer, on_tick, 1, 1);
    }
    assert_int_equal(login_desk_open(&shards[0], &program.desk), 0);
    for (unsigned i = 0; i < SHARDS; i++)
        assert_int_equal(uv_thread_create(&shards[i].thread, run_shard, &shards[i]), 0);
}

static void close_shards(void)
{
    static atomic_uint asking_stopped;

    atomic_store(&asking_stopped, 0);
    atomic_store(&admin_stopped, 0);
    for (unsigned i = 0; i < SHARDS; i++)
        tell(i, stop_asking, &asking_stopped);
    wait_for(&asking_stopped, SHARDS);
    tell(0, stop_admin, NULL);
    wait_for(&admin_stopped, 1);
    for (unsigned i = 0; i < SHARDS; i++)
        tell(i, close_shard, NULL);
    for (unsigned i = 0; i < SHARDS; i++) {
        uv_thread_join(&shards[i].thread);
        assert_int_equal(uv_loop_close(&shards[i].loop), 0);
        mailbox_free(shards[i].mailbox);
    }
    login_desk_free(program.desk);
    metrics_free(program.metrics);
}

/* ---- tests ---- */

static int start(void **state)
{
    static const uint8_t seed[16] = {1};

    (void)state;
    hash_seed(seed);
    atomic_store(&running, 0);
    atomic_store(&most_running, 0);
    atomic_store(&finished, 0);
    atomic_store(&granted, 0);
    atomic_store(&refused_at_once, 0);
    settings.limits.login_queue = 100000;
    return 0;
}

static void test_every_login_is_answered_once(void **state)
{
    (void)state;
    open_shards();
    wait_for(&finished, SHARDS);
    assert_true(login_desk_admin_ok(program.desk)); /* none is configured */
    assert_false(login_desk_paused(program.desk));
    close_shards();
    assert_int_equal(running, 0);
    assert_in_range(most_running, 1, MAX_RUNNING);
    assert_int_equal(refused_at_once, 0);
    assert_in_range(granted, SHARDS * (USERS - USERS / 7 - 1), SHARDS * USERS);
}

static void test_full_queue_refuses(void **state)
{
    (void)state;
    settings.limits.login_queue = 10;
    open_shards();
    wait_for(&finished, SHARDS);
    close_shards();
    assert_true(refused_at_once > 0);
    assert_int_equal(running, 0);
}

/* Logins still queued and under way when the program stops: nothing is left, nothing is touched. */
static void test_stop_in_the_middle(void **state)
{
    (void)state;
    open_shards();
    uv_sleep(3);
    close_shards();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_login_is_answered_once, start),
        cmocka_unit_test_setup(test_full_queue_refuses, start),
        cmocka_unit_test_setup(test_stop_in_the_middle, start),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
