#include "bridge/doctor/doctor_internal.h"

#include "signalr/http/http_cors.h"
#include <arpa/inet.h>

#define URL_MAX 512
#define FOREIGN_ORIGIN "https://not-listed.invalid"

/* Urls' first address as a caller on this host reaches it. */
static void base_url(const struct settings *s, char out[URL_MAX])
{
    const struct sockaddr_storage *at = &s->urls.items[0].addresses[0];
    const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)at;
    const struct sockaddr_in *v4 = (const struct sockaddr_in *)at;
    char host[INET6_ADDRSTRLEN] = "";

    if (at->ss_family == AF_INET6) {
        if (IN6_IS_ADDR_UNSPECIFIED(&v6->sin6_addr))
            snprintf(out, URL_MAX, "http://127.0.0.1:%u", ntohs(v6->sin6_port));
        else if (inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof host) != NULL)
            snprintf(out, URL_MAX, "http://[%s]:%u", host, ntohs(v6->sin6_port));
        return;
    }
    inet_ntop(AF_INET, &v4->sin_addr, host, sizeof host);
    snprintf(out, URL_MAX, "http://%s:%u",
             v4->sin_addr.s_addr == htonl(INADDR_ANY) ? "127.0.0.1" : host, ntohs(v4->sin_port));
}

/* True: a bridge answers. */
static bool check_running(struct doctor *d, const char *base)
{
    char url[URL_MAX + 16];
    struct doctor_answer a;
    char status[16];
    bool running;

    snprintf(url, sizeof url, "%s/readyz", base);
    doctor_http(d, &(struct doctor_request){.method = "GET", .url = url}, &a);
    running = (a.status == 200 || a.status == 503) &&
              doctor_text_member(byte_buf_slice(&a.body), "status", status, sizeof status);
    if (running && strcmp(status, "ok") == 0)
        doctor_say(d, DOCTOR_OK, "bridge", "one runs at %s and is ready", base);
    else if (running)
        doctor_say(d, DOCTOR_WARN, "bridge", "one runs at %s and says %.*s", base, (int)a.body.len,
                   a.body.data);
    else if (a.status != 0)
        doctor_say(d, DOCTOR_WARN, "bridge",
                   "what answers at %s is none (status %ld): is another program on that port?",
                   base, a.status);
    else
        doctor_say(d, DOCTOR_OK, "bridge",
                   "none runs at %s (%s); CORS is judged by these settings alone", base, a.error);
    doctor_answer_free(&a);
    return running;
}

/* ---- CORS ---- */

static bool allowed_by_settings(const struct settings *s, const char *origin)
{
    const struct http_header header = {SLICE_LIT("Origin"), slice_of(origin)};
    const struct http_view v = {.headers = &header, .nheaders = 1};

    return http_cors_upgrade_allowed((const char *const *)s->cors_origins.items, &v);
}

struct verdict {
    bool preflight, upgrade;
    long preflight_status, upgrade_status;
};

static struct verdict ask_running(const struct doctor *d, const char *base, const char *origin)
{
    char url[URL_MAX + 300], header[320];
    struct verdict v;
    struct doctor_answer a;

    snprintf(header, sizeof header, "Origin: %s", origin);
    snprintf(url, sizeof url, "%s%s/negotiate?negotiateVersion=1", base, d->settings->hub_path);
    doctor_http(d,
                &(struct doctor_request){
                    .method = "OPTIONS",
                    .url = url,
                    .headers = {header, "Access-Control-Request-Method: POST",
                                "Access-Control-Request-Headers: "
                                "authorization,x-requested-with,x-signalr-user-agent"}},
                &a);
    v.preflight_status = a.status;
    v.preflight = strcmp(a.allow_origin, origin) == 0 && strcmp(a.allow_credentials, "true") == 0;
    doctor_answer_free(&a);
    snprintf(url, sizeof url, "%s%s", base, d->settings->hub_path);
    doctor_http(
        d,
        &(struct doctor_request){.method = "GET",
                                 .url = url,
                                 .headers = {header, "Connection: Upgrade", "Upgrade: websocket",
                                             "Sec-WebSocket-Version: 13",
                                             "Sec-WebSocket-Key: ZG9jdG9yLWRvY3Rvci1kbw=="},
                                 .no_body = true},
        &a);
    v.upgrade_status = a.status;
    v.upgrade = a.status == 401 || a.status == 101; /* without a token; 403 is the Origin's */
    doctor_answer_free(&a);
    return v;
}

