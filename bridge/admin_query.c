#include "bridge/admin_query.h"

#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "bridge/program.h"
#include "bridge/session_table.h"
#include "bridge/shard.h"
#include "bridge/shard_ask.h"
#include "signalr/hub/signalr_server.h"
#include <stdlib.h>

/* One shard's answers. */
struct part {
    bool found;
    char *key;               /* the user's, where found */
    struct byte_buf session; /* the description, an object */
    struct byte_buf tabs;    /* objects with commas between */
};

struct admin_query {
    struct shard_ask ask; /* first */
    enum admin_action action;
    admin_query_fn fn;
    void *arg;
    char *who;       /* name or id */
    const char *key; /* in the part that found it */
    unsigned nparts;
    struct part parts[]; /* one for each shard */
};

static void query_free(struct admin_query *q)
{
    for (unsigned i = 0; i < q->nparts; i++) {
        free(q->parts[i].key);
        byte_buf_free(&q->parts[i].session);
        byte_buf_free(&q->parts[i].tabs);
    }
    free(q->who);
    free(q);
}

/* ---- the first round ---- */

static void find_on_shard(struct shard_ask *ask, struct shard *s)
{
    const struct admin_query *q = (const struct admin_query *)ask;
    struct part *part = &((struct admin_query *)ask)->parts[s->index];
    struct slice key;

    if (!session_table_find(s->sessions, slice_of(q->who), &key))
        return;
    part->key = slice_dup(key);
    part->found = part->key != NULL;
    if (part->found && q->action == ADMIN_DESCRIBE)
        session_table_describe(s->sessions, key, &part->session);
    else if (part->found)
        session_table_revoke(s->sessions, slice_of(part->key), SESSION_LOGGED_OUT);
}

/* ---- the second ---- */

struct describing {
    struct byte_buf *json;
    uint64_t now_ms;
};

static void describe_tab(struct hub_connection *c, void *arg)
{
    const struct describing *d = arg;
    uint64_t last_write_ms = hub_connection_last_write_ms(c);

    byte_buf_puts(d->json, d->json->len > 0 ? ",{\"connectionId\":" : "{\"connectionId\":");
    json_write_string(d->json, hub_connection_id(c));
    byte_buf_puts(d->json, ",\"address\":");
    json_write_string(d->json, hub_connection_client_address(c));
    byte_buf_printf(d->json,
                    ",\"queuedBytes\":%zu,\"lastSendMsAgo\":", hub_connection_queued_bytes(c));
    if (last_write_ms == 0)
        byte_buf_puts(d->json, "null}");
    else
        byte_buf_printf(d->json, "%llu}", (unsigned long long)(d->now_ms - last_write_ms));
}

static void tabs_on_shard(struct shard_ask *ask, struct shard *s)
{
    struct admin_query *q = (struct admin_query *)ask;
    struct describing d = {&q->parts[s->index].tabs, uv_now(&s->loop)};

    if (s->signalr != NULL)
        signalr_server_each_of_user(s->signalr, slice_of(q->key), describe_tab, &d);
}

/* ---- the answer ---- */

static const struct part *who_found(const struct admin_query *q)
{
    for (unsigned i = 0; i < q->nparts; i++)
        if (q->parts[i].found)
            return &q->parts[i];
    return NULL;
}

static void answer(struct shard_ask *ask)
{
    struct admin_query *q = (struct admin_query *)ask;
    const struct part *found = who_found(q);
    struct byte_buf json = {0};
    bool first = true;

    if (found != NULL && found->session.len > 0) {
        /* The description is an object: its last brace makes room for the tabs. */
        byte_buf_append(&json, found->session.data, found->session.len - 1);
        byte_buf_puts(&json, ",\"tabs\":[");
        for (unsigned i = 0; i < q->nparts; i++) {
            if (q->parts[i].tabs.len == 0)
                continue;
            byte_buf_puts(&json, first ? "" : ",");
            byte_buf_put(&json, byte_buf_slice(&q->parts[i].tabs));
            first = false;
        }
        byte_buf_puts(&json, "]}");
    }
    if (byte_buf_failed(&json))
        byte_buf_free(&json);
    q->fn(q->arg, found != NULL, byte_buf_slice(&json));
    byte_buf_free(&json);
    query_free(q);
}

static void ask_for_tabs(struct shard_ask *ask)
{
    struct admin_query *q = (struct admin_query *)ask;
    const struct part *found = who_found(q);

    if (found != NULL && q->action == ADMIN_DESCRIBE) {
        q->key = found->key;
        q->ask.on_shard = tabs_on_shard;
        q->ask.done = answer;
        if (shard_ask_start(&q->ask) == SHARD_ASK_SENT)
            return;
    }
    answer(ask);
}

bool admin_query_start(struct shard *s, enum admin_action action, struct slice who,
                       admin_query_fn fn, void *arg)
{
    const unsigned nshards = s->program->nshards;
    struct admin_query *q = calloc(1, sizeof *q + nshards * sizeof q->parts[0]);

    if (q == NULL)
        return false;
    *q = (struct admin_query){.ask = {.on_shard = find_on_shard, .done = ask_for_tabs, .from = s},
                              .action = action,
                              .fn = fn,
                              .arg = arg,
                              .who = slice_dup(who),
                              .nparts = nshards};
    if (q->who != NULL && shard_ask_start(&q->ask) == SHARD_ASK_SENT)
        return true;
    query_free(q);
    return false;
}
