#include "signalr/hub/hub_groups_internal.h"
#include <assert.h>
#include <stdlib.h>

struct hub_user_entry {
    struct hub_group *group;
    struct hub_user_entry *next;
};

struct hub_group_user {
    UT_hash_handle hh;
    struct hub_user_entry *groups;
    unsigned count;
    uint32_t key_len;
    char key[];
};

struct hub_group *hub_groups_find(struct signalr_server *s, struct slice name)
{
    struct hub_group *group = NULL;

    if (name.len > 0)
        HASH_FIND(hh, s->groups, name.ptr, name.len, group);
    return group;
}

static struct hub_group *group_get(struct signalr_server *s, struct slice name)
{
    struct hub_group *group = hub_groups_find(s, name);

    assert(name.len > 0 && name.len <= HUB_GROUP_NAME_MAX);
    if (group != NULL)
        return group;
    group = calloc(1, sizeof *group + name.len);
    if (group == NULL)
        return NULL;
    memcpy(group->name, name.ptr, name.len);
    group->name_len = (uint32_t)name.len;
    HASH_ADD(hh, s->groups, name, name.len, group);
    if (group->hh.tbl != NULL)
        return group;
    free(group);
    return NULL;
}

static void group_release(struct signalr_server *s, struct hub_group *group)
{
    if (group->members != NULL || group->nusers > 0)
        return;
    HASH_DELETE(hh, s->groups, group);
    free(group);
}

/* ---- connections ---- */

/* Other servers add at the same time: only what the addition itself returns is exact. */
static bool take_membership(struct signalr_server *s)
{
    const unsigned max = s->options.max_group_memberships;

    if (atomic_fetch_add_explicit(&s->options.shared->memberships, 1, memory_order_relaxed) < max ||
        max == 0)
        return true;
    atomic_fetch_sub_explicit(&s->options.shared->memberships, 1, memory_order_relaxed);
    return false;
}

static enum hub_group_result join(struct hub_connection *c, struct hub_group *group)
{
    struct signalr_server *s = c->server;
    const unsigned max = s->options.max_groups_per_connection;
    struct hub_membership *m;
    unsigned count = 0;

    for (m = c->groups; m != NULL; m = m->also, count++)
        if (m->group == group)
            return HUB_GROUP_OK;
    if (max != 0 && count >= max)
        return HUB_GROUP_TOO_MANY;
    if (!take_membership(s))
        return HUB_GROUP_TOO_MANY;
    m = malloc(sizeof *m);
    if (m == NULL) {
        atomic_fetch_sub_explicit(&s->options.shared->memberships, 1, memory_order_relaxed);
        return HUB_GROUP_NOMEM;
    }
    *m = (struct hub_membership){
        .connection = c, .group = group, .next = group->members, .also = c->groups};
    if (m->next != NULL)
        m->next->prev = m;
    group->members = c->groups = m;
    return HUB_GROUP_OK;
}

/* Ends *at, a link of the connection's list, and moves that link on. */
static void leave(struct hub_membership **at)
{
    struct hub_membership *m = *at;
    struct signalr_server *s = m->connection->server;

    *at = m->also;
    if (m->prev != NULL)
        m->prev->next = m->next;
    else
        m->group->members = m->next;
    if (m->next != NULL)
        m->next->prev = m->prev;
    atomic_fetch_sub_explicit(&s->options.shared->memberships, 1, memory_order_relaxed);
    group_release(s, m->group);
    free(m);
}

static bool leave_one(struct hub_connection *c, const struct hub_group *group)
{
    for (struct hub_membership **at = &c->groups; *at != NULL; at = &(*at)->also)
        if ((*at)->group == group) {
            leave(at);
            return true;
        }
    return false;
}

void hub_groups_leave_all(struct hub_connection *c)
{
    while (c->groups != NULL)
        leave(&c->groups);
}

static struct hub_connection *open_connection(struct signalr_server *s, struct slice id)
{
    struct hub_connection *c = hub_ids_find(&s->ids, id);

    return c != NULL && c->state == CONN_OPEN ? c : NULL;
}

enum hub_group_result signalr_server_join_group(struct signalr_server *s, struct slice id,
                                                struct slice name)
{
    struct hub_connection *c = open_connection(s, id);
    struct hub_group *group;
    enum hub_group_result result;

    if (c == NULL)
        return HUB_GROUP_NOBODY;
    group = group_get(s, name);
    if (group == NULL)
        return HUB_GROUP_NOMEM;
    result = join(c, group);
    group_release(s, group);
    return result;
}

enum hub_group_result signalr_server_leave_group(struct signalr_server *s, struct slice id,
                                                 struct slice name)
{
    struct hub_connection *c = open_connection(s, id);
    const struct hub_group *group = hub_groups_find(s, name);

    if (c == NULL)
        return HUB_GROUP_NOBODY;
    if (group != NULL)
        leave_one(c, group);
    return HUB_GROUP_OK;
}

/* ---- users ---- */

