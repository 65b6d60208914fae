/* bridge/provisioning/profile.h - what a token's claims say of its user: e-mail, name, roles at
 * Rocket.Chat.
 *
 * Made where the token is read, by the templates of PushBridge:Provisioning, and carried to the
 * user's session as one packed run of bytes, each text with a NUL behind it:
 *
 *   email NUL name NUL role NUL role NUL ...
 *
 * Empty as a whole while provisioning is off. */
#ifndef BRIDGE_PROVISIONING_PROFILE_H
#define BRIDGE_PROVISIONING_PROFILE_H

#include "base/byte_buf.h"
#include "bridge/settings/settings.h"

#define PROFILE_TEXT_MAX 256 /* e-mail, name and each role */
#define PROFILE_MAX_ROLES 16
#define PROFILE_MAX_BYTES 2048 /* packed */

struct identity;
struct json_t;
struct profile_rules;

struct profile {
    const char *email, *name; /* "": the claims don't say */
    size_t nroles;
    const char *roles[PROFILE_MAX_ROLES];
};

/* NULL: *error tells which setting is wrong and why, in a text the caller's buffer holds. */
struct profile_rules *profile_rules_new(const struct settings *settings, char *error,
                                        size_t error_len);
void profile_rules_free(struct profile_rules *r); /* NULL is fine */

/* The first e-mail and name template that can be filled, and all roles. A text that is too long or
 * has control characters in it counts as none. False: no memory. */
bool profile_pack(const struct profile_rules *r, const struct identity *who,
                  const struct json_t *claims, struct byte_buf *packed);
/* Points into packed. */
void profile_unpack(struct slice packed, struct profile *out);

#endif
