#include "bridge/settings/settings.h"
#include "bridge/settings/settings_table.h"
#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include <cmocka.h>

#define KEY32 "0123456789abcdef0123456789abcdef"
#define KEY32_AND_2 KEY32 ",2"
#define KEY_PAIR "Authentication__JwtBearer__SecurityKey=" KEY32

struct loaded {
    struct settings *s; /* NULL: refused */
    char *errors, *warnings;
};

/* What a start needs at least, so that a case shows only what it is about. */
static const char *const needed[] = {
    "Im__DefaultPassword=users-pw",
    KEY_PAIR,
    "Authentication__JwtBearer__Issuer=app",
};

static char *text_of(struct byte_buf *b)
{
    byte_buf_putc(b, '\0');
    return b->data;
}

/* environment: up to 8 pairs, NULL-terminated; NULL: none. */
static struct loaded load(const char *json, const char *const *environment, bool bare)
{
    char *pairs[16];
    size_t n = 0;
    struct settings_notes notes = {{0}, {0}};
    struct loaded l;
    bool good;

    for (size_t i = 0; !bare && i < 3; i++)
        pairs[n++] = (char *)needed[i];
    for (size_t i = 0; environment != NULL && environment[i] != NULL; i++)
        pairs[n++] = (char *)environment[i];
    pairs[n] = NULL;
    good = settings_load_text("f", json, strlen(json), pairs, &l.s, &notes);
    assert_int_equal(good, l.s != NULL);
    assert_int_equal(good, notes.errors.len == 0);
    l.errors = text_of(&notes.errors);
    l.warnings = text_of(&notes.warnings);
    return l;
}

static void loaded_free(struct loaded *l)
{
    settings_free(l->s);
    free(l->errors);
    free(l->warnings);
}

static struct settings *load_good(struct loaded *l, const char *json, const char *const *env)
{
    *l = load(json, env, false);
    if (l->s == NULL)
        fail_msg("%s: %s", json, l->errors);
    return l->s;
}

static char *print(const struct settings *s)
{
    struct byte_buf out = {0};

    settings_print(s, &out);
    return text_of(&out);
}

static char *help(void)
{
    struct byte_buf out = {0};

    settings_help(&out);
    return text_of(&out);
}

static void test_defaults(void **state)
{
    struct loaded l;
    struct settings *s = load_good(&l, "{}", NULL);

    (void)state;
    assert_string_equal(l.warnings, "");
    assert_int_equal(s->urls.count, 1);
    assert_string_equal(s->urls.items[0].text, "http://0.0.0.0:5080");
    assert_string_equal(s->im.address.rest.host, "localhost");
    assert_int_equal(s->im.address.ddp.port, 3000);
    assert_string_equal(s->im.address.ddp.path, "/websocket");
    assert_true(s->im.tls_verify);
    assert_int_equal(s->im.login_via, LOGIN_VIA_AUTO);
    assert_string_equal(s->im.user_name_template, "");
    assert_true(s->jwt.is_enabled);
    assert_string_equal(s->hub_path, "/signalr");
    assert_true(s->shards >= 1);
    assert_string_not_equal(s->instance_name, "");
    assert_string_equal(s->admin_urls.items[0].text, "http://127.0.0.1:5081");
    assert_string_equal(s->admin_api_key, "");
    assert_string_equal(s->reserved_user_names.items[0], "rocket.cat");
    assert_int_equal(s->token_cache.ttl_ms, 3600000);
    assert_false(s->token_cache.sliding);
    assert_int_equal(s->token_cache.on_expiry, ON_EXPIRY_RESUME);
    assert_int_equal(s->session.linger_ms, 90000);
    assert_int_equal(s->auth.leeway_ms, 30000);
    assert_int_equal(s->auth.anonymous, ANONYMOUS_REFUSE);
    assert_true(s->auth.close_on_expiry);
    assert_int_equal(s->limits.head_bytes, 32768);
    assert_int_equal(s->limits.request_line_bytes, 16384);
    assert_null(s->trusted_proxies.items[0]); /* lists end with NULL */
    loaded_free(&l);
}

static void check_list(const struct settings_list *list, const char *const *want)
{
    size_t i = 0;

    for (; want[i] != NULL; i++)
        assert_string_equal(list->items[i], want[i]);
    assert_int_equal(list->count, i);
    assert_null(list->items[i]);
}

