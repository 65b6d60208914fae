#include "tests/bench/bench_net.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS = 256, SCRATCH = 256 * 1024, BACKLOG = 4096 };

static int epoll_fd = -1;
static struct peer *dead_peers;
static uint8_t scratch[SCRATCH]; /* every read goes here first: idle peers have no buffer */

uint64_t net_now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void net_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
    fflush(stdout);
}

void net_fail(const char *what)
{
    perror(what);
    exit(1);
}

void *net_alloc(size_t size)
{
    void *p = calloc(1, size);

    if (p == NULL)
        net_fail("calloc");
    return p;
}

void net_options(int argc, char **argv, const struct net_option *options)
{
    for (int i = 1; i + 1 < argc + 1; i += 2) {
        const struct net_option *o = options;

        while (o->name != NULL && strcmp(argv[i], o->name) != 0)
            o++;
        if (o->name == NULL || i + 1 == argc) {
            fprintf(stderr, "%s: %s: unknown, or its value is missing\n", argv[0], argv[i]);
            exit(2);
        }
        *o->value = argv[i + 1];
    }
}

/* ---- bytes ---- */

void bytes_add(struct bytes *b, const void *data, size_t len)
{
    if (b->len + len > b->cap) {
        b->cap = (b->len + len) * 2;
        b->data = realloc(b->data, b->cap);
        if (b->data == NULL)
            net_fail("realloc");
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
}

void bytes_drop(struct bytes *b, size_t len)
{
    b->len -= len;
    if (b->len == 0) {
        free(b->data);
        *b = (struct bytes){0};
    } else if (len > 0) {
        memmove(b->data, b->data + len, b->len);
    }
}

/* ---- epoll ---- */

static void start(void)
{
    struct rlimit files;

    if (epoll_fd >= 0)
        return;
    signal(SIGPIPE, SIG_IGN);
    prctl(PR_SET_TIMERSLACK, 1); /* ns: else every paced send may come 50 us late */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0) {
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        net_fail("epoll_create1");
}

static void set_events(struct net_source *s, uint32_t events, int op)
{
    struct epoll_event e = {.events = events, .data.ptr = s};

    if (epoll_ctl(epoll_fd, op, s->fd, &e) != 0)
        net_fail("epoll_ctl");
}

void net_add(struct net_source *s, uint32_t events)
{
    start();
    set_events(s, events, EPOLL_CTL_ADD);
}

static void peer_watch(struct peer *p)
{
    const uint32_t out = p->connecting || p->out.len > 0 ? EPOLLOUT : 0;

    set_events(&p->source, (p->paused ? 0 : EPOLLIN) | out, EPOLL_CTL_MOD);
}

static void bury_dead(void)
{
    while (dead_peers != NULL) {
        struct peer *p = dead_peers;

        dead_peers = p->next_dead;
        free(p);
    }
}

void net_run(int64_t (*idle)(void))
{
    struct epoll_event events[EVENTS];

    start();
    for (;;) {
        const int64_t ns = idle();
        const struct timespec wait = {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000};
        int n;

        bury_dead();
        n = epoll_pwait2(epoll_fd, events, EVENTS, ns < 0 ? NULL : &wait, NULL);
        if (n < 0 && errno != EINTR)
            net_fail("epoll_pwait2");
        for (int i = 0; i < n; i++) {
            struct net_source *s = events[i].data.ptr;

            if (s->fd >= 0) /* else: closed by an event before this one, freed behind the turn */
                s->on_ready(s, events[i].events);
        }
    }
}

/* ---- commands ---- */

static struct net_source commands;
static void (*on_command)(char *line);

static void on_stdin(struct net_source *s, uint32_t events)
{
    static char line[4096];
    static size_t len;
    const ssize_t n = read(s->fd, line + len, sizeof line - 1 - len);
    char *end;

    (void)events;
    if (n <= 0)
        exit(0);
    len += (size_t)n;
    while ((end = memchr(line, '\n', len)) != NULL) {
        const size_t used = (size_t)(end - line) + 1;

        *end = '\0';
        on_command(line);
        len -= used;
        memmove(line, line + used, len);
    }
}

void net_commands(void (*on_line)(char *line))
{
    on_command = on_line;
    commands = (struct net_source){.on_ready = on_stdin, .fd = STDIN_FILENO};
    net_add(&commands, EPOLLIN);
}

/* ---- peers ---- */

static void peer_bury(struct peer *p)
{
    if (p->dead)
        return;
    p->dead = true;
    if (p->tls != NULL)
        SSL_free(p->tls);
    close(p->source.fd);
    p->source.fd = -1;
    bytes_drop(&p->in, p->in.len);
    bytes_drop(&p->out, p->out.len);
    p->next_dead = dead_peers;
    dead_peers = p;
}

void peer_close(struct peer *p, bool reset)
{
    const struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (reset && !p->dead)
        setsockopt(p->source.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    peer_bury(p);
}

static void peer_end(struct peer *p)
{
    if (p->dead)
        return;
    p->ops->on_end(p);
    peer_bury(p);
}

/* As read(): 0 at the end, -1 with EAGAIN. */
static ssize_t peer_read(struct peer *p, void *data, size_t len)
{
    int n, error;

    if (p->tls == NULL)
        return read(p->source.fd, data, len);
    n = SSL_read(p->tls, data, (int)len);
    if (n > 0)
        return n;
    error = SSL_get_error(p->tls, n);
    errno = EAGAIN;
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? -1 : 0;
}

static ssize_t peer_write(struct peer *p, const void *data, size_t len)
{
    int n;

    if (p->tls == NULL)
        return write(p->source.fd, data, len);
    n = SSL_write(p->tls, data, (int)len);
    if (n > 0)
        return n;
    errno = SSL_get_error(p->tls, n) == SSL_ERROR_SSL ? EPIPE : EAGAIN;
    return -1;
}

void peer_send(struct peer *p, const void *data, size_t len)
{
    ssize_t n = 0;

    if (p->dead)
        return;
    if (p->out.len == 0 && !p->connecting) {
        n = peer_write(p, data, len);
        if (n < 0 && errno != EAGAIN)
            return; /* the read side will tell */
        if (n == (ssize_t)len)
            return;
        n = n < 0 ? 0 : n;
    }
    bytes_add(&p->out, (const uint8_t *)data + n, len - (size_t)n);
    peer_watch(p);
}

static void peer_flush(struct peer *p)
{
    ssize_t n;

    if (p->out.len == 0)
        return;
    n = peer_write(p, p->out.data, p->out.len);
    if (n > 0)
        bytes_drop(&p->out, (size_t)n);
    if (p->out.len == 0)
        peer_watch(p);
}

static void peer_input(struct peer *p)
{
    size_t len = p->in.len, used;
    ssize_t n;

    if (len >= SCRATCH) {
        peer_end(p); /* no bench speaks such long messages */
        return;
    }
    n = peer_read(p, scratch + len, SCRATCH - len);
    if (n < 0 && errno == EAGAIN)
        return;
    if (n <= 0) {
        peer_end(p);
        return;
    }
    if (len > 0)
        memcpy(scratch, p->in.data, len);
    len += (size_t)n;
    bytes_drop(&p->in, p->in.len);
    used = p->ops->on_bytes(p, scratch, len);
    if (used < len && !p->dead)
        bytes_add(&p->in, scratch + used, len - used);
}

static void on_peer_ready(struct net_source *s, uint32_t events)
{
    struct peer *p = (struct peer *)s;

    if (p->connecting) {
        int error = 0;
        socklen_t len = sizeof error;

        getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &len);
        if (error != 0) {
            peer_end(p);
            return;
        }
        p->connecting = false;
        peer_watch(p);
        if (p->ops->on_connected != NULL)
            p->ops->on_connected(p);
    } else if (events & EPOLLOUT) {
        peer_flush(p);
    }
    if (p->dead)
        return;
    if (events & EPOLLIN)
        peer_input(p);
    else if (events & (EPOLLHUP | EPOLLERR))
        peer_end(p);
    /* What TLS has decrypted beyond the scratch is not epoll's to know. */
    while (!p->dead && !p->paused && p->tls != NULL && SSL_pending(p->tls) > 0)
        peer_input(p);
}

void peer_pause(struct peer *p, bool paused)
{
    p->paused = paused;
    peer_watch(p);
}

void peer_start_tls(struct peer *p, SSL_CTX *ctx)
{
    p->tls = SSL_new(ctx);
    if (p->tls == NULL || SSL_set_fd(p->tls, p->source.fd) != 1)
        net_fail("SSL_new");
    SSL_set_accept_state(p->tls);
    SSL_set_mode(p->tls, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                             SSL_MODE_RELEASE_BUFFERS);
}

static struct peer *peer_new(int fd, const struct peer_ops *ops, bool connecting)
{
    const int on = 1;
    struct peer *p = net_alloc(sizeof *p);

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    p->source = (struct net_source){.on_ready = on_peer_ready, .fd = fd};
    p->ops = ops;
    p->connecting = connecting;
    net_add(&p->source, connecting ? EPOLLOUT : EPOLLIN);
    return p;
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

int net_listen(uint16_t port, struct net_source *listener)
{
    struct sockaddr_in addr = loopback(port);
    socklen_t len = sizeof addr;
    const int on = 1;

    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener->fd < 0 ||
        setsockopt(listener->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        bind(listener->fd, (struct sockaddr *)&addr, sizeof addr) != 0 ||
        listen(listener->fd, BACKLOG) != 0 ||
        getsockname(listener->fd, (struct sockaddr *)&addr, &len) != 0)
        net_fail("listen");
    net_add(listener, EPOLLIN);
    return ntohs(addr.sin_port);
}

struct peer *peer_accept(struct net_source *listener, const struct peer_ops *ops)
{
    const int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

    return fd < 0 ? NULL : peer_new(fd, ops, false);
}

struct peer *peer_connect(uint16_t port, const struct peer_ops *ops, void *owner)
{
    struct sockaddr_in addr = loopback(port);
    struct peer *p;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return NULL;
    if (connect(fd, (struct sockaddr *)&addr, sizeof addr) != 0 && errno != EINPROGRESS) {
        close(fd);
        return NULL;
    }
    p = peer_new(fd, ops, true);
    p->owner = owner;
    return p;
}
