/* tests/bench/load.c - many SignalR clients in one process.
 *
 *   load --port P [--path /hub] [--key K --issuer I] [--users N] [--first N]
 *        [--negotiate 1] [--ping-ms MS]
 *
 * With --key, client i brings the JWT of user first + i % N in the query; without it, no token.
 * Commands on stdin, each answered by one JSON line:
 *
 *   open N PARALLEL     N more clients, PARALLEL at once, up to the SignalR handshake's answer
 *   reset               forget what was counted
 *   wait N MS           until N messages were counted since the reset, or for MS; then as report
 *   report              what was counted
 *   stall N             the N youngest clients read no more
 *   unstall             they read again
 *   close clean|reset   all clients leave: WebSocket close frame and FIN, or RST
 *
 * Only messages that carry a time stamp count (bench_ws.h); others are "others".
 */
#include "tests/bench/bench_net.h"
#include "tests/bench/bench_ws.h"
#include "tests/bench/load_token.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_CLIENTS = 20000, REQUEST_MAX = 2048 };

enum phase { PHASE_NEGOTIATE, PHASE_UPGRADE, PHASE_HANDSHAKE, PHASE_OPEN };

struct client {
    struct peer *peer;
    enum phase phase;
    unsigned number;
    size_t at; /* in clients */
};

static const char *option_port = "0", *option_path = "/hub", *option_key, *option_issuer = "",
                  *option_users = "1", *option_first = "0", *option_negotiate = "0",
                  *option_ping_ms = "0";
static uint16_t port;
static unsigned users, first_user;
static uint64_t ping_ns, pinged_ns;

static struct client *clients[MAX_CLIENTS];
static size_t nclients, next_ping;
static unsigned next_number;

static struct {
    unsigned wanted, running, open, failed;
    unsigned parallel;
    uint64_t began_ns;
} opening;

static struct {
    uint64_t began_ns, last_ns, bytes, others, closed;
    uint64_t *latency_ns;
    size_t n, cap;
} counted;

static struct {
    size_t count; /* 0: nobody waits */
    uint64_t until_ns;
} waiting;

/* ---- counting ---- */

static void count_message(const struct ws_message *m)
{
    uint64_t sent;

    if (!ws_read_stamp(m->payload, m->len, &sent)) {
        counted.others++;
        return;
    }
    counted.last_ns = net_now_ns();
    counted.bytes += m->len;
    if (counted.n == counted.cap) {
        counted.cap = counted.cap == 0 ? 65536 : counted.cap * 2;
        counted.latency_ns = realloc(counted.latency_ns, counted.cap * sizeof(uint64_t));
        if (counted.latency_ns == NULL)
            net_fail("realloc");
    }
    counted.latency_ns[counted.n++] = counted.last_ns - sent;
}

static int compare(const void *a, const void *b)
{
    const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

    return (x > y) - (x < y);
}

static double latency_us(double quantile)
{
    if (counted.n == 0)
        return 0;
    return (double)counted.latency_ns[(size_t)(quantile * (double)(counted.n - 1))] / 1000;
}

static void report(void)
{
    const uint64_t span = counted.n > 0 ? counted.last_ns - counted.began_ns : 0;

    qsort(counted.latency_ns, counted.n, sizeof(uint64_t), compare);
    net_say("{\"messages\":%zu,\"bytes\":%llu,\"seconds\":%.6f,\"p50\":%.1f,\"p99\":%.1f,"
            "\"p999\":%.1f,\"max\":%.1f,\"others\":%llu,\"closed\":%llu,\"clients\":%zu}",
            counted.n, (unsigned long long)counted.bytes, (double)span / 1e9, latency_us(0.5),
            latency_us(0.99), latency_us(0.999), latency_us(1), (unsigned long long)counted.others,
            (unsigned long long)counted.closed, nclients);
}

static void reset(void)
{
    counted.n = 0;
    counted.bytes = counted.others = counted.closed = counted.last_ns = 0;
    counted.began_ns = net_now_ns();
}

/* ---- one client ---- */

static void say_opened(void)
{
    net_say("{\"opened\":%u,\"failed\":%u,\"seconds\":%.6f}", opening.open, opening.failed,
            (double)(net_now_ns() - opening.began_ns) / 1e9);
}

