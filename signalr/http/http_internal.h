/* signalr/http/http_internal.h - what the server's files share.
 *
 *   http_server    loop handles, options, the list of sockets
 *   http_sock      one TCP socket: read, close, linger; speaks for exactly one of the two below
 *   http_conn      requests on a socket: parse, dispatch, answer; freed at an upgrade
 *   http_stream    one request of those whose body or answer comes in pieces
 *   http_turn      what is done in one turn of the loop: who is woken, and how much of the rest
 *   ws_conn        a WebSocket on a socket
 *
 * Who frees: a socket dies in its close callback and tells its conn or ws there. A conn dies before
 * its socket when the socket changes hands (upgrade, detach, linger). No user callback runs inside
 * a call that the user made: such work is marked with http_sock_wake() and done before the loop
 * sleeps. */
#ifndef SIGNALR_HTTP_HTTP_INTERNAL_H
#define SIGNALR_HTTP_HTTP_INTERNAL_H

#include "base/byte_buf.h"
#include "base/timer_wheel.h"
#include "signalr/http/http_counts.h"
#include "signalr/http/http_parse.h"
#include "signalr/http/http_proxy.h"
#include "signalr/http/http_server.h"
#include "signalr/http/ws_conn.h"
#include "signalr/http/ws_frame.h"

enum {
    HTTP_READ_BYTES = 65536, /* the loop's one read buffer */
    HTTP_TICK_MS = 50,       /* how exact time-outs are */
    HTTP_RESUME_MS = 50,     /* a listener without a descriptor tries again */
    HTTP_LINGER_MS = 2000,
    HTTP_LINGER_MAX = 1024,  /* sockets; more are closed at once */
    HTTP_READ_AHEAD = 16384, /* unread bytes behind a request; more stops reading */
    /* What of those who come and go one turn of the loop takes, so that a crowd of them can't hold
     * up those who stay: each costs tens of microseconds from its accept to its session, and as
     * many from its end to its closed socket. */
    HTTP_TURN_ACCEPTS = 4,
    HTTP_TURN_REQUESTS = 4,
    /* A WebSocket takes two: its own, and that of the socket that lingers. Fewer, and a crowd that
     * goes as fast as it may come would pile up. */
    HTTP_TURN_ENDS = 2 * HTTP_TURN_REQUESTS,
};

/* In a line, or its head: a circle, so that leaving takes no search. next NULL: in no line. */
struct http_place {
    struct http_place *next, *prev;
};

enum http_role { HTTP_ROLE_CONN, HTTP_ROLE_WS, HTTP_ROLE_LINGER };

struct http_sock {
    uv_tcp_t tcp;
    struct http_server *server;
    struct http_sock *next, **link; /* all sockets of the server */
    struct http_place place;        /* among those to be woken, or those that end */
    struct wheel_timer timer;
    struct http_addr_slot *slot; /* NULL: not counted by address */
    union {
        struct http_conn *conn;
        struct ws_conn *ws;
    } as; /* NULL once it has ended */
    enum http_role role;
};

struct http_listener {
    uv_poll_t poll;
    int fd;
    int tag;
    struct http_server *server;
    struct http_listener *next;
};

/* First come, first served. */
struct http_turn {
    struct http_place woken;    /* sockets: all of them before the loop sleeps */
    struct http_place requests; /* connections: beyond what a turn takes */
    struct http_place ends;     /* sockets */
    unsigned requests_taken;    /* in this turn */
    uv_idle_t awake;            /* runs while some wait */
};

struct http_server {
    uv_loop_t *loop;
    struct http_options options;
    struct http_cidr *trusted;
    size_t ntrusted;
    struct timer_wheel *wheel;
    uv_timer_t tick;      /* advances the wheel */
    uv_timer_t resume;    /* of listeners that ran out of descriptors */
    uv_prepare_t prepare; /* begins a turn */
    struct http_turn turn;
    struct http_listener *listeners;
    struct http_sock *socks;
    struct http_counts *counts;     /* the options', or own_counts */
    struct http_counts *own_counts; /* NULL: shared */
    size_t nconns, nlingering;
    size_t ws_queued_bytes; /* of all WebSockets */
    unsigned nhandles;      /* not closed yet */
    int reserve_fd; /* given up to accept and refuse one connection when descriptors run out */
    bool closing;
    void (*done)(void *arg);
    void *done_arg;
    int64_t date_at; /* seconds since epoch that date is for */
    char date[32];
    /* Room in front for what a WebSocket kept of a frame cut in two: no copy of the rest. */
    uint8_t read_buf[WS_FRAME_TAIL_MAX + HTTP_READ_BYTES];
};

