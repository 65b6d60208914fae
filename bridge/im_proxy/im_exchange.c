#include "bridge/im_proxy/im_exchange_internal.h"

#include "bridge/im_proxy/im_method.h"
#include "bridge/log/log.h"
#include "bridge/program.h"
#include "bridge/shard.h"
#include "signalr/http/http_stream.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What pages may read of an answer besides its body (Fetch standard, "CORS-safelisted"). */
#define EXPOSED                                                                                    \
    "Content-Disposition, Retry-After, X-RateLimit-Limit, X-RateLimit-Remaining, "                 \
    "X-RateLimit-Reset"

static void exchange_free(struct im_exchange *ex)
{
    metrics_add(ex->proxy->shard->metrics, METRIC_IM_RUNNING, -1);
    im_counts_drop(ex->proxy->shard->program->proxied, ex->count);
    byte_buf_free(&ex->body);
    byte_buf_free(&ex->kept);
    im_headers_clear(&ex->headers);
    explicit_bzero(ex, sizeof *ex);
    free(ex);
}

/* req is answered, or gone. */
void im_exchange_over(struct im_exchange *ex, enum metric how)
{
    metrics_inc(ex->proxy->shard->metrics, how);
    log_debug("im_call", LOG_REQUEST(ex->id), LOG_INT("status", ex->status),
              LOG_UINT("ms", uv_now(&ex->proxy->shard->loop) - ex->began_ms),
              LOG_BOOL("retried", ex->retried));
    exchange_free(ex);
}

/* ---- the answer ---- */

static void send_head(struct im_exchange *ex, uint64_t retry_after_ms)
{
    struct http_header headers[IM_HEADERS_MAX + 3];
    struct http_response head = {.status = ex->status, .headers = headers};
    char seconds[24];

    head.nheaders = im_headers_answer(&ex->headers, headers);
    headers[head.nheaders++] =
        (struct http_header){SLICE_LIT("Access-Control-Expose-Headers"), SLICE_LIT(EXPOSED)};
    if (!im_headers_have(&ex->headers, "cache-control"))
        headers[head.nheaders++] =
            (struct http_header){SLICE_LIT("Cache-Control"), SLICE_LIT("no-store")};
    if (retry_after_ms > 0 && !im_headers_have(&ex->headers, "retry-after")) {
        snprintf(seconds, sizeof seconds, "%" PRIu64, (retry_after_ms + 999) / 1000);
        headers[head.nheaders++] =
            (struct http_header){SLICE_LIT("Retry-After"), slice_of(seconds)};
    }
    head.close = !ex->body_ended;
    ex->head_sent = true;
    ex->held = false;
    http_stream_head(ex->req, &head, ex->length);
}

static int64_t wall_clock_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* When to come back, by Rocket.Chat's headers or its words. */
static uint64_t retry_after_ms(const struct im_exchange *ex)
{
    struct rc_error error = {0};

    if (ex->status != 429)
        return 0;
    rest_answer_read(REST_KIND_OTHER, ex->status, &ex->limits, wall_clock_ms(),
                     byte_buf_slice(&ex->kept), &error);
    return error.retry_after_ms;
}

/* False: the caller can take no more for now. */
static bool release(struct im_exchange *ex)
{
    bool more;

    send_head(ex, retry_after_ms(ex));
    more = http_stream_write(ex->req, byte_buf_slice(&ex->kept));
    byte_buf_free(&ex->kept);
    return more;
}

void im_exchange_release(struct im_exchange *ex)
{
    release(ex);
    http_stream_end(ex->req);
    im_exchange_over(ex, METRIC_IM_ANSWERED);
}

static void on_header(void *arg, struct slice name, struct slice value)
{
    struct im_exchange *ex = arg;
    char line[160];
    int n = snprintf(line, sizeof line, "%.*s: %.*s", (int)name.len, name.ptr, (int)value.len,
                     value.ptr);

    im_headers_add(&ex->headers, name, value);
    if (n > 0 && (size_t)n < sizeof line)
        rest_headers_line(&ex->limits, (struct slice){line, (size_t)n});
}

/* A 401 to a token of ours may be the token's end, and not the user's; that of `login` tells of the
 * password in its body. */
