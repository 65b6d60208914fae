#include "signalr/http/http_internal.h"

/* While requests wait the loop must not sleep: an active idle handle keeps it awake. */
static void stay_awake(uv_idle_t *idle)
{
    (void)idle;
}

void http_turn_open(struct http_server *s)
{
    struct http_turn *t = &s->turn;

    t->tail = &t->first;
    uv_idle_init(s->loop, &t->awake); /* cannot fail in libuv 1.x */
    t->awake.data = s;
}

bool http_turn_take(struct http_server *s)
{
    struct http_turn *t = &s->turn;

    if (t->first != NULL || t->taken == HTTP_TURN_REQUESTS)
        return false;
    t->taken++;
    return true;
}

void http_turn_wait(struct http_conn *c)
{
    struct http_turn *t = &c->sock->server->turn;

    c->next_waiting = NULL;
    c->waiting_link = t->tail;
    *t->tail = c;
    t->tail = &c->next_waiting;
    uv_idle_start(&t->awake, stay_awake);
}

void http_turn_leave(struct http_conn *c)
{
    struct http_turn *t = &c->sock->server->turn;

    if (c->waiting_link == NULL)
        return;
    *c->waiting_link = c->next_waiting;
    if (c->next_waiting != NULL)
        c->next_waiting->waiting_link = c->waiting_link;
    else
        t->tail = c->waiting_link;
    c->waiting_link = NULL;
}

void http_turn_begin(struct http_server *s)
{
    struct http_turn *t = &s->turn;

    t->taken = 0;
    while (t->first != NULL && t->taken < HTTP_TURN_REQUESTS) {
        struct http_conn *c = t->first;

        http_turn_leave(c);
        if (http_sock_closing(c->sock))
            continue;
        t->taken++;
        http_conn_turn(c);
    }
    if (t->first == NULL)
        uv_idle_stop(&t->awake);
}
