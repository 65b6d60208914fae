/* Small calls over connections that are kept, each answered before the next: what a proxy takes for
 * one. On stdin: "run PORT CONNECTIONS CALLS". Answers {"done":CALLS,"seconds":S,"failed":N}, where
 * failed counts answers other than 200 and connections that ended.
 *
 *   hammer --path PATH --authorization VALUE */
#include "tests/bench/bench_net.h"
#include "tests/bench/bench_ws.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static char request[8192];
static size_t request_len;
static long to_send, to_come, calls, failed, open_peers;
static uint64_t began_ns;

static void finish_if_over(void)
{
    if (to_come > 0 && open_peers > 0)
        return;
    net_say("{\"done\":%ld,\"seconds\":%.6f,\"failed\":%ld}", calls,
            (double)(net_now_ns() - began_ns) / 1e9, failed + to_come);
    to_come = to_send = 0;
    began_ns = 0;
}

static void next(struct peer *p)
{
    if (to_send > 0) {
        to_send--;
        peer_send(p, request, request_len);
        return;
    }
    open_peers--;
    peer_close(p, false);
}

static size_t on_bytes(struct peer *p, uint8_t *data, size_t len)
{
    const char *body;
    size_t body_len, used = http_whole(data, len, &body, &body_len);

    if (used == 0)
        return 0;
    if (memcmp(data, "HTTP/1.1 200 ", 13) != 0)
        failed++;
    to_come--;
    next(p);
    if (began_ns != 0 && to_come == 0)
        finish_if_over();
    return used;
}

static void on_end(struct peer *p)
{
    (void)p;
    open_peers--;
    if (began_ns != 0 && open_peers == 0)
        finish_if_over();
}

static const struct peer_ops ops = {.on_bytes = on_bytes, .on_connected = next, .on_end = on_end};

static void on_command(char *line)
{
    unsigned port;
    long connections;

    if (sscanf(line, "run %u %ld %ld", &port, &connections, &calls) != 3 || began_ns != 0)
        return;
    to_send = to_come = calls;
    failed = 0;
    began_ns = net_now_ns();
    for (open_peers = 0; open_peers < connections; open_peers++)
        if (peer_connect((uint16_t)port, &ops, NULL) == NULL)
            net_fail("connect");
}

static int64_t idle(void)
{
    return -1;
}

int main(int argc, char **argv)
{
    const char *path = "/", *authorization = "";
    const struct net_option options[] = {
        {"--path", &path}, {"--authorization", &authorization}, {NULL, NULL}};
    int n;

    net_options(argc, argv, options);
    n = snprintf(request, sizeof request,
                 "GET %s HTTP/1.1\r\nHost: localhost\r\nAuthorization: %s\r\n\r\n", path,
                 authorization);
    if (n < 0 || (size_t)n >= sizeof request)
        net_fail("the request is too long");
    request_len = (size_t)n;
    net_say("{\"ready\":true}");
    net_commands(on_command);
    net_run(idle);
}
