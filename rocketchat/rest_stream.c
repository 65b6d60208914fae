#include "rocketchat/rest_stream.h"
#include "rocketchat/curl_loop_internal.h"
#include "rocketchat/rest_transport_internal.h"
#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#define TICK_MS 200    /* how exact the idle time is */
#define STATUS_MIN 100 /* others are invalid (RFC 9110 15), and no caller's business */
#define STATUS_MAX 599
#define STATUS_SWITCHING 101 /* nobody asked for it, and libcurl takes it for the last word */

struct rest_stream_client {
    uv_loop_t *loop;
    struct curl_loop *curl;
    struct rest_transport transport;
    uv_timer_t tick; /* runs while there are streams */
    uint64_t idle_ms;
    struct rest_stream *streams;
    void (*done)(void *arg);
    void *done_arg;
};

struct rest_stream {
    struct rest_stream_client *client;
    struct rest_stream *next, **link;
    uint64_t moved_ms; /* when something last came or went; uv_now() */
    CURL *easy;
    struct curl_slist *request_headers;
    struct rest_stream_events events;
    void *arg;
    size_t header_bytes;
    int status;      /* of the header block being read */
    bool head_told;  /* what follows in header lines are trailers */
    bool chunked;    /* the answer: its length is not what Content-Length says */
    uint64_t length; /* of the answer */
    bool read_paused, body_paused;
};

static void stream_free(struct rest_stream *st)
{
    *st->link = st->next;
    if (st->next != NULL)
        st->next->link = st->link;
    if (st->client->streams == NULL)
        uv_timer_stop(&st->client->tick);
    curl_easy_cleanup(st->easy);
    rest_transport_free_headers(st->request_headers);
    free(st);
}

static void moved(struct rest_stream *st)
{
    st->moved_ms = uv_now(st->client->loop);
}

/* ---- the request's body ---- */

static size_t on_read(char *to, size_t size, size_t n, void *arg)
{
    struct rest_stream *st = arg;
    size_t got = 0;

    moved(st);
    switch (st->events.read(st->arg, to, size * n, &got)) {
    case REST_STREAM_DATA:
        return got;
    case REST_STREAM_EMPTY:
        st->read_paused = true;
        return CURL_READFUNC_PAUSE;
    case REST_STREAM_END:
        break;
    }
    return 0;
}

/* libcurl's mask names what is paused, all of it. A failure is the transfer's, and told by its end.
 */
static void pause_as_told(struct rest_stream *st)
{
    moved(st);
    curl_easy_pause(st->easy, (st->read_paused ? CURLPAUSE_SEND : 0) |
                                  (st->body_paused ? CURLPAUSE_RECV : 0));
}

void rest_stream_more(struct rest_stream *st)
{
    if (!st->read_paused)
        return;
    st->read_paused = false;
    pause_as_told(st);
}

void rest_stream_go_on(struct rest_stream *st)
{
    if (!st->body_paused)
        return;
    st->body_paused = false;
    pause_as_told(st);
}

/* ---- the answer ---- */

static void read_status(struct rest_stream *st, struct slice line)
{
    const char *space = memchr(line.ptr, ' ', line.len);
    size_t at = space == NULL ? line.len : (size_t)(space - line.ptr) + 1;

    st->status = 0;
    st->length = REST_LENGTH_UNKNOWN;
    st->chunked = false;
    for (size_t i = at; i < line.len && i < at + 3 && isdigit((unsigned char)line.ptr[i]); i++)
        st->status = st->status * 10 + (line.ptr[i] - '0');
}

static bool is_answer(int status)
{
    return status >= STATUS_MIN && status <= STATUS_MAX && status != STATUS_SWITCHING;
}

/* As libcurl reads them: chunks win, and a bad number counts for nothing. */
static void read_length(struct rest_stream *st, struct slice name, struct slice value)
{
    if (slice_eq_nocase(name, SLICE_LIT("transfer-encoding")))
        st->chunked = true;
    else if (slice_eq_nocase(name, SLICE_LIT("content-length")))
        slice_read_digits(value, INT64_MAX, &st->length);
}

