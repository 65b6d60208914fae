#include "bridge/settings/settings_table.h"
#include "bridge/abp/abp_map.h"
#include "bridge/settings/settings_syntax.h"
#include "rocketchat/room_memory.h"

#define AT(member) .offset = offsetof(struct settings, member)
#define KIB (int64_t)1024
#define MIB (1024 * KIB)
#define GIB (1024 * MIB)
#define SECOND (int64_t)1000
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)

#define STRING(key, member, longest, value)                                                        \
    .name = key, .type = SETTING_STRING, AT(member), .max = (longest), .fallback = (value)
#define SECRET(key, member) STRING(key, member, 4096, ""), .secret = true
#define PATH(key, member) STRING(key, member, 4096, "")
#define LIST(key, member, most, value)                                                             \
    .name = key, .type = SETTING_LIST, AT(member), .max = (most), .fallback = (value)
#define LISTEN(key, member, least, value)                                                          \
    .name = key, .type = SETTING_LISTEN, AT(member), .min = (least), .max = 16, .fallback = (value)
#define COUNT(key, member, least, most, value)                                                     \
    .name = key, .type = SETTING_COUNT, AT(member), .min = (least), .max = (most),                 \
    .fallback = (value)
#define BYTES(key, member, least, most, value)                                                     \
    .name = key, .type = SETTING_BYTES, AT(member), .min = (least), .max = (most),                 \
    .fallback = (value)
#define SECONDS(key, member, least, most, value)                                                   \
    .name = key, .type = SETTING_SECONDS, AT(member), .min = (least), .max = (most),               \
    .fallback = (value)
#define BOOL(key, member, value) .name = key, .type = SETTING_BOOL, AT(member), .fallback = (value)
#define ENUM(key, member, list, value)                                                             \
    .name = key, .type = SETTING_ENUM, AT(member), .choices = (list), .fallback = (value)

static const char *const im_providers[] = {"RocketChat", NULL};
static const char *const login_roads[] = {"auto", "rest", "ddp", NULL};
static const char *const cache_providers[] = {"Memory", NULL};
static const char *const expiry_roads[] = {"resume", "login", NULL};
static const char *const password_policies[] = {"shared", "derived", "token", NULL};
static const char *const anonymous_rules[] = {"refuse", "mute", NULL};
static const char *const update_rules[] = {"separate", "same", "off", NULL};
static const char *const message_sources[] = {"repair", "last-message", NULL};
static const char *const subscription_shapes[] = {"subscription", "room", NULL};
static const char *const replay_tails[] = {"acked", "last-ping", "none", NULL};
static const char *const date_forms[] = {"ejson", "iso", NULL};
static const char *const log_formats[] = {"text", "json", NULL};
static const char *const log_levels[] = {"error", "warn", "info", "debug", NULL};
static const char *const log_identities[] = {"plain", "hash", "none", NULL};

#define CLAIMS "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"

