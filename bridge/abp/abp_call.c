#include "bridge/abp/abp_call_internal.h"

#include "base/json_slice.h"
#include "bridge/abp/abp_status.h"
#include "bridge/admin/metrics.h"
#include "bridge/login/lent_call.h"
#include "bridge/login/token_desk.h"
#include "bridge/program.h"
#include "bridge/rc_clients.h"
#include "bridge/shard.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX_CONNECTIONS 16 /* to Rocket.Chat, of one shard */

static uint64_t now_ms(const struct abp *a)
{
    return uv_now(&a->shard->loop);
}

/* ---- answering ---- */

void abp_answer(struct abp *a, struct http_request *req, const struct abp_error *error,
                struct slice result)
{
    struct http_header headers[2] = {{SLICE_LIT("Cache-Control"), SLICE_LIT("no-store")}};
    struct http_response r = {
        .status = 200, .content_type = "application/json", .headers = headers, .nheaders = 1};
    struct byte_buf body = {0};
    char seconds[24];

    if (error == NULL) {
        abp_envelope_result(&body, result);
    } else {
        abp_envelope_error(&body, error);
        r.status = error->status;
        if (error->retry_after_ms > 0) {
            snprintf(seconds, sizeof seconds, "%" PRIu64, (error->retry_after_ms + 999) / 1000);
            headers[r.nheaders++] =
                (struct http_header){SLICE_LIT("Retry-After"), slice_of(seconds)};
        }
    }
    if (byte_buf_failed(&body))
        r = (struct http_response){.status = 500};
    else
        r.body = byte_buf_slice(&body);
    metrics_inc(a->shard->metrics, r.status < 400   ? METRIC_ABP_OK
                                   : r.status < 500 ? METRIC_ABP_REFUSED
                                                    : METRIC_ABP_FAILED);
    http_respond(req, &r);
    if (body.data != NULL)
        explicit_bzero(body.data, body.cap); /* Authenticate's token */
    byte_buf_free(&body);
}

static void unlink_call(struct abp_call *c)
{
    if (c->link == NULL)
        return;
    *c->link = c->next;
    if (c->next != NULL)
        c->next->link = c->link;
    else
        c->abp->last = c->link;
    c->link = NULL;
}

static void on_timer_closed(uv_handle_t *handle)
{
    struct abp *a = handle->data;
    void (*done)(void *) = a->done;
    void *arg = a->done_arg;

    free(a);
    done(arg);
}

/* What was asked of another shard may be answered after all else here has ended. */
static void close_when_empty(struct abp *a)
{
    if (a->rest_closed && a->calls == 0)
        uv_close((uv_handle_t *)&a->timer, on_timer_closed);
}

static void release(struct abp_call *c)
{
    struct abp *a = c->abp;

    if (c->req != NULL || c->pending > 0)
        return;
    unlink_call(c);
    im_counts_drop(a->shard->program->abp_counts, c->count);
    if (c->body.data != NULL)
        explicit_bzero(c->body.data, c->body.cap);
    byte_buf_free(&c->body);
    byte_buf_free(&c->query);
    byte_buf_free(&c->profile);
    free(c->path);
    free(c->username);
    free(c->key);
    free(c);
    a->calls--;
    close_when_empty(a);
}

static void answer(struct abp_call *c, const struct abp_error *error, struct slice result)
{
    struct http_request *req = c->req;

    unlink_call(c);
    c->req = NULL;
    http_request_set_data(req, NULL);
    abp_answer(c->abp, req, error, result);
    release(c);
}

void abp_fail(struct abp_call *c, const struct abp_error *error)
{
    answer(c, error, (struct slice){0});
}

void abp_call_gone(struct abp_call *c)
{
    c->req = NULL;
    unlink_call(c);
    release(c);
}

/* An answer has come; false: nobody waits for it any more, and c is gone. */
static bool came(struct abp_call *c)
{
    bool waited_for = c->req != NULL;

    c->pending--;
    release(c);
    return waited_for;
}

/* ---- time ---- */

