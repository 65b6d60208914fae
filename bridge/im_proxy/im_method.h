/* bridge/im_proxy/im_method.h - whether a call takes Rocket.Chat's road from REST to its DDP
 * methods, and may log somebody in there. Pure.
 *
 *   POST method.call/{any}, method.callAnon/{any}
 *   {"message":"{\"msg\":\"method\",\"id\":\"1\",\"method\":\"login\",\"params\":[...]}"}
 *
 * The method is the one of the message; the path's is not looked at [RC apps/meteor/app/api/server/
 * v1/misc.ts]. `login` and `resetPassword` try a login, and one that fails counts against the
 * address (rocketchat.md 2.3) [Meteor accounts-password, Accounts._loginMethod]. What is not
 * plainly another method may be one of these: a body that is no JSON or not labelled so, one of
 * another character set or coding, one too large to be looked into. */
#ifndef BRIDGE_IM_PROXY_IM_METHOD_H
#define BRIDGE_IM_PROXY_IM_METHOD_H

#include "signalr/http/http_server.h"

/* call: as of im_path_read(). body.ptr NULL: it is not known. */
bool im_method_may_log_in(const struct http_view *v, struct slice call, struct slice body);

#endif
