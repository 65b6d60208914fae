/* rocketchat/room_state.h - a room memory put away and taken up again by another process.
 *
 * What is kept: per room its id, subscription, counter and dates, and the hashes of the messages
 * told of late; no texts. The hashes are worth something only under the hash key they were made
 * with (base/hash.h). Little-endian, as le_record.h has it:
 *
 *   version:1 listed:1 floor:8 messages_floor:8
 *   rooms:2   of each: rid:2+n subscription:2+n mark:8 changed:8 last_updated:8 since:8 lacking:8
 *                      last:8 msgs:4 flags:1
 *   messages:2 of each: id:8 updated:8
 */
#ifndef ROCKETCHAT_ROOM_STATE_H
#define ROCKETCHAT_ROOM_STATE_H

#include "rocketchat/room_memory.h"

struct byte_buf;

void room_state_write(const struct room_memory *m, struct byte_buf *out);
/* NULL: not such a state, or no memory. What is past the bounds is left out: rooms as if they had
 * been forgotten, of the messages the oldest. */
struct room_memory *room_state_read(struct slice state, uint16_t max_rooms, uint16_t max_messages);

/* A message that was told, but did not arrive: it is to be found, and told, by a repair. */
void room_state_unsee(struct room_memory *m, const struct rc_message *message);

#endif
