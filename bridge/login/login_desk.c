#include "bridge/login/login_desk.h"

#include "base/hash.h"
#include "bridge/admin/metrics.h"
#include "bridge/log/log.h"
#include "bridge/login/admin_agent.h"
#include "bridge/login/login_governor.h"
#include "bridge/program.h"
#include "bridge/session/session_table.h"
#include "bridge/shard.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define uthash_fatal(message) abort() /* not exit(): other threads run */
#include <uthash.h>

/* The admin agent's tickets; sessions' have their shard in the upper half and never reach this. */
#define ADMIN_TICKETS (UINT64_C(1) << 63)
/* Rocket.Chat's window for REST calls (rocketchat.md 5.2). */
#define REST_WINDOW_MS 60000
#define STATUS_MS 500

/* One login that was asked for and is not done; on shard 0. */
struct login {
    struct login_ticket ticket; /* first: the governor hands it back */
    UT_hash_handle hh;
    uint64_t id;
    unsigned from;
    size_t key_len;
    char key[];
};

struct login_desk {
    struct shard *shard;
    struct login_governor *governor;
    struct admin_agent *admin; /* NULL once stopped */
    struct login *logins;      /* by id */
    uv_timer_t timer;
    enum login_pause told_pause;
    atomic_bool admin_ok, paused;
};

enum desk_kind { DESK_ACQUIRE, DESK_CANCEL, DESK_DONE, DESK_GRANTED, DESK_REFUSED, DESK_ADMIN };

/* Every message of the desk, in either direction. */
struct desk_mail {
    struct mail mail;
    enum desk_kind kind;
    unsigned from;
    uint64_t id;
    enum login_road road;
    struct rc_error error;    /* refused; done: result RC_OK when it worked */
    struct rest_rate rate;    /* done */
    size_t key_len, name_len; /* admin: user id, user name */
    char text[];
};

static void desk_deliver(struct mail *mail, void *consumer);

static void desk_discard(struct mail *mail)
{
    free(mail);
}

static struct desk_mail *mail_new(const struct shard *from, enum desk_kind kind, struct slice key,
                                  struct slice name)
{
    struct desk_mail *m = mail_alloc(sizeof *m + key.len + name.len);

    m->mail = (struct mail){.deliver = desk_deliver, .discard = desk_discard, .control = true};
    m->kind = kind;
    m->from = from->index;
    m->key_len = key.len;
    m->name_len = name.len;
    if (key.len > 0)
        memcpy(m->text, key.ptr, key.len);
    if (name.len > 0)
        memcpy(m->text + key.len, name.ptr, name.len);
    return m;
}

/* ---- shard 0 ---- */

static void answer_granted(struct login_desk *d, const struct login *l)
{
    struct desk_mail *m = mail_new(d->shard, DESK_GRANTED, (struct slice){0}, (struct slice){0});

    m->id = l->id;
    m->road = l->ticket.road;
    shard_post(d->shard, l->from, &m->mail);
}

static void answer_refused(struct login_desk *d, unsigned to, uint64_t id, enum rc_result result,
                           uint64_t retry_after_ms)
{
    struct desk_mail *m = mail_new(d->shard, DESK_REFUSED, (struct slice){0}, (struct slice){0});

    m->id = id;
    m->error = (struct rc_error){.result = result, .retry_after_ms = retry_after_ms};
    strncpy(m->error.code, rc_result_name(result), sizeof m->error.code - 1);
    shard_post(d->shard, to, &m->mail);
}

static void tell_pause(struct login_desk *d, uint64_t now)
{
    static const char *const why[] = {[LOGIN_PAUSE_NONE] = "",
                                      [LOGIN_PAUSE_BLOCKED_IP] = "error-login-blocked-for-ip",
                                      [LOGIN_PAUSE_REFUSALS] = "too many refused logins"};
    uint64_t until = 0;
    enum login_pause pause = login_governor_pause(d->governor, now, &until);

    atomic_store_explicit(&d->paused, pause != LOGIN_PAUSE_NONE, memory_order_relaxed);
    if (pause == d->told_pause)
        return;
    d->told_pause = pause;
    if (pause == LOGIN_PAUSE_NONE)
        log_info("logins_resumed");
    else
        log_error("logins_paused", LOG_STR("reason", why[pause]),
                  LOG_UINT("for_ms", until > now ? until - now : 0));
}

static void on_timer(uv_timer_t *timer);

static void turn(struct login_desk *d)
{
    uint64_t now = uv_now(&d->shard->loop), wakeup;
    struct login_ticket *ticket;

    /* Without the agent the program is stopping, and nobody wants a login any more. */
    while (d->admin != NULL && (ticket = login_governor_next(d->governor, now)) != NULL)
        answer_granted(d, (const struct login *)ticket);
    tell_pause(d, now);
    metrics_set(d->shard->metrics, METRIC_LOGIN_QUEUE, login_governor_stats(d->governor)->queued);
    if (d->admin != NULL) {
        const char *error;
        enum admin_state state = admin_agent_state(d->admin, &error);

        atomic_store_explicit(&d->admin_ok, state == ADMIN_READY || state == ADMIN_OFF,
                              memory_order_relaxed);
    }
    wakeup = login_governor_wakeup_ms(d->governor, now);
    wakeup = wakeup > now + STATUS_MS ? STATUS_MS : wakeup > now ? wakeup - now : 1;
    uv_timer_start(&d->timer, on_timer, wakeup, 0);
}

