/* tests/unit/loopback.h - an http_server in the test's own loop, and plain sockets against it.
 *
 * Everything runs on one thread: a wait turns the loop without blocking and looks at the client's
 * socket between turns, for at most LB_LIMIT_MS: valgrind on a busy machine needs them. */
#ifndef TESTS_UNIT_LOOPBACK_H
#define TESTS_UNIT_LOOPBACK_H

#include "base/hash.h"
#include "signalr/http/http_server.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
/* after the four above */
#include <cmocka.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { LB_LIMIT_MS = 60000 };

struct loopback {
    uv_loop_t loop;
    struct http_server *server;
    struct sockaddr_storage addr;
    bool closed;
};

struct received {
    char bytes[400000];
    size_t len;
    bool eof, reset;
};

static inline void lb_start(struct loopback *lb, const struct http_options *options)
{
    struct sockaddr_in any = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

    memset(lb, 0, sizeof *lb);
    signal(SIGPIPE, SIG_IGN); /* as the program does */
    hash_seed((const uint8_t[16]){1});
    assert_int_equal(uv_loop_init(&lb->loop), 0);
    assert_int_equal(http_server_new(&lb->loop, options, &lb->server), 0);
    assert_int_equal(http_probe_bind((struct sockaddr *)&any, &lb->addr), 0);
    assert_int_equal(http_server_listen(lb->server, (struct sockaddr *)&lb->addr, 7, true), 0);
}

static inline void lb_on_closed(void *arg)
{
    *(bool *)arg = true;
}

static inline void lb_stop(struct loopback *lb)
{
    http_server_close(lb->server, lb_on_closed, &lb->closed);
    while (uv_run(&lb->loop, UV_RUN_DEFAULT) != 0)
        ;
    assert_true(lb->closed);
    assert_int_equal(uv_loop_close(&lb->loop), 0);
}

static inline uint64_t lb_ms(void)
{
    return uv_hrtime() / 1000000;
}

static inline void lb_turn(struct loopback *lb, unsigned ms)
{
    uint64_t until = lb_ms() + ms;
    const struct timespec nap = {0, 200000};

    do {
        uv_run(&lb->loop, UV_RUN_NOWAIT);
        if (ms > 0)
            nanosleep(&nap, NULL);
    } while (lb_ms() < until);
    if (ms > 0) /* a nap may have been a long one: what is due by now still comes */
        for (int i = 0; i < 3; i++)
            uv_run(&lb->loop, UV_RUN_NOWAIT);
}

static inline int lb_connect_to(const struct sockaddr_storage *addr)
{
    int fd = socket(addr->ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

    assert_true(fd >= 0);
    assert_int_equal(setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on), 0);
    assert_int_equal(connect(fd, (const struct sockaddr *)addr,
                             addr->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
                                                         : sizeof(struct sockaddr_in)),
                     0);
    return fd;
}

static inline int lb_connect(const struct loopback *lb)
{
    return lb_connect_to(&lb->addr);
}

static inline void lb_send_bytes(int fd, const void *bytes, size_t len)
{
    assert_int_equal(send(fd, bytes, len, MSG_NOSIGNAL), len);
}

static inline void lb_send(int fd, const char *text)
{
    lb_send_bytes(fd, text, strlen(text));
}

/* Takes what is there now. */
static inline void lb_poll(int fd, struct received *r)
{
    ssize_t n;

    while (!r->eof && !r->reset && r->len < sizeof r->bytes - 1) {
        n = recv(fd, r->bytes + r->len, sizeof r->bytes - 1 - r->len, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            break;
        if (n == 0)
            r->eof = true;
        else if (n < 0)
            r->reset = true;
        else
            r->len += (size_t)n;
    }
    r->bytes[r->len] = '\0';
}

static inline bool lb_has(const struct received *r, const char *needle)
{
    return memmem(r->bytes, r->len, needle, strlen(needle)) != NULL;
}

static inline size_t lb_count(const struct received *r, const char *needle)
{
    size_t n = 0;

    for (const char *p = r->bytes; (p = strstr(p, needle)) != NULL; p++)
        n++;
    return n;
}

/* Waits until needle has come (NULL: until the end of the stream). */
static inline bool lb_wait(struct loopback *lb, int fd, struct received *r, const char *needle)
{
    uint64_t until = lb_ms() + LB_LIMIT_MS;

    for (;;) {
        lb_poll(fd, r);
        if (needle != NULL ? lb_has(r, needle) : r->eof || r->reset)
            return true;
        if (r->eof || r->reset || lb_ms() > until)
            return false;
        lb_turn(lb, 0);
    }
}

static inline bool lb_wait_flag(struct loopback *lb, const bool *flag)
{
    uint64_t until = lb_ms() + LB_LIMIT_MS;

    while (!*flag && lb_ms() < until)
        lb_turn(lb, 1);
    return *flag;
}

static inline bool lb_wait_connections(struct loopback *lb, size_t n)
{
    uint64_t until = lb_ms() + LB_LIMIT_MS;

    while (http_server_connections(lb->server) != n && lb_ms() < until)
        lb_turn(lb, 1);
    return http_server_connections(lb->server) == n;
}

#endif
