/* signalr/hub/hub_connection.h - what a transport tells the hub connection it carries.
 *
 * The other direction is signalr_server.h. The end is told once, never inside a call that
 * the connection made into it; the connection is dead when that returns. */
#ifndef SIGNALR_HUB_HUB_CONNECTION_H
#define SIGNALR_HUB_HUB_CONNECTION_H

#include "signalr/hub/signalr_server.h"

/* Bytes of the client, in order, cut anywhere; borrowed for the call. */
void hub_connection_received(struct hub_connection *c, struct slice bytes);
/* for_good: with HUB_END_CLIENT, the client said that it will not be back (its page went away). */
void hub_connection_transport_ended(struct hub_connection *c, enum hub_end why, bool for_good);
/* What was queued has left, after ws_conn_await_drain(). */
void hub_connection_drained(struct hub_connection *c);

#endif
