#include "rocketchat/rest_answer.h"
#include "base/json_slice.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define MAX_DEPTH 64
#define MAX_WAIT_MS ((uint64_t)3600 * 1000) /* what a server may ask for */

/* ---- headers ---- */

/* Digits only; up to 10^15, which keeps all sums of ours from overflowing. */
static bool read_number(struct slice s, int64_t *out)
{
    uint64_t n;

    if (!slice_read_digits(s, UINT64_C(1000000000000000), &n))
        return false;
    *out = (int64_t)n;
    return true;
}

/* RFC 9110's preferred form, "Sun, 06 Nov 1994 08:49:37 GMT"; others count as absent. */
static bool read_date(struct slice s, int64_t *ms)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm tm = {0};
    char text[32], month[4];
    const char *found;

    if (s.len >= sizeof text)
        return false;
    memcpy(text, s.ptr, s.len);
    text[s.len] = '\0';
    if (sscanf(text, "%*3[A-Za-z], %2d %3[A-Za-z] %4d %2d:%2d:%2d GMT", &tm.tm_mday, month,
               &tm.tm_year, &tm.tm_hour, &tm.tm_min, &tm.tm_sec) != 6)
        return false;
    found = strlen(month) == 3 ? strstr(months, month) : NULL;
    if (found == NULL || (found - months) % 3 != 0 || tm.tm_year < 1970)
        return false;
    tm.tm_mon = (int)(found - months) / 3;
    tm.tm_year -= 1900;
    *ms = (int64_t)timegm(&tm) * 1000;
    return true;
}

void rest_headers_line(struct rest_headers *h, struct slice line)
{
    const char *colon = line.len == 0 ? NULL : memchr(line.ptr, ':', line.len);
    struct slice name, value;

    if (line.len >= 5 && memcmp(line.ptr, "HTTP/", 5) == 0) {
        *h = (struct rest_headers){0};
        return;
    }
    if (colon == NULL)
        return;
    name = (struct slice){line.ptr, (size_t)(colon - line.ptr)};
    value = slice_trim((struct slice){colon + 1, line.len - name.len - 1}, " \t\r\n");
    if (slice_eq_nocase(name, SLICE_LIT("X-RateLimit-Limit")))
        h->has_limit = read_number(value, &h->limit);
    else if (slice_eq_nocase(name, SLICE_LIT("X-RateLimit-Remaining")))
        h->has_remaining = read_number(value, &h->remaining);
    else if (slice_eq_nocase(name, SLICE_LIT("X-RateLimit-Reset")))
        h->has_reset = read_number(value, &h->reset_ms);
    else if (slice_eq_nocase(name, SLICE_LIT("Retry-After")))
        h->has_retry_after = read_number(value, &h->retry_after_s);
    else if (slice_eq_nocase(name, SLICE_LIT("Date")))
        h->has_date = read_date(value, &h->date_ms);
}

static uint64_t bounded_wait(int64_t ms)
{
    if (ms < 0)
        return 0;
    return (uint64_t)ms > MAX_WAIT_MS ? MAX_WAIT_MS : (uint64_t)ms;
}

/* The reset is told in the server's time: what counts is its distance from the server's Date. */
static uint64_t reset_wait(const struct rest_headers *h, int64_t now_ms)
{
    return bounded_wait(h->reset_ms - (h->has_date ? h->date_ms : now_ms));
}

void rest_headers_rate(const struct rest_headers *h, int64_t now_ms, struct rest_rate *out)
{
    *out = (struct rest_rate){0};
    if (!h->has_limit || !h->has_remaining || h->limit > UINT32_MAX || h->remaining > UINT32_MAX)
        return;
    out->known = true;
    out->limit = (uint32_t)h->limit;
    out->remaining = (uint32_t)h->remaining;
    if (h->has_reset)
        out->reset_in_ms = reset_wait(h, now_ms);
}

/* ---- the error object ---- */