/* ABP's claim types, then the short names; a display name (`name`) comes last. */
static void test_claim_defaults(void **state)
{
#define XMLSOAP "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
    static const char *const ids[] = {XMLSOAP "nameidentifier", "sub", "nameid", NULL};
    static const char *const names[] = {XMLSOAP "name", "unique_name", "preferred_username", "name",
                                        NULL};
    static const char *const tenants[] = {
        "http://www.aspnetboilerplate.com/identity/claims/tenantId", "tenantid", "tenantId", NULL};
    struct loaded l;
    struct settings *s = load_good(&l, "{}", NULL);

    (void)state;
    check_list(&s->auth.user_id_claims, ids);
    check_list(&s->auth.name_claims, names);
    check_list(&s->auth.tenant_claims, tenants);
    loaded_free(&l);
}

static void test_values(void **state)
{
    static const char json[] =
        "{ // the app's own file\n"
        "  \"Logging\": {\"LogLevel\": {\"Default\": \"Warning\"}}, \"ConnectionStrings\": "
        "{\"Default\": \"x\"},\n"
        "  \"Urls\": \"http://127.0.0.1:0;http://[::1]:0\",\n"
        "  \"im\": {\"ADDRESS\": \"https://chat.example.org/p/\", \"TlsVerify\": \"False\","
        "   \"AdminUserName\": \"super\", \"AdminPassword\": 123456, \"LoginVia\": \"DDP\",},\n"
        "  \"Authentication\": {\"JwtBearer\": {\"IsEnabled\": \"True\", \"Audience\": [\"a\", "
        "\"b\"], \"Other\": 1}},\n"
        "  \"App\": {\"ServerRootAddress\": \"x\", \"CorsOrigins\": \"http://a/, "
        "https://B:443\"},\n"
        "  \"PushBridge\": {\"HubPath\": \"/hub/\", \"Shards\": \"3\", \"TrustedProxies\": "
        "[\"10.0.0.0/8\", \"::1\"],\n"
        "   \"ReservedUserNames\": [], \"AdminUrls\": \"\", \"InstanceName\": \"a1\",\n"
        "   \"Session:LingerSeconds\": 0.25, \"Auth\": {\"EncryptedTokenPassPhrases\": [\"a,b\", "
        "\"c\"],\n"
        "    \"PreviousSecurityKeys\": \"" KEY32 ",with comma\", \"Algorithms\": \"HS256,rs256\",\n"
        "    \"Jwks\": \"https://id.example.org/jwks\"},\n"
        "   \"Limits\": {\"QueueBytes\": 65536.0, \"Connections\": \"0\"}}, /* end */ }";
    static const char *const origins[] = {"http://a", "https://b", NULL};
    static const char *const phrases[] = {"a,b", "c", NULL};
    static const char *const algorithms[] = {"HS256", "RS256", NULL};
    static const char *const audience[] = {"a", "b", NULL};
    struct loaded l;
    struct settings *s = load_good(&l, json, NULL);

    (void)state;
    assert_int_equal(s->urls.count, 2);
    assert_string_equal(s->im.address.rest.path, "/p");
    assert_string_equal(s->im.address.ddp.path, "/p/websocket");
    assert_true(s->im.address.ddp.tls);
    assert_false(s->im.tls_verify);
    assert_string_equal(s->im.admin_password, "123456");
    assert_int_equal(s->im.login_via, LOGIN_VIA_DDP);
    check_list(&s->jwt.audience, audience);
    check_list(&s->cors_origins, origins);
    assert_string_equal(s->hub_path, "/hub");
    assert_int_equal(s->shards, 3);
    assert_int_equal(s->trusted_proxies.count, 2);
    assert_int_equal(s->reserved_user_names.count, 0);
    assert_int_equal(s->admin_urls.count, 0);
    assert_string_equal(s->instance_name, "a1");
    assert_int_equal(s->session.linger_ms, 250);
    check_list(&s->auth.encrypted_token_pass_phrases, phrases);
    assert_int_equal(s->auth.previous_security_keys.count, 1);
    check_list(&s->auth.algorithms, algorithms);
    assert_int_equal(s->limits.queue_bytes, 65536);
    assert_int_equal(s->limits.connections, 0);
    loaded_free(&l);
}

static void test_environment(void **state)
{
    static const char json[] = "{\"Im\":{\"Address\":\"http://file:1\"},"
                               "\"PushBridge\":{\"TrustedProxies\":[\"10.0.0.1\",\"10.0.0.2\"],"
                               "\"ReservedUserNames\":\"a,b\"}}";
    static const char *const env[] = {"IM__ADDRESS=http://env:2",
                                      "pushbridge__TrustedProxies__1=::1",
                                      "PushBridge__ReservedUserNames__0=c",
                                      "PushBridge__Hub__KeepAliveSeconds=0.5",
                                      "PATH=/bin",
                                      "IM=ibus",
                                      "Logging__LogLevel__Default=x",
                                      "NOEQUALS",
                                      NULL};
    static const char *const scalar[] = {"PushBridge__TrustedProxies=::2, ::3", NULL};
    static const char *const proxies[] = {"10.0.0.1", "::1", NULL};
    static const char *const reserved[] = {"c", NULL};
    static const char *const whole[] = {"::2", "::3", NULL};
    struct loaded l;
    struct settings *s = load_good(&l, json, env);

    (void)state;
    assert_string_equal(s->im.address.rest.host, "env");
    check_list(&s->trusted_proxies, proxies);
    check_list(&s->reserved_user_names, reserved);
    assert_int_equal(s->hub.keep_alive_ms, 500);
    loaded_free(&l);

    /* One text in the environment replaces the file's list, item by item as it was. */
    s = load_good(&l, json, scalar);
    check_list(&s->trusted_proxies, whole);
    loaded_free(&l);
}

