#include "bridge/admin/admin_routes.h"

#include "bridge/admin/admin_push.h"
#include "bridge/admin/admin_query.h"
#include "bridge/admin/admin_reply.h"
#include "bridge/log/log.h"
#include "bridge/program.h"
#include "bridge/shard.h"
#include "signalr/http/http_server.h"
#include <openssl/crypto.h>
#include <stdlib.h>

#define WHO_MAX_BYTES 320

/* A query, and who waits for its answer. */
struct waiting {
    struct admin_reply *reply;
    enum admin_action action;
};

static void on_answer(void *arg, bool found, struct slice json)
{
    struct waiting *w = arg;

    if (w->action == ADMIN_DESCRIBE)
        admin_reply_send(w->reply, json.len > 0 ? 200 : 503, json);
    else if (found)
        admin_reply_send(w->reply, 204, (struct slice){0});
    else
        admin_reply_error(w->reply, 404, "no such session");
    free(w);
}

static bool key_is_right(const struct settings *settings, const struct http_view *v)
{
    struct slice expected = slice_of(settings->admin_api_key), given;

    return http_view_header(v, "x-api-key", &given) && given.len == expected.len &&
           CRYPTO_memcmp(given.ptr, expected.ptr, expected.len) == 0;
}

static void ask(struct shard *s, struct http_request *req, enum admin_action action,
                struct slice who)
{
    struct waiting *w;
    char decoded[WHO_MAX_BYTES];
    size_t len;

    if (!http_percent_decode(who, decoded, sizeof decoded, &len) || len == 0) {
        admin_respond_error(req, 400, "the user's name is malformed or too long");
        return;
    }
    w = calloc(1, sizeof *w);
    if (w == NULL) {
        admin_respond(req, 503, (struct slice){0});
        return;
    }
    w->action = action;
    w->reply = admin_reply_new(req);
    if (w->reply == NULL) {
        free(w);
    } else if (!admin_query_start(s, action, (struct slice){decoded, len}, on_answer, w)) {
        admin_reply_send(w->reply, 503, (struct slice){0});
        free(w);
    } else if (action == ADMIN_END_SESSION) {
        log_info("admin_session_ended", LOG_ID("user", ((struct slice){decoded, len})));
    }
}

static bool handle_user(struct shard *s, struct http_request *req, struct slice who)
{
    const enum http_method method = http_request_view(req)->method;
    const bool session = slice_cut_suffix(&who, SLICE_LIT("/session"));

    if (who.len == 0 || memchr(who.ptr, '/', who.len) != NULL)
        return false;
    if (session && method == HTTP_DELETE_)
        ask(s, req, ADMIN_END_SESSION, who);
    else if (!session && (method == HTTP_GET_ || method == HTTP_HEAD_))
        ask(s, req, ADMIN_DESCRIBE, who);
    else
        admin_respond(req, 405, (struct slice){0});
    return true;
}

bool admin_routes_handle(struct shard *s, struct http_request *req)
{
    const struct settings *settings = s->program->settings;
    const struct http_view *v = http_request_view(req);
    struct slice path = v->path;

    if (settings->admin_api_key[0] == '\0' || !slice_cut_prefix(&path, SLICE_LIT("/admin/")))
        return false;
    if (!key_is_right(settings, v)) {
        admin_respond(req, 401, (struct slice){0});
        return true;
    }
    if (slice_cut_prefix(&path, SLICE_LIT("users/")))
        return handle_user(s, req, path);
    return admin_push_handle(s, req);
}

/* The shards' answers still come, to nobody. */
void admin_routes_gone(struct shard *s, struct http_request *req)
{
    (void)s;
    admin_reply_gone(req);
}
