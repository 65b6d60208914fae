#include "bridge/doctor/doctor_internal.h"

#include "base/hash.h"
#include "base/json_slice.h"
#include "bridge/rc_clients.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/rest_client.h"
#include <curl/curl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

void doctor_say(struct doctor *d, enum doctor_mark mark, const char *check, const char *format, ...)
{
    static const char *const words[] = {"ok", "warn", "FAIL"};
    char text[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    for (char *p = text; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    d->counts[mark]++;
    printf("%-4s  %s: %s\n", words[mark], check, text);
    fflush(stdout);
}

/* A turn begins with the timers that are due. What one of them ended is not waited for any more. */
static void on_before_sleep(uv_prepare_t *prepare)
{
    struct doctor *d = prepare->data;

    if (d->awaited != NULL && *d->awaited)
        uv_stop(&d->loop);
}

void doctor_wait(struct doctor *d, const bool *done)
{
    d->awaited = done;
    while (!*done)
        uv_run(&d->loop, UV_RUN_ONCE);
    d->awaited = NULL;
}

int64_t doctor_wall_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void doctor_keep(char *out, size_t cap, struct slice text)
{
    snprintf(out, cap, "%.*s", (int)text.len, text.ptr == NULL ? "" : text.ptr);
}

bool doctor_text_member(struct slice json, const char *name, char *out, size_t cap)
{
    struct json_reader r;
    struct slice key, raw = {0};
    size_t len;

    json_reader_init(&r, json.ptr, json.len, JSON_MAX_DEPTH);
    if (json_enter_object(&r))
        while (json_next_key(&r, &key)) {
            if (json_string_is(key, name) && json_peek(&r) == JSON_KIND_STRING)
                json_read_string(&r, &raw);
            else
                json_skip(&r);
        }
    if (!json_end(&r) || raw.len == 0 || !json_string_unescape(raw, out, cap - 1, &len))
        return false;
    out[len] = '\0';
    return true;
}

static void set_done(void *arg)
{
    *(bool *)arg = true;
}

/* A line of stdin, without what stands around it. */
static bool read_token(struct byte_buf *out)
{
    char part[4096];
    size_t n;

    out->limit = 2 * JWT_MAX_BYTES;
    while ((n = fread(part, 1, sizeof part, stdin)) > 0)
        byte_buf_append(out, part, n);
    while (out->len > 0 && strchr(" \t\r\n", out->data[out->len - 1]) != NULL)
        out->len--;
    return !byte_buf_failed(out);
}

static bool open_parts(struct doctor *d)
{
    char error[512];
    int rc;

    if (!user_rules_open(&d->rules, d->settings, &d->keys, error, sizeof error)) {
        doctor_say(d, DOCTOR_FAIL, "settings", "%s", error);
        return false;
    }
    rc = rc_clients_open(&d->loop, d->settings, &d->ddp, &d->rest);
    if (rc != 0) {
        doctor_say(d, DOCTOR_FAIL, "settings", "the clients of Rocket.Chat can't be made: %s",
                   uv_strerror(rc));
        return false;
    }
    rc_address_url(&d->settings->im.address.rest, d->rest_url);
    doctor_say(d, DOCTOR_OK, "settings", "they are good; key files and templates too");
    return true;
}

static void close_parts(struct doctor *d)
{
    bool done = d->rest == NULL;

    if (d->rest != NULL)
        rest_client_free(d->rest, set_done, &done);
    doctor_wait(d, &done);
    done = d->ddp == NULL;
    if (d->ddp != NULL)
        ddp_client_free(d->ddp, set_done, &done);
    doctor_wait(d, &done);
    user_rules_close(&d->rules);
    jwt_keys_unref(d->keys);
}

static void run_checks(struct doctor *d)
{
    doctor_keys(d);
    doctor_token(d);
    doctor_bridge(d);
    doctor_server(d);
    doctor_user(d);
}

int doctor_run(const struct settings *settings, const char *token)
{
    static const uint8_t seed[16] = {0}; /* one peer at a time: nothing here to aim at */
    struct doctor d = {.settings = settings, .token = slice_of(token)};
    struct byte_buf given = {0};
    int exit_code = DOCTOR_EXIT_OK;

    signal(SIGPIPE, SIG_IGN);
    hash_seed(seed);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    if (token != NULL && strcmp(token, "-") == 0) {
        if (!read_token(&given))
            doctor_say(&d, DOCTOR_FAIL, "token", "what stdin holds is too long for one");
        d.token = byte_buf_failed(&given) ? (struct slice){NULL, 0} : byte_buf_slice(&given);
    }
    if (uv_loop_init(&d.loop) != 0)
        return DOCTOR_EXIT_FAIL;
    uv_prepare_init(&d.loop, &d.before_sleep); /* cannot fail in libuv 1.x */
    d.before_sleep.data = &d;
    uv_prepare_start(&d.before_sleep, on_before_sleep);
    if (open_parts(&d))
        run_checks(&d);
    close_parts(&d);
    uv_close((uv_handle_t *)&d.before_sleep, NULL);
    uv_run(&d.loop, UV_RUN_DEFAULT);
    uv_loop_close(&d.loop);
    byte_buf_free(&given);
    printf("%u ok, %u warnings, %u failures\n", d.counts[DOCTOR_OK], d.counts[DOCTOR_WARN],
           d.counts[DOCTOR_FAIL]);
    if (d.counts[DOCTOR_WARN] > 0)
        exit_code = DOCTOR_EXIT_WARN;
    if (d.counts[DOCTOR_FAIL] > 0)
        exit_code = DOCTOR_EXIT_FAIL;
    return exit_code;
}
