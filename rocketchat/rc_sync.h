/* rocketchat/rc_sync.h - the answers of messages/get (DDP) and chat.syncMessages (REST).
 *
 * Pure, one pass over valid JSON. Accepted: {"updated":[...],"deleted":[{"_id","_deletedAt"}]}, the
 * same under "result" (REST's envelope), and a bare list of messages. Facts:
 * rocketchat.md 6.1, 6.4. */
#ifndef ROCKETCHAT_RC_SYNC_H
#define ROCKETCHAT_RC_SYNC_H

#include "rocketchat/rc_event.h"

/* Slices are borrowed from the JSON. fn may be called in any order of the two kinds. */
struct rc_sync_sink {
    void (*message)(void *arg, const struct rc_message *message);
    void (*deleted)(void *arg, struct slice id, int64_t deleted_ms); /* RC_NO_DATE: not told */
    void *arg;
};

/* False: no such answer, and nothing was called. */
bool rc_sync_read(struct slice json, const struct rc_sync_sink *sink);

#endif