static void test_refused(void **state)
{
    static const struct {
        const char *json, *env;
        const char *errors; /* all of them */
    } cases[] = {
        {"{\"PushBridge\":{\"Shard\":1}}", NULL,
         "PushBridge:Shard: unknown; did you mean PushBridge:Shards? (file)\n"},
        {"{\"PushBridge\":{\"LingerSeconds\":1}}", NULL,
         "PushBridge:LingerSeconds: unknown; did you mean PushBridge:Session:LingerSeconds? "
         "(file)\n"},
        {"{\"Im\":{\"zzz\":1}}", NULL, "Im:zzz: unknown (file)\n"},
        {"{\"PushBridge\":{\"Hub\":1}}", NULL,
         "PushBridge:Hub: is a section, not a value (file)\n"},
        {"{\"PushBridge\":[]}", NULL, "PushBridge: is a section, not a value (file)\n"},
        {"{\"PushBridge\":{\"Sesion\":{}}}", NULL, "PushBridge:Sesion: unknown (file)\n"},
        {"{\"PushBridge\":{\"Shards\":{}}}", NULL,
         "PushBridge:Shards: \"{}\" must be threads from 0 to 256 (file)\n"},
        {"{\"App\":{\"CorsOrigins\":{}}}", NULL,
         "App:CorsOrigins: \"{}\" must be a list of texts in quotes (file)\n"},
        {"{\"PushBridge\":{\"HubPath\":{\"x\":1}}}", NULL,
         "PushBridge:HubPath:x: unknown; did you mean PushBridge:HubPath? (file)\n"},
        {"{}", "PushBridge__Sharts=2",
         "PushBridge:Sharts: unknown; did you mean PushBridge:Shards? (environment)\n"},
        {"{}", "Im__AdminPasswrd=hunter2",
         "Im:AdminPasswrd: unknown; did you mean Im:AdminPassword? (environment)\n"},
        {"{\"PushBridge\":{\"Shards\":-1}}", NULL,
         "PushBridge:Shards: \"-1\" must be threads from 0 to 256 (file)\n"},
        {"{\"PushBridge\":{\"Shards\":257}}", NULL,
         "PushBridge:Shards: \"257\" must be threads from 0 to 256 (file)\n"},
        /* What a session's 16-bit tables hold. */
        {"{\"PushBridge\":{\"Session\":{\"MaxRooms\":65536}}}", NULL,
         "PushBridge:Session:MaxRooms: \"65536\" must be rooms from 1 to 65535 (file)\n"},
        {"{\"PushBridge\":{\"Limits\":{\"RememberedMessages\":65536}}}", NULL,
         "PushBridge:Limits:RememberedMessages: \"65536\" must be messages from 8 to 65535 "
         "(file)\n"},
        {"{\"PushBridge\":{\"Shards\":1.5}}", NULL,
         "PushBridge:Shards: \"1.500000\" must be threads from 0 to 256 (file)\n"},
        {"{\"PushBridge\":{\"Shards\":\"\"}}", NULL,
         "PushBridge:Shards: \"\" must be threads from 0 to 256 (file)\n"},
        {"{\"PushBridge\":{\"Shards\":\"1 \"}}", NULL,
         "PushBridge:Shards: \"1 \" must be threads from 0 to 256 (file)\n"},
        {"{\"PushBridge\":{\"Shards\":[]}}", NULL,
         "PushBridge:Shards: \"\" must be threads from 0 to 256 (file)\n"},
        {"{\"PushBridge\":{\"Shards\":99999999999999999999999}}", NULL, NULL},
        {"{\"PushBridge\":{\"Shards\":1e30}}", NULL, NULL},
        {"{\"PushBridge\":{\"Limits\":{\"QueueBytes\":\"0x10000\"}}}", NULL, NULL},
        {"{\"PushBridge\":{\"Session\":{\"LingerSeconds\":\"90s\"}}}", NULL,
         "PushBridge:Session:LingerSeconds: \"90s\" must be seconds from 0 to 86400 (file)\n"},
        {"{\"PushBridge\":{\"Session\":{\"LingerSeconds\":\"nan\"}}}", NULL, NULL},
        {"{\"Im\":{\"TlsVerify\":\"no\"}}", NULL,
         "Im:TlsVerify: \"no\" must be true or false (file)\n"},
        {"{\"Im\":{\"Provider\":\"Slack\"}}", NULL,
         "Im:Provider: \"Slack\" must be RocketChat (file)\n"},
        {"{\"Im\":{\"LoginVia\":\"carrier \\u001bpigeon\"}}", NULL,
         "Im:LoginVia: \"carrier \\u001bpigeon\" must be one of auto, rest, ddp (file)\n"},
        {"{\"Im\":{\"Address\":\"chat\"}}", NULL,
         "Im:Address: \"chat\" must begin with http:// or https:// (file)\n"},
        {"{\"Im\":{\"Address\":\"http://u:hunter2@chat\"}}", NULL,
         "Im:Address: a user name or password can't stand in the address (file)\n"},
        {"{\"Im\":{\"Proxy\":\"http://u:hunter2@p:1\"}}", NULL,
         "Im:Proxy: must be http://HOST:PORT (file)\n"},
        {"{\"Im\":{\"AdminUserName\":true}}", NULL,
         "Im:AdminUserName: \"true\" must be text in quotes (file)\n"},
        {"{\"App\":{\"CorsOrigins\":[\"http://a\",5.5]}}", NULL,
         "App:CorsOrigins: \"http://a\", \"5.500000\" must be a list of texts in quotes (file)\n"},
        {"{\"App\":{\"CorsOrigins\":\"*\"}}", NULL,
         "App:CorsOrigins: \"*\" must be an exact origin, as https://app.example.org, without path "
         "or "
         "wildcard (file)\n"},
        {"{\"PushBridge\":{\"TrustedProxies\":[\"::1\",\"\"]}}", NULL,
         "PushBridge:TrustedProxies: \"::1\", \"\" must have no empty values (file)\n"},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":[]}}}", NULL,
         "PushBridge:Auth:Algorithms: must be a list of 1 to 5 values (file)\n"},
        {"{\"Urls\":\";\"}", NULL, "Urls: \";\" must be a list of 1 to 16 values (file)\n"},
        {"{\"Urls\":\"https://*:5080\"}", NULL, NULL},
        {"{\"PushBridge\":{\"Auth\":{\"EncryptedTokenIv\":\"short\"}}}", NULL,
         "PushBridge:Auth:EncryptedTokenIv: \"short\" must be text of 16 bytes (file)\n"},
        {"{}", "Im__DefaultPasswordFile=/nonexistent",
         "Im:DefaultPassword and Im:DefaultPasswordFile: give one of them\n"},
        {"{}", "Im__AdminTokenFile=/nonexistent",
         "Im:AdminTokenFile: \"/nonexistent\" can't be read: No such file or directory\n"},
        {"{\"Im\":{\"AdminToken\":\"hunter2\\n\",\"AdminUserId\":\"x\"}}", NULL,
         "Im:AdminToken: must be text without control characters (file)\n"},
        /* Several at once. */
        {"{\"Im\":{\"LoginVia\":\"x\",\"Adress\":\"y\"},\"PushBridge\":{\"Drain\":{\"Seconds\":-1}}"
         "}",
         NULL,
         "Im:LoginVia: \"x\" must be one of auto, rest, ddp (file)\n"
         "PushBridge:Drain:Seconds: \"-1\" must be seconds from 0 to 3600 (file)\n"
         "Im:Adress: unknown; did you mean Im:Address? (file)\n"},
        /* Settings that need or exclude each other. */
        {"{\"Im\":{\"AdminUserId\":\"x\"}}", NULL,
         "Im:AdminUserId and Im:AdminToken: give both or neither\n"},
        {"{\"Im\":{\"AdminUserName\":\"super\"}}", NULL,
         "Im:AdminPassword: is not set, but Im:AdminUserName is\n"},
        {"{\"Im\":{\"AdminPassword\":\"x\"}}", NULL,
         "Im:AdminUserName: is not set, but Im:AdminPassword is\n"},
        {"{\"Im\":{\"ClientCertFile\":\"/dev/null\"}}", NULL,
         "Im:ClientCertFile and Im:ClientKeyFile: give both or neither\n"},
        {"{\"Im\":{\"CaFile\":\"/nonexistent\"}}", NULL,
         "Im:CaFile: \"/nonexistent\" can't be read: No such file or directory\n"},
        {"{\"PushBridge\":{\"Replay\":{\"StateFile\":\"/nonexistent/state\"}}}", NULL,
         "PushBridge:Replay:StateFile: \"/nonexistent/state\" can't be written: its folder: No "
         "such "
         "file or directory\n"},
        {"{\"PushBridge\":{\"Replay\":{\"Tail\":\"pinged\"}}}", NULL,
         "PushBridge:Replay:Tail: \"pinged\" must be one of acked, last-ping, none (file)\n"},
        {"{\"Im\":{\"CaFile\":\"/dev/null\"}}", NULL,
         "Im:CaFile: \"/dev/null\" holds no certificate in PEM form\n"},
        {"{\"Im\":{\"ClientCertFile\":\"/dev/null\",\"ClientKeyFile\":\"/dev/null\"}}", NULL,
         "Im:ClientCertFile: \"/dev/null\" holds no certificate in PEM form\n"},
        {"{\"PushBridge\":{\"Auth\":{\"JwksCaFile\":\"/dev/null\"}}}", NULL,
         "PushBridge:Auth:JwksCaFile: \"/dev/null\" holds no certificate in PEM form\n"},
        {"{\"Im\":{\"UserNameTemplate\":\"{name\"}}", NULL,
         "Im:UserNameTemplate: \"{name\" is no template: unbalanced braces\n"},
        {"{\"PushBridge\":{\"ProxyProtocol\":true}}", NULL,
         "PushBridge:ProxyProtocol: true needs PushBridge:TrustedProxies\n"},
        {"{\"PushBridge\":{\"Proxy\":{\"AnonymousRoutes\":\"GET a\"}}}", NULL,
         "PushBridge:Proxy:AnonymousRoutes: needs an administrator (Im:AdminUserName or "
         "Im:AdminUserId)\n"},
        {"{\"PushBridge\":{\"Proxy\":{\"Path\":\"/signalr/\"}}}", NULL,
         "PushBridge:HubPath: must not be PushBridge:Proxy:Path, nor below it\n"},
        {"{\"PushBridge\":{\"HubPath\":\"/im/hub\"}}", NULL,
         "PushBridge:HubPath: must not be PushBridge:Proxy:Path, nor below it\n"},
        {"{\"PushBridge\":{\"Abp\":{\"BasePath\":\"/im/api\"}}}", NULL,
         "PushBridge:Abp:BasePath: must not be PushBridge:Proxy:Path, nor below it\n"},
        {"{\"PushBridge\":{\"Hub\":{\"KeepAliveSeconds\":30}}}", NULL,
         "PushBridge:Hub:KeepAliveSeconds: must be less than "
         "PushBridge:Hub:ClientTimeoutSeconds\n"},
        {"{\"PushBridge\":{\"Ddp\":{\"DeadSeconds\":20}}}", NULL,
         "PushBridge:Ddp:PingSeconds: must be less than PushBridge:Ddp:DeadSeconds\n"},
        {"{\"PushBridge\":{\"Session\":{\"BackoffMinSeconds\":31}}}", NULL,
         "PushBridge:Session:BackoffMinSeconds: must not be more than "
         "PushBridge:Session:BackoffMaxSeconds\n"},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":\"RS256\"}}}", NULL,
         "PushBridge:Auth:PublicKeyFiles and PushBridge:Auth:Jwks: neither is set, but RS256 or "
         "ES256 is "
         "in PushBridge:Auth:Algorithms\n"},
        {"{\"PushBridge\":{\"Auth\":{\"PublicKeyFiles\":\"/dev/null\"}}}", NULL,
         "PushBridge:Auth:Algorithms: must have RS256 or ES256, since "
         "PushBridge:Auth:PublicKeyFiles is "
         "set\n"},
        {"{\"PushBridge\":{\"Auth\":{\"PreviousSecurityKeys\":[\"0123456789abcde\"]}}}", NULL,
         "PushBridge:Auth:PreviousSecurityKeys: has 15 bytes, must have 16 to 1024\n"},
        {"{\"PushBridge\":{\"Limits\":{\"HeadBytes\":1024}}}", NULL,
         "PushBridge:Limits:RequestLineBytes: must not be more than PushBridge:Limits:HeadBytes\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *env[] = {cases[i].env, NULL};
        struct loaded l = load(cases[i].json, env, false);

        if (l.s != NULL)
            fail_msg("%s was taken", cases[i].json);
        if (cases[i].errors != NULL)
            assert_string_equal(l.errors, cases[i].errors);
        assert_null(strstr(l.errors, "hunter2"));
        loaded_free(&l);
    }
}

