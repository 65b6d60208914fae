/* What a user's tabs lose with their connections, and get when they are back: the last events are
 * kept, a lost connection leaves a slot with its place among them, and the user's next connection
 * of that kind of client is sent what followed before it hears anything newer. Design section 5. */
#include "bridge/log/log.h"
#include "bridge/replay/replay_tail.h"
#include "bridge/session/event_map.h"
#include "bridge/session/user_session_internal.h"
#include <assert.h>

enum {
    /* A connection is found dead after the time-out at the latest, and the second sign of life
     * before that (hub_receipt.h) may lie as long before. */
    KEEP_TIMEOUTS = 2,
    KEEP_SLACK_MS = 5000,
};

/* A connection that has come and waits for what is known of the user's others. */
struct session_arrival {
    struct session_arrival *next;
    uint64_t ticket, conn_serial, client;
    uint64_t from, came_ms; /* the last event before it came; when that was */
    unsigned shard, waits;  /* for so many shards */
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

void session_replay_rearm(struct user_session *s)
{
    const struct settings *settings = s->table->settings;
    uint64_t oldest = replay_ring_oldest_ms(&s->ring);

    s->replay_at_ms = lost_slots_first_end_ms(&s->slots);
    if (s->replay_at_ms == 0 && oldest != 0)
        s->replay_at_ms = oldest + KEEP_TIMEOUTS * settings->hub.client_timeout_ms + KEEP_SLACK_MS;
    s->replay_at_ms = session_sooner(s->replay_at_ms, session_release_at_ms(s));
    session_rearm(s);
}

void session_replay_keep(struct user_session *s, struct hub_buf *message)
{
    const struct settings *settings = s->table->settings;
    size_t before = s->ring.bytes, most = settings->replay.ring_bytes, room = room_in_shard(s);
    uint64_t release_at_ms;

    if (most > settings->limits.queue_bytes)
        most = settings->limits.queue_bytes; /* a replay makes nobody a slow consumer */
    if (settings->replay.seconds_ms == 0)
        return;
    if (s->connections == 0 && s->slots.count == 0)
        most = 0; /* nobody can ask for it */
    replay_ring_add(&s->ring, message, session_now_ms(s->table), settings->replay.ring_events,
                    most < room ? most : room);
    note_bytes(s, before);
    release_at_ms = session_release_at_ms(s);
    if (s->replay_at_ms == 0 || (release_at_ms != 0 && release_at_ms < s->replay_at_ms))
        session_replay_rearm(s);
}

uint64_t session_replay_needed_after(const struct user_session *s)
{
    uint64_t lowest = lost_slots_needed_after(&s->slots);

    for (const struct session_arrival *a = s->arrivals; a != NULL; a = a->next)
        if (a->from < lowest)
            lowest = a->from;
    return lowest;
}

void session_replay_release(struct user_session *s, uint64_t upto)
{
    size_t before = s->ring.bytes;

    replay_ring_release(&s->ring, upto);
    note_bytes(s, before);
}

void session_replay_due(struct user_session *s)
{
    const uint64_t now = session_now_ms(s->table);
    const uint64_t keep = KEEP_TIMEOUTS * s->table->settings->hub.client_timeout_ms + KEEP_SLACK_MS;
    size_t before = s->ring.bytes;
    uint64_t release_at_ms;

    count(s, METRIC_REPLAY_SLOTS_EXPIRED, lost_slots_expire(&s->slots, now));
    replay_ring_trim(&s->ring, now > keep ? now - keep : 0, session_replay_needed_after(s));
    if (s->connections == 0 && s->slots.count == 0)
        replay_ring_free(&s->ring);
    note_bytes(s, before);
    release_at_ms = session_release_at_ms(s);
    if (release_at_ms != 0 && now >= release_at_ms)
        session_release_ask(s);
    session_replay_rearm(s);
}

void session_replay_free(struct user_session *s)
{
    size_t before = s->ring.bytes;
    struct session_arrival *a, *next;

    for (a = s->arrivals; a != NULL; a = next) { /* of a drain: their connections are closed */
        next = a->next;
        free(a);
    }

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

uint64_t session_replay_position(const struct user_session *s, const struct hub_receipt *r)
{
    uint64_t number = replay_tail_position(s->table->settings->replay.tail, r, s->ring.released,
                                           length_of, (void *)s);

    return number == HUB_RECEIPT_UNKNOWN ? LOST_SLOT_UNKNOWN : number;
}

static uint64_t connection_id(unsigned shard, uint64_t conn_serial)
{
    return (uint64_t)(shard + 1) << 48 | conn_serial;
}

static unsigned shard_of(uint64_t connection)
{
    return (unsigned)(connection >> 48) - 1;
}

static struct lost_slot slot_of(struct user_session *s, uint64_t client,
                                const struct hub_receipt *receipt)
{
    return (struct lost_slot){.position = session_replay_position(s, receipt),
                              .client = client,
                              .until_ms =
                                  session_now_ms(s->table) + s->table->settings->replay.seconds_ms};
}

static void note_slot(struct user_session *s, const struct lost_slot *slot)
{
    count(s, METRIC_REPLAY_SLOTS_LEFT, 1);
    log_debug("slot_left", LOG_ID("user", slice_of(s->key)), LOG_UINT("position", slot->position),
              LOG_UINT("last", s->ring.last));
}

void session_replay_left(struct user_session *s, unsigned shard, uint64_t conn_serial,
                         const struct session_loss *loss)
{
    const bool lost = loss != NULL && s->table->settings->replay.seconds_ms > 0;
    const uint64_t connection = connection_id(shard, conn_serial);
    struct lost_slot slot = {0};

    if (lost) {
        slot = slot_of(s, loss->client, &loss->receipt);
        slot.drained = loss->drained;
    }
    if (lost_slots_end_doubt(&s->slots, connection, lost, slot.position) && lost) {
        note_slot(s, &slot);
        if (!lost_slots_add(&s->slots, &slot))
            count(s, METRIC_REPLAY_SLOTS_EXPIRED, 1);
    }
    session_replay_rearm(s);
}

/* ---- a connection comes ---- */

/* A client that has lost nothing begins behind the last event before it came. */
static struct session_start claim(struct user_session *s, const struct session_arrival *a)
{
    uint64_t position, from = a->from, fresh_ms = 0;

    if (lost_slots_claim(&s->slots, a->client, &position)) {
        count(s, METRIC_REPLAY_SLOTS_CLAIMED, 1);
        if (position < from) /* LOST_SLOT_UNKNOWN, too */
            from = position;
    } else if (s->table->settings->replay.seconds_ms > 0) { /* else slots tell nothing */
        fresh_ms = a->came_ms;
    }
    if (from != LOST_SLOT_UNKNOWN && replay_ring_reaches(&s->ring, from))
        return (struct session_start){.from = from, .fresh_ms = fresh_ms};
    count(s, METRIC_REPLAY_OVERRUNS, 1);
    return (struct session_start){.from = s->ring.last, .torn = true};
}

static void push_one(const struct user_session *s, unsigned shard, uint64_t conn_serial,
                     struct hub_buf *message)
{
    const struct session_host *host = &s->table->options.host;

    host->push_to_connection(host->arg, shard, conn_serial, slice_of(s->key), message);
}

static void send_resync(const struct user_session *s, unsigned shard, uint64_t conn_serial)
{
    struct hub_buf *resync = event_map_resync((struct slice){0}, "replay-too-long");

    if (resync == NULL) {
        count(s, METRIC_DROPS_NO_MEMORY, 1);
        return; /* torn as it is, its next slot tells it again */
    }
    count(s, METRIC_EVENTS_OUT_RESYNC, 1);
    push_one(s, shard, conn_serial, resync);
    hub_buf_unref(resync);
}

static void answer(struct user_session *s, const struct session_arrival *a)
{
    const struct session_host *host = &s->table->options.host;
    const struct session_start start = claim(s, a);

    session_release_attached(s, start.from);
    session_replay_rearm(s);
    host->attached(host->arg, a->shard, a->conn_serial, slice_of(s->key), &start);
    if (start.torn)
        send_resync(s, a->shard, a->conn_serial);
    for (uint64_t number = start.from + 1; number <= s->ring.last; number++)
        push_one(s, a->shard, a->conn_serial, replay_ring_at(&s->ring, number));
    if (start.from < a->from)
        count(s, METRIC_REPLAY_EVENTS, a->from - start.from);
    session_tell_connection(s, a->shard, a->conn_serial);
}

void session_replay_arrive(struct user_session *s, unsigned shard, uint64_t conn_serial,
                           uint64_t client)
{
    const struct session_host *host = &s->table->options.host;
    const struct session_arrival arrival = {.next = s->arrivals,
                                            .ticket = ++s->table->next_ticket,
                                            .conn_serial = conn_serial,
                                            .client = client,
                                            .from = s->ring.last,
                                            .came_ms = session_now_ms(s->table),
                                            .shard = shard};
    struct session_arrival *a = NULL;

    if (s->connections > 1 && s->table->settings->replay.seconds_ms > 0)
        a = malloc(sizeof *a);
    if (a == NULL) { /* the only one, or no memory */
        answer(s, &arrival);
        return;
    }
    *a = arrival;
    s->arrivals = a;
    for (unsigned i = 0; i < s->table->options.nshards; i++)
        if (s->interest[i] > 0) {
            a->waits++;
            host->check(host->arg, i, slice_of(s->key), client, a->ticket);
        }
}

static void take_doubt(struct user_session *s, const struct session_arrival *a, unsigned shard,
                       const struct session_doubt *doubt)
{
    struct lost_slot slot = slot_of(s, a->client, &doubt->receipt);

    slot.connection = connection_id(shard, doubt->conn_serial);
    if (lost_slots_doubt(&s->slots, &slot, doubt->closing))
        note_slot(s, &slot);
}

static bool is_listed(uint64_t connection, unsigned shard, const struct session_doubt *doubts,
                      size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (connection_id(shard, doubts[i].conn_serial) == connection)
            return true;
    return false;
}

/* Of the shard's connections of that kind, those that were in doubt and are so no longer: they have
 * acknowledged all that they were sent. */
static void end_doubts(struct user_session *s, uint64_t client, unsigned shard,
                       const struct session_doubt *doubts, size_t n)
{
    if (n >= LOST_SLOTS_MAX)
        return; /* there may be more of them */
    for (unsigned i = s->slots.ndoubts; i-- > 0;) {
        const struct lost_doubt *doubt = &s->slots.doubts[i];

        if (doubt->client == client && shard_of(doubt->connection) == shard &&
            !is_listed(doubt->connection, shard, doubts, n))
            lost_slots_end_doubt(&s->slots, doubt->connection, false, 0);
    }
}

void session_table_checked(struct session_table *t, struct slice key, uint64_t ticket,
                           unsigned shard, const struct session_doubt *doubts, size_t n)
{
    struct session_arrival **at, *a;
    struct user_session *s;

    HASH_FIND(hh, t->sessions, key.ptr, key.len, s);
    if (s == NULL)
        return;
    for (at = &s->arrivals; *at != NULL && (*at)->ticket != ticket;)
        at = &(*at)->next;
    a = *at;
    if (a == NULL)
        return; /* of a session before this one */
    end_doubts(s, a->client, shard, doubts, n);
    for (size_t i = 0; i < n; i++)
        take_doubt(s, a, shard, &doubts[i]);
    if (--a->waits > 0)
        return;
    *at = a->next;
    answer(s, a);
    free(a);
}
