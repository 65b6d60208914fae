#include "signalr/http/http_head.h"
#include "signalr/hub/home.h"
#include "signalr/hub/hub_internal.h"
#include "signalr/transport/websocket.h"
#include <stdlib.h>

/* What a request on the hub path means (signalr.md 2.1). */
enum meaning { SEND, EVENTS, WEBSOCKET, POLL, TERMINATE, NOT_ALLOWED };

void hub_respond(struct http_request *req, int status, const char *text)
{
    const struct http_response response = {
        .status = status, .content_type = "text/plain", .body = slice_of(text)};

    http_respond(req, &response);
}

void hub_respond_not_allowed(struct http_request *req, const char *allow, const char *text)
{
    const struct http_header header = {SLICE_LIT("Allow"), slice_of(allow)}; /* RFC 9110 15.5.6 */
    const struct http_response response = {.status = 405,
                                           .content_type = "text/plain",
                                           .body = slice_of(text),
                                           .headers = &header,
                                           .nheaders = 1};

    http_respond(req, &response);
}

void hub_release_user(struct signalr_server *s, struct signalr_user *user)
{
    if (user->host_data != NULL)
        s->host.release_user(s->host.arg, user->host_data);
    user->host_data = NULL;
}

bool hub_authenticate(struct signalr_server *s, struct http_request *req, struct signalr_user *user)
{
    static const struct http_header challenge = {SLICE_LIT("WWW-Authenticate"),
                                                 SLICE_LIT("Bearer")};
    static const struct http_response refused = {
        .status = 401, .headers = &challenge, .nheaders = 1};

    user->key[0] = '\0';
    user->expires_at_ms = 0;
    user->host_data = NULL;
    switch (s->host.authenticate(s->host.arg, http_request_view(req), user)) {
    case SIGNALR_AUTH_USER:
        return true;
    case SIGNALR_AUTH_ANONYMOUS:
        user->key[0] = '\0';
        return true;
    case SIGNALR_AUTH_REFUSED:
        s->stats.refused_auth++;
        http_respond(req, &refused);
        return false;
    }
    abort();
}

static bool reached(unsigned count, unsigned limit)
{
    return limit != 0 && count >= limit;
}

bool hub_admit(struct signalr_server *s, struct http_request *req, struct slice user_key,
               bool already)
{
    const struct hub_user *user = hub_registry_user(s, user_key);
    const unsigned attached =
        s->gauge[CONN_HANDSHAKE] + s->gauge[CONN_OPEN] + s->gauge[CONN_CLOSING];

    if (s->draining) {
        hub_respond(req, 503, "The server is shutting down.");
        return false;
    }
    if (reached(attached, s->options.max_connections)) {
        hub_respond(req, 503, "The server is at its limit of connections.");
        return false;
    }
    if (!already && user != NULL && reached(user->count, s->options.max_per_user)) {
        hub_respond(req, 429, "The user is at the limit of connections.");
        return false;
    }
    return true;
}

/* A media type stands in the list, whatever its parameters. */
static bool accepts(struct slice list, struct slice type)
{
    struct slice item;

    while (http_list_next(&list, &item)) {
        const char *semicolon = memchr(item.ptr, ';', item.len);

        if (semicolon != NULL)
            item = slice_trim((struct slice){item.ptr, (size_t)(semicolon - item.ptr)}, " \t");
        if (slice_eq_nocase(item, type))
            return true;
    }
    return false;
}

static enum meaning meaning_of(const struct http_view *view)
{
    struct slice accept;

    switch (view->method) {
    case HTTP_POST_:
        return SEND;
    case HTTP_DELETE_:
        return TERMINATE;
    case HTTP_GET_:
        if (http_view_header(view, "Accept", &accept) &&
            accepts(accept, SLICE_LIT("text/event-stream")))
            return EVENTS;
        return view->wants_websocket ? WEBSOCKET : POLL;
    case HTTP_HEAD_:
    case HTTP_PUT_:
    case HTTP_PATCH_:
    case HTTP_OPTIONS_:
        return NOT_ALLOWED;
    }
    abort();
}