static void test_needed(void **state)
{
    static const struct {
        const char *json, *errors;
    } cases[] = {
        {"{}", "Authentication:JwtBearer:SecurityKey: is not set, but an HMAC algorithm is in "
               "PushBridge:Auth:Algorithms\n"
               "Im:DefaultPassword: is not set; no user can be logged in to Rocket.Chat\n"},
        /* Of what is no JSON nothing else can be said. */
        {"{\"Im\":{}", "f: line 1, column 8: '}' expected\n"},
        {"[]", "f: must be one JSON object\n"},
        {"{\"Authentication\":{\"JwtBearer\":{\"IsEnabled\":false}}}",
         "Authentication:JwtBearer:IsEnabled: false needs PushBridge:Auth:Anonymous=mute: without "
         "tokens "
         "nobody has a name\n"},
        {"{\"Authentication\":{\"JwtBearer\":{\"IsEnabled\":0}},\"PushBridge\":{\"Auth\":{"
         "\"Anonymous\":"
         "\"mute\"}}}",
         ""},
        {"{\"Authentication\":{\"JwtBearer\":{\"SecurityKey\":\"0123456789abcde\"}},"
         "\"Im\":{\"DefaultPassword\":\"x\"}}",
         "Authentication:JwtBearer:SecurityKey: has 15 bytes, must have 16 to 1024\n"},
        /* Refused is not the same as missing. */
        {"{\"Authentication\":{\"JwtBearer\":{\"SecurityKey\":\"\\u0001\"}},"
         "\"Im\":{\"DefaultPassword\":\"x\"}}",
         "Authentication:JwtBearer:SecurityKey: must be text without control characters (file)\n"},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":\"ES256\",\"Jwks\":\"https://id/jwks\"}},"
         "\"Im\":{\"DefaultPassword\":\"x\"}}",
         ""},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":\"ES256\",\"Jwks\":\"https://id/jwks\"},"
         "\"Abp\":{\"Routes\":[\"GET A/B -> GET x user\",\"GET A/B -> FETCH x user\"]}},"
         "\"Im\":{\"DefaultPassword\":\"x\"}}",
         "PushBridge:Abp:Routes: \"GET A/B -> GET x user\", \"GET A/B -> FETCH x user\" must have "
         "-> "
         "GET or -> POST behind the route (file)\n"},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":\"ES256\",\"Jwks\":\"https://id/jwks\"},"
         "\"Abp\":{\"Routes\":[\"GET A/B -> GET x user\",\"GET a/b -> GET y user\"]}},"
         "\"Im\":{\"DefaultPassword\":\"x\"}}",
         "PushBridge:Abp:Routes: \"GET a/b -> GET y user\" is there already\n"},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":\"ES256\",\"Jwks\":\"https://id/jwks\"},"
         "\"Provisioning\":{\"PasswordPolicy\":\"derived\",\"PasswordSecret\":\"0123456789abcdef\"}"
         "},\"Im\":{}}",
         "PushBridge:Provisioning:PasswordSecret: must have at least 32 bytes, since "
         "PushBridge:Provisioning:PasswordPolicy is derived\n"},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":\"ES256\",\"Jwks\":\"https://id/jwks\"},"
         "\"Provisioning\":{\"PasswordPolicy\":\"token\"}},\"Im\":{}}",
         "PushBridge:Provisioning:PasswordPolicy: token needs an administrator: Im:AdminUserName, "
         "or Im:AdminUserId\n"},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":\"ES256\",\"Jwks\":\"https://id/jwks\"},"
         "\"Provisioning\":{\"PasswordPolicy\":\"token\"}},\"Im\":{\"AdminUserId\":\"a\","
         "\"AdminToken\":\"t\"}}",
         ""},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":\"ES256\",\"Jwks\":\"https://id/jwks\"},"
         "\"Provisioning\":{\"Enabled\":true}},\"Im\":{\"DefaultPassword\":\"x\"}}",
         "PushBridge:Provisioning:Enabled: true needs an administrator: Im:AdminUserName, or "
         "Im:AdminUserId\n"},
        {"{\"PushBridge\":{\"Auth\":{\"Algorithms\":\"ES256\",\"Jwks\":\"https://id/jwks\"},"
         "\"Provisioning\":{\"Enabled\":true,\"Roles\":[\"user\",\"{claim:}\"]}},\"Im\":{"
         "\"DefaultPassword\":\"x\",\"AdminUserId\":\"a\",\"AdminToken\":\"t\"}}",
         "PushBridge:Provisioning:Roles: unknown placeholder; there are {name}, {id}, {sub}, "
         "{tenant} and {claim:NAME}\n"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loaded l = load(cases[i].json, NULL, true);

        assert_string_equal(l.errors, cases[i].errors);
        loaded_free(&l);
    }
}