static void on_timer(uv_timer_t *timer);

static void arm(struct abp *a)
{
    uint64_t now = now_ms(a);

    if (a->first == NULL)
        uv_timer_stop(&a->timer);
    else if (!uv_is_active((uv_handle_t *)&a->timer)) /* all wait equally long */
        uv_timer_start(&a->timer, on_timer, a->first->until_ms > now ? a->first->until_ms - now : 0,
                       0);
}

static void on_timer(uv_timer_t *timer)
{
    struct abp *a = timer->data;

    while (a->first != NULL && a->first->until_ms <= now_ms(a)) {
        metrics_inc(a->shard->metrics, METRIC_ABP_TIMED_OUT);
        abp_fail_late(a->first); /* what is under way goes on, and finds nobody */
    }
    arm(a);
}

/* ---- at Rocket.Chat ---- */

static struct slice user_of(struct slice body)
{
    struct json_reader r;
    struct slice key, user = {0};

    json_reader_init(&r, body.ptr, body.len, 64);
    if (!json_enter_object(&r))
        return user;
    while (json_next_key(&r, &key)) {
        if (json_string_is(key, "user"))
            json_read_raw(&r, &user);
        else
            json_skip(&r);
    }
    return user;
}

static void on_called(void *arg, const struct lent_answer *a, const struct rc_error *error)
{
    struct abp_call *c = arg;

    if (!came(c))
        return;
    if (error != NULL && a->no_token)
        abp_fail_loan(c, error);
    else if (error != NULL)
        abp_fail_upstream(c, a->status, a->body, error);
    else if (c->action == ABP_DELETE_USER)
        answer(c, NULL, (struct slice){0});
    else
        answer(c, NULL, c->action == ABP_CREATE_USER ? user_of(a->body) : a->body);
}

static unsigned left_ms(const struct abp_call *c)
{
    uint64_t now = now_ms(c->abp);

    return c->until_ms > now ? (unsigned)(c->until_ms - now) : 0;
}

static struct session_who who_of(const struct abp_call *c)
{
    return (struct session_who){.key = slice_of(c->key),
                                .username = slice_of(c->username),
                                .refused = c->not_for,
                                .profile = byte_buf_slice(&c->profile)};
}

static void call_rocketchat(struct abp_call *c)
{
    const struct session_who who = who_of(c);
    const struct lent_call_request request = {
        .rest = c->abp->rest,
        .who = c->as_admin ? NULL : &who,
        .post = c->post,
        .path = slice_of(c->path),
        .query = byte_buf_slice(&c->query),
        .body = byte_buf_slice(&c->body),
        .limit_ms = left_ms(c),
    };

    if (lent_call_start(c->abp->shard, &request, on_called, c) == NULL)
        abp_fail_nomem(c);
    else
        c->pending++;
}

/* ---- at the session ---- */

static void on_handed(void *arg, const struct session_loan *loan, const struct rc_error *error)
{
    struct abp_call *c = arg;
    struct byte_buf json = {0};

    if (!came(c))
        return;
    if (error != NULL) {
        abp_fail_loan(c, error);
        return;
    }
    if (loan != NULL) {
        byte_buf_puts(&json, "{\"accessToken\":");
        json_write_string(&json, loan->auth_token);
        byte_buf_puts(&json, ",\"userId\":");
        json_write_string(&json, loan->user_id);
        byte_buf_putc(&json, '}');
    }
    if (byte_buf_failed(&json))
        abp_fail_nomem(c);
    else
        answer(c, NULL, byte_buf_slice(&json)); /* of Logout: null */
    if (json.data != NULL)
        explicit_bzero(json.data, json.cap);
    byte_buf_free(&json);
}

static void on_status(void *arg, const struct session_status *status)
{
    struct abp_call *c = arg;
    struct byte_buf json = {0};

    if (!came(c))
        return;
    abp_status_write(&json, status);
    if (byte_buf_failed(&json))
        abp_fail_nomem(c);
    else
        answer(c, NULL, byte_buf_slice(&json));
    byte_buf_free(&json);
}

