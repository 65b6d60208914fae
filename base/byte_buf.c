#include "base/byte_buf.h"
#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { FIRST_CAP = 64 };

void byte_buf_free(struct byte_buf *b)
{
    free(b->data);
    *b = (struct byte_buf){.limit = b->limit};
}

void byte_buf_clear(struct byte_buf *b)
{
    b->len = 0;
    b->failed = false;
}

bool byte_buf_reserve(struct byte_buf *b, size_t more)
{
    size_t need, cap;
    char *data;

    if (b->failed)
        return false;
    if (more <= b->cap - b->len)
        return true;
    if (more > SIZE_MAX / 2 - b->len)
        goto fail;
    need = b->len + more;
    if (b->limit > 0 && need > b->limit)
        goto fail;
    cap = b->cap < FIRST_CAP ? FIRST_CAP : b->cap;
    while (cap < need)
        cap *= 2;
    if (b->limit > 0 && cap > b->limit)
        cap = b->limit;
    data = realloc(b->data, cap);
    if (data == NULL)
        goto fail;
    b->data = data;
    b->cap = cap;
    return true;
fail:
    b->failed = true;
    return false;
}

void byte_buf_append(struct byte_buf *b, const void *bytes, size_t len)
{
    if (len == 0 || !byte_buf_reserve(b, len))
        return;
    memcpy(b->data + b->len, bytes, len);
    b->len += len;
}

void byte_buf_put(struct byte_buf *b, struct slice s)
{
    byte_buf_append(b, s.ptr, s.len);
}

void byte_buf_putc(struct byte_buf *b, char c)
{
    byte_buf_append(b, &c, 1);
}

void byte_buf_puts(struct byte_buf *b, const char *s)
{
    byte_buf_append(b, s, strlen(s));
}

void byte_buf_printf(struct byte_buf *b, const char *format, ...)
{
    va_list args;
    char *text = NULL;
    int len;

    if (b->failed)
        return;
    va_start(args, format);
    len = vasprintf(&text, format, args);
    va_end(args);
    if (len < 0) {
        b->failed = true;
        return;
    }
    byte_buf_append(b, text, (size_t)len);
    free(text);
}

void byte_buf_consume(struct byte_buf *b, size_t len)
{
    assert(len <= b->len);
    b->len -= len;
    if (b->len > 0 && len > 0)
        memmove(b->data, b->data + len, b->len);
}
