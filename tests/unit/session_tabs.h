/* tests/unit/session_tabs.h - tabs of a live user, on top of session_fakes.h: they come, are sent
 * what the session pushes, are lost and leave. Include once, in the test's only source file. */
#ifndef TESTS_UNIT_SESSION_TABS_H
#define TESTS_UNIT_SESSION_TABS_H

#include "session_fakes.h"

static inline int start_tabs(void **state)
{
    (void)state;
    world_start();
    set_replay();
    go_live_now();
    detach(0, 1);
    forget_pushes();
    return 0;
}

/* ---- tabs ---- */

static struct tab {
    struct hub_receipt receipt;
    uint64_t client;
} tabs[10];

static inline uint32_t length_of(uint64_t number)
{
    struct hub_buf *message = replay_ring_at(&session()->ring, number);
    size_t len = 0;

    if (message != NULL)
        hub_buf_bytes(message, &len);
    return (uint32_t)len;
}

/* As audience.c attaches one; n names it. */
static inline void come(unsigned n, uint64_t client)
{
    struct session_who who = {
        .key = slice_of(user_key), .username = SLICE_LIT("ana"), .client = client};

    memset(w.told_one, 0, sizeof w.told_one);
    assert_int_equal(session_table_attach(w.table, &who, 0, n), SESSION_ATTACHED);
    settle();
    tabs[n] = (struct tab){.client = client};
    hub_receipt_start(&tabs[n].receipt, w.start.from, w.start.torn, 0);
}

/* Everything up to now has gone into its socket. */
static inline void sent(unsigned n)
{
    struct hub_receipt *r = &tabs[n].receipt;

    while (r->last < session()->ring.last)
        hub_receipt_sent(r, r->last + 1, r->end, r->end + length_of(r->last + 1));
}

static inline void lose_all_but(unsigned n, uint32_t unacked, uint32_t unsent)
{
    struct session_loss loss = {.client = tabs[n].client};

    if (!tabs[n].receipt.closed)
        sent(n);
    hub_receipt_close(&tabs[n].receipt, tabs[n].receipt.end, unacked, unsent);
    loss.receipt = tabs[n].receipt;
    session_table_detach(w.table, slice_of(user_key), 0, n, &loss);
    settle();
}

static inline void lose(unsigned n, uint32_t unacked)
{
    lose_all_but(n, unacked, 0);
}

static inline void leave(unsigned n)
{
    detach(0, n);
}

static inline void say(const char *text)
{
    char args[64];

    snprintf(args, sizeof args, "[{\"_id\":\"%s\"}]", text);
    event("message", args);
}

/* The ids the last one to come was told, in order, as "a b c "; resyncs by their reason. */
static inline const char *told(void)
{
    static char ids[1024];

    ids[0] = '\0';
    for (const char *p = w.told_one; (p = strpbrk(p, "_r")) != NULL; p++) {
        char id[64];

        if (sscanf(p, "_id\":\"%63[^\"]", id) == 1 || sscanf(p, "reason\":\"%63[^\"]", id) == 1)
            snprintf(ids + strlen(ids), sizeof ids - strlen(ids), "%s ", id);
    }
    return ids;
}

static inline uint64_t metric(enum metric which)
{
    return atomic_load(&metrics_block(w.metrics, 0)->values[which]);
}

#endif
