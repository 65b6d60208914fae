#include "bridge/im_proxy/im_proxy_internal.h"

#include "base/hash.h"
#include "bridge/admin/metrics.h"
#include "bridge/log/log.h"
#include "bridge/program.h"
#include "bridge/rc_clients.h"
#include "bridge/shard.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define ME_CONNECTIONS 4

/* ---- as whom ---- */

/* A JWT that is no good has been logged and counted by the check. */
static bool read_user(struct im_proxy *p, const struct http_view *v, struct im_who *who)
{
    struct signalr_user user;
    const struct bridge_user *account;

    if (user_authenticate(p->shard, v, &user) != SIGNALR_AUTH_USER)
        return false;
    account = user.host_data;
    who->as = IM_AS_USER;
    memcpy(who->key, user.key, sizeof who->key);
    snprintf(who->username, sizeof who->username, "%s", account->username);
    who->refused = account->refused;
    who->profile_len = account->profile_len;
    if (who->profile_len > 0)
        memcpy(who->profile, user_profile(account).ptr, who->profile_len);
    user_release(user.host_data);
    return true;
}

/* False: answered, mostly with a refusal. */
static bool decide(struct im_proxy *p, struct http_request *req, struct slice call,
                   struct im_who *who)
{
    const struct settings *set = p->shard->program->settings;
    const struct http_view *v = http_request_view(req);

    if (user_carries_token(p->shard, v)) {
        if (!read_user(p, v, who))
            im_refuse_login(req);
        else if (im_path_is_logout(call)) /* the session's token goes on */
            im_answer_logout(req);
        else
            return true;
        return false;
    }
    im_caller_read(v, &who->caller);
    if (who->caller.kind == IM_CALLER_COOKIES &&
        !im_caller_origin_allowed((const char *const *)set->cors_origins.items, v)) {
        log_info("im_refused", LOG_STR("reason", "cookies without a listed Origin"),
                 LOG_SLICE("address", v->client_address));
        im_refuse(req, 403, "Origin not allowed", "error-origin", 0);
        return false;
    }
    if (who->caller.kind == IM_CALLER_NONE && !im_path_is_logout(call) &&
        im_path_listed((const char *const *)set->proxy.anonymous_routes.items, v->method, call)) {
        who->as = IM_AS_ADMIN;
        return true;
    }
    who->as = IM_AS_CALLER;
    if (who->caller.kind == IM_CALLER_HEADERS || who->caller.kind == IM_CALLER_COOKIES)
        return true;
    im_refuse_login(req);
    return false;
}

/* Credentials that were not asked about yet count by themselves: nobody uses up another's calls by
 * giving their id. */
static void name_caller(const struct im_who *who, const struct http_view *v, char *out, size_t cap)
{
    switch (who->as) {
    case IM_AS_USER:
        snprintf(out, cap, "u%s", who->key);
        break;
    case IM_AS_CALLER:
        snprintf(out, cap, "c%s %016" PRIx64, who->caller.user_id,
                 hash_bytes(who->caller.auth_token, strlen(who->caller.auth_token)));
        break;
    case IM_AS_ADMIN:
        snprintf(out, cap, "a%.*s", (int)v->client_address.len, v->client_address.ptr);
        break;
    }
}

/* NULL: answered. */
static struct im_count *take_count(struct im_proxy *p, struct http_request *req,
                                   const struct im_who *who)
{
    const struct settings *set = p->shard->program->settings;
    struct im_count *count = NULL;
    char name[400];

    name_caller(who, http_request_view(req), name, sizeof name);
    switch (im_counts_take(p->shard->program->proxied, slice_of(name), set->proxy.calls,
                           set->proxy.calls_per_caller, &count)) {
    case IM_COUNTS_OK:
        return count;
    case IM_COUNTS_CALLER_FULL:
        im_refuse(req, 429, "Too many calls at once", "error-too-many-requests", 1000);
        break;
    case IM_COUNTS_FULL:
        im_refuse(req, 503, "Too many calls at once", "", 1000);
        break;
    case IM_COUNTS_NOMEM:
        im_refuse(req, 503, "No memory", "", 1000);
        break;
    }
    metrics_inc(p->shard->metrics, METRIC_IM_LIMITED);
    return NULL;
}