static bool may_be_dead(const struct im_exchange *ex)
{
    return !ex->retried && !im_path_is_login(ex->call) && ex->who.as != IM_AS_CALLER;
}

static void on_head(void *arg, int status, uint64_t length)
{
    struct im_exchange *ex = arg;

    ex->status = status;
    ex->length = length;
    ex->held = status == 429 || (status == 401 && may_be_dead(ex));
    if (status == 401 && ex->who.as == IM_AS_CALLER && !im_path_is_login(ex->call))
        im_identity_forget(ex->proxy->identity, slice_of(ex->user_id), slice_of(ex->auth_token));
    if (status < 400 && ex->who.as == IM_AS_CALLER && im_path_is_logout(ex->call))
        im_as_logged_out(ex);
    if (!ex->held)
        send_head(ex, 0);
}

static bool on_body(void *arg, struct slice bytes)
{
    struct im_exchange *ex = arg;

    if (ex->held && ex->kept.len + bytes.len <= IM_WHOLE_BYTES) {
        byte_buf_put(&ex->kept, bytes);
        if (!byte_buf_failed(&ex->kept))
            return true;
    }
    if (ex->held)
        release(ex);
    return http_stream_write(ex->req, bytes);
}

static void on_done(void *arg, const struct rc_error *error)
{
    struct im_exchange *ex = arg;

    ex->upstream = NULL;
    if (error != NULL) {
        log_info("im_upstream_failed", LOG_REQUEST(ex->id), LOG_STR("error", error->code));
        if (ex->head_sent)
            http_stream_abort(ex->req);
        else
            im_refuse_upstream(ex->req, error);
        im_exchange_over(ex, METRIC_IM_FAILED);
    } else if (ex->held && ex->status == 401) {
        im_as_retry(ex);
    } else if (ex->held) {
        im_exchange_release(ex);
    } else {
        http_stream_end(ex->req);
        im_exchange_over(ex, METRIC_IM_ANSWERED);
    }
}

/* ---- the call ---- */

static uint64_t announced(const struct http_view *v)
{
    struct slice length;
    uint64_t n = REST_LENGTH_UNKNOWN;

    if (http_view_header(v, "content-length", &length))
        slice_read_digits(length, INT64_MAX, &n);
    return n;
}

static enum rest_stream_read on_read(void *arg, char *to, size_t cap, size_t *n)
{
    struct im_exchange *ex = arg;

    if (ex->whole) {
        *n = ex->body.len - ex->body_at < cap ? ex->body.len - ex->body_at : cap;
        if (*n > 0)
            memcpy(to, ex->body.data + ex->body_at, *n);
        ex->body_at += *n;
        return *n > 0 ? REST_STREAM_DATA : REST_STREAM_END;
    }
    switch (http_stream_read(ex->req, to, cap, n)) {
    case HTTP_STREAM_DATA:
        ex->passed += *n; /* a known length is read up to, and not beyond */
        ex->body_ended = ex->passed == announced(http_request_view(ex->req));
        return REST_STREAM_DATA;
    case HTTP_STREAM_EMPTY:
        return REST_STREAM_EMPTY;
    case HTTP_STREAM_END:
        break;
    }
    ex->body_ended = true;
    return REST_STREAM_END;
}

static const struct rest_stream_events upstream_events = {
    .read = on_read, .header = on_header, .head = on_head, .body = on_body, .done = on_done};

