#include "rocketchat/rc_iso.h"

#include "rocketchat/rc_date.h"
#include <inttypes.h>
#include <stdio.h>

enum { NUMBER_MAX = 20 };

static size_t skip_space(struct slice s, size_t i)
{
    while (i < s.len && strchr(" \t\r\n", s.ptr[i]) != NULL && s.ptr[i] != '\0')
        i++;
    return i;
}

/* {"$date":n} at i: true, *end behind it. Anything more or other in the object is no date. */
static bool ejson_date(struct slice s, size_t i, int64_t *ms, size_t *end)
{
    static const struct slice key = SLICE_LIT("\"$date\"");
    char digits[NUMBER_MAX + 1];
    size_t n = 0;

    i = skip_space(s, i + 1);
    if (s.len - i < key.len || memcmp(s.ptr + i, key.ptr, key.len) != 0)
        return false;
    i = skip_space(s, i + key.len);
    if (i == s.len || s.ptr[i] != ':')
        return false;
    i = skip_space(s, i + 1);
    while (i < s.len && n < NUMBER_MAX && strchr("-0123456789", s.ptr[i]) != NULL &&
           s.ptr[i] != '\0')
        digits[n++] = s.ptr[i++];
    digits[n] = '\0';
    i = skip_space(s, i);
    if (n == 0 || i == s.len || s.ptr[i] != '}')
        return false;
    *end = i + 1;
    return sscanf(digits, "%" SCNd64, ms) == 1;
}

/* A brace in a string can't be taken for a date's: a quote behind it would have a backslash. */
void rc_iso_of_ejson(struct slice json, struct byte_buf *out)
{
    char iso[RC_DATE_ISO_SIZE];
    size_t copied = 0, i = 0, end;
    const char *brace;
    int64_t ms;

    while (i < json.len && (brace = memchr(json.ptr + i, '{', json.len - i)) != NULL) {
        i = (size_t)(brace - json.ptr);
        if (ejson_date(json, i, &ms, &end) && rc_date_iso(ms, iso)) {
            byte_buf_append(out, json.ptr + copied, i - copied);
            byte_buf_printf(out, "\"%s\"", iso);
            copied = i = end;
        } else {
            i++;
        }
    }
    if (copied < json.len)
        byte_buf_append(out, json.ptr + copied, json.len - copied);
}
