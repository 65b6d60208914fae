#include "bridge/program.h"
#include "bridge/abp/abp_map.h"

#include "bridge/admin/metrics.h"
#include "bridge/heap_trim.h"
#include "bridge/identity/key_refresh.h"
#include "bridge/im_proxy/im_counts.h"
#include "bridge/im_proxy/im_logins.h"
#include "bridge/log/log.h"
#include "bridge/login/admin_agent.h"
#include "bridge/routes.h"
#include "bridge/shard.h"
#include "signalr/http/http_counts.h"
#include "signalr/http/http_server.h"
#include <assert.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

struct run {
    struct program program;
    enum stop_step step;
    unsigned waiting; /* shards that have not finished the step */
    bool late;        /* the limit passed before the last step was done */
    uv_signal_t signals[2];
    uv_timer_t limit;
    uv_timer_t connections_limit;
    struct heap_trim heap;
};

/* To a shard: take this step. From one: it is done. */
struct step_mail {
    struct mail mail;
    enum stop_step step;
};

/* ---- listening ---- */

static void log_listening(const struct sockaddr_storage *bound, int tag)
{
    char host[INET6_ADDRSTRLEN] = "";
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)bound;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)bound;
    bool is_v6 = bound->ss_family == AF_INET6;

    if (is_v6)
        uv_ip6_name(v6, host, sizeof host);
    else
        uv_ip4_name(v4, host, sizeof host);
    log_info("listening", LOG_STR("address", host),
             LOG_INT("port", ntohs(is_v6 ? v6->sin6_port : v4->sin_port)),
             LOG_STR("for", tag == ROUTES_ADMIN ? "operators" : "clients"));
}

static int listen_on(struct program *p, const struct listen_url *url, int tag, unsigned nshards)
{
    for (size_t i = 0; i < url->count; i++) {
        struct sockaddr_storage bound;
        int rc = http_probe_bind((const struct sockaddr *)&url->addresses[i], &bound);

        if (rc == UV_EAFNOSUPPORT && url->dual_stack) {
            /* A host without IPv6: every IPv4 address, then. */
            struct sockaddr_in any = {
                .sin_family = AF_INET,
                .sin_port = ((const struct sockaddr_in6 *)&url->addresses[i])->sin6_port};

            rc = http_probe_bind((const struct sockaddr *)&any, &bound);
        }
        if (i > 0 && (rc == UV_EAFNOSUPPORT || rc == UV_EADDRNOTAVAIL))
            return 0; /* localhost on a host without IPv6: 127.0.0.1 is enough */
        for (unsigned shard = 0; rc == 0 && shard < nshards; shard++)
            rc = http_server_listen(p->shards[shard].http, (const struct sockaddr *)&bound, tag,
                                    nshards > 1);
        if (rc != 0) {
            log_error("listen_failed", LOG_STR("url", url->text),
                      LOG_STR("error", uv_strerror(rc)));
            return rc;
        }
        log_listening(&bound, tag);
    }
    return 0;
}

static int listen_everywhere(struct program *p)
{
    const struct settings *s = p->settings;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < s->urls.count; i++)
        rc = listen_on(p, &s->urls.items[i], ROUTES_PUBLIC, p->nshards);
    for (size_t i = 0; rc == 0 && i < s->admin_urls.count; i++)
        rc = listen_on(p, &s->admin_urls.items[i], ROUTES_ADMIN, 1);
    return rc;
}

/* Every tab and every user's DDP connection is a descriptor: take all that we may have. */
static void raise_descriptor_limit(void)
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
        log_info("descriptors", LOG_INT("limit", (int64_t)limit.rlim_cur));
}

/* ---- shutdown ---- */

static void step_deliver(struct mail *mail, void *consumer)
{
    enum stop_step step = ((struct step_mail *)mail)->step;
    struct shard *s = consumer;

    free(mail);
    mailbox_deliver_all(s->mailbox);
    switch (step) {
    case STOP_CONNECTIONS:
        shard_drain_connections(s);
        break;
    case STOP_SESSIONS:
        shard_drain_sessions(s);
        break;
    case STOP_HTTP:
        shard_close_http(s);
        break;
    case STOP_PARTS:
        shard_close_parts(s);
        break;
    case STOP_MAILBOXES: /* every shard has closed its parts: nobody posts any more */
        if (s->index == 0)
            login_desk_close(s->program->desk);
        mailbox_close(s->mailbox);
        break;
    case STOP_NOT:
        abort();
    }
}

