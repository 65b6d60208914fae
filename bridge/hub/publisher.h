/* bridge/hub/publisher.h - the sessions' side: carries what sessions say to their users'
 * connections.
 *
 * One mail a shard that holds connections of the user, with a reference to one shared encoded
 * message. Mails between two shards keep their order. When a mailbox is full a push is dropped and
 * the user is remembered; as soon as the lane has room again the session sends resyncRequired
 * behind whatever got through, so that a gap is never silent (design section 2).
 */
#ifndef BRIDGE_HUB_PUBLISHER_H
#define BRIDGE_HUB_PUBLISHER_H

#include "bridge/session/session_table.h"
#include <uv.h>

struct shard;
struct publisher_gap;

struct publisher {
    struct publisher_gap *gaps; /* users a push was dropped for, by (shard, key) */
    uv_timer_t gap_timer;       /* runs while there are gaps */
    struct shard *shard;
};

void publisher_open(struct publisher *p, struct shard *shard);
void publisher_close(struct publisher *p); /* the timer's handle goes with the loop */
struct session_host publisher_session_host(struct publisher *p);

#endif
