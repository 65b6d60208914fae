#include "signalr/http/http_head.h"

#include <stdlib.h>

static const struct {
    struct slice name;
    enum http_method method;
} methods[] = {
    {{"GET", 3}, HTTP_GET_},         {{"HEAD", 4}, HTTP_HEAD_},   {{"POST", 4}, HTTP_POST_},
    {{"PUT", 3}, HTTP_PUT_},         {{"PATCH", 5}, HTTP_PATCH_}, {{"DELETE", 6}, HTTP_DELETE_},
    {{"OPTIONS", 7}, HTTP_OPTIONS_},
};

bool http_method_find(struct slice name, enum http_method *out)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (slice_eq(name, methods[i].name)) {
            *out = methods[i].method;
            return true;
        }
    return false;
}

bool http_is_tchar(char c)
{
    if ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))
        return true;
    return c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL;
}

bool http_list_next(struct slice *rest, struct slice *member)
{
    while (rest->len > 0) {
        const char *comma = memchr(rest->ptr, ',', rest->len);
        size_t len = comma == NULL ? rest->len : (size_t)(comma - rest->ptr);

        *member = slice_trim((struct slice){rest->ptr, len}, " \t");
        rest->ptr += comma == NULL ? len : len + 1;
        rest->len -= comma == NULL ? len : len + 1;
        if (member->len > 0)
            return true;
    }
    return false;
}

static bool list_has(struct slice list, const char *token)
{
    struct slice member;

    while (http_list_next(&list, &member))
        if (slice_eq_nocase(member, slice_of(token)))
            return true;
    return false;
}

static bool fail(struct http_fault *fault, int status, const char *why)
{
    *fault = (struct http_fault){status, why};
    return false;
}

/* Lines end with CR LF and nothing else, so that no one in front of us can have seen other lines
 * (RFC 9112 2.2, 5.2, 11.2). Counts the lines, the request line and the empty one included. */
static bool check_bytes(struct slice raw, size_t *nlines, struct http_fault *fault)
{
    *nlines = 0;
    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.ptr[i];

        if (c >= 0x20 && c != 0x7f)
            continue;
        if (c == '\t')
            continue;
        if (c == '\r') {
            if (i + 1 == raw.len || raw.ptr[i + 1] != '\n')
                return fail(fault, 400, "carriage return without line feed");
            continue;
        }
        if (c != '\n')
            return fail(fault, 400, "control byte in the head");
        if (i == 0 || raw.ptr[i - 1] != '\r')
            return fail(fault, 400, "line feed without carriage return");
        if (i + 1 < raw.len && (raw.ptr[i + 1] == ' ' || raw.ptr[i + 1] == '\t'))
            return fail(fault, 400, "folded header line");
        ++*nlines;
    }
    if (raw.len < 4 || memcmp(raw.ptr + raw.len - 4, "\r\n\r\n", 4) != 0)
        return fail(fault, 400, "head not closed");
    return true;
}

static struct slice next_line(struct slice *rest)
{
    const char *end = memchr(rest->ptr, '\r', rest->len); /* check_bytes: there is one */
    struct slice line = {rest->ptr, (size_t)(end - rest->ptr)};

    rest->ptr = end + 2;
    rest->len -= line.len + 2;
    return line;
}

/* What a browser or proxy puts there; anything that a URL parser could take for another part of a
 * URL is refused. */
static bool host_valid(struct slice host)
{
    if (host.len == 0)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.ptr[i];

        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              (c != '\0' && strchr("-._~%:[]", c) != NULL)))
            return false;
    }
    return true;
}

static bool skip_scheme(struct slice target, struct slice *rest)
{
    static const struct slice schemes[] = {{"http://", 7}, {"https://", 8}};

    for (size_t i = 0; i < 2; i++) {
        size_t len = schemes[i].len;

        if (target.len >= len && slice_eq_nocase((struct slice){target.ptr, len}, schemes[i])) {
            *rest = (struct slice){target.ptr + len, target.len - len};
            return true;
        }
    }
    return false;
}

