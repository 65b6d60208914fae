#include "rocketchat/rest_client.h"
#include "base/json_slice.h"
#include "rocketchat/rc_date.h"
#include "rocketchat/rest_call_internal.h"
#include <assert.h>
#include <stdlib.h>

/* ---- the calls ---- */

static bool is_header_safe(struct slice s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.ptr[i] <= ' ' || s.ptr[i] >= 0x7f)
            return false;
    return s.len > 0;
}

static bool says_json(struct rest_call *c)
{
    return rest_transport_header(&c->request_headers, SLICE_LIT("Content-Type"),
                                 SLICE_LIT("application/json"));
}

/* Empty: nothing is said. */
static bool says_client(struct rest_call *c, struct slice client_address)
{
    return client_address.len == 0 ||
           rest_transport_header(&c->request_headers, SLICE_LIT("X-Forwarded-For"), client_address);
}

/* Takes c over. */
static struct rest_call *start_as(struct rest_call *c, bool is_post, struct slice user_id,
                                  struct slice token)
{
    assert(is_header_safe(user_id) &&
           is_header_safe(token)); /* whoever took them in checked them */
    if (!rest_transport_header(&c->request_headers, SLICE_LIT("X-User-Id"), user_id) ||
        !rest_transport_header(&c->request_headers, SLICE_LIT("X-Auth-Token"), token) ||
        (is_post && !says_json(c))) {
        rest_call_free(c);
        return NULL;
    }
    return rest_call_start(c, is_post);
}

static struct rest_call *authorized_call(struct rest_client *client, enum route route, bool is_post,
                                         struct slice user_id, struct slice token,
                                         union answer_fn fn, void *arg)
{
    struct rest_call *c = rest_call_new(client, route, arg);

    if (c == NULL)
        return NULL;
    c->fn = fn;
    if (is_post)
        byte_buf_puts(&c->request, "{}");
    return start_as(c, is_post, user_id, token);
}

struct rest_call *rest_request(struct rest_client *client, const struct rest_request *request,
                               rest_any_fn fn, void *arg)
{
    struct rest_call *c = rest_call_new(client, ROUTE_ANY, arg);
    struct byte_buf target = {0};

    if (c == NULL)
        return NULL;
    c->fn.any = fn;
    byte_buf_puts(&target, "/api/v1/");
    byte_buf_put(&target, request->path);
    if (request->query.len > 0)
        byte_buf_putc(&target, '?');
    byte_buf_put(&target, request->query);
    byte_buf_putc(&target, '\0');
    c->target = target.data;
    if (request->post) {
        byte_buf_reserve(&c->request, request->body.len); /* it may hold a password: no copies */
        byte_buf_put(&c->request, request->body);
    }
    if (byte_buf_failed(&target) || !says_client(c, request->client_address) ||
        (request->second_factor.len > 0 &&
         (!rest_transport_header(&c->request_headers, SLICE_LIT("x-2fa-code"),
                                 request->second_factor) ||
          !rest_transport_header(&c->request_headers, SLICE_LIT("x-2fa-method"),
                                 SLICE_LIT("password"))))) {
        rest_call_free(c);
        return NULL;
    }
    return start_as(c, request->post, request->user_id, request->token);
}

struct rest_call *rest_login(struct rest_client *client, struct slice username,
                             struct slice password, rest_login_fn fn, void *arg)
{
    struct rest_call *c = rest_call_new(client, ROUTE_LOGIN, arg);

    if (c == NULL)
        return NULL;
    c->fn.login = fn;
    /* `username`, since `user` with an @ would be read as an e-mail; the password in plain, since
     * with LDAP the server needs it so (a digest would fail there); no key besides, or the body
     * would go to another login handler (rocketchat.md 5.3). */
    byte_buf_reserve(&c->request, 64 + 6 * (username.len + password.len)); /* no stray copies */
    byte_buf_puts(&c->request, "{\"username\":");
    json_write_string(&c->request, username);
    byte_buf_puts(&c->request, ",\"password\":");
    json_write_string(&c->request, password);
    byte_buf_puts(&c->request, "}");
    if (!says_json(c)) {
        rest_call_free(c);
        return NULL;
    }
    return rest_call_start(c, true);
}

struct rest_call *rest_logout(struct rest_client *client, struct slice user_id, struct slice token,
                              rest_done_fn fn, void *arg)
{
    return authorized_call(client, ROUTE_LOGOUT, true, user_id, token,
                           (union answer_fn){.done = fn}, arg);
}

struct rest_call *rest_me(struct rest_client *client, struct slice user_id, struct slice token,
                          rest_me_fn fn, void *arg)
{
    return authorized_call(client, ROUTE_ME, false, user_id, token, (union answer_fn){.me = fn},
                           arg);
}

