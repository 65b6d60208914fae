#include "bridge/identity/jwks_source.h"

#include "base/byte_buf.h"
#include "bridge/identity/jwks.h"

#include <assert.h>
#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

struct jwks_source {
    uv_timer_t timer;
    uv_async_t hint;
    uv_work_t work;
    unsigned open_handles; /* timer and hint; on_closed waits for both and for the fetch */
    bool fetching, closing;
    atomic_bool give_up; /* read by the fetch */

    char *location, *ca_file, *proxy; /* never NULL */
    uint32_t timeout_ms, refresh_ms, min_gap_ms, retry_ms;
    bool allow_hmac;
    uint64_t last_fetch_ms; /* loop time of its start */
    struct jwt_keys *base;
    struct byte_buf last_good; /* the document behind the newest set */

    /* Belongs to the fetch while fetching is true, to the loop otherwise. */
    struct byte_buf body;
    struct jwks_source_report report;

    jwks_source_fn on_report;
    void *arg;
    void (*on_closed)(void *arg);
    void *closed_arg;
};

static bool is_url(const char *location)
{
    return strncasecmp(location, "http://", 7) == 0 || strncasecmp(location, "https://", 8) == 0;
}

/* ---- on the thread pool ---- */

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct jwks_source *s = arg;

    byte_buf_append(&s->body, data, size * count);
    return byte_buf_failed(&s->body) ? 0 : size * count;
}

static int on_progress(void *arg, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal,
                       curl_off_t ulnow)
{
    const struct jwks_source *s = arg;

    (void)dltotal, (void)dlnow, (void)ultotal, (void)ulnow;
    return atomic_load(&s->give_up) ? 1 : 0;
}

static bool set_options(CURL *curl, struct jwks_source *s)
{
    bool ok = curl_easy_setopt(curl, CURLOPT_URL, s->location) == CURLE_OK;

    ok &= curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok &= curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    /* Giving up must not wait for a resolver that hangs. */
    ok &= curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
    ok &= curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)s->timeout_ms) == CURLE_OK;
    /* "" means no proxy even when the environment names one. */
    ok &= curl_easy_setopt(curl, CURLOPT_PROXY, s->proxy) == CURLE_OK;
    ok &= curl_easy_setopt(curl, CURLOPT_NOPROXY, "") == CURLE_OK;
    if (s->ca_file[0] != '\0')
        ok &= curl_easy_setopt(curl, CURLOPT_CAINFO, s->ca_file) == CURLE_OK;
    ok &= curl_easy_setopt(curl, CURLOPT_USERAGENT, "pushbridge") == CURLE_OK;
    ok &= curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    ok &= curl_easy_setopt(curl, CURLOPT_WRITEDATA, s) == CURLE_OK;
    ok &= curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L) == CURLE_OK;
    ok &= curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress) == CURLE_OK;
    ok &= curl_easy_setopt(curl, CURLOPT_XFERINFODATA, s) == CURLE_OK;
    return ok;
}

static enum jwks_source_result fetch_url(struct jwks_source *s)
{
    enum jwks_source_result result = JWKS_SOURCE_NO_MEMORY;
    CURL *curl = curl_easy_init();
    CURLcode code;

    if (curl == NULL || !set_options(curl, s))
        goto done;
    code = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &s->report.http_status);
    if (code == CURLE_WRITE_ERROR && byte_buf_failed(&s->body)) {
        result = JWKS_SOURCE_TOO_LARGE;
    } else if (code != CURLE_OK) {
        s->report.detail = curl_easy_strerror(code);
        result = JWKS_SOURCE_UNREACHABLE;
    } else {
        result = s->report.http_status == 200 ? JWKS_SOURCE_NEW_KEYS : JWKS_SOURCE_BAD_STATUS;
    }
done:
    curl_easy_cleanup(curl);
    return result;
}

static enum jwks_source_result read_file(struct jwks_source *s)
{
    enum jwks_source_result result = JWKS_SOURCE_NEW_KEYS;
    FILE *file = fopen(s->location, "re");
    char chunk[4096];
    size_t n;

