#include "rocketchat/rest_call_internal.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static const char *const paths[] = {
    [ROUTE_LOGIN] = "/api/v1/login",     [ROUTE_LOGOUT] = "/api/v1/logout",
    [ROUTE_ME] = "/api/v1/me",           [ROUTE_SUBSCRIPTIONS] = "/api/v1/subscriptions.get",
    [ROUTE_ROOMS] = "/api/v1/rooms.get",
};

/* ---- the life of a call ---- */

void rest_call_free(struct rest_call *c)
{
    if (c->link != NULL) {
        *c->link = c->next;
        if (c->next != NULL)
            c->next->link = c->link;
    }
    if (c->easy != NULL)
        curl_easy_cleanup(c->easy);
    rest_transport_free_headers(c->request_headers);
    rest_transport_wipe(&c->request);
    rest_transport_wipe(&c->body);
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
    case ROUTE_SUBSCRIPTIONS:
    case ROUTE_ROOMS:
    case ROUTE_MESSAGES:
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

void rest_call_finished(void *arg, CURL *easy, CURLcode code)
{
    struct rest_call *c;
    struct rc_error error;
    const char *word;

    (void)arg;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&c);
    if (code != CURLE_OK) {
        enum rc_result result = rest_transport_result(code, &word);
        answer_result(c, result, word);
        return;
    }
    curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &c->status);
    if (c->headers.has_date) {
        c->client->has_clock = true;
        c->client->clock_ahead_ms = c->headers.date_ms - wall_clock_ms();
    }
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
    if (c->header_bytes > REST_MAX_HEADER_BYTES)
        return 0;
    rest_headers_line(&c->headers, (struct slice){bytes, size * n});
    return size * n;
}

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
    struct rest_call *c = arg;
    size_t left = c->request.len - c->sent, taken = left < size * n ? left : size * n;

    if (taken > 0)
        memcpy(to, c->request.data + c->sent, taken);
    c->sent += taken;
    return taken;
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
    curl_easy_setopt(e, CURLOPT_TIMEOUT_MS, client->timeout_ms);
    curl_easy_setopt(e, CURLOPT_MAXFILESIZE_LARGE, (curl_off_t)client->max_body_bytes);
    rest_transport_apply(&client->transport, e);
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
        curl_easy_setopt(c->easy, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(c->easy, CURLOPT_READDATA, c);
        curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)c->request.len);
        rest_transport_send_once(c->easy, c->request.len > 0);
    }
    if (byte_buf_failed(&c->request) ||
        !rest_transport_url(&client->transport, c->easy,
                            slice_of(c->target != NULL ? c->target : paths[c->route]))) {
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
