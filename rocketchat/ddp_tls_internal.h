/* rocketchat/ddp_tls_internal.h - the TLS side of a ddp_client: trust, name, client certificate.
 *
 * We bring our own SSL_CTX. libwebsockets, left alone, goes on without a CA file that it can't
 * load, cuts names off at 127 bytes, and can neither check nor leave out of the SNI an address
 * literal. */
#ifndef ROCKETCHAT_DDP_TLS_INTERNAL_H
#define ROCKETCHAT_DDP_TLS_INTERNAL_H

#include "rocketchat/ddp_connector.h"
#include <openssl/ssl.h>

/* host: a name or an address literal without brackets; it must outlive the context. NULL: a file is
 * missing or no good, or no memory. */
SSL_CTX *ddp_tls_new(const struct ddp_client_options *options, const char *host);

#endif