    if (file == NULL) {
        s->report.detail = "can't open the file";
        return JWKS_SOURCE_UNREACHABLE;
    }
    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0 && !byte_buf_failed(&s->body))
        byte_buf_append(&s->body, chunk, n);
    if (byte_buf_failed(&s->body)) {
        result = JWKS_SOURCE_TOO_LARGE;
    } else if (ferror(file)) {
        s->report.detail = "can't read the file";
        result = JWKS_SOURCE_UNREACHABLE;
    }
    fclose(file);
    return result;
}

static enum jwks_source_result make_keys(struct jwks_source *s)
{
    struct jwt_keys *keys;

    if (s->last_good.len > 0 && slice_eq(byte_buf_slice(&s->body), byte_buf_slice(&s->last_good)))
        return JWKS_SOURCE_UNCHANGED;
    keys = jwt_keys_copy(s->base);
    if (keys == NULL)
        return JWKS_SOURCE_NO_MEMORY;
    switch (jwks_parse(byte_buf_slice(&s->body), s->allow_hmac, keys, &s->report.passed_over)) {
    case JWKS_OK:
        s->report.keys = keys;
        return JWKS_SOURCE_NEW_KEYS;
    case JWKS_NO_KEYS:
        jwt_keys_unref(keys);
        return JWKS_SOURCE_NO_USABLE_KEY;
    case JWKS_NO_MEMORY:
        jwt_keys_unref(keys);
        return JWKS_SOURCE_NO_MEMORY;
    case JWKS_TOO_LARGE:
    case JWKS_MALFORMED:
        break;
    }
    jwt_keys_unref(keys);
    return JWKS_SOURCE_MALFORMED;
}

static void fetch(uv_work_t *work)
{
    struct jwks_source *s = work->data;

    s->report = (struct jwks_source_report){.detail = ""};
    byte_buf_clear(&s->body);
    s->report.result = is_url(s->location) ? fetch_url(s) : read_file(s);
    if (s->report.result == JWKS_SOURCE_NEW_KEYS)
        s->report.result = make_keys(s);
}

/* ---- on the loop's thread ---- */

static void on_timer(uv_timer_t *timer);

/* After the last of timer, hint and fetch has ended. */
static void free_if_done(struct jwks_source *s)
{
    void (*on_closed)(void *) = s->on_closed;
    void *arg = s->closed_arg;

    if (!s->closing || s->open_handles > 0 || s->fetching)
        return;
    jwt_keys_unref(s->base);
    byte_buf_free(&s->body);
    byte_buf_free(&s->last_good);
    free(s->location);
    free(s->ca_file);
    free(s->proxy);
    free(s);
    on_closed(arg);
}

static void schedule(struct jwks_source *s, uint64_t after_ms)
{
    int rc = uv_timer_start(&s->timer, on_timer, after_ms, 0);

    assert(rc == 0);
}

static void on_fetched(uv_work_t *work, int status)
{
    struct jwks_source *s = work->data;
    struct jwks_source_report report = s->report;
    bool good = report.result == JWKS_SOURCE_NEW_KEYS || report.result == JWKS_SOURCE_UNCHANGED;

    assert(status == 0); /* nobody cancels it */
    s->fetching = false;
    s->report = (struct jwks_source_report){0};
    if (report.result == JWKS_SOURCE_NEW_KEYS) {
        struct byte_buf old = s->last_good;

        s->last_good = s->body;
        s->body = old;
    }
    if (!s->closing) {
        uint32_t wait_ms = good ? s->refresh_ms : s->retry_ms;

        if (good)
            s->retry_ms = s->min_gap_ms;
        else
            s->retry_ms = s->retry_ms < s->refresh_ms / 2 ? s->retry_ms * 2 : s->refresh_ms;
        schedule(s, wait_ms);
        s->on_report(s->arg, &report); /* may close s, which can't be freed before we return */
    }
    jwt_keys_unref(report.keys);
    free_if_done(s);
}

