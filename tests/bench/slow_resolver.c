/* tests/bench/slow_resolver.c - preloaded into the program under test: while the file that
 * SLOW_RESOLVER names exists, every look-up of a name takes three seconds. Addresses are no names.
 */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

int getaddrinfo(const char *restrict name, const char *restrict service,
                const struct addrinfo *restrict hints, struct addrinfo **restrict out)
{
    const char *file = getenv("SLOW_RESOLVER");
    unsigned char address[sizeof(struct in6_addr)];
    union {
        void *object;
        int (*function)(const char *, const char *, const struct addrinfo *, struct addrinfo **);
    } real = {dlsym(RTLD_NEXT, "getaddrinfo")};

    if (name != NULL && inet_pton(AF_INET, name, address) != 1 &&
        inet_pton(AF_INET6, name, address) != 1 && file != NULL && access(file, F_OK) == 0)
        sleep(3);
    return real.function(name, service, hints, out);
}
