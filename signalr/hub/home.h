/* signalr/hub/home.h - which shard a connection token lives on.
 *
 * Keyed (base/hash.h), so nobody can aim tokens at one shard. Every shard of the process computes
 * the same; it means nothing outside the process. Design section 2. */
#ifndef SIGNALR_HUB_HOME_H
#define SIGNALR_HUB_HOME_H

#include "base/slice.h"

unsigned home_of(struct slice token, unsigned nshards);

#endif
