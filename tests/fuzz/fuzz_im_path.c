/* What the proxy takes from a request: paths, queries, header lines, credentials, bodies that name
 * methods. Nothing that was taken can be read as another path, as a line of its own, or as the
 * caller's token; no body that is not JSON passes for harmless. */
#include "base/json_slice.h"
#include "bridge/im_proxy/im_caller.h"
#include "bridge/im_proxy/im_headers.h"
#include "bridge/im_proxy/im_method.h"
#include "bridge/im_proxy/im_path.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static bool has(struct slice s, const char *text)
{
    return memmem(s.ptr, s.len, text, strlen(text)) != NULL;
}

static void check_path(struct slice path, struct slice query)
{
    struct slice call, found;
    struct byte_buf target = {0};
    char decoded[256];
    size_t n;

    if (im_path_read(SLICE_LIT("/im"), path, &call) != IM_PATH_OK)
        return;
    assert(call.len > 0);
    im_path_target(call, query, &target);
    assert(target.len >= 8 && memcmp(target.data, "/api/v1/", 8) == 0);
    assert(!has(call, "/../") && !has(call, "//") && !has(call, "\\") && !has(call, "?"));
    if (http_percent_decode(call, decoded, sizeof decoded, &n)) {
        struct slice plain = {decoded, n};

        /* Decoding adds no structure, and a second time changes nothing. */
        assert(memchr(decoded, '\0', n) == NULL && !has(plain, "\\") && !has(plain, "\n"));
        assert(memchr(decoded, '%', n) == NULL);
        assert(!(n >= 2 && memcmp(decoded, "..", 2) == 0 && (n == 2 || decoded[2] == '/')));
    }
    if (target.len > 8 + call.len) {
        found = (struct slice){target.data + 8 + call.len + 1, target.len - 8 - call.len - 1};
        assert(!http_query_get(found, "access_token", &found));
    }
    byte_buf_free(&target);
}

static void check_headers(struct slice text)
{
    struct http_header headers[IM_HEADERS_MAX], out[IM_HEADERS_MAX];
    struct http_view v = {.headers = headers, .method = HTTP_POST_};
    static struct im_headers answer;
    struct im_caller caller;
    size_t n;

    while (text.len > 0 && v.nheaders < IM_HEADERS_MAX) {
        const char *end = memchr(text.ptr, '\n', text.len);
        struct slice line = {text.ptr, end == NULL ? text.len : (size_t)(end - text.ptr)};
        const char *colon = memchr(line.ptr, ':', line.len);

        text.ptr += line.len + (end != NULL);
        text.len -= line.len + (end != NULL);
        if (colon == NULL)
            continue;
        headers[v.nheaders].name = (struct slice){line.ptr, (size_t)(colon - line.ptr)};
        headers[v.nheaders].value =
            (struct slice){colon + 1, line.len - headers[v.nheaders].name.len - 1};
        im_headers_add(&answer, headers[v.nheaders].name, headers[v.nheaders].value);
        v.nheaders++;
    }
    n = im_headers_request(&v, out);
    assert(n <= v.nheaders);
    for (size_t i = 0; i < n; i++)
        assert(!slice_eq_nocase(out[i].name, SLICE_LIT("cookie")) &&
               !slice_eq_nocase(out[i].name, SLICE_LIT("x-auth-token")));
    n = im_headers_answer(&answer, out);
    for (size_t i = 0; i < n; i++) {
        assert(!has(out[i].value, "\r") && !has(out[i].name, ":"));
        assert(!slice_eq_nocase(out[i].name, SLICE_LIT("set-cookie")));
    }
    im_headers_clear(&answer);
    im_caller_read(&v, &caller);
    if (caller.kind == IM_CALLER_HEADERS || caller.kind == IM_CALLER_COOKIES)
        for (const char *c = caller.auth_token; *c != '\0'; c++)
            assert(*c > ' ' && *c < 0x7f);
    im_caller_origin_allowed(NULL, &v);
}

static void check_method(struct slice body)
{
    struct http_header type = {SLICE_LIT("Content-Type"), SLICE_LIT("application/json")};
    const struct http_view v = {.method = HTTP_POST_, .headers = &type, .nheaders = 1};

    if (!im_method_may_log_in(&v, SLICE_LIT("method.call/x"), body))
        assert(json_valid(body.ptr, body.len, JSON_MAX_DEPTH));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice all = {(const char *)data, len}, path = all, query = {NULL, 0};
    const char *mark = len == 0 ? NULL : memchr(data, '?', len);

    if (mark != NULL) {
        path.len = (size_t)(mark - all.ptr);
        query = (struct slice){mark + 1, len - path.len - 1};
    }
    check_path(path, query);
    check_headers(all);
    check_method(all);
    return 0;
}
