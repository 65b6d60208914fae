/* bridge/replay/lost_slots.h - connections of one user that were lost and may come back.
 *
 * A slot is the number of the last event that counts as received, the client's kind (a hash of its
 * User-Agent), and the time it is kept until. The user's next connection of that kind claims it.
 * While there are several of one kind, nobody can tell which tab came back: each is given the
 * lowest of their positions, and the slot that stays for the others has it, too. Design section 5.
 *
 * A client often is back before its old connection is found dead. So a connection in doubt gets its
 * slot ahead of its end, which the new one may claim; when it does end, and was closing already or
 * received nothing since, that was it. A connection that proves to live never had a slot: it is
 * struck out, and if it was claimed, the claim falls on what the claimant would have taken instead.
 * Pure. */
#ifndef BRIDGE_REPLAY_LOST_SLOTS_H
#define BRIDGE_REPLAY_LOST_SLOTS_H

#include <stdbool.h>
#include <stdint.h>

enum { LOST_SLOTS_MAX = 64 }; /* of one user; past it the one that ends first goes */

#define LOST_SLOT_UNKNOWN 0 /* a position: nobody can say what it received */

struct lost_slot {
    uint64_t position, client, until_ms;
    bool drained;         /* lost because we stop */
    uint64_t connection;  /* any id but 0, unique among the user's; 0: it has ended */
    uint64_t made, taken; /* in the order of things; not taken: 0. The lists' own */
};

struct lost_doubt {
    uint64_t connection, client, position;
    bool closing; /* it can be sent nothing more */
};

struct lost_slots { /* zero-initialised: none */
    struct lost_slot *slots;
    struct lost_doubt *doubts;
    uint64_t clock; /* of made and taken */
    uint16_t count, capacity, ndoubts;
};

/* It was claimed, and is kept only until it is known whether it was one at all. */
static inline bool lost_slot_is_taken(const struct lost_slot *slot)
{
    return slot->taken != 0;
}

void lost_slots_free(struct lost_slots *l);
/* False: one was pushed out, or (no memory) this one is not kept. */
bool lost_slots_add(struct lost_slots *l, const struct lost_slot *slot);
/* slot->connection lives, perhaps. False: it had its slot already, or no memory. */
bool lost_slots_doubt(struct lost_slots *l, const struct lost_slot *slot, bool closing);
/* The connection is in doubt no longer, or has ended; its slot is struck out. But for: lost, and it
 * had a slot at that very position, or as it was closing. Then it stays, or was used rightly, and
 * false. */
bool lost_slots_end_doubt(struct lost_slots *l, uint64_t connection, bool lost, uint64_t position);
/* False: there is none of that client's kind. */
bool lost_slots_claim(struct lost_slots *l, uint64_t client, uint64_t *position);
unsigned lost_slots_expire(struct lost_slots *l, uint64_t now_ms); /* how many went */

/* Nobody needs what was sent up to here; UINT64_MAX: nobody needs anything. */
uint64_t lost_slots_needed_after(const struct lost_slots *l);
uint64_t lost_slots_first_end_ms(const struct lost_slots *l); /* 0: none */
uint64_t lost_slots_last_end_ms(const struct lost_slots *l);  /* 0: none */

#endif
