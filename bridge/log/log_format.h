/* bridge/log/log_format.h - one log line, from its fields to bytes.
 *
 *   text   2025-01-31T12:00:00.123Z info ddp_connected user=42@1 session="a b" ms=12
 *   json {"ts":"2025-01-31T12:00:00.123Z","level":"info","event":"ddp_connected","user":"42@1",...}
 *
 * Pure, no allocation. What a peer chose can forge neither a line nor a field, nor move a
 * terminal's cursor: control characters, line separators, direction marks and bytes that are not
 * UTF-8 are escaped. A value longer than LOG_VALUE_MAX is cut, and a field that finds no room is
 * left out with cut=true at the end, so that a JSON line is always whole. */
#ifndef BRIDGE_LOG_LOG_FORMAT_H
#define BRIDGE_LOG_LOG_FORMAT_H

#include "base/slice.h"
#include "bridge/settings/settings.h"
#include <stdint.h>

#define LOG_LINE_MAX 2048
#define LOG_VALUE_MAX 512 /* bytes of a value before escaping */

enum log_kind {
    LOG_KIND_END,
    LOG_KIND_TEXT,
    LOG_KIND_ID,
    LOG_KIND_INT,
    LOG_KIND_UINT,
    LOG_KIND_BOOL
};

struct log_field {
    const char *key; /* our own word: letters, digits, '_' */
    enum log_kind kind;
    struct slice text;
    int64_t number; /* UINT: its bits */
};

struct log_line {
    char bytes[LOG_LINE_MAX]; /* ends with '\n' */
    size_t len;
};

struct log_style {
    enum settings_log_format format;
    enum settings_log_identity identity;
};

/* wall_ms: since the epoch. fields end with LOG_KIND_END. */
void log_format(const struct log_style *style, enum settings_log_level level, const char *event,
                const struct log_field *fields, int64_t wall_ms, struct log_line *out);

/* How the style writes a user's key or name: itself, "#" and 12 hex digits that differ with each
 * process, or "-". Always fits LOG_IDENTITY_MAX; a longer identity is cut. */
#define LOG_IDENTITY_MAX 400
struct slice log_format_identity(enum settings_log_identity how, struct slice identity,
                                 char out[LOG_IDENTITY_MAX]);

#endif