enum http_conn_state {
    CONN_PROXY,     /* waiting for the PROXY header */
    CONN_IDLE,      /* between requests */
    CONN_HEAD,      /* a request has begun */
    CONN_BODY,      /* its head is in */
    CONN_WAITING,   /* the handler may have it when its turn comes (http_turn.c) */
    CONN_ANSWERING, /* the handler has it */
    CONN_STREAMING, /* the handler has it, in pieces; or had it, and the rest is written, read */
    CONN_WRITING,   /* the answer did not leave in one go */
    CONN_GONE,      /* the socket went elsewhere; freed as soon as nobody is inside */
};

struct http_conn {
    struct http_sock *sock;
    struct http_request *req; /* being read or answered */
    struct byte_buf unread;   /* behind the request being answered, or of a PROXY header */
    struct slice rest;        /* while busy: what is not consumed yet, instead of unread */
    struct http_addr peer;    /* after the PROXY header, who that said */
    int tag;
    enum http_conn_state state;
    bool busy;    /* run() of http_conn.c is on the stack */
    bool stopped; /* reading, because enough is unread */
    bool eof, close_after;
    bool body_done;          /* waiting: all of a streamed request's body is in */
    size_t write_mark;       /* bytes unsent when the write deadline was last set */
    struct http_place place; /* among the requests that wait */
};

struct http_request {
    struct http_conn *conn;
    struct http_parse *parse;
    struct http_stream *stream; /* NULL: whole, and answered whole */
    struct http_view view;      /* zero until the head is in, or has failed */
    struct http_addr client;
    struct http_addr_slot *slot; /* counted here when the peer is a proxy */
    char client_text[HTTP_ADDR_TEXT_MAX];
    void *data;
};

struct http_handoff {
    int fd;
    int tag;
    struct http_addr peer;
    size_t len;
    char bytes[];
};

/* ---- http_server.c ---- */
void http_server_handle_closed(struct http_server *s); /* one of nhandles; may free s */
void http_server_note(struct http_server *s, enum http_note note, int status, const char *detail,
                      const struct http_addr *client);
const char *http_server_date(struct http_server *s);

/* ---- http_sock.c ---- */
/* Takes fd over (closes it on failure). The caller sets role and as. NULL: no memory. *before: how
 * many connections the limit counts without it. */
struct http_sock *http_sock_new(struct http_server *s, int fd, size_t *before);
void http_sock_read(struct http_sock *k, bool on); /* closes the socket if that fails */
void http_sock_wake(struct http_sock *k);
void http_sock_woken(struct http_sock *k);
void http_sock_arm(struct http_sock *k, unsigned ms); /* 0: no limit, disarms */
void http_sock_close(struct http_sock *k);            /* safe to repeat */
void http_sock_turn(struct http_sock *k);             /* to end, after http_turn_end() */
/* Closes; the kernel goes on with what is unacknowledged only where the peer answers. Else it goes
 * with the socket, by a reset, so that what counts as not received can't arrive any more. One that
 * answers and is merely slow would by a reset lose what it has acknowledged and not read yet (RFC
 * 9293 3.10.7.4: it flushes its queues). */
void http_sock_drop(struct http_sock *k);
/* False: the peer's TCP was sent something again, and has not acknowledged it. */
bool http_sock_answers(const struct http_sock *k);
/* Bytes that the peer has not acknowledged, in our queue and the kernel's. Less than a while ago:
 * the peer lives. (The kernel tells of room only when a third of a big buffer has gone.) */
size_t http_sock_unsent(const struct http_sock *k);
size_t http_sock_in_kernel(const struct http_sock *k); /* the kernel's part; also after a reset */
enum http_written {
    HTTP_WRITTEN_NOW,   /* bytes is empty */
    HTTP_WRITTEN_LATER, /* *left > 0 bytes are on their way; bytes is empty; written() comes */
    HTTP_WRITTEN_NEVER, /* the socket closes */
};
/* One at a time. written: only when all went well. */
enum http_written http_sock_write(struct http_sock *k, struct byte_buf *bytes, size_t *left,
                                  void (*written)(struct http_sock *k));
/* Everything is written: send FIN, swallow what still comes so that no reset overtakes our last
 * bytes, close. as must have been taken off. */
void http_sock_linger(struct http_sock *k);
void http_sock_on_timer(struct wheel_timer *t, void *arg);
/* 503 without reading anything, then linger. */
void http_sock_refuse(struct http_sock *k);
static inline bool http_sock_closing(const struct http_sock *k)
{
    return uv_is_closing((const uv_handle_t *)&k->tcp) != 0;
}

