#include "bridge/admin_query.h"

#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "bridge/program.h"
#include "bridge/session_table.h"
#include "bridge/shard.h"
#include "signalr/hub/signalr_server.h"
#include <stdlib.h>

enum round { ROUND_FIND, ROUND_TABS };

struct admin_query {
    struct shard *shard;
    enum admin_action action;
    admin_query_fn fn; /* NULL: abandoned */
    void *arg;
    enum round round;
    unsigned waiting; /* shards that have not answered this round */
    bool found;
    char *key;               /* the user's, once found */
    struct byte_buf session; /* the description, an object */
    struct byte_buf tabs;    /* objects with commas between */
};

/* Travels to a shard, is filled there, and travels back. */
struct query_mail {
    struct mail mail;
    struct admin_query *query; /* touched on the asking shard alone */
    unsigned from;
    enum admin_action action;
    enum round round;
    char *who; /* name or id, then the key */
    bool found;
    char *key;
    struct byte_buf json;
};

static void start_round(struct admin_query *q, enum round round, const char *who);

static void query_free(struct admin_query *q)
{
    free(q->key);
    byte_buf_free(&q->session);
    byte_buf_free(&q->tabs);
    free(q);
}

static void mail_free(struct mail *mail)
{
    struct query_mail *m = (struct query_mail *)mail;

    free(m->who);
    free(m->key);
    byte_buf_free(&m->json);
    free(m);
}

static void finish(struct admin_query *q)
{
    struct byte_buf json = {0};

    if (q->fn != NULL) {
        if (q->found && q->action == ADMIN_DESCRIBE && q->session.len > 0) {
            /* The description is an object: its last brace makes room for the tabs. */
            byte_buf_append(&json, q->session.data, q->session.len - 1);
            byte_buf_puts(&json, ",\"tabs\":[");
            byte_buf_put(&json, byte_buf_slice(&q->tabs));
            byte_buf_puts(&json, "]}");
        }
        q->fn(q->arg, q->found, byte_buf_slice(&json));
    }
    byte_buf_free(&json);
    query_free(q);
}

/* Back on the asking shard. */
static void answer_deliver(struct mail *mail, void *consumer)
{
    struct query_mail *m = (struct query_mail *)mail;
    struct admin_query *q = m->query;

    (void)consumer;
    if (m->round == ROUND_FIND && m->found && !q->found) {
        q->found = true;
        q->key = m->key;
        m->key = NULL;
        byte_buf_put(&q->session, byte_buf_slice(&m->json));
    } else if (m->round == ROUND_TABS && m->json.len > 0) {
        if (q->tabs.len > 0)
            byte_buf_putc(&q->tabs, ',');
        byte_buf_put(&q->tabs, byte_buf_slice(&m->json));
    }
    mail_free(mail);
    if (--q->waiting > 0)
        return;
    if (q->round == ROUND_FIND && q->found && q->action == ADMIN_DESCRIBE && q->fn != NULL)
        start_round(q, ROUND_TABS, q->key);
    else
        finish(q);
}

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

/* On the asked shard. */
static void question_deliver(struct mail *mail, void *consumer)
{
    struct query_mail *m = (struct query_mail *)mail;
    struct shard *s = consumer;
    struct slice key;

    if (m->round == ROUND_TABS) {
        struct describing d = {&m->json, uv_now(&s->loop)};

        if (s->signalr != NULL)
            signalr_server_each_of_user(s->signalr, slice_of(m->who), describe_tab, &d);
    } else if (session_table_find(s->sessions, slice_of(m->who), &key)) {
        m->key = slice_dup(key);
        m->found = m->key != NULL;
        if (m->found && m->action == ADMIN_DESCRIBE)
            session_table_describe(s->sessions, key, &m->json);
        else if (m->found)
            session_table_revoke(s->sessions, slice_of(m->key), SESSION_LOGGED_OUT);
    }
    m->mail.deliver = answer_deliver;
    shard_post(s, m->from, &m->mail);
}

static void start_round(struct admin_query *q, enum round round, const char *who)
{
    const unsigned nshards = q->shard->program->nshards;

    q->round = round;
    q->waiting = 1; /* this function's own: nobody finishes the round before all are asked */
    for (unsigned i = 0; i < nshards; i++) {
        struct query_mail *m = calloc(1, sizeof *m);

        if (m == NULL || (m->who = slice_dup(slice_of(who))) == NULL) {
            free(m);
            continue; /* that shard's part will be missing */
        }
        m->mail = (struct mail){.deliver = question_deliver, .discard = mail_free, .control = true};
        m->query = q;
        m->from = q->shard->index;
        m->action = q->action;
        m->round = round;
        q->waiting++;
        shard_post(q->shard, i, &m->mail);
    }
    q->waiting--;
}

struct admin_query *admin_query_start(struct shard *s, enum admin_action action, struct slice who,
                                      admin_query_fn fn, void *arg)
{
    struct admin_query *q = calloc(1, sizeof *q);
    char *text = slice_dup(who);

    if (q == NULL || text == NULL) {
        free(q);
        free(text);
        return NULL;
    }
    q->shard = s;
    q->action = action;
    q->fn = fn;
    q->arg = arg;
    start_round(q, ROUND_FIND, text);
    free(text);
    if (q->waiting == 0) {
        query_free(q);
        return NULL;
    }
    return q;
}

void admin_query_abandon(struct admin_query *q)
{
    q->fn = NULL;
}