static void step_discard(struct mail *mail)
{
    free(mail);
}

static struct mail *step_mail_new(enum stop_step step,
                                  void (*deliver)(struct mail *mail, void *consumer))
{
    struct step_mail *m = mail_alloc(sizeof *m);

    m->mail = (struct mail){.deliver = deliver, .discard = step_discard, .control = true};
    m->step = step;
    return &m->mail;
}

static void begin_step(struct run *run, enum stop_step step)
{
    struct program *p = &run->program;

    run->step = step;
    run->waiting = p->nshards;
    for (unsigned i = 0; i < p->nshards; i++)
        mailbox_post(p->shards[i].mailbox, p->nshards, step_mail_new(step, step_deliver));
}

static void report_deliver(struct mail *mail, void *consumer)
{
    enum stop_step step = ((struct step_mail *)mail)->step;
    struct run *run = consumer;

    free(mail);
    if (step != run->step || --run->waiting > 0)
        return; /* of a step that was cut off: done after all */
    if (step == STOP_MAILBOXES)
        uv_stop(&run->program.loop);
    else
        begin_step(run, step + 1);
}

void program_report_step(struct shard *s, enum stop_step step)
{
    mailbox_post(s->program->mailbox, s->index, step_mail_new(step, report_deliver));
}

unsigned program_drain_left_ms(const struct program *p, unsigned tenths)
{
    uint64_t now = uv_hrtime() / 1000000;
    uint64_t until = p->drain_start_ms + (uint64_t)p->settings->drain.limit_ms * tenths / 10;

    return until > now ? (unsigned)(until - now) : 0;
}

/* A client that does not answer our close must not take the sessions' time. */
static void on_connections_limit(uv_timer_t *timer)
{
    struct run *run = timer->data;

    if (run->step == STOP_CONNECTIONS)
        begin_step(run, STOP_SESSIONS);
}

/* What is still open now goes with the process. */
static void on_limit(uv_timer_t *timer)
{
    struct run *run = timer->data;

    log_warn("drain_limit", LOG_INT("step", run->step));
    run->late = true;
    uv_stop(&run->program.loop);
}

static void on_signal(uv_signal_t *handle, int number)
{
    struct run *run = handle->data;
    struct program *p = &run->program;

    if (run->step != STOP_NOT) {
        log_warn("stopping_at_once", LOG_INT("signal", number));
        run->late = true;
        uv_stop(&p->loop);
        return;
    }
    log_info("draining", LOG_INT("signal", number),
             LOG_INT("limit_ms", p->settings->drain.limit_ms));
    p->drain_start_ms = uv_hrtime() / 1000000;
    atomic_store(&p->phase, PROGRAM_DRAINING);
    uv_timer_start(&run->limit, on_limit, p->settings->drain.limit_ms, 0);
    uv_timer_start(&run->connections_limit, on_connections_limit,
                   program_drain_left_ms(p, STOP_CONNECTIONS_TENTHS), 0);
    begin_step(run, STOP_CONNECTIONS);
}

/* ---- start ---- */

static int open_main_loop(struct run *run)
{
    static const int numbers[] = {SIGTERM, SIGINT};
    struct program *p = &run->program;
    int rc = uv_loop_init(&p->loop);

    if (rc != 0)
        return rc;
    rc = mailbox_new(&p->loop, p->nshards, MAILBOX_NO_OWN, SIZE_MAX, run, &p->mailbox);
    for (size_t i = 0; rc == 0 && i < 2; i++) {
        uv_signal_init(&p->loop, &run->signals[i]);
        run->signals[i].data = run;
        rc = uv_signal_start(&run->signals[i], on_signal, numbers[i]);
    }
    uv_timer_init(&p->loop, &run->limit);
    uv_timer_init(&p->loop, &run->connections_limit);
    run->limit.data = run->connections_limit.data = run;
    heap_trim_start(&run->heap, &p->loop, p->metrics);
    return rc;
}

static int open_shards(struct program *p)
{
    int rc = 0;

    p->shards = calloc(p->nshards, sizeof *p->shards);
    if (p->shards == NULL)
        return UV_ENOMEM;
    for (unsigned i = 0; rc == 0 && i < p->nshards; i++)
        rc = shard_open(&p->shards[i], p, i);
    if (rc == 0)
        rc = login_desk_open(&p->shards[0], &p->desk);
    if (rc == 0 && p->settings->auth.jwks[0] != '\0')
        rc = key_refresh_open(p, &p->keys);
    return rc;
}

