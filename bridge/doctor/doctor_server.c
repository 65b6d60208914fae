#include "bridge/doctor/doctor_internal.h"

#include "bridge/login/login_hint.h"
#include "rocketchat/rest_client.h"
#include <curl/curl.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
    CLOCK_GOOD_MS = 5000,
    CERTIFICATE_SOON_S = 14 * 24 * 3600,
    OLDEST_KNOWN = 6, /* Rocket.Chat's major versions that this program knows (rocketchat.md) */
    NEWEST_KNOWN = 8,
};

/* ---- TLS, clock, version ---- */

static void check_certificate(struct doctor *d, const struct doctor_answer *a)
{
    const struct settings *s = d->settings;
    const time_t ends = a->expires[0] == '\0' ? -1 : curl_getdate(a->expires, NULL);
    const int64_t left = (int64_t)ends - doctor_wall_ms() / 1000;

    if (!s->im.address.rest.tls) {
        bool local = strcmp(s->im.address.rest.host, "localhost") == 0 ||
                     strncmp(s->im.address.rest.host, "127.", 4) == 0 ||
                     strcmp(s->im.address.rest.host, "::1") == 0;

        doctor_say(d, local ? DOCTOR_OK : DOCTOR_WARN, "tls",
                   local ? "none, and none is needed on this host"
                         : "Im:Address is http: passwords and messages travel in clear text");
        return;
    }
    if (!s->im.tls_verify)
        doctor_say(d, DOCTOR_WARN, "tls",
                   "Im:TlsVerify is false: anybody on the way can read every password; name the "
                   "authority in Im:CaFile instead");
    else
        doctor_say(d, DOCTOR_OK, "tls", "chain and name are good, issuer %s", a->issuer);
    if (ends < 0)
        return;
    if (left < CERTIFICATE_SOON_S)
        doctor_say(d, left < 0 ? DOCTOR_FAIL : DOCTOR_WARN, "tls",
                   "the certificate ends %s: renew it", a->expires);
    else
        doctor_say(d, DOCTOR_OK, "tls", "the certificate is good for %" PRId64 " days",
                   left / 86400);
}

static void check_clock(struct doctor *d, const struct doctor_answer *a)
{
    const int64_t apart = a->date_ms == 0 ? 0 : llabs(a->date_ms - doctor_wall_ms());
    const int64_t leeway = d->settings->auth.leeway_ms;

    if (a->date_ms == 0)
        doctor_say(d, DOCTOR_WARN, "clock", "Rocket.Chat's answer has no Date to compare with");
    else if (apart <= CLOCK_GOOD_MS)
        doctor_say(d, DOCTOR_OK, "clock", "within %d s of Rocket.Chat's", CLOCK_GOOD_MS / 1000);
    else
        doctor_say(d, apart <= leeway ? DOCTOR_WARN : DOCTOR_FAIL, "clock",
                   "%" PRId64 " s from Rocket.Chat's: set both by NTP; the app's tokens are "
                   "judged by this clock",
                   apart / 1000);
}

static void check_version(struct doctor *d, const struct doctor_answer *a)
{
    char version[32];
    long major;

    if (a->status != 200 ||
        !doctor_text_member(byte_buf_slice(&a->body), "version", version, sizeof version)) {
        if (a->status / 100 == 3)
            doctor_say(d, DOCTOR_FAIL, "rocket.chat",
                       "%s redirects to %s: put that into Im:Address", d->rest_url, a->location);
        else
            doctor_say(d, DOCTOR_FAIL, "rocket.chat",
                       "%s/api/info is not Rocket.Chat's (status %ld): check Im:Address and the "
                       "proxy before it",
                       d->rest_url, a->status);
        return;
    }
    major = strtol(version, NULL, 10);
    if (major >= OLDEST_KNOWN && major <= NEWEST_KNOWN)
        doctor_say(d, DOCTOR_OK, "rocket.chat", "version %s", version);
    else
        doctor_say(d, DOCTOR_WARN, "rocket.chat", "version %s; %d to %d are known", version,
                   OLDEST_KNOWN, NEWEST_KNOWN);
}

static bool check_info(struct doctor *d)
{
    char url[RC_ADDRESS_URL_MAX + 16];
    struct doctor_answer a;
    bool reached;

    snprintf(url, sizeof url, "%s/api/info", d->rest_url);
    doctor_http(d, &(struct doctor_request){.method = "GET", .url = url, .to_rocketchat = true},
                &a);
    reached = a.status != 0;
    if (a.tls_refused) {
        doctor_say(d, DOCTOR_FAIL, "tls",
                   "Rocket.Chat's certificate is refused: %s. Name its authority in Im:CaFile, or "
                   "use the name it is for in Im:Address",
                   a.error);
    } else if (!reached) {
        doctor_say(d, DOCTOR_FAIL, "rocket.chat", "%s can't be reached: %s", d->rest_url, a.error);
    } else {
        check_certificate(d, &a);
        check_clock(d, &a);
        check_version(d, &a);
    }
    doctor_answer_free(&a);
    return reached;
}