static size_t on_header(char *bytes, size_t size, size_t n, void *arg)
{
    struct rest_stream *st = arg;
    struct slice line = {bytes, size * n}, name, value;
    const char *colon;

    moved(st);
    st->header_bytes += line.len;
    if (st->header_bytes > REST_MAX_HEADER_BYTES)
        return 0;
    if (st->head_told)
        return size * n;
    if (line.len > 5 && memcmp(line.ptr, "HTTP/", 5) == 0) {
        read_status(st, line);
        return is_answer(st->status) ? size * n : 0;
    }
    if (st->status < 200) /* interim: another block follows */
        return size * n;
    if (slice_trim(line, "\r\n").len == 0) {
        st->head_told = true;
        st->events.head(st->arg, st->status, st->chunked ? REST_LENGTH_UNKNOWN : st->length);
        return size * n;
    }
    colon = memchr(line.ptr, ':', line.len);
    if (colon == NULL || line.ptr[0] == ' ' || line.ptr[0] == '\t') /* folded: nobody needs it */
        return size * n;
    name = (struct slice){line.ptr, (size_t)(colon - line.ptr)};
    value = slice_trim((struct slice){colon + 1, line.len - name.len - 1}, " \t\r\n");
    read_length(st, name, value);
    st->events.header(st->arg, name, value);
    return size * n;
}

static size_t on_body(char *bytes, size_t size, size_t n, void *arg)
{
    struct rest_stream *st = arg;

    moved(st);
    /* Pausing behind what was taken, not by refusing it: libcurl would keep a copy of that. What is
     * left of its buffer still comes. */
    if (!st->events.body(st->arg, (struct slice){bytes, size * n}) && !st->body_paused) {
        st->body_paused = true;
        pause_as_told(st);
    }
    return size * n;
}

static void finish(struct rest_stream *st, enum rc_result result, const char *word)
{
    struct rc_error error;

    if (result != RC_OK) {
        rc_error_of(&error, result);
        if (word != NULL)
            snprintf(error.code, sizeof error.code, "%s", word);
    }
    st->events.done(st->arg, result == RC_OK ? NULL : &error);
    stream_free(st);
}

static void on_finished(void *arg, CURL *easy, CURLcode code)
{
    struct rest_stream *st;
    const char *word = NULL;
    enum rc_result result = code == CURLE_OK ? RC_OK : rest_transport_result(code, &word);

    (void)arg;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&st);
    if (!st->head_told && (result == RC_OK || (st->header_bytes > 0 && !is_answer(st->status))))
        finish(st, RC_MALFORMED, "http-broken");
    else
        finish(st, result, word);
}

/* libcurl's own low-speed limit averages over seconds and counts a paused upload as slow. Who is
 * paused waits for the caller, whose clock that is. */
static void on_tick(uv_timer_t *tick)
{
    struct rest_stream_client *client = tick->data;
    uint64_t now = uv_now(client->loop);
    struct rest_stream *next;

    for (struct rest_stream *st = client->streams; st != NULL; st = next) {
        next = st->next;
        if (st->read_paused || st->body_paused || now - st->moved_ms < client->idle_ms)
            continue;
        curl_loop_remove(client->curl, st->easy);
        finish(st, RC_TIMED_OUT, NULL);
        next = client->streams; /* done() may have ended others: begin again */
    }
}

/* ---- life ---- */

