#include "bridge/shard.h"

#include "base/hash.h"
#include "bridge/abp/abp.h"
#include "bridge/admin/metrics.h"
#include "bridge/hub/audience.h"
#include "bridge/hub/hub_caller.h"
#include "bridge/identity/key_refresh.h"
#include "bridge/im_proxy/im_proxy.h"
#include "bridge/log/log.h"
#include "bridge/login/admin_agent.h"
#include "bridge/login/login_desk.h"
#include "bridge/program.h"
#include "bridge/provisioning/provisioner.h"
#include "bridge/rc_clients.h"
#include "bridge/session/session_table.h"
#include "bridge/shard_http.h"
#include "cache/memory_cache.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/rest_client.h"
#include "signalr/http/http_server.h"
#include "signalr/hub/signalr_server.h"
#include <assert.h>
#include <stdlib.h>

#define GAUGES_MS 500
/* Each closed tab is back within moments, at another instance: a thousand a second is what those
 * can take in. */
#define DRAIN_MS_PER_CONNECTION 1

enum mailbox_post shard_post(struct shard *from, unsigned to, struct mail *mail)
{
    return mailbox_post(from->program->shards[to].mailbox, from->index, mail);
}

unsigned shard_of_user(const struct program *program, struct slice user_key)
{
    return (unsigned)(hash_bytes(user_key.ptr, user_key.len) % program->nshards);
}

/* ---- the sessions' parts ---- */

/* The users fall evenly on the shards, so each has its share of the whole. */
static unsigned share_of(const struct shard *s, unsigned whole)
{
    return (whole + s->program->nshards - 1) / s->program->nshards;
}

/* A token whose entry ended with nobody watching would pile up on the account. */
static void on_orphan(void *arg, struct slice key, const struct token_entry *entry,
                      enum token_orphan why)
{
    struct shard *s = arg;

    (void)key, (void)why;
    session_table_orphan(s->sessions, entry);
}

static void on_handed_orphan(void *arg, struct slice key, const struct token_entry *entry,
                             enum token_orphan why)
{
    struct shard *s = arg;

    (void)key, (void)why;
    session_table_orphan(s->handed, entry);
}

static struct token_cache *open_cache(struct shard *s, const struct settings *set,
                                      token_orphan_fn on_end)
{
    const struct memory_cache_options cache = {
        .ttl_ms = set->token_cache.ttl_ms,
        .sliding = set->token_cache.sliding,
        .max_entries = share_of(s, set->token_cache.max_entries),
        .on_orphan = on_end,
        .orphan_arg = s,
    };

    return memory_cache_new(&s->loop, &cache);
}

static int open_sessions(struct shard *s)
{
    struct session_table_options table = {
        .loop = &s->loop,
        .shard = s->index,
        .nshards = s->program->nshards,
        .metrics = s->metrics,
        .ddp = s->ddp,
        .rest = s->rest,
        .gate = login_desk_gate(s),
    };
    int rc;

    s->cache = open_cache(s, s->program->settings, on_orphan);
    s->handed_cache = open_cache(s, &s->program->handed, on_handed_orphan);
    if (s->cache == NULL || s->handed_cache == NULL)
        return UV_ENOMEM;
    rc = provisioner_open(s, &s->provisioner);
    if (rc != 0)
        return rc;
    table.provisioner = s->provisioner;
    publisher_open(&s->publisher, s);
    if (repair_post_open(&s->repairs, s) != 0)
        return UV_ENOMEM;
    table.host = publisher_session_host(&s->publisher);
    table.repairs = repair_post_gate(&s->repairs);
    table.calls = hub_caller_gate(s);
    table.settings = s->program->settings;
    table.cache = s->cache;
    table.max_sessions = share_of(s, table.settings->token_cache.max_entries);
    rc = session_table_new(&table, &s->sessions);
    if (rc != 0)
        return rc;
    table.settings = &s->program->handed;
    table.cache = s->handed_cache;
    table.max_sessions = share_of(s, table.settings->token_cache.max_entries);
    table.ticket_class = SESSION_HANDED_TICKETS;
    return session_table_new(&table, &s->handed);
}

