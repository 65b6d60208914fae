#include "bridge/doctor/doctor_internal.h"

#include <curl/curl.h>
#include <strings.h>

enum { BODY_MAX = 64 * 1024, WAIT_S = 10, UPGRADE_WAIT_S = 2 };

/* The value of "name: value" in a header line, into out; other lines leave it. */
static void take(struct slice line, const char *name, char *out, size_t cap)
{
    size_t n = strlen(name);

    if (line.len <= n || line.ptr[n] != ':' || strncasecmp(line.ptr, name, n) != 0)
        return;
    for (n++; n < line.len && line.ptr[n] == ' '; n++)
        ;
    while (line.len > n && strchr(" \r\n", line.ptr[line.len - 1]) != NULL)
        line.len--;
    snprintf(out, cap, "%.*s", (int)(line.len - n), line.ptr + n);
}

static size_t on_header(char *data, size_t size, size_t count, void *arg)
{
    struct doctor_answer *a = arg;
    const struct slice line = {data, size * count};
    char date[64] = "";

    take(line, "access-control-allow-origin", a->allow_origin, sizeof a->allow_origin);
    take(line, "access-control-allow-credentials", a->allow_credentials,
         sizeof a->allow_credentials);
    take(line, "location", a->location, sizeof a->location);
    take(line, "date", date, sizeof date);
    if (date[0] != '\0')
        a->date_ms = (int64_t)curl_getdate(date, NULL) * 1000;
    return line.len;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
    struct doctor_answer *a = arg;

    byte_buf_append(&a->body, data, size * count);
    return size * count; /* what is beyond the limit is not missed */
}

static bool set_tls(CURL *curl, const struct settings *s)
{
    bool ok = curl_easy_setopt(curl, CURLOPT_CERTINFO, 1L) == CURLE_OK;

    if (s->im.ca_file[0] != '\0') /* in place of the system's, as for the bridge */
        ok = ok && curl_easy_setopt(curl, CURLOPT_CAINFO, s->im.ca_file) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_CAPATH, NULL) == CURLE_OK;
    if (s->im.client_cert_file[0] != '\0')
        ok = ok && curl_easy_setopt(curl, CURLOPT_SSLCERT, s->im.client_cert_file) == CURLE_OK;
    if (s->im.client_key_file[0] != '\0')
        ok = ok && curl_easy_setopt(curl, CURLOPT_SSLKEY, s->im.client_key_file) == CURLE_OK;
    if (!s->im.tls_verify)
        ok = ok && curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 0L) == CURLE_OK &&
             curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 0L) == CURLE_OK;
    return ok;
}

static bool set_options(CURL *curl, const struct doctor *d, const struct doctor_request *r,
                        struct curl_slist *headers, struct doctor_answer *a)
{
    const char *proxy = r->to_rocketchat ? d->settings->im.proxy : "";
    bool ok = curl_easy_setopt(curl, CURLOPT_URL, r->url) == CURLE_OK;

    ok = ok && curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, r->method) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_TIMEOUT,
                                r->no_body ? (long)UPGRADE_WAIT_S : (long)WAIT_S) == CURLE_OK;
    /* "" means no proxy even when the environment names one. */
    ok = ok && curl_easy_setopt(curl, CURLOPT_PROXY, proxy) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_NOPROXY, "") == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_USERAGENT, "pushbridge-doctor") == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_HEADERDATA, a) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_WRITEDATA, a) == CURLE_OK;
    ok = ok && curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, a->error) == CURLE_OK;
    return ok && (!r->to_rocketchat || set_tls(curl, d->settings));
}

static void take_certificate(CURL *curl, struct doctor_answer *a)
{
    struct curl_certinfo *info = NULL;

    if (curl_easy_getinfo(curl, CURLINFO_CERTINFO, &info) != CURLE_OK || info == NULL ||
        info->num_of_certs == 0)
        return;
    for (const struct curl_slist *l = info->certinfo[0]; l != NULL; l = l->next) {
        take(slice_of(l->data), "expire date", a->expires, sizeof a->expires);
        take(slice_of(l->data), "issuer", a->issuer, sizeof a->issuer);
    }
}

void doctor_http(const struct doctor *d, const struct doctor_request *r, struct doctor_answer *a)
{
    CURL *curl = curl_easy_init();
    struct curl_slist *headers = NULL;
    CURLcode code = CURLE_OUT_OF_MEMORY;

    *a = (struct doctor_answer){.body = {.limit = BODY_MAX}};
    for (size_t i = 0; r->headers[i] != NULL; i++)
        headers = curl_slist_append(headers, r->headers[i]);
    if (curl != NULL && set_options(curl, d, r, headers, a)) {
        code = curl_easy_perform(curl);
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &a->status);
        take_certificate(curl, a);
    }
    a->tls_refused = code == CURLE_PEER_FAILED_VERIFICATION;
    a->refused = code == CURLE_COULDNT_CONNECT;
    if (a->error[0] == '\0')
        snprintf(a->error, sizeof a->error, "%s", curl_easy_strerror(code));
    curl_slist_free_all(headers);
    curl_easy_cleanup(curl);
}

void doctor_answer_free(struct doctor_answer *a)
{
    byte_buf_free(&a->body);
}
