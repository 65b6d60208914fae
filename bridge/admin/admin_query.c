#include "bridge/admin/admin_query.h"

#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "bridge/program.h"
#include "bridge/session/session_table.h"
#include "bridge/shard.h"
#include "bridge/shard_ask.h"
#include "signalr/hub/signalr_server.h"
#include <stdio.h>
#include <stdlib.h>

/* One shard's answers. */
struct part {
    bool found;
    char *key;                  /* the user's, where found */
    struct byte_buf session;    /* the description, an object */
    struct session_why why;     /* of the session */
    struct refused_token token; /* the latest refused one; times 0: none */
    struct byte_buf tabs;       /* objects with commas between */
    unsigned stuck;             /* tabs whose queue does not move */
    unsigned anonymous;         /* connections without a user, of anybody */
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

/* The session's, and what Authenticate handed out. Without a session, too: then the user is known
 * by key alone. */
static void end_tokens(struct shard *s, struct slice key)
{
    session_table_revoke(s->sessions, key, SESSION_LOGGED_OUT);
    session_table_revoke(s->handed, key, SESSION_LOGGED_OUT);
}

static void find_on_shard(struct shard_ask *ask, struct shard *s)
{
    const struct admin_query *q = (const struct admin_query *)ask;
    struct part *part = &((struct admin_query *)ask)->parts[s->index];
    const struct refused_token *token = refused_tokens_find(&s->refused_tokens, slice_of(q->who));
    struct slice key;

    if (token != NULL)
        part->token = *token;
    if (!session_table_find(s->sessions, slice_of(q->who), &key)) {
        if (q->action == ADMIN_END_SESSION &&
            shard_of_user(s->program, slice_of(q->who)) == s->index)
            end_tokens(s, slice_of(q->who));
        return;
    }
    part->key = slice_dup(key);
    part->found = part->key != NULL;
    if (part->found && q->action == ADMIN_DESCRIBE) {
        session_table_describe(s->sessions, key, &part->session);
        session_table_why(s->sessions, key, &part->why);
    } else if (part->found) {
        end_tokens(s, slice_of(part->key));
    }
}

/* ---- the second ---- */

/* A keep-alive is not queued behind bytes that wait, so a queue that was not written to for so long
 * belongs to a client that takes nothing. */
enum { STUCK_MS = 5000 };

struct describing {
    struct byte_buf *json;
    uint64_t now_ms;
    unsigned stuck;
};

static void describe_tab(struct hub_connection *c, void *arg)
{
    struct describing *d = arg;
    uint64_t last_write_ms = hub_connection_last_write_ms(c);

    if (hub_connection_queued_bytes(c) > 0 && d->now_ms - last_write_ms >= STUCK_MS)
        d->stuck++;

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
    struct part *part = &q->parts[s->index];
    struct describing d = {.json = &part->tabs, .now_ms = uv_now(&s->loop)};

    if (s->signalr == NULL)
        return;
    signalr_server_each_of_user(s->signalr, slice_of(q->key), describe_tab, &d);
    part->stuck = d.stuck;
    part->anonymous = signalr_server_anonymous(s->signalr);
}

/* ---- the answer ---- */

static const struct part *who_found(const struct admin_query *q)
{
    for (unsigned i = 0; i < q->nparts; i++)
        if (q->parts[i].found)
            return &q->parts[i];
    return NULL;
}

static const struct refused_token *latest_refused(const struct admin_query *q)
{
    const struct refused_token *latest = NULL;

    for (unsigned i = 0; i < q->nparts; i++)
        if (q->parts[i].token.times > 0 &&
            (latest == NULL || q->parts[i].token.at_ms > latest->at_ms))
            latest = &q->parts[i].token;
    return latest;
}

/* From the token to the tabs: the first thing that is wrong. */
static void judge(const struct admin_query *q, const struct part *found, struct session_why *why)
{
    const struct refused_token *token = latest_refused(q);
    const uint64_t now = uv_now(&q->ask.from->loop);
    unsigned stuck = 0, anonymous = 0;

    for (unsigned i = 0; i < q->nparts; i++) {
        stuck += q->parts[i].stuck;
        anonymous += q->parts[i].anonymous;
    }
    if (found != NULL)
        *why = found->why;
    else
        *why = (struct session_why){.code = "no-connection"};
    if (strcmp(why->code, "no-connection") == 0 && token != NULL) {
        why->code = "token-refused";
        snprintf(why->text, sizeof why->text,
                 "No tab of this user is connected; a token that names the user was refused %u "
                 "time(s), the last %llu s ago from %s: %s.",
                 token->times,
                 (unsigned long long)((now > token->at_ms ? now - token->at_ms : 0) / 1000),
                 token->address, token->reason);
    } else if (found == NULL) {
        snprintf(why->text, sizeof why->text,
                 "No tab of this user is connected, and no refused token names the user.");
        if (anonymous > 0)
            snprintf(why->text, sizeof why->text,
                     "No tab of this user is connected, but %u connection(s) without a token are, "
                     "which hear nothing.",
                     anonymous);
    } else if (strcmp(why->code, "ok") == 0 && stuck > 0) {
        why->code = "queue-stuck";
        snprintf(why->text, sizeof why->text,
                 "The session is live, but %u tab(s) have taken nothing for 5 s and more; see "
                 "queuedBytes.",
                 stuck);
    }
}

static void put_tabs(const struct admin_query *q, struct byte_buf *json)
{
    bool first = true;

    byte_buf_puts(json, ",\"tabs\":[");
    for (unsigned i = 0; i < q->nparts; i++) {
        if (q->parts[i].tabs.len == 0)
            continue;
        byte_buf_puts(json, first ? "" : ",");
        byte_buf_put(json, byte_buf_slice(&q->parts[i].tabs));
        first = false;
    }
    byte_buf_putc(json, ']');
}

static void describe(const struct admin_query *q, const struct part *found, struct byte_buf *json)
{
    struct session_why why;

    judge(q, found, &why);
    /* The description is an object: its last brace makes room for more. */
    if (found != NULL && found->session.len > 0)
        byte_buf_append(json, found->session.data, found->session.len - 1);
    else
        byte_buf_puts(json, "{\"state\":\"none\",\"connections\":0");
    byte_buf_puts(json, ",\"why\":{\"code\":");
    json_write_string(json, slice_of(why.code));
    byte_buf_puts(json, ",\"text\":");
    json_write_string(json, slice_of(why.text));
    byte_buf_putc(json, '}');
    put_tabs(q, json);
    byte_buf_putc(json, '}');
}

static void answer(struct shard_ask *ask)
{
    struct admin_query *q = (struct admin_query *)ask;
    const struct part *found = who_found(q);
    struct byte_buf json = {0};

    if (q->action == ADMIN_DESCRIBE)
        describe(q, found, &json);
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

    q->key = found != NULL ? found->key : q->who;
    q->ask.on_shard = tabs_on_shard;
    q->ask.done = answer;
    if (q->action != ADMIN_DESCRIBE || shard_ask_start(&q->ask) != SHARD_ASK_SENT)
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
