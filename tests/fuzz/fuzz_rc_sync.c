/* Any bytes as the answer of messages/get: what is told lies within them, and nothing is told of
 * what is no answer. */
#include "rocketchat/rc_sync.h"
#include <assert.h>
#include <stdint.h>

struct bounds {
    const char *start, *end;
    unsigned told;
};

static void check(struct bounds *b, struct slice s)
{
    assert(s.ptr >= b->start && s.ptr + s.len <= b->end);
    b->told++;
}

static void on_message(void *arg, const struct rc_message *m)
{
    check(arg, m->id);
    check(arg, m->raw);
    assert(m->id.len > 0 && m->raw.len >= 2);
}

static void on_deleted(void *arg, struct slice id, int64_t deleted_ms)
{
    (void)deleted_ms;
    assert(id.len > 0);
    check(arg, id);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct bounds b = {(const char *)data, (const char *)data + len, 0};
    const struct rc_sync_sink sink = {on_message, on_deleted, &b};

    if (!rc_sync_read((struct slice){b.start, len}, &sink))
        assert(b.told == 0);
    return 0;
}
