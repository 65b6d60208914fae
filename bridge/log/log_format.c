#include "bridge/log/log_format.h"
#include "base/hash.h"
#include "base/utf8.h"
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define TAIL_ROOM 16 /* ,"cut":true}\n */

struct writer {
    struct log_line *line;
    size_t end; /* nothing is written at or past it */
    bool full;
};

static void put(struct writer *w, const char *bytes, size_t len)
{
    if (w->full || len > w->end - w->line->len) {
        w->full = true;
        return;
    }
    memcpy(w->line->bytes + w->line->len, bytes, len);
    w->line->len += len;
}

static void puts_(struct writer *w, const char *text)
{
    put(w, text, strlen(text));
}

/* Length of the UTF-8 sequence at s, its code point in *out; 0: not UTF-8. */
static size_t decode(struct slice s, uint32_t *out)
{
    const unsigned char *p = (const unsigned char *)s.ptr;
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;

    if (len > s.len || !utf8_valid(p, len))
        return 0;
    *out = len == 1 ? p[0] : p[0] & (0xffu >> (len + 1));
    for (size_t i = 1; i < len; i++)
        *out = *out << 6 | (p[i] & 0x3fu);
    return len;
}

/* C0, DEL and C1; line and paragraph separators; marks that reorder what a reader sees. */
static bool is_unsafe(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c <= 0x9f) || c == 0x2028 || c == 0x2029 ||
           (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069) || c == 0x200e ||
           c == 0x200f || c == 0x61c;
}

static void put_quoted(struct writer *w, struct slice s)
{
    bool cut = s.len > LOG_VALUE_MAX;

    if (cut)
        s.len = LOG_VALUE_MAX;
    puts_(w, "\"");
    while (s.len > 0) {
        uint32_t c = 0;
        size_t len = decode(s, &c);
        char escape[8];

        if (len == 0) {
            puts_(w, "\\ufffd");
            len = 1;
        } else if (c == '"' || c == '\\') {
            escape[0] = '\\';
            escape[1] = (char)c;
            put(w, escape, 2);
        } else if (is_unsafe(c)) {
            snprintf(escape, sizeof escape, "\\u%04x", (unsigned)c);
            puts_(w, escape);
        } else {
            put(w, s.ptr, len);
        }
        s.ptr += len;
        s.len -= len;
    }
    puts_(w, cut ? "...\"" : "\"");
}

/* A word that can stand in a text line without quotes. */
static bool is_plain(struct slice s)
{
    if (s.len == 0 || s.len > LOG_VALUE_MAX)
        return false;
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] > '~' || s.ptr[i] == '"' || s.ptr[i] == '\\' ||
            s.ptr[i] == '=')
            return false;
    return true;
}

struct slice log_format_identity(enum settings_log_identity how, struct slice identity,
                                 char out[LOG_IDENTITY_MAX])
{
    static const char domain[] = "log identity:"; /* no other hash of a key shows here */
    char keyed[sizeof domain - 1 + LOG_IDENTITY_MAX];

    if (identity.len > LOG_IDENTITY_MAX)
        identity.len = LOG_IDENTITY_MAX;
    switch (how) {
    case LOG_IDENTITY_PLAIN:
        if (identity.len > 0)
            memcpy(out, identity.ptr, identity.len);
        return (struct slice){out, identity.len};
    case LOG_IDENTITY_HASH:
        memcpy(keyed, domain, sizeof domain - 1);
        if (identity.len > 0)
            memcpy(keyed + sizeof domain - 1, identity.ptr, identity.len);
        snprintf(out, LOG_IDENTITY_MAX, "#%012" PRIx64,
                 hash_bytes(keyed, sizeof domain - 1 + identity.len) >> 16);
        return slice_of(out);
    case LOG_IDENTITY_NONE:
        break;
    }
    out[0] = '-';
    return (struct slice){out, 1};
}

static void put_number(struct writer *w, const struct log_field *f)
{
    char text[24];

    if (f->kind == LOG_KIND_UINT)
        snprintf(text, sizeof text, "%" PRIu64, (uint64_t)f->number);
    else
        snprintf(text, sizeof text, "%" PRId64, f->number);
    puts_(w, text);
}

static void put_value(struct writer *w, const struct log_style *style, const struct log_field *f)
{
    char identity[LOG_IDENTITY_MAX];
    struct slice text = f->text;

    switch (f->kind) {
    case LOG_KIND_ID:
        text = log_format_identity(style->identity, text, identity);
        /* fall through */
    case LOG_KIND_TEXT:
        if (style->format == LOG_FORMAT_TEXT && is_plain(text))
            put(w, text.ptr, text.len);
        else
            put_quoted(w, text);
        break;
    case LOG_KIND_INT:
    case LOG_KIND_UINT:
        put_number(w, f);
        break;
    case LOG_KIND_BOOL:
        puts_(w, f->number != 0 ? "true" : "false");
        break;
    case LOG_KIND_END:
        break;
    }
}

static void put_key(struct writer *w, enum settings_log_format format, const char *key)
{
    puts_(w, format == LOG_FORMAT_JSON ? ",\"" : " ");
    puts_(w, key);
    puts_(w, format == LOG_FORMAT_JSON ? "\":" : "=");
}

static void put_head(struct writer *w, enum settings_log_format format,
                     enum settings_log_level level, const char *event, int64_t wall_ms)
{
    static const char *const levels[] = {"error", "warn", "info", "debug"};
    bool json = format == LOG_FORMAT_JSON;
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    char stamp[64], date[32];

    gmtime_r(&seconds, &tm);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(stamp, sizeof stamp, "%s.%03dZ", date, (int)(wall_ms % 1000));
    puts_(w, json ? "{\"ts\":\"" : "");
    puts_(w, stamp);
    puts_(w, json ? "\",\"level\":\"" : " ");
    puts_(w, levels[level]);
    puts_(w, json ? "\",\"event\":\"" : " ");
    puts_(w, event);
    puts_(w, json ? "\"" : "");
}

void log_format(const struct log_style *style, enum settings_log_level level, const char *event,
                const struct log_field *fields, int64_t wall_ms, struct log_line *out)
{
    struct writer w = {.line = out, .end = LOG_LINE_MAX - TAIL_ROOM};
    bool cut = false;

    out->len = 0;
    put_head(&w, style->format, level, event, wall_ms);
    for (; fields->kind != LOG_KIND_END; fields++) {
        size_t before = out->len;

        put_key(&w, style->format, fields->key);
        put_value(&w, style, fields);
        if (w.full) { /* all of a field or nothing */
            out->len = before;
            w.full = false;
            cut = true;
        }
    }
    w.end = LOG_LINE_MAX;
    if (cut)
        puts_(&w, style->format == LOG_FORMAT_JSON ? ",\"cut\":true" : " cut=true");
    puts_(&w, style->format == LOG_FORMAT_JSON ? "}\n" : "\n");
}
