#include "rocketchat/rc_dates.h"

#include "base/byte_buf.h"
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

/* Behind the closing quote of the string that opens at i. */
static size_t behind_string(struct slice s, size_t i)
{
    for (i++; i < s.len && s.ptr[i] != '"'; i++)
        if (s.ptr[i] == '\\')
            i++;
    return i < s.len ? i + 1 : s.len;
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

static void write_iso(struct byte_buf *out, struct slice json)
{
    char iso[RC_DATE_ISO_LEN + 1];
    size_t copied = 0, i = 0, end;
    int64_t ms;

    while (i < json.len) {
        if (json.ptr[i] == '"') {
            i = behind_string(json, i);
        } else if (json.ptr[i] == '{' && ejson_date(json, i, &ms, &end) &&
                   rc_date_to_iso(ms, iso)) {
            byte_buf_append(out, json.ptr + copied, i - copied);
            byte_buf_printf(out, "\"%s\"", iso);
            copied = i = end;
        } else {
            i++;
        }
    }
    byte_buf_append(out, json.ptr + copied, json.len - copied);
}

/* Members of messages, rooms, subscriptions and users that are dates. */
static bool holds_date(struct slice key)
{
    static const char *const names[] = {
        "ts",       "_updatedAt", "lm",        "ls",         "lr",    "editedAt", "tlm",
        "pinnedAt", "createdAt",  "lastLogin", "_deletedAt", "until", "closedAt", "jitsiTimeout",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq(key, slice_of(names[i])))
            return true;
    return false;
}

static void write_ejson(struct byte_buf *out, struct slice json)
{
    struct slice key = {0}; /* of the value that comes next; empty: it has none */
    size_t copied = 0, i = 0;

    while (i < json.len) {
        const size_t start = i;
        struct slice text;
        int64_t ms;

        if (json.ptr[i] != '"') {
            if (json.ptr[i] != ':' && strchr(" \t\r\n", json.ptr[i]) == NULL)
                key = (struct slice){0};
            i++;
            continue;
        }
        i = behind_string(json, i);
        if (i - start < 2)
            break; /* no JSON: it ends in an opening quote */
        text = (struct slice){json.ptr + start + 1, i - start - 2};
        if (key.len == 0) {
            key = text; /* if no colon follows, the next byte that counts forgets it */
            continue;
        }
        ms = text.len == RC_DATE_ISO_LEN && holds_date(key) ? rc_date_of_iso(text) : RC_NO_DATE;
        key = (struct slice){0};
        if (ms == RC_NO_DATE)
            continue;
        byte_buf_append(out, json.ptr + copied, start - copied);
        byte_buf_printf(out, "{\"$date\":%" PRId64 "}", ms);
        copied = i;
    }
    byte_buf_append(out, json.ptr + copied, json.len - copied);
}

void rc_dates_write(struct byte_buf *out, struct slice json, enum rc_date_form form)
{
    if (form == RC_DATES_ISO)
        write_iso(out, json);
    else
        write_ejson(out, json);
}