static void on_timer(uv_timer_t *timer)
{
    struct jwks_source *s = timer->data;
    int rc;

    s->fetching = true;
    s->last_fetch_ms = uv_now(timer->loop);
    rc = uv_queue_work(timer->loop, &s->work, fetch, on_fetched);
    assert(rc == 0);
}

/* A fetch that is running may have missed the newest key, yet it counts: the next token with that
 * kid asks again. */
static void on_hint(uv_async_t *hint)
{
    struct jwks_source *s = hint->data;
    uint64_t since_ms = uv_now(hint->loop) - s->last_fetch_ms;
    uint64_t wait_ms = since_ms < s->min_gap_ms ? s->min_gap_ms - since_ms : 0;

    if (!s->fetching && !s->closing && wait_ms < uv_timer_get_due_in(&s->timer))
        schedule(s, wait_ms);
}

static char *copy(const char *text)
{
    return strdup(text == NULL ? "" : text);
}

struct jwks_source *jwks_source_new(uv_loop_t *loop, const struct jwks_source_options *options,
                                    struct jwt_keys *base, jwks_source_fn on_report, void *arg)
{
    struct jwks_source *s = calloc(1, sizeof *s);

    if (s == NULL)
        return NULL;
    s->location = copy(options->location);
    s->ca_file = copy(options->ca_file);
    s->proxy = copy(options->proxy);
    if (s->location == NULL || s->ca_file == NULL || s->proxy == NULL)
        goto fail;
    s->timeout_ms = options->timeout_ms;
    s->refresh_ms = options->refresh_ms;
    s->min_gap_ms = options->min_gap_ms;
    s->retry_ms =
        options->min_gap_ms < options->refresh_ms ? options->min_gap_ms : options->refresh_ms;
    s->allow_hmac = options->allow_hmac;
    s->body.limit = s->last_good.limit = JWKS_MAX_BYTES;
    s->on_report = on_report;
    s->arg = arg;
    atomic_init(&s->give_up, false);
    s->timer.data = s->hint.data = s->work.data = s;
    /* The async comes first: it's the one that can fail (descriptors), and nothing is to undo then.
     */
    if (uv_async_init(loop, &s->hint, on_hint) != 0)
        goto fail;
    uv_timer_init(loop, &s->timer);
    s->open_handles = 2;
    s->base = jwt_keys_ref(base);
    schedule(s, 0);
    return s;
fail:
    free(s->location);
    free(s->ca_file);
    free(s->proxy);
    free(s);
    return NULL;
}

void jwks_source_hint(struct jwks_source *s)
{
    uv_async_send(&s->hint); /* carries no data, so its plain first load can miss nothing of ours */
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct jwks_source *s = handle->data;

    s->open_handles--;
    free_if_done(s);
}

void jwks_source_close(struct jwks_source *s, void (*on_closed)(void *arg), void *arg)
{
    assert(!s->closing);
    s->closing = true;
    s->on_closed = on_closed;
    s->closed_arg = arg;
    atomic_store(&s->give_up, true);
    uv_close((uv_handle_t *)&s->timer, on_handle_closed);
    uv_close((uv_handle_t *)&s->hint, on_handle_closed);
}

const char *jwks_source_result_text(enum jwks_source_result result)
{
    static const char *const texts[JWKS_SOURCE_NRESULTS] = {
        [JWKS_SOURCE_NEW_KEYS] = "new keys",
        [JWKS_SOURCE_UNCHANGED] = "unchanged",
        [JWKS_SOURCE_UNREACHABLE] = "can't be read",
        [JWKS_SOURCE_BAD_STATUS] = "HTTP status other than 200",
        [JWKS_SOURCE_TOO_LARGE] = "larger than 256 KiB",
        [JWKS_SOURCE_MALFORMED] = "not a JSON Web Key Set",
        [JWKS_SOURCE_NO_USABLE_KEY] = "no key in it can be used",
        [JWKS_SOURCE_NO_MEMORY] = "out of memory",
    };

    assert((unsigned)result < JWKS_SOURCE_NRESULTS);
    return texts[result];
}