struct error_parts {
    bool is_object, failed;
    struct slice error, error_type, message; /* raw string text, or the text of a number */
    struct slice details_code;
    int64_t time_to_reset_ms; /* -1: not told */
    bool two_factor_details;
};

static struct slice read_text(struct json_reader *r)
{
    struct slice s = {0};

    switch (json_peek(r)) {
    case JSON_KIND_STRING:
        json_read_string(r, &s);
        break;
    case JSON_KIND_NUMBER:
        json_read_raw(r, &s);
        break;
    default:
        json_skip(r);
        break;
    }
    return s;
}

/* totp-required's details name the method and what else could be used (rocketchat.md 2.3). */
static void read_details(struct json_reader *r, struct error_parts *p)
{
    struct slice key;

    if (!json_enter_object_or_skip(r))
        return;
    while (json_next_key(r, &key)) {
        if (json_string_is(key, "error") || json_string_is(key, "errorType") ||
            json_string_is(key, "code")) {
            struct slice text = read_text(r);
            if (text.len > 0)
                p->details_code = text;
        } else if (json_string_is(key, "availableMethods")) {
            p->two_factor_details = json_peek(r) == JSON_KIND_ARRAY;
            json_skip(r);
        } else if (json_string_is(key, "timeToReset")) {
            int64_t ms;
            if (read_number(read_text(r), &ms))
                p->time_to_reset_ms = ms;
        } else {
            json_skip(r);
        }
    }
}

/* False: not JSON at all. */
static bool read_parts(struct slice body, struct error_parts *p)
{
    struct json_reader r;
    struct slice key;

    *p = (struct error_parts){.time_to_reset_ms = -1};
    json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
    p->is_object = json_peek(&r) == JSON_KIND_OBJECT;
    if (!p->is_object) {
        json_skip(&r);
        return json_end(&r);
    }
    json_enter_object(&r);
    while (json_next_key(&r, &key)) {
        if (json_string_is(key, "success")) {
            p->failed |= json_peek(&r) == JSON_KIND_FALSE;
            json_skip(&r);
        } else if (json_string_is(key, "status")) {
            struct slice status = read_text(&r);
            p->failed |= json_string_is(status, "error");
        } else if (json_string_is(key, "error")) {
            p->error = read_text(&r);
        } else if (json_string_is(key, "errorType")) {
            p->error_type = read_text(&r);
        } else if (json_string_is(key, "message")) {
            p->message = read_text(&r);
        } else if (json_string_is(key, "details")) {
            read_details(&r, p);
        } else {
            json_skip(&r);
        }
    }
    return json_end(&r);
}

/* A code is a word: the whole text, or what stands in brackets at the end of it. Nothing else of
 * the peer's text gets out of here. */
static struct slice code_in(struct slice text, bool whole)
{
    size_t open = text.len;

    if (text.len > 2 && text.ptr[text.len - 1] == ']') {
        while (open > 0 && text.ptr[open - 1] != '[')
            open--;
        if (open == 0)
            return (struct slice){0};
        text = (struct slice){text.ptr + open, text.len - open - 1};
    } else if (!whole) {
        return (struct slice){0};
    }
    for (size_t i = 0; i < text.len; i++)
        if (!isalnum((unsigned char)text.ptr[i]) && memchr("-_.", text.ptr[i], 3) == NULL)
            return (struct slice){0};
    return text;
}

static uint64_t wait_in_text(struct slice text)
{
    static const char word[] = "wait ";

    for (size_t i = 0; i + sizeof word <= text.len; i++) {
        struct slice digits = {text.ptr + i + sizeof word - 1, 0};
        int64_t seconds;

        if (memcmp(text.ptr + i, word, sizeof word - 1) != 0)
            continue;
        while (digits.ptr + digits.len < text.ptr + text.len && digits.ptr[digits.len] >= '0' &&
               digits.ptr[digits.len] <= '9')
            digits.len++;
        if (digits.len <= 9 && read_number(digits, &seconds))
            return bounded_wait(seconds * 1000);
    }
    return 0;
}

