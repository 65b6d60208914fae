#include "rocketchat/rest_transport_internal.h"
#include <stdlib.h>
#include <string.h>

/* A server closes an idle connection when it likes; Node, under Rocket.Chat, does after 5 s. What
 * is sent into such a one is lost, so none is used that has been idle for so long. */
#define MAX_IDLE_S 3L

static bool copy(char **to, const char *from)
{
    *to = from == NULL || *from == '\0' ? NULL : strdup(from);
    return *to != NULL || from == NULL || *from == '\0';
}

bool rest_transport_open(struct rest_transport *t, const struct rest_client_options *options)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) /* counted, and thread-safe since 7.84 */
        return false;
    t->tls_verify = options->tls_verify;
    t->connect_timeout_ms = (long)options->connect_timeout_ms;
    if (copy(&t->base_url, options->base_url) && t->base_url != NULL &&
        copy(&t->ca_file, options->ca_file) &&
        copy(&t->client_cert_file, options->client_cert_file) &&
        copy(&t->client_key_file, options->client_key_file) && copy(&t->proxy, options->proxy))
        return true;
    rest_transport_close(t);
    return false;
}

void rest_transport_close(struct rest_transport *t)
{
    free(t->base_url);
    free(t->ca_file);
    free(t->client_cert_file);
    free(t->client_key_file);
    free(t->proxy);
    curl_global_cleanup();
}

void rest_transport_apply(const struct rest_transport *t, CURL *e)
{
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    /* Without it, giving up on a slow name lookup would join its thread and stop the loop. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_MAXAGE_CONN, MAX_IDLE_S);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, t->connect_timeout_ms);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION,
                     0L); /* a redirect would carry the token elsewhere */
    /* Both set, or libcurl would look into http_proxy and no_proxy. */
    curl_easy_setopt(e, CURLOPT_PROXY, t->proxy != NULL ? t->proxy : "");
    curl_easy_setopt(e, CURLOPT_NOPROXY, "");
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, t->tls_verify ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, t->tls_verify ? 2L : 0L);
    if (t->ca_file != NULL) {
        curl_easy_setopt(e, CURLOPT_CAINFO, t->ca_file);
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* this authority, and no other */
    }
    if (t->client_cert_file != NULL)
        curl_easy_setopt(e, CURLOPT_SSLCERT, t->client_cert_file);
    if (t->client_key_file != NULL)
        curl_easy_setopt(e, CURLOPT_SSLKEY, t->client_key_file);
}

void rest_transport_send_once(CURL *easy, bool has_body)
{
    if (!has_body)
        curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
}

bool rest_transport_url(const struct rest_transport *t, CURL *easy, struct slice target)
{
    struct byte_buf url = {0};
    bool ok = false;

    byte_buf_puts(&url, t->base_url);
    byte_buf_put(&url, target);
    byte_buf_putc(&url, '\0');
    if (!byte_buf_failed(&url))
        ok = curl_easy_setopt(easy, CURLOPT_URL, url.data) == CURLE_OK;
    byte_buf_free(&url);
    return ok;
}

bool rest_transport_header(struct curl_slist **list, struct slice name, struct slice value)
{
    struct byte_buf line = {0};
    struct curl_slist *longer = NULL;

    byte_buf_put(&line, name);
    byte_buf_puts(&line, value.len > 0 ? ": " : ";"); /* ':' would keep the header out */
    byte_buf_put(&line, value);
    byte_buf_putc(&line, '\0');
    if (!byte_buf_failed(&line))
        longer = curl_slist_append(*list, line.data);
    rest_transport_wipe(&line);
    if (longer != NULL)
        *list = longer;
    return longer != NULL;
}

void rest_transport_free_headers(struct curl_slist *list)
{
    for (struct curl_slist *h = list; h != NULL; h = h->next)
        explicit_bzero(h->data, strlen(h->data)); /* X-Auth-Token */
    curl_slist_free_all(list);
}

void rest_transport_wipe(struct byte_buf *b)
{
    if (b->data != NULL)
        explicit_bzero(b->data, b->cap);
    byte_buf_free(b);
}

enum rc_result rest_transport_result(CURLcode code, const char **word)
{
    *word = NULL;
    switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
        return RC_TIMED_OUT;
    case CURLE_OUT_OF_MEMORY:
        return RC_NOMEM;
    case CURLE_COULDNT_RESOLVE_HOST:
        *word = "name-not-found";
        return RC_UNREACHABLE;
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_PROXY:
        *word = "proxy-failed";
        return RC_UNREACHABLE;
    case CURLE_COULDNT_CONNECT:
        *word = "connection-refused";
        return RC_UNREACHABLE;
    case CURLE_PEER_FAILED_VERIFICATION:
        *word = "certificate-refused";
        return RC_UNREACHABLE;
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_ISSUER_ERROR:
        *word = "tls-failed";
        return RC_UNREACHABLE;
    case CURLE_PARTIAL_FILE:
        *word = "answer-truncated";
        return RC_UNREACHABLE;
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_FAIL_REWIND: /* lost, and not sent again: rest_transport_send_once() */
        *word = "connection-lost";
        return RC_UNREACHABLE;
    case CURLE_WRITE_ERROR: /* our own: on_body refused */
    case CURLE_FILESIZE_EXCEEDED:
        *word = "answer-too-large";
        return RC_MALFORMED;
    default:
        *word = "http-broken";
        return RC_MALFORMED;
    }
}
