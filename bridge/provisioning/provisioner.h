/* bridge/provisioning/provisioner.h - users' accounts at Rocket.Chat, kept by the bridge's own
 * account.
 *
 *   ensure   a login was refused: is the user unknown? Then it is created. Asked by users.info,
 *            since the words of a refused login vary and are masked (rocketchat.md 2.3, 5.3)
 *   login    by users.createToken, which needs no password; an unknown user is created first
 *   follow   name or e-mail differ from the claims: users.update, paced, once for a change
 *
 * All of it as the administrator: whatever fails here, the user gets nothing but their own refusal.
 * One a shard; single-threaded. Settings: PushBridge:Provisioning. */
#ifndef BRIDGE_PROVISIONING_PROVISIONER_H
#define BRIDGE_PROVISIONING_PROVISIONER_H

#include "rocketchat/rest_client.h"

struct provision; /* one ensure or login under way */
struct provisioner;
struct shard;

struct provision_user {
    struct slice username;
    struct slice profile; /* packed, see profile.h; may be empty */
};

enum provision_result {
    PROVISION_KNOWN,   /* the user is there, and was before: another password, then */
    PROVISION_CREATED, /* just now, by us or by another login of the same user */
    PROVISION_FAILED,
};

/* Once, later. error: of PROVISION_FAILED. Its result is RC_NOT_ALLOWED for what only an operator
 * can mend, its code says what: provision-no-email, provision-failed, provision-unavailable. */
typedef void (*provision_fn)(void *arg, enum provision_result result, const struct rc_error *error);
/* login: as rest_login()'s, the user name included. error RC_UNAUTHORIZED, code user-unknown:
 * there is none and none is created. */
typedef void (*provision_login_fn)(void *arg, const struct rest_login *login,
                                   const struct rc_error *error);

int provisioner_open(struct shard *s, struct provisioner **out); /* 0 or a libuv error */
/* No ensure and no login is under way. done is called later, once. */
void provisioner_close(struct provisioner *p, void (*done)(void *arg), void *arg);

bool provisioner_creates(const struct provisioner *p); /* ensure may be called */
bool provisioner_logs_in(const struct provisioner *p); /* login is the road of logins */
/* Users were created in the last minutes: better to ask before a login than behind its refusal. */
bool provisioner_is_busy(const struct provisioner *p);
/* NULL: no memory, fn never runs. */
struct provision *provisioner_ensure(struct provisioner *p, const struct provision_user *user,
                                     provision_fn fn, void *arg);
struct provision *provisioner_login(struct provisioner *p, const struct provision_user *user,
                                    provision_login_fn fn, void *arg);
void provision_cancel(struct provision *op); /* fn runs soon, with RC_CANCELLED at the latest */
/* The user is logged in. Looks no more often than the claims change; does nothing if that is off.
 */
void provisioner_follow(struct provisioner *p, const struct provision_user *user);

#endif
