/* Any bytes as a state file, and as the records in one: bounds hold, and what can be read can be
 * written and read again. */
#include "base/byte_buf.h"
#include "bridge/replay/replay_state.h"
#include "rocketchat/room_state.h"
#include <assert.h>
#include <stdlib.h>

enum { MAX_ROOMS = 5, MAX_MESSAGES = 6 };

static void take_rooms(struct slice state)
{
    struct room_memory *m = room_state_read(state, MAX_ROOMS, MAX_MESSAGES), *again;
    struct room_memory_stats stats, stats_again;
    struct byte_buf out = {0};

    if (m == NULL)
        return;
    room_memory_stats(m, &stats);
    assert(stats.rooms <= MAX_ROOMS && stats.messages <= MAX_MESSAGES);
    room_state_write(m, &out);
    again = room_state_read(byte_buf_slice(&out), MAX_ROOMS, MAX_MESSAGES);
    assert(again != NULL);
    room_memory_stats(again, &stats_again);
    assert(stats.rooms == stats_again.rooms && stats.messages == stats_again.messages);
    room_memory_gap(again);
    room_memory_free(again);
    room_memory_free(m);
    byte_buf_free(&out);
}

static void take_records(struct slice rest)
{
    const char *begin = rest.ptr;
    struct replay_state_user user;
    struct byte_buf out = {0};

    while (replay_state_next_user(&rest, &user)) {
        size_t len = out.len;

        replay_state_put_user(&out, &user);
        assert(out.len - len == (size_t)(rest.ptr - begin));
        begin = rest.ptr;
        take_rooms(user.rooms);
    }
    byte_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice all = {(const char *)data, size};
    struct replay_state state;

    if (replay_state_read(all, &state) == NULL)
        take_records(state.records);
    take_records(all); /* no fuzzer finds a checksum */
    take_rooms(all);
    return 0;
}
