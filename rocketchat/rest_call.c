#include "rocketchat/rest_call_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_HEADER_BYTES (64 * 1024) /* of one answer; libcurl bounds only the single line */

static const char *const paths[] = {
    [ROUTE_LOGIN] = "/api/v1/login",
    [ROUTE_LOGOUT] = "/api/v1/logout",
    [ROUTE_ME] = "/api/v1/me",
    [ROUTE_INFO] = "/api/info",
    [ROUTE_SUBSCRIPTIONS] = "/api/v1/subscriptions.get",
    [ROUTE_ROOMS] = "/api/v1/rooms.get",
    [ROUTE_ANY] = "/api/v1/",
};

/* ---- the life of a call ---- */

static void wipe(struct byte_buf *b)
{
    if (b->data != NULL)
        explicit_bzero(b->data, b->cap);
    byte_buf_free(b);
}

static void free_headers(struct curl_slist *list)
{
    for (struct curl_slist *h = list; h != NULL; h = h->next)
        explicit_bzero(h->data, strlen(h->data)); /* X-Auth-Token */
    curl_slist_free_all(list);
}

void rest_call_free(struct rest_call *c)
{
    if (c->link != NULL) {
        *c->link = c->next;
        if (c->next != NULL)
            c->next->link = c->link;
    }
    if (c->easy != NULL)
        curl_easy_cleanup(c->easy);
    free_headers(c->request_headers);
    wipe(&c->request);
    wipe(&c->body);
    free(c->target);
    free(c);
}

static int64_t wall_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void answer_login(struct rest_call *c, const struct rc_error *error,
                         const struct rest_rate *rate)
{
    struct rest_identity id;
    struct rest_login login;
    struct rc_error malformed;

    if (error == NULL && !rest_answer_login(byte_buf_slice(&c->body), &id)) {
        rc_error_of(&malformed, RC_MALFORMED);
        error = &malformed;
    }
    if (error != NULL) {
        c->fn.login(c->arg, NULL, error, rate);
        return;
    }
    login =
        (struct rest_login){slice_of(id.user_id), slice_of(id.auth_token), slice_of(id.username)};
    c->fn.login(c->arg, &login, NULL, rate);
    explicit_bzero(&id, sizeof id);
}

static void answer_me(struct rest_call *c, const struct rc_error *error)
{
    struct rest_identity id;
    struct rest_me me;
    struct rc_error malformed;

    if (error == NULL && !rest_answer_me(byte_buf_slice(&c->body), &id)) {
        rc_error_of(&malformed, RC_MALFORMED);
        error = &malformed;
    }
    if (error != NULL) {
        c->fn.me(c->arg, NULL, error);
        return;
    }
    me = (struct rest_me){slice_of(id.user_id), slice_of(id.username)};
    c->fn.me(c->arg, &me, NULL);
}

/* Takes the call out first: what fn does, it does to a client that no longer knows the call. */
static void answer(struct rest_call *c, const struct rc_error *error)
{
    struct rest_rate rate;

    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    c->link = NULL;
    rest_headers_rate(&c->headers, wall_clock_ms(), &rate);
    switch (c->route) {
    case ROUTE_LOGIN:
        answer_login(c, error, &rate);
        break;
    case ROUTE_ME:
        answer_me(c, error);
        break;
    case ROUTE_LOGOUT:
        c->fn.done(c->arg, error);
        break;
    case ROUTE_ANY:
        c->fn.any(c->arg, c->status, byte_buf_slice(&c->body), error);
        break;
    case ROUTE_INFO:
    case ROUTE_SUBSCRIPTIONS:
    case ROUTE_ROOMS:
        c->fn.json(c->arg, error == NULL ? byte_buf_slice(&c->body) : (struct slice){0}, error);
        break;
    }
    rest_call_free(c);
}

static void answer_result(struct rest_call *c, enum rc_result result, const char *code)
{
    struct rc_error error;

    rc_error_of(&error, result);
    if (code != NULL)
        snprintf(error.code, sizeof error.code, "%s", code);
    answer(c, &error);
}

/* What libcurl could not do, in words for a log. NULL: the result's own name says it. */
static enum rc_result result_of_curl(CURLcode code, const char **word)
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

void rest_call_finished(void *arg, CURL *easy, CURLcode code)
{
    struct rest_call *c;
    struct rc_error error;
    const char *word;

    (void)arg;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c);
    if (code != CURLE_OK) {
        enum rc_result result = result_of_curl(code, &word);
        answer_result(c, result, word);
        return;
    }
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &c->status);
    if (rest_answer_read(c->route == ROUTE_LOGIN ? REST_KIND_LOGIN : REST_KIND_OTHER, c->status,
                         &c->headers, wall_clock_ms(), byte_buf_slice(&c->body), &error) == RC_OK)
        answer(c, NULL);
    else
        answer(c, &error);
}

bool rest_call_answer_deferred(struct rest_client *client)
{
    struct rest_call *c = client->calls;

    /* An answer may cancel or start others: begin again after each. */
    while (c != NULL) {
        if (c->failed == RC_OK) {
            c = c->next;
            continue;
        }
        answer_result(c, c->failed, NULL);
        c = client->calls;
    }
    return client->calls == NULL;
}

