/* bridge/abp/abp_envelope.h - the AjaxResponse that ABP wraps every answer in.
 *
 *   {"result":R,"targetUrl":null,"success":true,"error":null,"unAuthorizedRequest":false,"__abp":true}
 *   {"result":null,...,"success":false,"error":{"code":N,"message":M,"details":D|null,
 *    "validationErrors":[{"message":M,"members":["name"]}]|null},...}
 *
 * Pure. Facts: abp.md 2.1. */
#ifndef BRIDGE_ABP_ABP_ENVELOPE_H
#define BRIDGE_ABP_ABP_ENVELOPE_H

#include "base/byte_buf.h"

struct abp_error {
    int status; /* HTTP: 400, 401, 403, 404, 405, 500 */
    int code;   /* the envelope's: 0, or an HTTP-like number that says what is behind a 500 */
    const char *message;  /* shown to people */
    struct slice details; /* what more is known: a code of Rocket.Chat's, its text; empty: null */
    const char *member;   /* 400: the input's member at fault; NULL: none */
    uint64_t retry_after_ms; /* goes into Retry-After; 0: not known */
};

void abp_envelope_result(struct byte_buf *out, struct slice result); /* raw JSON; empty: null */
void abp_envelope_error(struct byte_buf *out, const struct abp_error *error);

#endif