/* origin-form, absolute-form (a server must take it: RFC 9112 3.2.2), asterisk-form. */
static bool read_target(struct slice target, struct http_head *head, struct http_fault *fault)
{
    struct slice rest;
    const char *mark;

    for (size_t i = 0; i < target.len; i++)
        if ((unsigned char)target.ptr[i] <= ' ' || target.ptr[i] == '#')
            return fail(fault, 400, "bad request target");
    if (skip_scheme(target, &rest)) {
        size_t n = 0;

        while (n < rest.len && rest.ptr[n] != '/' && rest.ptr[n] != '?')
            n++;
        head->host = (struct slice){rest.ptr, n};
        if (!host_valid(head->host))
            return fail(fault, 400, "bad authority in the request target");
        target = (struct slice){rest.ptr + n, rest.len - n};
        if (target.len == 0)
            target = SLICE_LIT("/");
    } else if (slice_eq(target, SLICE_LIT("*"))) {
        if (head->method != HTTP_OPTIONS_)
            return fail(fault, 400, "bad request target");
    } else if (target.len == 0 || target.ptr[0] != '/') {
        return fail(fault, 400, "bad request target");
    }

    mark = memchr(target.ptr, '?', target.len);
    head->path = target;
    if (mark != NULL) {
        head->path.len = (size_t)(mark - target.ptr);
        head->query = (struct slice){mark + 1, target.len - head->path.len - 1};
    }
    if (head->path.len == 0) /* "http://host?query" */
        head->path = SLICE_LIT("/");
    return true;
}

static bool read_request_line(struct slice line, struct http_head *head, struct http_fault *fault)
{
    static const struct slice version = {"HTTP/1.", 7};
    const char *first = memchr(line.ptr, ' ', line.len);
    const char *last = memrchr(line.ptr, ' ', line.len);
    struct slice proto;

    if (first == NULL)
        return fail(fault, 400, "bad request line");
    if (!http_method_find((struct slice){line.ptr, (size_t)(first - line.ptr)}, &head->method))
        return fail(fault, 501, "method not known");
    if (first == last)
        return fail(fault, 505, "HTTP/0.9 request");
    proto = (struct slice){last + 1, line.len - (size_t)(last + 1 - line.ptr)};
    if (proto.len != version.len + 1 || memcmp(proto.ptr, version.ptr, version.len) != 0 ||
        (proto.ptr[7] != '0' && proto.ptr[7] != '1'))
        return fail(fault, 505, "HTTP version not served");
    head->minor = proto.ptr[7] == '1' ? 1 : 0;
    return read_target((struct slice){first + 1, (size_t)(last - first - 1)}, head, fault);
}

static bool split_field(struct slice line, struct http_header *out)
{
    const char *colon = memchr(line.ptr, ':', line.len);
    size_t n = colon == NULL ? 0 : (size_t)(colon - line.ptr);

    for (size_t i = 0; i < n; i++)
        if (!http_is_tchar(line.ptr[i]))
            return false;
    if (n == 0)
        return false;
    out->name = (struct slice){line.ptr, n};
    out->value = slice_trim((struct slice){colon + 1, line.len - n - 1}, " \t");
    return true;
}

/* What the framing and connection fields of one head said, before they are weighed together. */
struct fields {
    unsigned hosts, lengths, codings, origins;
    struct slice host;
    bool close, keep_alive, connection_upgrade, websocket;
};

static bool read_field(const struct http_header *h, struct http_head *head, struct fields *f,
                       struct http_fault *fault)
{
    if (slice_eq_nocase(h->name, SLICE_LIT("host"))) {
        f->hosts++;
        f->host = h->value;
    } else if (slice_eq_nocase(h->name, SLICE_LIT("content-length"))) {
        if (f->lengths++ > 0 || !slice_read_digits(h->value, INT64_MAX, &head->content_length))
            return fail(fault, 400, "bad or second Content-Length");
        head->has_length = true;
    } else if (slice_eq_nocase(h->name, SLICE_LIT("transfer-encoding"))) {
        if (f->codings++ > 0)
            return fail(fault, 400, "second Transfer-Encoding");
        if (!slice_eq_nocase(h->value, SLICE_LIT("chunked")))
            return fail(fault, 501, "transfer coding not known");
        head->chunked = true;
    } else if (slice_eq_nocase(h->name, SLICE_LIT("connection"))) {
        f->close = f->close || list_has(h->value, "close");
        f->keep_alive = f->keep_alive || list_has(h->value, "keep-alive");
        f->connection_upgrade = f->connection_upgrade || list_has(h->value, "upgrade");
    } else if (slice_eq_nocase(h->name, SLICE_LIT("upgrade"))) {
        f->websocket = f->websocket || list_has(h->value, "websocket");
    } else if (slice_eq_nocase(h->name, SLICE_LIT("expect"))) {
        if (!slice_eq_nocase(h->value, SLICE_LIT("100-continue")))
            return fail(fault, 417, "expectation not known");
        head->expect_continue = true;
    } else if (slice_eq_nocase(h->name, SLICE_LIT("origin"))) {
        if (f->origins++ > 0)
            return fail(fault, 400, "second Origin");
    }
    return true;
}

