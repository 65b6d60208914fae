/* tests/bench/pump.c - what the product is measured against: epoll, write(), and nothing else.
 *
 * Prints {"port":N}. Any request with a Sec-WebSocket-Key becomes a WebSocket; its first message, a
 * SignalR handshake, is answered. Commands on stdin, each answered by {"done":"NAME"}:
 *
 *   one COUNT BYTES           messages of BYTES, each to the next connection
 *   all COUNT BYTES           COUNT times a message of BYTES to every connection
 *   relay PORT N OFF LEN HEAD TAIL   opens N WebSockets at ws://127.0.0.1:PORT/raw; what comes on
 *                             the i-th goes to the i-th connection, HEAD + bytes OFF..OFF+LEN +
 *                             TAIL + the separator, one write a message
 *   unrelay                   closes them
 *   stats                     {"connections":N,"relays":N}
 */
#include "tests/bench/bench_net.h"
#include "tests/bench/bench_ws.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

enum { BATCH = 64, MAX_CONNECTIONS = 20000, MESSAGE_MAX = 65536, QUEUE_MAX = 512 * 1024 };
#define SEPARATOR '\x1e'

enum phase { PHASE_HTTP, PHASE_HANDSHAKE, PHASE_OPEN };

/* A peer's owner: its phase and its place in the list. */
struct connection {
    enum phase phase;
    size_t at;
};

struct list {
    struct peer *peers[MAX_CONNECTIONS];
    size_t n;
};

static struct list browsers, relays;
static struct net_source listener;
static size_t next_browser, relays_open;
static struct {
    unsigned left;
    size_t bytes;
    bool to_all;
    const char *name;
} flood;
static struct {
    size_t offset, len, n;
    uint16_t port;
    char head[256], tail[64];
} relay;

static void list_add(struct list *list, struct peer *p)
{
    if (list->n == MAX_CONNECTIONS)
        net_fail("too many connections");
    ((struct connection *)p->owner)->at = list->n;
    list->peers[list->n++] = p;
}

static void list_remove(struct list *list, const struct peer *p)
{
    const size_t at = ((struct connection *)p->owner)->at;

    list->peers[at] = list->peers[--list->n];
    ((struct connection *)list->peers[at]->owner)->at = at;
}

/* ---- browsers ---- */

static void on_browser_message(struct peer *p, const struct ws_message *m)
{
    static const uint8_t answer[] = {0x81, 3, '{', '}', SEPARATOR};
    static const uint8_t bye[] = {0x88, 2, 0x03, 0xe8};
    struct connection *c = p->owner;

    if (m->opcode == WS_CLOSE) {
        peer_send(p, bye, sizeof bye);
    } else if (c->phase == PHASE_HANDSHAKE) {
        c->phase = PHASE_OPEN;
        list_add(&browsers, p);
        peer_send(p, answer, sizeof answer);
    }
}

static size_t on_browser_bytes(struct peer *p, uint8_t *data, size_t len)
{
    struct connection *c = p->owner;
    struct ws_message m;
    size_t used = 0, n;

    if (c->phase == PHASE_HTTP) {
        const char *body;
        size_t body_len;
        char key[64], answer[256];

        used = http_whole(data, len, &body, &body_len);
        if (used == 0 || !http_header(data, used, "Sec-WebSocket-Key", key, sizeof key))
            return used;
        peer_send(p, answer, ws_accept_answer(key, answer, sizeof answer));
        c->phase = PHASE_HANDSHAKE;
    }
    while ((n = ws_take(data + used, len - used, &m)) > 0) {
        used += n;
        on_browser_message(p, &m);
    }
    return used;
}

static void on_browser_end(struct peer *p)
{
    struct connection *c = p->owner;

    if (c->phase == PHASE_OPEN)
        list_remove(&browsers, p);
    free(c);
}

static void on_accept(struct net_source *s, uint32_t events)
{
    static const struct peer_ops ops = {.on_bytes = on_browser_bytes, .on_end = on_browser_end};
    struct peer *p;

    (void)events;
    while ((p = peer_accept(s, &ops)) != NULL)
        p->owner = net_alloc(sizeof(struct connection));
}

/* ---- floods ---- */

/* The frame a SignalR server would send; returns its length. */
static size_t build(uint8_t *out, size_t bytes)
{
    static const char head[] = "{\"type\":1,\"target\":\"flood\",\"arguments\":[\"";
    static const char tail[] = "\"]}\x1e";
    const size_t fixed = sizeof head - 1 + sizeof tail - 1;
    const size_t text = bytes > fixed + WS_STAMP_LEN ? bytes - fixed : WS_STAMP_LEN;
    uint8_t *at = out + ws_head(out, WS_TEXT, fixed + text, false);

    memcpy(at, head, sizeof head - 1);
    at += sizeof head - 1;
    memset(at, 'x', text);
    ws_write_stamp((char *)at, net_now_ns());
    at += text;
    memcpy(at, tail, sizeof tail - 1);
    return (size_t)(at - out) + sizeof tail - 1;
}

