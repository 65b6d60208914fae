#include "bridge/identity/key_refresh.h"

#include "bridge/log/log.h"
#include "bridge/program.h"
#include "bridge/shard.h"
#include <stdlib.h>

struct key_refresh {
    struct program *program;
    struct jwks_source *source;
};

struct keys_mail {
    struct mail mail;
    struct jwt_keys *keys; /* a reference */
};

static void keys_discard(struct mail *mail)
{
    jwt_keys_unref(((struct keys_mail *)mail)->keys);
    free(mail);
}

static void keys_deliver(struct mail *mail, void *consumer)
{
    struct keys_mail *m = (struct keys_mail *)mail;
    struct shard *s = consumer;

    jwt_keys_unref(s->keys);
    s->keys = m->keys;
    free(m);
}

static void on_report(void *arg, const struct jwks_source_report *report)
{
    struct key_refresh *k = arg;
    struct shard *s = &k->program->shards[0];

    if (report->result == JWKS_SOURCE_UNCHANGED)
        return;
    if (report->keys == NULL) {
        log_warn("jwks_failed", LOG_STR("reason", jwks_source_result_text(report->result)),
                 LOG_STR("detail", report->detail), LOG_INT("status", report->http_status));
        return;
    }
    log_info("jwks_loaded", LOG_INT("keys", jwt_keys_count(report->keys)),
             LOG_INT("passed_over", report->passed_over));
    for (unsigned i = 0; i < k->program->nshards; i++) {
        struct keys_mail *m = calloc(1, sizeof *m);

        if (m == NULL)
            continue; /* that shard goes on with the keys it has, until the next refresh */
        m->mail = (struct mail){.deliver = keys_deliver, .discard = keys_discard, .control = true};
        m->keys = jwt_keys_ref(report->keys);
        shard_post(s, i, &m->mail);
    }
}

void key_refresh_ask(struct key_refresh *k)
{
    jwks_source_hint(k->source);
}

struct jwks_source_options key_refresh_options(const struct settings *set)
{
    return (struct jwks_source_options){
        .location = set->auth.jwks,
        .ca_file = set->auth.jwks_ca_file,
        .proxy = set->auth.jwks_proxy,
        .timeout_ms = set->auth.jwks_timeout_ms,
        .refresh_ms = set->auth.jwks_refresh_ms,
        .min_gap_ms = set->auth.jwks_min_gap_ms,
        .allow_hmac = false, /* a document that many may read is no place for a shared secret */
    };
}

int key_refresh_open(struct program *program, struct key_refresh **out)
{
    const struct jwks_source_options options = key_refresh_options(program->settings);
    struct key_refresh *k = calloc(1, sizeof *k);

    if (k == NULL)
        return UV_ENOMEM;
    k->program = program;
    k->source =
        jwks_source_new(&program->shards[0].loop, &options, program->first_keys, on_report, k);
    if (k->source == NULL) {
        free(k);
        return UV_ENOMEM;
    }
    *out = k;
    return 0;
}

struct closing {
    struct key_refresh *refresh;
    void (*done)(void *);
    void *arg;
};

static void on_source_closed(void *arg)
{
    struct closing c = *(struct closing *)arg;

    free(arg);
    free(c.refresh);
    c.done(c.arg);
}

void key_refresh_close(struct key_refresh *k, void (*done)(void *), void *arg)
{
    struct closing *c = malloc(sizeof *c);

    if (c == NULL)
        abort(); /* on the way out */
    *c = (struct closing){k, done, arg};
    jwks_source_close(k->source, on_source_closed, c);
}
