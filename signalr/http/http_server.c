#include "signalr/http/http_internal.h"

#include <assert.h>
#include <fcntl.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void http_server_note(struct http_server *s, enum http_note note, int status, const char *detail,
                      const struct http_addr *client)
{
    char text[HTTP_ADDR_TEXT_MAX];

    if (s->options.on_note != NULL)
        s->options.on_note(s->options.arg, note, status, detail,
                           (struct slice){text, http_addr_text(client, text)});
}

const char *http_server_date(struct http_server *s)
{
    struct tm tm;
    time_t now = time(NULL);

    if (now != s->date_at) {
        s->date_at = now;
        gmtime_r(&now, &tm);
        strftime(s->date, sizeof s->date, "%a, %d %b %Y %H:%M:%S GMT", &tm);
    }
    return s->date;
}

static void on_tick(uv_timer_t *timer)
{
    struct http_server *s = timer->data;

    timer_wheel_advance(s->wheel, uv_now(s->loop));
}

static void on_wake(uint64_t at_ms, void *arg)
{
    struct http_server *s = arg;
    const uint64_t now = uv_now(s->loop);

    uv_timer_start(&s->tick, on_tick, at_ms > now ? at_ms - now : 0, 0);
}

static void on_prepare(uv_prepare_t *prepare)
{
    http_turn_begin(prepare->data);
}

static int read_trusted(struct http_server *s, const char *const *texts)
{
    size_t n = 0;

    while (texts != NULL && texts[n] != NULL)
        n++;
    if (n == 0)
        return 0;
    s->trusted = calloc(n, sizeof *s->trusted);
    if (s->trusted == NULL)
        return UV_ENOMEM;
    s->ntrusted = n;
    for (size_t i = 0; i < n; i++)
        if (!http_cidr_parse(slice_of(texts[i]), &s->trusted[i]))
            return UV_EINVAL;
    return 0;
}

static void server_free(struct http_server *s)
{
    timer_wheel_free(s->wheel);
    free(s->trusted);
    http_counts_free(s->own_counts);
    if (s->reserve_fd >= 0)
        close(s->reserve_fd);
    free(s);
}

int http_server_new(uv_loop_t *loop, const struct http_options *options, struct http_server **out)
{
    struct http_server *s = calloc(1, sizeof *s);
    int rc;

    if (s == NULL)
        return UV_ENOMEM;
    s->loop = loop;
    s->options = *options;
    s->reserve_fd = -1;
    rc = read_trusted(s, options->trusted_proxies);
    if (rc != 0)
        goto fail;
    rc = UV_ENOMEM;
    if (options->counts == NULL)
        s->own_counts = http_counts_new();
    s->counts = options->counts != NULL ? options->counts : s->own_counts;
    s->wheel = timer_wheel_new(uv_now(loop), HTTP_TICK_MS, http_sock_on_timer, on_wake, s);
    if (s->wheel == NULL || s->counts == NULL)
        goto fail;
    s->reserve_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (s->reserve_fd < 0) {
        rc = uv_translate_sys_error(errno);
        goto fail;
    }
    /* These can't fail on valid arguments. None of the handles keeps the loop alive by itself. */
    uv_timer_init(loop, &s->tick);
    uv_prepare_init(loop, &s->prepare);
    uv_timer_init(loop, &s->resume);
    uv_prepare_start(&s->prepare, on_prepare);
    http_turn_open(s);
    uv_unref((uv_handle_t *)&s->tick);
    uv_unref((uv_handle_t *)&s->resume);
    uv_unref((uv_handle_t *)&s->prepare);
    s->tick.data = s->resume.data = s->prepare.data = s;
    s->nhandles = 4;
    *out = s;
    return 0;
fail:
    server_free(s);
    return rc;
}

size_t http_server_queued_bytes(const struct http_server *s)
{
    return s->ws_queued_bytes;
}

size_t http_server_connections(const struct http_server *s)
{
    return s->nconns;
}

void http_server_handle_closed(struct http_server *s)
{
    void (*done)(void *arg) = s->done;
    void *arg = s->done_arg;

    assert(s->nhandles > 0);
    if (--s->nhandles > 0)
        return;
    assert(s->ws_queued_bytes == 0);
    server_free(s);
    done(arg);
}

static void on_own_closed(uv_handle_t *handle)
{
    http_server_handle_closed(handle->data);
}

void http_server_close(struct http_server *s, void (*done)(void *arg), void *arg)
{
    assert(!s->closing);
    s->closing = true;
    s->done = done;
    s->done_arg = arg;
    http_listeners_close(s);
    for (struct http_sock *k = s->socks; k != NULL; k = k->next)
        http_sock_close(k);
    uv_close((uv_handle_t *)&s->tick, on_own_closed);
    uv_close((uv_handle_t *)&s->resume, on_own_closed);
    uv_close((uv_handle_t *)&s->prepare, on_own_closed);
    uv_close((uv_handle_t *)&s->turn.awake, on_own_closed);
}
