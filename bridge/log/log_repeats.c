#include "bridge/log/log_repeats.h"
#include "base/hash.h"
#include <stdio.h>

uint64_t log_repeats_hash(enum settings_log_level level, const char *event,
                          const struct log_field *fields)
{
    uint64_t hash = hash_bytes(event, strlen(event)) + level;

    for (; fields->kind != LOG_KIND_END; fields++)
        if (fields->kind == LOG_KIND_TEXT || fields->kind == LOG_KIND_ID)
            hash = hash * 1099511628211u + hash_bytes(fields->text.ptr, fields->text.len);
    return hash;
}

/* The last line of its kind, with the count behind its other fields. */
static void summary(struct log_repeats *r, struct log_repeat *slot, struct log_line *out)
{
    bool json = slot->last.bytes[0] == '{';
    size_t len = slot->last.len - (json ? 2 : 1); /* without "}\n" or "\n" */
    int n;

    memcpy(out->bytes, slot->last.bytes, len);
    n = snprintf(out->bytes + len, LOG_LINE_MAX - len,
                 json ? ",\"repeated\":%u}\n" : " repeated=%u\n", slot->held);
    if (n < 0 || (size_t)n >= LOG_LINE_MAX - len) /* no room: the line as it was */
        *out = slot->last;
    else
        out->len = len + (size_t)n;
    slot->held = 0;
    r->waiting--;
}

bool log_repeats_hold(struct log_repeats *r, uint64_t hash, const struct log_line *line,
                      uint64_t now_ms, struct log_line *before)
{
    struct log_repeat *slot = &r->slots[hash % LOG_REPEAT_SLOTS];
    bool open = slot->opened_ms != 0 && now_ms - slot->opened_ms < r->window_ms;

    before->len = 0;
    if (open && slot->hash == hash) {
        r->waiting += slot->held == 0;
        slot->held++;
        slot->last = *line;
        return true;
    }
    if (slot->held > 0)
        summary(r, slot, before);
    slot->hash = hash;
    slot->opened_ms = now_ms;
    return false;
}

bool log_repeats_next(struct log_repeats *r, uint64_t now_ms, bool all, struct log_line *out)
{
    for (size_t i = 0; r->waiting > 0 && i < LOG_REPEAT_SLOTS; i++) {
        struct log_repeat *slot = &r->slots[i];

        if (slot->held == 0 || (!all && now_ms - slot->opened_ms < r->window_ms))
            continue;
        summary(r, slot, out);
        slot->opened_ms = 0;
        return true;
    }
    return false;
}
