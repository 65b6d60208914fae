/* tests/unit/storm_server.h - an HTTP/1.1 server in the test's own loop that behaves badly at
 * random.
 *
 * It reads a request, mostly to its end, and answers: as asked, in pieces with pauses; with an
 * error; with what is no HTTP; not at all; or it cuts the connection somewhere, in good order or by
 * a reset. All chance comes from one seed, so a storm is the same again but for the machine's own
 * timing. Include once, in the test's only source file. */
#ifndef TESTS_UNIT_STORM_SERVER_H
#define TESTS_UNIT_STORM_SERVER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
/* after the three above */
#include <setjmp.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <uv.h>

enum { STORM_HEAD_MAX = 8192, STORM_ANSWER_MAX = 300000 };

struct storm {
    uv_loop_t loop;
    uv_tcp_t listener;
    int port;
    uint64_t random; /* xorshift: never 0 */
    unsigned conns;
    unsigned whole; /* answers that went out to their end */
    struct storm_conn *first;
};

struct storm_conn {
    uv_tcp_t tcp;
    uv_timer_t timer;
    struct storm *storm;
    struct storm_conn *next, **link;
    char head[STORM_HEAD_MAX]; /* and the body's last bytes, when it is in chunks */
    size_t head_len;
    uint64_t body_left; /* UINT64_MAX: in chunks, and no end yet */
    bool in_head, answering, closes, resets;
    char *answer;
    size_t answer_at, answer_len;
    unsigned handles;
};

static inline uint64_t storm_random(struct storm *s, uint64_t below)
{
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return s->random % below;
}

static inline void storm_conn_closed(uv_handle_t *handle)
{
    struct storm_conn *c = handle->data;

    if (--c->handles > 0)
        return;
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    c->storm->conns--;
    free(c->answer);
    free(c);
}

static inline void storm_conn_close(struct storm_conn *c, bool reset)
{
    const struct linger now = {1, 0};
    uv_os_fd_t fd;

    if (uv_is_closing((uv_handle_t *)&c->tcp))
        return;
    if (reset && uv_fileno((uv_handle_t *)&c->tcp, &fd) == 0)
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    uv_close((uv_handle_t *)&c->tcp, storm_conn_closed);
    uv_close((uv_handle_t *)&c->timer, storm_conn_closed);
}

static inline void storm_next_request(struct storm_conn *c)
{
    c->in_head = true;
    c->answering = c->closes = c->resets = false;
    c->head_len = 0;
    free(c->answer);
    c->answer = NULL;
    c->answer_at = c->answer_len = 0;
}

static inline void storm_write_more(uv_timer_t *timer);

static inline void storm_written(uv_write_t *req, int status)
{
    struct storm_conn *c = req->data;

    free(req);
    if (status != 0 || uv_is_closing((uv_handle_t *)&c->tcp)) {
        storm_conn_close(c, false);
        return;
    }
    if (c->answer_at < c->answer_len) {
        uv_timer_start(&c->timer, storm_write_more, storm_random(c->storm, 3), 0);
        return;
    }
    if (c->closes) {
        storm_conn_close(c, c->resets);
        return;
    }
    c->storm->whole++;
    storm_next_request(c);
}

static inline void storm_write_more(uv_timer_t *timer)
{
    struct storm_conn *c = timer->data;
    uv_write_t *req = calloc(1, sizeof *req);
    size_t left = c->answer_len - c->answer_at;
    size_t n = storm_random(c->storm, 2) == 0 ? left : 1 + storm_random(c->storm, left);
    uv_buf_t buf = uv_buf_init(c->answer + c->answer_at, (unsigned)n);

    c->answer_at += n;
    req->data = c;
    if (uv_write(req, (uv_stream_t *)&c->tcp, &buf, 1, storm_written) != 0) {
        free(req);
        storm_conn_close(c, false);
    }
}

static inline void storm_fill_answer(struct storm_conn *c)
{
    static const char *const errors[] = {
        "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 17\r\n\r\n{\"success\":false}",
        "HTTP/1.1 401 Unauthorized\r\nContent-Length: 18\r\n\r\n{\"status\":\"error\"}",
        "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 6\r\n\r\n<html>",
        "HTTP/1.1 204 No Content\r\n\r\n",
        "no HTTP at all\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n{}"};
    struct storm *s = c->storm;
    size_t body = storm_random(s, 3) == 0 ? storm_random(s, STORM_ANSWER_MAX) : 100;
    const uint64_t what = storm_random(s, 12);
    int n;

    c->answer = malloc(STORM_ANSWER_MAX + 200);
    if (what < sizeof errors / sizeof errors[0]) {
        n = snprintf(c->answer, STORM_ANSWER_MAX, "%s", errors[what]);
        c->closes = what >= 4; /* without a length, or without an end */
    } else {
        if (body < 40)
            body = 40;
        n = snprintf(c->answer, STORM_ANSWER_MAX,
                     "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
                     "%zu\r\n\r\n{\"_id\":\"u1\",\"username\":\"ana\",\"x\":\"",
                     body);
        memset(c->answer + n, 'x', body);
        n += (int)body - 34;
        memcpy(c->answer + n - 2, "\"}", 2);
    }
    c->answer_len = (size_t)n;
    if (storm_random(s, 5) == 0) { /* somewhere in it */
        c->answer_len = 1 + storm_random(s, c->answer_len);
        c->closes = true;
        c->resets = storm_random(s, 2) == 0;
    }
}

