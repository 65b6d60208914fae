/* What stands behind the proxies that tests/bench/proxy.mjs compares: a thread for each connection,
 * which swallows any body and answers a login, or N bytes for ?bytes=N, as fast as the kernel
 * takes them. Prints {"port":N} and serves until stdin ends. */
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BUFFER = 256 * 1024, HEAD_MAX = 16384 };

static const char account[] =
    "{\"status\":\"success\",\"success\":true,\"_id\":\"u1\",\"username\":\"alice\",\"data\":{"
    "\"userId\":\"u1\",\"authToken\":\"token-of-the-bench\",\"me\":{\"_id\":\"u1\","
    "\"username\":\"alice\"}}}";

static bool send_all(int fd, const char *bytes, size_t len)
{
    while (len > 0) {
        ssize_t n = send(fd, bytes, len, MSG_NOSIGNAL);

        if (n <= 0)
            return false;
        bytes += n;
        len -= (size_t)n;
    }
    return true;
}

static bool answer(int fd, const char *head, char *buffer)
{
    const char *query = strstr(head, "?bytes=");
    unsigned long long left = query == NULL ? 0 : strtoull(query + 7, NULL, 10);
    char line[200];
    int n = snprintf(line, sizeof line, "HTTP/1.1 200 OK\r\nContent-Length: %llu\r\n\r\n",
                     query == NULL ? (unsigned long long)(sizeof account - 1) : left);

    if (!send_all(fd, line, (size_t)n))
        return false;
    if (query == NULL)
        return send_all(fd, account, sizeof account - 1);
    for (; left > 0; left -= left < BUFFER ? left : BUFFER)
        if (!send_all(fd, buffer, left < BUFFER ? left : BUFFER))
            return false;
    return true;
}

/* One request after the other; a body by Content-Length only. */
static void *serve(void *arg)
{
    int fd = (int)(long)arg, on = 1;
    char *buffer = calloc(1, BUFFER), head[HEAD_MAX + 1];
    size_t len = 0;
    bool open = buffer != NULL;

    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    while (open) {
        ssize_t n = recv(fd, head + len, HEAD_MAX - len, 0);
        const char *end, *length;
        unsigned long long body;
        size_t behind;

        if (n <= 0)
            break;
        len += (size_t)n;
        head[len] = '\0';
        end = strstr(head, "\r\n\r\n");
        if (end == NULL)
            continue;
        length = strcasestr(head, "content-length:");
        body = length == NULL || length > end ? 0 : strtoull(length + 15, NULL, 10);
        behind = len - (size_t)(end + 4 - head);
        for (body -= behind < body ? behind : body; body > 0; body -= (unsigned long long)n) {
            n = recv(fd, buffer, body < BUFFER ? body : BUFFER, 0);
            if (n <= 0)
                break;
        }
        open = body == 0 && answer(fd, head, buffer);
        len = 0;
    }
    free(buffer);
    close(fd);
    return NULL;
}

static void *watch_stdin(void *arg)
{
    char byte;

    while (read(0, &byte, 1) > 0)
        ;
    exit(0);
    return arg;
}

int main(void)
{
    struct sockaddr_in addr = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof addr;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    pthread_t thread;

    if (listener < 0 || bind(listener, (struct sockaddr *)&addr, len) != 0 ||
        listen(listener, 128) != 0 || getsockname(listener, (struct sockaddr *)&addr, &len) != 0 ||
        pthread_create(&thread, NULL, watch_stdin, NULL) != 0)
        return 1;
    printf("{\"port\":%d}\n", ntohs(addr.sin_port));
    fflush(stdout);
    for (;;) {
        int fd = accept(listener, NULL, NULL);

        if (fd >= 0 && pthread_create(&thread, NULL, serve, (void *)(long)fd) == 0)
            pthread_detach(thread);
    }
}
