#include "bridge/rc_clients.h"

#include "bridge/settings/settings.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/rest_client.h"

static const char *or_null(const char *text)
{
    return text[0] == '\0' ? NULL : text;
}

struct rest_client_options rc_clients_rest(const struct settings *set,
                                           char base_url[RC_ADDRESS_URL_MAX])
{
    rc_address_url(&set->im.address.rest, base_url);
    return (struct rest_client_options){
        .base_url = base_url,
        .ca_file = or_null(set->im.ca_file),
        .client_cert_file = or_null(set->im.client_cert_file),
        .client_key_file = or_null(set->im.client_key_file),
        .proxy = or_null(set->im.proxy),
        .tls_verify = set->im.tls_verify,
        .timeout_ms = set->logins.timeout_ms,
        .connect_timeout_ms = set->session.connect_timeout_ms,
        .max_body_bytes = set->limits.rest_body_bytes,
        .max_connections = set->logins.max_running,
    };
}

int rc_clients_open(uv_loop_t *loop, const struct settings *set, struct ddp_client **ddp_client,
                    struct rest_client **rest_client)
{
    char base_url[RC_ADDRESS_URL_MAX];
    const struct ddp_client_options ddp = {
        .host = set->im.address.ddp.host,
        .port = set->im.address.ddp.port,
        .tls = set->im.address.ddp.tls,
        .path = set->im.address.ddp.path,
        .ca_file = or_null(set->im.ca_file),
        .client_cert_file = or_null(set->im.client_cert_file),
        .client_key_file = or_null(set->im.client_key_file),
        .tls_verify = set->im.tls_verify,
        .proxy = or_null(set->im.proxy),
        .max_frame_bytes = set->limits.ddp_frame_bytes,
        .connect_timeout_ms = set->session.connect_timeout_ms,
        .ping_ms = set->ddp.ping_ms,
        .dead_ms = set->ddp.dead_ms,
    };
    const struct rest_client_options rest = rc_clients_rest(set, base_url);
    int rc = ddp_client_new(loop, &ddp, ddp_client);

    *rest_client = NULL;
    if (rc != 0) {
        *ddp_client = NULL;
        return rc;
    }
    return rest_client_new(loop, &rest, rest_client);
}
