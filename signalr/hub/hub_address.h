/* signalr/hub/hub_address.h - to whom a message goes: all, connections, users, groups.
 *
 * ASP.NET's kinds of addressee and its rules (signalr.md 6.9): names are compared exactly, a
 * connection hears a message once even where several of the names lead to it, groups are made by
 * the first join and gone with the last member, joining and leaving are idempotent, membership ends
 * with the connection. One thing is added: a user may be put into a group, which puts in the
 * connections the user has and those that will open, until the user is taken out.
 *
 * All of it is about the connections of one server; a host with several asks each. A connection is
 * addressable here from its handshake to its end, joined to its user or not
 * (hub_connection_join_user() is about what the host's own sessions say).
 */
#ifndef SIGNALR_HUB_HUB_ADDRESS_H
#define SIGNALR_HUB_HUB_ADDRESS_H

#include "base/slice.h"

struct signalr_server;
struct hub_connection;
struct hub_buf;

#define HUB_GROUP_NAME_MAX 255 /* bytes */

enum hub_addressee { HUB_TO_ALL, HUB_TO_CONNECTIONS, HUB_TO_GROUPS, HUB_TO_USERS };

/* Slices are borrowed for the call. */
struct hub_address {
    enum hub_addressee to;
    const struct slice *names; /* connection ids, group names or user keys; none for all */
    size_t nnames;
    const struct slice *except; /* ids of connections that don't get it */
    size_t nexcept;
};

/* Returns how many connections it was queued for. */
unsigned signalr_server_send(struct signalr_server *s, const struct hub_address *to,
                             struct hub_buf *message);

enum hub_group_result {
    HUB_GROUP_OK,       /* in it now, or out of it */
    HUB_GROUP_NOBODY,   /* no such connection is open here */
    HUB_GROUP_TOO_MANY, /* the connection's, the user's or the server's limit */
    HUB_GROUP_NOMEM,
};

/* name: 1 to HUB_GROUP_NAME_MAX bytes. */
enum hub_group_result signalr_server_join_group(struct signalr_server *s, struct slice id,
                                                struct slice name);
enum hub_group_result signalr_server_leave_group(struct signalr_server *s, struct slice id,
                                                 struct slice name);
/* The user's connections, those open, of which *connections are in it now, and those to come. On
 * TOO_MANY or NOMEM some may be in it and some not; leaving undoes it. */
enum hub_group_result signalr_server_join_group_user(struct signalr_server *s, struct slice key,
                                                     struct slice name, unsigned *connections);
/* Takes all the user's connections out, also those that joined one by one. */
unsigned signalr_server_leave_group_user(struct signalr_server *s, struct slice key,
                                         struct slice name);

#endif
