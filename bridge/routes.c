#include "bridge/routes.h"

#include "base/byte_buf.h"
#include "bridge/abp/abp.h"
#include "bridge/admin/admin_routes.h"
#include "bridge/admin/health.h"
#include "bridge/admin/metrics.h"
#include "bridge/im_proxy/im_proxy.h"
#include "bridge/login/admin_agent.h"
#include "bridge/program.h"
#include "bridge/shard.h"
#include "signalr/http/http_server.h"
#include "signalr/hub/signalr_server.h"

static void respond(struct http_request *req, int status, const char *type, struct slice body)
{
    const struct http_response r = {.status = status, .content_type = type, .body = body};

    http_respond(req, &r);
}

/* Answers 405 itself when the method is no reading one. */
static bool only_get(struct http_request *req)
{
    const enum http_method method = http_request_view(req)->method;
    const struct http_header allow = {SLICE_LIT("Allow"), SLICE_LIT("GET, HEAD")};
    const struct http_response r = {.status = 405, .headers = &allow, .nheaders = 1};

    if (method == HTTP_GET_ || method == HTTP_HEAD_)
        return true;
    http_respond(req, &r);
    return false;
}

static void answer_healthz(struct http_request *req)
{
    if (only_get(req))
        respond(req, 200, "text/plain", SLICE_LIT("ok\n"));
}

static void answer_readyz(struct shard *s, struct http_request *req)
{
    struct byte_buf body = {0};
    bool ready;

    if (!only_get(req))
        return;
    ready = health_write(s->program, &body);
    respond(req, byte_buf_failed(&body) || !ready ? 503 : 200, "application/json",
            byte_buf_slice(&body));
    byte_buf_free(&body);
}

static void answer_metrics(struct shard *s, struct http_request *req)
{
    struct byte_buf body = {0};

    if (!only_get(req))
        return;
    metrics_write(s->program->metrics, &body);
    if (byte_buf_failed(&body))
        respond(req, 503, NULL, (struct slice){0});
    else
        respond(req, 200, METRICS_CONTENT_TYPE, byte_buf_slice(&body));
    byte_buf_free(&body);
}

void routes_handle(struct shard *s, struct http_request *req)
{
    const struct http_view *v = http_request_view(req);

    if (slice_eq(v->path, SLICE_LIT("/healthz")))
        answer_healthz(req);
    else if (slice_eq(v->path, SLICE_LIT("/readyz")))
        answer_readyz(s, req);
    else if (v->listener_tag == ROUTES_ADMIN && slice_eq(v->path, SLICE_LIT("/metrics")))
        answer_metrics(s, req);
    else if (v->listener_tag == ROUTES_ADMIN && admin_routes_handle(s, req))
        return;
    else if (v->listener_tag == ROUTES_PUBLIC && im_proxy_handle(s->proxy, req))
        return;
    else if (v->listener_tag == ROUTES_PUBLIC && signalr_server_handle(s->signalr, req))
        return;
    else if (v->listener_tag == ROUTES_PUBLIC && abp_is_for(s, v))
        abp_handle(s, req);
    else
        respond(req, 404, NULL, (struct slice){0});
}

void routes_gone(struct shard *s, struct http_request *req)
{
    const struct http_view *v = http_request_view(req);

    if (v->listener_tag == ROUTES_ADMIN)
        admin_routes_gone(s, req);
    else if (abp_is_for(s, v))
        abp_gone(req);
}
