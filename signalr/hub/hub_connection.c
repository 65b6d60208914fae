#include "signalr/hub/hub_connection.h"
#include "base/byte_buf.h"
#include "signalr/http/ws_conn.h"
#include "signalr/hub/hub_internal.h"
#include "signalr/protocol/handshake.h"
#include "signalr/protocol/hub_message.h"
#include <assert.h>
#include <stdlib.h>
#include <time.h>

#define WS_CLOSE_OK 1000 /* RFC 6455 7.4.1; what .NET sends at every end of a hub connection */

static const bool legal[CONN_NSTATES][CONN_NSTATES] = {
    [CONN_NEGOTIATED] = {[CONN_HANDSHAKE] = true, [CONN_CLOSING] = true},
    [CONN_HANDSHAKE] = {[CONN_OPEN] = true, [CONN_CLOSING] = true},
    [CONN_OPEN] = {[CONN_CLOSING] = true},
    [CONN_CLOSING] = {[CONN_CLOSED] = true},
};

static uint64_t wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* A share of span_ms, fixed for the connection: what would strike thousands in one instant (pings
 * after a mass reconnect, tokens of one expiry, a drain) comes spread over the span. */
static uint64_t spread(const struct hub_connection *c, uint64_t span_ms)
{
    return hash_bytes(&c->serial, sizeof c->serial) % (span_ms + 1);
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* When the JWT's end closes c, by the wall clock; UINT64_MAX: never. */
static uint64_t expiry_wall_ms(const struct hub_connection *c)
{
    const struct signalr_options *o = &c->server->options;

    return o->close_on_expiry && c->expires_at_ms != 0
               ? c->expires_at_ms + spread(c, o->expiry_spread_ms)
               : UINT64_MAX;
}

static uint64_t drain_due_ms(const struct hub_connection *c)
{
    const struct signalr_server *s = c->server;

    return s->draining ? s->drain_start_ms + spread(c, s->drain_spread_ms) : UINT64_MAX;
}

static uint64_t silence_due_ms(const struct hub_connection *c)
{
    uint64_t lived_ms = c->heard_ms;

    if (c->doubt != NULL && c->doubt->lived_ms > lived_ms)
        lived_ms = c->doubt->lived_ms;
    return c->pinged ? lived_ms + c->server->options.client_timeout_ms : UINT64_MAX;
}

void hub_connection_rearm(struct hub_connection *c)
{
    struct signalr_server *s = c->server;
    const uint64_t expiry = expiry_wall_ms(c);
    uint64_t due = min_u64(c->due_ms, min_u64(silence_due_ms(c), drain_due_ms(c)));

    if (c->state == CONN_CLOSING)
        return; /* the transport has its own clock for the end */
    if (c->doubt != NULL)
        due = min_u64(due, c->doubt->again_ms);
    if (expiry != UINT64_MAX) {
        const uint64_t wall = wall_ms();

        due = min_u64(due, uv_now(s->loop) + (expiry > wall ? expiry - wall : 0));
    }
    timer_wheel_arm(s->wheel, &c->timer, due);
}

static void conn_free(struct hub_connection *c)
{
    struct signalr_server *s = c->server;

    if (c->told_host)
        s->host.disconnected(s->host.arg, c, (enum hub_end)c->ended);
    hub_calls_free(c);
    if (c->user_data != NULL)
        s->host.release_user(s->host.arg, c->user_data);
    timer_wheel_cancel(s->wheel, &c->timer);
    hub_registry_remove(c);
    hub_inbox_free(&c->inbox);
    free(c->client_address);
    free(c->doubt);
    free(c);
    hub_server_left(s);
}

/* ---- pending negotiations ---- */

bool hub_pending_is_full(const struct signalr_server *s)
{
    const unsigned max = s->options.max_pending;

    return max != 0 &&
           atomic_load_explicit(&s->options.shared->pending, memory_order_relaxed) >= max;
}

static void give_pending(struct signalr_server *s)
{
    atomic_fetch_sub_explicit(&s->options.shared->pending, 1, memory_order_relaxed);
}

/* Other servers add at the same time: only what the addition itself returns is exact. */
static bool take_pending(struct signalr_server *s)
{
    const unsigned max = s->options.max_pending;

    if (atomic_fetch_add_explicit(&s->options.shared->pending, 1, memory_order_relaxed) < max ||
        max == 0)
        return true;
    give_pending(s);
    return false;
}

/* ---- life ---- */

/* The only writer of c->state. Entering CONN_CLOSED frees c. */
static void conn_enter(struct hub_connection *c, enum conn_state to)
{
    struct signalr_server *s = c->server;
    const struct signalr_options *o = &s->options;
    const uint64_t now = uv_now(s->loop);

    assert(legal[c->state][to]);
    if (c->state == CONN_NEGOTIATED && c->has_token)
        give_pending(s);
    s->gauge[c->state]--; /* gauges move with the state, so they cannot drift */
    if (to != CONN_CLOSED)
        s->gauge[to]++;
    c->state = (uint8_t)to;

    switch (to) {
    case CONN_HANDSHAKE:
        c->due_ms = now + o->handshake_timeout_ms;
        hub_connection_rearm(c);
        break;
    case CONN_OPEN:
        s->stats.opened++;
        c->heard_ms = now;
        /* The first ping early by up to half an interval, so that clients which came back all at
         * once don't stay in step. */
        c->due_ms = now + o->keepalive_ms - spread(c, o->keepalive_ms / 2);
        hub_connection_rearm(c);
        break;
    case CONN_CLOSING:
        hub_registry_drop_token(c); /* clients try to come back with it: that must be 404 */
        c->joined = false;
        hub_groups_leave_all(c);
        timer_wheel_cancel(s->wheel, &c->timer);
        break;
    case CONN_CLOSED:
        conn_free(c);
        break;
    case CONN_NEGOTIATED: /* the first state, never entered */
    case CONN_NSTATES:
        abort();
    }
}

struct hub_connection *hub_connection_new(struct signalr_server *s, enum hub_token_kind token,
                                          struct slice user_key)
{
    struct hub_connection *c = calloc(1, sizeof *c);
    const unsigned shard = s->options.shard, nshards = s->options.nshards;

    if (c == NULL)
        return NULL;
    c->server = s;
    c->serial = s->next_serial++;
    c->has_token = token != HUB_TOKEN_NONE;
    if (c->has_token && !take_pending(s)) {
        free(c);
        return NULL;
    }
    /* Whatever serves as token must be at home here; an id alone may be anything. */
    if (token == HUB_TOKEN_IS_ID ? !hub_token_draw(c->id, shard, nshards)
                                 : !hub_token_draw(c->id, 0, 1))
        goto fail;
    if (token == HUB_TOKEN_IS_ID)
        memcpy(c->token, c->id, sizeof c->token);
    else if (token == HUB_TOKEN_OWN && !hub_token_draw(c->token, shard, nshards))
        goto fail;
    if (!hub_registry_add(c))
        goto fail;
    if (!hub_registry_set_user(c, user_key)) {
        hub_registry_remove(c);
        goto fail;
    }
    s->gauge[CONN_NEGOTIATED]++;
    c->due_ms = uv_now(s->loop) + s->options.negotiate_timeout_ms;
    hub_connection_rearm(c);
    return c;
fail:
    if (token != HUB_TOKEN_NONE)
        give_pending(s);
    free(c);
    return NULL;
}

void hub_connection_attached(struct hub_connection *c, struct ws_conn *ws,
                             const struct signalr_user *user)
{
    c->ws = ws;
    c->user_data = user->host_data;
    c->expires_at_ms = user->expires_at_ms;
    conn_enter(c, CONN_HANDSHAKE);
}

void hub_connection_discard(struct hub_connection *c)
{
    assert(c->state == CONN_NEGOTIATED);
    conn_enter(c, CONN_CLOSING);
    conn_enter(c, CONN_CLOSED);
}

/* ---- the end ---- */

static void begin_end(struct hub_connection *c, enum hub_end why)
{
    /* A client that was cut off may have given up, too: what its TCP would take in while we waited
     * for the close frame, it would drop. Or it would hear it, and again on its next connection. */
    if (why == HUB_END_TIMEOUT)
        hub_loss_close(c);
    c->server->stats.ended[why]++;
    c->ended = (uint8_t)why;
    conn_enter(c, CONN_CLOSING);
}

void hub_connection_end(struct hub_connection *c, enum hub_end why, struct hub_buf *close)
{
    if (c->state != CONN_HANDSHAKE && c->state != CONN_OPEN)
        return;
    if (ws_conn_has_ended(c->ws))
        return; /* the client was first: its own reason counts, and is on its way */
    /* Nothing but the handshake's answer may come first on the wire. */
    if (c->state == CONN_OPEN && close != NULL)
        ws_conn_send(c->ws, close, true);
    begin_end(c, why);
    if (why == HUB_END_TIMEOUT && ws_conn_abandon(c->ws))
        return;
    ws_conn_close(c->ws, WS_CLOSE_OK, c->server->options.close_wait_ms);
}

void hub_connection_transport_ended(struct hub_connection *c, enum hub_end why, bool for_good)
{
    hub_loss_close(c);
    c->for_good |= for_good;
    c->ws = NULL;
    if (c->state != CONN_CLOSING)
        begin_end(c, c->state == CONN_HANDSHAKE ? HUB_END_HANDSHAKE : why);
    conn_enter(c, CONN_CLOSED);
}

void hub_connection_close(struct hub_connection *c, const char *error, bool allow_reconnect)
{
    struct hub_buf *close = hub_message_close(slice_of(error), allow_reconnect);

    c->may_return = allow_reconnect;
    hub_connection_end(c, HUB_END_HOST, close); /* without memory it ends without the message */
    hub_buf_unref(close);
}

/* ---- handshake ---- */

static void refuse_handshake(struct hub_connection *c, struct slice error)
{
    struct hub_buf *answer = hub_message_handshake(error);

    if (answer != NULL)
        ws_conn_send(c->ws, answer, true);
    hub_buf_unref(answer);
    hub_connection_end(c, HUB_END_HANDSHAKE, NULL);
}

static void take_handshake(struct hub_connection *c, struct slice body)
{
    struct signalr_server *s = c->server;
    struct handshake h = {0};
    struct byte_buf error = {0};
    enum handshake_result result = handshake_parse(body, &h);

    if (result != HANDSHAKE_OK) {
        handshake_error_text(result, &h, &error);
        refuse_handshake(c, byte_buf_slice(&error));
        byte_buf_free(&error);
        return;
    }
    if (ws_conn_send(c->ws, s->handshake_ok, true) != WS_SEND_OK) {
        hub_connection_end(c, HUB_END_LOST, NULL);
        return;
    }
    conn_enter(c, CONN_OPEN);
    hub_groups_opened(c);
    c->told_host = true;
    s->host.connected(s->host.arg, c);
}

/* ---- receiving ---- */

void hub_connection_received(struct hub_connection *c, struct slice bytes)
{
    const size_t max = c->server->options.max_message_bytes;
    struct slice body;

    hub_receipt_heard(&c->receipt, uv_now(c->server->loop));
    while (c->state == CONN_HANDSHAKE || c->state == CONN_OPEN) {
        switch (hub_inbox_next(&c->inbox, &bytes, max, &body)) {
        case HUB_INBOX_MESSAGE:
            if (c->state == CONN_OPEN)
                hub_dispatch(c, body);
            else
                take_handshake(c, body);
            break;
        case HUB_INBOX_EMPTY:
            return;
        case HUB_INBOX_TOO_LARGE:
            if (c->state == CONN_HANDSHAKE)
                refuse_handshake(c, SLICE_LIT(HANDSHAKE_CANCELED));
            else
                hub_connection_end(c, HUB_END_PROTOCOL, c->server->close_error);
            return;
        case HUB_INBOX_NOMEM:
            hub_connection_end(c, HUB_END_LOST, c->server->close_reconnect);
            return;
        }
    }
}

/* ---- the clock ---- */

static void ping(struct hub_connection *c, uint64_t now)
{
    hub_loss_look(c, now);
    /* While older bytes wait, a ping could only add to them; they are a sign of life as good. */
    if (ws_conn_queued_bytes(c->ws) == 0)
        ws_conn_send(c->ws, c->server->ping, true);
    c->pinged_to = ws_conn_pushed(c->ws);
    c->due_ms = now + c->server->options.keepalive_ms;
}

void hub_connection_on_timer(struct hub_connection *c)
{
    struct signalr_server *s = c->server;
    const uint64_t now = uv_now(s->loop);

    if (c->state == CONN_NEGOTIATED) {
        hub_connection_discard(c); /* drained ones too: nobody would miss them */
        return;
    }
    if (expiry_wall_ms(c) <= wall_ms()) {
        hub_connection_end(c, HUB_END_EXPIRED, s->close_reconnect);
        return;
    }
    if (drain_due_ms(c) <= now) {
        hub_connection_end(c, HUB_END_DRAIN, s->close_reconnect);
        return;
    }
    if (c->state == CONN_HANDSHAKE) {
        if (c->due_ms <= now) {
            refuse_handshake(c, SLICE_LIT(HANDSHAKE_CANCELED));
            return;
        }
    } else {
        if (silence_due_ms(c) <= now && !hub_loss_spares(c, now)) {
            hub_connection_end(c, HUB_END_TIMEOUT, s->close_error);
            return;
        }
        if (c->doubt != NULL && c->doubt->again_ms <= now)
            hub_loss_look_again(c);
        if (c->due_ms <= now)
            ping(c, now);
    }
    hub_connection_rearm(c);
}

/* ---- sending ---- */

void hub_connection_send(struct hub_connection *c, struct hub_buf *message)
{
    const uint64_t number = hub_buf_number(message);
    uint32_t begin;

    if (c->state != CONN_OPEN)
        return;
    begin = ws_conn_pushed(c->ws);
    switch (ws_conn_send(c->ws, message, false)) {
    case WS_SEND_OK:
        if (number != 0)
            hub_receipt_sent(&c->receipt, number, begin, ws_conn_pushed(c->ws));
        return;
    case WS_SEND_CLOSED: /* its end will be told */
        return;
    case WS_SEND_FULL:
        hub_connection_end(c, HUB_END_SLOW, c->server->close_reconnect);
        return;
    case WS_SEND_NOMEM:
        hub_connection_end(c, HUB_END_LOST, c->server->close_reconnect);
        return;
    }
}

void hub_connection_send_new(struct hub_connection *c, struct hub_buf *message)
{
    if (message == NULL)
        hub_connection_end(c, HUB_END_LOST, c->server->close_reconnect);
    else
        hub_connection_send(c, message);
    hub_buf_unref(message);
}

void hub_connection_complete(struct hub_connection *c, struct slice invocation_id,
                             struct slice result, const char *error)
{
    if (c->state == CONN_OPEN && invocation_id.len > 0)
        hub_connection_send_new(c, hub_message_completion(invocation_id, result, slice_of(error)));
}

void hub_connection_drained(struct hub_connection *c)
{
    hub_calls_resume(c);
}

/* ---- what the host may ask ---- */

struct slice hub_connection_id(const struct hub_connection *c)
{
    return (struct slice){c->id, sizeof c->id};
}

uint64_t hub_connection_serial(const struct hub_connection *c)
{
    return c->serial;
}

bool hub_connection_is_open(const struct hub_connection *c)
{
    return c->state == CONN_OPEN && !ws_conn_has_ended(c->ws);
}

struct slice hub_connection_user_key(const struct hub_connection *c)
{
    if (c->user == NULL)
        return (struct slice){0};
    return (struct slice){c->user->key, c->user->key_len};
}

void *hub_connection_user_data(const struct hub_connection *c)
{
    return c->user_data;
}

struct slice hub_connection_client_address(const struct hub_connection *c)
{
    return slice_of(c->client_address);
}

size_t hub_connection_queued_bytes(const struct hub_connection *c)
{
    return c->ws == NULL ? 0 : ws_conn_queued_bytes(c->ws);
}

uint64_t hub_connection_last_write_ms(const struct hub_connection *c)
{
    return c->ws == NULL ? 0 : ws_conn_last_write_ms(c->ws);
}

void hub_connection_set_data(struct hub_connection *c, void *data)
{
    c->data = data;
}

void *hub_connection_data(const struct hub_connection *c)
{
    return c->data;
}

void hub_connection_join_user(struct hub_connection *c, uint64_t from, bool torn)
{
    if (c->joined)
        return;
    c->joined = c->state == CONN_OPEN;
    hub_receipt_start(&c->receipt, from, torn, ws_conn_pushed(c->ws));
}
