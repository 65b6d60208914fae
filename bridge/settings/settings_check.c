#include "bridge/settings/settings_check.h"
#include "base/json_slice.h"
#include "bridge/abp/abp_map.h"
#include "bridge/identity/rc_account.h"
#include "bridge/provisioning/profile.h"
#include "bridge/session/further_events.h"
#include "bridge/settings/settings_map.h"
#include "bridge/settings/settings_table.h"
#include "bridge/settings/settings_tls.h"
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define KEY_MIN_BYTES 16
#define KEY_GOOD_BYTES 32
#define KEY_MAX_BYTES 1024

static void error(struct settings_notes *notes, const char *line)
{
    byte_buf_puts(&notes->errors, line);
    byte_buf_putc(&notes->errors, '\n');
}

static void warn(struct settings_notes *notes, const char *line)
{
    byte_buf_puts(&notes->warnings, line);
    byte_buf_putc(&notes->warnings, '\n');
}

static bool is_set(const char *text)
{
    return text[0] != '\0';
}

/* A value was given and refused: that is reported, and "is not set" would be wrong besides. */
static bool was_refused(const struct settings *s, const void *field)
{
    size_t count;
    const struct settings_row *rows = settings_table(&count);

    for (size_t i = 0; i < count; i++)
        if ((const char *)s + rows[i].offset == field)
            return s->_origins[i] == FROM_NOWHERE;
    abort();
}

static bool is_missing(const struct settings *s, char *const *field)
{
    return !is_set(*field) && !was_refused(s, field);
}

static void file_error(struct settings_notes *notes, const char *name, const char *path,
                       const char *what, const char *more)
{
    byte_buf_printf(&notes->errors, "%s: ", name);
    json_write_string(&notes->errors, slice_of(path));
    byte_buf_printf(&notes->errors, " %s%s\n", what, more);
}

/* True: there is something to look into. */
static bool check_readable(struct settings_notes *notes, const char *name, const char *path)
{
    if (!is_set(path))
        return false;
    if (access(path, R_OK) == 0)
        return true;
    file_error(notes, name, path, "can't be read: ", strerror(errno));
    return false;
}

static void check_authorities(struct settings_notes *notes, const char *name, const char *path)
{
    const char *why = check_readable(notes, name, path) ? settings_tls_authorities(path) : NULL;

    if (why != NULL)
        file_error(notes, name, path, why, "");
}

static void check_client_certificate(const struct settings *s, struct settings_notes *notes)
{
    const char *cert = s->im.client_cert_file, *key = s->im.client_key_file, *why;
    bool readable;

    if (is_set(cert) != is_set(key))
        error(notes, "Im:ClientCertFile and Im:ClientKeyFile: give both or neither");
    readable = check_readable(notes, "Im:ClientCertFile", cert);
    if (!check_readable(notes, "Im:ClientKeyFile", key) || !readable)
        return;
    why = settings_tls_certificate(cert);
    if (why != NULL) {
        file_error(notes, "Im:ClientCertFile", cert, why, "");
        return;
    }
    why = settings_tls_key(cert, key);
    if (why != NULL)
        file_error(notes, "Im:ClientKeyFile", key, why, "");
}

static void check_rocketchat(struct settings *s, struct settings_notes *notes)
{
    /* Both texts passed the same parsers as table rows. */
    if (rc_address_parse_rest(slice_of(s->im.address_text), &s->im.address.rest) != NULL)
        abort();
    if (!is_set(s->im.websocket_text))
        rc_address_derive_ddp(&s->im.address.rest, &s->im.address.ddp);
    else if (rc_address_parse_ddp(slice_of(s->im.websocket_text), &s->im.address.ddp) != NULL)
        abort();

    check_authorities(notes, "Im:CaFile", s->im.ca_file);
    check_client_certificate(s, notes);
    if (!s->im.tls_verify)
        warn(notes, "Im:TlsVerify is false: whoever sits between here and Rocket.Chat can read "
                    "every password and message. Use Im:CaFile for a certificate of your own.");
}

