#include "bridge/hub/publisher.h"

#include "base/hash.h"
#include "bridge/admin/metrics.h"
#include "bridge/hub/audience.h"
#include "bridge/program.h"
#include "bridge/shard.h"
#include "signalr/hub/signalr_server.h"
#include "signalr/protocol/hub_buf.h"
#include <stdlib.h>
#include <string.h>

#define HASH_FUNCTION(key, len, out) (out) = (unsigned)hash_bytes((key), (len))
#define uthash_fatal(message) abort() /* not exit(): other threads run */
#include <uthash.h>

#define GAP_RETRY_MS 20

struct publisher_gap {
    UT_hash_handle hh;
    size_t id_len;
    char id[]; /* target shard (2 bytes), then the user key */
};

enum push_kind {
    PUSH_ATTACHED,
    PUSH_USER,
    PUSH_MISSED,
    PUSH_ONE,
    PUSH_OPENER,
    PUSH_CLOSE,
    PUSH_CHECK,
    PUSH_ASK_RECEIVED
};

struct push_mail {
    struct mail mail;
    enum push_kind kind;
    unsigned from;
    uint64_t serial;
    struct hub_buf *message; /* a reference; NULL for those without */
    enum session_revoke why;
    struct session_start start; /* of attached */
    uint64_t client;            /* of check; the ticket of a question is the serial */
    uint64_t since_ms;          /* of missed */
    size_t key_len;
    char key[];
};

static void push_free(struct mail *mail)
{
    struct push_mail *p = (struct push_mail *)mail;

    hub_buf_unref(p->message);
    free(p);
}

static void close_one(struct hub_connection *c, void *arg)
{
    const enum session_revoke *why = arg;

    hub_connection_close(c, *why == SESSION_REVOKED ? "The session was revoked." : NULL, false);
}

static void push_to_connections(struct shard *s, struct push_mail *p)
{
    struct slice key = {p->key, p->key_len};
    struct hub_connection *c;

    switch (p->kind) {
    case PUSH_USER:
        signalr_server_send_user(s->signalr, key, p->message);
        break;
    case PUSH_MISSED:
        audience_send_missed(s, key, p->since_ms, p->message);
        break;
    case PUSH_ONE:
    case PUSH_OPENER:
        c = signalr_server_find(s->signalr, p->serial);
        if (c != NULL)
            hub_connection_send(c, p->message);
        break;
    case PUSH_CLOSE:
        signalr_server_each_of_user(s->signalr, key, close_one, &p->why);
        break;
    case PUSH_ATTACHED:
    case PUSH_CHECK:
    case PUSH_ASK_RECEIVED:
        abort();
    }
}

/* On the connections' shard. */
static void push_deliver(struct mail *mail, void *consumer)
{
    struct push_mail *p = (struct push_mail *)mail;
    struct shard *s = consumer;

    if (p->kind == PUSH_ATTACHED)
        audience_attached(s, p->from, (struct slice){p->key, p->key_len}, p->serial, &p->start);
    else if (p->kind == PUSH_CHECK)
        audience_check(s, p->from, (struct slice){p->key, p->key_len}, p->client, p->serial);
    else if (p->kind == PUSH_ASK_RECEIVED)
        audience_ask_received(s, p->from, (struct slice){p->key, p->key_len}, p->serial);
    else if (s->signalr != NULL)
        push_to_connections(s, p);
    push_free(mail);
}

/* NULL: no memory, for those with a message. */
static struct push_mail *push_new(const struct publisher *p, enum push_kind kind, struct slice key,
                                  struct hub_buf *message)
{
    const size_t size = sizeof(struct push_mail) + key.len;
    struct push_mail *push = message == NULL ? mail_alloc(size) : calloc(1, size);
    size_t bytes = 0;

    if (push == NULL)
        return NULL;
    if (message != NULL)
        hub_buf_bytes(hub_buf_ref(message), &bytes);
    push->mail =
        (struct mail){.deliver = push_deliver,
                      .discard = push_free,
                      .bytes = (uint32_t)(sizeof *push + key.len + bytes),
                      .control = kind != PUSH_USER && kind != PUSH_MISSED && kind != PUSH_OPENER};
    push->kind = kind;
    push->from = p->shard->index;
    push->message = message;
    push->key_len = key.len;
    memcpy(push->key, key.ptr, key.len);
    return push;
}

/* ---- gaps ---- */

static size_t gap_id(char id[2 + 320], unsigned shard, struct slice key)
{
    id[0] = (char)(shard >> 8);
    id[1] = (char)(shard & 0xff);
    memcpy(id + 2, key.ptr, key.len);
    return key.len + 2;
}

static void on_gap_timer(uv_timer_t *timer);

static void gap_note(struct publisher *p, unsigned shard, struct slice key)
{
    char id[2 + 320];
    size_t len = gap_id(id, shard, key);
    struct publisher_gap *gap;

    HASH_FIND(hh, p->gaps, id, len, gap);
    if (gap != NULL)
        return;
    gap = malloc(sizeof *gap + len);
    if (gap == NULL) {
        metrics_add(p->shard->metrics, METRIC_DROPS_NO_MEMORY, 1); /* no memory even for a note */
        return;
    }
    gap->id_len = len;
    memcpy(gap->id, id, len);
    HASH_ADD_KEYPTR(hh, p->gaps, gap->id, gap->id_len, gap);
    if (!uv_is_active((uv_handle_t *)&p->gap_timer))
        uv_timer_start(&p->gap_timer, on_gap_timer, GAP_RETRY_MS, GAP_RETRY_MS);
}