static void opened(bool ok)
{
    opening.running--;
    opening.open += ok ? 1 : 0;
    opening.failed += ok ? 0 : 1;
    if (opening.running == 0 && opening.wanted == 0)
        say_opened();
}

static void send_frame(struct client *c, unsigned opcode, const void *payload, size_t len)
{
    uint8_t frame[WS_HEAD_MAX + 64];
    const size_t head = ws_head(frame, opcode, len, true);

    memcpy(frame + head, payload, len);
    peer_send(c->peer, frame, head + len);
}

/* The query: a token where there is a key, and more behind it. */
static int query(const struct client *c, const char *more, char *out, size_t cap)
{
    char token[512] = "";

    if (option_key == NULL)
        return snprintf(out, cap, "%s", more);
    load_token(option_key, option_issuer, first_user + c->number % users, token, sizeof token);
    return snprintf(out, cap, "%s%saccess_token=%s", more, more[0] == '\0' ? "" : "&", token);
}

static void request_upgrade(struct client *c, const char *more)
{
    char text[REQUEST_MAX], asked[REQUEST_MAX / 2];
    int len;

    query(c, more, asked, sizeof asked);
    len = snprintf(text, sizeof text,
                   "GET %s?%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                   "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                   "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
                   option_path, asked);
    c->phase = PHASE_UPGRADE;
    peer_send(c->peer, text, (size_t)len);
}

static void request_negotiate(struct client *c)
{
    char text[REQUEST_MAX], asked[REQUEST_MAX / 2];
    int len;

    query(c, "negotiateVersion=1", asked, sizeof asked);
    len = snprintf(text, sizeof text,
                   "POST %s/negotiate?%s HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n",
                   option_path, asked);
    peer_send(c->peer, text, (size_t)len);
}

static void forget(struct client *c)
{
    clients[c->at] = clients[--nclients];
    clients[c->at]->at = c->at;
    if (c->phase != PHASE_OPEN)
        opened(false);
    free(c);
}

static void give_up(struct client *c)
{
    peer_close(c->peer, true);
    forget(c);
}

static void on_connected(struct peer *p)
{
    struct client *c = p->owner;

    if (c->phase == PHASE_NEGOTIATE)
        request_negotiate(c);
    else
        request_upgrade(c, "");
}

/* Returns how much was used; the client may be gone behind it (then p is dead). */
static size_t on_answer(struct client *c, uint8_t *data, size_t len)
{
    static const char handshake[] = "{\"protocol\":\"json\",\"version\":1}\x1e";
    const char *body, *token;
    size_t body_len;
    const size_t used = http_whole(data, len, &body, &body_len);
    char more[128];

    if (used == 0)
        return 0;
    if (c->phase == PHASE_NEGOTIATE) {
        token = memmem(body, body_len, "\"connectionToken\":\"", 19);
        if (token == NULL) {
            give_up(c);
            return len;
        }
        snprintf(more, sizeof more, "id=%.*s", (int)strcspn(token + 19, "\""), token + 19);
        request_upgrade(c, more);
    } else if (memcmp(data, "HTTP/1.1 101", 12) == 0) {
        c->phase = PHASE_HANDSHAKE;
        send_frame(c, WS_TEXT, handshake, sizeof handshake - 1);
    } else {
        give_up(c);
        return len;
    }
    return used;
}

static size_t on_bytes(struct peer *p, uint8_t *data, size_t len)
{
    struct client *c = p->owner;
    struct ws_message m;
    size_t used = 0, n;

    if (c->phase < PHASE_HANDSHAKE) {
        used = on_answer(c, data, len);
        if (p->dead || c->phase < PHASE_HANDSHAKE)
            return used;
    }
    while ((n = ws_take(data + used, len - used, &m)) > 0) {
        used += n;
        if (m.opcode == WS_CLOSE) {
            send_frame(c, WS_CLOSE, m.payload, m.len < 2 ? 0 : 2);
        } else if (m.opcode == WS_PING) {
            send_frame(c, WS_PONG, m.payload, m.len);
        } else if (c->phase == PHASE_HANDSHAKE) {
            c->phase = PHASE_OPEN;
            opened(true);
        } else {
            count_message(&m);
        }
    }
    return used;
}

static void on_end(struct peer *p)
{
    counted.closed++;
    forget(p->owner);
}

