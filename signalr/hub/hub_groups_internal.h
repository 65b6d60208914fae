/* signalr/hub/hub_groups_internal.h - who is in which group, on one server.
 *
 *   hub_group       by name; lives while it has a member or a user
 *   hub_membership  one connection in one group; in the group's list and in the connection's
 *   hub_group_user  by user key; the groups every connection of the user is put into
 *
 * Bounded per connection, per user, and in total; the total of connections is shared by the servers
 * of the process, users are kept by every server alike. */
#ifndef SIGNALR_HUB_HUB_GROUPS_INTERNAL_H
#define SIGNALR_HUB_HUB_GROUPS_INTERNAL_H

#include "signalr/hub/hub_address.h"
#include "signalr/hub/hub_internal.h"

struct hub_membership {
    struct hub_connection *connection;
    struct hub_group *group;
    struct hub_membership *prev, *next; /* in the group */
    struct hub_membership *also;        /* the connection's next one */
};

struct hub_group {
    UT_hash_handle hh;
    struct hub_membership *members;
    size_t nusers; /* entries of hub_group_user that name it */
    uint32_t name_len;
    char name[];
};

struct hub_group *hub_groups_find(struct signalr_server *s, struct slice name); /* NULL: none */

#endif
