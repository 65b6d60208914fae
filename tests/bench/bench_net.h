/* tests/bench/bench_net.h - what the bench programs share: one epoll loop a process, non-blocking
 * TCP (TLS where the caller set it up), commands on stdin. Kept bare, since one of the programs is
 * what the product is measured against. Single-threaded; no memory is held for an idle connection
 * but its struct peer.
 */
#ifndef TESTS_BENCH_BENCH_NET_H
#define TESTS_BENCH_BENCH_NET_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Something that epoll tells about; first member of what owns the descriptor. */
struct net_source {
    void (*on_ready)(struct net_source *s, uint32_t events);
    int fd;
};

struct bytes {
    uint8_t *data;
    size_t len, cap;
};
void bytes_add(struct bytes *b, const void *data, size_t len);
void bytes_drop(struct bytes *b, size_t len); /* from the front; all: the memory goes too */

struct peer;
struct peer_ops {
    /* Returns how much of data it used up; the rest comes again with more behind it. */
    size_t (*on_bytes)(struct peer *p, uint8_t *data, size_t len);
    void (*on_connected)(struct peer *p); /* outgoing only; NULL: not told */
    /* The other side is gone, or connecting failed. Not called for peer_close(). p dies behind it;
     * owner is the callback's to free. */
    void (*on_end)(struct peer *p);
};

struct peer {
    struct net_source source;
    bool connecting, paused, dead;
    const struct peer_ops *ops;
    SSL *tls; /* NULL: plain */
    void *owner;
    struct bytes in, out; /* what was read and not used up; what the socket did not take */
    struct peer *next_dead;
};

uint64_t net_now_ns(void);                                  /* CLOCK_MONOTONIC */
int net_listen(uint16_t port, struct net_source *listener); /* returns the port; exits on failure */
struct peer *peer_accept(struct net_source *listener,
                         const struct peer_ops *ops); /* NULL: no more */
struct peer *peer_connect(uint16_t port, const struct peer_ops *ops,
                          void *owner);            /* NULL: failed */
void peer_start_tls(struct peer *p, SSL_CTX *ctx); /* before the first read */
/* One write when nothing waits; what is not taken is queued. */
void peer_send(struct peer *p, const void *data, size_t len);
void peer_pause(struct peer *p, bool paused); /* reads no more */
/* reset: by RST. The memory goes at the end of the loop's turn. */
void peer_close(struct peer *p, bool reset);

void net_add(struct net_source *s, uint32_t events);
/* Each line of stdin, without its newline. The end of stdin ends the process. */
void net_commands(void (*on_line)(char *line));
/* Runs for ever. idle is called in every turn before waiting and tells for how many nanoseconds at
 * most to wait (0: not at all, -1: until something happens). */
void net_run(int64_t (*idle)(void)) __attribute__((noreturn));

/* A report: one line of text to stdout. */
void net_say(const char *format, ...) __attribute__((format(printf, 1, 2)));
void net_fail(const char *what) __attribute__((noreturn)); /* what and errno to stderr; exit 1 */
void *net_alloc(size_t size);                              /* zeroed; exits when there is none */

/* Options of the form --name value. names and values end with NULL. Exits on an unknown one. */
struct net_option {
    const char *name;
    const char **value;
};
void net_options(int argc, char **argv, const struct net_option *options);

#endif
