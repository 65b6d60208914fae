/* A TCP forwarder whose network can be cut, for tests of what is lost with a connection.
 *
 *   net_cutter TARGET_PORT        listens on 127.0.0.1, prints "port N"
 *
 * Commands, a line each on stdin, each answered by "ok": cut, mend, abandon, reset. While it is cut
 * the kernel drops every segment that comes in (a socket filter), so that neither side is told or
 * acknowledged anything, and both go on by retransmission when it is mended. A forwarder that only
 * stopped reading would still acknowledge. abandon: those connected lose their network for good,
 * and their clients see an end. reset: their clients do, and the server sees a reset; what it was
 * acknowledged before, and only that, has reached the client. Ends with stdin. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MAX_PAIRS = 200, BUFFER = 16 * 1024, CLIENT = 0, SERVER = 1 };

struct flow { /* what was read of one side and waits for the other */
    char bytes[BUFFER];
    size_t from, to;
    bool ended, passed_on; /* the side's FIN, and ours behind it */
};

struct pair {
    int fd[2]; /* -1: closed */
    struct flow flow[2];
    bool abandoned;
};

static struct pair *pairs[MAX_PAIRS];
static unsigned npairs;
static int listener;
static uint16_t target;

static void must(bool ok, const char *what)
{
    if (ok)
        return;
    perror(what);
    exit(1);
}

static struct sockaddr_in loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
}

static void filter(int fd, bool drop)
{
    struct sock_filter nothing = BPF_STMT(BPF_RET | BPF_K, 0);
    struct sock_fprog program = {.len = 1, .filter = &nothing};
    int none = 0;

    if (fd < 0)
        return;
    if (drop)
        must(setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0, "filter");
    else
        setsockopt(fd, SOL_SOCKET, SO_DETACH_FILTER, &none, sizeof none);
}

static void close_side(struct pair *p, int side, bool reset)
{
    const struct linger now = {.l_onoff = reset};

    if (p->fd[side] < 0)
        return;
    setsockopt(p->fd[side], SOL_SOCKET, SO_LINGER, &now, sizeof now);
    close(p->fd[side]);
    p->fd[side] = -1;
}

static void reset_pair(struct pair *p)
{
    close_side(p, CLIENT, true);
    close_side(p, SERVER, true);
}

/* What has come is acknowledged, so that tests know what was. The kernel forgets this now and then.
 */
