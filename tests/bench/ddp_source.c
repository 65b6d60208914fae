/* tests/bench/ddp_source.c - as much of a Rocket.Chat as a load test needs.
 *
 *   ddp_source [--rooms R] [--cert FILE --key FILE]
 *
 * Prints {"port":N,"tlsPort":N,"frame":BYTES,"offset":O,"length":L}: tlsPort 0 without a
 * certificate; offset and length tell where lastMessage lies in a frame. /websocket speaks DDP; a
 * WebSocket at /raw says nothing and receives what a user would. A socket whose session is
 * complete (subscribed, rooms/get answered) is live. Commands on stdin, each answered by a line:
 *
 *   send COUNT RATE USERS    rooms-changed frames to the live sockets of the first USERS users in
 *                            turn, RATE a second; 0: as fast as they are taken.
 *                            {"done":"send","seconds":S,"late":L}: late, in us, the latest frame
 *   side FIRST LAST RATE     untimed frames to these users, until a rate of 0
 *   stall FIRST LAST         these users' sockets and logins get no answer any more
 *   unstall
 *   drop fin|reset           all DDP sockets are closed
 *   revoke                   every token is void, all DDP sockets are closed
 *   stats                    {"sockets":N,"live":N,"opened":N,"logins":N}
 */
#include "tests/bench/bench_net.h"
#include "tests/bench/bench_ws.h"
#include "tests/bench/ddp_answers.h"
#include "tests/bench/ddp_data.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { BATCH = 64, SUBSCRIPTIONS = 3, QUEUE_MAX = 1 << 20 };

struct sock {
    struct peer *peer;
    struct ddp_login login;
    bool websocket, raw, live;
    struct sock *next, **link; /* all WebSockets */
    size_t at;                 /* among the live ones */
};

static const char *option_rooms = "20", *option_cert, *option_key;
static struct net_source plain, secure;
static SSL_CTX *tls;
static struct sock *all, **live;
static size_t nall, nlive, live_cap;
static unsigned raws; /* the next raw socket's user */
static uint64_t opened;

struct stream {
    unsigned left;        /* of send; of side: 1 while it runs */
    unsigned first, last; /* users */
    double rate;
    uint64_t began_ns, sent;
    size_t next;
};
static struct stream sending, side;
static uint64_t latest_ns; /* the most a paced frame came too late */

/* ---- sockets ---- */

static void set_live(struct sock *s)
{
    if (nlive == live_cap) {
        live_cap = live_cap == 0 ? 1024 : live_cap * 2;
        live = realloc(live, live_cap * sizeof(struct sock *));
        if (live == NULL)
            net_fail("realloc");
    }
    s->live = true;
    s->at = nlive;
    live[nlive++] = s;
}

static void forget(struct sock *s)
{
    if (s->live) {
        live[s->at] = live[--nlive];
        live[s->at]->at = s->at;
    }
    if (s->websocket) {
        *s->link = s->next;
        if (s->next != NULL)
            s->next->link = s->link;
        nall--;
    }
    free(s);
}

static void upgrade(struct sock *s, const uint8_t *request, const char *key)
{
    char answer[256];

    peer_send(s->peer, answer, ws_accept_answer(key, answer, sizeof answer));
    s->websocket = true;
    s->next = all;
    s->link = &all;
    if (all != NULL)
        all->link = &s->next;
    all = s;
    nall++;
    opened++;
    s->raw = memcmp(request, "GET /raw", 8) == 0;
    if (s->raw) {
        s->login.user = raws++ % DATA_MAX_USERS;
        set_live(s);
    }
}

static void on_message(struct sock *s, const struct ws_message *m)
{
    static const uint8_t bye[] = {0x88, 2, 0x03, 0xe8};
    uint8_t head[WS_HEAD_MAX];

    if (m->opcode == WS_CLOSE) {
        peer_send(s->peer, bye, sizeof bye);
    } else if (m->opcode == WS_PING) {
        peer_send(s->peer, head, ws_head(head, WS_PONG, m->len, false));
        peer_send(s->peer, m->payload, m->len);
    } else if (m->opcode == WS_TEXT && !s->raw) {
        answer_ddp(s->peer, &s->login, m->payload, m->len);
        if (answers_stalled(s->login.user))
            peer_pause(s->peer, true);
        if (!s->live && s->login.ready >= SUBSCRIPTIONS && s->login.asked_rooms)
            set_live(s);
    }
}

static size_t on_request(struct sock *s, uint8_t *data, size_t len)
{
    const char *body;
    size_t body_len;
    const size_t used = http_whole(data, len, &body, &body_len);
    char key[64];

    if (used == 0)
        return 0;
    if (http_header(data, used, "Sec-WebSocket-Key", key, sizeof key))
        upgrade(s, data, key);
    else
        answer_rest(s->peer, data, used, body, body_len);
    return used;
}

static size_t on_bytes(struct peer *p, uint8_t *data, size_t len)
{
    struct sock *s = p->owner;
    struct ws_message m;
    size_t used = 0, n;

    while (!s->websocket && (n = on_request(s, data + used, len - used)) > 0)
        used += n;
    while (s->websocket && (n = ws_take(data + used, len - used, &m)) > 0) {
        used += n;
        on_message(s, &m);
    }
    return used;
}

static void on_end(struct peer *p)
{
    forget(p->owner);
}

