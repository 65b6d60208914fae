#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "signalr/hub/hub_internal.h"
#include "signalr/protocol/hub_json.h"
#include "signalr/protocol/hub_message.h"
#include <stdlib.h>

/* The meaning of a raw string text. Most have no escape and are used where they stand; else it is
 * written to *scratch, which moves on. Scratch holds a whole message and meanings are no longer
 * than their texts, so all of one message fit. False: a lone surrogate, which is no text. */
static bool text_of(struct slice raw, char **scratch, struct slice *text)
{
    *text = raw;
    if (raw.len == 0 || memchr(raw.ptr, '\\', raw.len) == NULL)
        return true;
    text->ptr = *scratch;
    if (!json_string_unescape(raw, *scratch, raw.len, &text->len))
        return false;
    *scratch += text->len;
    return true;
}

static void put_quoted(struct byte_buf *b, const char *before, struct slice target,
                       const char *after)
{
    byte_buf_puts(b, before);
    byte_buf_put(b, target);
    byte_buf_puts(b, after);
}

/* Facts: signalr.md 6.3. */
static void put_refusal(struct byte_buf *b, const struct hub_invocation *inv,
                        enum hub_refusal refusal)
{
    switch (refusal) {
    case HUB_REFUSE_UNKNOWN:
        put_quoted(b, "Failed to invoke '", inv->target,
                   "' due to an error on the server. HubException: Method does not exist.");
        return;
    case HUB_REFUSE_ARGUMENTS:
        put_quoted(b, "Failed to invoke '", inv->target, "' due to an error on the server.");
        return;
    case HUB_REFUSE_UNAUTHORIZED:
        put_quoted(b, "Failed to invoke '", inv->target, "' because user is unauthorized");
        return;
    case HUB_REFUSE_NOT_STREAMING:
        put_quoted(b, "The client attempted to invoke the non-streaming '", inv->target,
                   "' method with a streaming invocation.");
        return;
    case HUB_REFUSE_STREAMING:
        put_quoted(b, "The client attempted to invoke the streaming '", inv->target,
                   "' method with a non-streaming invocation.");
        return;
    case HUB_REFUSE_STREAM_IDS:
        put_quoted(b, "An unexpected error occurred invoking '", inv->target, "' on the server.");
        byte_buf_printf(b, " HubException: Client sent %zu stream(s), Hub method expects 0.",
                        inv->stream_ids);
        return;
    case HUB_REFUSE_FAILED:
        put_quoted(b, "An unexpected error occurred invoking '", inv->target, "' on the server.");
        return;
    }
    abort();
}

void hub_connection_refuse(struct hub_connection *c, const struct hub_invocation *inv,
                           enum hub_refusal refusal)
{
    struct byte_buf error = {0};

    if (inv->invocation_id.len == 0)
        return;
    put_refusal(&error, inv, refusal);
    hub_connection_send_new(c, byte_buf_failed(&error)
                                   ? NULL
                                   : hub_message_completion(inv->invocation_id, (struct slice){0},
                                                            byte_buf_slice(&error)));
    byte_buf_free(&error);
}

static void invoke(struct hub_connection *c, const struct hub_json_message *m)
{
    struct signalr_server *s = c->server;
    struct hub_invocation inv = {.arguments = m->arguments,
                                 .stream_ids = m->stream_ids,
                                 .stream = m->type == HUB_STREAM_INVOCATION};
    char *scratch = s->scratch;

    if (!text_of(m->target, &scratch, &inv.target) ||
        !text_of(m->invocation_id, &scratch, &inv.invocation_id)) {
        hub_connection_end(c, HUB_END_PROTOCOL, s->close_error);
        return;
    }
    s->stats.invocations++;
    if (s->host.invoke(s->host.arg, c, &inv))
        return;
    s->stats.unknown_methods++;
    hub_connection_refuse(c, &inv, HUB_REFUSE_UNKNOWN);
}

static void cancel(struct hub_connection *c, const struct hub_json_message *m)
{
    char *scratch = c->server->scratch;
    struct slice id;

    if (text_of(m->invocation_id, &scratch, &id))
        hub_calls_cancel(c, id);
}

void hub_dispatch(struct hub_connection *c, struct slice body)
{
    struct hub_json_message m;

    if (!hub_json_parse(body, &m)) {
        hub_connection_end(c, HUB_END_PROTOCOL, c->server->close_error);
        return;
    }
    c->heard_ms = uv_now(c->server->loop);
    switch (m.type) {
    case HUB_INVOCATION:
    case HUB_STREAM_INVOCATION:
        invoke(c, &m);
        return;
    case HUB_PING: /* not answered: each side pings on its own */
        if (!c->pinged) {
            c->pinged = true;
            hub_connection_rearm(c);
        }
        return;
    case HUB_CLOSE:
        c->for_good = true;
        hub_connection_end(c, HUB_END_CLIENT, c->server->close_plain);
        return;
    case HUB_CANCEL_INVOCATION:
        cancel(c, &m);
        return;
    case HUB_STREAM_ITEM: /* these name a stream, an invocation or a buffer that does not exist */
    case HUB_COMPLETION:
    case HUB_ACK:
    case HUB_SEQUENCE:
    case HUB_UNKNOWN:
        return;
    }
    abort();
}
