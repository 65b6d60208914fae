/* base/byte_buf.h - a growable byte buffer with a sticky out-of-memory flag.
 *
 * Zero-initialised is empty and valid. Appends after a failure do nothing; check byte_buf_failed()
 * once at the end. A limit of 0 means none; past the limit the buffer fails like out of memory. */
#ifndef BASE_BYTE_BUF_H
#define BASE_BYTE_BUF_H

#include "base/slice.h"
#include <stdint.h>

struct byte_buf {
    char *data; /* owned; NULL when empty */
    size_t len, cap;
    size_t limit; /* bytes; 0: none */
    bool failed;
};

void byte_buf_free(struct byte_buf *b);  /* leaves it empty and usable; the limit stays */
void byte_buf_clear(struct byte_buf *b); /* keeps the memory; forgets a failure */
bool byte_buf_reserve(struct byte_buf *b, size_t more);
void byte_buf_append(struct byte_buf *b, const void *bytes, size_t len);
void byte_buf_put(struct byte_buf *b, struct slice s);
void byte_buf_putc(struct byte_buf *b, char c);
void byte_buf_puts(struct byte_buf *b, const char *s);
void byte_buf_printf(struct byte_buf *b, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void byte_buf_consume(struct byte_buf *b, size_t len); /* drops from the front */
static inline bool byte_buf_failed(const struct byte_buf *b)
{
    return b->failed;
}
static inline struct slice byte_buf_slice(const struct byte_buf *b)
{
    return (struct slice){b->data, b->len};
}

#endif