static void check_template(const struct settings *s, struct settings_notes *notes)
{
    const char *why = "no memory";
    struct rc_account *account = rc_account_new(
        s->im.user_name_template, (const char *const *)s->reserved_user_names.items, "", &why);

    if (account == NULL) {
        byte_buf_puts(&notes->errors, "Im:UserNameTemplate: ");
        json_write_string(&notes->errors, slice_of(s->im.user_name_template));
        byte_buf_printf(&notes->errors, " is no template: %s\n", why);
    }
    rc_account_free(account);
}

static void check_admin(const struct settings *s, struct settings_notes *notes)
{
    bool token = is_set(s->im.admin_token);

    if (is_set(s->im.admin_user_id) != token && !was_refused(s, &s->im.admin_user_id) &&
        !was_refused(s, &s->im.admin_token))
        error(notes, "Im:AdminUserId and Im:AdminToken: give both or neither");
    if (is_set(s->im.admin_user_name) && !token && is_missing(s, &s->im.admin_password))
        error(notes, "Im:AdminPassword: is not set, but Im:AdminUserName is");
    if (!is_set(s->im.admin_user_name) && is_set(s->im.admin_password))
        error(notes, "Im:AdminUserName: is not set, but Im:AdminPassword is");
    if (is_set(s->im.admin_password) && strcmp(s->im.admin_password, s->im.default_password) == 0)
        warn(notes, "Im:AdminPassword and Im:DefaultPassword are equal: who knows one user's "
                    "password has the administrator's");
}

static bool has_algorithm(const struct settings *s, const char *prefix)
{
    for (size_t i = 0; i < s->auth.algorithms.count; i++)
        if (strncmp(s->auth.algorithms.items[i], prefix, strlen(prefix)) == 0)
            return true;
    return false;
}

/* Bytes of the key as .NET sees it: one for each UTF-16 unit, so text beyond ASCII is shorter than
 * its UTF-8. */
static size_t key_bytes(const char *text)
{
    size_t n = 0;

    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;

        n += (c & 0xc0) != 0x80;
        n += c >= 0xf0;
    }
    return n;
}

static void check_key(struct settings_notes *notes, const char *name, const char *key)
{
    size_t len = key_bytes(key);

    if (len < KEY_MIN_BYTES || len > KEY_MAX_BYTES)
        byte_buf_printf(&notes->errors, "%s: has %zu bytes, must have %d to %d\n", name, len,
                        KEY_MIN_BYTES, KEY_MAX_BYTES);
    else if (len < KEY_GOOD_BYTES)
        byte_buf_printf(&notes->warnings,
                        "%s has %zu bytes; RFC 7518 asks for %d. Plan a longer one.\n", name, len,
                        KEY_GOOD_BYTES);
    if (len != strlen(key))
        byte_buf_printf(&notes->warnings,
                        "%s is not all ASCII: .NET signs with '?' in place of the rest, and so "
                        "the key is weaker than it looks\n",
                        name);
}