/* ---- life ---- */

static_assert(METRIC_ENDED_DRAIN - METRIC_ENDED_CLIENT == HUB_END_DRAIN, "one row for each end");
static_assert(METRIC_SESSIONS_CLOSING - METRIC_SESSIONS_IDLE == SESSION_CLOSING,
              "one row for each state");

/* The parts count for themselves; the scraper, on another thread, may only read the metrics. */
static void copy_gauges(uv_timer_t *timer)
{
    struct shard *s = timer->data;
    const struct token_cache_stats *cache = token_cache_stats(s->cache);
    struct metrics_block *m = s->metrics;
    struct session_stats sessions;
    struct signalr_stats hub;

    signalr_server_stats(s->signalr, &hub);
    session_table_stats(s->sessions, &sessions);
    metrics_set(m, METRIC_CONNECTIONS_NEGOTIATED, hub.pending);
    metrics_set(m, METRIC_CONNECTIONS_HANDSHAKE, hub.handshaking);
    metrics_set(m, METRIC_CONNECTIONS_OPEN, hub.open);
    metrics_set(m, METRIC_CONNECTIONS_CLOSING, hub.closing);
    metrics_set(m, METRIC_NEGOTIATIONS, hub.negotiations);
    metrics_set(m, METRIC_OPENED, hub.opened);
    metrics_set(m, METRIC_GROUPS_MISSED, hub.groups_missed);
    metrics_set(m, METRIC_INVOCATIONS, hub.invocations - hub.unknown_methods);
    metrics_set(m, METRIC_INVOCATIONS_UNKNOWN, hub.unknown_methods);
    metrics_set(m, METRIC_OPEN_CALLS, hub.open_calls);
    metrics_set(m, METRIC_CALLS_TOO_FAST, hub.calls_too_fast);
    metrics_set(m, METRIC_CALLS_TOO_MANY, hub.calls_too_many);
    metrics_set(m, METRIC_QUEUE_BYTES, http_server_queued_bytes(s->http));
    metrics_set(m, METRIC_HTTP_SOCKETS, http_server_connections(s->http));
    for (int i = 0; i < HUB_END_NEND; i++)
        metrics_set(m, (enum metric)(METRIC_ENDED_CLIENT + i), hub.ended[i]);
    for (int i = 0; i < SESSION_NSTATES; i++)
        metrics_set(m, (enum metric)(METRIC_SESSIONS_IDLE + i), sessions.by_state[i]);
    metrics_set(m, METRIC_CACHE_ENTRIES, cache->entries);
    metrics_set(m, METRIC_CACHE_EXPIRATIONS, cache->expirations);
    metrics_set(m, METRIC_HANDED_OUT, token_cache_stats(s->handed_cache)->entries);
    s->gauges_fresh = true;
}

/* Something is about to happen, or has: the gauges are copied soon. Nothing in the turn that copied
 * them, or a loop that does nothing else would wake for ever. */
static void on_prepare(uv_prepare_t *prepare)
{
    struct shard *s = prepare->data;

    if (!s->gauges_fresh && !uv_is_active((uv_handle_t *)&s->gauges_timer))
        uv_timer_start(&s->gauges_timer, copy_gauges, GAUGES_MS, 0);
    s->gauges_fresh = false;
}

int shard_open(struct shard *s, struct program *program, unsigned index)
{
    int rc;

    *s = (struct shard){.index = index, .program = program};
    s->metrics = metrics_block(program->metrics, index);
    s->keys = jwt_keys_ref(program->first_keys);
    rc = uv_loop_init(&s->loop);
    if (rc != 0)
        return rc;
    rc = mailbox_new(&s->loop, program->nshards + 1, index, program->settings->limits.mailbox_bytes,
                     s, &s->mailbox);
    if (rc == 0)
        rc = rc_clients_open(&s->loop, program->settings, &s->ddp, &s->rest);
    if (rc == 0)
        rc = open_sessions(s);
    if (rc == 0)
        rc = im_proxy_open(s, &s->proxy);
    if (rc == 0)
        rc = abp_open(s, &s->abp);
    if (rc == 0)
        rc = shard_http_open(s);
    if (rc != 0)
        return rc;
    uv_timer_init(&s->loop, &s->gauges_timer);
    uv_prepare_init(&s->loop, &s->gauges_prepare);
    s->gauges_timer.data = s->gauges_prepare.data = s;
    return uv_prepare_start(&s->gauges_prepare, on_prepare);
}

