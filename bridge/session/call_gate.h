/* bridge/session/call_gate.h - hub calls on their way from a connection to its user's session, and
 * back.
 *
 * The session may live on another shard, and later on another instance, so a call is a message that
 * says all there is to say, and so is its answer. Each call is answered once, also when the
 * connection is gone meanwhile: then the answer finds nobody. A call that got no answer can be
 * repeated; SendMessage is told from its repetition by the message's id. */
#ifndef BRIDGE_SESSION_CALL_GATE_H
#define BRIDGE_SESSION_CALL_GATE_H

#include "base/slice.h"
#include <stdint.h>

struct hub_method;

struct call_id {
    unsigned shard;  /* of the connection */
    uint64_t serial; /* of the connection */
    uint64_t call;   /* hub_connection_keep()'s number */
};

struct call_request {
    struct call_id id;
    const struct hub_method *method;
    struct slice args;           /* the raw array; hub_args_parse() took it */
    struct slice client_address; /* for REST; empty: not to be told */
};

enum call_answer {
    CALL_RESULT, /* text: raw JSON; empty: null */
    CALL_ITEMS,  /* text: a raw array, each item one of the stream */
    CALL_ERROR,  /* text: what the caller is told (call_error.h) */
};

struct call_gate {
    /* text is borrowed. */
    void (*answer)(void *arg, const struct call_id *id, enum call_answer kind, struct slice text);
    void *arg;
};

#endif
