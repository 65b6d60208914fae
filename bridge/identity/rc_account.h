/* bridge/identity/rc_account.h - which Rocket.Chat account an identity stands for, and whether
 * Rocket.Chat answered with that account and no other.
 *
 * The name comes from a template (claim_template.h). Without one it is {name}, and people with a
 * tenant are refused: two tenants' `alice` are two people. A template that was set, be it "{name}",
 * is the operator's consent (and their care: "{tenant}{name}" makes one of a+bc and ab+c).
 *
 * Refused whatever the template: the admin's name and the reserved names, letter case ignored.
 * Folded are ASCII letters and the only two other characters that fold to ASCII, U+212A (k) and
 * U+017F (s): Rocket.Chat looks names up without case, so "K" must not reach "k". Other scripts are
 * compared exactly; the check of the answer stands behind this one. */
#ifndef BRIDGE_IDENTITY_RC_ACCOUNT_H
#define BRIDGE_IDENTITY_RC_ACCOUNT_H

#include "base/slice.h"

#define RC_ACCOUNT_MAX_BYTES 256 /* a user name, without NUL */

struct identity;
struct json_t;
struct rc_account;

enum rc_account_result {
    RC_ACCOUNT_OK,
    RC_ACCOUNT_TENANT_TEMPLATE, /* a tenant, and no template set */
    RC_ACCOUNT_CLAIM_MISSING,   /* the template asks for a claim that isn't there or isn't usable */
    RC_ACCOUNT_BAD_NAME,        /* empty, too long, control characters, white space at an end */
    RC_ACCOUNT_RESERVED,        /* the admin's or a reserved name */
    RC_ACCOUNT_OTHER_NAME,      /* the answer is about somebody else */
    RC_ACCOUNT_ADMIN,           /* the answer is about the admin */
    RC_ACCOUNT_NRESULTS
};

/* template_text: NULL or empty: none set. reserved: NULL-terminated, or NULL; copied. admin_name:
 * NULL or empty when unknown. NULL: a bad template (*error tells, a constant text) or no memory.
 * Immutable afterwards; threads share it. */
struct rc_account *rc_account_new(const char *template_text, const char *const *reserved,
                                  const char *admin_name, const char **error);
void rc_account_free(struct rc_account *a); /* NULL is fine */

/* RC_ACCOUNT_OK: out is a NUL-terminated name. claims: those of identity's token. */
enum rc_account_result rc_account_name(const struct rc_account *a, const struct identity *identity,
                                       const struct json_t *claims,
                                       char out[RC_ACCOUNT_MAX_BYTES + 1]);

/* As Rocket.Chat finds users: without regard to case. */
bool rc_account_same_name(struct slice a, struct slice b);

/* The admin's name, or a reserved one. */
bool rc_account_is_reserved(const struct rc_account *a, struct slice name);

/* What a login for asked gave. Names are compared exactly: Rocket.Chat finds names without regard
 * to case, and its `Alice` need not be our `alice`. admin_id, admin_name: what the admin's own
 * login told; NULL or empty while unknown. Refused: log the token out. */
enum rc_account_result rc_account_check(const char *asked, struct slice answered_name,
                                        struct slice answered_id, const char *admin_name,
                                        const char *admin_id);

/* "tenant-template" and the like: for logs, /admin and bridgeStatus. */
const char *rc_account_code(enum rc_account_result result);

#endif
