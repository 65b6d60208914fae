/* bridge/program.h - the running program: what the shards share, and their start and end.
 *
 * main thread: builds everything, waits for signals, leads the shutdown in steps that all shards
 * take together (connections, sessions, the admin agent, loops). */
#ifndef BRIDGE_PROGRAM_H
#define BRIDGE_PROGRAM_H

#include "bridge/login_desk.h"
#include "bridge/settings.h"
#include "bridge/user.h"
#include <stdatomic.h>
#include <uv.h>

struct shard;
struct mailbox;

enum program_phase { PROGRAM_STARTING, PROGRAM_SERVING, PROGRAM_DRAINING };

#define PROGRAM_EXIT_OK 0
#define PROGRAM_EXIT_RUNTIME 1  /* could not start: a busy port, no descriptors, ... */
#define PROGRAM_EXIT_SETTINGS 2 /* a setting is wrong */
#define PROGRAM_EXIT_DRAIN 3    /* stopped, but not everything was put away in time */

struct program {
    const struct settings *settings;
    struct user_rules rules;
    struct jwt_keys *first_keys; /* those the shards start with */
    struct shard *shards;
    unsigned nshards;
    struct metrics *metrics;
    _Atomic int phase; /* enum program_phase */

    struct login_desk *desk;  /* lives on shard 0 */
    struct key_refresh *keys; /* lives on shard 0; NULL: no JWKS configured */

    uv_loop_t loop;          /* the main thread's: signals, shutdown */
    struct mailbox *mailbox; /* shards report to the main thread here */
};

/* What --check-config looks at beyond the settings themselves: key files, the template. Prints what
 * is wrong to stderr; a PROGRAM_EXIT_ code. */
int program_check(const struct settings *settings);

/* Serves until a signal ends it. Returns a PROGRAM_EXIT_ code. */
int program_run(const struct settings *settings);

/* A shard has finished the shutdown step it was told to take; on its thread. */
void program_report_step(struct shard *s);

#endif