static void check_origin(struct doctor *d, const char *base, bool running, const char *origin)
{
    struct verdict v;

    if (!running) {
        doctor_say(d, DOCTOR_OK, "cors", "%s is listed in App:CorsOrigins", origin);
        return;
    }
    v = ask_running(d, base, origin);
    if (v.preflight && v.upgrade)
        doctor_say(d, DOCTOR_OK, "cors", "%s: the bridge lets its pages negotiate and connect",
                   origin);
    else if (!v.preflight)
        doctor_say(d, DOCTOR_FAIL, "cors",
                   "%s: the running bridge does not allow it (status %ld): it runs with other "
                   "settings, or something in between answers preflights",
                   origin, v.preflight_status);
    else
        doctor_say(d, DOCTOR_FAIL, "cors",
                   "%s: pages may negotiate, but their WebSocket is refused (status %ld)", origin,
                   v.upgrade_status);
}

static void check_origins(struct doctor *d, const char *base, bool running)
{
    const struct settings_list *listed = &d->settings->cors_origins;
    bool foreign;

    if (listed->count == 0)
        doctor_say(d, DOCTOR_WARN, "cors",
                   "App:CorsOrigins is empty: only pages of the bridge's own address can connect");
    for (size_t i = 0; i < listed->count; i++)
        check_origin(d, base, running, listed->items[i]);
    foreign = running ? ask_running(d, base, FOREIGN_ORIGIN).preflight
                      : allowed_by_settings(d->settings, FOREIGN_ORIGIN);
    if (foreign)
        doctor_say(d, DOCTOR_FAIL, "cors",
                   "a page of any origin may connect: something in front adds CORS headers");
    else
        doctor_say(d, DOCTOR_OK, "cors", "an origin that is not listed is refused");
}

/* ---- negotiate ---- */

static void check_negotiate(struct doctor *d, const char *base)
{
    char url[URL_MAX + 300];
    struct byte_buf header = {0};
    struct doctor_answer a;
    char token[64];

    snprintf(url, sizeof url, "%s%s/negotiate?negotiateVersion=1", base, d->settings->hub_path);
    byte_buf_puts(&header, "Authorization: Bearer ");
    byte_buf_put(&header, d->token);
    byte_buf_append(&header, "", 1);
    if (byte_buf_failed(&header))
        return;
    doctor_http(d,
                &(struct doctor_request){
                    .method = "POST", .url = url, .headers = {header.data, "Content-Length: 0"}},
                &a);
    if (a.status == 200 &&
        doctor_text_member(byte_buf_slice(&a.body), "connectionToken", token, sizeof token))
        doctor_say(d, d->token_good ? DOCTOR_OK : DOCTOR_WARN, "negotiate",
                   d->token_good ? "the running bridge takes the token"
                                 : "the running bridge takes the token, these settings don't: it "
                                   "runs with others");
    else if (a.status == 401)
        doctor_say(d, DOCTOR_FAIL, "negotiate",
                   d->token_good ? "the running bridge refuses the token, these settings don't: it "
                                   "runs with others, or the host's clock was set meanwhile"
                                 : "the running bridge refuses the token, too");
    else
        doctor_say(d, DOCTOR_FAIL, "negotiate", "the running bridge answers %ld %s", a.status,
                   a.status == 0 ? a.error : "");
    explicit_bzero(header.data, header.cap);
    byte_buf_free(&header);
    doctor_answer_free(&a);
}

void doctor_bridge(struct doctor *d)
{
    char base[URL_MAX] = "";
    bool running;

    base_url(d->settings, base);
    running = check_running(d, base);
    check_origins(d, base, running);
    if (d->token.len > 0 && memchr(d->token.ptr, '.', d->token.len) != NULL && running)
        check_negotiate(d, base);
}
