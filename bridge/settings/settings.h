/* bridge/settings/settings.h - everything an operator can set, read once at start.
 *
 * Filled from the table in settings_table.c: a JSON file in the shape of the app's own
 * appsettings.json, overridden by environment variables (A__B=...). Immutable after
 * settings_load(): every thread may read it without a lock.
 *
 * Strings are never NULL; empty means not set. *_ms are milliseconds (the file says seconds, with
 * fractions; at most 30 days, so that 32 bits hold them), *_bytes bytes. Help, bounds and defaults
 * of each field stand in its table row. */
#ifndef BRIDGE_SETTINGS_SETTINGS_H
#define BRIDGE_SETTINGS_SETTINGS_H

#include "base/byte_buf.h"
#include "bridge/settings/listen_url.h"
#include "bridge/settings/rc_address.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct settings_list {
    char **items; /* a NULL behind the last; none is empty */
    size_t count;
};

struct settings_listen {
    struct listen_url *items;
    size_t count;
};

enum settings_login_via { LOGIN_VIA_AUTO, LOGIN_VIA_REST, LOGIN_VIA_DDP };
enum settings_on_expiry { ON_EXPIRY_RESUME, ON_EXPIRY_LOGIN };
enum settings_password_policy { PASSWORD_SHARED, PASSWORD_DERIVED, PASSWORD_TOKEN };
enum settings_anonymous { ANONYMOUS_REFUSE, ANONYMOUS_MUTE };
enum settings_updates { UPDATES_SEPARATE, UPDATES_SAME, UPDATES_OFF };
/* Where a room's messages come from: every change is followed up, or its lastMessage taken as is.
 */
enum settings_message_source { SOURCE_REPAIR, SOURCE_LAST_MESSAGE };
/* What getRoomSubscriptionChangedNotification carries. */
enum settings_subscription_shape { SHAPE_SUBSCRIPTION, SHAPE_ROOM };
enum settings_dates { DATES_EJSON, DATES_ISO };
enum settings_replay_tail { REPLAY_TAIL_ACKED, REPLAY_TAIL_LAST_PING, REPLAY_TAIL_NONE };
enum settings_log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };
enum settings_log_level { LOG_LEVEL_ERROR, LOG_LEVEL_WARN, LOG_LEVEL_INFO, LOG_LEVEL_DEBUG };
enum settings_log_identity { LOG_IDENTITY_PLAIN, LOG_IDENTITY_HASH, LOG_IDENTITY_NONE };

struct settings {
    unsigned char *_origins; /* an enum settings_origin for each table row */

    struct settings_listen urls;

    struct {                       /* Im */
        struct rc_address address; /* from Im:Address and Im:WebSocketAddress */
        char *address_text, *websocket_text;
        unsigned provider; /* there is only RocketChat */
        char *admin_user_name, *admin_password;
        char *admin_user_id, *admin_token; /* both or neither; used instead of the password */
        char *default_password;
        char *ca_file, *client_cert_file, *client_key_file;
        char *proxy; /* http://host:port */
        bool tls_verify;
        bool forward_client_address; /* of proxied calls, and of hub methods */
        enum settings_login_via login_via;
        char *user_name_template; /* empty: "{name}", and users with a tenant are refused */
    } im;

    struct { /* Authentication:JwtBearer */
        bool is_enabled;
        char *security_key;            /* as written: the key is its ASCII bytes */
        char *issuer;                  /* empty: not checked */
        struct settings_list audience; /* none: not checked */
    } jwt;

    struct settings_list cors_origins; /* App:CorsOrigins, no trailing slash */

    /* PushBridge, in the file's order */
    char *instance_name;
    char *hub_path;                       /* starts with a slash, doesn't end with one */
    uint32_t shards;                      /* never 0 after load: 0 became the number of cores */
    struct settings_list trusted_proxies; /* addresses and CIDR blocks */
    bool proxy_protocol; /* trusted proxies start each connection with a PROXY v1 or v2 header */
    struct settings_listen admin_urls;
    char *admin_api_key; /* empty: the routes behind it are 404 */
    struct settings_list reserved_user_names;

    struct {
        unsigned provider; /* there is only Memory */
        uint32_t ttl_ms;
        bool sliding;
        enum settings_on_expiry on_expiry;
        uint32_t max_entries;
    } token_cache;

    struct {
        uint32_t linger_ms;
        uint32_t connect_timeout_ms; /* resolving, TCP, TLS, upgrade and DDP `connected` together */
        uint32_t ready_timeout_ms;   /* from the login's result to the last `ready` */
        uint32_t backoff_min_ms, backoff_max_ms;
        uint32_t max_rooms; /* rooms and subscriptions one session keeps in its maps */
    } session;

    struct {
        struct settings_list algorithms; /* HS256 HS384 HS512 RS256 ES256 */
        struct settings_list previous_security_keys;
        struct settings_list public_key_files; /* PEM */
        char *jwks;                            /* a file or an http(s) URL */
        char *jwks_ca_file, *jwks_proxy;
        uint32_t jwks_refresh_ms, jwks_timeout_ms;
        uint32_t jwks_min_gap_ms; /* between fetches, whatever asks for them */
        struct settings_list encrypted_token_pass_phrases;
        char *encrypted_token_salt, *encrypted_token_iv;                 /* the IV has 16 bytes */
        struct settings_list user_id_claims, name_claims, tenant_claims; /* first match wins */
        struct settings_list role_claims;                                /* all count */
        uint32_t leeway_ms;
        enum settings_anonymous anonymous;
        bool close_on_expiry;
        uint32_t expiry_pace_ms; /* closes at JWT expiry are spread over this long */
    } auth;

