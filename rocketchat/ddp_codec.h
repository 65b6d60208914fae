/* rocketchat/ddp_codec.h - DDP frames to fields and back.
 *
 * Pure: one pass over a received frame validates it as JSON and finds the members a client needs,
 * in any order; nothing is copied. What the client ignores (frames without msg, unknown msg, pong,
 * updated, error) parses to DDP_OTHER. Slices point into the frame; strings are raw JSON text
 * between the quotes, other values raw JSON; ptr NULL: not there, or of another type.
 *
 * Spec: DDP.md and rocketchat.md 1.2 to 1.6. */
#ifndef ROCKETCHAT_DDP_CODEC_H
#define ROCKETCHAT_DDP_CODEC_H

#include "base/slice.h"
#include <stdint.h>

struct byte_buf;

enum ddp_msg {
    DDP_OTHER,
    DDP_CONNECTED,
    DDP_FAILED,
    DDP_PING,
    DDP_RESULT,
    DDP_READY,
    DDP_NOSUB,
    DDP_ADDED,
    DDP_CHANGED,
    DDP_REMOVED,
};

struct ddp_frame {
    enum ddp_msg msg;
    struct slice name;       /* of msg: "changed" */
    struct slice id;         /* string */
    struct slice session;    /* string, of connected */
    struct slice collection; /* string */
    struct slice subs;       /* array, of ready */
    struct slice fields;     /* object */
    struct slice result, error;
    struct slice event_name; /* string, of fields */
    struct slice args;       /* array, of fields; "[]" when missing */
};

/* False: not a JSON object, and then *out says nothing. */
bool ddp_frame_parse(struct slice text, struct ddp_frame *out);

/* The ids we give out: 1 to 2^32 - 1 as decimal text. False: not one of ours. */
bool ddp_id_parse(struct slice raw, uint32_t *id);

/* Writers append one frame. params: the raw JSON array. raw_id: as received; ptr NULL: none. */
void ddp_write_connect(struct byte_buf *out);
void ddp_write_ping(struct byte_buf *out);
void ddp_write_pong(struct byte_buf *out, struct slice raw_id);
void ddp_write_method(struct byte_buf *out, uint32_t id, const char *method, struct slice params);
void ddp_write_sub(struct byte_buf *out, uint32_t id, const char *name, struct slice params);
void ddp_write_unsub(struct byte_buf *out, uint32_t id);

#endif