static uint64_t wait_told(const struct error_parts *p, const struct rest_headers *h, int64_t now_ms)
{
    uint64_t wait = wait_in_text(p->error);

    if (wait == 0)
        wait = wait_in_text(p->message);
    if (wait == 0)
        wait = bounded_wait(p->time_to_reset_ms);
    if (wait == 0 && h->has_retry_after)
        wait = bounded_wait(h->retry_after_s * 1000);
    if (wait == 0 && h->has_reset)
        wait = reset_wait(h, now_ms);
    return wait;
}

static enum rc_result result_of_status(enum rest_kind kind, long status, bool is_json)
{
    if (status == 429)
        return RC_RATE_LIMITED;
    if (status == 408)
        return RC_TIMED_OUT;
    if (status >= 500 || status < 200)
        return RC_SERVER_ERROR;
    if (status == 404)
        return RC_NOT_FOUND;
    if (!is_json)
        return RC_SERVER_ERROR; /* somebody else's page: says nothing about the user */
    if (status == 401 || (status == 403 && kind == REST_KIND_LOGIN))
        return RC_UNAUTHORIZED;
    return status == 403 ? RC_NOT_ALLOWED : RC_FAILED;
}

static void set_from_status(struct rc_error *e, enum rest_kind kind, long status, bool is_json)
{
    char code[32];

    snprintf(code, sizeof code, "http-%ld", status);
    rc_error_set(e, slice_of(code));
    e->result = result_of_status(kind, status, is_json);
}

/* The most telling code: the first place with one that says more than "no". Failing that the first
 * code at all. A status that says "later" (5xx, 429) is outweighed by no code that says "never". */
static void set_from_parts(struct rc_error *e, enum rest_kind kind, long status,
                           const struct error_parts *p)
{
    const struct slice places[] = {code_in(p->error_type, true), code_in(p->error, true),
                                   code_in(p->message, false), code_in(p->details_code, true)};
    struct rc_error by_status, found;
    bool have = false;

    set_from_status(&by_status, kind, status, true);
    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (places[i].len == 0)
            continue;
        rc_error_set(&found, places[i]);
        if (kind == REST_KIND_LOGIN)
            rc_error_narrow_login(&found);
        if (rc_result_is_transient(by_status.result) && !rc_result_is_transient(found.result))
            continue;
        if (found.result != RC_FAILED && found.result != RC_UNAUTHORIZED &&
            found.result != RC_NOT_ALLOWED) {
            *e = found;
            return;
        }
        if (!have)
            *e = found;
        have = true;
    }
    if (p->two_factor_details && !rc_result_is_transient(by_status.result))
        rc_error_set(e, SLICE_LIT("totp-required"));
    else if (!have)
        *e = by_status;
    else if (e->result == RC_FAILED)
        e->result = by_status.result;
}

enum rc_result rest_answer_read(enum rest_kind kind, long status, const struct rest_headers *h,
                                int64_t now_ms, struct slice body, struct rc_error *error)
{
    struct error_parts p;
    bool is_json = read_parts(body, &p) && p.is_object;

    if (status >= 200 && status < 300 && !is_json) {
        rc_error_of(error, RC_MALFORMED);
    } else if (status >= 200 && status < 300 && !p.failed) {
        rc_error_of(error, RC_OK);
    } else if (is_json) {
        set_from_parts(error, kind, status, &p);
    } else {
        set_from_status(error, kind, status, false);
        p = (struct error_parts){.time_to_reset_ms = -1};
    }
    if (error->result == RC_RATE_LIMITED)
        error->retry_after_ms = wait_told(&p, h, now_ms);
    return error->result;
}

/* ---- login and me ---- */

static bool read_plain(struct json_reader *r, char *out, size_t cap)
{
    struct slice raw;
    size_t len;

    if (!json_read_string(r, &raw) || !json_string_unescape(raw, out, cap - 1, &len) ||
        memchr(out, '\0', len) != NULL)
        return false;
    out[len] = '\0';
    return true;
}

