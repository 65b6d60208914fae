#include "base/slice.h"
#include <stdlib.h>

static char fold(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

bool slice_eq_nocase(struct slice a, struct slice b)
{
    if (a.len != b.len)
        return false;
    for (size_t i = 0; i < a.len; i++)
        if (fold(a.ptr[i]) != fold(b.ptr[i]))
            return false;
    return true;
}

static bool is_in(char c, const char *set)
{
    return c != '\0' && strchr(set, c) != NULL;
}

struct slice slice_trim(struct slice s, const char *set)
{
    while (s.len > 0 && is_in(s.ptr[0], set)) {
        s.ptr++;
        s.len--;
    }
    while (s.len > 0 && is_in(s.ptr[s.len - 1], set))
        s.len--;
    return s;
}

bool slice_cut_prefix(struct slice *s, struct slice prefix)
{
    if (prefix.len == 0) /* nothing may be NULL, which has no offsets */
        return true;
    if (s->len < prefix.len || !slice_eq((struct slice){s->ptr, prefix.len}, prefix))
        return false;
    s->ptr += prefix.len;
    s->len -= prefix.len;
    return true;
}

bool slice_cut_suffix(struct slice *s, struct slice suffix)
{
    if (suffix.len == 0)
        return true;
    if (s->len < suffix.len ||
        !slice_eq((struct slice){s->ptr + (s->len - suffix.len), suffix.len}, suffix))
        return false;
    s->len -= suffix.len;
    return true;
}

bool slice_read_digits(struct slice s, uint64_t max, uint64_t *out)
{
    uint64_t value = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        const unsigned digit = (unsigned)(unsigned char)s.ptr[i] - '0';

        if (digit > 9 || digit > max || value > (max - digit) / 10)
            return false;
        value = value * 10 + digit;
    }
    *out = value;
    return true;
}

char *slice_dup(struct slice s)
{
    char *copy = malloc(s.len + 1);

    if (copy == NULL)
        return NULL;
    if (s.len > 0)
        memcpy(copy, s.ptr, s.len);
    copy[s.len] = '\0';
    return copy;
}
