/* tests/unit/ws_double.h - a WebSocket server for tests: blocking sockets, a thread a connection,
 * and a script that says what each connection does. Every wait is bounded, so a script ends by
 * itself. */
#ifndef TESTS_UNIT_WS_DOUBLE_H
#define TESTS_UNIT_WS_DOUBLE_H

#include <arpa/inet.h>
#include <assert.h>
#include <netdb.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { WSD_WAIT_S = 20, WSD_MAX_CONNS = 2048 };

struct wsd_conn {
    int fd;
    SSL *ssl; /* NULL: plain */
    struct wsd *server;
    unsigned index;  /* 0: the first connection */
    char head[4096]; /* the upgrade request */
    unsigned closed; /* code of the peer's close frame; 0: none seen */
};

typedef void (*wsd_script)(struct wsd_conn *c);

struct wsd {
    int fd;
    uint16_t port;
    wsd_script script;
    void *arg;
    SSL_CTX *tls;
    pthread_t acceptor, threads[WSD_MAX_CONNS];
    unsigned n;
    atomic_bool stop;
};

static ssize_t wsd_raw_read(struct wsd_conn *c, void *buf, size_t len)
{
    return c->ssl != NULL ? SSL_read(c->ssl, buf, (int)len) : recv(c->fd, buf, len, 0);
}

static bool wsd_read(struct wsd_conn *c, void *buf, size_t len)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = wsd_raw_read(c, (char *)buf + got, len - got);

        if (n <= 0)
            return false;
        got += (size_t)n;
    }
    return true;
}

static bool wsd_write(struct wsd_conn *c, const void *buf, size_t len)
{
    for (size_t put = 0; put < len;) {
        ssize_t n = c->ssl != NULL ? SSL_write(c->ssl, (const char *)buf + put, (int)(len - put))
                                   : send(c->fd, (const char *)buf + put, len - put, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        put += (size_t)n;
    }
    return true;
}

static inline bool wsd_puts(struct wsd_conn *c, const char *text)
{
    return wsd_write(c, text, strlen(text));
}

static inline bool wsd_read_head(struct wsd_conn *c)
{
    size_t len = 0;

    while (len < sizeof c->head - 1 && wsd_read(c, c->head + len, 1)) {
        c->head[++len] = '\0';
        if (len >= 4 && memcmp(c->head + len - 4, "\r\n\r\n", 4) == 0)
            return true;
    }
    return false;
}

/* Reads the request and accepts it. more: extra header lines; tail: bytes right behind the head. */
static inline bool wsd_upgrade_and(struct wsd_conn *c, const char *more, const char *tail)
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[EVP_MAX_MD_SIZE], accept[64];
    char text[512], *key;
    unsigned n;

    if (!wsd_read_head(c) || (key = strstr(c->head, "Sec-WebSocket-Key: ")) == NULL)
        return false;
    n = (unsigned)snprintf(text, sizeof text, "%.24s%s", key + 19, guid);
    EVP_Digest(text, n, digest, &n, EVP_sha1(), NULL);
    EVP_EncodeBlock(accept, digest, (int)n);
    snprintf(text, sizeof text,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n%s"
             "Sec-WebSocket-Accept: %s\r\n\r\n%s",
             more, accept, tail);
    return wsd_puts(c, text);
}

static inline bool wsd_upgrade(struct wsd_conn *c, const char *more)
{
    return wsd_upgrade_and(c, more, "");
}

/* first: FIN and opcode. */
static inline bool wsd_frame(struct wsd_conn *c, unsigned first, const void *data, size_t len)
{
    unsigned char head[10] = {(unsigned char)first};
    size_t n = 2;

    if (len < 126) {
        head[1] = (unsigned char)len;
    } else if (len < 65536) {
        head[1] = 126;
        head[2] = (unsigned char)(len >> 8);
        head[3] = (unsigned char)len;
        n = 4;
    } else {
        head[1] = 127;
        for (int i = 0; i < 8; i++)
            head[2 + i] = (unsigned char)(len >> (56 - 8 * i));
        n = 10;
    }
    if (len + n < 65536) { /* one segment, as a server sends it */
        unsigned char all[65536];

        memcpy(all, head, n);
        if (len > 0)
            memcpy(all + n, data, len);
        return wsd_write(c, all, n + len);
    }
    return wsd_write(c, head, n) && wsd_write(c, data, len);
}

static inline bool wsd_text(struct wsd_conn *c, const char *text)
{
    return wsd_frame(c, 0x81, text, strlen(text));
}

