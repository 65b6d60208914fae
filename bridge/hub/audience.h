/* bridge/hub/audience.h - the connections' side of a user's session.
 *
 * When a hub connection opens, it attaches to its user's session on that user's shard; what the
 * session pushes arrives here by mail and goes to the connections that have been attached. A
 * connection is joined to its user (and so becomes addressable) only when the session's answer has
 * arrived, in the same FIFO as the pushes: nothing overtakes it and nothing is heard twice.
 *
 * It detaches when both have come, the answer and its end; with the end goes what it had received
 * by then, if it may come back for the rest. One that ended first is remembered until the answer.
 */
#ifndef BRIDGE_HUB_AUDIENCE_H
#define BRIDGE_HUB_AUDIENCE_H

#include "base/slice.h"
#include "bridge/session/session_table.h"
#include <stdint.h>

struct shard;
struct hub_connection;
struct mail;
struct audience_ended;
struct hub_buf;

struct audience {
    struct audience_ended *ended; /* connections that ended before they were answered */
};

void audience_connected(struct shard *s, struct hub_connection *c);
/* drained: we closed it because we stop. */
void audience_disconnected(struct shard *s, struct hub_connection *c, bool drained);

/* The session's answer, on the connection's shard. key: the user's. */
void audience_attached(struct shard *s, unsigned session_shard, struct slice key, uint64_t serial,
                       const struct session_start *start);
/* To the user's connections but for those that came fresh since then; while there are HTTP servers.
 */
void audience_send_missed(struct shard *s, struct slice key, uint64_t since_ms,
                          struct hub_buf *message);
void audience_refused(struct shard *s, uint64_t serial, enum session_attach why);

/* The session asks which connections of the user and of that kind may have been lost; it is
 * answered by mail. */
void audience_check(struct shard *s, unsigned session_shard, struct slice key, uint64_t client,
                    uint64_t ticket);

/* The session asks what the user's connections here have received; it is answered by mail. */
void audience_ask_received(struct shard *s, unsigned session_shard, struct slice key,
                           uint64_t ticket);

void audience_close(struct audience *a); /* no answer is to be expected any more */

#endif