static void test_warnings(void **state)
{
    static const struct {
        const char *json, *part;
    } cases[] = {
        {"{\"Im\":{\"TlsVerify\":0}}", "Im:TlsVerify is false"},
        {"{\"Im\":{\"AdminUserName\":\"a\",\"AdminPassword\":\"users-pw\"}}",
         "Im:AdminPassword and Im:DefaultPassword are equal"},
        {"{\"PushBridge\":{\"AdminUrls\":\"http://*:5081\"}}", "can be reached from other hosts"},
        {"{\"PushBridge\":{\"Auth\":{\"PreviousSecurityKeys\":[\"0123456789abcdef\"]}}}",
         "PushBridge:Auth:PreviousSecurityKeys has 16 bytes"},
        {"{\"PushBridge\":{\"Auth\":{\"PreviousSecurityKeys\":[\"" KEY32 "\xc3\xa9\"]}}}",
         "is not all ASCII"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct loaded l = load(cases[i].json, NULL, false);

        assert_non_null(l.s);
        if (strstr(l.warnings, cases[i].part) == NULL)
            fail_msg("%s: %s", cases[i].json, l.warnings);
        assert_null(strstr(l.warnings, "users-pw"));
        assert_null(strstr(l.warnings, "0123456789abcdef"));
        loaded_free(&l);
    }
}

static void write_file(const char *path, const char *text, size_t len)
{
    FILE *f = fopen(path, "w");

    assert_non_null(f);
    assert_int_equal(fwrite(text, 1, len, f), len);
    fclose(f);
}

static void test_secret_files(void **state)
{
    char dir[] = "/tmp/test_settings_XXXXXX", one[64], list[64], nul[64], env_one[128],
         env_list[128], env_nul[128];
    const char *env[] = {"Im__AdminUserName=super", env_one, env_list, "Im__AdminPassword=", NULL};
    const char *bad[] = {"Im__AdminUserName=super", env_nul, NULL};
    static const char *const keys[] = {KEY32, KEY32_AND_2, NULL};
    struct loaded l;
    struct settings *s;
    char *printed;

    (void)state;
    assert_non_null(mkdtemp(dir));
    snprintf(one, sizeof one, "%s/one", dir);
    snprintf(list, sizeof list, "%s/list", dir);
    snprintf(nul, sizeof nul, "%s/nul", dir);
    snprintf(env_one, sizeof env_one, "Im__AdminPasswordFile=%s", one);
    snprintf(env_list, sizeof env_list, "PushBridge__Auth__PreviousSecurityKeysFile=%s", list);
    snprintf(env_nul, sizeof env_nul, "Im__AdminPasswordFile=%s", nul);
    write_file(one, " hunter2 \r\n", 11);
    write_file(list, KEY32 "\n" KEY32 ",2\n", 68);
    write_file(nul, "hunter2\0x", 9);

    s = load_good(&l, "{}", env);
    assert_string_equal(s->im.admin_password, " hunter2 ");
    check_list(&s->auth.previous_security_keys, keys);
    printed = print(s);
    assert_non_null(strstr(printed, "\"Im:AdminPassword\": *** (secret file)"));
    assert_null(strstr(printed, "hunter2"));
    free(printed);
    loaded_free(&l);

    l = load("{}", bad, false);
    assert_string_equal(l.errors, "Im:AdminPasswordFile: the file has a NUL byte\n");
    loaded_free(&l);
    unlink(one);
    unlink(list);
    unlink(nul);
    rmdir(dir);
}

/* Every row: its default passes its own bounds (loading would abort otherwise), it is in --help and
 * in --print-config, its own name is no mistake, and with a letter missing it is what we suggest.
 */
static void test_rows(void **state)
{
    size_t count;
    const struct settings_row *rows = settings_table(&count);
    struct loaded l;
    struct settings *s = load_good(&l, "{}", NULL);
    char *printed = print(s), *helped = help();

    (void)state;
    for (size_t i = 0; i < count; i++) {
        char wrong[128], quoted[128];

        assert_non_null(rows[i].help);
        assert_true(strlen(rows[i].name) < sizeof wrong);
        snprintf(quoted, sizeof quoted, "\"%s\": ", rows[i].name);
        assert_non_null(strstr(printed, quoted));
        assert_non_null(strstr(helped, rows[i].name));
        assert_string_equal(settings_nearest(rows[i].name), rows[i].name);
        snprintf(wrong, sizeof wrong, "%s", rows[i].name);
        wrong[strlen(wrong) - 1] = '\0';
        assert_string_equal(settings_nearest(wrong), rows[i].name);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(strcasecmp(rows[i].name, rows[j].name), 0);
            assert_int_not_equal(rows[i].offset, rows[j].offset);
        }
    }
    free(printed);
    free(helped);
    loaded_free(&l);
}

