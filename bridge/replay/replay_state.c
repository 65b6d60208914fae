#include "bridge/replay/replay_state.h"
#include "base/le_record.h"
#include <assert.h>
#include <openssl/sha.h>

enum { VERSION = 1, KEY_MAX = 319 };

static const char magic[8] = {'P', 'B', 'R', 'E', 'P', 'L', 'A', 'Y'};

void replay_state_put_user(struct byte_buf *records, const struct replay_state_user *user)
{
    assert(user->key.len <= KEY_MAX && user->username.len <= UINT16_MAX);
    le_write_bytes(records, 2, user->key);
    le_write_bytes(records, 2, user->username);
    le_write(records, 1, user->nslots);
    for (unsigned i = 0; i < user->nslots; i++) {
        le_write(records, 8, user->slots[i].client);
        le_write(records, 8, (uint64_t)user->slots[i].ends_ms);
        le_write(records, 1, user->slots[i].behind);
    }
    le_write_bytes(records, 4, user->rooms);
}

bool replay_state_next_user(struct slice *records, struct replay_state_user *user)
{
    struct le_reader in = {.rest = *records};

    user->key = le_read_bytes(&in, 2);
    user->username = le_read_bytes(&in, 2);
    user->nslots = (unsigned)le_read(&in, 1);
    if (user->key.len == 0 || user->key.len > KEY_MAX || user->nslots > LOST_SLOTS_MAX)
        return false;
    for (unsigned i = 0; i < user->nslots; i++)
        user->slots[i] = (struct replay_state_slot){
            .client = le_read(&in, 8),
            .ends_ms = (int64_t)le_read(&in, 8),
            .behind = le_read(&in, 1) != 0,
        };
    user->rooms = le_read_bytes(&in, 4);
    if (le_failed(&in))
        return false;
    *records = in.rest;
    return true;
}

void replay_state_write(struct byte_buf *file, const struct replay_state *state)
{
    const size_t begin = file->len;
    uint8_t digest[SHA256_DIGEST_LENGTH];

    byte_buf_append(file, magic, sizeof magic);
    le_write(file, 4, VERSION);
    le_write(file, 8, (uint64_t)state->saved_ms);
    byte_buf_append(file, state->hash_key, sizeof state->hash_key);
    le_write_bytes(file, 8, state->records);
    if (byte_buf_failed(file))
        return;
    SHA256((const uint8_t *)file->data + begin, file->len - begin, digest);
    byte_buf_append(file, digest, sizeof digest);
}

const char *replay_state_read(struct slice file, struct replay_state *state)
{
    struct le_reader in = {.rest = file};
    const struct slice begin = le_take(&in, sizeof magic);
    uint8_t digest[SHA256_DIGEST_LENGTH];
    struct slice key, sum;

    if (begin.len == 0 || memcmp(begin.ptr, magic, sizeof magic) != 0)
        return "it is no state file";
    if (le_read(&in, 4) != VERSION)
        return "it is of another version";
    state->saved_ms = (int64_t)le_read(&in, 8);
    key = le_take(&in, sizeof state->hash_key);
    state->records = le_read_bytes(&in, 8);
    sum = le_take(&in, sizeof digest);
    if (le_failed(&in) || in.rest.len > 0)
        return "it is cut off";
    SHA256((const uint8_t *)file.ptr, file.len - sizeof digest, digest);
    if (memcmp(sum.ptr, digest, sizeof digest) != 0)
        return "its checksum is wrong";
    memcpy(state->hash_key, key.ptr, sizeof state->hash_key);
    return NULL;
}
