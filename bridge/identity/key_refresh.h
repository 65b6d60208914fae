/* bridge/identity/key_refresh.h - brings new JWKS keys to every shard.
 *
 * The source (jwks_source.h) lives on shard 0. Each new snapshot goes to all shards by mail; a
 * shard that meets a token of an unknown key asks shard 0 to look again (at most every 30 s there).
 * The request that asked is refused meanwhile, as ASP.NET Core does it: its client tries again. */
#ifndef BRIDGE_IDENTITY_KEY_REFRESH_H
#define BRIDGE_IDENTITY_KEY_REFRESH_H

#include "bridge/identity/jwks_source.h"

struct key_refresh;
struct program;
struct settings;

struct jwks_source_options key_refresh_options(const struct settings *settings); /* borrowed */

/* On shard 0's loop, before it runs. 0 or a negative libuv error. */
int key_refresh_open(struct program *program, struct key_refresh **out);
void key_refresh_ask(struct key_refresh *k); /* any thread, while HTTP is served */
void key_refresh_close(struct key_refresh *k, void (*done)(void *arg), void *arg); /* on shard 0 */

#endif
