/* What the client of a connection that was lost, or may be, has of the messages sent to it. */
#include "signalr/http/ws_conn.h"
#include "signalr/hub/hub_internal.h"
#include <stdlib.h>

enum { AGAIN_PART = 16 }; /* of the time from look to look: far from what a client gives up after */

static void measure(const struct hub_connection *c, struct hub_receipt *r)
{
    struct ws_unacked unacked = ws_conn_unacked(c->ws);

    hub_receipt_close(r, ws_conn_pushed(c->ws), unacked.all, unacked.unsent);
}

void hub_loss_close(struct hub_connection *c)
{
    measure(c, &c->receipt);
}

/* All of the stream up to `offset` has been acknowledged. */
static bool is_acked(const struct hub_receipt *now, uint32_t offset)
{
    const uint32_t acked = now->end + now->behind - now->unacked;

    return (int32_t)(acked - offset) >= 0;
}

static uint32_t end_of(const struct hub_doubt *doubt)
{
    return doubt->receipt.end + doubt->receipt.behind;
}

static void end_doubt(struct hub_connection *c)
{
    free(c->doubt);
    c->doubt = NULL;
}

void hub_loss_look(struct hub_connection *c, uint64_t now_ms)
{
    const unsigned keepalive_ms = c->server->options.keepalive_ms;
    const uint64_t last_look_ms = c->due_ms - keepalive_ms;
    struct hub_receipt now = c->receipt;

    measure(c, &now);
    if (c->doubt != NULL && c->heard_ms >= last_look_ms && is_acked(&now, end_of(c->doubt)))
        end_doubt(c);
    if (c->doubt != NULL || now.unacked == 0)
        return;
    c->doubt = malloc(sizeof *c->doubt);
    if (c->doubt == NULL)
        return; /* its last word is believed */
    *c->doubt = (struct hub_doubt){
        .receipt = now,
        .again_ms = is_acked(&now, c->pinged_to) ? now_ms + keepalive_ms / AGAIN_PART : UINT64_MAX,
    };
}

void hub_loss_look_again(struct hub_connection *c)
{
    struct hub_receipt now = c->receipt;

    measure(c, &now);
    c->doubt->again_ms = UINT64_MAX;
    if (is_acked(&now, end_of(c->doubt)))
        end_doubt(c);
}

bool hub_loss_spares(struct hub_connection *c, uint64_t now_ms)
{
    struct hub_receipt now = c->receipt;

    measure(c, &now);
    if (c->doubt == NULL || c->doubt->lived_ms != 0 || !is_acked(&now, end_of(c->doubt)))
        return false;
    c->doubt->lived_ms = now_ms;
    return true;
}

const struct hub_receipt *hub_connection_receipt(const struct hub_connection *c)
{
    return c->doubt != NULL ? &c->doubt->receipt : &c->receipt;
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
    hub_connection_receipt_now(c, out);
    if (c->state == CONN_CLOSING)
        return hub_connection_may_return(c, acks_are_the_clients);
    if (c->ws != NULL && ws_conn_is_lost(c->ws)) /* its client may be back before its end is told */
        return true;
    if (!acks_are_the_clients) /* what it was sent since it last lived for certain */
        return out->alive < out->last || (out->torn && out->alive == out->first);
    return c->doubt != NULL || !hub_receipt_is_complete(out);
}
