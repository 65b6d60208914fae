/* bridge/login/login_gate.h - how a session or the admin agent asks the login governor for its
 * turn.
 *
 * The governor (login_governor.h) lives on one shard; the askers live on all of them. So this is a
 * set of messages, not of calls: the host carries them there and back. For every acquire the asker
 * hears exactly once, later, on its own shard: granted (with a road) or refused. Between granted
 * and done the login occupies the governor; every grant is followed by exactly one done. cancel
 * gives up an acquire that is not answered yet; a grant that crosses it is answered by done with
 * RC_CANCELLED. */
#ifndef BRIDGE_LOGIN_LOGIN_GATE_H
#define BRIDGE_LOGIN_LOGIN_GATE_H

#include "base/slice.h"
#include "rocketchat/rc_result.h"
#include "rocketchat/rest_client.h"
#include <stdint.h>

enum login_road {
    LOGIN_ROAD_REST, /* POST login */
    LOGIN_ROAD_DDP,  /* `login` with a password on the user's own DDP connection */
};

struct login_gate {
    /* key: the user key, single flight per key. ticket: unique in this process. */
    void (*acquire)(void *arg, struct slice key, uint64_t ticket);
    void (*cancel)(void *arg, uint64_t ticket);
    /* error NULL: logged in. rate: what a REST answer said; NULL where nothing was said. Both are
     * borrowed for the call. */
    void (*done)(void *arg, uint64_t ticket, enum login_road road, const struct rc_error *error,
                 const struct rest_rate *rate);
    void *arg;
};

#endif
