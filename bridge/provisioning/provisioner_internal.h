/* bridge/provisioning/provisioner_internal.h - what the provisioner's files share.
 *
 *   provisioner.c        one operation, call by call
 *   provision_follow.c   whose profile is looked at, and when
 */
#ifndef BRIDGE_PROVISIONING_PROVISIONER_INTERNAL_H
#define BRIDGE_PROVISIONING_PROVISIONER_INTERNAL_H

#include "bridge/provisioning/provision_json.h"
#include "bridge/provisioning/provisioner.h"
#include <uv.h>

enum {
    RECENT = 256,          /* accounts made lately, remembered for ... */
    RECENT_MS = 60 * 1000, /* ... other logins of the same users that were refused meanwhile */
    BUSY_MS = 10 * 60 * 1000,
};

enum provision_step { STEP_INFO, STEP_CREATE, STEP_INFO_AGAIN, STEP_TOKEN, STEP_UPDATE };

struct provision {
    struct provisioner *p;
    enum provision_step step;
    bool created, cancelled;
    provision_fn ensured; /* one of these two, or none: a follow */
    provision_login_fn logged_in;
    void *arg;
    struct lent_call *call;
    struct provision_info info;
    struct provision *next; /* a follow that waits */
    struct slice username, profile;
    char text[]; /* what they point into */
};

struct provision_seen {
    uint64_t user, profile; /* hashes */
};

struct provisioner {
    struct shard *shard;
    const struct settings *settings;
    struct {
        uint64_t user, at_ms;
    } recent[RECENT];
    unsigned next_recent;
    struct provision_seen *seen;     /* NULL: profiles are not followed */
    struct provision *first, **last; /* follows that wait */
    struct provision *following;     /* the one under way */
    unsigned nfollows;
    uv_timer_t timer; /* the next follow may start */
    bool closing;
    void (*done)(void *arg);
    void *done_arg;
};

/* ---- provisioner.c ---- */
struct provision *provision_new(struct provisioner *p, const struct provision_user *user,
                                void *arg);                           /* NULL: no memory */
void provision_go_on(struct provision *op, enum provision_step step); /* may end op */
const char *provision_step_name(enum provision_step step);

/* ---- provision_follow.c ---- */
bool provision_follow_open(struct provisioner *p); /* false: no memory */
/* A user's profile is known to be this. False: it was known already, or nothing is followed. */
bool provision_follow_note(struct provisioner *p, struct slice username, struct slice profile);
/* op, a follow, is through; frees it. error NULL: it worked. */
void provision_follow_finished(struct provision *op, const struct rc_error *error);
void provision_follow_close(struct provisioner *p); /* see provisioner_close() */

#endif
