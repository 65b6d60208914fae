#include "bridge/admin/admin_reply.h"

#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "signalr/http/http_server.h"
#include <stdlib.h>

struct admin_reply {
    struct http_request *req; /* whose data this is; NULL: gone */
};

void admin_respond(struct http_request *req, int status, struct slice json)
{
    const struct http_response r = {
        .status = status, .content_type = json.len > 0 ? "application/json" : NULL, .body = json};

    http_respond(req, &r);
}

void admin_respond_error(struct http_request *req, int status, const char *text)
{
    struct byte_buf json = {0};

    byte_buf_puts(&json, "{\"error\":");
    json_write_string(&json, slice_of(text));
    byte_buf_putc(&json, '}');
    if (byte_buf_failed(&json))
        byte_buf_free(&json); /* the status alone, then */
    admin_respond(req, status, byte_buf_slice(&json));
    byte_buf_free(&json);
}

struct admin_reply *admin_reply_new(struct http_request *req)
{
    struct admin_reply *r = malloc(sizeof *r);

    if (r == NULL) {
        admin_respond(req, 503, (struct slice){0});
        return NULL;
    }
    r->req = req;
    http_request_set_data(req, r);
    return r;
}

/* The request to answer, no longer tied to r; NULL: gone. Frees r. */
static struct http_request *take(struct admin_reply *r)
{
    struct http_request *req = r->req;

    if (req != NULL)
        http_request_set_data(req, NULL);
    free(r);
    return req;
}

void admin_reply_send(struct admin_reply *r, int status, struct slice json)
{
    struct http_request *req = take(r);

    if (req != NULL)
        admin_respond(req, status, json);
}

void admin_reply_error(struct admin_reply *r, int status, const char *text)
{
    struct http_request *req = take(r);

    if (req != NULL)
        admin_respond_error(req, status, text);
}

void admin_reply_gone(struct http_request *req)
{
    struct admin_reply *r = http_request_data(req);

    if (r != NULL)
        r->req = NULL;
}