static inline bool wsd_close(struct wsd_conn *c, unsigned code, const char *reason)
{
    unsigned char body[125] = {(unsigned char)(code >> 8), (unsigned char)code};

    memcpy(body + 2, reason, strlen(reason));
    return wsd_frame(c, 0x88, body, 2 + strlen(reason));
}

/* The next text message into buf. False: closed (code in c->closed) or silent for too long. */
static inline bool wsd_expect(struct wsd_conn *c, char *buf, size_t cap)
{
    unsigned char head[8], mask[4];
    size_t len;

    for (;;) {
        if (!wsd_read(c, head, 2))
            return false;
        len = head[1] & 0x7f;
        if (len == 126) {
            if (!wsd_read(c, head + 2, 2))
                return false;
            len = (size_t)head[2] << 8 | head[3];
        } else if (len == 127) {
            abort();
        }
        assert((head[1] & 0x80) != 0 && len < cap); /* a client masks */
        if (!wsd_read(c, mask, 4) || !wsd_read(c, buf, len))
            return false;
        for (size_t i = 0; i < len; i++)
            buf[i] = (char)(buf[i] ^ mask[i % 4]);
        buf[len] = '\0';
        if ((head[0] & 0x0f) == 1)
            return true;
        if ((head[0] & 0x0f) == 8) {
            c->closed =
                len >= 2 ? (unsigned)(unsigned char)buf[0] << 8 | (unsigned char)buf[1] : 1005;
            wsd_frame(c, 0x88, buf, len >= 2 ? 2 : 0);
            return false;
        }
    }
}

/* Reads until the peer closes; remembers its code. */
static inline void wsd_drain(struct wsd_conn *c)
{
    char buf[65536];

    while (wsd_expect(c, buf, sizeof buf))
        ;
}

static inline void wsd_reset(struct wsd_conn *c)
{
    struct linger linger = {.l_onoff = 1};

    setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
}

static void *wsd_serve(void *arg)
{
    struct wsd_conn *c = arg;
    struct timeval wait = {.tv_sec = WSD_WAIT_S};

    setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    setsockopt(c->fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof wait);
    if (c->server->tls != NULL) {
        c->ssl = SSL_new(c->server->tls);
        SSL_set_fd(c->ssl, c->fd);
    }
    if (c->ssl == NULL || SSL_accept(c->ssl) == 1)
        c->server->script(c);
    SSL_free(c->ssl);
    close(c->fd);
    free(c);
    return NULL;
}

static void *wsd_accept(void *arg)
{
    struct wsd *s = arg;
    pthread_attr_t attr;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 2 * 1024 * 1024); /* sanitizers want a good part of it */
    while (!atomic_load(&s->stop)) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        struct wsd_conn *c;

        if (poll(&p, 1, 20) != 1)
            continue;
        c = calloc(1, sizeof *c);
        c->fd = accept(s->fd, NULL, NULL);
        c->server = s;
        c->index = s->n;
        assert(c->fd >= 0 && s->n < WSD_MAX_CONNS);
        pthread_create(&s->threads[s->n++], &attr, wsd_serve, c);
    }
    pthread_attr_destroy(&attr);
    return NULL;
}

static inline struct wsd *wsd_start_at(const char *address, wsd_script script, void *arg,
                                       SSL_CTX *tls)
{
    struct addrinfo hints = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
                             .ai_socktype = SOCK_STREAM},
                    *at = NULL;
    struct sockaddr_storage bound;
    socklen_t len = sizeof bound;
    struct wsd *s = calloc(1, sizeof *s);
    char port[8];

    s->script = script;
    s->arg = arg;
    s->tls = tls;
    if (getaddrinfo(address, "0", &hints, &at) != 0)
        abort();
    s->fd = socket(at->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, at->ai_addr, at->ai_addrlen) != 0 || listen(s->fd, 1024) != 0 ||
        getsockname(s->fd, (struct sockaddr *)&bound, &len) != 0 ||
        getnameinfo((struct sockaddr *)&bound, len, NULL, 0, port, sizeof port, NI_NUMERICSERV) !=
            0)
        abort();
    freeaddrinfo(at);
    s->port = (uint16_t)atoi(port);
    pthread_create(&s->acceptor, NULL, wsd_accept, s);
    return s;
}

static inline struct wsd *wsd_start(wsd_script script, void *arg, SSL_CTX *tls)
{
    return wsd_start_at("127.0.0.1", script, arg, tls);
}

static inline void wsd_stop(struct wsd *s)
{
    atomic_store(&s->stop, true);
    pthread_join(s->acceptor, NULL);
    for (unsigned i = 0; i < s->n; i++)
        pthread_join(s->threads[i], NULL);
    close(s->fd);
    free(s);
}

#endif