/* ---- beginning ---- */

static void refuse_call(struct abp *a, struct http_request *req, enum im_counts_take why)
{
    static const struct abp_error overload = {
        .status = 500, .code = 503, .message = "The bridge is overloaded. Please try again."};
    static const struct abp_error too_many = {.status = 500,
                                              .code = 429,
                                              .message = "Too many requests at once.",
                                              .retry_after_ms = 1000};

    abp_answer(a, req, why == IM_COUNTS_CALLER_FULL ? &too_many : &overload, (struct slice){0});
}

struct abp_call *abp_call_new(struct abp *a, struct http_request *req, enum abp_action action,
                              const struct user_caller *caller)
{
    struct program *program = a->shard->program;
    const struct settings *set = program->settings;
    struct slice key = slice_of(caller->who.identity->user_key);
    struct im_count *count = NULL;
    enum im_counts_take taken =
        im_counts_take(program->abp_counts, key, set->abp.calls, set->abp.calls_per_user, &count);
    struct abp_call *c = taken == IM_COUNTS_OK ? calloc(1, sizeof *c) : NULL;

    if (c != NULL) {
        c->username = slice_dup(slice_of(caller->user->username));
        c->key = slice_dup(key);
        byte_buf_put(&c->profile, user_profile(caller->user));
    }
    if (c == NULL || c->username == NULL || c->key == NULL || byte_buf_failed(&c->profile)) {
        if (c != NULL) {
            free(c->username);
            free(c->key);
            byte_buf_free(&c->profile);
        }
        free(c);
        im_counts_drop(program->abp_counts, count);
        refuse_call(a, req, taken);
        return NULL;
    }
    c->count = count;
    c->abp = a;
    c->req = req;
    c->action = action;
    c->not_for = caller->user->refused;
    c->until_ms = now_ms(a) + set->abp.timeout_ms;
    c->link = a->last;
    *a->last = c;
    a->last = &c->next;
    a->calls++;
    http_request_set_data(req, c);
    arm(a);
    return c;
}

void abp_call_start(struct abp_call *c)
{
    struct shard *s = c->abp->shard;
    const struct session_ask ask = {.who = who_of(c), .check = true, .limit_ms = left_ms(c)};
    bool ok;

    switch (c->action) {
    case ABP_AUTHENTICATE:
        ok = token_desk_ask_handed(s, &ask, on_handed, c) != NULL;
        break;
    case ABP_LOGOUT:
        ok = token_desk_end_handed(s, slice_of(c->key), on_handed, c) != NULL;
        break;
    case ABP_GET_STATUS:
        ok = abp_status_ask(s, slice_of(c->key), on_status, c);
        break;
    default:
        call_rocketchat(c);
        return;
    }
    if (ok)
        c->pending++;
    else
        abp_fail_nomem(c);
}

int abp_open(struct shard *s, struct abp **out)
{
    const struct settings *set = s->program->settings;
    char base_url[RC_ADDRESS_URL_MAX];
    struct rest_client_options options = rc_clients_rest(set, base_url);
    struct abp *a = calloc(1, sizeof *a);
    int rc;

    if (a == NULL)
        return UV_ENOMEM;
    /* Connections of their own: no caller can hold up the logins. And no longer than they wait. */
    options.max_connections = MAX_CONNECTIONS;
    options.timeout_ms = set->abp.timeout_ms;
    rc = rest_client_new(&s->loop, &options, &a->rest);
    if (rc != 0) {
        free(a);
        return rc;
    }
    a->shard = s;
    a->last = &a->first;
    uv_timer_init(&s->loop, &a->timer); /* cannot fail in libuv 1.x */
    a->timer.data = a;
    *out = a;
    return 0;
}

static void on_rest_freed(void *arg)
{
    struct abp *a = arg;

    a->rest_closed = true;
    close_when_empty(a);
}

void abp_close(struct abp *a, void (*done)(void *arg), void *arg)
{
    a->done = done;
    a->done_arg = arg;
    rest_client_free(a->rest, on_rest_freed, a);
}
