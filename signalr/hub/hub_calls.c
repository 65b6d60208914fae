/* The calls of a connection that are answered later. Only a connection that makes one has anything
 * here. Facts: signalr.md 6.2 to 6.4. */
#include "base/byte_buf.h"
#include "signalr/http/ws_conn.h"
#include "signalr/hub/hub_internal.h"
#include "signalr/protocol/hub_message.h"
#include <assert.h>
#include <stdlib.h>

enum { TURN = 1000 }; /* what a call takes from the bucket, which so fills by whole parts each ms */

struct hub_call {
    struct hub_call *next;
    uint64_t number;
    void *data;              /* the host's; NULL: none */
    struct hub_buf *waiting; /* its last message, which the queue has no room for yet */
    bool stream;
    bool resume; /* an item had to wait */
    size_t id_len;
    char id[]; /* the client's; unescaped */
};

struct hub_calls {
    struct hub_call *first, **end; /* oldest first */
    unsigned open;
    uint64_t bucket, filled_ms;
};

/* NULL: no memory. */
static struct hub_calls *calls_of(struct hub_connection *c)
{
    const struct signalr_server *s = c->server;

    if (c->calls != NULL || (c->calls = calloc(1, sizeof *c->calls)) == NULL)
        return c->calls;
    c->calls->end = &c->calls->first;
    c->calls->bucket = (uint64_t)s->options.call_burst * TURN;
    c->calls->filled_ms = uv_now(s->loop);
    return c->calls;
}

static struct slice id_of(const struct hub_call *call)
{
    return (struct slice){call->id, call->id_len};
}

static struct hub_call *find(const struct hub_connection *c, uint64_t number)
{
    struct hub_call *call = c->calls == NULL ? NULL : c->calls->first;

    while (call != NULL && call->number != number)
        call = call->next;
    return call;
}

static void end(struct hub_connection *c, struct hub_call *call)
{
    struct signalr_server *s = c->server;
    struct hub_calls *calls = c->calls;
    struct hub_call **at = &calls->first;
    void *data = call->data;

    while (*at != call)
        at = &(*at)->next;
    *at = call->next;
    if (calls->end == &call->next)
        calls->end = at;
    calls->open--;
    s->open_calls--;
    hub_buf_unref(call->waiting);
    free(call);
    if (data != NULL)
        s->host.call_ended(s->host.arg, data);
}

/* ---- how many, how fast ---- */

bool hub_connection_take_turn(struct hub_connection *c, uint64_t *retry_ms)
{
    struct signalr_server *s = c->server;
    const uint64_t rate = s->options.calls_per_second; /* parts a millisecond, too */
    const uint64_t full = (uint64_t)s->options.call_burst * TURN, now = uv_now(s->loop);
    struct hub_calls *calls = calls_of(c);

    *retry_ms = 0;
    if (rate == 0 || calls == NULL)
        return rate == 0;
    if (now - calls->filled_ms > full / rate)
        calls->bucket = full;
    else
        calls->bucket += (now - calls->filled_ms) * rate;
    if (calls->bucket > full)
        calls->bucket = full;
    calls->filled_ms = now;
    if (calls->bucket >= TURN) {
        calls->bucket -= TURN;
        return true;
    }
    *retry_ms = (TURN - calls->bucket + rate - 1) / rate;
    s->stats.calls_too_fast++;
    return false;
}

static void refuse_id(struct hub_connection *c, struct slice id)
{
    struct byte_buf text = {0};

    byte_buf_puts(&text, "Invocation ID '");
    byte_buf_put(&text, id);
    byte_buf_puts(&text, "' is already in use.");
    hub_connection_send_new(
        c, byte_buf_failed(&text)
               ? NULL
               : hub_message_completion(id, (struct slice){0}, byte_buf_slice(&text)));
    byte_buf_free(&text);
}

