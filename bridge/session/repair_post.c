#include "bridge/session/repair_post.h"
#include "base/hash.h"
#include "bridge/admin/metrics.h"
#include "bridge/program.h"
#include "bridge/session/session_table.h"
#include "bridge/shard.h"
#include <stdlib.h>

enum { TURN_MS = 10 };

enum repair_kind { REPAIR_ASK, REPAIR_CANCEL, REPAIR_DONE, REPAIR_RUN, REPAIR_ANSWER };

/* Every message of a repair, in either direction. */
struct repair_mail {
    struct mail mail;
    enum repair_kind kind;
    unsigned from;
    uint64_t ticket;
    int64_t since_ms, until_ms;   /* until: of an answer, what it covers */
    struct repair_answer *answer; /* a reference, or NULL */
    struct rc_error error;
    size_t rid_len;
    char rid[];
};

static void deliver(struct mail *mail, void *consumer);

static void discard(struct mail *mail)
{
    repair_answer_unref(((struct repair_mail *)mail)->answer);
    free(mail);
}

static struct repair_mail *mail_new(const struct shard *from, enum repair_kind kind,
                                    struct slice rid, uint64_t ticket)
{
    struct repair_mail *m = mail_alloc(sizeof *m + rid.len);

    m->mail = (struct mail){.deliver = deliver, .discard = discard, .control = true};
    m->kind = kind;
    m->from = from->index;
    m->ticket = ticket;
    m->rid_len = rid.len;
    if (rid.len > 0)
        memcpy(m->rid, rid.ptr, rid.len);
    return m;
}

/* ---- the gate: from a session to the room's desk ---- */

static void post_to_desk(struct repair_post *p, struct repair_mail *m)
{
    unsigned home = (unsigned)(hash_bytes(m->rid, m->rid_len) % p->shard->program->nshards);

    shard_post(p->shard, home, &m->mail);
}

static void gate_ask(void *arg, struct slice rid, int64_t since_ms, int64_t until_ms,
                     uint64_t ticket)
{
    struct repair_post *p = arg;
    struct repair_mail *m = mail_new(p->shard, REPAIR_ASK, rid, ticket);

    m->since_ms = since_ms;
    m->until_ms = until_ms;
    post_to_desk(p, m);
}

static void gate_cancel(void *arg, struct slice rid, uint64_t ticket)
{
    struct repair_post *p = arg;

    post_to_desk(p, mail_new(p->shard, REPAIR_CANCEL, rid, ticket));
}

static void gate_done(void *arg, struct slice rid, uint64_t ticket, struct repair_answer *answer,
                      const struct rc_error *error)
{
    struct repair_post *p = arg;
    struct repair_mail *m = mail_new(p->shard, REPAIR_DONE, rid, ticket);

    m->answer = answer;
    if (error != NULL)
        m->error = *error;
    post_to_desk(p, m);
}

struct repair_gate repair_post_gate(struct repair_post *p)
{
    return (struct repair_gate){
        .ask = gate_ask, .cancel = gate_cancel, .done = gate_done, .arg = p};
}

/* ---- the desk's host: back to the sessions ---- */

static void host_run(void *arg, unsigned asker, uint64_t ticket, int64_t since_ms)
{
    struct repair_post *p = arg;
    struct repair_mail *m = mail_new(p->shard, REPAIR_RUN, (struct slice){0}, ticket);

    m->since_ms = since_ms;
    metrics_inc(p->shard->metrics, METRIC_REPAIRS_RUN);
    shard_post(p->shard, asker, &m->mail);
}

static void host_answer(void *arg, unsigned asker, uint64_t ticket, int64_t covers_ms,
                        struct repair_answer *answer, const struct rc_error *error)
{
    struct repair_post *p = arg;
    struct repair_mail *m = mail_new(p->shard, REPAIR_ANSWER, (struct slice){0}, ticket);

    m->until_ms = covers_ms;
    m->answer = answer == NULL ? NULL : repair_answer_ref(answer);
    if (error != NULL)
        m->error = *error;
    metrics_inc(p->shard->metrics,
                answer != NULL ? METRIC_REPAIRS_ANSWERED : METRIC_REPAIRS_FAILED);
    shard_post(p->shard, asker, &m->mail);
}

/* ---- delivery ---- */

static uint64_t now_ms(void)
{
    return uv_hrtime() / 1000000;
}

static void on_timer(uv_timer_t *timer);

/* The desk looks at all its rooms for what is due: so once for many asks. */
static void wake(struct repair_post *p, uint64_t in_ms)
{
    if (!uv_is_active((uv_handle_t *)&p->timer) || uv_timer_get_due_in(&p->timer) > in_ms)
        uv_timer_start(&p->timer, on_timer, in_ms, 0);
}

static void on_timer(uv_timer_t *timer)
{
    struct repair_post *p = timer->data;
    uint64_t now = now_ms(), due;

    repair_desk_turn(p->desk, now);
    due = repair_desk_due_ms(p->desk);
    if (due != UINT64_MAX)
        wake(p, due > now + TURN_MS ? due - now : TURN_MS);
}

static void deliver(struct mail *mail, void *consumer)
{
    struct repair_mail *m = (struct repair_mail *)mail;
    struct shard *s = consumer;
    struct repair_post *p = &s->repairs;
    struct slice rid = {m->rid, m->rid_len};
    const struct rc_error *error = m->answer == NULL ? &m->error : NULL;
    struct rc_error nomem;

    switch (m->kind) {
    case REPAIR_ASK:
        if (!repair_desk_ask(p->desk, now_ms(), rid, m->from, m->ticket, m->since_ms,
                             m->until_ms)) {
            rc_error_of(&nomem, RC_NOMEM);
            host_answer(p, m->from, m->ticket, 0, NULL, &nomem);
        }
        wake(p, REPAIR_QUIET_MS);
        break;
    case REPAIR_CANCEL:
        repair_desk_cancel(p->desk, now_ms(), rid, m->ticket);
        wake(p, REPAIR_QUIET_MS);
        break;
    case REPAIR_DONE:
        repair_desk_done(p->desk, now_ms(), rid, m->ticket, m->answer, error);
        wake(p, REPAIR_QUIET_MS);
        break;
    case REPAIR_RUN:
        session_table_repair_run(s->sessions, m->ticket, m->since_ms);
        break;
    case REPAIR_ANSWER:
        session_table_repair_answered(s->sessions, m->ticket, m->until_ms, m->answer, error);
        break;
    }
    discard(mail);
}

/* ---- life ---- */

int repair_post_open(struct repair_post *p, struct shard *shard)
{
    const struct repair_desk_host host = {.run = host_run, .answer = host_answer, .arg = p};

    p->shard = shard;
    p->desk = repair_desk_new(&host);
    if (p->desk == NULL)
        return UV_ENOMEM;
    uv_timer_init(&shard->loop, &p->timer);
    p->timer.data = p;
    return 0;
}

void repair_post_close(struct repair_post *p)
{
    uv_close((uv_handle_t *)&p->timer, NULL);
    repair_desk_free(p->desk);
    p->desk = NULL;
}