static inline void storm_answer(struct storm_conn *c)
{
    struct storm *s = c->storm;

    if (c->answering)
        return;
    c->answering = true;
    switch (storm_random(s, 14)) {
    case 0: /* never */
        return;
    case 1:
        storm_conn_close(c, storm_random(s, 2) == 0);
        return;
    default:
        storm_fill_answer(c);
        uv_timer_start(&c->timer, storm_write_more, storm_random(s, 4), 0);
    }
}

static inline void storm_body(struct storm_conn *c, const char *bytes, size_t n)
{
    if (c->body_left != UINT64_MAX) {
        c->body_left -= n < c->body_left ? n : c->body_left;
    } else {
        size_t keep = n < 5 ? n : 5;

        memmove(c->head, c->head + keep, 5 - keep);
        memcpy(c->head + 5 - keep, bytes + n - keep, keep);
        if (memcmp(c->head, "0\r\n\r\n", 5) == 0)
            c->body_left = 0;
    }
    if (c->body_left == 0 || storm_random(c->storm, 40) == 0) /* or before its end */
        storm_answer(c);
}

static inline void storm_take(struct storm_conn *c, const char *bytes, size_t n)
{
    size_t before = c->head_len, room = sizeof c->head - 1 - before, of_head;
    const char *end, *found;

    if (!c->in_head) {
        storm_body(c, bytes, n);
        return;
    }
    memcpy(c->head + before, bytes, n < room ? n : room); /* a long body may have come along */
    c->head_len += n < room ? n : room;
    c->head[c->head_len] = '\0';
    end = strstr(c->head, "\r\n\r\n");
    if (end == NULL)
        return;
    c->in_head = false;
    found = strcasestr(c->head, "content-length:");
    c->body_left = found != NULL && found < end ? strtoul(found + 15, NULL, 10) : 0;
    found = strcasestr(c->head, "transfer-encoding:");
    if (found != NULL && found < end)
        c->body_left = UINT64_MAX;
    of_head = (size_t)(end + 4 - c->head) - before;
    memset(c->head, 0, 5);
    storm_body(c, bytes + of_head, n - of_head);
}

static inline void storm_alloc(uv_handle_t *handle, size_t wish, uv_buf_t *buf)
{
    static char bytes[65536];

    (void)handle, (void)wish;
    *buf = uv_buf_init(bytes, sizeof bytes);
}

static inline void storm_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct storm_conn *c = stream->data;

    if (n < 0)
        storm_conn_close(c, false);
    else if (n > 0)
        storm_take(c, buf->base, (size_t)n);
}

static inline void storm_connection(uv_stream_t *listener, int status)
{
    struct storm *s = listener->data;
    struct storm_conn *c = calloc(1, sizeof *c);

    assert_int_equal(status, 0);
    c->storm = s;
    c->handles = 2;
    uv_tcp_init(&s->loop, &c->tcp);
    uv_timer_init(&s->loop, &c->timer);
    c->tcp.data = c->timer.data = c;
    c->next = s->first;
    c->link = &s->first;
    if (c->next != NULL)
        c->next->link = &c->next;
    s->first = c;
    s->conns++;
    storm_next_request(c);
    assert_int_equal(uv_accept(listener, (uv_stream_t *)&c->tcp), 0);
    uv_read_start((uv_stream_t *)&c->tcp, storm_alloc, storm_read);
}

static inline void storm_start(struct storm *s, uint64_t seed)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int len = sizeof addr;

    memset(s, 0, sizeof *s);
    s->random = seed * 0x9e3779b97f4a7c15u + 1;
    assert_int_equal(uv_loop_init(&s->loop), 0);
    assert_int_equal(uv_tcp_init(&s->loop, &s->listener), 0);
    s->listener.data = s;
    assert_int_equal(uv_tcp_bind(&s->listener, (struct sockaddr *)&addr, 0), 0);
    assert_int_equal(uv_listen((uv_stream_t *)&s->listener, 128, storm_connection), 0);
    uv_tcp_getsockname(&s->listener, (struct sockaddr *)&addr, &len);
    s->port = ntohs(addr.sin_port);
}

/* The client is gone: all that is left in the loop is the server's. */
static inline void storm_stop(struct storm *s)
{
    uv_close((uv_handle_t *)&s->listener, NULL);
    for (struct storm_conn *c = s->first; c != NULL; c = c->next)
        storm_conn_close(c, false);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(s->conns, 0);
    assert_int_equal(uv_loop_close(&s->loop), 0);
}

#endif
