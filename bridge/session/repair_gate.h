/* bridge/session/repair_gate.h - how a session asks for the repair of a room, and how it answers.
 *
 * A room is asked for once at a time in an instance, however many sessions miss something in it
 * (design section 5). The desk (repair_desk.h) of a room lives on one shard, the sessions on all of
 * them, so this is a set of messages: the host carries them there and back.
 *
 * For every ask the asker hears session_table_repair_answered() once, later, on its own shard,
 * unless it cancels. In between one of the askers is told to run the query
 * (session_table_repair_run()), and reports its end by done, unless it cancels. Only askers are
 * answered, so nobody hears of a room that their own events did not show them. */
#ifndef BRIDGE_SESSION_REPAIR_GATE_H
#define BRIDGE_SESSION_REPAIR_GATE_H

#include "base/slice.h"
#include "rocketchat/rc_result.h"
#include <stdatomic.h>
#include <stdint.h>

/* What messages/get answered; immutable, shared by shards. */
struct repair_answer {
    atomic_uint refs;
    size_t len;
    char json[];
};

struct repair_answer *repair_answer_new(struct slice json); /* one reference; NULL: no memory */
struct repair_answer *repair_answer_ref(struct repair_answer *answer);
void repair_answer_unref(struct repair_answer *answer); /* NULL: nothing */

struct repair_gate {
    /* rid: raw text. Dates are server time: since_ms, from when on the asker misses messages;
     * until_ms, when the room changed last by what its events showed. ticket: unique in this
     * process, one for each ask. */
    void (*ask)(void *arg, struct slice rid, int64_t since_ms, int64_t until_ms, uint64_t ticket);
    void (*cancel)(void *arg, struct slice rid, uint64_t ticket);
    /* The query's end. answer: a reference, given away; NULL: error says why there is none. */
    void (*done)(void *arg, struct slice rid, uint64_t ticket, struct repair_answer *answer,
                 const struct rc_error *error);
    void *arg;
};

#endif
