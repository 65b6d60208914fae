/* bridge/settings/listen_url.h - read an address to listen on, as Urls has it.
 *
 *   http://HOST[:PORT][/]   HOST: IPv4, [IPv6], localhost, * or + (every address, both families)
 *
 * Port 80 where none is given, as in ASP.NET Core; 0 lets the kernel choose. Other schemes, names,
 * paths, user info, queries and fragments are refused. */
#ifndef BRIDGE_SETTINGS_LISTEN_URL_H
#define BRIDGE_SETTINGS_LISTEN_URL_H

#include "base/slice.h"
#include <sys/socket.h>

struct listen_url {
    struct sockaddr_storage addresses[2]; /* localhost: 127.0.0.1 and ::1; else one */
    size_t count;
    bool dual_stack; /* the one address is [::]; a host without IPv6 needs 0.0.0.0 instead */
    bool loopback;   /* nobody but this host can reach it */
    char text[72];   /* normalised, for logs */
};

/* NULL: *out is filled. Otherwise what is wrong, in words, and *out is untouched. */
const char *listen_url_parse(struct slice text, struct listen_url *out);

#endif
