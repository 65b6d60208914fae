/* bridge/identity/claim_template.h - a text with a token's claims in it.
 *
 * Literal text and {name}, {id}, {tenant} (of struct identity), {sub} (that claim), {claim:NAME}
 * (any claim; NAME runs to the next '}', so URIs are fine). A claim is a string or a whole number.
 * Immutable once made; threads share it. */
#ifndef BRIDGE_IDENTITY_CLAIM_TEMPLATE_H
#define BRIDGE_IDENTITY_CLAIM_TEMPLATE_H

#include "base/byte_buf.h"

struct claim_template;
struct identity;
struct json_t;

/* NULL: *error tells what is wrong, a constant text. An empty text is good, and stays empty. */
struct claim_template *claim_template_new(const char *text, const char **error);
void claim_template_free(struct claim_template *t);              /* NULL is fine */
bool claim_template_is_constant(const struct claim_template *t); /* no placeholder in it */

/* Appends the text. False: a claim it asks for isn't there, is empty, or is neither text nor a
 * whole number; out holds a part then. (That out failed is told by byte_buf_failed().) */
bool claim_template_write(const struct claim_template *t, const struct identity *who,
                          const struct json_t *claims, struct byte_buf *out);
/* The same where a claim may be a list: takes its item-th, from 0, and is false past the last one.
 * Without a list there is only item 0. */
bool claim_template_write_item(const struct claim_template *t, const struct identity *who,
                               const struct json_t *claims, size_t item, struct byte_buf *out);

#endif
