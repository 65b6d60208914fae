/* The query for a room's missing messages, run by one session for all that asked (repair_gate.h),
 * in the pace that Rocket.Chat allows a connection. A server without the method is asked over REST;
 * what that allows is for all users together. rocketchat.md 5.2, 6.1, 6.4, 7.1. */
#include "bridge/session/user_session_internal.h"
#include "rocketchat/rc_ejson.h"
#include <inttypes.h>
#include <stdlib.h>

enum {
    QUERY_MS = 15 * 1000,
    QUERIES_WINDOW_MS = 10 * 1000, /* SESSION_QUERIES in any time of this length */
    REST_BUSY_MS = 500,
    REST_LIMITED_MS = 10 * 1000, /* where a 429 does not say how long */
};

/* One query under way. */
struct query {
    struct session_table *table;
    struct session_op *op;        /* over REST */
    struct user_session *session; /* over DDP, whose answers come with it */
    uint64_t ticket;
    int64_t since_ms;
    uint16_t rid_len;
    char rid[];
};

static bool session_asks(const struct user_session *s)
{
    return s->state == SESSION_LIVE || s->state == SESSION_SUBSCRIBING;
}

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

static void report_failure(struct query *q, enum rc_result result, uint64_t retry_after_ms)
{
    struct rc_error error;

    rc_error_of(&error, result);
    error.retry_after_ms = retry_after_ms;
    report(q, NULL, &error);
}

static void report_answer(struct query *q, struct slice json)
{
    struct byte_buf dates = {0};
    const struct slice in_form = session_dates(q->table, json, &dates);
    struct repair_answer *answer = byte_buf_failed(&dates) ? NULL : repair_answer_new(in_form);

    byte_buf_free(&dates);
    if (answer != NULL)
        report(q, answer, NULL);
    else
        report_failure(q, RC_NOMEM, 0);
}

/* ---- over REST ---- */

static void on_rest(void *arg, struct slice json, const struct rc_error *error)
{
    struct query *q = arg;
    struct session_table *t = q->table;
    struct user_session *s = session_op_end(q->op);
    struct byte_buf with_dates = {0};

    if (s != NULL)
        s->history_call = NULL;
    if (error != NULL && error->result == RC_RATE_LIMITED) {
        uint64_t wait = error->retry_after_ms > 0 ? error->retry_after_ms : REST_LIMITED_MS;

        t->history_limited_until_ms = session_now_ms(t) + wait;
        report_failure(q, RC_RATE_LIMITED, wait);
        return;
    }
    if (error != NULL) {
        report(q, NULL, error);
        return;
    }
    rc_ejson_of_rest(json, &with_dates);
    if (byte_buf_failed(&with_dates))
        report_failure(q, RC_NOMEM, 0);
    else
        report_answer(q, byte_buf_slice(&with_dates));
    byte_buf_free(&with_dates);
}

static void ask_rest(struct user_session *s, struct query *q)
{
    struct session_table *t = s->table;
    uint64_t now = session_now_ms(t);

    if (s->history_call != NULL) {
        report_failure(q, RC_RATE_LIMITED, REST_BUSY_MS);
        return;
    }
    if (now < t->history_limited_until_ms) { /* not all of them at the window's very beginning */
        report_failure(q, RC_RATE_LIMITED,
                       t->history_limited_until_ms - now + session_random(t, REST_LIMITED_MS));
        return;
    }
    q->op = session_op_new(s);
    if (q->op != NULL)
        s->history_call =
            rest_messages_since(t->options.rest, slice_of(s->user_id), slice_of(s->token),
                                (struct slice){q->rid, q->rid_len}, q->since_ms, on_rest, q);
    if (s->history_call != NULL)
        return;
    if (q->op != NULL)
        session_op_end(q->op);
    report_failure(q, RC_NOMEM, 0);
}

/* ---- over DDP ---- */

static void on_messages(void *arg, struct slice result, const struct rc_error *error)
{
    struct query *q = arg;
    struct user_session *s = q->session;

    if (error == NULL) {
        report_answer(q, result);
    } else if (error->result == RC_NOT_FOUND && session_asks(s)) {
        s->history_by_rest = true; /* as long as this connection lasts */
        ask_rest(s, q);
    } else {
        report(q, NULL, error);
    }
}

static bool ask_ddp(struct user_session *s, struct query *q)
{
    struct byte_buf params = {0};
    bool sent;

    byte_buf_printf(&params, "[\"%.*s\",{\"lastUpdate\":{\"$date\":%" PRId64 "}}]", (int)q->rid_len,
                    q->rid, q->since_ms);
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
    struct rc_error nomem;
    uint64_t wait;

    if (q == NULL) {
        rc_error_of(&nomem, RC_NOMEM);
        t->options.repairs.done(t->options.repairs.arg, rid, ticket, NULL, &nomem);
        return;
    }
    q->table = t;
    q->session = s;
    q->ticket = ticket;
    q->since_ms = since_ms;
    q->rid_len = (uint16_t)rid.len;
    memcpy(q->rid, rid.ptr, rid.len);
    if (!session_asks(s))
        report_failure(q, RC_UNREACHABLE, 0);
    else if (s->history_by_rest)
        ask_rest(s, q);
    else if (!take_query(s, &wait))
        report_failure(q, RC_RATE_LIMITED, wait);
    else if (!ask_ddp(s, q))
        report_failure(q, RC_UNREACHABLE, 0);
}
