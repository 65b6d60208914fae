/* What a user's tabs lose with their connections, and get when they are back: the last events are
 * kept, a lost connection leaves a slot with its place among them, and the user's next connection
 * of that kind of client is sent what followed before it hears anything newer. Design section 5. */
#include "bridge/event_map.h"
#include "bridge/log.h"
#include "bridge/user_session_internal.h"
#include <assert.h>

enum {
    /* A connection is found dead after the time-out at the latest, and the second sign of life
     * before that (hub_receipt.h) may lie as long before. */
    KEEP_TIMEOUTS = 2,
    KEEP_SLACK_MS = 5000,
};

static void count(const struct user_session *s, enum metric which, uint64_t n)
{
    metrics_add(s->table->options.metrics, which, (int64_t)n);
}

/* The shards' rings share the bound of the process evenly. */
static size_t room_in_shard(const struct user_session *s)
{
    const struct session_table *t = s->table;
    size_t share = t->settings->replay.total_bytes / t->options.nshards;
    size_t others = t->replay_bytes - s->ring.bytes;

    return share > others ? share - others : 0;
}

static void note_bytes(struct user_session *s, size_t before)
{
    s->table->replay_bytes += s->ring.bytes - before;
    metrics_set(s->table->options.metrics, METRIC_REPLAY_BYTES, s->table->replay_bytes);
}

static void rearm(struct user_session *s)
{
    const struct settings *settings = s->table->settings;
    uint64_t oldest = replay_ring_oldest_ms(&s->ring);

    s->replay_at_ms = lost_slots_first_end_ms(&s->slots);
    if (s->replay_at_ms == 0 && oldest != 0)
        s->replay_at_ms = oldest + KEEP_TIMEOUTS * settings->hub.client_timeout_ms + KEEP_SLACK_MS;
    session_rearm(s);
}

void session_replay_keep(struct user_session *s, struct hub_buf *message)
{
    const struct settings *settings = s->table->settings;
    size_t before = s->ring.bytes, most = settings->replay.ring_bytes, room = room_in_shard(s);

    if (settings->replay.seconds_ms == 0)
        return;
    if (s->connections == 0 && s->slots.count == 0)
        most = 0; /* nobody can ask for it */
    replay_ring_add(&s->ring, message, session_now_ms(s->table), settings->replay.ring_events,
                    most < room ? most : room);
    note_bytes(s, before);
    if (s->replay_at_ms == 0)
        rearm(s);
}

void session_replay_due(struct user_session *s)
{
    const uint64_t now = session_now_ms(s->table);
    const uint64_t keep = KEEP_TIMEOUTS * s->table->settings->hub.client_timeout_ms + KEEP_SLACK_MS;
    size_t before = s->ring.bytes;

    count(s, METRIC_REPLAY_SLOTS_EXPIRED, lost_slots_expire(&s->slots, now));
    replay_ring_trim(&s->ring, now > keep ? now - keep : 0, lost_slots_needed_after(&s->slots));
    if (s->connections == 0 && s->slots.count == 0)
        replay_ring_free(&s->ring);
    note_bytes(s, before);
    rearm(s);
}

void session_replay_free(struct user_session *s)
{
    size_t before = s->ring.bytes;

    count(s, METRIC_REPLAY_SLOTS_EXPIRED, s->slots.count);
    lost_slots_free(&s->slots);
    replay_ring_free(&s->ring);
    note_bytes(s, before);
}

/* ---- a connection is lost ---- */

static uint32_t length_of(void *arg, uint64_t number)
{
    const struct user_session *s = arg;
    const struct hub_buf *message = replay_ring_at(&s->ring, number);
    size_t len = 0;

    if (message != NULL)
        hub_buf_bytes(message, &len);
    return (uint32_t)len;
}

static uint64_t received(struct user_session *s, const struct hub_receipt *r)
{
    uint64_t number = 0;

    switch (s->table->settings->replay.tail) {
    case REPLAY_TAIL_ACKED:
        number = hub_receipt_before(r, r->unacked, length_of, s);
        break;
    case REPLAY_TAIL_LAST_PING:
        number = r->torn && r->alive <= r->first ? HUB_RECEIPT_UNKNOWN : r->alive;
        break;
    case REPLAY_TAIL_NONE:
        number = hub_receipt_before(r, r->unsent, length_of, s);
        break;
    }
    return number == HUB_RECEIPT_UNKNOWN ? LOST_SLOT_UNKNOWN : number;
}

void session_replay_lost(struct user_session *s, const struct session_loss *loss)
{
    const uint32_t seconds_ms = s->table->settings->replay.seconds_ms;
    struct lost_slot slot = {.client = loss->client,
                             .until_ms = session_now_ms(s->table) + seconds_ms};

    if (seconds_ms == 0)
        return;
    slot.position = received(s, &loss->receipt);
    count(s, METRIC_REPLAY_SLOTS_LEFT, 1);
    if (!lost_slots_add(&s->slots, &slot))
        count(s, METRIC_REPLAY_SLOTS_EXPIRED, 1);
    rearm(s);
    log_debug("slot_left", LOG_ID("user", slice_of(s->key)), LOG_UINT("position", slot.position),
              LOG_UINT("behind", s->ring.last - slot.position));
}

/* ---- a connection comes ---- */

struct session_start session_replay_claim(struct user_session *s, uint64_t client)
{
    struct session_start start = {.from = s->ring.last};
    uint64_t position;

    if (!lost_slots_claim(&s->slots, client, &position))
        return start;
    count(s, METRIC_REPLAY_SLOTS_CLAIMED, 1);
    if (position == LOST_SLOT_UNKNOWN || !replay_ring_reaches(&s->ring, position)) {
        count(s, METRIC_REPLAY_OVERRUNS, 1);
        start.torn = true;
    } else {
        start.from = position;
    }
    rearm(s);
    return start;
}

static void push_one(const struct user_session *s, unsigned shard, uint64_t conn_serial,
                     struct hub_buf *message)
{
    const struct session_host *host = &s->table->options.host;

    host->push_to_connection(host->arg, shard, conn_serial, slice_of(s->key), message);
}

void session_replay_send(struct user_session *s, unsigned shard, uint64_t conn_serial,
                         const struct session_start *start)
{
    struct hub_buf *resync;

    if (start->torn) {
        resync = event_map_resync((struct slice){0}, "replay-too-long");
        if (resync == NULL) {
            count(s, METRIC_DROPS_NO_MEMORY, 1);
            return; /* torn as it is, its next slot tells it again */
        }
        count(s, METRIC_EVENTS_OUT_RESYNC, 1);
        push_one(s, shard, conn_serial, resync);
        hub_buf_unref(resync);
        return;
    }
    for (uint64_t number = start->from + 1; number <= s->ring.last; number++)
        push_one(s, shard, conn_serial, replay_ring_at(&s->ring, number));
    count(s, METRIC_REPLAY_EVENTS, s->ring.last - start->from);
}
