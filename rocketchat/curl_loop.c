#include "rocketchat/curl_loop_internal.h"
#include <assert.h>
#include <stdlib.h>

struct curl_loop {
    uv_loop_t *loop;
    uv_timer_t timer;
    CURLM *multi;
    curl_loop_fn finished;
    void *arg;
    unsigned handles; /* libuv handles not closed yet; the last one frees l */
    void (*done)(void *arg);
    void *done_arg;
};

/* One per socket libcurl watches. */
struct watch {
    uv_poll_t poll;
    struct curl_loop *owner;
    curl_socket_t fd;
};

static void release(struct curl_loop *l)
{
    void (*done)(void *) = l->done;
    void *arg = l->done_arg;

    if (--l->handles > 0)
        return;
    free(l);
    done(arg);
}

static void on_watch_closed(uv_handle_t *handle)
{
    struct watch *w = handle->data;
    struct curl_loop *l = w->owner;

    free(w);
    release(l);
}

static void on_timer_closed(uv_handle_t *handle)
{
    release(handle->data);
}

static void report_finished(struct curl_loop *l)
{
    CURLMsg *msg;
    int left;

    while ((msg = curl_multi_info_read(l->multi, &left)) != NULL) {
        CURL *easy = msg->easy_handle;
        CURLcode code = msg->data.result; /* msg dies with the removal */

        assert(msg->msg == CURLMSG_DONE);
        curl_multi_remove_handle(l->multi, easy);
        l->finished(l->arg, easy, code);
    }
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
    struct watch *w = poll->data;
    struct curl_loop *l = w->owner;
    int what = status < 0 ? CURL_CSELECT_ERR : 0;
    int running;

    if (events & UV_READABLE)
        what |= CURL_CSELECT_IN;
    if (events & UV_WRITABLE)
        what |= CURL_CSELECT_OUT;
    curl_multi_socket_action(l->multi, w->fd, what, &running); /* w may be gone behind it */
    report_finished(l);
}

static void on_timeout(uv_timer_t *timer)
{
    struct curl_loop *l = timer->data;
    int running;

    curl_multi_socket_action(l->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    report_finished(l);
}

static struct watch *watch_new(struct curl_loop *l, curl_socket_t fd)
{
    struct watch *w = calloc(1, sizeof *w);

    if (w == NULL)
        return NULL;
    if (uv_poll_init_socket(l->loop, &w->poll, fd) != 0) {
        free(w);
        return NULL;
    }
    w->poll.data = w;
    w->owner = l;
    w->fd = fd;
    l->handles++;
    return w;
}

/* A refusal here makes libcurl fail the transfers on that socket. */
static int on_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
    struct curl_loop *l = arg;
    struct watch *w = socket_arg;
    int events = 0;

    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (w == NULL)
            return 0;
        uv_poll_stop(&w->poll); /* libcurl closes fd right after this */
        curl_multi_assign(l->multi, fd, NULL);
        uv_close((uv_handle_t *)&w->poll, on_watch_closed);
        return 0;
    }
    if (w == NULL) {
        w = watch_new(l, fd);
        if (w == NULL)
            return -1;
        curl_multi_assign(l->multi, fd, w);
    }
    if (what & CURL_POLL_IN)
        events |= UV_READABLE;
    if (what & CURL_POLL_OUT)
        events |= UV_WRITABLE;
    return uv_poll_start(&w->poll, events, on_poll) == 0 ? 0 : -1;
}

static int on_timer_wish(CURLM *multi, long timeout_ms, void *arg)
{
    struct curl_loop *l = arg;

    (void)multi;
    if (uv_is_closing((uv_handle_t *)&l->timer))
        return 0;
    if (timeout_ms < 0)
        uv_timer_stop(&l->timer);
    else
        uv_timer_start(&l->timer, on_timeout, (uint64_t)timeout_ms, 0);
    return 0;
}

int curl_loop_new(uv_loop_t *loop, long max_connections, curl_loop_fn finished, void *arg,
                  struct curl_loop **out)
{
    struct curl_loop *l = calloc(1, sizeof *l);
    int rc = UV_ENOMEM;

    if (l == NULL)
        return rc;
    l->multi = curl_multi_init();
    if (l->multi == NULL)
        goto fail;
    rc = uv_timer_init(loop, &l->timer);
    if (rc != 0)
        goto fail;
    l->timer.data = l;
    l->handles = 1;
    l->loop = loop;
    l->finished = finished;
    l->arg = arg;
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(l->multi, CURLMOPT_SOCKETDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERFUNCTION, on_timer_wish);
    curl_multi_setopt(l->multi, CURLMOPT_TIMERDATA, l);
    curl_multi_setopt(l->multi, CURLMOPT_MAX_HOST_CONNECTIONS, max_connections);
    curl_multi_setopt(l->multi, CURLMOPT_MAXCONNECTS, max_connections);
    *out = l;
    return 0;
fail:
    if (l->multi != NULL)
        curl_multi_cleanup(l->multi);
    free(l);
    return rc;
}

bool curl_loop_add(struct curl_loop *l, CURL *easy)
{
    return curl_multi_add_handle(l->multi, easy) == CURLM_OK;
}

void curl_loop_remove(struct curl_loop *l, CURL *easy)
{
    curl_multi_remove_handle(l->multi, easy);
}

void curl_loop_free(struct curl_loop *l, void (*done)(void *arg), void *arg)
{
    l->done = done;
    l->done_arg = arg;
    curl_multi_cleanup(l->multi); /* first: it still calls on_socket */
    uv_close((uv_handle_t *)&l->timer, on_timer_closed);
}