static void hand_over(struct signalr_server *s, struct http_request *req, unsigned home)
{
    struct http_handoff *handoff = http_detach(req);

    if (handoff == NULL)
        hub_respond(req, 503, "");
    else
        s->host.hand_over(s->host.arg, home, handoff);
}

/* The user of the transport request is the one that counts. An anonymous negotiation may become a
 * user's; anybody else's is as good as unknown, so that a stolen token opens nothing. */
static bool may_use(const struct hub_connection *c, struct slice user_key)
{
    return c->user == NULL || slice_eq(hub_connection_user_key(c), user_key);
}

/* The connection that a request names, if that user may have it. NULL: none, and answered. */
static struct hub_connection *find_for(struct signalr_server *s, struct http_request *req,
                                       struct slice id, struct slice user_key)
{
    struct hub_connection *c = hub_registry_by_token(s, id);

    if (c != NULL && may_use(c, user_key))
        return c;
    hub_respond(req, 404, "No Connection with that ID");
    return NULL;
}

/* Attaches c, which then holds what user held, or gives it up. */
static void attach(struct hub_connection *c, struct http_request *req, struct signalr_user *user)
{
    struct ws_conn *ws;

    c->client_address = slice_dup(http_request_view(req)->client_address);
    if (c->client_address == NULL || !hub_registry_set_user(c, slice_of(user->key))) {
        hub_respond(req, 503, "");
        goto fail;
    }
    ws = websocket_attach(req, c);
    if (ws == NULL)
        goto fail;
    hub_connection_attached(c, ws, user);
    user->host_data = NULL;
    return;
fail:
    hub_connection_discard(c);
}

static void open_websocket(struct signalr_server *s, struct http_request *req, struct slice id,
                           struct signalr_user *user)
{
    const struct slice key = slice_of(user->key);
    struct hub_connection *c = NULL;

    if (id.len > 0) {
        c = find_for(s, req, id, key);
        if (c == NULL)
            return;
        if (c->state != CONN_NEGOTIATED) {
            hub_respond(req, 409, "");
            return;
        }
    }
    if (!hub_admit(s, req, key, c != NULL && c->user != NULL))
        return;
    if (c == NULL)
        c = hub_connection_new(s, HUB_TOKEN_NONE, key);
    if (c == NULL)
        hub_respond(req, 503, "");
    else
        attach(c, req, user);
}

/* Everything but the upgrade: none of it works on a WebSocket connection, and each has its words.
 */
static void answer_other(struct signalr_server *s, struct http_request *req, enum meaning meaning,
                         struct slice id, struct slice user_key)
{
    if (id.len == 0) {
        hub_respond(req, 400, "Connection ID required");
        return;
    }
    if (find_for(s, req, id, user_key) == NULL)
        return;
    switch (meaning) {
    case SEND:
        hub_respond_not_allowed(req, "GET",
                                "POST requests are not allowed for WebSocket connections.");
        return;
    case EVENTS:
        hub_respond(req, 404, "ServerSentEvents transport not supported by this end point type");
        return;
    case POLL:
        hub_respond(req, 404, "LongPolling transport not supported by this end point type");
        return;
    case TERMINATE:
        hub_respond(req, 400, "Cannot terminate this connection using the DELETE endpoint.");
        return;
    case WEBSOCKET:
    case NOT_ALLOWED:
        break;
    }
    abort();
}

void hub_endpoint(struct signalr_server *s, struct http_request *req)
{
    const struct http_view *view = http_request_view(req);
    const enum meaning meaning = meaning_of(view);
    struct signalr_user user;
    struct slice id = {0};
    unsigned home;

    if (meaning == NOT_ALLOWED) {
        hub_respond_not_allowed(req, "GET, POST, DELETE", "");
        return;
    }
    if (http_query_get(view->query, "id", &id) && id.len == HUB_TOKEN_LEN) {
        home = home_of(id, s->options.nshards);
        if (home != s->options.shard) {
            hand_over(s, req, home); /* its home decides everything, the user too */
            return;
        }
    }
    if (!hub_authenticate(s, req, &user))
        return;
    if (meaning == WEBSOCKET)
        open_websocket(s, req, id, &user);
    else
        answer_other(s, req, meaning, id, slice_of(user.key));
    hub_release_user(s, &user); /* what a connection took over is no longer in it */
}
