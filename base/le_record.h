/* base/le_record.h - records of little-endian integers and counted bytes, for files of our own.
 *
 * The reader is bounded by its slice and its errors are sticky: after the first, every read gives
 * zeros or nothing, and le_failed() is true. The writer appends to a byte_buf, whose own flag tells
 * of a lack of memory. */
#ifndef BASE_LE_RECORD_H
#define BASE_LE_RECORD_H

#include "base/byte_buf.h"

struct le_reader {
    struct slice rest;
    bool failed;
};

static inline bool le_failed(const struct le_reader *r)
{
    return r->failed;
}

static inline struct slice le_take(struct le_reader *r, size_t len)
{
    struct slice taken = {r->rest.ptr, len};

    if (r->failed || len > r->rest.len) {
        r->failed = true;
        return (struct slice){0};
    }
    r->rest.ptr += len;
    r->rest.len -= len;
    return taken;
}

/* width: 1 to 8 bytes. */
static inline uint64_t le_read(struct le_reader *r, unsigned width)
{
    struct slice bytes = le_take(r, width);
    uint64_t v = 0;

    for (size_t i = bytes.len; i-- > 0;)
        v = v << 8 | (uint8_t)bytes.ptr[i];
    return v;
}

/* Bytes behind their count. */
static inline struct slice le_read_bytes(struct le_reader *r, unsigned width)
{
    return le_take(r, (size_t)le_read(r, width));
}

static inline void le_write(struct byte_buf *out, unsigned width, uint64_t v)
{
    for (unsigned i = 0; i < width; i++, v >>= 8)
        byte_buf_putc(out, (char)v);
}

/* bytes.len fits into the width. */
static inline void le_write_bytes(struct byte_buf *out, unsigned width, struct slice bytes)
{
    le_write(out, width, bytes.len);
    byte_buf_put(out, bytes);
}

#endif
