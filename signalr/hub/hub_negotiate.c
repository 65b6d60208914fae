#include "base/byte_buf.h"
#include "signalr/hub/hub_internal.h"
#include "signalr/protocol/negotiate.h"

/* Too long for any integer, yet present: reads as no integer. */
enum { VERSION_TEXT_MAX = 32 };

static enum negotiate_result read_version(const struct http_view *view, int32_t *version)
{
    struct slice raw;
    char text[VERSION_TEXT_MAX];
    size_t len = 0;

    if (!http_query_get(view->query, "negotiateVersion", &raw))
        return negotiate_version((struct slice){0}, version);
    if (!http_percent_decode(raw, text, sizeof text, &len))
        return NEGOTIATE_NOT_INTEGER;
    return negotiate_version((struct slice){text, len}, version);
}

static void respond_json(struct http_request *req, struct byte_buf *body)
{
    const struct http_response ok = {
        .status = 200, .content_type = "application/json", .body = byte_buf_slice(body)};

    if (byte_buf_failed(body))
        hub_respond(req, 503, "");
    else
        http_respond(req, &ok);
    byte_buf_free(body);
}

static void negotiate_for(struct signalr_server *s, struct http_request *req, struct slice user_key)
{
    struct byte_buf body = {0};
    struct hub_connection *c;
    int32_t version = 0;
    enum negotiate_result result = read_version(http_request_view(req), &version);

    if (result != NEGOTIATE_OK) {
        negotiate_write_error(&body, result, version);
        respond_json(req, &body);
        return;
    }
    if (hub_pending_is_full(s)) {
        hub_respond(req, 503, "Too many negotiations are waiting for their connection.");
        return;
    }
    if (!hub_admit(s, req, user_key, false))
        return;
    c = hub_connection_new(s, version > 0 ? HUB_TOKEN_OWN : HUB_TOKEN_IS_ID, user_key);
    if (c == NULL) {
        hub_respond(req, 503, "");
        return;
    }
    s->stats.negotiations++;
    negotiate_write(&body, version, hub_connection_id(c),
                    (struct slice){c->token, sizeof c->token});
    if (byte_buf_failed(&body))
        hub_connection_discard(c);
    respond_json(req, &body);
}

void hub_negotiate(struct signalr_server *s, struct http_request *req)
{
    struct signalr_user user;

    if (http_request_view(req)->method != HTTP_POST_) {
        hub_respond_not_allowed(req, "POST", "");
        return;
    }
    if (!hub_authenticate(s, req, &user))
        return;
    negotiate_for(s, req, slice_of(user.key));
    hub_release_user(s, &user); /* the transport request proves the user again */
}
