/* The query for a room's missing messages, run by one session for all that asked (repair_gate.h),
 * in the pace that Rocket.Chat allows a connection. rocketchat.md 6.4, 7.1. */
#include "bridge/log.h"
#include "bridge/user_session_internal.h"
#include <inttypes.h>
#include <stdlib.h>

enum {
    QUERY_MS = 15 * 1000,
    QUERIES_WINDOW_MS = 10 * 1000, /* SESSION_QUERIES in any time of this length */
};

/* One query under way. */
struct query {
    struct session_table *table;
    uint64_t ticket;
    uint16_t rid_len;
    char rid[];
};

/* False: not before *wait_ms. */
static bool take_query(struct user_session *s, uint64_t *wait_ms)
{
    uint64_t now = session_now_ms(s->table);
    uint64_t oldest = s->queries_ms[s->next_query];

    if (oldest != 0 && now < oldest + QUERIES_WINDOW_MS) {
        *wait_ms = oldest + QUERIES_WINDOW_MS - now;
        return false;
    }
    s->queries_ms[s->next_query] = now;
    s->next_query = (uint8_t)((s->next_query + 1) % SESSION_QUERIES);
    return true;
}

/* answer: a reference, given away, or NULL. */
static void report(struct query *q, struct repair_answer *answer, const struct rc_error *error)
{
    const struct repair_gate *gate = &q->table->options.repairs;

    gate->done(gate->arg, (struct slice){q->rid, q->rid_len}, q->ticket, answer, error);
    free(q);
}

static void on_messages(void *arg, struct slice result, const struct rc_error *error)
{
    struct query *q = arg;
    struct byte_buf dates = {0};
    const struct slice json = session_dates(q->table, result, false, &dates);
    struct repair_answer *answer =
        error == NULL && !byte_buf_failed(&dates) ? repair_answer_new(json) : NULL;
    struct rc_error nomem;

    if (error == NULL && answer == NULL) {
        rc_error_of(&nomem, RC_NOMEM);
        error = &nomem;
    }
    report(q, answer, error);
    byte_buf_free(&dates);
}

static bool ask_ddp(struct user_session *s, struct slice rid, int64_t since_ms, struct query *q)
{
    struct byte_buf params = {0};
    bool sent;

    byte_buf_printf(&params, "[\"%.*s\",{\"lastUpdate\":{\"$date\":%" PRId64 "}}]", (int)rid.len,
                    rid.ptr, since_ms);
    sent = !byte_buf_failed(&params) &&
           ddp_connector_call(s->ddp, "messages/get", byte_buf_slice(&params), QUERY_MS,
                              on_messages, q);
    byte_buf_free(&params);
    return sent;
}

void session_query_run(struct user_session *s, struct slice rid, int64_t since_ms, uint64_t ticket)
{
    struct session_table *t = s->table;
    struct query *q = calloc(1, sizeof *q + rid.len);
    struct rc_error error;

    if (q == NULL) {
        rc_error_of(&error, RC_NOMEM);
        t->options.repairs.done(t->options.repairs.arg, rid, ticket, NULL, &error);
        return;
    }
    q->table = t;
    q->ticket = ticket;
    q->rid_len = (uint16_t)rid.len;
    memcpy(q->rid, rid.ptr, rid.len);
    if (s->state != SESSION_LIVE && s->state != SESSION_SUBSCRIBING) {
        rc_error_of(&error, RC_UNREACHABLE);
        report(q, NULL, &error);
        return;
    }
    rc_error_of(&error, RC_RATE_LIMITED);
    if (!take_query(s, &error.retry_after_ms)) {
        report(q, NULL, &error);
        return;
    }
    rc_error_of(&error, RC_UNREACHABLE);
    if (!ask_ddp(s, rid, since_ms, q))
        report(q, NULL, &error);
}