static void send_call(struct im_exchange *ex)
{
    const struct http_view *v = http_request_view(ex->req);
    struct rest_stream_header headers[HTTP_HEAD_MAX_HEADERS + 3];
    struct http_header passing[HTTP_HEAD_MAX_HEADERS];
    struct rest_stream_request r = {
        .method = im_path_method(v->method),
        .headers = headers,
        .has_body = http_stream_has_body(ex->req) || v->method == HTTP_POST_ ||
                    v->method == HTTP_PUT_ || v->method == HTTP_PATCH_,
        .length = ex->whole ? ex->body.len : announced(v),
    };
    struct byte_buf target = {0};
    size_t n = im_headers_request(v, passing);

    for (size_t i = 0; i < n; i++)
        headers[r.nheaders++] = (struct rest_stream_header){passing[i].name, passing[i].value};
    headers[r.nheaders++] =
        (struct rest_stream_header){SLICE_LIT("X-User-Id"), slice_of(ex->user_id)};
    headers[r.nheaders++] =
        (struct rest_stream_header){SLICE_LIT("X-Auth-Token"), slice_of(ex->auth_token)};
    if (ex->proxy->shard->program->settings->im.forward_client_address)
        headers[r.nheaders++] =
            (struct rest_stream_header){SLICE_LIT("X-Forwarded-For"), v->client_address};
    im_path_target(ex->call, v->query, &target);
    r.target = byte_buf_slice(&target);
    ex->body_at = 0;
    ex->held = false;
    im_headers_clear(&ex->headers);
    ex->limits = (struct rest_headers){0};
    byte_buf_free(&ex->kept);
    if (!byte_buf_failed(&target) && !byte_buf_failed(&ex->body))
        ex->upstream = rest_stream_start(ex->proxy->calls, &r, &upstream_events, ex);
    byte_buf_free(&target);
    if (ex->upstream == NULL) {
        im_refuse(ex->req, 503, "No memory", "", 1000);
        im_exchange_over(ex, METRIC_IM_FAILED);
    }
}

/* Token and body are there. What is sent again has been looked at. */
static void look_and_send(struct im_exchange *ex)
{
    struct slice body = ex->whole ? byte_buf_slice(&ex->body) : (struct slice){0};

    if (ex->retried || !im_method_may_log_in(http_request_view(ex->req), ex->call, body) ||
        im_as_take_login(ex))
        send_call(ex);
}

void im_exchange_send(struct im_exchange *ex)
{
    ex->token_in = true;
    if (!ex->collecting)
        look_and_send(ex);
}

/* ---- the caller's side ---- */

/* Takes a small body in, meanwhile its token is looked for: nobody waits for the body of a caller
 * who is refused. */
static void collect(struct im_exchange *ex)
{
    char piece[16384];
    size_t n;

    for (;;) {
        switch (http_stream_read(ex->req, piece, sizeof piece, &n)) {
        case HTTP_STREAM_DATA:
            byte_buf_append(&ex->body, piece, n);
            continue;
        case HTTP_STREAM_EMPTY:
            return;
        case HTTP_STREAM_END:
            break;
        }
        break;
    }
    ex->collecting = false;
    ex->body_ended = ex->whole = true;
}

static void on_readable(void *arg)
{
    struct im_exchange *ex = arg;

    if (ex->upstream != NULL)
        rest_stream_more(ex->upstream);
    if (!ex->collecting)
        return;
    collect(ex);
    if (!ex->collecting && ex->token_in)
        look_and_send(ex);
}

static void on_writable(void *arg)
{
    struct im_exchange *ex = arg;

    if (ex->upstream != NULL)
        rest_stream_go_on(ex->upstream);
}

static void on_gone(void *arg)
{
    struct im_exchange *ex = arg;

    if (ex->upstream != NULL)
        rest_stream_cancel(ex->upstream);
    im_as_abandon(ex);
    im_exchange_over(ex, METRIC_IM_GONE);
}

static bool is_small(const struct http_request *req)
{
    size_t len;

    if (http_stream_is_whole(req, &len))
        return len <= IM_WHOLE_BYTES;
    return !http_stream_has_body(req) || announced(http_request_view(req)) <= IM_WHOLE_BYTES;
}

void im_exchange_start(struct im_proxy *p, struct http_request *req, const struct im_who *who,
                       struct slice call, struct im_count *count)
{
    struct im_exchange *ex = calloc(1, sizeof *ex);
    struct http_stream_events events = {
        .readable = on_readable, .writable = on_writable, .gone = on_gone, .arg = ex};

    if (ex == NULL || !http_stream_open(req, &events, p->shard->program->settings->proxy.idle_ms)) {
        free(ex);
        im_counts_drop(p->shard->program->proxied, count);
        im_refuse(req, 503, "No memory", "", 1000);
        return;
    }
    metrics_add(p->shard->metrics, METRIC_IM_RUNNING, 1);
    ex->proxy = p;
    ex->req = req;
    ex->count = count;
    ex->who = *who;
    ex->call = call;
    ex->id = log_request_id();
    ex->began_ms = uv_now(&p->shard->loop);
    ex->collecting = is_small(req);
    if (ex->collecting)
        collect(ex);
    im_as_start(ex);
}
