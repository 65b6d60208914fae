/* base/slice.h - a borrowed run of bytes: not NUL-terminated, never freed through the slice. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct slice {
    const char *ptr; /* may be NULL when len is 0 */
    size_t len;      /* bytes */
};

#define SLICE_LIT(literal) ((struct slice){(literal), sizeof(literal) - 1})

static inline struct slice slice_of(const char *s)
{
    return (struct slice){s, s == NULL ? 0 : strlen(s)};
}

static inline bool slice_eq(struct slice a, struct slice b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/* ASCII case folded; what hub method names, header names and query keys need. */
bool slice_eq_nocase(struct slice a, struct slice b);

/* Without the bytes of set, a text, at both ends. */
struct slice slice_trim(struct slice s, const char *set);

/* Takes prefix (suffix) off *s. False: it is not there, and *s stays. */
bool slice_cut_prefix(struct slice *s, struct slice prefix);
bool slice_cut_suffix(struct slice *s, struct slice suffix);

/* Decimal digits and nothing else, of a value up to max. False: not so, and *out stays. */
bool slice_read_digits(struct slice s, uint64_t max, uint64_t *out);

/* A NUL-terminated copy the caller frees; NULL: no memory. */
char *slice_dup(struct slice s);

#endif