static void run(void *arg)
{
    struct shard *s = arg;

    uv_run(&s->loop, UV_RUN_DEFAULT);
    program_report_step(s, STOP_MAILBOXES); /* nothing is left on the loop */
}

int shard_start(struct shard *s)
{
    return uv_thread_create(&s->thread, run, s);
}

/* ---- end ---- */

static void connections_drained(void *arg)
{
    program_report_step(arg, STOP_CONNECTIONS);
}

void shard_drain_connections(struct shard *s)
{
    /* The last ones closed need a moment for their answer. */
    const unsigned longest = program_drain_left_ms(s->program, STOP_CONNECTIONS_TENTHS - 1);
    struct signalr_stats hub;
    uint64_t spread;

    signalr_server_stats(s->signalr, &hub);
    spread = (uint64_t)hub.open * s->program->nshards * DRAIN_MS_PER_CONNECTION;
    signalr_server_drain(s->signalr, spread < longest ? (unsigned)spread : longest,
                         connections_drained, s);
}

static void sessions_drained(void *arg)
{
    struct shard *s = arg;

    if (--s->stop_waits == 0)
        program_report_step(s, STOP_SESSIONS);
}

void shard_drain_sessions(struct shard *s)
{
    const unsigned left = program_drain_left_ms(s->program, STOP_SESSIONS_TENTHS);

    s->stop_waits = 2;
    if (s->index == 0) {
        s->stop_waits++;
        login_desk_admin_stop(s->program->desk, left, sessions_drained, s);
    }
    replay_file_leave(s);
    session_table_drain(s->sessions, left, sessions_drained, s);
    session_table_drain(s->handed, left, sessions_drained, s);
}

static void on_signalr_freed(void *arg)
{
    program_report_step(arg, STOP_HTTP);
}

static void on_http_closed(void *arg)
{
    struct shard *s = arg;
    struct signalr_server *signalr = s->signalr;

    s->signalr = NULL;
    signalr_server_free(signalr, on_signalr_freed, s);
}

void shard_close_http(struct shard *s)
{
    struct http_server *http = s->http;

    uv_close((uv_handle_t *)&s->gauges_timer, NULL);
    uv_close((uv_handle_t *)&s->gauges_prepare, NULL);
    s->http = NULL;
    http_server_close(http, on_http_closed, s);
}

/* Part by part, each waiting for the one before it: those that are used are closed behind those
 * that use them. */
static void close_next(void *arg)
{
    struct shard *s = arg;
    struct im_proxy *proxy = s->proxy;

    switch (s->closed_parts++) {
    case 0:
        abp_close(s->abp, close_next, s);
        break;
    case 1:
        s->proxy = NULL; /* other shards' mail may still look for it */
        im_proxy_close(proxy, close_next, s);
        break;
    case 2:
        session_table_free(s->sessions, close_next, s);
        break;
    case 3:
        session_table_free(s->handed, close_next, s);
        break;
    case 4:
        provisioner_close(s->provisioner, close_next, s);
        break;
    case 5:
        token_cache_free(s->cache, close_next, s);
        break;
    case 6:
        token_cache_free(s->handed_cache, close_next, s);
        break;
    case 7:
        rest_client_free(s->rest, close_next, s);
        break;
    case 8:
        ddp_client_free(s->ddp, close_next, s);
        break;
    case 9:
        if (s->index == 0 && s->program->keys != NULL)
            key_refresh_close(s->program->keys, close_next, s);
        else
            close_next(s);
        break;
    case 10:
        publisher_close(&s->publisher);
        audience_close(&s->audience);
        repair_post_close(&s->repairs);
        program_report_step(s, STOP_PARTS);
        break;
    default:
        abort();
    }
}

void shard_close_parts(struct shard *s)
{
    close_next(s);
}
