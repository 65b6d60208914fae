#include "signalr/hub/hub_internal.h"
#include <assert.h>
#include <stdlib.h>

bool hub_registry_add(struct hub_connection *c)
{
    struct signalr_server *s = c->server;

    HASH_ADD(by_serial, s->by_serial, serial, sizeof c->serial, c);
    if (c->by_serial.tbl == NULL)
        return false;
    if (hub_ids_add(&s->ids, c)) {
        if (!c->has_token)
            return true;
        HASH_ADD(by_token, s->by_token, token, HUB_TOKEN_LEN, c);
        if (c->by_token.tbl != NULL)
            return true;
        hub_ids_remove(&s->ids, c);
    }
    HASH_DELETE(by_serial, s->by_serial, c);
    return false;
}

void hub_registry_drop_token(struct hub_connection *c)
{
    if (!c->has_token)
        return;
    HASH_DELETE(by_token, c->server->by_token, c);
    c->has_token = false;
}

void hub_registry_remove(struct hub_connection *c)
{
    hub_registry_drop_token(c);
    hub_ids_remove(&c->server->ids, c);
    HASH_DELETE(by_serial, c->server->by_serial, c);
    hub_registry_set_user(c, (struct slice){0});
}

struct hub_connection *hub_registry_by_token(struct signalr_server *s, struct slice token)
{
    struct hub_connection *c = NULL;

    if (token.len == HUB_TOKEN_LEN)
        HASH_FIND(by_token, s->by_token, token.ptr, HUB_TOKEN_LEN, c);
    return c;
}

struct hub_user *hub_registry_user(struct signalr_server *s, struct slice key)
{
    struct hub_user *user = NULL;

    if (key.len > 0)
        HASH_FIND(hh, s->users, key.ptr, key.len, user);
    return user;
}

static struct hub_user *user_new(struct signalr_server *s, struct slice key)
{
    struct hub_user *user = calloc(1, sizeof *user + key.len);

    if (user == NULL)
        return NULL;
    memcpy(user->key, key.ptr, key.len);
    user->key_len = (uint32_t)key.len;
    HASH_ADD(hh, s->users, key, key.len, user);
    if (user->hh.tbl != NULL)
        return user;
    free(user);
    return NULL;
}

static void leave_user(struct hub_connection *c)
{
    struct hub_user *user = c->user;

    if (user == NULL)
        return;
    if (c->user_prev != NULL)
        c->user_prev->user_next = c->user_next;
    else
        user->connections = c->user_next;
    if (c->user_next != NULL)
        c->user_next->user_prev = c->user_prev;
    c->user = NULL;
    c->user_prev = c->user_next = NULL;
    if (--user->count > 0)
        return;
    HASH_DELETE(hh, c->server->users, user);
    free(user);
}

bool hub_registry_set_user(struct hub_connection *c, struct slice key)
{
    struct hub_user *user = hub_registry_user(c->server, key);

    if (c->user == user && (user != NULL || key.len == 0))
        return true;
    if (user == NULL && key.len > 0) {
        user = user_new(c->server, key);
        if (user == NULL)
            return false;
    }
    leave_user(c);
    if (user == NULL)
        return true;
    c->user = user;
    c->user_next = user->connections;
    if (c->user_next != NULL)
        c->user_next->user_prev = c;
    user->connections = c;
    user->count++;
    return true;
}
