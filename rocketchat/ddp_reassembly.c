#include "rocketchat/ddp_reassembly_internal.h"
#include <stdlib.h>

/* What the shared buffer keeps between frames; a giant's memory goes back at once. */
enum { SHARED_KEEP_BYTES = 64 * 1024 };

/* Moves the holder's unfinished frame out of the shared buffer. */
static bool evict(struct ddp_reassembly *r)
{
    struct ddp_partial *p = r->_holder;

    p->_own = calloc(1, sizeof *p->_own);
    if (p->_own == NULL)
        return false;
    byte_buf_put(p->_own, byte_buf_slice(&r->_shared));
    if (byte_buf_failed(p->_own)) {
        free(p->_own);
        p->_own = NULL;
        return false;
    }
    byte_buf_clear(&r->_shared);
    r->_holder = NULL;
    return true;
}

/* The buffer that p's frame grows in. */
static struct byte_buf *buffer_of(struct ddp_reassembly *r, struct ddp_partial *p)
{
    if (p->_own != NULL)
        return p->_own;
    if (r->_holder != p) {
        if (r->_holder != NULL && !evict(r))
            return NULL;
        byte_buf_clear(&r->_shared);
        r->_holder = p;
    }
    return &r->_shared;
}

enum ddp_chunk_result ddp_reassembly_feed(struct ddp_reassembly *r, struct ddp_partial *p,
                                          struct slice chunk, size_t announced, bool last,
                                          struct slice *frame)
{
    struct byte_buf *b;
    size_t have;

    if (!p->_begun && last && chunk.len <= r->max_frame_bytes) {
        *frame = chunk;
        return DDP_CHUNK_WHOLE;
    }
    b = buffer_of(r, p);
    if (b == NULL)
        return DDP_CHUNK_NOMEM;
    have = b->len;
    if (chunk.len > r->max_frame_bytes - have || announced > r->max_frame_bytes - have - chunk.len)
        return DDP_CHUNK_TOO_LARGE;
    p->_begun = true;
    byte_buf_put(b, chunk);
    if (byte_buf_failed(b))
        return DDP_CHUNK_NOMEM;
    *frame = byte_buf_slice(b);
    return last ? DDP_CHUNK_WHOLE : DDP_CHUNK_MORE;
}

void ddp_reassembly_done(struct ddp_reassembly *r, struct ddp_partial *p)
{
    if (p->_own != NULL) {
        byte_buf_free(p->_own);
        free(p->_own);
    }
    if (r->_holder == p) {
        r->_holder = NULL;
        if (r->_shared.cap > SHARED_KEEP_BYTES)
            byte_buf_free(&r->_shared);
        byte_buf_clear(&r->_shared);
    }
    *p = (struct ddp_partial){0};
}

void ddp_reassembly_free(struct ddp_reassembly *r)
{
    byte_buf_free(&r->_shared);
}
