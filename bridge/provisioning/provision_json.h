/* bridge/provisioning/provision_json.h - what provisioning says to Rocket.Chat, and reads of its
 * answers.
 *
 * Pure. Facts: rocketchat.md 5.3 (users.info, users.create, users.update, users.createToken). */
#ifndef BRIDGE_PROVISIONING_PROVISION_JSON_H
#define BRIDGE_PROVISIONING_PROVISION_JSON_H

#include "base/byte_buf.h"
#include "bridge/provisioning/profile.h"

#define PROVISION_ID_MAX 64

/* {"user":{"_id":…,"username":…,"name":…,"emails":[{"address":…}]},…} */
struct provision_info {
    char id[PROVISION_ID_MAX], username[PROFILE_TEXT_MAX + 1], name[PROFILE_TEXT_MAX + 1];
    char email[PROFILE_TEXT_MAX + 1]; /* the first one */
    bool has_emails;                  /* else we may not see them: nothing is said of them */
};
/* False: no such answer, or an id that could not stand in a header. A text that is too long is left
 * empty. */
bool provision_read_info(struct slice body, struct provision_info *out);
/* {"data":{"userId":…,"authToken":…},…}; false: no such answer, or unfit for a header. */
bool provision_read_token(struct slice body, char user_id[PROVISION_ID_MAX], char token[256]);
/* users.info's answer for a name it doesn't know (a 400 without a code of its own). */
bool provision_is_unknown(struct slice body);

void provision_write_create(struct byte_buf *out, struct slice username, struct slice password,
                            const struct profile *profile, bool verified, bool join);
void provision_write_token(struct byte_buf *out, struct slice user_id, struct slice secret);
/* False: nothing is to be changed. */
bool provision_write_update(struct byte_buf *out, const struct provision_info *is,
                            const struct profile *wanted, bool verified);

#endif