static struct hub_group_user *group_user(struct signalr_server *s, struct slice key)
{
    struct hub_group_user *user = NULL;

    HASH_FIND(hh, s->group_users, key.ptr, key.len, user);
    return user;
}

static struct hub_group_user *group_user_get(struct signalr_server *s, struct slice key)
{
    struct hub_group_user *user = group_user(s, key);

    if (user != NULL)
        return user;
    user = calloc(1, sizeof *user + key.len);
    if (user == NULL)
        return NULL;
    memcpy(user->key, key.ptr, key.len);
    user->key_len = (uint32_t)key.len;
    HASH_ADD(hh, s->group_users, key, key.len, user);
    if (user->hh.tbl != NULL)
        return user;
    free(user);
    return NULL;
}

static void group_user_release(struct signalr_server *s, struct hub_group_user *user)
{
    if (user->groups != NULL)
        return;
    HASH_DELETE(hh, s->group_users, user);
    free(user);
}

static void forget_entry(struct signalr_server *s, struct hub_group_user *user,
                         struct hub_user_entry **at)
{
    struct hub_user_entry *entry = *at;

    *at = entry->next;
    user->count--;
    s->ngroup_users--;
    entry->group->nusers--;
    group_release(s, entry->group);
    free(entry);
}

/* The user's link to that group, or the end of the list. */
static struct hub_user_entry **entry_of(struct hub_group_user *user, const struct hub_group *group)
{
    struct hub_user_entry **at = &user->groups;

    while (*at != NULL && (*at)->group != group)
        at = &(*at)->next;
    return at;
}

static enum hub_group_result remember(struct signalr_server *s, struct hub_group_user *user,
                                      struct hub_group *group)
{
    const unsigned max = s->options.max_groups_per_connection;
    const unsigned max_all = s->options.max_group_memberships;
    struct hub_user_entry *entry;

    if ((max != 0 && user->count >= max) || (max_all != 0 && s->ngroup_users >= max_all))
        return HUB_GROUP_TOO_MANY;
    entry = malloc(sizeof *entry);
    if (entry == NULL)
        return HUB_GROUP_NOMEM;
    *entry = (struct hub_user_entry){.group = group, .next = user->groups};
    user->groups = entry;
    user->count++;
    s->ngroup_users++;
    group->nusers++;
    return HUB_GROUP_OK;
}

enum hub_group_result signalr_server_join_group_user(struct signalr_server *s, struct slice key,
                                                     struct slice name, unsigned *connections)
{
    const struct hub_user *user = hub_registry_user(s, key);
    struct hub_group *group = group_get(s, name);
    struct hub_group_user *kept = group == NULL ? NULL : group_user_get(s, key);
    enum hub_group_result result = HUB_GROUP_NOMEM;

    *connections = 0;
    if (kept != NULL) {
        result = *entry_of(kept, group) != NULL ? HUB_GROUP_OK : remember(s, kept, group);
        group_user_release(s, kept);
    }
    if (result == HUB_GROUP_OK)
        for (struct hub_connection *c = user == NULL ? NULL : user->connections; c != NULL;
             c = c->user_next) {
            enum hub_group_result joined =
                c->state == CONN_OPEN ? join(c, group) : HUB_GROUP_NOBODY;

            if (joined == HUB_GROUP_OK)
                ++*connections;
            else if (joined != HUB_GROUP_NOBODY)
                result = joined;
        }
    if (group != NULL)
        group_release(s, group);
    return result;
}

unsigned signalr_server_leave_group_user(struct signalr_server *s, struct slice key,
                                         struct slice name)
{
    const struct hub_user *user = hub_registry_user(s, key);
    struct hub_group *group = hub_groups_find(s, name);
    struct hub_group_user *kept = group_user(s, key);
    unsigned left = 0;

    if (group == NULL)
        return 0;
    group->nusers++; /* holds it while its members leave */
    for (struct hub_connection *c = user == NULL ? NULL : user->connections; c != NULL;
         c = c->user_next)
        if (leave_one(c, group))
            left++;
    if (kept != NULL) {
        struct hub_user_entry **entry = entry_of(kept, group);

        if (*entry != NULL)
            forget_entry(s, kept, entry);
        group_user_release(s, kept);
    }
    group->nusers--;
    group_release(s, group);
    return left;
}

void hub_groups_opened(struct hub_connection *c)
{
    const struct hub_group_user *user =
        c->user == NULL || c->server->group_users == NULL
            ? NULL
            : group_user(c->server, (struct slice){c->user->key, c->user->key_len});

    if (user == NULL)
        return;
    for (const struct hub_user_entry *entry = user->groups; entry != NULL; entry = entry->next)
        if (join(c, entry->group) != HUB_GROUP_OK)
            c->server->stats.groups_missed++;
}

void hub_groups_free(struct signalr_server *s)
{
    struct hub_group_user *user, *next;

    HASH_ITER(hh, s->group_users, user, next)
    {
        while (user->groups != NULL)
            forget_entry(s, user, &user->groups);
        group_user_release(s, user);
    }
}