static const struct settings_row rows[] = {
    {LISTEN("Urls", urls, 1, "http://0.0.0.0:5080"),
     .help = "Where browsers connect, several separated by ';'. TLS ends at a proxy in front."},

    {ENUM("Im:Provider", im.provider, im_providers, "RocketChat"),
     .help = "The chat server's kind."},
    {STRING("Im:Address", im.address_text, 600, "http://localhost:3000/"), .min = 1,
     .check = settings_check_rest_address,
     .help = "Rocket.Chat's address, with a path prefix where it has one."},
    {STRING("Im:WebSocketAddress", im.websocket_text, 600, ""), .check = settings_check_ddp_address,
     .help = "Rocket.Chat's WebSocket address, with or without /websocket. Empty: derived from "
             "Im:Address."},
    {STRING("Im:AdminUserName", im.admin_user_name, 255, ""),
     .help = "The administrator the bridge logs in as. No user may have this name. Empty: no "
             "administrator."},
    {SECRET("Im:AdminPassword", im.admin_password), .help = "The administrator's password."},
    {STRING("Im:AdminUserId", im.admin_user_id, 64, ""),
     .help = "With Im:AdminToken in place of the password, for accounts with two-factor "
             "authentication."},
    {SECRET("Im:AdminToken", im.admin_token), .help = "A personal access token of Im:AdminUserId."},
    {SECRET("Im:DefaultPassword", im.default_password),
     .help = "The password all users' Rocket.Chat accounts share."},
    {PATH("Im:CaFile", im.ca_file),
     .help = "Certificates (PEM) to trust for Rocket.Chat. Empty: the system's."},
    {PATH("Im:ClientCertFile", im.client_cert_file),
     .help = "Our own certificate (PEM), where Rocket.Chat's proxy asks for one."},
    {PATH("Im:ClientKeyFile", im.client_key_file), .help = "The key (PEM) of Im:ClientCertFile."},
    {STRING("Im:Proxy", im.proxy, 600, ""), .check = settings_check_proxy,
     .help = "An HTTP proxy towards Rocket.Chat, http://HOST:PORT. Proxy variables in the "
             "environment are ignored."},
    {BOOL("Im:TlsVerify", im.tls_verify, "true"),
     .help = "Check Rocket.Chat's certificate. Without it anyone on the way reads every password."},
    {BOOL("Im:ForwardClientAddress", im.forward_client_address, "true"),
     .help = "Proxied calls, and hub methods that are carried out over REST, carry the caller's "
             "address (X-Forwarded-For), so that Rocket.Chat's limits count for each user; its "
             "HTTP_FORWARDED_COUNT must fit."},
    {ENUM("Im:LoginVia", im.login_via, login_roads, "auto"),
     .help = "The road of users' logins. auto: REST while its rate allows, else DDP."},
    {STRING("Im:UserNameTemplate", im.user_name_template, 1024, ""),
     .help = "A user's Rocket.Chat name from the token's claims, as \"{name}-{tenant}\". Empty: "
             "{name}, and users with a tenant are refused."},

    {BOOL("Authentication:JwtBearer:IsEnabled", jwt.is_enabled, "true"),
     .help = "Check the app's tokens. false needs PushBridge:Auth:Anonymous=mute."},
    {SECRET("Authentication:JwtBearer:SecurityKey", jwt.security_key),
     .help = "The key the app signs its tokens with, at least 16 bytes."},
    {STRING("Authentication:JwtBearer:Issuer", jwt.issuer, 1024, ""),
     .help = "The issuer a token must have. Empty: any."},
    {LIST("Authentication:JwtBearer:Audience", jwt.audience, 32, ""),
     .help = "The audiences of which a token must have one. Empty: any."},
    {LIST("App:CorsOrigins", cors_origins, 256, ""), .check = settings_check_origin,
     .help = "Origins whose pages may connect, each exact, as https://app.example.org."},

    {STRING("PushBridge:InstanceName", instance_name, 64, ""), .check = settings_check_instance,
     .help = "This process's name in logs and cache entries. Empty: the host's name."},
    {STRING("PushBridge:HubPath", hub_path, 255, "/signalr"), .min = 2,
     .check = settings_check_hub_path, .help = "The path the app's hub connection uses."},
    {COUNT("PushBridge:Shards", shards, 0, 256, "0"), .unit = "threads",
     .help = "Event loops, each a thread. 0: one for each core."},
    {LIST("PushBridge:TrustedProxies", trusted_proxies, 256, ""), .check = settings_check_cidr,
     .help = "Addresses and CIDR blocks whose X-Forwarded-* and PROXY headers are believed."},
    {BOOL("PushBridge:ProxyProtocol", proxy_protocol, "false"),
     .help = "Trusted proxies open each connection with a PROXY header, version 1 or 2."},
    {LISTEN("PushBridge:AdminUrls", admin_urls, 0, "http://127.0.0.1:5081"),
     .help = "Where /metrics and /admin are served. Empty: nowhere."},
    {SECRET("PushBridge:AdminApiKey", admin_api_key), .check = settings_check_api_key,
     .help = "What the X-Api-Key header of /admin requests must be. Empty: no /admin."},
    {LIST("PushBridge:ReservedUserNames", reserved_user_names, 1024, "rocket.cat"),
     .help = "Rocket.Chat names no user may be mapped to, besides the administrator's."},

    {ENUM("PushBridge:TokenCache:Provider", token_cache.provider, cache_providers, "Memory"),
     .help = "Where Rocket.Chat tokens are kept."},
    {SECONDS("PushBridge:TokenCache:TtlSeconds", token_cache.ttl_ms, 100, 30 * DAY, "3600"),
     .help = "How long a token, and the Rocket.Chat connection that uses it, lives; give or take "
             "a tenth."},
    {BOOL("PushBridge:TokenCache:Sliding", token_cache.sliding, "false"),
     .help = "Use starts a token's time again."},
    {ENUM("PushBridge:TokenCache:OnExpiry", token_cache.on_expiry, expiry_roads, "resume"),
     .help = "When a token's time ends and tabs are open: resume with it, or login for a fresh "
             "one."},
    {COUNT("PushBridge:TokenCache:MaxEntries", token_cache.max_entries, 1, 10000000, "200000"),
     .unit = "tokens",
     .help = "Tokens kept at most, and users with a session. A token nobody uses makes room."},

    {SECONDS("PushBridge:Session:LingerSeconds", session.linger_ms, 0, DAY, "90"),
     .help = "How long a user's Rocket.Chat connection outlives the last tab."},
    {SECONDS("PushBridge:Session:ConnectTimeoutSeconds", session.connect_timeout_ms, 100,
             10 * MINUTE, "20"),
     .help = "To reach Rocket.Chat: name, TCP, TLS, upgrade and DDP's first answer."},
    {SECONDS("PushBridge:Session:ReadyTimeoutSeconds", session.ready_timeout_ms, 100, 10 * MINUTE,
             "30"),
     .help = "From a DDP login's answer to the last subscription that is ready."},
    {SECONDS("PushBridge:Session:BackoffMinSeconds", session.backoff_min_ms, 10, HOUR, "1"),
     .help = "The bound of the first pause before a lost session is tried again; it doubles."},
    {SECONDS("PushBridge:Session:BackoffMaxSeconds", session.backoff_max_ms, 10, DAY, "30"),
     .help = "The bound the doubling ends at."},
    {COUNT("PushBridge:Session:MaxRooms", session.max_rooms, 1, ROOM_MEMORY_MAX, "10000"),
     .unit = "rooms", .help = "Rooms and subscriptions one session keeps track of."},

    {LIST("PushBridge:Auth:Algorithms", auth.algorithms, 5, "HS256"), .min = 1,
     .check = settings_check_algorithm,
     .help = "Signature algorithms accepted: HS256, HS384, HS512, RS256, ES256."},
    {LIST("PushBridge:Auth:PreviousSecurityKeys", auth.previous_security_keys, 16, ""),
     .secret = true,
     .help = "Older values of SecurityKey, accepted while tokens signed with them live."},
    {LIST("PushBridge:Auth:PublicKeyFiles", auth.public_key_files, 16, ""),
     .help = "Public keys (PEM) for RS256 and ES256."},
    {STRING("PushBridge:Auth:Jwks", auth.jwks, 2048, ""), .check = settings_check_jwks,
     .help = "A JSON Web Key Set: a file, or an http(s) URL that is fetched again."},
    {PATH("PushBridge:Auth:JwksCaFile", auth.jwks_ca_file),
     .help = "Certificates (PEM) to trust for the key set's URL. Empty: the system's."},
    {STRING("PushBridge:Auth:JwksProxy", auth.jwks_proxy, 600, ""), .check = settings_check_proxy,
     .help = "An HTTP proxy towards the key set's URL, http://HOST:PORT."},
    {SECONDS("PushBridge:Auth:JwksTimeoutSeconds", auth.jwks_timeout_ms, 100, 10 * MINUTE, "10"),
     .help = "For one fetch of the key set."},
    {SECONDS("PushBridge:Auth:JwksMinGapSeconds", auth.jwks_min_gap_ms, 10, HOUR, "30"),
     .help = "Between two fetches, when tokens name keys that are not in the set."},
    {SECONDS("PushBridge:Auth:JwksRefreshSeconds", auth.jwks_refresh_ms, 100, 30 * DAY, "3600"),
     .help = "How often the key set is read again."},
    {LIST("PushBridge:Auth:EncryptedTokenPassPhrases", auth.encrypted_token_pass_phrases, 8,
          "gsKnGZ041HLL4IM8"),
     .secret = true,
     .help = "Pass phrases of enc_auth_token, ABP's own by default. Empty: it is not accepted."},
    {STRING("PushBridge:Auth:EncryptedTokenSalt", auth.encrypted_token_salt, 256, "hgt!16kl"),
     .min = 8, .help = "The salt that goes with them."},
    {STRING("PushBridge:Auth:EncryptedTokenIv", auth.encrypted_token_iv, 16, "jkE49230Tf093b42"),
     .min = 16, .help = "The initialisation vector, 16 bytes."},
    {LIST("PushBridge:Auth:UserIdClaims", auth.user_id_claims, 16,
          CLAIMS "nameidentifier,sub,nameid"),
     .min = 1, .help = "Claims that may hold the user's id; the first that is there counts."},
    {LIST("PushBridge:Auth:NameClaims", auth.name_claims, 16,
          CLAIMS "name,unique_name,preferred_username,name"),
     .min = 1, .help = "Claims that may hold the user's name; the first that is there counts."},
    {LIST("PushBridge:Auth:TenantClaims", auth.tenant_claims, 16,
          "http://www.aspnetboilerplate.com/identity/claims/tenantId,tenantid,tenantId"),
     .help = "Claims that may hold the tenant; the first that is there counts."},
    {LIST("PushBridge:Auth:RoleClaims", auth.role_claims, 16,
          "http://schemas.microsoft.com/ws/2008/06/identity/claims/role,role,roles"),
     .help = "Claims that hold the user's roles, each one role or a list; all of them count."},
    {SECONDS("PushBridge:Auth:LeewaySeconds", auth.leeway_ms, 0, HOUR, "30"),
     .help = "How far the app's clock and ours may differ."},
    {ENUM("PushBridge:Auth:Anonymous", auth.anonymous, anonymous_rules, "refuse"),
     .help = "Callers without a token: refused, or connected and never sent anything."},
    {BOOL("PushBridge:Auth:CloseOnExpiry", auth.close_on_expiry, "true"),
     .help = "Close a connection when its token's time is over; the client comes back with a "
             "new one."},
    {SECONDS("PushBridge:Auth:ExpiryPaceSeconds", auth.expiry_pace_ms, 0, HOUR, "10"),
     .help = "Those closes are spread over this long, so that not all come back at once."},

    {ENUM("PushBridge:Events:Updates", events.updates, update_rules, "separate"),
     .help = "Later versions of a message: to getRoomMessageUpdatedNotification, to the same "
             "target as new ones, or not sent."},
    {BOOL("PushBridge:Events:RawSubscriptionMethods", events.raw_subscription_methods, "false"),
     .help = "Keep Rocket.Chat's own words (inserted, updated, removed) in subscription events."},
    {BOOL("PushBridge:Events:Deleted", events.deleted, "true"),
     .help = "Tell of deleted messages by getRoomMessageDeletedNotification."},
    {LIST("PushBridge:Events:ExcludeTypes", events.exclude_types, 64, ""),
     .help = "Types of system messages (uj, ul, room_changed_topic, ...) that are not sent on."},
    {ENUM("PushBridge:Events:SubscriptionShape", events.subscription_shape, subscription_shapes,
          "subscription"),
     .help = "What the msg of a subscription event is: Rocket.Chat's subscription, or its room."},
    {ENUM("PushBridge:Events:Dates", events.dates, date_forms, "ejson"),
     .help =
         "How dates stand in what tabs are sent: {\"$date\":n} as Rocket.Chat's events have them, "
         "or ISO-8601 texts."},
    {LIST("PushBridge:Events:Map", events.map, 6, ""), .check = settings_check_event,
     .help = "Further events to send on: typing, read, user-status, notification, user-data, "
             "room-changed; each may have =TARGET or =TARGET:args behind it."},
    {ENUM("PushBridge:MessageSource", message_source, message_sources, "repair"),
     .help = "repair: every message once, whatever Rocket.Chat leaves out. last-message: each "
             "lastMessage as it comes, nothing else."},
    {SECONDS("PushBridge:CatchUp:MaxGapSeconds", catch_up.max_gap_ms, 0, 30 * DAY, "86400"),
     .help =
         "A lost Rocket.Chat connection is caught up with when it was away no longer than this; "
         "else the tabs are told to load anew."},
    {COUNT("PushBridge:CatchUp:MaxRooms", catch_up.max_rooms, 1, ROOM_MEMORY_MAX, "500"),
     .unit = "rooms", .help = "Rooms caught up with at most after one gap."},
    {COUNT("PushBridge:CatchUp:MaxMessages", catch_up.max_messages, 1, 1000000, "1000"),
     .unit = "messages", .help = "New messages of a room that are caught up with at most."},

    {BOOL("PushBridge:Provisioning:Enabled", provisioning.enabled, "false"),
     .help = "Create users that Rocket.Chat does not know when they come, as the administrator."},
    {ENUM("PushBridge:Provisioning:PasswordPolicy", provisioning.password_policy, password_policies,
          "shared"),
     .help = "Users' passwords at Rocket.Chat: Im:DefaultPassword, one for each user derived from "
             "PasswordSecret, or none: logins by users.createToken."},
    {SECRET("PushBridge:Provisioning:PasswordSecret", provisioning.password_secret),
     .help = "What passwords are derived from, at least 32 bytes. Changed, they all change."},
    {SECRET("PushBridge:Provisioning:TokenSecret", provisioning.token_secret),
     .help = "Rocket.Chat's CREATE_TOKENS_FOR_USERS_SECRET, which 8.0 and later ask for."},
    {LIST("PushBridge:Provisioning:EmailTemplates", provisioning.email_templates, 8,
          "{claim:" CLAIMS "emailaddress},{claim:email}"),
     .help = "The e-mail address, from the token's claims; the first that can be filled counts."},
    {LIST("PushBridge:Provisioning:NameTemplates", provisioning.name_templates, 8,
          "{claim:" CLAIMS "givenname} {claim:" CLAIMS "surname},{name}"),
     .help = "The name that is shown; the first that can be filled counts."},
    {LIST("PushBridge:Provisioning:Roles", provisioning.roles, 16, "user"),
     .help = "Rocket.Chat roles of a new user; \"{claim:NAME}\" gives one for each item of a "
             "claim."},
    {BOOL("PushBridge:Provisioning:VerifiedEmails", provisioning.verified_emails, "true"),
     .help = "The addresses count as verified."},
    {BOOL("PushBridge:Provisioning:JoinDefaultChannels", provisioning.join_default_channels,
          "true"),
     .help = "A new user joins Rocket.Chat's default channels."},
    {BOOL("PushBridge:Provisioning:Follow", provisioning.follow, "true"),
     .help = "Where enabled: a name or e-mail that differs from the claims is updated at "
             "Rocket.Chat, once for a change."},
    {COUNT("PushBridge:Provisioning:FollowsPerMinute", provisioning.follows_per_minute, 1, 100000,
           "60"),
     .unit = "profiles a minute", .help = "The pace of that."},

    {STRING("PushBridge:Proxy:Path", proxy.path, 255, "/im"), .check = settings_check_hub_path,
     .help = "Below it, api/v1/... is passed on to Rocket.Chat's REST API as the calling user. "
             "Empty: it is not."},
    {LIST("PushBridge:Proxy:AnonymousRoutes", proxy.anonymous_routes, 256, ""),
     .check = settings_check_route,
     .help = "Calls that callers without any credentials may make with the administrator's, each "
             "as \"GET channels.list\"; a * at the end stands for any rest."},
    {BYTES("PushBridge:Proxy:BodyBytes", proxy.body_bytes, 0, 1024 * GIB, "4294967296"),
     .help = "A proxied request's body, an upload for instance. More: 413."},
    {SECONDS("PushBridge:Proxy:IdleSeconds", proxy.idle_ms, 200, HOUR, "60"),
     .help = "How long a proxied call may stand still, on either side. Longer: 408 or 504."},
    {COUNT("PushBridge:Proxy:Calls", proxy.calls, 1, 1000000, "500"), .unit = "calls",
     .help = "Proxied calls at once. More: 503."},
    {COUNT("PushBridge:Proxy:CallsPerCaller", proxy.calls_per_caller, 1, 1000000, "30"),
     .unit = "calls",
     .help = "Of one user at once, or of one address that brings no credentials. More: 429."},
    {COUNT("PushBridge:Proxy:LoginsPerMinute", proxy.logins_per_minute, 0, 1000, "3"),
     .unit = "calls",
     .help = "Calls of Rocket.Chat's `login`, and of what may be that by method.call, that are "
             "passed on, of all callers; of one account 1. Rocket.Chat takes 10 from an address, "
             "which are the bridge's own. More: 429."},
    {SECONDS("PushBridge:Proxy:IdentitySeconds", proxy.identity_ttl_ms, 100, HOUR, "60"),
     .help = "How long Rocket.Chat credentials that a caller brings are known to be good."},
    {COUNT("PushBridge:Proxy:Identities", proxy.identities, 1, 10000000, "10000"),
     .unit = "credentials", .help = "Of those, one thread remembers at most."},

    {COUNT("PushBridge:Methods:CallsPerSecond", methods.calls_per_second, 0, 1000000, "10"),
     .unit = "calls a second", .help = "Hub methods one connection may call. 0: no limit."},
    {COUNT("PushBridge:Methods:Burst", methods.call_burst, 1, 1000000, "30"), .unit = "calls",
     .help = "How many of them may come at once, after a pause."},
    {COUNT("PushBridge:Methods:OpenCalls", methods.open_calls, 1, 10000, "16"), .unit = "calls",
     .help = "Hub methods one connection may have waiting for an answer."},
    {COUNT("PushBridge:Methods:OpenRooms", methods.open_rooms, 1, 1000, "20"), .unit = "rooms",
     .help = "Rooms one connection may have open, to be followed as they change."},
    {COUNT("PushBridge:Methods:OpenRoomsPerUser", methods.open_rooms_per_user, 1, 1000, "100"),
     .unit = "rooms", .help = "Rooms all connections of a user may have open together."},
    {LIST("PushBridge:Methods:AllowedCalls", methods.allowed_calls, 256, ""),
     .check = settings_check_call,
     .help = "Methods of Rocket.Chat's Realtime API that the hub method Call may name. Empty: "
             "none."},

    {BOOL("PushBridge:Abp:Enabled", abp.enabled, "true"),
     .help = "Serve the routes of ABP's shape: Authenticate, Logout, GetStatus, CreateUser, "
             "DeleteUser and those of PushBridge:Abp:Routes."},
    {STRING("PushBridge:Abp:BasePath", abp.base_path, 255, "/api/services/app"), .min = 2,
     .check = settings_check_hub_path, .help = "What their paths begin with."},
    {LIST("PushBridge:Abp:AdminRoles", abp.admin_roles, 16, "Admin"), .min = 1,
     .help =
         "Roles that may call CreateUser, DeleteUser and routes that act as the administrator."},
    {BOOL("PushBridge:Abp:TenantAdmins", abp.tenant_admins, "false"),
     .help = "Those roles count for people of a tenant, too. They act on all of Rocket.Chat."},
    {LIST("PushBridge:Abp:Routes", abp.routes, 256, ""), .check = abp_map_check,
     .help = "Further routes, each \"VERB Service/Action -> GET|POST rest.method user|admin "
             "[role=A|B]\"."},
    {SECONDS("PushBridge:Abp:TimeoutSeconds", abp.timeout_ms, 100, 5 * MINUTE, "2.5"),
     .help = "For the answer of such a route; ABP's sample app waits 3 seconds."},
    {COUNT("PushBridge:Abp:Calls", abp.calls, 1, 1000000, "1000"), .unit = "calls",
     .help = "Calls of such routes at once. More: an answer that says try again."},
    {COUNT("PushBridge:Abp:CallsPerUser", abp.calls_per_user, 1, 1000000, "20"), .unit = "calls",
     .help = "Of one user. More: the same, with code 429."},
    {SECONDS("PushBridge:Abp:HandedOutTtlSeconds", abp.handed_out_ttl_ms, 100, 30 * DAY, "86400"),
     .help = "How long a token that Authenticate gave lives behind the last Authenticate, give or "
             "take a tenth."},

    {SECONDS("PushBridge:Replay:Seconds", replay.seconds_ms, 0, HOUR, "90"),
     .help = "A lost connection's user who is back within this time is sent what was missed. 0: "
             "nothing is kept for it."},
    {ENUM("PushBridge:Replay:Tail", replay.tail, replay_tails, "acked"),
     .help = "What a lost connection counts as having received: what its TCP acknowledged; what "
             "was sent before its client last showed life, right behind proxies; or all that was "
             "written to it."},
    {BYTES("PushBridge:Replay:RingBytes", replay.ring_bytes, 4 * KIB, GIB, "262144"),
     .help =
         "Events of one user kept for connections that are lost. What is older than that is "
         "not repeated, but told by resyncRequired. Never more than PushBridge:Limits:QueueBytes."},
    {COUNT("PushBridge:Replay:RingEvents", replay.ring_events, 1, 1000000, "1000"),
     .unit = "events", .help = "The same, in events."},
    {BYTES("PushBridge:Replay:TotalBytes", replay.total_bytes, 64 * KIB, 64 * GIB, "134217728"),
     .help = "The same, of all users together."},
    {PATH("PushBridge:Replay:StateFile", replay.state_file),
     .help = "Written when the bridge stops and taken at its next start, so that tabs miss nothing "
             "over a restart. No message texts, no tokens. Empty: none."},

    {ENUM("PushBridge:Log:Format", log.format, log_formats, "text"),
     .help = "How a log line looks."},
    {ENUM("PushBridge:Log:Level", log.level, log_levels, "info"),
     .help = "The least important line that is written."},
    {ENUM("PushBridge:Log:Identity", log.identity, log_identities, "plain"),
     .help = "How users stand in logs: by key, by a hash that changes with each start, or not."},

    {SECONDS("PushBridge:Hub:KeepAliveSeconds", hub.keep_alive_ms, 50, HOUR, "15"),
     .help = "A ping goes to a connection that was sent nothing for this long."},
    {SECONDS("PushBridge:Hub:ClientTimeoutSeconds", hub.client_timeout_ms, 100, DAY, "30"),
     .help = "A connection silent for this long is closed."},
    {SECONDS("PushBridge:Hub:HandshakeTimeoutSeconds", hub.handshake_timeout_ms, 50, HOUR, "15"),
     .help = "From the upgrade to the SignalR handshake."},
    {SECONDS("PushBridge:Hub:NegotiateTimeoutSeconds", hub.negotiate_timeout_ms, 50, HOUR, "15"),
     .help = "From the negotiation to its connection."},
    {SECONDS("PushBridge:Hub:CloseWaitSeconds", hub.close_wait_ms, 50, 10 * MINUTE, "5"),
     .help = "For the client's answer to our close."},

    {SECONDS("PushBridge:Ddp:PingSeconds", ddp.ping_ms, 50, HOUR, "20"),
     .help = "We ping Rocket.Chat after this long without a frame."},
    {SECONDS("PushBridge:Ddp:DeadSeconds", ddp.dead_ms, 100, HOUR, "45"),
     .help = "We take the connection for dead after this long without a frame."},

    {COUNT("PushBridge:Logins:RestPerMinute", logins.rest_per_minute, 1, 1000000, "10"),
     .unit = "calls a minute", .help = "Rocket.Chat's own limit of REST logins from one address."},
    {COUNT("PushBridge:Logins:MaxRunning", logins.max_running, 1, 10000, "8"), .unit = "logins",
     .help = "Logins under way at once."},
    {COUNT("PushBridge:Logins:DdpPerSecond", logins.ddp_per_second, 1, 10000, "20"),
     .unit = "logins a second",
     .help = "The pace of password logins over DDP, and of logins by users.createToken."},
    {SECONDS("PushBridge:Logins:TimeoutSeconds", logins.timeout_ms, 100, 10 * MINUTE, "20"),
     .help = "For the answer to one login."},
    {SECONDS("PushBridge:Drain:Seconds", drain.limit_ms, 0, HOUR, "20"),
     .help = "From SIGTERM to the exit at the latest."},

    {BYTES("PushBridge:Limits:HeadBytes", limits.head_bytes, KIB, MIB, "32768"),
     .help = "An HTTP request's head. More: 431."},
    {BYTES("PushBridge:Limits:RequestLineBytes", limits.request_line_bytes, 256, MIB, "16384"),
     .help = "An HTTP request's first line. More: 414."},
    {BYTES("PushBridge:Limits:BodyBytes", limits.body_bytes, 0, GIB, "65536"),
     .help = "An HTTP request's body. More: 413."},
    {SECONDS("PushBridge:Limits:HeadTimeoutSeconds", limits.head_timeout_ms, 50, HOUR, "10"),
     .help = "For a whole request head. Longer: 408."},
    {SECONDS("PushBridge:Limits:BodyTimeoutSeconds", limits.body_timeout_ms, 50, HOUR, "30"),
     .help = "For a whole request body. Longer: 408."},
    {SECONDS("PushBridge:Limits:IdleTimeoutSeconds", limits.idle_timeout_ms, 50, DAY, "120"),
     .help = "For the next request of a connection kept alive."},
    {BYTES("PushBridge:Limits:HubMessageBytes", limits.hub_message_bytes, KIB, GIB, "32768"),
     .help = "One message from a client. More: the connection is closed."},
    {COUNT("PushBridge:Limits:Connections", limits.connections, 0, 100000000, "100000"),
     .unit = "connections", .help = "Open at once. 0: no limit."},
    {COUNT("PushBridge:Limits:ConnectionsPerUser", limits.connections_per_user, 0, 100000000,
           "100"),
     .unit = "connections", .help = "Of one user. 0: no limit."},
    {COUNT("PushBridge:Limits:ConnectionsPerAddress", limits.connections_per_address, 0, 100000000,
           "20000"),
     .unit = "connections",
     .help = "Of one client address, as trusted proxies tell it. 0: no limit."},
    {COUNT("PushBridge:Limits:PendingNegotiations", limits.pending_negotiations, 1, 100000000,
           "20000"),
     .unit = "negotiations", .help = "Negotiated, not connected yet."},
    {COUNT("PushBridge:Limits:GroupsPerConnection", limits.groups_per_connection, 1, 100000, "100"),
     .unit = "groups", .help = "One connection, or user, may be put into at most."},
    {COUNT("PushBridge:Limits:GroupMemberships", limits.group_memberships, 1, 100000000, "200000"),
     .unit = "memberships", .help = "Connections in groups, and users in groups, each at most."},
    {BYTES("PushBridge:Limits:QueueBytes", limits.queue_bytes, 4 * KIB, GIB, "1048576"),
     .help = "Waiting for one connection. More: a slow consumer, closed to come back."},
    {BYTES("PushBridge:Limits:DdpFrameBytes", limits.ddp_frame_bytes, 8 * MIB, GIB, "16777216"),
     .help = "One DDP frame from Rocket.Chat. More: that connection is closed."},
    {BYTES("PushBridge:Limits:RestBodyBytes", limits.rest_body_bytes, 64 * KIB, GIB, "16777216"),
     .help = "One REST answer from Rocket.Chat. More: an error."},
    {BYTES("PushBridge:Limits:MailboxBytes", limits.mailbox_bytes, 64 * KIB, GIB, "8388608"),
     .help = "Events under way from one thread to another. More: dropped, and tabs are told."},
    {COUNT("PushBridge:Limits:LoginQueue", limits.login_queue, 1, 10000000, "100000"),
     .unit = "logins", .help = "Logins waiting for their turn. More: tried again later."},
    {COUNT("PushBridge:Limits:HandedOutTokens", abp.max_handed_out, 1, 10000000, "100000"),
     .unit = "tokens", .help = "Tokens in browsers' hands. More: the oldest is logged out."},
    {COUNT("PushBridge:Limits:TokenRequests", limits.token_requests, 1, 10000000, "10000"),
     .unit = "requests",
     .help = "Requests of one thread that wait for a user's Rocket.Chat login. More: 503."},
    {COUNT("PushBridge:Limits:RefusedUsers", limits.refused_users, 1, 10000000, "100000"),
     .unit = "users",
     .help = "Users whose refused login is remembered, so as not to ask again at once."},
    {COUNT("PushBridge:Limits:RememberedMessages", limits.remembered_messages, 8, ROOM_MEMORY_MAX,
           "64"),
     .unit = "messages",
     .help = "Message ids one session remembers, to tell a new message from a later version."},
};

const struct settings_row *settings_table(size_t *count)
{
    *count = sizeof rows / sizeof rows[0];
    return rows;
}
