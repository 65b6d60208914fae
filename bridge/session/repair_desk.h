/* bridge/session/repair_desk.h - which session asks Rocket.Chat for a room's missing messages, and
 * when.
 *
 * Pure: no I/O, no clock (milliseconds of one monotonic clock), no threads. One a shard, for the
 * rooms whose home it is. The first ask for a room opens a short window, so that all sessions whose
 * events showed the same burst share one query; then one of them runs it, from the lowest date any
 * of them asked for, and its answer goes to all who had asked before it was sent. An answer
 * covers what had changed in the room by the latest date that one of those had been shown. So it
 * serves those, too, who ask later and were shown nothing newer, for a while after it has come; the
 * others wait for the next one. Where the runner fails (its connection is lost, its own limit is
 * used up), another asker runs the query, and the one that failed shares the answer; only where all
 * have failed each hears why. One that Rocket.Chat refuses the room hears that at once, and shares
 * nothing. A runner that is slow gets a second beside it: the first answer serves all.
 *
 * Rules: design section 5. */
#ifndef BRIDGE_SESSION_REPAIR_DESK_H
#define BRIDGE_SESSION_REPAIR_DESK_H

#include "bridge/session/repair_gate.h"

enum {
    REPAIR_QUIET_MS = 50,           /* the window goes on while asks keep coming ... */
    REPAIR_WINDOW_MAX_MS = 500,     /* ... up to this */
    REPAIR_SLOW_MS = 2000,          /* shorter than a session holds messages back */
    REPAIR_KEPT_MS = 3000,          /* an answer serves those whose events come late ... */
    REPAIR_KEPT_BYTES = 256 * 1024, /* ... unless it is longer */
};

struct repair_desk;

/* asker: the shard. Both may not call back into the desk. */
struct repair_desk_host {
    void (*run)(void *arg, unsigned asker, uint64_t ticket, int64_t since_ms);
    /* covers_ms: what had changed in the room by then (server time) is in the answer. answer:
     * borrowed; NULL: error tells why. */
    void (*answer)(void *arg, unsigned asker, uint64_t ticket, int64_t covers_ms,
                   struct repair_answer *answer, const struct rc_error *error);
    void *arg;
};

struct repair_desk *repair_desk_new(const struct repair_desk_host *host);
void repair_desk_free(struct repair_desk *d); /* nobody is answered */

/* False: no memory, and the asker is not answered. */
bool repair_desk_ask(struct repair_desk *d, uint64_t now_ms, struct slice rid, unsigned asker,
                     uint64_t ticket, int64_t since_ms, int64_t until_ms);
void repair_desk_cancel(struct repair_desk *d, uint64_t now_ms, struct slice rid, uint64_t ticket);
/* answer: borrowed. Of a ticket that is not running (cancelled): nothing. */
void repair_desk_done(struct repair_desk *d, uint64_t now_ms, struct slice rid, uint64_t ticket,
                      struct repair_answer *answer, const struct rc_error *error);

void repair_desk_turn(struct repair_desk *d, uint64_t now_ms); /* hands out what is due */
uint64_t repair_desk_due_ms(const struct repair_desk *d);      /* UINT64_MAX: nothing waits */
unsigned repair_desk_rooms(const struct repair_desk *d);       /* under repair */

#endif
