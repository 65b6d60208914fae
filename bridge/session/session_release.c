/* What every tab of the user has received, in the sense of PushBridge:Replay:Tail, is not kept any
 * longer. The session does not hear of that by itself, so now and then it asks the shards that hold
 * its connections, and lets go what comes before the lowest answer.
 *
 * What a connection has received never becomes less, so an answer may be old; what matters is that
 * each connection is spoken for by somebody:
 *   - one that was answered before the question is known on its shard when the question comes
 *     there, since both go one way; it counts there until its end has been told;
 *   - one that has ended by then has left its slot, or none, ahead of the shard's answer;
 *   - one that was lost, or is in doubt, has its slot;
 *   - one that has come and is not answered yet is on the list of arrivals;
 *   - one that was answered after the question lowers what may go to the place it begins at.
 * Nothing that was added after the question goes: no receipt has it. A shard that never answers
 * leaves what is kept to its age (session_replay.c). */
#include "bridge/session/user_session_internal.h"

enum {
    RELEASE_BYTES = 4096,     /* more than the last answer left: it is worth a question ... */
    RELEASE_PACE_MS = 1000,   /* ... but not more often than this */
    RELEASE_QUIET_MS = 5000,  /* less than that: so long after it came ... */
    RELEASE_AGAIN_MS = 15000, /* ... and at this pace: a client's sign of life is due in it */
};

static uint64_t later(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

uint64_t session_release_at_ms(const struct user_session *s)
{
    const struct session_release *r = &s->release;

    if (s->ring.count == 0 || r->waits > 0 || s->connections == 0 ||
        session_replay_needed_after(s) <= replay_ring_base(&s->ring))
        return 0;
    if (s->ring.bytes >= r->kept_then + (size_t)RELEASE_BYTES)
        return r->asked_ms + RELEASE_PACE_MS;
    return later(replay_ring_oldest_ms(&s->ring) + RELEASE_QUIET_MS,
                 r->asked_ms + RELEASE_AGAIN_MS);
}

void session_release_ask(struct user_session *s)
{
    const struct session_host *host = &s->table->options.host;
    struct session_release *r = &s->release;

    r->asked_ms = session_now_ms(s->table);
    r->ticket = ++s->table->next_ticket;
    r->upto = s->ring.last;
    for (unsigned i = 0; i < s->table->options.nshards; i++)
        if (s->interest[i] > 0) {
            r->waits++;
            host->ask_received(host->arg, i, slice_of(s->key), r->ticket);
        }
}

static void lower(uint64_t *upto, uint64_t to)
{
    if (to < *upto)
        *upto = to;
}

void session_release_attached(struct user_session *s, uint64_t from)
{
    lower(&s->release.upto, from);
}

void session_table_received(struct session_table *t, struct slice key, uint64_t ticket,
                            const struct session_received *received)
{
    struct session_release *r;
    struct user_session *s;

    HASH_FIND(hh, t->sessions, key.ptr, key.len, s);
    if (s == NULL || s->release.waits == 0 || s->release.ticket != ticket)
        return; /* of a session before this one */
    r = &s->release;
    lower(&r->upto, received->lowest);
    for (size_t i = 0; i < received->count; i++) {
        const struct hub_receipt *receipt = &received->receipts[i];
        uint64_t position = session_replay_position(s, receipt);

        /* Unknown: what follows its beginning may still turn out to have come. */
        lower(&r->upto, position == LOST_SLOT_UNKNOWN ? receipt->first : position);
    }
    if (--r->waits > 0)
        return;
    lower(&r->upto, session_replay_needed_after(s));
    session_replay_release(s, r->upto);
    r->kept_then = s->ring.bytes;
    session_replay_rearm(s);
}
