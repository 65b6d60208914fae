/* signalr/hub/hub_token.h - connection tokens and ids: 16 random bytes as 22 base64url characters.
 *
 * A token is a secret: who has it can attach to the connection. An id is public. Both come from the
 * kernel's generator and tell nothing about each other. Facts: signalr.md 1.2. */
#ifndef SIGNALR_HUB_HUB_TOKEN_H
#define SIGNALR_HUB_HUB_TOKEN_H

#include "base/slice.h"

#define HUB_TOKEN_LEN 22

/* Draws until home_of() is shard. False: the kernel gave no random bytes. */
bool hub_token_draw(char out[HUB_TOKEN_LEN], unsigned shard, unsigned nshards);

#endif