    enum settings_message_source message_source;
    struct {
        enum settings_updates updates;
        bool raw_subscription_methods;
        bool deleted;
        enum settings_subscription_shape subscription_shape;
        struct settings_list exclude_types; /* of messages: "uj", ... */
        enum settings_dates dates;
        struct settings_list map; /* further_events.h */
    } events;

    struct {
        uint32_t max_gap_ms, max_rooms, max_messages;
    } catch_up;

    struct {
        bool enabled; /* unknown users are created */
        enum settings_password_policy password_policy;
        char *password_secret, *token_secret;
        struct settings_list email_templates, name_templates, roles;
        bool verified_emails, join_default_channels;
        bool follow; /* profile changes go on to Rocket.Chat */
        uint32_t follows_per_minute;
    } provisioning;

    struct {        /* Proxy */
        char *path; /* starts with a slash, doesn't end with one; empty: none */
        struct settings_list anonymous_routes; /* im_path.h */
        size_t body_bytes;
        uint32_t idle_ms;
        uint32_t calls, calls_per_caller;     /* at once */
        uint32_t logins_per_minute;           /* Rocket.Chat's `login`, all callers' */
        uint32_t identity_ttl_ms, identities; /* the latter for each shard */
    } proxy;

    struct { /* routes of ABP's shape */
        bool enabled;
        char *base_path; /* without a slash at its end */
        struct settings_list admin_roles;
        bool tenant_admins;             /* an admin role counts for people of a tenant, too */
        struct settings_list routes;    /* each row one for abp_map.h */
        uint32_t timeout_ms;            /* for an answer */
        uint32_t calls, calls_per_user; /* at once */
        uint32_t handed_out_ttl_ms, max_handed_out; /* tokens given to browsers */
    } abp;

    struct {
        uint32_t calls_per_second, call_burst; /* of a connection; 0 a second: no limit */
        uint32_t open_calls;                   /* of a connection, not answered yet */
        struct settings_list allowed_calls;    /* DDP methods that Call may name */
        uint32_t open_rooms;                   /* by one connection */
        uint32_t open_rooms_per_user;
    } methods;

    struct {
        uint32_t seconds_ms; /* 0: nothing is kept */
        enum settings_replay_tail tail;
        size_t ring_bytes, total_bytes;
        uint32_t ring_events;
        char *state_file; /* empty: none */
    } replay;

    struct {
        enum settings_log_format format;
        enum settings_log_level level;
        enum settings_log_identity identity;
    } log;

    struct {
        uint32_t keep_alive_ms, client_timeout_ms, handshake_timeout_ms, negotiate_timeout_ms;
        uint32_t close_wait_ms;
    } hub;

    struct {
        uint32_t ping_ms; /* we ping after this long without a frame */
        uint32_t dead_ms; /* and give up after this long without one */
    } ddp;

    struct {
        uint32_t rest_per_minute;
        uint32_t max_running;
        uint32_t ddp_per_second;
        uint32_t timeout_ms;
    } logins;

    struct {
        uint32_t limit_ms;
    } drain;

    struct {
        size_t head_bytes, request_line_bytes, body_bytes;
        uint32_t head_timeout_ms, body_timeout_ms, idle_timeout_ms;
        size_t hub_message_bytes;
        uint32_t connections, connections_per_user, connections_per_address; /* 0: no limit */
        uint32_t pending_negotiations;
        uint32_t groups_per_connection, group_memberships;
        size_t queue_bytes;                      /* waiting for one connection */
        size_t ddp_frame_bytes, rest_body_bytes; /* from Rocket.Chat */
        size_t mailbox_bytes;                    /* from one shard to another */
        uint32_t login_queue;
        uint32_t token_requests;      /* of one shard */
        uint32_t refused_users;       /* whose refused logins are remembered */
        uint32_t remembered_messages; /* per session */
    } limits;
};

/* What was wrong, or worth a warning: lines of text for the operator, never with a secret in them.
 */
struct settings_notes {
    struct byte_buf errors, warnings; /* each line ends with '\n' */
};

void settings_notes_free(struct settings_notes *notes);

/* Reads file (NULL: none) and environ (NULL-terminated NAME=value; NULL: none) into *out.
 * True: the caller frees *out with settings_free(). False: *out is NULL and notes->errors tells
 * every error found, not only the first. Warnings may come either way. */
bool settings_load(const char *file, char *const *environment, struct settings **out,
                   struct settings_notes *notes) __attribute__((warn_unused_result));
/* The same from text instead of a file; name is what errors call it. */
bool settings_load_text(const char *name, const char *text, size_t len, char *const *environment,
                        struct settings **out, struct settings_notes *notes)
    __attribute__((warn_unused_result));
void settings_free(struct settings *s); /* wipes secrets first */

/* Every setting with its effective value and where it came from; secrets masked. */
void settings_print(const struct settings *s, struct byte_buf *out);
/* Every setting with type, bounds, default and meaning. */
void settings_help(struct byte_buf *out);

#endif
