#include "bridge/settings/settings_syntax.h"

#include "base/utf8.h"
#include "bridge/im_proxy/im_path.h"
#include "bridge/session/further_events.h"
#include "bridge/settings/rc_address.h"
#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

const char *settings_check_text(char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (iscntrl((unsigned char)*c))
            return "must be text without control characters";
    return utf8_valid(text, strlen(text)) ? NULL : "must be UTF-8";
}

const char *settings_check_rest_address(char *text)
{
    struct rc_endpoint ignored;

    return rc_address_parse_rest(slice_of(text), &ignored);
}

const char *settings_check_ddp_address(char *text)
{
    struct rc_endpoint ignored;

    return rc_address_parse_ddp(slice_of(text), &ignored);
}

const char *settings_check_proxy(char *text)
{
    struct rc_endpoint e;
    size_t len = strlen(text);

    if (rc_address_parse_rest(slice_of(text), &e) != NULL || e.tls || e.path[0] != '\0')
        return "must be http://HOST:PORT";
    if (text[len - 1] == '/')
        text[len - 1] = '\0';
    return NULL;
}

/* An Origin header's form: RFC 6454 section 6.2. Browsers write it in lower case and leave out the
 * scheme's own port; native shells use schemes of their own (capacitor://localhost). */
const char *settings_check_origin(char *text)
{
    static const char *const allowed =
        "must be an exact origin, as https://app.example.org, without path or wildcard";
    static const struct {
        const char *scheme, *port;
    } defaults[] = {{"http://", ":80"}, {"https://", ":443"}};
    size_t len = strlen(text), scheme;
    const char *host;

    while (len > 0 && text[len - 1] == '/')
        text[--len] = '\0';
    host = strstr(text, "://");
    if (host == NULL || host == text || host[3] == '\0')
        return allowed;
    scheme = (size_t)(host - text) + 3;
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)text[i];

        if (c <= ' ' || c >= 0x7f || strchr("*,?#@\\\"'<>", c) != NULL || (i >= scheme && c == '/'))
            return allowed;
        text[i] = (char)tolower(c);
    }
    for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++) {
        size_t port_len = strlen(defaults[i].port);

        if (strncmp(text, defaults[i].scheme, strlen(defaults[i].scheme)) == 0 &&
            len > scheme + port_len && strcmp(text + len - port_len, defaults[i].port) == 0)
            text[len - port_len] = '\0';
    }
    return NULL;
}

const char *settings_check_instance(char *text)
{
    for (const char *c = text; *c != '\0'; c++)
        if (!isalnum((unsigned char)*c) && strchr("-._", *c) == NULL)
            return "must be letters, digits, '-', '.' and '_'";
    return NULL;
}

const char *settings_check_hub_path(char *text)
{
    static const char *const allowed = "must be a path as /signalr, of letters, digits and -._~";
    size_t len = strlen(text);

    while (len > 0 && text[len - 1] == '/')
        text[--len] = '\0';
    if (len < 2 || text[0] != '/')
        return allowed;
    for (size_t i = 0; i < len; i++) {
        if (!isalnum((unsigned char)text[i]) && strchr("-._~/", text[i]) == NULL)
            return allowed;
        if (i > 0 && text[i] == '/' && text[i - 1] == '/')
            return allowed;
    }
    return NULL;
}

const char *settings_check_route(char *text)
{
    return im_path_check_route(text);
}

const char *settings_check_cidr(char *text)
{
    static const char *const allowed =
        "must be an IP address, or a block as 10.0.0.0/8 or fd00::/8";
    char address[INET6_ADDRSTRLEN];
    unsigned char bytes[16];
    const char *slash = strchr(text, '/');
    size_t len = slash == NULL ? strlen(text) : (size_t)(slash - text);
    unsigned long bits, most;
    char *end;

    if (len >= sizeof address)
        return allowed;
    memcpy(address, text, len);
    address[len] = '\0';
    if (inet_pton(AF_INET, address, bytes) == 1)
        most = 32;
    else if (inet_pton(AF_INET6, address, bytes) == 1)
        most = 128;
    else
        return allowed;
    if (slash == NULL)
        return NULL;
    if (!isdigit((unsigned char)slash[1]) || strlen(slash + 1) > 3)
        return allowed;
    bits = strtoul(slash + 1, &end, 10);
    return *end == '\0' && bits <= most ? NULL : allowed;
}

const char *settings_check_api_key(char *text)
{
    if (strlen(text) < 16)
        return "must be at least 16 characters long";
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~')
            return "must be printable ASCII without blanks";
    return NULL;
}

const char *settings_check_algorithm(char *text)
{
    static const char *const known[] = {"HS256", "HS384", "HS512", "RS256", "ES256"};

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcasecmp(text, known[i]) == 0) {
            memcpy(text, known[i], strlen(known[i]));
            return NULL;
        }
    }
    return "must be HS256, HS384, HS512, RS256 or ES256";
}

const char *settings_check_event(char *text)
{
    struct further_map map = {0};

    return further_map_add(&map, slice_of(text));
}

/* The connection has its login, and goes on with it. */
const char *settings_check_call(char *text)
{
    for (const char *p = text; *p != '\0'; p++)
        if (*p <= ' ' || *p > '~' || *p == '"' || *p == '\\')
            return "must be a method's name, as rooms/get";
    if (strcmp(text, "login") == 0 || strcmp(text, "logout") == 0)
        return "must not be login or logout: the session with Rocket.Chat is the bridge's";
    return NULL;
}

/* A path, or a URL. Credentials in it would show in logs and --print-config. */
const char *settings_check_jwks(char *text)
{
    size_t authority;

    if (strncasecmp(text, "http://", 7) != 0 && strncasecmp(text, "https://", 8) != 0)
        return strstr(text, "://") == NULL ? NULL
                                           : "must be a file, or an http:// or https:// address";
    authority = strcspn(text, ":") + 3;
    if (strcspn(text + authority, "/?#") == 0)
        return "must be an address with a host";
    for (const char *c = text; *c != '\0'; c++)
        if (*c <= ' ' || *c > '~' || *c == '@')
            return "must be an address without user name, blanks or non-ASCII characters";
    return NULL;
}