/* ---- requests ---- */

bool im_proxy_streams(const struct im_proxy *p, const struct http_view *head, uint64_t *body_bytes)
{
    struct slice call;

    if (im_path_read(p->prefix, head->path, &call) == IM_PATH_OTHER)
        return false;
    *body_bytes = p->shard->program->settings->proxy.body_bytes;
    return true;
}

static void serve(struct im_proxy *p, struct http_request *req, struct slice call)
{
    struct im_who who = {.as = IM_AS_CALLER};
    struct im_count *count;

    if (http_request_view(req)->wants_websocket) {
        im_refuse(req, 400, "No WebSocket here", "", 0);
    } else if (atomic_load(&p->shard->program->phase) == PROGRAM_DRAINING) {
        im_refuse(req, 503, "Shutting down", "", 1000);
    } else if (decide(p, req, call, &who)) {
        count = take_count(p, req, &who);
        if (count != NULL)
            im_exchange_start(p, req, &who, call, count);
        explicit_bzero(&who, sizeof who);
        return;
    }
    metrics_inc(p->shard->metrics, METRIC_IM_REFUSED);
}

bool im_proxy_handle(struct im_proxy *p, struct http_request *req)
{
    struct slice call;

    switch (im_path_read(p->prefix, http_request_view(req)->path, &call)) {
    case IM_PATH_OTHER:
        return false;
    case IM_PATH_UNKNOWN:
        im_refuse(req, 404, "Resource not found", "", 0);
        break;
    case IM_PATH_BAD:
        im_refuse(req, 400, "Bad path", "", 0);
        break;
    case IM_PATH_OK:
        serve(p, req, call);
        return true;
    }
    metrics_inc(p->shard->metrics, METRIC_IM_REFUSED);
    return true;
}

/* ---- life ---- */

int im_proxy_open(struct shard *s, struct im_proxy **out)
{
    const struct settings *set = s->program->settings;
    struct im_proxy *p = calloc(1, sizeof *p);
    char base_url[RC_ADDRESS_URL_MAX];
    struct rest_client_options options = rc_clients_rest(set, base_url);
    int rc = UV_ENOMEM;

    *out = p;
    if (p == NULL)
        return rc;
    p->shard = s;
    p->prefix = slice_of(set->proxy.path);
    options.max_connections = ME_CONNECTIONS;
    if (options.timeout_ms > set->proxy.idle_ms)
        options.timeout_ms = set->proxy.idle_ms; /* a call waits no longer for it than for itself */
    rc = rest_client_new(&s->loop, &options, &p->rest);
    if (rc != 0)
        return rc;
    options.max_connections = set->proxy.calls;
    options.timeout_ms = set->proxy.idle_ms;
    rc = rest_stream_client_new(&s->loop, &options, &p->calls);
    if (rc != 0)
        return rc;
    p->identity =
        im_identity_new(&s->loop, p->rest, set->proxy.identity_ttl_ms, set->proxy.identities);
    return p->identity == NULL ? UV_ENOMEM : 0;
}

static void on_rest_freed(void *arg)
{
    struct im_proxy *p = arg;
    void (*done)(void *) = p->done;
    void *done_arg = p->done_arg;

    im_identity_free(p->identity);
    free(p);
    done(done_arg);
}

static void on_calls_freed(void *arg)
{
    struct im_proxy *p = arg;

    rest_client_free(p->rest, on_rest_freed, p);
}

void im_proxy_close(struct im_proxy *p, void (*done)(void *arg), void *arg)
{
    p->done = done;
    p->done_arg = arg;
    rest_stream_client_free(p->calls, on_calls_freed, p);
}