static void acknowledge_at_once(int fd)
{
    const int on = 1;

    setsockopt(fd, IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
}

static void accept_one(void)
{
    struct sockaddr_in to = loopback(target);
    struct pair *p = calloc(1, sizeof *p);

    must(p != NULL, "calloc");
    p->fd[CLIENT] = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
    p->fd[SERVER] = socket(AF_INET, SOCK_STREAM, 0);
    if (p->fd[CLIENT] < 0 || npairs == MAX_PAIRS ||
        connect(p->fd[SERVER], (struct sockaddr *)&to, sizeof to) != 0) {
        reset_pair(p);
        free(p);
        return;
    }
    fcntl(p->fd[SERVER], F_SETFL, O_NONBLOCK);
    acknowledge_at_once(p->fd[SERVER]);
    pairs[npairs++] = p;
}

/* Moves what can be moved from one side to the other. False: a side failed. */
static bool pass(struct pair *p, int from)
{
    struct flow *f = &p->flow[from];
    ssize_t n;

    if (f->from == f->to && !f->ended) {
        n = recv(p->fd[from], f->bytes, sizeof f->bytes, 0);
        acknowledge_at_once(p->fd[from]);
        if (n < 0 && errno != EAGAIN)
            return false;
        f->ended = n == 0;
        f->from = 0;
        f->to = n > 0 ? (size_t)n : 0;
    }
    if (f->from < f->to) {
        n = send(p->fd[!from], f->bytes + f->from, f->to - f->from, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN)
            return false;
        f->from += n > 0 ? (size_t)n : 0;
    }
    if (f->ended && f->from == f->to && !f->passed_on) {
        f->passed_on = true;
        shutdown(p->fd[!from], SHUT_WR);
    }
    return true;
}

static void forward(struct pair *p)
{
    if (p->abandoned || p->fd[CLIENT] < 0)
        return;
    if (!pass(p, CLIENT) || !pass(p, SERVER))
        reset_pair(p);
    else if (p->flow[CLIENT].passed_on && p->flow[SERVER].passed_on) {
        close(p->fd[CLIENT]);
        close(p->fd[SERVER]);
        p->fd[CLIENT] = p->fd[SERVER] = -1;
    }
}

/* From here on nothing of the server's is acknowledged any more; what was goes to the client, as
 * far as its socket takes it, and then the client's end. */
static void end_client(struct pair *p)
{
    struct flow *f = &p->flow[SERVER];

    if (p->fd[CLIENT] < 0)
        return;
    filter(p->fd[SERVER], true);
    do
        if (f->from == f->to)
            f->from = f->to = 0; /* pass() fills it again, or leaves it empty */
    while (pass(p, SERVER) && f->to > 0 && f->from == f->to && !f->ended);
    close_side(p, CLIENT, false);
}

static void drop_closed(void)
{
    for (unsigned i = npairs; i-- > 0;)
        if (pairs[i]->fd[CLIENT] < 0 && pairs[i]->fd[SERVER] < 0) {
            free(pairs[i]);
            pairs[i] = pairs[--npairs];
        }
}

static void set_cut(bool cut)
{
    filter(listener, cut);
    for (unsigned i = 0; i < npairs; i++) {
        filter(pairs[i]->fd[CLIENT], cut);
        filter(pairs[i]->fd[SERVER], cut || pairs[i]->abandoned);
    }
}

static void command(const char *line)
{
    if (strcmp(line, "cut\n") == 0 || strcmp(line, "mend\n") == 0)
        set_cut(line[0] == 'c');
    for (unsigned i = 0; i < npairs; i++) {
        if (strcmp(line, "reset\n") == 0) {
            end_client(pairs[i]);
            close_side(pairs[i], SERVER, true);
        }
        if (strcmp(line, "abandon\n") == 0) {
            end_client(pairs[i]);
            pairs[i]->abandoned = true;
        }
    }
    printf("ok\n");
    fflush(stdout);
}

/* What poll shall wait for at one side. */
static short wanted(const struct pair *p, int side)
{
    const struct flow *in = &p->flow[side], *out = &p->flow[!side];
    short events = 0;

    if (p->abandoned || p->fd[CLIENT] < 0)
        return 0;
    if (in->from == in->to && !in->ended)
        events = POLLIN;
    if (out->from < out->to)
        events = (short)(events | POLLOUT);
    return events;
}

static void turn(void)
{
    struct pollfd fds[2 + 2 * MAX_PAIRS];
    const unsigned n = npairs;
    char line[64];

    fds[0] = (struct pollfd){.fd = STDIN_FILENO, .events = POLLIN};
    fds[1] = (struct pollfd){.fd = listener, .events = POLLIN};
    for (unsigned i = 0; i < 2 * n; i++) {
        const struct pair *p = pairs[i / 2];
        short events = wanted(p, (int)(i % 2));

        fds[2 + i] = (struct pollfd){.fd = events == 0 ? -1 : p->fd[i % 2], .events = events};
    }
    must(poll(fds, 2 + 2 * n, -1) > 0, "poll");
    for (unsigned i = 0; i < n; i++)
        if (fds[2 + 2 * i].revents != 0 || fds[3 + 2 * i].revents != 0)
            forward(pairs[i]);
    if (fds[1].revents != 0)
        accept_one();
    if (fds[0].revents != 0) {
        if (fgets(line, sizeof line, stdin) == NULL)
            exit(0);
        command(line);
    }
    drop_closed();
}

int main(int argc, char **argv)
{
    struct sockaddr_in address = loopback(0);
    socklen_t len = sizeof address;

    if (argc != 2) {
        fprintf(stderr, "usage: net_cutter TARGET_PORT\n");
        return 2;
    }
    target = (uint16_t)atoi(argv[1]);
    setvbuf(stdin, NULL, _IONBF, 0); /* poll sees what is left */
    listener = socket(AF_INET, SOCK_STREAM, 0);
    must(listener >= 0 && bind(listener, (struct sockaddr *)&address, len) == 0 &&
             listen(listener, 100) == 0 &&
             getsockname(listener, (struct sockaddr *)&address, &len) == 0,
         "listen");
    printf("port %u\n", ntohs(address.sin_port));
    fflush(stdout);
    for (;;)
        turn();
}