/* The bounds of a number are reached and not passed. */
static void test_bounds(void **state)
{
    size_t count;
    const struct settings_row *rows = settings_table(&count);

    (void)state;
    for (size_t i = 0; i < count; i++) {
        int64_t unit = rows[i].type == SETTING_SECONDS ? 1000 : 1;
        int64_t edges[] = {rows[i].min, rows[i].max, rows[i].min - 1, rows[i].max + 1};

        if (rows[i].type != SETTING_SECONDS && rows[i].type != SETTING_COUNT &&
            rows[i].type != SETTING_BYTES)
            continue;
        for (size_t e = 0; e < 4; e++) {
            struct settings *s = calloc(1, sizeof *s);
            struct byte_buf scratch = {0}, printed = {0};
            char text[64], *texts[] = {text};
            bool in_bounds = e < 2;

            if (unit == 1000)
                snprintf(text, sizeof text, "%s%lld.%03lld", edges[e] < 0 ? "-" : "",
                         (long long)(edges[e] / 1000), llabs((long long)(edges[e] % 1000)));
            else
                snprintf(text, sizeof text, "%lld", (long long)edges[e]);
            if (settings_row_set(&rows[i], s, texts, 1, false, &scratch) != in_bounds)
                fail_msg("%s: %s", rows[i].name, text);
            if (in_bounds) {
                settings_row_print(&rows[i], s, &printed);
                byte_buf_putc(&printed, '\0');
                assert_true(strtod(printed.data, NULL) == strtod(text, NULL));
            }
            byte_buf_free(&scratch);
            byte_buf_free(&printed);
            free(s);
        }
    }
}