static bool weigh(struct http_head *head, const struct fields *f, struct http_fault *fault)
{
    bool wants_body =
        head->method == HTTP_POST_ || head->method == HTTP_PUT_ || head->method == HTTP_PATCH_;

    if (f->hosts > 1 || (f->hosts == 0 && head->minor == 1))
        return fail(fault, 400, "missing or second Host");
    if (f->hosts == 1 && !host_valid(f->host))
        return fail(fault, 400, "bad Host");
    if (head->host.len == 0)
        head->host = f->host;
    if (head->chunked && (head->has_length || head->minor == 0))
        return fail(fault, 400, "Transfer-Encoding beside Content-Length or in HTTP/1.0");
    head->keep_alive = !f->close && (head->minor == 1 || f->keep_alive);
    /* An upgrade that the Connection field does not name is not for us: RFC 9110 7.8. */
    if (f->websocket && f->connection_upgrade) {
        if (head->method != HTTP_GET_ || head->minor == 0)
            return fail(fault, 400, "WebSocket upgrade must be an HTTP/1.1 GET");
        if (head->chunked || head->content_length > 0)
            return fail(fault, 400, "body on a WebSocket upgrade");
        head->upgrade_websocket = true;
    }
    head->lacks_length = wants_body && !head->chunked && !head->has_length;
    if (head->minor == 0) /* RFC 9110 10.1.1: an expectation in HTTP/1.0 is ignored */
        head->expect_continue = false;
    return true;
}

bool http_head_read(struct slice raw, struct http_head *head, struct http_fault *fault)
{
    struct http_head h = {0};
    struct fields fields = {0};
    size_t nlines;

    if (!check_bytes(raw, &nlines, fault))
        return false;
    if (!read_request_line(next_line(&raw), &h, fault))
        return false;
    if (nlines - 2 > HTTP_HEAD_MAX_HEADERS)
        return fail(fault, 431, "too many header fields");
    h.headers = calloc(nlines - 1, sizeof *h.headers); /* one spare: never a size of 0 */
    if (h.headers == NULL)
        return fail(fault, 503, "no memory");

    for (struct slice line = next_line(&raw); line.len > 0; line = next_line(&raw)) {
        struct http_header *to = &h.headers[h.nheaders++];

        if (!split_field(line, to)) {
            fail(fault, 400, "bad header name");
            goto refused;
        }
        if (!read_field(to, &h, &fields, fault))
            goto refused;
    }
    if (raw.len > 0) {
        fail(fault, 400, "bytes behind the head");
        goto refused;
    }
    if (!weigh(&h, &fields, fault))
        goto refused;
    *head = h;
    return true;
refused:
    http_head_free(&h);
    return false;
}

/* Up to CR LF, which must be there, without any other control byte. */
static bool next_good_line(struct slice *rest, struct slice *line)
{
    const char *end = rest->len > 0 ? memchr(rest->ptr, '\n', rest->len) : NULL;
    size_t len = end == NULL ? 0 : (size_t)(end - rest->ptr);

    if (len == 0 || rest->ptr[len - 1] != '\r')
        return false;
    *line = (struct slice){rest->ptr, len - 1};
    for (size_t i = 0; i < line->len; i++)
        if (((unsigned char)line->ptr[i] < 0x20 && line->ptr[i] != '\t') || line->ptr[i] == 0x7f)
            return false;
    rest->ptr += len + 1;
    rest->len -= len + 1;
    return true;
}

bool http_head_salvage(struct slice raw, struct http_head *head)
{
    struct http_head h = {0};
    struct http_fault ignored;
    struct slice line;

    if (!next_good_line(&raw, &line) || !read_request_line(line, &h, &ignored))
        return false;
    h.headers = calloc(HTTP_HEAD_MAX_HEADERS, sizeof *h.headers);
    if (h.headers == NULL)
        return false;
    while (h.nheaders < HTTP_HEAD_MAX_HEADERS && next_good_line(&raw, &line) &&
           split_field(line, &h.headers[h.nheaders]))
        h.nheaders++;
    *head = h;
    return true;
}

void http_head_free(struct http_head *head)
{
    free(head->headers);
    *head = (struct http_head){0};
}
