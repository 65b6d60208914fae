/* bridge/log/log_repeats.h - holds back log lines that say what was just said.
 *
 * A table of recent lines by hash; time is passed in. Not thread-safe: the log's lock guards it. */
#ifndef BRIDGE_LOG_LOG_REPEATS_H
#define BRIDGE_LOG_LOG_REPEATS_H

#include "bridge/log/log_format.h"

#define LOG_REPEAT_SLOTS 64

struct log_repeats {
    unsigned window_ms;
    unsigned waiting; /* slots that hold something back */
    struct log_repeat {
        uint64_t hash;
        uint64_t opened_ms; /* when the first of its kind was written; 0: slot unused */
        unsigned held;
        struct log_line last;
    } slots[LOG_REPEAT_SLOTS];
};

/* What counts as the same: event, level, texts and ids, not numbers. */
uint64_t log_repeats_hash(enum settings_log_level level, const char *event,
                          const struct log_field *fields);

/* True: held back. False: write it; when *before has bytes, write those first. now_ms > 0. */
bool log_repeats_hold(struct log_repeats *r, uint64_t hash, const struct log_line *line,
                      uint64_t now_ms, struct log_line *before);

/* The next summary that is due, or any that waits when all is set. False: none. */
bool log_repeats_next(struct log_repeats *r, uint64_t now_ms, bool all, struct log_line *out);

#endif