struct rest_call *rest_me_for(struct rest_client *client, struct slice user_id, struct slice token,
                              struct slice client_address, rest_me_fn fn, void *arg)
{
    struct rest_call *c = rest_call_new(client, ROUTE_ME, arg);

    if (c == NULL)
        return NULL;
    c->fn.me = fn;
    if (!says_client(c, client_address)) {
        rest_call_free(c);
        return NULL;
    }
    return start_as(c, false, user_id, token);
}

struct rest_call *rest_subscriptions_get(struct rest_client *client, struct slice user_id,
                                         struct slice token, rest_json_fn fn, void *arg)
{
    return authorized_call(client, ROUTE_SUBSCRIPTIONS, false, user_id, token,
                           (union answer_fn){.json = fn}, arg);
}

struct rest_call *rest_rooms_get(struct rest_client *client, struct slice user_id,
                                 struct slice token, rest_json_fn fn, void *arg)
{
    return authorized_call(client, ROUTE_ROOMS, false, user_id, token,
                           (union answer_fn){.json = fn}, arg);
}

static void put_escaped(struct byte_buf *out, struct slice text)
{
    static const char safe[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";

    for (size_t i = 0; i < text.len; i++)
        if (memchr(safe, text.ptr[i], sizeof safe - 1) != NULL)
            byte_buf_putc(out, text.ptr[i]);
        else
            byte_buf_printf(out, "%%%02X", (unsigned char)text.ptr[i]);
}

struct rest_call *rest_messages_since(struct rest_client *client, struct slice user_id,
                                      struct slice token, struct slice rid, int64_t since_ms,
                                      rest_json_fn fn, void *arg)
{
    struct rest_call *c = rest_call_new(client, ROUTE_MESSAGES, arg);
    struct byte_buf target = {0};
    char date[RC_DATE_ISO_SIZE];

    if (c == NULL)
        return NULL;
    c->fn.json = fn;
    rc_date_to_iso(since_ms, date);
    byte_buf_puts(&target, "/api/v1/chat.syncMessages?roomId=");
    put_escaped(&target, rid);
    byte_buf_puts(&target, "&lastUpdate=");
    put_escaped(&target, slice_of(date));
    byte_buf_putc(&target, '\0');
    c->target = target.data;
    if (byte_buf_failed(&target)) {
        rest_call_free(c);
        return NULL;
    }
    return start_as(c, false, user_id, token);
}

/* ---- the client ---- */

static void client_release(struct rest_client *client)
{
    rest_transport_close(&client->transport);
    free(client);
}

static void on_curl_freed(void *arg)
{
    struct rest_client *client = arg;
    void (*done)(void *) = client->done;
    void *done_arg = client->done_arg;

    client_release(client);
    done(done_arg);
}

static void on_deferred_closed(uv_handle_t *handle)
{
    struct rest_client *client = handle->data;

    curl_loop_free(client->curl, on_curl_freed, client);
}

static void on_deferred(uv_timer_t *timer)
{
    struct rest_client *client = timer->data;

    if (rest_call_answer_deferred(client) && client->freeing &&
        !uv_is_closing((uv_handle_t *)&client->deferred))
        uv_close((uv_handle_t *)&client->deferred, on_deferred_closed);
}

int rest_client_new(uv_loop_t *loop, const struct rest_client_options *options,
                    struct rest_client **out)
{
    struct rest_client *client;
    int rc = UV_ENOMEM;

    client = calloc(1, sizeof *client);
    if (client == NULL)
        return rc;
    if (!rest_transport_open(&client->transport, options)) {
        free(client);
        return rc;
    }
    client->timeout_ms = (long)options->timeout_ms;
    client->max_body_bytes = options->max_body_bytes;
    rc = curl_loop_new(loop, (long)options->max_connections, rest_call_finished, client,
                       &client->curl);
    if (rc != 0) {
        client_release(client);
        return rc;
    }
    uv_timer_init(loop, &client->deferred); /* cannot fail in libuv 1.x */
    client->deferred.data = client;
    client->on_deferred = on_deferred;
    *out = client;
    return 0;
}

bool rest_client_clock(const struct rest_client *client, int64_t *ahead_ms)
{
    *ahead_ms = client->clock_ahead_ms;
    return client->has_clock;
}

void rest_client_free(struct rest_client *client, void (*done)(void *), void *arg)
{
    assert(!client->freeing);
    client->freeing = true;
    client->done = done;
    client->done_arg = arg;
    for (struct rest_call *c = client->calls; c != NULL; c = c->next)
        rest_call_cancel(c);
    uv_timer_start(&client->deferred, on_deferred, 0, 0);
}
