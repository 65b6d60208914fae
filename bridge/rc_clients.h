/* bridge/rc_clients.h - the clients of Rocket.Chat's two sides, as the settings describe them.
 *
 * A shard has them, and the doctor. */
#ifndef BRIDGE_RC_CLIENTS_H
#define BRIDGE_RC_CLIENTS_H

#include "bridge/settings/rc_address.h"
#include "rocketchat/rest_client.h"
#include <uv.h>

struct ddp_client;
struct settings;

/* What every client of the REST side has in common; base_url is filled, and pointed to. */
struct rest_client_options rc_clients_rest(const struct settings *settings,
                                           char base_url[RC_ADDRESS_URL_MAX]);

/* 0, or a negative libuv error; what was opened before it is in place then, the rest is NULL. */
int rc_clients_open(uv_loop_t *loop, const struct settings *settings, struct ddp_client **ddp,
                    struct rest_client **rest);

#endif