static void program_close(struct run *run)
{
    struct program *p = &run->program;

    for (unsigned i = 0; i < p->nshards; i++) {
        int rc = uv_loop_close(&p->shards[i].loop);

        assert(rc == 0); /* a handle left open is a leak of ours */
        /* Not with the shard's parts: shard 0's key source may post new ones until its end. */
        jwt_keys_unref(p->shards[i].keys);
        mailbox_free(p->shards[i].mailbox);
    }
    login_desk_free(p->desk);
    free(p->shards);
    metrics_free(p->metrics);
    http_counts_free(p->counts);
    im_counts_free(p->proxied);
    im_logins_free(p->im_logins);
    im_counts_free(p->abp_counts);
    replay_file_free(&p->replay);
    user_rules_close(&p->rules);
    abp_map_free(p->abp_map);
    jwt_keys_unref(p->first_keys);
    mailbox_close(p->mailbox);
    for (size_t i = 0; i < 2; i++)
        uv_close((uv_handle_t *)&run->signals[i], NULL);
    uv_close((uv_handle_t *)&run->limit, NULL);
    uv_close((uv_handle_t *)&run->connections_limit, NULL);
    uv_close((uv_handle_t *)&run->heap.timer, NULL);
    uv_run(&p->loop, UV_RUN_DEFAULT);
    uv_loop_close(&p->loop);
    mailbox_free(p->mailbox);
}

int program_check(const struct settings *settings)
{
    struct user_rules rules;
    struct jwt_keys *keys;
    char error[512];
    bool ok = user_rules_open(&rules, settings, &keys, error, sizeof error);

    if (!ok)
        fprintf(stderr, "%s\n", error);
    user_rules_close(&rules);
    jwt_keys_unref(keys);
    return ok ? PROGRAM_EXIT_OK : PROGRAM_EXIT_SETTINGS;
}

struct program *program_of_mail(void *consumer)
{
    return &((struct run *)consumer)->program;
}

int program_run(const struct settings *settings, const struct replay_file *replay)
{
    static struct run run; /* shards point into it until the process ends */
    struct program *p = &run.program;
    char error[512];
    const char *map_error, *map_row; /* told by settings_check.c */
    int rc;

    p->settings = settings;
    p->replay = *replay;
    p->handed = *settings;
    p->handed.token_cache.ttl_ms = settings->abp.handed_out_ttl_ms;
    p->handed.token_cache.sliding = true; /* each Authenticate hands it out anew */
    p->handed.token_cache.max_entries = settings->abp.max_handed_out;
    p->nshards = settings->shards;
    signal(SIGPIPE, SIG_IGN);
    curl_global_init(CURL_GLOBAL_DEFAULT); /* before the threads: it is not thread-safe */
    raise_descriptor_limit();
    if (!user_rules_open(&p->rules, settings, &p->first_keys, error, sizeof error)) {
        log_error("settings", LOG_STR("error", error));
        return PROGRAM_EXIT_SETTINGS;
    }
    p->metrics = metrics_new(p->nshards);
    p->counts = http_counts_new();
    p->proxied = im_counts_new();
    p->im_logins = im_logins_new(settings->proxy.logins_per_minute);
    p->abp_counts = im_counts_new();
    p->abp_map = abp_map_new(&settings->abp.routes, &map_error, &map_row);
    rc = p->metrics == NULL || p->counts == NULL || p->proxied == NULL || p->im_logins == NULL ||
                 p->abp_counts == NULL || p->abp_map == NULL
             ? UV_ENOMEM
             : open_main_loop(&run);
    if (rc == 0)
        rc = open_shards(p);
    if (rc == 0) {
        replay_file_restore(&p->replay, p);
        rc = listen_everywhere(p);
    }
    for (unsigned i = 0; rc == 0 && i < p->nshards; i++)
        rc = shard_start(&p->shards[i]);
    if (rc != 0) {
        log_error("start_failed", LOG_STR("error", uv_strerror(rc)));
        return PROGRAM_EXIT_RUNTIME;
    }
    replay_file_used(&p->replay, settings);
    atomic_store(&p->phase, PROGRAM_SERVING);
    log_info("serving", LOG_INT("shards", p->nshards));
    uv_run(&p->loop, UV_RUN_DEFAULT);
    if (run.late)
        return PROGRAM_EXIT_DRAIN;
    for (unsigned i = 0; i < p->nshards; i++)
        uv_thread_join(&p->shards[i].thread);
    program_close(&run);
    log_info("stopped");
    return PROGRAM_EXIT_OK;
}
