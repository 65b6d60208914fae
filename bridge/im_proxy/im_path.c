#include "bridge/im_proxy/im_path.h"

#include "base/utf8.h"
#include <strings.h>

static bool starts_with(struct slice s, struct slice with)
{
    return s.len >= with.len && memcmp(s.ptr, with.ptr, with.len) == 0;
}

static struct slice behind(struct slice s, size_t n)
{
    return (struct slice){s.ptr + n, s.len - n};
}

/* Some servers cut a segment's parameters off before they look at it: "..;x" is ".." to them. */
static bool is_dots(struct slice segment)
{
    const char *parameters = memchr(segment.ptr, ';', segment.len);

    if (parameters != NULL)
        segment.len = (size_t)(parameters - segment.ptr);
    return slice_eq(segment, SLICE_LIT(".")) || slice_eq(segment, SLICE_LIT("..")) ||
           (parameters != NULL && segment.len == 0);
}

/* The byte that the three at `at` encode may stand in a segment. */
static bool read_escape(struct slice path, size_t at, char *byte)
{
    size_t n;

    if (path.len - at < 3 || !http_percent_decode((struct slice){path.ptr + at, 3}, byte, 1, &n))
        return false;
    return (unsigned char)*byte >= 0x20 && *byte != 0x7f && strchr("/.\\%", *byte) == NULL;
}

/* path starts with a slash. A trailing one is an empty segment only to look at. */
static bool unambiguous(struct slice path)
{
    struct utf8_check text; /* of the decoded path */
    size_t from = 1;

    utf8_check_init(&text);
    for (size_t i = 1; i <= path.len; i++) {
        char c = i < path.len ? path.ptr[i] : '/';
        struct slice segment = {path.ptr + from, i - from};

        if (c == '/') {
            if (is_dots(segment) || (segment.len == 0 && i < path.len))
                return false;
            from = i + 1;
        } else if (c == '\\' || (unsigned char)c <= 0x20 || (unsigned char)c >= 0x7f) {
            return false;
        } else if (c == '%') {
            if (!read_escape(path, i, &c))
                return false;
            i += 2;
        }
        if (!utf8_check_feed(&text, &c, 1))
            return false;
    }
    return true;
}

enum im_path im_path_read(struct slice prefix, struct slice path, struct slice *call)
{
    struct slice rest;

    if (prefix.len == 0 || !starts_with(path, prefix))
        return IM_PATH_OTHER;
    rest = behind(path, prefix.len);
    if (rest.len > 0 && rest.ptr[0] != '/')
        return IM_PATH_OTHER;
    if (rest.len > 0 && !unambiguous(rest))
        return IM_PATH_BAD;
    if (!starts_with(rest, SLICE_LIT(IM_PATH_API)) || rest.len == strlen(IM_PATH_API))
        return IM_PATH_UNKNOWN;
    *call = behind(rest, strlen(IM_PATH_API));
    return IM_PATH_OK;
}

/* By its decoded name: who is behind may look at that. */
static bool carries_token(struct slice pair)
{
    const char *eq = memchr(pair.ptr, '=', pair.len);
    struct slice name = {pair.ptr, eq == NULL ? pair.len : (size_t)(eq - pair.ptr)};
    char decoded[32];
    size_t n;

    if (!http_percent_decode(name, decoded, sizeof decoded, &n))
        return false;
    name = (struct slice){decoded, n};
    return slice_eq_nocase(name, SLICE_LIT("access_token")) ||
           slice_eq_nocase(name, SLICE_LIT("enc_auth_token"));
}

void im_path_target(struct slice call, struct slice query, struct byte_buf *out)
{
    char next = '?';

    byte_buf_puts(out, IM_PATH_API);
    byte_buf_put(out, call);
    if (query.ptr != NULL && query.len == 0) /* "call?": some clients always send the mark */
        byte_buf_putc(out, next);
    while (query.len > 0) {
        const char *amp = memchr(query.ptr, '&', query.len);
        struct slice pair = {query.ptr, amp == NULL ? query.len : (size_t)(amp - query.ptr)};

        if (!carries_token(pair)) {
            byte_buf_putc(out, next);
            byte_buf_put(out, pair);
            next = '&';
        }
        query = behind(query, pair.len + (amp != NULL));
        if (amp != NULL && query.len == 0 && next == '&')
            byte_buf_putc(out, next); /* it ended with one */
    }
}

static const struct {
    enum http_method method;
    const char *name;
} methods[] = {{HTTP_GET_, "GET"},        {HTTP_HEAD_, "HEAD"},   {HTTP_POST_, "POST"},
               {HTTP_PUT_, "PUT"},        {HTTP_PATCH_, "PATCH"}, {HTTP_DELETE_, "DELETE"},
               {HTTP_OPTIONS_, "OPTIONS"}};

const char *im_path_method(enum http_method method)
{
    for (size_t i = 0; i < sizeof methods / sizeof methods[0]; i++)
        if (methods[i].method == method)
            return methods[i].name;
    return "";
}

bool im_path_listed(const char *const *routes, enum http_method method, struct slice call)
{
    const struct slice name = slice_of(im_path_method(method));

    for (; routes != NULL && *routes != NULL; routes++) {
        struct slice route = slice_of(*routes);

        if (!starts_with(route, name) || route.len == name.len || route.ptr[name.len] != ' ')
            continue;
        route = behind(route, name.len + 1);
        if (route.ptr[route.len - 1] == '*') {
            route.len--;
            if (starts_with(call, route))
                return true;
        } else if (slice_eq(call, route)) {
            return true;
        }
    }
    return false;
}

static bool is_call(struct slice call, struct slice name)
{
    char decoded[16];
    size_t n;

    if (call.len > 0 && call.ptr[call.len - 1] == '/')
        call.len--;
    return http_percent_decode(call, decoded, sizeof decoded, &n) &&
           slice_eq_nocase((struct slice){decoded, n}, name);
}

bool im_path_is_login(struct slice call)
{
    return is_call(call, SLICE_LIT("login"));
}

bool im_path_is_logout(struct slice call)
{
    return is_call(call, SLICE_LIT("logout"));
}

/* Of a listed route, which has no percent sign. */
static bool ends_tokens(const char *route)
{
    static const char *const calls[] = {"POST logout", "GET logout", "POST users.logout",
                                        "POST users.logoutOtherClients",
                                        "POST users.removeOtherTokens"};
    size_t len = strcspn(route, "*");

    if (route[len] == '\0' && len > 0 && route[len - 1] == '/')
        len--;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++)
        if (strncasecmp(route, calls[i], len) == 0 && (route[len] == '*' || calls[i][len] == '\0'))
            return true;
    return false;
}

const char *im_path_check_route(const char *text)
{
    const char *space = strchr(text, ' '), *star = strchr(text, '*');
    bool known = false;

    for (size_t i = 0; space != NULL && i < sizeof methods / sizeof methods[0]; i++)
        known = known ||
                slice_eq(slice_of(methods[i].name), (struct slice){text, (size_t)(space - text)});
    if (!known || space[1] == '\0' || space[1] == '/' || space[1] == '*' ||
        strpbrk(space + 1, " ?\\%") != NULL || (star != NULL && star[1] != '\0'))
        return "must be a method and a call, as \"GET channels.list\", or \"GET channels.list*\" "
               "for all that begin so";
    if (ends_tokens(text))
        return "must not cover logout, users.logout, users.logoutOtherClients or "
               "users.removeOtherTokens: anybody could end the administrator's token";
    return NULL;
}
