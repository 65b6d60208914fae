/* bridge/replay/replay_file.h - PushBridge:Replay:StateFile at the start and at the stop of the
 * process.
 *
 * Start: the file is read before anything is hashed, since the message ids in it are hashes under
 * its writer's key; then its users' records go to their shards, and once the bridge serves the file
 * is removed: it acts once. One that is broken, or too old to be of use, is a warning. Stop: the
 * shards' records come to the main thread, and the file is written when the last has come. */
#ifndef BRIDGE_REPLAY_REPLAY_FILE_H
#define BRIDGE_REPLAY_REPLAY_FILE_H

#include "base/byte_buf.h"
#include "bridge/replay/replay_state.h"

struct mail;
struct program;
struct settings;
struct shard;

struct replay_file {
    struct byte_buf bytes;     /* the file's; state points into it */
    struct replay_state state; /* records empty: there is nothing */
    bool there;                /* there was a file, of use or not */
    const char *wrong;         /* why it is of no use; NULL: it is, or there was none */
    struct byte_buf leaving;   /* what the shards leave */
    unsigned arrived;          /* shards that have left theirs */
    unsigned users;
};

/* Before the log starts. True: state.hash_key is the process's from now on. */
bool replay_file_take(struct replay_file *f, const struct settings *settings);
/* The shards are built and do not run yet. */
void replay_file_restore(struct replay_file *f, struct program *p);
/* The bridge serves: nobody else may take the file up. */
void replay_file_used(struct replay_file *f, const struct settings *settings);

/* A shard's connections are closed: its records go to the main thread. On the shard's thread. */
void replay_file_leave(struct shard *s);
void replay_file_free(struct replay_file *f);

#endif