static void check_tokens(const struct settings *s, struct settings_notes *notes)
{
    bool public_key = s->auth.public_key_files.count > 0 || is_set(s->auth.jwks);

    if (is_set(s->jwt.security_key))
        check_key(notes, "Authentication:JwtBearer:SecurityKey", s->jwt.security_key);
    for (size_t i = 0; i < s->auth.previous_security_keys.count; i++)
        check_key(notes, "PushBridge:Auth:PreviousSecurityKeys",
                  s->auth.previous_security_keys.items[i]);
    for (size_t i = 0; i < s->auth.public_key_files.count; i++)
        check_readable(notes, "PushBridge:Auth:PublicKeyFiles", s->auth.public_key_files.items[i]);
    if (strstr(s->auth.jwks, "://") == NULL)
        check_readable(notes, "PushBridge:Auth:Jwks", s->auth.jwks);
    check_authorities(notes, "PushBridge:Auth:JwksCaFile", s->auth.jwks_ca_file);

    if (!s->jwt.is_enabled) {
        if (s->auth.anonymous != ANONYMOUS_MUTE && !was_refused(s, &s->auth.anonymous))
            error(notes, "Authentication:JwtBearer:IsEnabled: false needs "
                         "PushBridge:Auth:Anonymous=mute: without tokens nobody has a name");
        return;
    }
    if (has_algorithm(s, "HS") && is_missing(s, &s->jwt.security_key) &&
        s->auth.previous_security_keys.count == 0 && !is_set(s->auth.jwks))
        error(notes, "Authentication:JwtBearer:SecurityKey: is not set, but an HMAC algorithm is "
                     "in PushBridge:Auth:Algorithms");
    if ((has_algorithm(s, "RS") || has_algorithm(s, "ES")) && !public_key &&
        !was_refused(s, &s->auth.jwks) && !was_refused(s, &s->auth.public_key_files))
        error(notes, "PushBridge:Auth:PublicKeyFiles and PushBridge:Auth:Jwks: neither is set, but "
                     "RS256 or ES256 is in PushBridge:Auth:Algorithms");
    if (public_key && !has_algorithm(s, "RS") && !has_algorithm(s, "ES") &&
        s->auth.public_key_files.count > 0)
        error(notes, "PushBridge:Auth:Algorithms: must have RS256 or ES256, since "
                     "PushBridge:Auth:PublicKeyFiles is set");
    if (s->provisioning.password_policy == PASSWORD_SHARED &&
        is_missing(s, &s->im.default_password))
        error(notes, "Im:DefaultPassword: is not set; no user can be logged in to Rocket.Chat");
    if (!is_set(s->jwt.issuer) && s->jwt.audience.count == 0)
        warn(notes, "Authentication:JwtBearer:Issuer and Audience are not set: any token signed "
                    "with the key is taken");
}

static void check_order(struct settings_notes *notes, const char *shorter, uint32_t shorter_ms,
                        const char *longer, uint32_t longer_ms)
{
    if (shorter_ms >= longer_ms)
        byte_buf_printf(&notes->errors, "%s: must be less than %s\n", shorter, longer);
}

static void check_times(const struct settings *s, struct settings_notes *notes)
{
    check_order(notes, "PushBridge:Hub:KeepAliveSeconds", s->hub.keep_alive_ms,
                "PushBridge:Hub:ClientTimeoutSeconds", s->hub.client_timeout_ms);
    check_order(notes, "PushBridge:Ddp:PingSeconds", s->ddp.ping_ms, "PushBridge:Ddp:DeadSeconds",
                s->ddp.dead_ms);
    if (s->session.backoff_min_ms > s->session.backoff_max_ms)
        error(notes, "PushBridge:Session:BackoffMinSeconds: must not be more than "
                     "PushBridge:Session:BackoffMaxSeconds");
    if (s->limits.request_line_bytes > s->limits.head_bytes)
        error(notes, "PushBridge:Limits:RequestLineBytes: must not be more than "
                     "PushBridge:Limits:HeadBytes");
}

static bool is_below(const char *path, const char *folder)
{
    const size_t len = strlen(folder);

    return strncmp(path, folder, len) == 0 && (path[len] == '\0' || path[len] == '/');
}

/* The proxy answers whatever is below its path: nothing else would be reached there. */
static void check_proxy(const struct settings *s, struct settings_notes *notes)
{
    if (is_set(s->proxy.path) && is_below(s->hub_path, s->proxy.path))
        error(notes, "PushBridge:HubPath: must not be PushBridge:Proxy:Path, nor below it");
    if (is_set(s->proxy.path) && s->abp.enabled && is_below(s->abp.base_path, s->proxy.path))
        error(notes, "PushBridge:Abp:BasePath: must not be PushBridge:Proxy:Path, nor below it");
    if (s->proxy.anonymous_routes.count > 0 && !is_set(s->im.admin_user_name) &&
        !is_set(s->im.admin_user_id))
        error(notes, "PushBridge:Proxy:AnonymousRoutes: needs an administrator "
                     "(Im:AdminUserName or Im:AdminUserId)");
}