static void flood_turn(void)
{
    static uint8_t frame[MESSAGE_MAX + WS_HEAD_MAX];
    size_t len;

    if (flood.to_all) {
        len = build(frame, flood.bytes);
        for (size_t i = 0; i < browsers.n; i++)
            peer_send(browsers.peers[i], frame, len);
        flood.left--;
        return;
    }
    for (int i = 0; i < BATCH && flood.left > 0 && browsers.n > 0; i++) {
        struct peer *p = browsers.peers[next_browser % browsers.n];

        if (p->out.len > QUEUE_MAX)
            return; /* its reader is behind, and so is the flood then */
        len = build(frame, flood.bytes);
        peer_send(p, frame, len);
        next_browser++;
        flood.left--;
    }
}

static int64_t idle(void)
{
    if (flood.left == 0)
        return -1;
    flood_turn();
    if (flood.left == 0)
        net_say("{\"done\":\"%s\"}", flood.name);
    return 0;
}

/* ---- relay ---- */

static void on_relay_message(const struct connection *c, const struct ws_message *m)
{
    static uint8_t frame[MESSAGE_MAX + WS_HEAD_MAX];
    const size_t head = strlen(relay.head), tail = strlen(relay.tail);
    const size_t len = head + relay.len + tail + 1;
    uint8_t *at = frame;

    if (m->opcode != WS_TEXT || m->len < relay.offset + relay.len || c->at >= browsers.n)
        return;
    at += ws_head(frame, WS_TEXT, len, false);
    memcpy(at, relay.head, head);
    memcpy(at + head, m->payload + relay.offset, relay.len);
    memcpy(at + head + relay.len, relay.tail, tail);
    at[len - 1] = SEPARATOR;
    peer_send(browsers.peers[c->at], frame, (size_t)(at - frame) + len);
}

static size_t on_relay_bytes(struct peer *p, uint8_t *data, size_t len)
{
    struct connection *c = p->owner;
    struct ws_message m;
    size_t used = 0, n;

    if (c->phase == PHASE_HTTP) {
        const char *body;
        size_t body_len;

        used = http_whole(data, len, &body, &body_len);
        if (used == 0)
            return 0;
        c->phase = PHASE_OPEN;
        if (++relays_open == relay.n)
            net_say("{\"done\":\"relay\"}");
    }
    while ((n = ws_take(data + used, len - used, &m)) > 0) {
        used += n;
        on_relay_message(c, &m);
    }
    return used;
}

static void on_relay_connected(struct peer *p)
{
    static const char request[] = "GET /raw HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                                  "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                                  "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";

    peer_send(p, request, sizeof request - 1);
}

static void on_relay_end(struct peer *p)
{
    list_remove(&relays, p);
    free(p->owner);
}

static void relay_open(void)
{
    static const struct peer_ops ops = {
        .on_bytes = on_relay_bytes, .on_connected = on_relay_connected, .on_end = on_relay_end};

    for (size_t i = 0; i < relay.n; i++) {
        struct peer *p = peer_connect(relay.port, &ops, net_alloc(sizeof(struct connection)));

        if (p == NULL)
            net_fail("connect");
        list_add(&relays, p);
    }
}

static void relay_close(void)
{
    for (size_t i = 0; i < relays.n; i++) {
        free(relays.peers[i]->owner);
        peer_close(relays.peers[i], false);
    }
    relays.n = relays_open = 0;
    net_say("{\"done\":\"unrelay\"}");
}

/* ---- commands ---- */

static void on_command(char *line)
{
    unsigned count;
    size_t bytes;

    if (sscanf(line, "one %u %zu", &count, &bytes) == 2 && bytes <= MESSAGE_MAX) {
        flood.left = count, flood.bytes = bytes, flood.to_all = false, flood.name = "one";
    } else if (sscanf(line, "all %u %zu", &count, &bytes) == 2 && bytes <= MESSAGE_MAX) {
        flood.left = count, flood.bytes = bytes, flood.to_all = true, flood.name = "all";
    } else if (sscanf(line, "relay %hu %zu %zu %zu %255s %63s", &relay.port, &relay.n,
                      &relay.offset, &relay.len, relay.head, relay.tail) == 6) {
        relay_open();
    } else if (strcmp(line, "unrelay") == 0) {
        relay_close();
    } else if (strcmp(line, "stats") == 0) {
        net_say("{\"connections\":%zu,\"relays\":%zu}", browsers.n, relays.n);
    } else {
        fprintf(stderr, "pump: unknown command: %s\n", line);
        exit(2);
    }
}

int main(void)
{
    listener.on_ready = on_accept;
    net_say("{\"port\":%d}", net_listen(0, &listener));
    net_commands(on_command);
    net_run(idle);
}
