#include "signalr/http/http_internal.h"

/* ---- lines ---- */

static void join(struct http_place *line, struct http_place *p)
{
    p->next = line;
    p->prev = line->prev;
    p->prev->next = p;
    line->prev = p;
}

static void leave(struct http_place *p)
{
    if (p->next == NULL)
        return;
    p->prev->next = p->next;
    p->next->prev = p->prev;
    p->next = p->prev = NULL;
}

static bool is_empty(const struct http_place *line)
{
    return line->next == line;
}

static struct http_sock *first_sock(const struct http_place *line)
{
    return (struct http_sock *)((char *)line->next - offsetof(struct http_sock, place));
}

static struct http_conn *first_conn(const struct http_place *line)
{
    return (struct http_conn *)((char *)line->next - offsetof(struct http_conn, place));
}

static void open_line(struct http_place *line)
{
    line->next = line->prev = line;
}

/* ---- who waits ---- */

bool http_turn_takes_request(struct http_conn *c)
{
    struct http_turn *t = &c->sock->server->turn;

    if (is_empty(&t->requests) && t->requests_taken < HTTP_TURN_REQUESTS) {
        t->requests_taken++;
        return true;
    }
    join(&t->requests, &c->place);
    return false;
}

void http_turn_leave_request(struct http_conn *c)
{
    leave(&c->place);
}

void http_turn_end(struct http_sock *k)
{
    leave(&k->place);
    join(&k->server->turn.ends, &k->place);
}

void http_turn_wake(struct http_sock *k)
{
    if (k->place.next == NULL)
        join(&k->server->turn.woken, &k->place);
}

void http_turn_leave(struct http_sock *k)
{
    leave(&k->place);
}

/* ---- the turn ---- */

void http_turn_open(struct http_server *s)
{
    struct http_turn *t = &s->turn;

    open_line(&t->woken);
    open_line(&t->requests);
    open_line(&t->ends);
    uv_idle_init(s->loop, &t->awake); /* cannot fail in libuv 1.x */
    t->awake.data = s;
}

static void take_requests(struct http_turn *t)
{
    for (t->requests_taken = 0;
         !is_empty(&t->requests) && t->requests_taken < HTTP_TURN_REQUESTS;) {
        struct http_conn *c = first_conn(&t->requests);

        leave(&c->place);
        if (http_sock_closing(c->sock))
            continue;
        t->requests_taken++;
        http_conn_turn(c);
    }
}

static void take_ends(struct http_turn *t)
{
    for (unsigned i = 0; i < HTTP_TURN_ENDS && !is_empty(&t->ends); i++) {
        struct http_sock *k = first_sock(&t->ends);

        leave(&k->place);
        http_sock_turn(k);
    }
}

/* What a callback wakes meanwhile is woken in the same go: else it would wait for the next event of
 * somebody else. */
static void wake_all(struct http_turn *t)
{
    while (!is_empty(&t->woken)) {
        struct http_sock *k = first_sock(&t->woken);

        leave(&k->place);
        http_sock_woken(k);
    }
}

/* An active idle handle keeps the loop awake. */
static void stay_awake(uv_idle_t *idle)
{
    (void)idle;
}

void http_turn_begin(struct http_server *s)
{
    struct http_turn *t = &s->turn;

    take_requests(t);
    take_ends(t);
    wake_all(t);
    if (is_empty(&t->requests) && is_empty(&t->ends))
        uv_idle_stop(&t->awake);
    else
        uv_idle_start(&t->awake, stay_awake);
}
