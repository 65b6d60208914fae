/* tests/bench/ddp_data.h - what the DDP source's users have: ids, rooms, subscriptions, messages.
 *
 * User N is "uN" with the rooms 0 to R-1. All ids are 17 characters, and a rooms-changed frame is
 * always the same length with everything at the same place, so that a relay can cut the message out
 * without reading. */
#ifndef TESTS_BENCH_DDP_DATA_H
#define TESTS_BENCH_DDP_DATA_H

#include "tests/bench/bench_net.h"

enum { DATA_ID_LEN = 17, DATA_MAX_USERS = 20000 };

void data_init(unsigned rooms_of_each_user);
void data_user_id(unsigned user, char out[DATA_ID_LEN + 1]);
void data_add_subscriptions(struct bytes *out, unsigned user); /* a JSON array */
void data_add_rooms(struct bytes *out, unsigned user);         /* a JSON array */

/* The next message in one of the user's rooms, as a WebSocket frame of data_frame_len(). timed: it
 * carries the time. Valid until the next call. */
const uint8_t *data_frame(unsigned user, bool timed);
size_t data_frame_len(void);
/* Where lastMessage lies within the frame's payload. */
void data_message_place(size_t *offset, size_t *len);

void bytes_text(struct bytes *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
