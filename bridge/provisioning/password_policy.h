/* bridge/provisioning/password_policy.h - the password of a user's Rocket.Chat account, where there
 * is one.
 *
 *   shared   Im:DefaultPassword, as ABP's own backend has it
 *   derived  HMAC-SHA-256 of the user name, by PushBridge:Provisioning:PasswordSecret: 43
 * characters of base64url and "aA1!", so that it fits a policy that asks for one of each kind token
 * none: logins go by users.createToken, and new accounts get a random one nobody knows
 */
#ifndef BRIDGE_PROVISIONING_PASSWORD_POLICY_H
#define BRIDGE_PROVISIONING_PASSWORD_POLICY_H

#include "base/slice.h"
#include "bridge/settings/settings.h"

#define PASSWORD_POLICY_BYTES 64 /* of a password that is made up; with NUL */

/* Empty: there is none, by the token policy. It is in buffer, or the settings'; wipe buffer. */
struct slice password_policy_login(const struct settings *s, struct slice username,
                                   char buffer[PASSWORD_POLICY_BYTES]);
/* The one a new account gets; empty: no randomness to be had. */
struct slice password_policy_new(const struct settings *s, struct slice username,
                                 char buffer[PASSWORD_POLICY_BYTES]);

#endif
