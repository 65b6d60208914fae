/* Addresses of Rocket.Chat and of our listeners: what is taken is in bounds, and its normal form is
 * taken again and means the same. */
#include "bridge/settings/listen_url.h"
#include "bridge/settings/rc_address.h"
#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check(const struct rc_endpoint *e)
{
    size_t host = strnlen(e->host, sizeof e->host), path = strnlen(e->path, sizeof e->path);

    assert(host > 0 && host < sizeof e->host && path < sizeof e->path);
    assert(e->port > 0);
    assert(path == 0 || (e->path[0] == '/' && e->path[path - 1] != '/'));
    assert(strpbrk(e->host, "/@?# \r\n") == NULL && strpbrk(e->path, "?# \r\n") == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice text = {(const char *)data, len};
    struct rc_endpoint rest, ddp, again;
    struct listen_url listen, listen_again;
    char url[RC_ADDRESS_URL_MAX];

    if (rc_address_parse_rest(text, &rest) == NULL) {
        check(&rest);
        rc_address_derive_ddp(&rest, &ddp);
        check(&ddp);
        rc_address_url(&rest, url);
        assert(rc_address_parse_rest(slice_of(url), &again) == NULL);
        assert(again.tls == rest.tls && again.port == rest.port);
        assert(strcmp(again.host, rest.host) == 0 && strcmp(again.path, rest.path) == 0);
    }
    if (rc_address_parse_ddp(text, &ddp) == NULL) {
        check(&ddp);
        assert(strstr(ddp.path, "/websocket") != NULL);
    }
    if (listen_url_parse(text, &listen) == NULL) {
        assert(listen.count == 1 || listen.count == 2);
        assert(listen_url_parse(slice_of(listen.text), &listen_again) == NULL);
        assert(memcmp(listen.addresses, listen_again.addresses, sizeof listen.addresses) == 0);
    }
    return 0;
}
