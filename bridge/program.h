/* bridge/program.h - the running program: what the shards share, and their start and end.
 *
 * main thread: builds everything, waits for signals, leads the shutdown in steps that all shards
 * take together (connections, sessions, the admin agent, loops). */
#ifndef BRIDGE_PROGRAM_H
#define BRIDGE_PROGRAM_H

#include "bridge/identity/user.h"
#include "bridge/login/login_desk.h"
#include "bridge/replay/replay_file.h"
#include "bridge/settings/settings.h"
#include "signalr/hub/signalr_server.h"
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
    struct settings handed; /* the same, but for the time to live of tokens handed to browsers; its
                               texts are settings' */
    struct user_rules rules;
    struct abp_map *abp_map;
    struct im_counts *abp_counts; /* calls of the routes of ABP's shape, and ... */
    struct jwt_keys *first_keys;  /* those the shards start with */
    struct shard *shards;
    unsigned nshards;
    struct metrics *metrics;
    struct http_counts *counts;   /* connections of all shards; */
    struct im_counts *proxied;    /* calls passed on to Rocket.Chat, of all shards; */
    struct im_logins *im_logins;  /* those of them that are logins; */
    struct signalr_shared shared; /* negotiations, too */
    _Atomic int phase;            /* enum program_phase */
    uint64_t drain_start_ms;      /* uv_hrtime's clock; stands before the first step is told */

    struct replay_file replay; /* the main thread's */
    struct login_desk *desk;   /* lives on shard 0 */
    struct key_refresh *keys;  /* lives on shard 0; NULL: no JWKS configured */

    uv_loop_t loop;          /* the main thread's: signals, shutdown */
    struct mailbox *mailbox; /* shards report to the main thread here */
};

/* What --check-config looks at beyond the settings themselves: key files, the template. Prints what
 * is wrong to stderr; a PROGRAM_EXIT_ code. */
int program_check(const struct settings *settings);

/* Serves until a signal ends it. replay: as replay_file_take() left it, and taken over. Returns a
 * PROGRAM_EXIT_ code. PROGRAM_EXIT_RUNTIME and PROGRAM_EXIT_DRAIN: shards may still run, and use
 * what they were given, the settings too; only the end of the process ends them. */
int program_run(const struct settings *settings, const struct replay_file *replay);
/* The program, from what mails to the main thread are delivered to. */
struct program *program_of_mail(void *consumer);

/* The order everything is put away in; all shards finish a step before the next begins, and have
 * taken all mail of the steps before. The limit of the drain is shared out in tenths: what is not
 * done by its step's end is cut off by the next. */
enum stop_step {
    STOP_NOT,
    STOP_CONNECTIONS, /* until 5/10 */
    STOP_SESSIONS,    /* until 8/10; the admin agent, too */
    STOP_HTTP,        /* from here on no shard asks another's parts for anything */
    STOP_PARTS,
    STOP_MAILBOXES, /* and with them the loops */
};
#define STOP_CONNECTIONS_TENTHS 5
#define STOP_SESSIONS_TENTHS 8

/* What is left until so many tenths of the drain's limit; any thread, while draining. */
unsigned program_drain_left_ms(const struct program *p, unsigned tenths);
/* A shard has finished a step of the shutdown; on its thread. */
void program_report_step(struct shard *s, enum stop_step step);

#endif
