/* bridge/abp/abp_map.h - an operator's table of routes: from ABP's shape to Rocket.Chat's REST
 * calls.
 *
 * One row, as written in PushBridge:Abp:Routes:
 *
 *   VERB Service/Action -> GET|POST rest.method user|admin [role=A|B]
 *   GET Chat/GetRooms -> GET rooms.get user
 *   POST Chat/CreateChannel -> POST channels.create admin role=Moderator|Admin
 *
 * user: called as the caller's own Rocket.Chat user; admin: as the bridge's account, and then the
 * caller needs one of the roles (without role=: one of PushBridge:Abp:AdminRoles). Service/Action
 * is matched without case, like ABP's routes (abp.md 2.2). Pure. */
#ifndef BRIDGE_ABP_ABP_MAP_H
#define BRIDGE_ABP_ABP_MAP_H

#include "bridge/settings/settings.h"
#include "signalr/http/http_server.h"

struct abp_map;

struct abp_row {
    enum http_method verb;
    char *action; /* "Chat/GetRooms" */
    bool post;    /* what Rocket.Chat is asked by */
    char *path;   /* "rooms.get" */
    bool as_admin;
    char **roles; /* NULL-terminated; NULL: none asked for */
};

/* A settings_check_fn: NULL when text is a row. */
const char *abp_map_check(char *text);

/* rows: checked ones. NULL: no memory, or two rows of one route (*error tells, with the row at
 * fault in *row). */
struct abp_map *abp_map_new(const struct settings_list *rows, const char **error, const char **row);
void abp_map_free(struct abp_map *m); /* NULL is fine */

/* The row for a verb and the path behind the base path. NULL: none; *allow then holds the verbs the
 * path has under other verbs ("GET, POST"), empty where it has none. */
const struct abp_row *abp_map_find(const struct abp_map *m, enum http_method verb,
                                   struct slice action, char allow[48]);
const char *abp_verb_name(enum http_method verb);

#endif
