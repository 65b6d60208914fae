/* rocketchat/rest_transport_internal.h - what every HTTP exchange with Rocket.Chat has in common:
 * address, TLS, proxy, request headers, and libcurl's failures in our words. */
#ifndef ROCKETCHAT_REST_TRANSPORT_INTERNAL_H
#define ROCKETCHAT_REST_TRANSPORT_INTERNAL_H

#include "base/byte_buf.h"
#include "rocketchat/rest_client.h"
#include <curl/curl.h>

#define REST_MAX_HEADER_BYTES (64 * 1024) /* of one answer; libcurl bounds only the single line */

struct rest_transport {
    char *base_url, *ca_file, *client_cert_file, *client_key_file, *proxy;
    bool tls_verify;
    long connect_timeout_ms;
};

/* *t is zeroed before. False: no memory, and nothing is open. */
bool rest_transport_open(struct rest_transport *t, const struct rest_client_options *options);
void rest_transport_close(struct rest_transport *t);

void rest_transport_apply(const struct rest_transport *t, CURL *easy);
/* For a request that must not be made twice. Where a kept connection ends without an answer,
 * libcurl sends the request again by itself, though it may have been done; but for one whose body
 * came from a read callback, which it can't have a second time. Without a body it gets a connection
 * of its own. */
void rest_transport_send_once(CURL *easy, bool has_body);
/* target: path below the base address, and query. False: no memory. */
bool rest_transport_url(const struct rest_transport *t, CURL *easy, struct slice target);
/* Appends a line. False: no memory, the list is as before. */
bool rest_transport_header(struct curl_slist **list, struct slice name, struct slice value);
void rest_transport_free_headers(struct curl_slist *list); /* wiped first */
void rest_transport_wipe(struct byte_buf *b);

/* What libcurl could not do. *word: for a log; NULL: the result's own name says it. */
enum rc_result rest_transport_result(CURLcode code, const char **word);

#endif
