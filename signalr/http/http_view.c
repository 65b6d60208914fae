/* What a handler sees of a request, and the address it came from. */
#include "signalr/http/http_internal.h"

/* Collects the values of a header that may come several times; what is past the bound is the part
 * that our own proxy did not write. */
enum { FORWARDED_MAX = 16 };

static size_t collect(const struct http_head *head, const char *name,
                      struct slice values[FORWARDED_MAX])
{
    size_t n = 0;

    for (size_t i = head->nheaders; i-- > 0 && n < FORWARDED_MAX;)
        if (slice_eq_nocase(head->headers[i].name, slice_of(name)))
            values[FORWARDED_MAX - ++n] = head->headers[i].value;
    return n;
}

static void read_forwarded(struct http_request *req, const struct http_head *head)
{
    struct http_server *s = req->conn->sock->server;
    struct slice x_for[FORWARDED_MAX], proto[FORWARDED_MAX], host[FORWARDED_MAX];
    struct http_forwarded_fields fields;
    struct http_forwarded said = {.client = req->conn->peer};

    if (http_cidr_list_has(s->trusted, s->ntrusted, &req->conn->peer)) {
        fields.nfor = collect(head, "X-Forwarded-For", x_for);
        fields.nproto = collect(head, "X-Forwarded-Proto", proto);
        fields.nhost = collect(head, "X-Forwarded-Host", host);
        fields.x_for = x_for + FORWARDED_MAX - fields.nfor;
        fields.x_proto = proto + FORWARDED_MAX - fields.nproto;
        fields.x_host = host + FORWARDED_MAX - fields.nhost;
        http_forwarded_read(s->trusted, s->ntrusted, &req->conn->peer, &fields, &said);
    }
    req->client = said.client;
    req->view.client_address =
        (struct slice){req->client_text, http_addr_text(&req->client, req->client_text)};
    req->view.host = said.host.len > 0 ? said.host : head->host;
    req->view.secure = slice_eq_nocase(said.proto, SLICE_LIT("https"));
}

static void fill(struct http_request *req, const struct http_head *head)
{
    req->view = (struct http_view){
        .method = head->method,
        .path = head->path,
        .query = head->query,
        .headers = head->headers,
        .nheaders = head->nheaders,
        .listener_tag = req->conn->tag,
    };
}

void http_view_fill(struct http_request *req, const struct http_head *head)
{
    fill(req, head);
    read_forwarded(req, head);
}

/* What was forwarded is not believed: our own proxy's word is the last, and may be missing. */
void http_view_salvage(struct http_request *req)
{
    const struct http_head *head = http_parse_salvage(req->parse);

    if (head->path.len > 0)
        fill(req, head);
}

const struct http_view *http_request_view(const struct http_request *req)
{
    return &req->view;
}

void http_request_set_data(struct http_request *req, void *data)
{
    req->data = data;
}

void *http_request_data(const struct http_request *req)
{
    return req->data;
}

bool http_view_header(const struct http_view *v, const char *name, struct slice *value)
{
    struct slice want = slice_of(name);

    for (size_t i = 0; i < v->nheaders; i++)
        if (slice_eq_nocase(v->headers[i].name, want)) {
            *value = v->headers[i].value;
            return true;
        }
    return false;
}