/* Found out at the stop it would be too late. */
static void check_state_file(const struct settings *s, struct settings_notes *notes)
{
    const char *path = s->replay.state_file, *slash = strrchr(path, '/');
    struct byte_buf folder = {0};

    if (!is_set(path))
        return;
    byte_buf_append(&folder, path, slash == NULL ? 0 : (size_t)(slash - path) + 1);
    byte_buf_puts(&folder, ".");
    byte_buf_putc(&folder, '\0');
    if (!byte_buf_failed(&folder) && access(folder.data, W_OK | X_OK) != 0)
        file_error(notes, "PushBridge:Replay:StateFile", path,
                   "can't be written: its folder: ", strerror(errno));
    byte_buf_free(&folder);
    if (s->replay.seconds_ms == 0)
        warn(notes, "PushBridge:Replay:StateFile is of no use: PushBridge:Replay:Seconds is 0");
}

static void check_listeners(const struct settings *s, struct settings_notes *notes)
{
    if (s->proxy_protocol && s->trusted_proxies.count == 0 && !was_refused(s, &s->trusted_proxies))
        error(notes, "PushBridge:ProxyProtocol: true needs PushBridge:TrustedProxies");
    for (size_t i = 0; i < s->admin_urls.count; i++)
        if (!s->admin_urls.items[i].loopback && !is_set(s->admin_api_key))
            byte_buf_printf(&notes->warnings,
                            "PushBridge:AdminUrls: %s can be reached from other hosts, and "
                            "PushBridge:AdminApiKey is not set: /metrics is open to them\n",
                            s->admin_urls.items[i].text);
}

static void check_events(const struct settings *s, struct settings_notes *notes)
{
    struct further_map map = {0};

    for (size_t i = 0; i < s->events.map.count; i++) {
        const char *must = further_map_add(&map, slice_of(s->events.map.items[i]));

        if (must != NULL)
            file_error(notes, "PushBridge:Events:Map", s->events.map.items[i], must, "");
    }
}

static void check_provisioning(const struct settings *s, struct settings_notes *notes)
{
    bool admin = is_set(s->im.admin_user_name) || is_set(s->im.admin_user_id);
    struct profile_rules *rules;
    char why[512];

    if (s->provisioning.password_policy == PASSWORD_DERIVED &&
        strlen(s->provisioning.password_secret) < KEY_GOOD_BYTES &&
        !was_refused(s, &s->provisioning.password_secret))
        byte_buf_printf(
            &notes->errors,
            "PushBridge:Provisioning:PasswordSecret: must have at least %d bytes, since "
            "PushBridge:Provisioning:PasswordPolicy is derived\n",
            KEY_GOOD_BYTES);
    if (s->provisioning.password_policy == PASSWORD_TOKEN && !admin)
        error(notes, "PushBridge:Provisioning:PasswordPolicy: token needs an administrator: "
                     "Im:AdminUserName, or Im:AdminUserId");
    if (!s->provisioning.enabled)
        return;
    if (!admin)
        error(notes, "PushBridge:Provisioning:Enabled: true needs an administrator: "
                     "Im:AdminUserName, or Im:AdminUserId");
    rules = profile_rules_new(s, why, sizeof why);
    if (rules == NULL)
        error(notes, why);
    profile_rules_free(rules);
}

static void check_routes(const struct settings *s, struct settings_notes *notes)
{
    const char *why, *row;
    struct abp_map *map = abp_map_new(&s->abp.routes, &why, &row);

    if (map == NULL)
        file_error(notes, "PushBridge:Abp:Routes", row, why, "");
    abp_map_free(map);
}

/* As nproc counts: what this process may run on, not what the machine has. */
static uint32_t cores(void)
{
    cpu_set_t set;
    int n = sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;

    return n < 1 ? 1 : (uint32_t)n;
}

static void name_instance(struct settings *s)
{
    char name[65] = "";

    if (is_set(s->instance_name))
        return;
    if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
        memcpy(name, "pushbridge", sizeof "pushbridge");
    free(s->instance_name);
    s->instance_name = settings_must(strdup(name));
}

void settings_check(struct settings *s, struct settings_notes *notes)
{
    check_rocketchat(s, notes);
    check_template(s, notes);
    check_admin(s, notes);
    check_tokens(s, notes);
    check_times(s, notes);
    check_state_file(s, notes);
    check_listeners(s, notes);
    check_proxy(s, notes);
    check_routes(s, notes);
    check_events(s, notes);
    check_provisioning(s, notes);
    if (s->shards == 0)
        s->shards = cores();
    name_instance(s);
}
