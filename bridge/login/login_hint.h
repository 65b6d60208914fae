/* bridge/login/login_hint.h - what an operator can do about a login that gave this code.
 *
 * code: Rocket.Chat's, or one of ours (rc_account_code(), rc_result_name()). A constant text in
 * plain words, the end of a sentence; NULL: nothing is known beyond the code. */
#ifndef BRIDGE_LOGIN_LOGIN_HINT_H
#define BRIDGE_LOGIN_LOGIN_HINT_H

const char *login_hint(const char *code);

#endif