/* Behind whatever got through: the lane has room again, so tell what was dropped. */
static void on_gap_timer(uv_timer_t *timer)
{
    struct publisher *p = timer->data;
    struct shard *s = p->shard;
    struct publisher_gap *gap, *next;

    HASH_ITER(hh, p->gaps, gap, next)
    {
        unsigned target = (unsigned)(uint8_t)gap->id[0] << 8 | (uint8_t)gap->id[1];
        struct slice key = {gap->id + 2, gap->id_len - 2};

        if (mailbox_lane_bytes(s->program->shards[target].mailbox, s->index) >
            s->program->settings->limits.mailbox_bytes / 2)
            continue;
        HASH_DEL(p->gaps, gap); /* first: the push below may be refused and note it again */
        if (!session_table_resync(s->sessions, key, target, "overload"))
            gap_note(p, target, key);
        free(gap);
    }
    if (p->gaps == NULL)
        uv_timer_stop(timer);
}

/* ---- session_host ---- */

static void post(struct publisher *p, unsigned shard, struct push_mail *push)
{
    if (shard_post(p->shard, shard, &push->mail) == MAILBOX_POSTED)
        return;
    metrics_add(p->shard->metrics, METRIC_DROPS_MAILBOX, 1);
    gap_note(p, shard, (struct slice){push->key, push->key_len});
    push_free(&push->mail);
}

static void host_attached(void *arg, unsigned shard, uint64_t conn_serial, struct slice key,
                          const struct session_start *start)
{
    struct push_mail *push = push_new(arg, PUSH_ATTACHED, key, NULL);

    push->serial = conn_serial;
    push->start = *start;
    post(arg, shard, push);
}

static void host_check(void *arg, unsigned shard, struct slice key, uint64_t client,
                       uint64_t ticket)
{
    struct push_mail *push = push_new(arg, PUSH_CHECK, key, NULL);

    push->client = client;
    push->serial = ticket;
    post(arg, shard, push);
}

static void host_ask_received(void *arg, unsigned shard, struct slice key, uint64_t ticket)
{
    struct push_mail *push = push_new(arg, PUSH_ASK_RECEIVED, key, NULL);

    push->serial = ticket;
    post(arg, shard, push);
}

static void push_to_user(struct publisher *p, unsigned shard, enum push_kind kind, struct slice key,
                         uint64_t since_ms, struct hub_buf *message)
{
    struct push_mail *push = push_new(p, kind, key, message);

    if (push == NULL) {
        gap_note(p, shard, key);
        return;
    }
    push->since_ms = since_ms;
    post(p, shard, push);
}

static void host_push(void *arg, unsigned shard, struct slice key, struct hub_buf *message)
{
    push_to_user(arg, shard, PUSH_USER, key, 0, message);
}

static void host_push_missed(void *arg, unsigned shard, struct slice key, uint64_t since_ms,
                             struct hub_buf *message)
{
    push_to_user(arg, shard, PUSH_MISSED, key, since_ms, message);
}

static void host_push_to_connection(void *arg, unsigned shard, uint64_t conn_serial,
                                    struct slice key, struct hub_buf *message)
{
    struct push_mail *push = push_new(arg, PUSH_ONE, key, message);

    if (push == NULL)
        return;
    push->serial = conn_serial;
    post(arg, shard, push);
}

static void host_push_to_opener(void *arg, unsigned shard, uint64_t conn_serial, struct slice key,
                                struct hub_buf *message)
{
    struct push_mail *push = push_new(arg, PUSH_OPENER, key, message);

    if (push == NULL) {
        gap_note(arg, shard, key);
        return;
    }
    push->serial = conn_serial;
    post(arg, shard, push);
}

static void host_close_user(void *arg, unsigned shard, struct slice key, enum session_revoke why)
{
    struct push_mail *push = push_new(arg, PUSH_CLOSE, key, NULL);

    push->why = why;
    post(arg, shard, push);
}

struct session_host publisher_session_host(struct publisher *p)
{
    return (struct session_host){.check = host_check,
                                 .ask_received = host_ask_received,
                                 .attached = host_attached,
                                 .push = host_push,
                                 .push_missed = host_push_missed,
                                 .push_to_connection = host_push_to_connection,
                                 .push_to_opener = host_push_to_opener,
                                 .close_user = host_close_user,
                                 .arg = p};
}

void publisher_open(struct publisher *p, struct shard *shard)
{
    p->shard = shard;
    p->gaps = NULL;
    uv_timer_init(&shard->loop, &p->gap_timer);
    p->gap_timer.data = p;
}

void publisher_close(struct publisher *p)
{
    struct publisher_gap *gap, *next;

    HASH_ITER(hh, p->gaps, gap, next)
    {
        HASH_DEL(p->gaps, gap);
        free(gap);
    }
    uv_close((uv_handle_t *)&p->gap_timer, NULL);
}