static void on_timer(uv_timer_t *timer)
{
    turn(timer->data);
}

static struct login *find(struct login_desk *d, uint64_t id)
{
    struct login *l;

    HASH_FIND(hh, d->logins, &id, sizeof id, l);
    return l;
}

static void forget(struct login_desk *d, struct login *l)
{
    HASH_DEL(d->logins, l);
    free(l);
}

static void on_acquire(struct login_desk *d, const struct desk_mail *m)
{
    struct slice key = {m->text, m->key_len};
    uint64_t now = uv_now(&d->shard->loop), until;
    struct login *l = calloc(1, sizeof *l + key.len);
    enum rc_result why = RC_RATE_LIMITED;

    if (l == NULL) {
        answer_refused(d, m->from, m->id, RC_NOMEM, 0);
        return;
    }
    l->id = m->id;
    l->from = m->from;
    l->key_len = key.len;
    l->ticket.ahead = (m->id & ADMIN_TICKETS) != 0;
    memcpy(l->key, key.ptr, key.len);
    HASH_ADD(hh, d->logins, id, sizeof l->id, l);
    switch (login_governor_request(d->governor, now, key, &l->ticket)) {
    case LOGIN_REQUEST_QUEUED:
        break;
    case LOGIN_REQUEST_FULL:
        answer_refused(d, m->from, m->id, RC_RATE_LIMITED, 0);
        forget(d, l);
        break;
    case LOGIN_REQUEST_REFUSED:
        until = login_governor_refused_until(d->governor, now, key, &why);
        answer_refused(d, m->from, m->id, why, until > now ? until - now : 0);
        forget(d, l);
        break;
    case LOGIN_REQUEST_PACED:
        until = login_governor_paced_until(d->governor, now, key);
        log_info("login_paced", LOG_ID("user", key), LOG_UINT("ms", until - now));
        answer_refused(d, m->from, m->id, RC_RATE_LIMITED, until - now);
        forget(d, l);
        break;
    }
}

static void on_done(struct login_desk *d, const struct desk_mail *m)
{
    struct login *l = find(d, m->id);
    assert(l != NULL); /* every grant has one done */
    login_governor_done(
        d->governor, uv_now(&d->shard->loop), &l->ticket, (struct slice){l->key, l->key_len},
        m->error.result == RC_OK ? NULL : &m->error, m->rate.known ? &m->rate : NULL);
    /* No passwords over DDP at this server (rocketchat.md 1.9): that says nothing about the user,
     * but all about the road. */
    if (m->road == LOGIN_ROAD_DDP &&
        (m->error.result == RC_NOT_FOUND || strcmp(m->error.code, "400") == 0) &&
        d->shard->program->settings->im.login_via == LOGIN_VIA_AUTO &&
        d->shard->program->settings->provisioning.password_policy != PASSWORD_TOKEN) {
        log_warn("ddp_takes_no_passwords", LOG_STR("from_now_on", "logins by REST alone"));
        login_governor_use(d->governor, LOGIN_VIA_REST);
    }
    forget(d, l);
}

static void on_cancel(struct login_desk *d, uint64_t id)
{
    struct login *l = find(d, id);

    /* A grant that is on its way already is answered by done. */
    if (l == NULL || l->ticket.state != LOGIN_TICKET_QUEUED)
        return;
    login_governor_cancel(d->governor, &l->ticket);
    forget(d, l);
}

/* ---- the gate, on any shard ---- */

static void gate_acquire(void *arg, struct slice key, uint64_t ticket)
{
    struct shard *s = arg;
    struct desk_mail *m = mail_new(s, DESK_ACQUIRE, key, (struct slice){0});

    m->id = ticket;
    shard_post(s, 0, &m->mail);
}

static void gate_cancel(void *arg, uint64_t ticket)
{
    struct shard *s = arg;
    struct desk_mail *m = mail_new(s, DESK_CANCEL, (struct slice){0}, (struct slice){0});

    m->id = ticket;
    shard_post(s, 0, &m->mail);
}

static void gate_done(void *arg, uint64_t ticket, enum login_road road,
                      const struct rc_error *error, const struct rest_rate *rate)
{
    struct shard *s = arg;
    struct desk_mail *m = mail_new(s, DESK_DONE, (struct slice){0}, (struct slice){0});

    m->id = ticket;
    m->road = road;
    if (error != NULL)
        m->error = *error;
    if (rate != NULL)
        m->rate = *rate;
    shard_post(s, 0, &m->mail);
}

struct login_gate login_desk_gate(struct shard *s)
{
    return (struct login_gate){
        .acquire = gate_acquire, .cancel = gate_cancel, .done = gate_done, .arg = s};
}

/* ---- mail ---- */

static struct session_table *table_of(const struct shard *s, uint64_t id)
{
    return (id & SESSION_HANDED_TICKETS) != 0 ? s->handed : s->sessions;
}