/* ---- http_conn.c ---- */
/* first: bytes read already (copied), may be empty. expect_proxy: a PROXY header comes first. */
bool http_conn_new(struct http_sock *k, const struct http_addr *peer, int tag, bool expect_proxy,
                   struct slice first);
void http_conn_read(struct http_conn *c, const char *data, size_t len);
void http_conn_eof(struct http_conn *c);
void http_conn_timer(struct http_conn *c);
void http_conn_woken(struct http_conn *c);
void http_conn_turn(struct http_conn *c);        /* its waiting request's turn has come */
void http_conn_sock_closed(struct http_conn *c); /* frees c */
/* The socket has been taken away; c is freed now or when run() returns. */
void http_conn_leave(struct http_conn *c);
struct slice http_conn_unread(const struct http_conn *c);
void http_conn_send(struct http_conn *c, struct byte_buf *bytes, bool close_after);
void http_conn_written(struct http_conn *c);  /* the answer has left: on to the next request */
void http_conn_read_on(struct http_conn *c);  /* there is room again */
void http_conn_continue(struct http_conn *c); /* asks for the body that was announced */
void http_request_free(struct http_request *req);

/* ---- http_turn.c ---- */
void http_turn_open(struct http_server *s);  /* its handle is the caller's to close */
void http_turn_begin(struct http_server *s); /* before the loop sleeps */
/* One more in this turn? No, while others wait: it would overtake them. Then it waits, too. */
bool http_turn_takes_request(struct http_conn *c);
void http_turn_leave_request(struct http_conn *c); /* not waiting: nothing */
void http_turn_end(struct http_sock *k);           /* waits for its end, and is woken no more */
void http_turn_wake(struct http_sock *k);          /* in a line already: nothing */
void http_turn_leave(struct http_sock *k);         /* whichever line it is in */

/* ---- http_stream.c ---- */
bool http_stream_attach(struct http_request *req, bool body_done); /* false: no memory */
void http_stream_detach(struct http_request *req);
bool http_stream_wants_body(const struct http_conn *c);
bool http_stream_is_full(const struct http_conn *c); /* more of the body must wait in the kernel */
void http_stream_body_came(struct http_conn *c, bool done); /* some of it, or its end */
void http_stream_body_bad(struct http_conn *c);
void http_stream_respond(struct http_request *req, const struct http_response *r);
void http_stream_timer(struct http_conn *c);
void http_stream_woken(struct http_conn *c);
bool http_stream_eof(const struct http_conn *c); /* false: nobody is there any more */
void http_stream_sock_closed(struct http_conn *c);

/* ---- http_view.c ---- */
void http_view_fill(struct http_request *req, const struct http_head *head);
/* Of a head that broke or is given up: as far as its answer needs it; none: the view stays zero. */
void http_view_salvage(struct http_request *req);

/* ---- http_response.c ---- */
/* The head's lines, without those on the body's length and the empty one. */
void http_response_head(struct http_server *s, const struct http_view *v, bool http10,
                        bool keep_alive, const struct http_response *r, struct byte_buf *out);
/* Writes head and body. v: the request's, zeroed when nothing of its head could be read. */
void http_response_write(struct http_server *s, const struct http_view *v, bool http10,
                         bool keep_alive, const struct http_response *r, struct byte_buf *out);
/* Answers the request being read, which failed, and closes behind it. */
void http_conn_refuse(struct http_conn *c, struct http_fault fault);

/* ---- http_listen.c ---- */
void http_listeners_close(struct http_server *s);

/* ---- ws_conn.c ---- */
/* On a socket of its own: role and as are set. first: the bytes of the 101 answer; unread: what
 * came behind the request. NULL: no memory, nothing changed. */
struct ws_conn *ws_conn_new(struct http_sock *k, const struct ws_callbacks *cb, void *arg,
                            struct slice first, struct slice unread);
/* data lies in the server's read buffer with WS_FRAME_TAIL_MAX bytes of room in front. */
void ws_conn_read(struct ws_conn *ws, uint8_t *data, size_t len);
void ws_conn_lost(struct ws_conn *ws); /* TCP has ended or failed */
void ws_conn_timer(struct ws_conn *ws);
void ws_conn_woken(struct ws_conn *ws);
void ws_conn_turn(struct ws_conn *ws);         /* its turn to end has come */
void ws_conn_sock_closing(struct ws_conn *ws); /* the socket can still be asked */
void ws_conn_sock_closed(struct ws_conn *ws);  /* frees ws */

#endif
