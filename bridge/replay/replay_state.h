/* bridge/replay/replay_state.h - the content of PushBridge:Replay:StateFile.
 *
 * What a bridge that stops knows of the tabs that will be back: for each user the slots and the
 * memory of rooms (rocketchat/room_state.h), by which the next process finds out what was missed.
 * No texts, no tokens. Little-endian (base/le_record.h):
 *
 *   "PBREPLAY" version:4 saved:8 hash_key:16 records:8+n sha256:32 (of all before it)
 *   a record: key:2+n username:2+n slots:1 (client:8 ends:8 behind:1 each) rooms:4+n
 *
 * Times are wall clock, ms. The hash key is the process's (base/hash.h): message ids are kept as
 * hashes under it. Pure. */
#ifndef BRIDGE_REPLAY_REPLAY_STATE_H
#define BRIDGE_REPLAY_REPLAY_STATE_H

#include "base/slice.h"
#include "bridge/replay/lost_slots.h"
#include <stdint.h>

struct byte_buf;

struct replay_state_slot {
    uint64_t client; /* as in lost_slots.h, from a hash that is the same in every process */
    int64_t ends_ms;
    bool behind; /* it missed more than the rooms' memory tells */
};

struct replay_state_user {
    struct slice key, username;
    struct replay_state_slot slots[LOST_SLOTS_MAX];
    unsigned nslots;
    struct slice rooms;
};

/* key at most 319, user name at most 65,535 bytes. */
void replay_state_put_user(struct byte_buf *records, const struct replay_state_user *user);
/* Takes the first record off *records; what it has points into it. False: no more, or malformed. */
bool replay_state_next_user(struct slice *records, struct replay_state_user *user);

struct replay_state {
    int64_t saved_ms;
    uint8_t hash_key[16];
    struct slice records;
};

void replay_state_write(struct byte_buf *file, const struct replay_state *state);
/* NULL: fine, and *state points into file. Else what is wrong with it. */
const char *replay_state_read(struct slice file, struct replay_state *state);

#endif
