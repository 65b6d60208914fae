#include "bridge/admin_routes.h"

#include "bridge/admin_query.h"
#include "bridge/log.h"
#include "bridge/program.h"
#include "bridge/shard.h"
#include "signalr/http/http_server.h"
#include <openssl/crypto.h>
#include <stdlib.h>

#define WHO_MAX_BYTES 320

/* One request that waits for the shards' answers; the request's data points here. */
struct waiting {
    struct http_request *req;
    struct admin_query *query;
    enum admin_action action;
};

static void respond(struct http_request *req, int status, struct slice json)
{
    const struct http_response r = {
        .status = status, .content_type = json.len > 0 ? "application/json" : NULL, .body = json};

    http_respond(req, &r);
}

static void on_answer(void *arg, bool found, struct slice json)
{
    struct waiting *w = arg;

    http_request_set_data(w->req, NULL);
    if (!found)
        respond(w->req, 404, SLICE_LIT("{\"error\":\"no such session\"}"));
    else if (w->action == ADMIN_END_SESSION)
        respond(w->req, 204, (struct slice){0});
    else
        respond(w->req, json.len > 0 ? 200 : 503, json);
    free(w);
}

static bool key_is_right(const struct settings *settings, const struct http_view *v)
{
    struct slice expected = slice_of(settings->admin_api_key), given;

    return http_view_header(v, "x-api-key", &given) && given.len == expected.len &&
           CRYPTO_memcmp(given.ptr, expected.ptr, expected.len) == 0;
}

static bool cut_prefix(struct slice *text, struct slice prefix)
{
    if (text->len < prefix.len || memcmp(text->ptr, prefix.ptr, prefix.len) != 0)
        return false;
    text->ptr += prefix.len;
    text->len -= prefix.len;
    return true;
}

static bool cut_suffix(struct slice *text, struct slice suffix)
{
    if (text->len < suffix.len ||
        memcmp(text->ptr + text->len - suffix.len, suffix.ptr, suffix.len) != 0)
        return false;
    text->len -= suffix.len;
    return true;
}

static void ask(struct shard *s, struct http_request *req, enum admin_action action,
                struct slice who)
{
    struct waiting *w = calloc(1, sizeof *w);
    char decoded[WHO_MAX_BYTES];
    size_t len;

    if (!http_percent_decode(who, decoded, sizeof decoded, &len) || len == 0) {
        free(w);
        respond(req, 400, SLICE_LIT("{\"error\":\"the user's name is malformed or too long\"}"));
        return;
    }
    if (w != NULL) {
        w->req = req;
        w->action = action;
        w->query = admin_query_start(s, action, (struct slice){decoded, len}, on_answer, w);
    }
    if (w == NULL || w->query == NULL) {
        free(w);
        respond(req, 503, (struct slice){0});
        return;
    }
    http_request_set_data(req, w);
    if (action == ADMIN_END_SESSION)
        log_info("admin_session_ended", LOG_ID("user", ((struct slice){decoded, len})));
}

bool admin_routes_handle(struct shard *s, struct http_request *req)
{
    const struct settings *settings = s->program->settings;
    const struct http_view *v = http_request_view(req);
    struct slice who = v->path;
    bool session;

    if (!cut_prefix(&who, SLICE_LIT("/admin/users/")) || settings->admin_api_key[0] == '\0')
        return false;
    if (!key_is_right(settings, v)) {
        respond(req, 401, (struct slice){0});
        return true;
    }
    session = cut_suffix(&who, SLICE_LIT("/session"));
    if (who.len == 0 || memchr(who.ptr, '/', who.len) != NULL)
        return false;
    if (session && v->method == HTTP_DELETE_)
        ask(s, req, ADMIN_END_SESSION, who);
    else if (!session && (v->method == HTTP_GET_ || v->method == HTTP_HEAD_))
        ask(s, req, ADMIN_DESCRIBE, who);
    else
        respond(req, 405, (struct slice){0});
    return true;
}

/* The peer left before the answer: the shards' mail still comes back, to nobody. */
void admin_routes_gone(struct shard *s, struct http_request *req)
{
    struct waiting *w = http_request_data(req);

    (void)s;
    if (w == NULL)
        return;
    admin_query_abandon(w->query);
    free(w);
}
