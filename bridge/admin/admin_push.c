#include "bridge/admin/admin_push.h"

#include "base/byte_buf.h"
#include "bridge/admin/admin_reply.h"
#include "bridge/admin/metrics.h"
#include "bridge/admin/push_request.h"
#include "bridge/log/log.h"
#include "bridge/program.h"
#include "bridge/shard.h"
#include "bridge/shard_ask.h"
#include "signalr/http/http_server.h"
#include "signalr/hub/hub_address.h"
#include "signalr/protocol/hub_buf.h"
#include "signalr/protocol/hub_message.h"
#include <stdlib.h>

/* What a shard has done. */
struct part {
    unsigned connections;
    enum hub_group_result result;
};

struct push {
    struct shard_ask ask; /* first */
    struct admin_reply *reply;
    struct push_request request;
    struct hub_buf *message;
    unsigned nparts;
    struct part parts[]; /* one for each shard */
};

struct group_change {
    struct shard_ask ask; /* first */
    struct admin_reply *reply;
    bool join, of_user;
    char group[HUB_GROUP_NAME_MAX], who[PUSH_NAME_MAX];
    size_t group_len, who_len;
    unsigned nparts;
    struct part parts[];
};

static void reply_count(struct admin_reply *reply, unsigned connections)
{
    struct byte_buf json = {0};

    byte_buf_printf(&json, "{\"connections\":%u}", connections);
    admin_reply_send(reply, byte_buf_failed(&json) ? 503 : 200, byte_buf_slice(&json));
    byte_buf_free(&json);
}

/* ---- push ---- */

static void push_free(struct push *p)
{
    push_request_free(&p->request);
    hub_buf_unref(p->message);
    free(p);
}

static void push_on_shard(struct shard_ask *ask, struct shard *s)
{
    struct push *p = (struct push *)ask;

    if (s->signalr == NULL)
        return;
    p->parts[s->index].connections =
        signalr_server_send(s->signalr, &p->request.address, p->message);
    metrics_add(s->metrics, METRIC_PUSHED_CONNECTIONS, p->parts[s->index].connections);
}

static void push_done(struct shard_ask *ask)
{
    struct push *p = (struct push *)ask;
    unsigned connections = 0;

    for (unsigned i = 0; i < p->nparts; i++)
        connections += p->parts[i].connections;
    metrics_inc(ask->from->metrics, METRIC_PUSHES_SENT);
    log_debug("admin_push", LOG_SLICE("target", p->request.target),
              LOG_UINT("connections", connections));
    reply_count(p->reply, connections);
    push_free(p);
}

static void refuse_push(struct shard *s, struct http_request *req, int status, const char *why)
{
    metrics_inc(s->metrics, status == 503 ? METRIC_PUSHES_OVERLOAD : METRIC_PUSHES_WRONG);
    admin_respond_error(req, status, why);
}

static void push(struct shard *s, struct http_request *req)
{
    const unsigned nshards = s->program->nshards;
    struct push *p = calloc(1, sizeof *p + nshards * sizeof p->parts[0]);
    const char *wrong;
    size_t bytes;

    if (p == NULL) {
        refuse_push(s, req, 503, "out of memory");
        return;
    }
    wrong = push_request_read(http_request_view(req)->body, &p->request);
    if (wrong != NULL) {
        refuse_push(s, req, 400, wrong);
        free(p);
        return;
    }
    p->nparts = nshards;
    p->message = hub_message_invocation(p->request.target, p->request.arguments);
    if (p->message == NULL) {
        refuse_push(s, req, 503, "out of memory");
        push_free(p);
        return;
    }
    p->request.arguments = (struct slice){0}; /* the request's body is gone once it is answered */
    hub_buf_bytes(p->message, &bytes);
    p->ask = (struct shard_ask){.on_shard = push_on_shard,
                                .done = push_done,
                                .from = s,
                                .bytes = (uint32_t)(bytes + sizeof *p)};
    p->reply = admin_reply_new(req);
    if (p->reply == NULL) {
        push_free(p);
        return;
    }
    if (shard_ask_start(&p->ask) != SHARD_ASK_SENT) {
        metrics_inc(s->metrics, METRIC_PUSHES_OVERLOAD);
        admin_reply_error(p->reply, 503, "too much is under way; nobody got it");
        push_free(p);
    }
}

/* ---- groups ---- */

