/* tests/unit/room_feed_history.h - what a seed makes: what is done in some rooms, and what becomes
 * of the events that tell of it. All is drawn in advance, so that steps and faults can be left out
 * of a history and the others stay as they are. */
#ifndef TESTS_UNIT_ROOM_FEED_HISTORY_H
#define TESTS_UNIT_ROOM_FEED_HISTORY_H

#include "room_feed_clock.h"

enum op {
    SEND,
    REPLY,
    REPLY_SHOWN,
    EDIT,
    REACT,
    REMOVE,
    TOPIC,
    DATE_BACK,
    JOIN,
    CUT,
    OTHERS_ASK,
    OPS
};

enum {
    STEPS = 48,
    BEFORE = 8,
    FAULTS = 3,
    /* At most, as in the soak's faults: a room is read so late, its event comes so late, and a
     * question or an answer takes so long. */
    READ_MS = 400,
    LATE_MS = 3000,
    SLOW_MS = 2500,
    /* The first list, or the first event before it, tells which messages were there before only so
     * exactly: clocks differ, and so it is with what is asked for then. */
    BEFORE_MS = 10 * 1000,
};

/* Of a room's event: its room is read so late, it comes so late, and once more so much later. */
struct fault {
    unsigned read_ms, late_ms, again_ms;
};

struct step {
    enum op op;
    unsigned room, gap_ms, pick, extra_ms;
    struct fault faults[FAULTS];
    bool skipped;
};

struct history {
    uint64_t seed;
    unsigned rooms, before, remembered;
    unsigned pause_ms; /* between what was there before and the session */
    bool ties, shows_deleted, keeps_history, stores_no_last;
    bool joins[FEED_ROOMS];  /* the user is not in it at first */
    bool opened[FEED_ROOMS]; /* its own streams are followed */
    bool ends_plainly;       /* a last message comes in peace */
    unsigned slow_ms, slow_percent, failing_percent;
    unsigned faulty_percent, read_ms, late_ms; /* of the events */
    unsigned cut_percent, others_percent;
    unsigned nsteps;
    struct step steps[STEPS];
};

static unsigned draw_gap(struct feed_chance *c)
{
    static const unsigned longest[] = {0, 3, 40, 300, 1500, 6000, 60 * 1000, 300 * 1000};
    static const unsigned kinds[] = {0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 6, 7};

    return feed_below(c, longest[kinds[feed_below(c, sizeof kinds / sizeof kinds[0])]] + 1);
}

static enum op draw_op(struct feed_chance *c, const struct history *h)
{
    static const enum op ops[] = {SEND, SEND,  SEND,   SEND,   SEND,  REPLY,     REPLY,
                                  EDIT, REACT, REMOVE, REMOVE, TOPIC, DATE_BACK, REPLY_SHOWN};

    if (feed_hits(c, h->cut_percent))
        return CUT;
    if ((h->joins[0] || h->joins[1] || h->joins[2]) && feed_hits(c, 15))
        return JOIN;
    if (feed_hits(c, h->others_percent))
        return OTHERS_ASK;
    return ops[feed_below(c, sizeof ops / sizeof ops[0])];
}

static void draw_fault(struct feed_chance *c, const struct history *h, struct fault *f)
{
    *f = (struct fault){0};
    if (!feed_hits(c, h->faulty_percent))
        return;
    if (feed_hits(c, 60))
        f->read_ms = feed_span(c, h->read_ms);
    if (feed_hits(c, 60))
        f->late_ms = feed_span(c, h->late_ms);
    if (feed_hits(c, 20))
        f->again_ms = 1 + feed_span(c, h->late_ms);
}

static void draw_step(struct feed_chance *c, const struct history *h, struct step *s)
{
    s->skipped = false;
    s->op = draw_op(c, h);
    s->room = feed_below(c, h->rooms);
    s->gap_ms = draw_gap(c);
    s->pick = feed_below(c, 1000);
    s->extra_ms = feed_span(c, 20 * 1000);
    for (unsigned i = 0; i < FAULTS; i++)
        draw_fault(c, h, &s->faults[i]);
}

/* What moves the counter, and no answer has anything new about it: each costs a query for nothing.
 */
static void leave_out_what_counts_in_vain(struct history *h)
{
    h->keeps_history = false;
    memset(h->joins, 0, sizeof h->joins); /* a room just joined is asked for in any case */
    h->pause_ms = BEFORE_MS;
    for (unsigned i = 0; i < h->nsteps; i++)
        if (h->steps[i].op == DATE_BACK && h->opened[h->steps[i].room])
            h->steps[i].op = SEND; /* it came by the stream, as a later version */
}

enum peace { ANY_FAULTS, NO_FAULTS };

static void draw_history(struct history *h, uint64_t seed, unsigned nsteps, enum peace peace)
{
    struct feed_chance c = {seed};

    *h = (struct history){.seed = seed, .nsteps = nsteps};
    h->rooms = feed_hits(&c, 70) ? 1 : 1 + feed_below(&c, FEED_ROOMS);
    h->before = feed_below(&c, BEFORE + 1);
    h->remembered = feed_hits(&c, 70)   ? 64
                    : feed_hits(&c, 50) ? FEED_MESSAGES
                                        : 8 + feed_below(&c, 8);
    h->ties = feed_hits(&c, 20);
    h->shows_deleted = feed_hits(&c, 10);
    h->keeps_history = feed_hits(&c, 10);
    h->stores_no_last = feed_hits(&c, 5);
    h->ends_plainly = feed_hits(&c, 50);
    for (unsigned i = 0; i < FEED_ROOMS; i++) {
        h->opened[i] = feed_hits(&c, 20);
        h->joins[i] = feed_hits(&c, 15);
    }
    if (peace == ANY_FAULTS) {
        h->faulty_percent = feed_hits(&c, 80) ? 10 + feed_below(&c, 60) : 0;
        h->read_ms = feed_hits(&c, 70) ? READ_MS : 0;
        h->late_ms = feed_hits(&c, 20) ? 0 : feed_hits(&c, 70) ? 400 : LATE_MS;
        h->slow_ms = SLOW_MS;
        h->slow_percent = feed_hits(&c, 50) ? 20 : 0;
        h->failing_percent = feed_hits(&c, 20) ? 20 : 0;
        h->cut_percent = feed_hits(&c, 30) ? 10 : 0;
        h->others_percent = feed_hits(&c, 30) ? 15 : 0;
    }
    for (unsigned i = 0; i < nsteps; i++)
        draw_step(&c, h, &h->steps[i]);
    if (peace == NO_FAULTS)
        leave_out_what_counts_in_vain(h);
}

#endif
