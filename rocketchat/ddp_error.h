/* rocketchat/ddp_error.h - the error member of a DDP result or nosub, as rc_error.
 *
 * {"isClientSafe":true,"error":<string or number>,"reason":...,"details":{"timeToReset":<ms>},...}
 * Pure. Takes any JSON; what makes no sense becomes RC_MALFORMED. Facts: rocketchat.md 1.7, 2.3. */
#ifndef ROCKETCHAT_DDP_ERROR_H
#define ROCKETCHAT_DDP_ERROR_H

#include "rocketchat/rc_result.h"

void ddp_error_parse(struct slice json, struct rc_error *out);

/* The server's words for a person (reason, else message; REST: error), as UTF-8 and NUL-terminated.
 * Not for logs. False: it has none, or they are longer than cap. */
bool ddp_error_reason(struct slice json, char *out, size_t cap);

#endif
