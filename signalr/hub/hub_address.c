#include "signalr/hub/hub_address.h"

#include "signalr/hub/hub_groups_internal.h"

/* One walk over those addressed. Where several names may lead to one connection, it is marked once
 * it has the message, and the marks are taken off by a second walk. */
struct walk {
    struct hub_buf *message; /* NULL: takes the marks off */
    bool mark;
    unsigned sent;
};

static void visit(struct walk *walk, struct hub_connection *c)
{
    if (walk->message == NULL) {
        c->passed_over = false;
        return;
    }
    if (c->state != CONN_OPEN || c->passed_over)
        return;
    c->passed_over = walk->mark;
    walk->sent++;
    hub_connection_send(c, walk->message);
}

/* A send that finds a slow consumer ends that one connection: it leaves its groups, so the next
 * member is looked up before. Its user and the server know it until it is freed, which is later. */
static void walk_name(struct signalr_server *s, enum hub_addressee to, struct slice name,
                      struct walk *walk)
{
    struct hub_connection *c;
    const struct hub_user *user;
    const struct hub_group *group;

    switch (to) {
    case HUB_TO_CONNECTIONS:
        c = hub_ids_find(&s->ids, name);
        if (c != NULL)
            visit(walk, c);
        return;
    case HUB_TO_USERS:
        user = hub_registry_user(s, name);
        for (c = user == NULL ? NULL : user->connections; c != NULL; c = c->user_next)
            visit(walk, c);
        return;
    case HUB_TO_GROUPS:
        group = hub_groups_find(s, name);
        for (struct hub_membership *m = group == NULL ? NULL : group->members, *next; m != NULL;
             m = next) {
            next = m->next;
            visit(walk, m->connection);
        }
        return;
    case HUB_TO_ALL:
        for (c = s->by_serial; c != NULL; c = c->by_serial.next)
            visit(walk, c);
        return;
    }
}

static void walk_all(struct signalr_server *s, const struct hub_address *to, struct walk *walk)
{
    if (to->to == HUB_TO_ALL)
        walk_name(s, to->to, (struct slice){0}, walk);
    else
        for (size_t i = 0; i < to->nnames; i++)
            walk_name(s, to->to, to->names[i], walk);
}

static void mark_excepted(struct signalr_server *s, const struct hub_address *to, bool marked)
{
    for (size_t i = 0; i < to->nexcept; i++) {
        struct hub_connection *c = hub_ids_find(&s->ids, to->except[i]);

        if (c != NULL)
            c->passed_over = marked;
    }
}

unsigned signalr_server_send(struct signalr_server *s, const struct hub_address *to,
                             struct hub_buf *message)
{
    struct walk walk = {.message = message, .mark = to->to != HUB_TO_ALL && to->nnames > 1};

    mark_excepted(s, to, true);
    walk_all(s, to, &walk);
    if (walk.mark)
        walk_all(s, to, &(struct walk){0});
    mark_excepted(s, to, false);
    return walk.sent;
}
