/* rocketchat/ddp_reassembly_internal.h - chunks of WebSocket messages to whole DDP frames.
 *
 * Thousands of connections share one buffer: a frame mostly arrives whole within one or two chunks
 * that follow each other, so the shared buffer is lent to one connection at a time. When another
 * one needs it while a frame is unfinished, the unfinished part moves to a buffer of its own, which
 * lives until that frame is done. A frame that comes in one chunk is not copied at all.
 *
 * No I/O; single-threaded. */
#ifndef ROCKETCHAT_DDP_REASSEMBLY_INTERNAL_H
#define ROCKETCHAT_DDP_REASSEMBLY_INTERNAL_H

#include "base/byte_buf.h"

struct ddp_partial {
    struct byte_buf *_own; /* NULL: nothing begun, or begun in the shared buffer */
    bool _begun;
};

struct ddp_reassembly {
    size_t max_frame_bytes;
    struct byte_buf _shared;
    struct ddp_partial *_holder; /* whose unfinished frame is in _shared; NULL: nobody's */
};

enum ddp_chunk_result {
    DDP_CHUNK_MORE,      /* kept; the frame goes on */
    DDP_CHUNK_WHOLE,     /* *frame is whole, valid until ddp_reassembly_done() */
    DDP_CHUNK_TOO_LARGE, /* the frame is, or announces to be, longer than allowed: close */
    DDP_CHUNK_NOMEM,
};

/* announced: bytes that are known to follow, but for which there is no proof yet. */
enum ddp_chunk_result ddp_reassembly_feed(struct ddp_reassembly *r, struct ddp_partial *p,
                                          struct slice chunk, size_t announced, bool last,
                                          struct slice *frame);
/* After DDP_CHUNK_WHOLE, and when a connection ends: drops what p holds. */
void ddp_reassembly_done(struct ddp_reassembly *r, struct ddp_partial *p);
void ddp_reassembly_free(struct ddp_reassembly *r);

#endif
