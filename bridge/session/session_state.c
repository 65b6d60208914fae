/* What a session leaves for the process that comes after this one, and how it is taken up there:
 * the slots of its tabs, and its memory of rooms, by which what was missed is fetched as after any
 * other gap (session_lists.c) and pushed to the tabs that claim the slots. */
#include "base/json_slice.h"
#include "bridge/log/log.h"
#include "bridge/replay/replay_state.h"
#include "bridge/session/user_session_internal.h"
#undef uthash_nonfatal_oom
#define uthash_nonfatal_oom(element) (element)->len = 0
#include "rocketchat/room_state.h"
#include <stdlib.h>
#include <time.h>

/* The record of a user who has not been back yet. */
struct session_restored {
    UT_hash_handle hh; /* in table->restored, by key */
    size_t len;
    char record[];
};

static int64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* ---- leaving ---- */

/* The lowest position of those that this stop cut off: what they lack can be told apart by messages
 * alone. UINT64_MAX: there is none. */
static uint64_t lowest_drained(const struct user_session *s)
{
    uint64_t lowest = UINT64_MAX;

    for (unsigned i = 0; i < s->slots.count; i++)
        if (s->slots.slots[i].drained && s->slots.slots[i].position != LOST_SLOT_UNKNOWN &&
            s->slots.slots[i].position < lowest)
            lowest = s->slots.slots[i].position;
    return lowest;
}

/* The message in a notification as it was sent: frame, invocation, one argument. */
static bool read_message(const struct hub_buf *sent, struct slice *target, struct rc_message *out)
{
    size_t len, head;
    const uint8_t *bytes = hub_buf_bytes(sent, &len);
    struct json_reader r;
    struct slice key;

    *target = (struct slice){0};
    *out = (struct rc_message){0};
    if (len < 2)
        return false;
    head = bytes[1] < 126 ? 2 : bytes[1] == 126 ? 4 : 10;
    if (len <= head)
        return false;
    json_reader_init(&r, bytes + head, len - head - 1, JSON_MAX_DEPTH); /* but for the separator */
    if (!json_enter_object(&r))
        return false;
    while (json_next_key(&r, &key))
        if (json_string_is(key, "target"))
            json_read_string(&r, target);
        else if (json_string_is(key, "arguments") && json_enter_array(&r) && json_next_item(&r)) {
            rc_message_read(&r, out);
            break; /* the one argument is the last member */
        } else {
            json_skip(&r);
        }
    return !json_failed(&r) && out->id.len > 0 && out->rid.len > 0;
}

/* False: not all of what was sent past the position can be fetched again. */
static bool unsee_after(struct user_session *s, uint64_t position)
{
    static const char *const messages[] = {"getRoomMessageNotification",
                                           "getThreadMessageNotification",
                                           "getRoomMessageUpdatedNotification"};
    bool all = replay_ring_reaches(&s->ring, position);

    for (uint64_t number = position + 1; all && number <= s->ring.last; number++) {
        struct rc_message message;
        struct slice target;
        bool is = read_message(replay_ring_at(&s->ring, number), &target, &message), known = false;

        for (unsigned i = 0; i < 3; i++)
            known |= json_string_is(target, messages[i]);
        if (is && known)
            room_state_unsee(s->rooms, &message);
        else /* a change of a subscription is made good by the next, and by the lists */
            all = json_string_is(target, "getRoomSubscriptionChangedNotification");
    }
    return all;
}

static void save(struct user_session *s, struct byte_buf *records, int64_t wall)
{
    const uint64_t now = session_now_ms(s->table), lowest = lowest_drained(s);
    struct replay_state_user user = {.key = slice_of(s->key), .username = slice_of(s->username)};
    struct byte_buf rooms = {0};
    bool complete = lowest == UINT64_MAX || unsee_after(s, lowest);

    for (unsigned i = 0; i < s->slots.count; i++) {
        const struct lost_slot *slot = &s->slots.slots[i];
        const uint64_t from = lowest == UINT64_MAX ? s->ring.last : lowest;

        if (slot->until_ms > now && !lost_slot_is_taken(slot))
            user.slots[user.nslots++] = (struct replay_state_slot){
                .client = slot->client,
                .ends_ms = wall + (int64_t)(slot->until_ms - now),
                .behind = !complete || slot->position == LOST_SLOT_UNKNOWN || slot->position < from,
            };
    }
    room_state_write(s->rooms, &rooms);
    user.rooms = byte_buf_slice(&rooms);
    if (user.nslots > 0 && !byte_buf_failed(&rooms))
        replay_state_put_user(records, &user);
    byte_buf_free(&rooms);
}

