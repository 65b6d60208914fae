/* What GET /admin/users/{name or id} says of a session; no secrets. */
#include "base/json_slice.h"
#include "bridge/session/user_session_internal.h"
#include <inttypes.h>

static void put_text(struct byte_buf *out, const char *name, const char *text)
{
    byte_buf_printf(out, ",\"%s\":", name);
    if (text == NULL || *text == '\0')
        byte_buf_puts(out, "null");
    else
        json_write_string(out, slice_of(text));
}

static void put_number(struct byte_buf *out, const char *name, uint64_t n)
{
    byte_buf_printf(out, ",\"%s\":%" PRIu64, name, n);
}

/* How long ago, or null where it never happened. */
static void put_age(struct byte_buf *out, const char *name, uint64_t at_ms, uint64_t now_ms)
{
    if (at_ms == 0)
        put_text(out, name, NULL);
    else
        put_number(out, name, now_ms - at_ms);
}

const char *session_sub_state_name(uint8_t state)
{
    static const char *const names[] = {
        [SUB_NONE] = "none",   [SUB_PENDING] = "pending", [SUB_WAITING] = "waiting",
        [SUB_READY] = "ready", [SUB_REFUSED] = "refused",
    };
    return names[state];
}

/* behind: how many events followed what the slot's connection is known to have; null: not known. */
static void put_replay(const struct user_session *s, struct byte_buf *json, uint64_t now)
{
    byte_buf_printf(json, ",\"replay\":{\"events\":%u,\"bytes\":%u,\"slots\":[", s->ring.count,
                    s->ring.bytes);
    for (unsigned i = 0, n = 0; i < s->slots.count; i++) {
        const struct lost_slot *slot = &s->slots.slots[i];

        if (lost_slot_is_taken(slot))
            continue;
        byte_buf_printf(json, "%s{\"endsInMs\":%" PRIu64, n++ == 0 ? "" : ",",
                        slot->until_ms > now ? slot->until_ms - now : 0);
        if (slot->position == LOST_SLOT_UNKNOWN)
            put_text(json, "behind", NULL);
        else
            put_number(json, "behind", s->ring.last - slot->position);
        byte_buf_putc(json, '}');
    }
    byte_buf_puts(json, "]}");
}

void session_report(const struct user_session *s, struct byte_buf *json)
{
    uint64_t now = session_now_ms(s->table);
    bool live = s->state == SESSION_LIVE;

    byte_buf_puts(json, "{\"key\":");
    json_write_string(json, slice_of(s->key));
    put_text(json, "userName", s->username);
    put_text(json, "rocketChatUserId", s->user_id);
    put_text(json, "state", session_state_name((enum session_state)s->state));
    put_text(json, "code", s->code);
    put_text(json, "login", session_login_state(s));
    put_text(json, "lastError", s->failure);
    put_age(json, "lastErrorMsAgo", s->failed_at_ms, now);
    if (s->step_at_ms > now && (s->state == SESSION_BACKOFF || s->state == SESSION_REFUSED))
        put_number(json, "retryInMs", s->step_at_ms - now);
    else
        put_text(json, "retryInMs", NULL);
    put_text(json, "ddpSession", s->ddp_session);
    byte_buf_printf(json, ",\"ddpOpen\":%s,\"ddpLoggedIn\":%s", s->ddp != NULL ? "true" : "false",
                    s->authed ? "true" : "false");
    put_age(json, "liveForMs", live ? s->live_since_ms : 0, now);
    byte_buf_printf(json, ",\"subscriptions\":{\"message\":\"%s\",\"rooms-changed\":\"%s\",",
                    session_sub_state_name(s->subs[SESSION_SUB_EPHEMERAL]),
                    session_sub_state_name(s->subs[SESSION_SUB_ROOMS]));
    byte_buf_printf(json, "\"subscriptions-changed\":\"%s\"",
                    session_sub_state_name(s->subs[SESSION_SUB_SUBSCRIPTIONS]));
    session_further_report(s, json);
    byte_buf_putc(json, '}');
    byte_buf_printf(json, ",\"tokenCached\":%s", s->stored ? "true" : "false");
    if (s->stored && s->ttl_ends_ms > now)
        put_number(json, "tokenTtlLeftMs", s->ttl_ends_ms - now);
    else
        put_text(json, "tokenTtlLeftMs", NULL);
    put_number(json, "connections", s->connections);
    byte_buf_puts(json, ",\"openRooms\":");
    session_opened_report(s, json);
    put_replay(s, json, now);
    put_number(json, "eventsIn", s->events_in);
    put_number(json, "eventsOut", s->events_out);
    put_age(json, "lastEventInMsAgo", s->last_event_in_ms, now);
    put_age(json, "lastEventOutMsAgo", s->last_event_out_ms, now);
    byte_buf_putc(json, '}');
}
