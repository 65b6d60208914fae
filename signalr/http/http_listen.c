#include "signalr/http/http_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

static socklen_t addr_len(const struct sockaddr *addr)
{
    return addr->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
}

static int listen_socket(const struct sockaddr *addr, bool reuseport, int *out)
{
    int on = 1, off = 0, rc = 0;
    int fd = socket(addr->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return uv_translate_sys_error(errno);
    /* REUSEADDR: connections of a former run in TIME_WAIT must not keep the port. [::] takes IPv4
     * too, as Kestrel does. NODELAY, inherited by what is accepted: one small write is one message
     * to one browser, which Nagle would hold back for an ACK. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        (reuseport && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        (addr->sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off) != 0) ||
        bind(fd, addr, addr_len(addr)) != 0 || listen(fd, BACKLOG) != 0)
        rc = uv_translate_sys_error(errno);
    if (rc != 0) {
        close(fd);
        return rc;
    }
    *out = fd;
    return 0;
}

int http_probe_bind(const struct sockaddr *addr, struct sockaddr_storage *bound)
{
    socklen_t len = sizeof *bound;
    int fd, rc = listen_socket(addr, false, &fd);

    if (rc != 0)
        return rc;
    memset(bound, 0, sizeof *bound);
    if (getsockname(fd, (struct sockaddr *)bound, &len) != 0)
        rc = uv_translate_sys_error(errno);
    close(fd);
    return rc;
}

/* Counts the peer by its address; its proxy's clients are counted per request instead. */
static bool take_slot(struct http_sock *k, const struct http_addr *peer)
{
    struct http_server *s = k->server;
    unsigned max = s->options.limits.max_per_address;

    if (max == 0 || http_cidr_list_has(s->trusted, s->ntrusted, peer))
        return true;
    k->slot = http_counts_take_address(s->counts, peer, max);
    return k->slot != NULL;
}

static void start(struct http_server *s, int fd, const struct http_addr *peer, int tag,
                  bool expect_proxy, struct slice first)
{
    size_t max = s->options.limits.max_connections, before;
    struct http_sock *k = http_sock_new(s, fd, &before);

    if (k == NULL)
        return;
    if ((max > 0 && before >= max) || !take_slot(k, peer)) {
        http_server_note(s, HTTP_NOTE_TOO_MANY, 503, "too many connections", peer);
        http_sock_refuse(k);
    } else if (!http_conn_new(k, peer, tag, expect_proxy, first)) {
        http_sock_close(k);
    }
}

static void accepted(struct http_listener *l, int fd, const struct sockaddr *addr)
{
    struct http_server *s = l->server;
    struct http_addr peer;

    http_addr_of(addr, &peer);
    start(s, fd, &peer, l->tag,
          s->options.proxy_protocol && http_cidr_list_has(s->trusted, s->ntrusted, &peer),
          (struct slice){NULL, 0});
}

static void on_readable(uv_poll_t *poll, int status, int events);

static void on_resume(uv_timer_t *timer)
{
    const struct http_server *s = timer->data;

    for (struct http_listener *l = s->listeners; l != NULL; l = l->next)
        if (!uv_is_active((uv_handle_t *)&l->poll))
            uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

/* Out of descriptors, the kernel would report the waiting connection for ever: give up the reserve,
 * accept with it, close. Where that does not help either, wait a while. */
static bool refuse_one(struct http_listener *l)
{
    static const struct http_addr nobody;
    struct http_server *s = l->server;
    int fd;

    if (s->reserve_fd >= 0)
        close(s->reserve_fd);
    fd = accept4(l->fd, NULL, NULL, SOCK_CLOEXEC);
    if (fd >= 0)
        close(fd);
    else if (errno != EAGAIN && uv_poll_stop(&l->poll) == 0)
        uv_timer_start(&s->resume, on_resume, HTTP_RESUME_MS, 0);
    s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (fd >= 0)
        http_server_note(s, HTTP_NOTE_TOO_MANY, 0, "out of file descriptors", &nobody);
    return fd >= 0;
}

/* False: nothing waits any more, or nothing can be done about it now. */
static bool accept_one(struct http_listener *l)
{
    struct sockaddr_storage addr;
    socklen_t len = sizeof addr;
    int fd = accept4(l->fd, (struct sockaddr *)&addr, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);

    if (fd >= 0) {
        accepted(l, fd, (struct sockaddr *)&addr);
        return true;
    }
    if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
        return refuse_one(l);
    return errno == ECONNABORTED || errno == EINTR;
}

static void on_readable(uv_poll_t *poll, int status, int events)
{
    struct http_listener *l = poll->data;

    (void)events;
    if (status != 0)
        return;
    for (unsigned i = 0; i < HTTP_TURN_ACCEPTS && !l->server->closing && accept_one(l); i++)
        ;
}

static void on_closed(uv_handle_t *handle)
{
    struct http_listener *l = handle->data;
    struct http_server *s = l->server;

    free(l);
    http_server_handle_closed(s);
}

int http_server_listen(struct http_server *s, const struct sockaddr *addr, int tag, bool reuseport)
{
    struct http_listener *l = calloc(1, sizeof *l);
    int rc;

    if (l == NULL)
        return UV_ENOMEM;
    l->server = s;
    l->tag = tag;
    rc = listen_socket(addr, reuseport, &l->fd);
    if (rc != 0) {
        free(l);
        return rc;
    }
    rc = uv_poll_init(s->loop, &l->poll, l->fd);
    if (rc != 0) {
        close(l->fd);
        free(l);
        return rc;
    }
    s->nhandles++;
    l->poll.data = l;
    l->next = s->listeners;
    s->listeners = l;
    return uv_poll_start(&l->poll, UV_READABLE, on_readable);
}

void http_listeners_close(struct http_server *s)
{
    while (s->listeners != NULL) {
        struct http_listener *l = s->listeners;

        s->listeners = l->next;
        uv_close((uv_handle_t *)&l->poll, on_closed);
        close(l->fd);
    }
}

void http_server_stop_listening(struct http_server *s)
{
    /* What the kernel has accepted for us would be reset by the close. */
    for (struct http_listener *l = s->listeners; l != NULL; l = l->next)
        while (accept_one(l))
            ;
    http_listeners_close(s);
}

void http_server_adopt(struct http_server *s, struct http_handoff *handoff)
{
    int fd = handoff->fd;

    handoff->fd = -1;
    if (s->closing)
        close(fd);
    else
        start(s, fd, &handoff->peer, handoff->tag, false,
              (struct slice){handoff->bytes, handoff->len});
    http_handoff_free(handoff);
}