/* Ids and tokens travel in request headers. */
static bool header_safe(const char *s)
{
    if (*s == '\0')
        return false;
    for (; *s != '\0'; s++)
        if (*s <= ' ' || *s >= 0x7f)
            return false;
    return true;
}

/* The user document of `me`, alone or inside a login's answer. */
static bool read_user(struct json_reader *r, struct rest_identity *out)
{
    struct slice key;
    bool ok = json_enter_object(r);

    while (ok && json_next_key(r, &key)) {
        if (json_string_is(key, "_id"))
            ok = read_plain(r, out->user_id, sizeof out->user_id);
        else if (json_string_is(key, "username") && json_peek(r) == JSON_KIND_STRING)
            ok = read_plain(r, out->username, sizeof out->username);
        else
            json_skip(r);
    }
    return ok && !json_failed(r);
}

static bool read_login_data(struct json_reader *r, struct rest_identity *out)
{
    struct rest_identity me = {0};
    struct slice key;
    bool ok = json_enter_object(r);

    while (ok && json_next_key(r, &key)) {
        if (json_string_is(key, "userId"))
            ok = read_plain(r, out->user_id, sizeof out->user_id);
        else if (json_string_is(key, "authToken"))
            ok = read_plain(r, out->auth_token, sizeof out->auth_token);
        else if (json_string_is(key, "me") && json_peek(r) == JSON_KIND_OBJECT)
            ok = read_user(r, &me);
        else
            json_skip(r);
    }
    if (!ok || json_failed(r) || !header_safe(out->user_id) || !header_safe(out->auth_token))
        return false;
    /* `me` must be the user who was logged in, or its name proves nothing. */
    if (me.user_id[0] != '\0' && strcmp(me.user_id, out->user_id) != 0)
        return false;
    memcpy(out->username, me.username, sizeof out->username);
    return true;
}

bool rest_answer_login(struct slice body, struct rest_identity *out)
{
    struct json_reader r;
    struct slice key;
    bool found = false;

    *out = (struct rest_identity){0};
    json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
    if (!json_enter_object(&r))
        return false;
    while (json_next_key(&r, &key)) {
        if (!json_string_is(key, "data") || found) {
            json_skip(&r);
            continue;
        }
        if (!read_login_data(&r, out))
            return false;
        found = true;
    }
    return found && json_end(&r);
}

bool rest_answer_me(struct slice body, struct rest_identity *out)
{
    struct json_reader r;

    *out = (struct rest_identity){0};
    json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
    return read_user(&r, out) && json_end(&r) && header_safe(out->user_id);
}

/* {"_id":id,"value":true,...} */
static bool is_switched_on(struct json_reader *r, const char *id)
{
    bool is_it = false, on = false;
    struct slice key, text;

    if (!json_enter_object_or_skip(r))
        return false;
    while (json_next_key(r, &key)) {
        if (json_string_is(key, "_id") && json_peek(r) == JSON_KIND_STRING) {
            is_it = json_read_string(r, &text) && json_string_is(text, id);
            continue;
        }
        if (json_string_is(key, "value"))
            on = json_peek(r) == JSON_KIND_TRUE;
        json_skip(r);
    }
    return is_it && on;
}

bool rest_answer_setting(struct slice body, const char *id, bool *on)
{
    struct json_reader r;
    struct slice key;
    bool listed = false;

    *on = false;
    json_reader_init(&r, body.ptr, body.len, MAX_DEPTH);
    if (!json_enter_object(&r))
        return false;
    while (json_next_key(&r, &key)) {
        if (!json_string_is(key, "settings") || json_peek(&r) != JSON_KIND_ARRAY) {
            json_skip(&r);
            continue;
        }
        listed = json_enter_array(&r);
        while (json_next_item(&r))
            if (is_switched_on(&r, id))
                *on = true;
    }
    return listed && json_end(&r);
}
