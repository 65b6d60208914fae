/* bridge/session/repair_post.h - carries repairs between the sessions' shards and the rooms' desks.
 *
 * A room's desk is on shard hash(rid) % N. All mail here is control mail: few (bounded by the rooms
 * under repair), and a lost one would leave a session waiting. */
#ifndef BRIDGE_SESSION_REPAIR_POST_H
#define BRIDGE_SESSION_REPAIR_POST_H

#include "bridge/session/repair_desk.h"
#include <uv.h>

struct shard;

struct repair_post {
    struct shard *shard;
    struct repair_desk *desk; /* of the rooms whose home is this shard */
    uv_timer_t timer;
};

int repair_post_open(struct repair_post *p, struct shard *shard); /* 0 or UV_ENOMEM */
void repair_post_close(struct repair_post *p); /* the timer's handle goes with the loop */
struct repair_gate repair_post_gate(struct repair_post *p);

#endif