/* ---- the admin ---- */

struct admin_login {
    bool done;
    char user_id[64], token[256], username[256];
    struct rc_error error; /* result RC_OK: it worked */
    struct rest_rate rate;
};

static void on_login(void *arg, const struct rest_login *login, const struct rc_error *error,
                     const struct rest_rate *rate)
{
    struct admin_login *l = arg;

    l->done = true;
    l->rate = *rate;
    if (error != NULL) {
        l->error = *error;
        return;
    }
    doctor_keep(l->user_id, sizeof l->user_id, login->user_id);
    doctor_keep(l->token, sizeof l->token, login->auth_token);
    doctor_keep(l->username, sizeof l->username, login->username);
}

static void on_me(void *arg, const struct rest_me *me, const struct rc_error *error)
{
    struct admin_login *l = arg;

    l->done = true;
    if (error != NULL)
        l->error = *error;
    else
        doctor_keep(l->username, sizeof l->username, me->username);
}

static void on_done(void *arg, const struct rc_error *error)
{
    struct admin_login *l = arg;

    l->done = true;
    if (error != NULL)
        l->error = *error;
}

void doctor_limits(struct doctor *d, const struct rest_rate *rate)
{
    const uint32_t expected = d->settings->logins.rest_per_minute;

    if (d->limits_told)
        return;
    d->limits_told = true;
    if (!rate->known) {
        doctor_say(d, DOCTOR_OK, "limits",
                   "Rocket.Chat names no limit of REST logins: its limiter is off, or a proxy "
                   "takes the X-RateLimit headers away");
        return;
    }
    doctor_say(d, expected > rate->limit ? DOCTOR_WARN : DOCTOR_OK, "limits",
               "Rocket.Chat takes %u REST logins in a window from this address, %u are left%s",
               rate->limit, rate->remaining,
               expected > rate->limit ? "; PushBridge:Logins:RestPerMinute is higher" : "");
}

static void say_admin_failed(struct doctor *d, const struct admin_login *l, bool by_password)
{
    const char *hint = login_hint(l->error.code);

    if (l->error.result == RC_TWO_FACTOR)
        hint = "the account asks for a second factor: set Im:AdminUserId and Im:AdminToken, a "
               "personal access token that ignores it";
    else if (l->error.result == RC_UNAUTHORIZED)
        hint = by_password ? "check Im:AdminUserName and Im:AdminPassword"
                           : "check Im:AdminUserId and Im:AdminToken";
    doctor_say(d, l->error.result == RC_RATE_LIMITED ? DOCTOR_WARN : DOCTOR_FAIL, "admin",
               "the login failed (%s)%s%s", l->error.code, hint == NULL ? "" : ": ",
               hint == NULL ? "" : hint);
}

static void admin_by_password(struct doctor *d)
{
    const struct settings *s = d->settings;
    struct admin_login l = {0};

    if (rest_login(d->rest, slice_of(s->im.admin_user_name), slice_of(s->im.admin_password),
                   on_login, &l) == NULL)
        return;
    doctor_wait(d, &l.done);
    doctor_limits(d, &l.rate);
    if (l.error.result != RC_OK) {
        say_admin_failed(d, &l, true);
        return;
    }
    doctor_say(d, DOCTOR_OK, "admin", "%s logs in with the password", l.username);
    l.done = false;
    if (rest_logout(d->rest, slice_of(l.user_id), slice_of(l.token), on_done, &l) != NULL)
        doctor_wait(d, &l.done);
    if (l.error.result != RC_OK)
        doctor_say(d, DOCTOR_WARN, "admin", "the logout failed (%s)", l.error.code);
    explicit_bzero(l.token, sizeof l.token);
}

static void admin_by_token(struct doctor *d)
{
    const struct settings *s = d->settings;
    struct admin_login l = {0};

    if (rest_me(d->rest, slice_of(s->im.admin_user_id), slice_of(s->im.admin_token), on_me, &l) ==
        NULL)
        return;
    doctor_wait(d, &l.done);
    if (l.error.result != RC_OK)
        say_admin_failed(d, &l, false);
    else
        doctor_say(d, DOCTOR_OK, "admin", "the token is %s's", l.username);
}

void doctor_server(struct doctor *d)
{
    const struct settings *s = d->settings;

    if (!check_info(d))
        return;
    if (s->im.admin_token[0] != '\0')
        admin_by_token(d);
    else if (s->im.admin_password[0] != '\0')
        admin_by_password(d);
    else
        doctor_say(d, DOCTOR_OK, "admin", "none is configured");
}