static void deliver_answer(struct shard *s, const struct desk_mail *m)
{
    const struct rc_error cancelled = {.result = RC_CANCELLED, .code = "cancelled"};
    bool admin = (m->id & ADMIN_TICKETS) != 0;
    /* Its tickets come to shard 0 alone, whose the desk is. */
    struct admin_agent *agent = admin ? s->program->desk->admin : NULL;

    if (!admin && m->kind == DESK_GRANTED)
        session_table_login_granted(table_of(s, m->id), m->id, m->road);
    else if (!admin)
        session_table_login_refused(table_of(s, m->id), m->id, &m->error);
    else if (agent != NULL && m->kind == DESK_GRANTED)
        admin_agent_login_granted(agent, m->id, m->road);
    else if (agent != NULL)
        admin_agent_login_refused(agent, m->id, &m->error);
    else if (m->kind == DESK_GRANTED)
        gate_done(s, m->id, m->road, &cancelled, NULL); /* the agent has stopped meanwhile */
}

static void desk_deliver(struct mail *mail, void *consumer)
{
    struct desk_mail *m = (struct desk_mail *)mail;
    struct shard *s = consumer;
    struct login_desk *d = s->program->desk;

    switch (m->kind) {
    case DESK_ACQUIRE:
        on_acquire(d, m);
        turn(d);
        break;
    case DESK_CANCEL:
        on_cancel(d, m->id);
        turn(d);
        break;
    case DESK_DONE:
        on_done(d, m);
        turn(d);
        break;
    case DESK_GRANTED:
    case DESK_REFUSED:
        deliver_answer(s, m);
        break;
    case DESK_ADMIN:
        session_table_set_admin(s->sessions, (struct slice){m->text, m->key_len},
                                (struct slice){m->text + m->key_len, m->name_len});
        session_table_set_admin(s->handed, (struct slice){m->text, m->key_len},
                                (struct slice){m->text + m->key_len, m->name_len});
        break;
    }
    free(m);
}

/* ---- life ---- */

static void on_admin_identity(void *arg, struct slice user_id, struct slice username)
{
    struct login_desk *d = arg;

    for (unsigned i = 0; i < d->shard->program->nshards; i++)
        shard_post(d->shard, i, &mail_new(d->shard, DESK_ADMIN, user_id, username)->mail);
}

int login_desk_open(struct shard *shard0, struct login_desk **out)
{
    const struct settings *set = shard0->program->settings;
    const struct login_governor_options governor = {
        /* Tokens that the administrator makes have nothing to do with login's window: paced only,
         * like DDP's. */
        .via =
            set->provisioning.password_policy == PASSWORD_TOKEN ? LOGIN_VIA_DDP : set->im.login_via,
        .rest_calls = set->logins.rest_per_minute,
        .rest_window_ms = REST_WINDOW_MS,
        .ddp_per_second = set->logins.ddp_per_second,
        .max_running = set->logins.max_running,
        .max_queued = set->limits.login_queue,
        .max_refused_users = set->limits.refused_users,
    };
    struct login_desk *d = calloc(1, sizeof *d);
    struct admin_agent_options admin = {
        .loop = &shard0->loop,
        .settings = set,
        .rest = shard0->rest,
        .gate = login_desk_gate(shard0),
        .ticket_base = ADMIN_TICKETS,
        .on_identity = on_admin_identity,
        .arg = d,
    };
    int rc;

    if (d == NULL)
        return UV_ENOMEM;
    d->shard = shard0;
    *out = d; /* mail that the agent posts finds the desk through the program */
    d->governor = login_governor_new(&governor);
    if (d->governor == NULL)
        return UV_ENOMEM;
    uv_timer_init(&shard0->loop, &d->timer);
    d->timer.data = d;
    rc = admin_agent_new(&admin, &d->admin);
    if (rc == 0)
        turn(d);
    return rc;
}

bool login_desk_admin_ok(const struct login_desk *d)
{
    return atomic_load_explicit(&d->admin_ok, memory_order_relaxed);
}

bool login_desk_paused(const struct login_desk *d)
{
    return atomic_load_explicit(&d->paused, memory_order_relaxed);
}

void login_desk_lend_admin(struct login_desk *d, struct slice refused, session_loan_fn fn,
                           void *arg)
{
    struct rc_error error;

    if (d->admin != NULL) {
        admin_agent_lend(d->admin, refused, fn, arg);
        return;
    }
    rc_error_of(&error, RC_CANCELLED);
    fn(arg, NULL, &error);
}

void login_desk_admin_stop(struct login_desk *d, unsigned limit_ms, void (*done)(void *), void *arg)
{
    struct admin_agent *admin = d->admin;

    d->admin = NULL;
    admin_agent_stop(admin, limit_ms, done, arg);
}

void login_desk_close(struct login_desk *d)
{
    struct login *l, *next;

    HASH_ITER(hh, d->logins, l, next)
    forget(d, l);
    login_governor_free(d->governor);
    uv_close((uv_handle_t *)&d->timer, NULL);
}

void login_desk_free(struct login_desk *d)
{
    free(d);
}