static void defer(struct rest_call *c, enum rc_result result)
{
    c->failed = result;
    uv_timer_start(&c->client->deferred, c->client->on_deferred, 0, 0);
}

void rest_call_cancel(struct rest_call *c)
{
    if (c->failed != RC_OK)
        return;
    curl_loop_remove(c->client->curl, c->easy);
    defer(c, RC_CANCELLED);
}

/* ---- libcurl's side ---- */

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct rest_call *c = arg;

    byte_buf_append(&c->body, bytes, size * n);
    return byte_buf_failed(&c->body) ? 0 : size * n;
}

static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
    struct rest_call *c = arg;

    c->header_bytes += size * n;
    if (c->header_bytes > MAX_HEADER_BYTES)
        return 0;
    rest_headers_line(&c->headers, (struct slice){bytes, size * n});
    return size * n;
}

bool rest_call_header(struct rest_call *c, const char *name, struct slice value)
{
    struct byte_buf line = {0};
    struct curl_slist *longer = NULL;

    byte_buf_puts(&line, name);
    byte_buf_put(&line, value);
    byte_buf_putc(&line, '\0');
    if (!byte_buf_failed(&line))
        longer = curl_slist_append(c->request_headers, line.data);
    wipe(&line);
    if (longer != NULL)
        c->request_headers = longer;
    return longer != NULL;
}

static void set_options(struct rest_call *c)
{
    const struct rest_client *client = c->client;
    CURL *e = c->easy;

    curl_easy_setopt(e, CURLOPT_PRIVATE, c);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, c);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, c);
    curl_easy_setopt(e, CURLOPT_HTTPHEADER, c->request_headers);
    curl_easy_setopt(e, CURLOPT_USERAGENT, "pushbridge");
    curl_easy_setopt(e, CURLOPT_NOSIGNAL, 1L);
    /* Without it, giving up on a slow name lookup would join its thread and stop the loop. */
    curl_easy_setopt(e, CURLOPT_QUICK_EXIT, 1L);
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, client->timeout_ms);
    curl_easy_setopt(e, CURLOPT_CONNECTTIMEOUT_MS, client->connect_timeout_ms);
    curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)client->max_body_bytes);
    curl_easy_setopt(e, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(e, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
    curl_easy_setopt(e, CURLOPT_FOLLOWLOCATION,
                     0L); /* a redirect would carry the token elsewhere */
    /* Both set, or libcurl would look into http_proxy and no_proxy. */
    curl_easy_setopt(e, CURLOPT_PROXY, client->proxy != NULL ? client->proxy : "");
    curl_easy_setopt(e, CURLOPT_NOPROXY, "");
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYPEER, client->tls_verify ? 1L : 0L);
    curl_easy_setopt(e, CURLOPT_SSL_VERIFYHOST, client->tls_verify ? 2L : 0L);
    if (client->ca_file != NULL) {
        curl_easy_setopt(e, CURLOPT_CAINFO, client->ca_file);
        curl_easy_setopt(e, CURLOPT_CAPATH, NULL); /* this authority, and no other */
    }
    if (client->client_cert_file != NULL)
        curl_easy_setopt(e, CURLOPT_SSLCERT, client->client_cert_file);
    if (client->client_key_file != NULL)
        curl_easy_setopt(e, CURLOPT_SSLKEY, client->client_key_file);
}

static bool set_url(struct rest_call *c)
{
    struct byte_buf url = {0};
    bool ok = false;

    byte_buf_puts(&url, c->client->base_url);
    byte_buf_puts(&url, paths[c->route]);
    if (c->target != NULL)
        byte_buf_puts(&url, c->target);
    byte_buf_putc(&url, '\0');
    if (!byte_buf_failed(&url))
        ok = curl_easy_setopt(c->easy, CURLOPT_URL, url.data) == CURLE_OK;
    byte_buf_free(&url);
    return ok;
}

struct rest_call *rest_call_new(struct rest_client *client, enum route route, void *arg)
{
    struct rest_call *c = calloc(1, sizeof *c);

    if (c == NULL)
        return NULL;
    c->client = client;
    c->route = route;
    c->arg = arg;
    c->body.limit = client->max_body_bytes;
    c->easy = curl_easy_init();
    if (c->easy == NULL) {
        rest_call_free(c);
        return NULL;
    }
    return c;
}

struct rest_call *rest_call_start(struct rest_call *c, bool is_post)
{
    struct rest_client *client = c->client;

    set_options(c);
    if (is_post) {
        curl_easy_setopt(c->easy, CURLOPT_POST, 1L);
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->request.data);
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->request.len);
    }
    if (byte_buf_failed(&c->request) || !set_url(c)) {
        rest_call_free(c);
        return NULL;
    }
    c->next = client->calls;
    c->link = &client->calls;
    if (c->next != NULL)
        c->next->link = &c->next;
    client->calls = c;
    if (client->freeing)
        defer(c, RC_CANCELLED);
    else if (!curl_loop_add(client->curl, c->easy))
        defer(c, RC_NOMEM);
    return c;
}
