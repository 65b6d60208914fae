#include "rocketchat/rc_ejson.h"
#include "rocketchat/rc_date.h"
#include <inttypes.h>

static bool is_date(struct slice name)
{
    static const char *const names[] = {
        "ts", "_updatedAt", "editedAt",        "tlm", "dlm", "pinnedAt", "ls", "lr",
        "lm", "_deletedAt", "webRtcCallEndTs",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (slice_eq(name, slice_of(names[i])))
            return true;
    return false;
}

static size_t behind_space(struct slice s, size_t at)
{
    while (at < s.len && memchr(" \t\r\n", s.ptr[at], 4) != NULL)
        at++;
    return at;
}

/* The text of the string that begins at the quote `at`; *behind: what follows it. */
static struct slice string_at(struct slice s, size_t at, size_t *behind)
{
    size_t end = at + 1;

    while (end < s.len && s.ptr[end] != '"')
        end += s.ptr[end] == '\\' ? 2 : 1;
    if (end > s.len)
        end = s.len;
    *behind = end < s.len ? end + 1 : end;
    return (struct slice){s.ptr + at + 1, end - at - 1};
}

void rc_ejson_of_rest(struct slice s, struct byte_buf *out)
{
    size_t copied = 0, at = 0;

    while (at < s.len) {
        struct slice name, value;
        size_t from, behind;
        int64_t ms;

        if (s.ptr[at] != '"') {
            at++;
            continue;
        }
        name = string_at(s, at, &behind);
        at = behind_space(s, behind);
        if (at == s.len || s.ptr[at] != ':')
            continue; /* a value */
        from = behind_space(s, at + 1);
        at = from;
        if (from == s.len || s.ptr[from] != '"' || !is_date(name))
            continue;
        value = string_at(s, from, &at);
        ms = rc_date_of_iso(value);
        if (ms == RC_NO_DATE)
            continue;
        byte_buf_append(out, s.ptr + copied, from - copied);
        byte_buf_printf(out, "{\"$date\":%" PRId64 "}", ms);
        copied = at;
    }
    if (copied < s.len)
        byte_buf_append(out, s.ptr + copied, s.len - copied);
}
