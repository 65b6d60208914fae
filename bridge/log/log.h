/* bridge/log/log.h - the program's log: lines to stderr that never make a loop wait.
 *
 *   log_info("session_live", LOG_ID("user", key), LOG_STR("ddp", session), LOG_INT("ms", took));
 *
 * An event name and fields; the same call makes the text line and the JSON line (log_format.h).
 * Write ids, never contents: no token, password or message text at any level. Users go through
 * LOG_ID, so that Log:Identity decides how they show.
 *
 * A line is formatted by its thread and put into a bounded ring under a short lock; a thread of the
 * log's own writes it out. Full ring: the line is dropped, counted and later told. A line like one
 * of the last ten seconds (same event, texts and ids; numbers may differ) is held back, and the
 * last of its kind comes with repeated=N when the time is over. Before log_start() and after
 * log_stop() lines are written directly. Any thread may log at any time. */
#ifndef BRIDGE_LOG_LOG_H
#define BRIDGE_LOG_LOG_H

#include "bridge/log/log_format.h"
#include <stdatomic.h>

struct log_options {
    enum settings_log_level level;
    struct log_style style;
    int fd;             /* 2; tests pass a pipe */
    size_t ring_bytes;  /* 0: 1 MiB */
    unsigned repeat_ms; /* 0: 10 s */
};

int log_start(const struct log_options *options); /* 0, or an errno number. Once at a time */
void log_stop(void);                              /* writes what waits, for at most two seconds */
uint64_t log_dropped(void);                       /* lines, since the process began */
uint64_t log_request_id(void); /* a new one, unique in this process; see LOG_REQUEST */

#define LOG_STR(key, text) LOG_SLICE(key, slice_of(text))
#define LOG_SLICE(key, slice) ((struct log_field){(key), LOG_KIND_TEXT, (slice), 0})
#define LOG_ID(key, slice) ((struct log_field){(key), LOG_KIND_ID, (slice), 0})
#define LOG_INT(key, n) ((struct log_field){(key), LOG_KIND_INT, {NULL, 0}, (int64_t)(n)})
#define LOG_UINT(key, n)                                                                           \
    ((struct log_field){(key), LOG_KIND_UINT, {NULL, 0}, (int64_t)(uint64_t)(n)})
#define LOG_BOOL(key, b) ((struct log_field){(key), LOG_KIND_BOOL, {NULL, 0}, (b) ? 1 : 0})
#define LOG_REQUEST(id) LOG_UINT("request", id) /* ties the lines of one request together */

#define log_error(...) LOG_AT_(LOG_LEVEL_ERROR, __VA_ARGS__)
#define log_warn(...) LOG_AT_(LOG_LEVEL_WARN, __VA_ARGS__)
#define log_info(...) LOG_AT_(LOG_LEVEL_INFO, __VA_ARGS__)
#define log_debug(...) LOG_AT_(LOG_LEVEL_DEBUG, __VA_ARGS__)

extern _Atomic unsigned log_level_; /* private */

static inline bool log_enabled(enum settings_log_level level)
{
    return (unsigned)level <= atomic_load_explicit(&log_level_, memory_order_relaxed);
}

void log_write_(enum settings_log_level level, const char *event, const struct log_field *fields);

#define LOG_END_ ((struct log_field){NULL, LOG_KIND_END, {NULL, 0}, 0})
#define LOG_FIRST_(first, ...) first
#define LOG_REST_(first, ...) __VA_ARGS__
#define LOG_AT_(level, ...)                                                                        \
    do {                                                                                           \
        if (log_enabled(level))                                                                    \
            log_write_(level, LOG_FIRST_(__VA_ARGS__, 0),                                          \
                       (const struct log_field[]){LOG_REST_(__VA_ARGS__, LOG_END_)});              \
    } while (0)

#endif