static void on_accept(struct net_source *listener, uint32_t events)
{
    static const struct peer_ops ops = {.on_bytes = on_bytes, .on_end = on_end};
    struct peer *p;

    (void)events;
    while ((p = peer_accept(listener, &ops)) != NULL) {
        struct sock *s = net_alloc(sizeof *s);

        s->peer = p;
        s->login.user = ANSWERS_NO_USER;
        p->owner = s;
        if (listener == &secure)
            peer_start_tls(p, tls);
    }
}

/* ---- frames ---- */

/* To the next socket that the stream is for and that takes it; false: there is none. */
static bool send_one(struct stream *stream, bool timed)
{
    for (size_t tried = 0; tried < nlive; tried++) {
        struct sock *s = live[stream->next++ % nlive];

        if (s->login.user < stream->first || s->login.user > stream->last ||
            answers_stalled(s->login.user) || s->peer->out.len > (stream->rate > 0 ? QUEUE_MAX : 0))
            continue;
        peer_send(s->peer, data_frame(s->login.user, timed), data_frame_len());
        stream->sent++;
        return true;
    }
    return false;
}

static void start(struct stream *stream, unsigned left, double rate, unsigned first, unsigned last)
{
    *stream = (struct stream){
        .left = left, .rate = rate, .began_ns = net_now_ns(), .first = first, .last = last};
}

/* Sends what is due; returns in how many ns the next one is. */
static int64_t paced(struct stream *stream, bool timed)
{
    const uint64_t now = net_now_ns();
    const double period = 1e9 / stream->rate;

    for (int i = 0; i < BATCH && stream->left > 0; i++) {
        const uint64_t due = stream->began_ns + (uint64_t)((double)stream->sent * period);

        if (due > now)
            return (int64_t)(due - now);
        if (timed && now - due > latest_ns)
            latest_ns = now - due;
        if (!send_one(stream, timed))
            return 1000000;
        stream->left -= timed ? 1 : 0;
    }
    return 0;
}

static int64_t unpaced(struct stream *stream)
{
    for (int i = 0; i < BATCH && stream->left > 0; i++) {
        if (!send_one(stream, true))
            return 100000;
        stream->left--;
    }
    return 0;
}

static int64_t idle(void)
{
    int64_t wait = -1, more;

    if (sending.left > 0) {
        wait = sending.rate > 0 ? paced(&sending, true) : unpaced(&sending);
        if (sending.left == 0)
            net_say("{\"done\":\"send\",\"seconds\":%.6f,\"late\":%.1f}",
                    (double)(net_now_ns() - sending.began_ns) / 1e9, (double)latest_ns / 1e3);
    }
    if (side.left > 0) {
        more = paced(&side, false);
        wait = wait < 0 || more < wait ? more : wait;
    }
    return wait;
}

/* ---- commands ---- */

static void drop(bool reset)
{
    while (all != NULL) {
        struct sock *s = all;

        peer_close(s->peer, reset);
        forget(s);
    }
}

static void pause_stalled(void)
{
    for (struct sock *s = all; s != NULL; s = s->next)
        if (s->peer->paused != answers_stalled(s->login.user))
            peer_pause(s->peer, !s->peer->paused);
}

static void on_command(char *line)
{
    unsigned a, b;
    double rate;

    if (sscanf(line, "send %u %lf %u", &a, &rate, &b) == 3 && b > 0) {
        start(&sending, a, rate, 0, b - 1);
        latest_ns = 0;
        return; /* answered when done */
    }
    if (sscanf(line, "side %u %u %lf", &a, &b, &rate) == 3) {
        start(&side, rate > 0 ? 1 : 0, rate, a, b);
    } else if (sscanf(line, "stall %u %u", &a, &b) == 2) {
        answers_stall(a, b);
        pause_stalled();
    } else if (strcmp(line, "unstall") == 0) {
        answers_stall(1, 0);
        pause_stalled();
    } else if (strcmp(line, "drop fin") == 0 || strcmp(line, "drop reset") == 0) {
        drop(line[5] == 'r');
    } else if (strcmp(line, "revoke") == 0) {
        answers_revoke();
        drop(false);
    } else if (strcmp(line, "stats") != 0) {
        fprintf(stderr, "ddp_source: unknown command: %s\n", line);
        exit(2);
    }
    net_say("{\"sockets\":%zu,\"live\":%zu,\"opened\":%llu,\"logins\":%llu}", nall, nlive,
            (unsigned long long)opened, (unsigned long long)answers_logins());
}

static int listen_tls(void)
{
    if (option_cert == NULL || option_key == NULL)
        return 0;
    tls = SSL_CTX_new(TLS_server_method());
    if (tls == NULL || SSL_CTX_use_certificate_chain_file(tls, option_cert) != 1 ||
        SSL_CTX_use_PrivateKey_file(tls, option_key, SSL_FILETYPE_PEM) != 1)
        net_fail("certificate");
    secure.on_ready = on_accept;
    return net_listen(0, &secure);
}

int main(int argc, char **argv)
{
    static const struct net_option options[] = {
        {"--rooms", &option_rooms}, {"--cert", &option_cert}, {"--key", &option_key}, {NULL, NULL}};
    size_t offset, len;
    int port;

    net_options(argc, argv, options);
    data_init((unsigned)atoi(option_rooms));
    data_message_place(&offset, &len);
    plain.on_ready = on_accept;
    port = net_listen(0, &plain);
    net_say("{\"port\":%d,\"tlsPort\":%d,\"frame\":%zu,\"offset\":%zu,\"length\":%zu}", port,
            listen_tls(), data_frame_len(), offset, len);
    net_commands(on_command);
    net_run(idle);
}