unsigned session_table_save(struct session_table *t, struct byte_buf *records)
{
    const int64_t wall = wall_ms();
    struct user_session *s, *next;
    unsigned saved = 0;

    if (t->settings->message_source != SOURCE_REPAIR)
        return 0; /* nothing would be fetched */
    HASH_ITER(hh, t->sessions, s, next)
    if (s->slots.count > 0 && s->rooms != NULL && !byte_buf_failed(records)) {
        size_t before = records->len;

        save(s, records, wall);
        if (byte_buf_failed(records)) { /* the bound: what came before it stays */
            records->len = before;
            log_warn("replay_state_cut", LOG_UINT("users", saved));
        }
        saved += records->len > before;
    }
    return saved;
}

/* ---- being taken up ---- */

bool session_table_restore(struct session_table *t, const struct replay_state_user *user,
                           struct slice record)
{
    struct session_restored *r = malloc(sizeof *r + record.len);
    const struct slice key = {r == NULL ? NULL : r->record + (user->key.ptr - record.ptr),
                              user->key.len};
    struct session_restored *other;

    if (r == NULL)
        return false;
    r->len = record.len;
    memcpy(r->record, record.ptr, record.len);
    HASH_FIND(hh, t->restored, key.ptr, key.len, other);
    if (other == NULL)
        HASH_ADD_KEYPTR(hh, t->restored, key.ptr, key.len, r);
    if (other == NULL && r->len > 0) {
        t->restored_until_ms = session_now_ms(t) + t->settings->replay.seconds_ms;
        session_table_set_clock(t);
        return true;
    }
    free(r);
    return false;
}

static void take_up(struct user_session *s, const struct replay_state_user *user)
{
    const struct settings *settings = s->table->settings;
    const uint64_t now = session_now_ms(s->table);
    const int64_t wall = wall_ms();

    for (unsigned i = 0; i < user->nslots; i++) {
        const struct replay_state_slot *saved = &user->slots[i];
        const int64_t left = saved->ends_ms > wall ? saved->ends_ms - wall : 0;
        const struct lost_slot slot = {
            .position = saved->behind ? LOST_SLOT_UNKNOWN : s->ring.last,
            .client = saved->client,
            .until_ms =
                now + ((uint64_t)left < settings->replay.seconds_ms ? (uint64_t)left
                                                                    : settings->replay.seconds_ms),
        };

        if (left > 0 && lost_slots_add(&s->slots, &slot))
            metrics_inc(s->table->options.metrics, METRIC_REPLAY_SLOTS_LEFT);
    }
    if (s->slots.count == 0)
        return;
    s->rooms = room_state_read(user->rooms, (uint16_t)settings->session.max_rooms,
                               (uint16_t)settings->limits.remembered_messages);
    if (s->rooms == NULL) { /* then nothing is known of what was missed */
        for (unsigned i = 0; i < s->slots.count; i++)
            s->slots.slots[i].position = LOST_SLOT_UNKNOWN;
        log_warn("replay_state_unusable", LOG_ID("user", slice_of(s->key)));
    }
    s->restored = true;
    s->lost_at_ms = now; /* the slots' own end has told that the gap is short */
}

void session_take_up(struct user_session *s)
{
    struct replay_state_user user;
    struct session_restored *r;
    struct slice record;

    HASH_FIND(hh, s->table->restored, s->key, s->key_len, r);
    if (r == NULL)
        return;
    HASH_DEL(s->table->restored, r);
    record = (struct slice){r->record, r->len};
    /* Under another name it would be another account, whose messages these are not. */
    if (replay_state_next_user(&record, &user) && slice_eq(user.username, slice_of(s->username)))
        take_up(s, &user);
    free(r);
}

void session_restored_free(struct session_table *t)
{
    struct session_restored *r, *next;

    HASH_ITER(hh, t->restored, r, next)
    {
        HASH_DEL(t->restored, r);
        free(r);
    }
    t->restored_until_ms = 0;
}