static void set_options(struct rest_stream *st)
{
    CURL *e = st->easy;

    curl_easy_setopt(e, CURLOPT_PRIVATE, st);
    curl_easy_setopt(e, CURLOPT_READFUNCTION, on_read);
    curl_easy_setopt(e, CURLOPT_READDATA, st);
    curl_easy_setopt(e, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(e, CURLOPT_WRITEDATA, st);
    curl_easy_setopt(e, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(e, CURLOPT_HEADERDATA, st);
    curl_easy_setopt(e, CURLOPT_BUFFERSIZE, (long)REST_STREAM_BUFFER);
    curl_easy_setopt(e, CURLOPT_UPLOAD_BUFFERSIZE, (long)REST_STREAM_BUFFER);
    curl_easy_setopt(e, CURLOPT_PATH_AS_IS, 1L);
    rest_transport_apply(&st->client->transport, e);
}

static bool only_reads(const char *method)
{
    return strcmp(method, "GET") == 0 || strcmp(method, "OPTIONS") == 0;
}

static void set_method(CURL *e, const struct rest_stream_request *r)
{
    if (strcmp(r->method, "HEAD") == 0) { /* an upload would have libcurl wait for a body */
        curl_easy_setopt(e, CURLOPT_NOBODY, 1L);
        return;
    }
    if (r->has_body) {
        curl_easy_setopt(e, CURLOPT_UPLOAD, 1L);
        curl_easy_setopt(e, CURLOPT_INFILESIZE_LARGE,
                         r->length == REST_LENGTH_UNKNOWN ? (curl_off_t)-1 : (curl_off_t)r->length);
    } else {
        curl_easy_setopt(e, CURLOPT_HTTPGET, 1L);
    }
    curl_easy_setopt(e, CURLOPT_CUSTOMREQUEST, r->method);
    if (!only_reads(r->method))
        rest_transport_send_once(e, r->has_body && r->length > 0);
}

/* What libcurl would say by itself must come from the caller, or not be said. */
static bool set_headers(struct rest_stream *st, const struct rest_stream_request *r)
{
    static const char *const unsaid[] = {"Accept:", "Expect:", "Content-Type:"};
    struct curl_slist *longer;

    for (size_t i = 0; i < sizeof unsaid / sizeof unsaid[0]; i++) {
        bool said = false;

        for (size_t k = 0; k < r->nheaders && !said; k++)
            said = slice_eq_nocase(r->headers[k].name,
                                   (struct slice){unsaid[i], strlen(unsaid[i]) - 1});
        longer = said ? st->request_headers : curl_slist_append(st->request_headers, unsaid[i]);
        if (!said && longer == NULL)
            return false;
        st->request_headers = longer;
    }
    for (size_t i = 0; i < r->nheaders; i++)
        if (!rest_transport_header(&st->request_headers, r->headers[i].name, r->headers[i].value))
            return false;
    curl_easy_setopt(st->easy, CURLOPT_HTTPHEADER, st->request_headers);
    return true;
}

struct rest_stream *rest_stream_start(struct rest_stream_client *client,
                                      const struct rest_stream_request *request,
                                      const struct rest_stream_events *events, void *arg)
{
    struct rest_stream *st = calloc(1, sizeof *st);

    if (st == NULL)
        return NULL;
    st->easy = curl_easy_init();
    if (st->easy == NULL) {
        free(st);
        return NULL;
    }
    st->client = client;
    st->next = client->streams;
    st->link = &client->streams;
    if (st->next != NULL)
        st->next->link = &st->next;
    else
        uv_timer_start(&client->tick, on_tick, TICK_MS, TICK_MS);
    client->streams = st;
    moved(st);
    st->events = *events;
    st->arg = arg;
    set_options(st);
    set_method(st->easy, request);
    if (!set_headers(st, request) ||
        !rest_transport_url(&client->transport, st->easy, request->target) ||
        !curl_loop_add(client->curl, st->easy)) {
        stream_free(st);
        return NULL;
    }
    return st;
}

void rest_stream_cancel(struct rest_stream *st)
{
    curl_loop_remove(st->client->curl, st->easy);
    stream_free(st);
}

int rest_stream_client_new(uv_loop_t *loop, const struct rest_client_options *options,
                           struct rest_stream_client **out)
{
    struct rest_stream_client *client = calloc(1, sizeof *client);
    int rc = UV_ENOMEM;

    if (client == NULL)
        return rc;
    if (!rest_transport_open(&client->transport, options)) {
        free(client);
        return rc;
    }
    client->loop = loop;
    client->idle_ms = options->timeout_ms;
    rc = curl_loop_new(loop, (long)options->max_connections, on_finished, client, &client->curl);
    if (rc != 0) {
        rest_transport_close(&client->transport);
        free(client);
        return rc;
    }
    uv_timer_init(loop, &client->tick); /* cannot fail in libuv 1.x */
    client->tick.data = client;
    *out = client;
    return 0;
}

static void on_curl_freed(void *arg)
{
    struct rest_stream_client *client = arg;
    void (*done)(void *) = client->done;
    void *done_arg = client->done_arg;

    rest_transport_close(&client->transport);
    free(client);
    done(done_arg);
}

static void on_tick_closed(uv_handle_t *handle)
{
    struct rest_stream_client *client = handle->data;

    curl_loop_free(client->curl, on_curl_freed, client);
}

void rest_stream_client_free(struct rest_stream_client *client, void (*done)(void *arg), void *arg)
{
    assert(client->streams == NULL);
    client->done = done;
    client->done_arg = arg;
    uv_close((uv_handle_t *)&client->tick, on_tick_closed);
}
