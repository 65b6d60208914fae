/* What the client of a connection that was lost, or may be, has of the messages sent to it. */
#include "signalr/http/ws_conn.h"
#include "signalr/hub/hub_internal.h"
#include <stdlib.h>

static void measure(const struct hub_connection *c, struct hub_receipt *r)
{
    struct ws_unacked unacked = ws_conn_unacked(c->ws);

    hub_receipt_close(r, ws_conn_pushed(c->ws), unacked.all, unacked.unsent);
}

void hub_loss_close(struct hub_connection *c)
{
    measure(c, &c->receipt);
}

/* All that was queued when the doubt came up has been acknowledged, and the client lives. */
static bool is_settled(const struct hub_connection *c, const struct hub_receipt *now)
{
    const uint32_t acked = now->end + now->behind - now->unacked;
    const uint64_t since = c->due_ms - c->server->options.keepalive_ms; /* the last look */

    return c->heard_ms >= since && (int32_t)(acked - (c->doubt->end + c->doubt->behind)) >= 0;
}

void hub_loss_look(struct hub_connection *c)
{
    struct hub_receipt now = c->receipt;

    measure(c, &now);
    if (c->doubt != NULL && is_settled(c, &now)) {
        free(c->doubt);
        c->doubt = NULL;
    }
    if (c->doubt != NULL || now.unacked == 0)
        return;
    c->doubt = malloc(sizeof *c->doubt);
    if (c->doubt != NULL) /* else its last word is believed */
        *c->doubt = now;
}

const struct hub_receipt *hub_connection_receipt(const struct hub_connection *c)
{
    return c->doubt != NULL ? c->doubt : &c->receipt;
}

bool hub_connection_may_return(const struct hub_connection *c, bool acks_are_the_clients)
{
    switch ((enum hub_end)c->ended) {
    case HUB_END_LOST:
    case HUB_END_TIMEOUT:
    case HUB_END_PROTOCOL:
    case HUB_END_SLOW:
    case HUB_END_EXPIRED:
    case HUB_END_DRAIN:
        return true;
    case HUB_END_HOST:
        return c->may_return;
    case HUB_END_CLIENT: /* the client of a live page closes, too, when it has heard nothing */
        return !c->for_good &&
               (!acks_are_the_clients || c->doubt != NULL || !hub_receipt_is_complete(&c->receipt));
    case HUB_END_HANDSHAKE:
    case HUB_END_NEND:
        return false;
    }
    abort();
}

void hub_connection_receipt_now(const struct hub_connection *c, struct hub_receipt *out)
{
    *out = *hub_connection_receipt(c);
    if (c->ws != NULL)
        measure(c, out);
}

bool hub_connection_in_doubt(const struct hub_connection *c, bool acks_are_the_clients,
                             struct hub_receipt *out)
{
    const struct signalr_options *o = &c->server->options;
    const uint64_t silence = uv_now(c->server->loop) - c->heard_ms;

    hub_connection_receipt_now(c, out);
    if (c->state == CONN_CLOSING)
        return hub_connection_may_return(c, acks_are_the_clients);
    if (!acks_are_the_clients) /* it has missed a ping: 15 s is every client's default */
        return silence > o->keepalive_ms + o->keepalive_ms / 4;
    return c->doubt != NULL || !hub_receipt_is_complete(out);
}
