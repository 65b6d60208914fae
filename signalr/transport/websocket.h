/* signalr/transport/websocket.h - carries a hub connection over a WebSocket.
 *
 * Payload bytes go to the connection as one stream; the connection sends through ws_conn.h itself.
 * Facts: signalr.md 2.2. */
#ifndef SIGNALR_TRANSPORT_WEBSOCKET_H
#define SIGNALR_TRANSPORT_WEBSOCKET_H

struct http_request;
struct hub_connection;
struct ws_conn;

/* Answers the upgrade request. NULL: no memory, and the request was answered. */
struct ws_conn *websocket_attach(struct http_request *req, struct hub_connection *c);

#endif