static bool client_open(void)
{
    static const struct peer_ops ops = {
        .on_bytes = on_bytes, .on_connected = on_connected, .on_end = on_end};
    struct client *c;

    if (nclients == MAX_CLIENTS)
        return false;
    c = net_alloc(sizeof *c);
    c->peer = peer_connect(port, &ops, c);
    if (c->peer == NULL) {
        free(c);
        return false;
    }
    c->number = next_number++;
    c->phase = option_negotiate[0] == '1' ? PHASE_NEGOTIATE : PHASE_UPGRADE;
    c->at = nclients;
    clients[nclients++] = c;
    return true;
}

/* ---- the loop's turn ---- */

static void open_more(void)
{
    while (opening.wanted > 0 && opening.running < opening.parallel) {
        opening.wanted--;
        opening.running++;
        if (!client_open())
            opened(false);
    }
}

/* Everybody's ping is spread over the whole interval, as real clients' are. */
static void ping(void)
{
    static const char text[] = "{\"type\":6}\x1e";
    const uint64_t now = net_now_ns();
    uint64_t due;

    if (nclients == 0) {
        pinged_ns = now;
        return;
    }
    due = (now - pinged_ns) * nclients / ping_ns;
    if (due == 0)
        return;
    pinged_ns = now;
    for (; due > 0; due--) {
        struct client *c = clients[next_ping++ % nclients];

        if (c->phase == PHASE_OPEN)
            send_frame(c, WS_TEXT, text, sizeof text - 1);
    }
}

static int64_t idle(void)
{
    open_more();
    if (ping_ns > 0)
        ping();
    if (waiting.count > 0 && (counted.n >= waiting.count || net_now_ns() > waiting.until_ns)) {
        waiting.count = 0;
        report();
    }
    return waiting.count > 0 || ping_ns > 0 ? 20000000 : -1;
}

/* ---- commands ---- */

static void close_all(bool by_reset)
{
    static const uint8_t normal[] = {0x03, 0xe8};

    while (nclients > 0) {
        struct client *c = clients[nclients - 1];

        if (!by_reset)
            send_frame(c, WS_CLOSE, normal, sizeof normal);
        peer_close(c->peer, by_reset);
        forget(c);
    }
    net_say("{\"closed\":true}");
}

static void stall(size_t n, bool on)
{
    if (!on)
        n = nclients;
    for (size_t i = nclients > n ? nclients - n : 0; i < nclients; i++)
        peer_pause(clients[i]->peer, on);
    net_say("{\"stalled\":%s}", on ? "true" : "false");
}

static void on_command(char *line)
{
    unsigned ms;
    size_t n;

    if (sscanf(line, "open %u %u", &opening.wanted, &opening.parallel) == 2) {
        opening.open = opening.failed = 0;
        opening.began_ns = net_now_ns();
    } else if (strcmp(line, "reset") == 0) {
        reset();
        net_say("{\"reset\":true}");
    } else if (sscanf(line, "wait %zu %u", &n, &ms) == 2) {
        waiting.count = n;
        waiting.until_ns = net_now_ns() + ms * (uint64_t)1000000;
    } else if (strcmp(line, "report") == 0) {
        report();
    } else if (sscanf(line, "stall %zu", &n) == 1) {
        stall(n, true);
    } else if (strcmp(line, "unstall") == 0) {
        stall(0, false);
    } else if (strcmp(line, "close clean") == 0 || strcmp(line, "close reset") == 0) {
        close_all(line[6] == 'r');
    } else {
        fprintf(stderr, "load: unknown command: %s\n", line);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static const struct net_option options[] = {
        {"--port", &option_port},
        {"--path", &option_path},
        {"--key", &option_key},
        {"--issuer", &option_issuer},
        {"--users", &option_users},
        {"--first", &option_first},
        {"--negotiate", &option_negotiate},
        {"--ping-ms", &option_ping_ms},
        {NULL, NULL},
    };

    net_options(argc, argv, options);
    port = (uint16_t)atoi(option_port);
    users = (unsigned)atoi(option_users);
    first_user = (unsigned)atoi(option_first);
    ping_ns = strtoull(option_ping_ms, NULL, 10) * 1000000;
    pinged_ns = net_now_ns();
    net_commands(on_command);
    net_run(idle);
}