enum hub_keep hub_connection_keep(struct hub_connection *c, const struct hub_invocation *inv,
                                  uint64_t *number)
{
    struct signalr_server *s = c->server;
    struct hub_calls *calls = calls_of(c);
    struct hub_call *call;

    if (calls == NULL)
        return HUB_KEEP_NOMEM;
    if (s->options.max_open_calls > 0 && calls->open >= s->options.max_open_calls) {
        s->stats.calls_too_many++;
        return HUB_KEEP_TOO_MANY;
    }
    for (call = calls->first; inv->stream && call != NULL; call = call->next)
        if (call->stream && slice_eq(id_of(call), inv->invocation_id)) {
            refuse_id(c, inv->invocation_id);
            return HUB_KEEP_ID_IN_USE;
        }
    call = calloc(1, sizeof *call + inv->invocation_id.len);
    if (call == NULL)
        return HUB_KEEP_NOMEM;
    call->number = *number = ++s->next_call;
    call->stream = inv->stream;
    call->id_len = inv->invocation_id.len;
    if (call->id_len > 0)
        memcpy(call->id, inv->invocation_id.ptr, call->id_len);
    *calls->end = call;
    calls->end = &call->next;
    calls->open++;
    s->open_calls++;
    return HUB_KEPT;
}

bool hub_connection_set_call_data(struct hub_connection *c, uint64_t number, void *data)
{
    struct hub_call *call = find(c, number);

    if (call == NULL)
        return false;
    assert(call->data == NULL && c->server->host.call_ended != NULL);
    call->data = data;
    return true;
}

/* ---- answers ---- */

/* Whether message may be queued now; else the drain is awaited. */
static bool has_room(struct hub_connection *c, struct hub_buf *message)
{
    size_t len;

    hub_buf_bytes(message, &len);
    if (ws_conn_has_room(c->ws, len))
        return true;
    ws_conn_await_drain(c->ws);
    return false;
}

static struct hub_buf *last_message(const struct hub_call *call, struct slice result,
                                    const char *error)
{
    if (call->stream && error == NULL)
        return hub_message_stream_end(id_of(call));
    return hub_message_completion(id_of(call), result, slice_of(error));
}

void hub_connection_answer(struct hub_connection *c, uint64_t number, struct slice result,
                           const char *error)
{
    struct hub_call *call = find(c, number);
    struct hub_buf *message;

    if (call == NULL || call->waiting != NULL || c->state != CONN_OPEN)
        return;
    if (call->id_len > 0) {
        message = last_message(call, result, error);
        if (message != NULL && !has_room(c, message)) {
            call->waiting = message;
            return;
        }
        hub_connection_send_new(c, message);
    }
    end(c, call);
}

enum hub_item hub_connection_item(struct hub_connection *c, uint64_t number, struct slice item)
{
    struct hub_call *call = find(c, number);
    struct hub_buf *message;

    if (call == NULL || call->waiting != NULL || c->state != CONN_OPEN)
        return HUB_ITEM_GONE;
    assert(call->stream);
    message = hub_message_stream_item(id_of(call), item);
    if (message != NULL && !has_room(c, message)) {
        hub_buf_unref(message);
        call->resume = true;
        return HUB_ITEM_LATER;
    }
    hub_connection_send_new(c, message);
    return c->state == CONN_OPEN ? HUB_ITEM_SENT : HUB_ITEM_GONE;
}

/* The first behind a number that waits for room. */
static struct hub_call *next_waiting(const struct hub_connection *c, uint64_t behind)
{
    struct hub_call *call = c->calls == NULL ? NULL : c->calls->first;

    while (call != NULL && (call->number <= behind || (call->waiting == NULL && !call->resume)))
        call = call->next;
    return call;
}

/* Each that waited has one turn; the host may end any of them meanwhile. */
void hub_calls_resume(struct hub_connection *c)
{
    struct signalr_server *s = c->server;
    struct hub_call *call = next_waiting(c, 0);

    while (call != NULL && c->state == CONN_OPEN) {
        const uint64_t number = call->number;

        if (call->resume) {
            call->resume = false;
            s->host.stream_resumed(s->host.arg, c, number, call->data);
        } else if (has_room(c, call->waiting)) {
            hub_connection_send(c, call->waiting);
            end(c, call);
        }
        call = next_waiting(c, number);
    }
}

/* ---- the end ---- */

void hub_calls_cancel(struct hub_connection *c, struct slice invocation_id)
{
    struct hub_call *call = c->calls == NULL ? NULL : c->calls->first;

    while (call != NULL && !(call->stream && slice_eq(id_of(call), invocation_id)))
        call = call->next;
    if (call == NULL || call->waiting != NULL) /* unknown, or over but for its last message */
        return;
    hub_connection_send_new(c, hub_message_stream_end(id_of(call)));
    end(c, call);
}

void hub_calls_free(struct hub_connection *c)
{
    while (c->calls != NULL && c->calls->first != NULL)
        end(c, c->calls->first);
    free(c->calls);
    c->calls = NULL;
}
