#include "signalr/transport/websocket.h"
#include "signalr/http/http_server.h"
#include "signalr/http/ws_conn.h"
#include "signalr/hub/hub_connection.h"
#include <stdlib.h>

#define WS_CLOSE_GOING_AWAY 1001 /* RFC 6455 7.4.1: what browsers send when a page is left */

static void on_data(struct ws_conn *ws, void *arg, const uint8_t *bytes, size_t len)
{
    (void)ws;
    hub_connection_received(arg, (struct slice){(const char *)bytes, len});
}

static enum hub_end reason_of(enum ws_end how)
{
    switch (how) {
    case WS_END_CLEAN:
        return HUB_END_CLIENT;
    case WS_END_LOST:
        return HUB_END_LOST;
    case WS_END_PROTOCOL:
        return HUB_END_PROTOCOL;
    case WS_END_TIMEOUT: /* it took no bytes; had we closed, the reason would stand already */
        return HUB_END_SLOW;
    }
    abort();
}

static void on_end(struct ws_conn *ws, void *arg, enum ws_end how, unsigned code)
{
    (void)ws;
    hub_connection_transport_ended(arg, reason_of(how), code == WS_CLOSE_GOING_AWAY);
}

static void on_drained(struct ws_conn *ws, void *arg)
{
    (void)ws;
    hub_connection_drained(arg);
}

struct ws_conn *websocket_attach(struct http_request *req, struct hub_connection *c)
{
    static const struct ws_callbacks callbacks = {
        .on_data = on_data, .on_end = on_end, .on_drained = on_drained};

    return http_upgrade(req, &callbacks, c);
}
