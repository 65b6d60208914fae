#include "bridge/shard_http.h"

#include "bridge/abp/abp.h"
#include "bridge/abp/abp_envelope.h"
#include "bridge/admin/metrics.h"
#include "bridge/hub/audience.h"
#include "bridge/hub/hub_caller.h"
#include "bridge/identity/user.h"
#include "bridge/im_proxy/im_proxy.h"
#include "bridge/log/log.h"
#include "bridge/program.h"
#include "bridge/routes.h"
#include "bridge/shard.h"
#include "signalr/http/http_server.h"
#include "signalr/hub/signalr_server.h"
#include <stdlib.h>

/* ---- the SignalR server's host ---- */

static enum signalr_auth host_authenticate(void *arg, const struct http_view *request,
                                           struct signalr_user *out)
{
    return user_authenticate(arg, request, out);
}

static void host_release_user(void *arg, void *host_data)
{
    (void)arg;
    user_release(host_data);
}

static void host_connected(void *arg, struct hub_connection *c)
{
    audience_connected(arg, c);
}

static void host_disconnected(void *arg, struct hub_connection *c, enum hub_end why)
{
    audience_disconnected(arg, c, why == HUB_END_DRAIN);
}

static bool host_invoke(void *arg, struct hub_connection *c, const struct hub_invocation *inv)
{
    return hub_caller_invoke(arg, c, inv);
}

static void host_stream_resumed(void *arg, struct hub_connection *c, uint64_t call, void *data)
{
    (void)arg;
    hub_caller_resumed(c, call, data);
}

static void host_call_ended(void *arg, void *data)
{
    (void)arg;
    hub_caller_ended(data);
}

struct handoff_mail {
    struct mail mail;
    struct http_handoff *handoff;
};

static void handoff_discard(struct mail *mail)
{
    http_handoff_free(((struct handoff_mail *)mail)->handoff);
    free(mail);
}

static void handoff_deliver(struct mail *mail, void *consumer)
{
    struct shard *s = consumer;
    struct http_handoff *handoff = ((struct handoff_mail *)mail)->handoff;

    if (s->http == NULL) {
        handoff_discard(mail);
        return;
    }
    http_server_adopt(s->http, handoff);
    free(mail);
}

static void host_hand_over(void *arg, unsigned home, struct http_handoff *handoff)
{
    struct handoff_mail *m = calloc(1, sizeof *m);

    if (m == NULL) {
        http_handoff_free(handoff);
        return;
    }
    m->mail =
        (struct mail){.deliver = handoff_deliver, .discard = handoff_discard, .control = true};
    m->handoff = handoff;
    shard_post(arg, home, &m->mail);
}

/* ---- HTTP ---- */

static void on_request(void *arg, struct http_request *req)
{
    routes_handle(arg, req);
}

static bool streams(void *arg, const struct http_view *head, uint64_t *body_bytes)
{
    const struct shard *s = arg;

    return head->listener_tag == ROUTES_PUBLIC && im_proxy_streams(s->proxy, head, body_bytes);
}

static void on_gone(void *arg, struct http_request *req)
{
    routes_gone(arg, req);
}

static void on_note(void *arg, enum http_note note, int status, const char *detail,
                    struct slice client_address)
{
    struct shard *s = arg;

    if (note == HTTP_NOTE_RESPONSE) {
        metrics_inc(s->metrics, (enum metric)(METRIC_RESPONSES_1XX + status / 100 - 1));
        return;
    }
    metrics_inc(s->metrics, (enum metric)(METRIC_HTTP_BAD_REQUEST + (int)note));
    log_info("http_refused", LOG_INT("status", status), LOG_STR("reason", detail),
             LOG_SLICE("address", client_address));
}

static bool on_refusal(void *arg, const struct http_view *head, int status, const char *why,
                       const char **content_type, struct byte_buf *body)
{
    const struct shard *s = arg;

    if (head->listener_tag != ROUTES_PUBLIC || !abp_is_for(s, head))
        return false;
    *content_type = "application/json";
    abp_envelope_error(body, &(struct abp_error){.status = status, .message = why});
    return true;
}

static void on_written(void *arg, uint64_t born_ns)
{
    struct shard *s = arg;

    metrics_observe_push(s->metrics, uv_hrtime() - born_ns);
}

static int open_server(struct shard *s)
{
    const struct settings *set = s->program->settings;
    const struct http_options http = {
        .limits =
            {
                .head_bytes = set->limits.head_bytes,
                .request_line_bytes = set->limits.request_line_bytes,
                .body_bytes = set->limits.body_bytes,
                .head_timeout_ms = set->limits.head_timeout_ms,
                .body_timeout_ms = set->limits.body_timeout_ms,
                .idle_timeout_ms = set->limits.idle_timeout_ms,
                .max_connections = set->limits.connections,
                .max_per_address = set->limits.connections_per_address,
            },
        .counts = s->program->counts,
        .cors_origins = (const char *const *)set->cors_origins.items,
        .trusted_proxies = (const char *const *)set->trusted_proxies.items,
        .proxy_protocol = set->proxy_protocol,
        .ws_queue_bytes = set->limits.queue_bytes,
        .ws_stall_ms = set->hub.client_timeout_ms,
        .streams = streams,
        .on_request = on_request,
        .on_gone = on_gone,
        .on_note = on_note,
        .on_refusal = on_refusal,
        .on_written = on_written,
        .arg = s,
    };

    return http_server_new(&s->loop, &http, &s->http);
}

static int open_hub(struct shard *s)
{
    const struct settings *set = s->program->settings;
    const struct signalr_options hub = {
        .hub_path = set->hub_path,
        .shard = s->index,
        .nshards = s->program->nshards,
        .keepalive_ms = set->hub.keep_alive_ms,
        .client_timeout_ms = set->hub.client_timeout_ms,
        .handshake_timeout_ms = set->hub.handshake_timeout_ms,
        .negotiate_timeout_ms = set->hub.negotiate_timeout_ms,
        .close_wait_ms = set->hub.close_wait_ms,
        .expiry_spread_ms = set->auth.expiry_pace_ms,
        .max_message_bytes = set->limits.hub_message_bytes,
        .max_per_user = set->limits.connections_per_user,
        .max_pending = set->limits.pending_negotiations,
        .max_groups_per_connection = set->limits.groups_per_connection,
        .max_group_memberships = set->limits.group_memberships,
        .shared = &s->program->shared,
        .close_on_expiry = set->auth.close_on_expiry,
        .max_open_calls = set->methods.open_calls,
        .calls_per_second = set->methods.calls_per_second,
        .call_burst = set->methods.call_burst,
    };
    const struct signalr_host host = {
        .authenticate = host_authenticate,
        .release_user = host_release_user,
        .connected = host_connected,
        .disconnected = host_disconnected,
        .invoke = host_invoke,
        .stream_resumed = host_stream_resumed,
        .call_ended = host_call_ended,
        .hand_over = host_hand_over,
        .arg = s,
    };

    return signalr_server_new(&s->loop, &hub, &host, &s->signalr);
}

int shard_http_open(struct shard *s)
{
    const int rc = open_server(s);

    return rc != 0 ? rc : open_hub(s);
}