/* Where values came from differs between a setting and its printed form. */
static void cut_origins(char *printed)
{
    char *out = printed;

    for (char *line = strtok(printed, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char *origin = strstr(line, ", // ");
        size_t len = origin == NULL ? strlen(line) : (size_t)(origin - line);

        memmove(out, line, len);
        out[len] = ';';
        out += len + 1;
    }
    *out = '\0';
}

/* What is printed can be read again, and prints the same; only secrets stay behind. */
static void test_print_is_settings(void **state)
{
    static const char json[] =
        "{\"Urls\":\"http://*:1;http://localhost:2\",\"App\":{\"CorsOrigins\":\"http://a,http://"
        "b\"},"
        "\"PushBridge\":{\"Shards\":2,\"InstanceName\":\"x\",\"Session\":{\"LingerSeconds\":1.5},"
        "\"TrustedProxies\":\"::1\",\"Events\":{\"Updates\":\"off\"}},"
        "\"Im\":{\"UserNameTemplate\":\"\xc3\xa9{name}\\\"\\\\\"}}";
    static const char *const secrets[] = {"PushBridge__AdminApiKey=hunter2-hunter2-hunter2", NULL};
    static const char *const all_secrets[] = {"PushBridge__AdminApiKey=hunter2-hunter2-hunter2",
                                              "Im__DefaultPassword=users-pw", KEY_PAIR, NULL};
    struct loaded first, second;
    char *once, *twice;

    (void)state;
    load_good(&first, json, secrets);
    once = print(first.s);
    assert_null(strstr(once, "hunter2"));
    assert_null(strstr(once, "users-pw"));
    assert_null(strstr(once, KEY32));
    assert_non_null(strstr(once, "\"PushBridge:Session:LingerSeconds\": 1.5, // file\n"));
    second = load(once, all_secrets, true);
    assert_string_equal(second.errors, "");
    twice = print(second.s);
    cut_origins(once);
    cut_origins(twice);
    assert_string_equal(once, twice);
    free(once);
    free(twice);
    loaded_free(&first);
    loaded_free(&second);
}

static void test_files(void **state)
{
    struct settings_notes notes = {{0}, {0}};
    struct settings *s;
    char *environment[] = {NULL}, sample[sizeof TEST_DATA + 64];

    (void)state;
    snprintf(sample, sizeof sample, "%.*s/../deploy/appsettings.sample.json",
             (int)(strrchr(TEST_DATA, '/') - TEST_DATA), TEST_DATA);
    if (!settings_load(sample, environment, &s, &notes))
        fail_msg("%s", text_of(&notes.errors));
    assert_string_equal(s->im.admin_user_name, "super");
    assert_int_equal(s->cors_origins.count, 2);
    assert_int_equal(notes.warnings.len, 0);
    settings_free(s);

    assert_false(settings_load("/nonexistent", NULL, &s, &notes));
    assert_null(s);
    assert_false(settings_load("/", NULL, &s, &notes));         /* a directory */
    assert_false(settings_load("/dev/zero", NULL, &s, &notes)); /* never ends */
    assert_string_equal(text_of(&notes.errors),
                        "/nonexistent: can't be read: No such file or directory\n"
                        "/: can't be read: Is a directory\n"
                        "/dev/zero: can't be read: File too large\n");
    settings_notes_free(&notes);
    settings_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_claim_defaults),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_needed),
        cmocka_unit_test(test_warnings),
        cmocka_unit_test(test_secret_files),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_print_is_settings),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
