/* signalr/protocol/hub_json.h - read one hub message of the JSON protocol.
 *
 * Pure: one pass over the body (without its separator), no allocation; everything points into it.
 * Members come in any order (clients put "type" last), unknown ones are skipped, the last of
 * doubled ones counts. Every known member is checked for its type, whatever the message's type is,
 * and each message type for the members it needs, as .NET does. Facts: signalr.md 4.1 to 4.3. */
#ifndef SIGNALR_PROTOCOL_HUB_JSON_H
#define SIGNALR_PROTOCOL_HUB_JSON_H

#include "base/slice.h"
#include <stdint.h>

#define HUB_JSON_MAX_DEPTH 64

enum hub_message_type {
    HUB_INVOCATION = 1,
    HUB_STREAM_ITEM = 2,
    HUB_COMPLETION = 3,
    HUB_STREAM_INVOCATION = 4,
    HUB_CANCEL_INVOCATION = 5,
    HUB_PING = 6,
    HUB_CLOSE = 7,
    HUB_ACK = 8,
    HUB_SEQUENCE = 9,
    HUB_UNKNOWN = 10, /* any other number: ignored, so that newer clients can be served */
};

/* ptr NULL: the member was not there. */
struct hub_json_message {
    enum hub_message_type type;
    struct slice invocation_id; /* raw string text, between the quotes */
    struct slice target;        /* raw string text */
    struct slice arguments;     /* raw JSON array, with its brackets */
    struct slice item, result;  /* raw JSON values */
    struct slice error;         /* raw string text */
    size_t stream_ids;          /* how many upload streams the arguments refer to */
    int64_t sequence_id;
    bool allow_reconnect;
};

/* False: .NET would end the connection for it (bad JSON, "type" missing or no integer, a needed
 * member missing, one of the wrong type, "error" beside "result"). */
bool hub_json_parse(struct slice body, struct hub_json_message *out);

#endif