static void change_on_shard(struct shard_ask *ask, struct shard *s)
{
    struct group_change *g = (struct group_change *)ask;
    const struct slice group = {g->group, g->group_len}, who = {g->who, g->who_len};
    struct part *part = &g->parts[s->index];

    if (s->signalr == NULL)
        part->result = HUB_GROUP_NOBODY;
    else if (g->of_user && g->join)
        part->result = signalr_server_join_group_user(s->signalr, who, group, &part->connections);
    else if (g->of_user)
        part->connections = signalr_server_leave_group_user(s->signalr, who, group);
    else
        part->result = g->join ? signalr_server_join_group(s->signalr, who, group)
                               : signalr_server_leave_group(s->signalr, who, group);
    if (!g->of_user)
        part->connections = part->result == HUB_GROUP_OK;
}

static void change_done(struct shard_ask *ask)
{
    struct group_change *g = (struct group_change *)ask;
    unsigned connections = 0, seen[HUB_GROUP_NOMEM + 1] = {0};

    for (unsigned i = 0; i < g->nparts; i++) {
        connections += g->parts[i].connections;
        seen[g->parts[i].result]++;
    }
    if (seen[HUB_GROUP_NOMEM] > 0)
        admin_reply_error(g->reply, 503, "out of memory; some may be in the group");
    else if (seen[HUB_GROUP_TOO_MANY] > 0)
        admin_reply_error(g->reply, 409,
                          "at the limit of groups (PushBridge:Limits:GroupsPerConnection, "
                          "GroupMemberships); some may be in the group");
    else if (!g->of_user && connections == 0)
        admin_reply_error(g->reply, 404, "no such connection is open");
    else
        reply_count(g->reply, connections);
    free(g);
}

static void change_group(struct shard *s, struct http_request *req, struct group_change *g)
{
    const enum http_method method = http_request_view(req)->method;

    g->join = method == HTTP_PUT_;
    g->nparts = s->program->nshards;
    g->ask = (struct shard_ask){.on_shard = change_on_shard, .done = change_done, .from = s};
    if (method != HTTP_PUT_ && method != HTTP_DELETE_) {
        admin_respond(req, 405, (struct slice){0});
        free(g);
        return;
    }
    g->reply = admin_reply_new(req);
    if (g->reply == NULL) {
        free(g);
    } else if (shard_ask_start(&g->ask) != SHARD_ASK_SENT) {
        admin_reply_error(g->reply, 503, "out of memory");
        free(g);
    }
}

/* Cuts the text before the next '/' off. */
static struct slice cut_segment(struct slice *path)
{
    const char *slash = path->len == 0 ? NULL : memchr(path->ptr, '/', path->len);
    struct slice segment = {path->ptr, slash == NULL ? path->len : (size_t)(slash - path->ptr)};
    size_t used = segment.len + (slash != NULL);

    *path = (struct slice){path->ptr + used, path->len - used};
    return segment;
}

static void group_route(struct shard *s, struct http_request *req, struct slice group,
                        struct slice who, bool of_user)
{
    const unsigned nshards = s->program->nshards;
    struct group_change *g = calloc(1, sizeof *g + nshards * sizeof g->parts[0]);

    if (g == NULL) {
        admin_respond(req, 503, (struct slice){0});
        return;
    }
    if (!http_percent_decode(group, g->group, sizeof g->group, &g->group_len) ||
        g->group_len == 0 || !http_percent_decode(who, g->who, sizeof g->who, &g->who_len) ||
        g->who_len == 0) {
        admin_respond_error(req, 400, "the group's or the member's name is malformed or too long");
        free(g);
        return;
    }
    g->of_user = of_user;
    change_group(s, req, g);
}

bool admin_push_handle(struct shard *s, struct http_request *req)
{
    const struct http_view *v = http_request_view(req);
    static const struct slice groups = SLICE_LIT("/admin/groups/");
    struct slice path = v->path, group, kind;

    if (slice_eq(path, SLICE_LIT("/admin/push"))) {
        if (v->method == HTTP_POST_)
            push(s, req);
        else
            admin_respond(req, 405, (struct slice){0});
        return true;
    }
    if (path.len < groups.len || memcmp(path.ptr, groups.ptr, groups.len) != 0)
        return false;
    path = (struct slice){path.ptr + groups.len, path.len - groups.len};
    group = cut_segment(&path);
    kind = cut_segment(&path);
    if (memchr(path.ptr, '/', path.len) != NULL)
        return false;
    if (slice_eq(kind, SLICE_LIT("users")))
        group_route(s, req, group, path, true);
    else if (slice_eq(kind, SLICE_LIT("connections")))
        group_route(s, req, group, path, false);
    else
        return false;
    return true;
}
