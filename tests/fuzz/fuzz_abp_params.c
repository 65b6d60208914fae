/* A request's query and body, cut at the first NUL, on their way to Rocket.Chat: what goes on is
 * one JSON object, or a query of nothing but encoded text. */
#include "base/json_slice.h"
#include "bridge/abp/abp_params.h"
#include <assert.h>
#include <ctype.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_query(struct slice query)
{
    for (size_t i = 0; i < query.len; i++)
        assert(isalnum((unsigned char)query.ptr[i]) || strchr("-._~%=&", query.ptr[i]) != NULL);
}

static bool password(void *arg, struct slice username, struct byte_buf *out)
{
    (void)arg;
    assert(username.len > 0);
    byte_buf_puts(out, "\"secret\"");
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static const struct abp_user_defaults defaults = {.password = password};
    const uint8_t *nul = len == 0 ? NULL : memchr(data, '\0', len);
    struct slice query = {(const char *)data, nul == NULL ? len : (size_t)(nul - data)};
    struct slice body = {0};
    struct byte_buf out = {0};
    struct abp_new_user user;
    const char *member;

    if (nul != NULL)
        body = (struct slice){(const char *)nul + 1, len - query.len - 1};
    if (abp_params_for_get(query, body, &out) == NULL)
        check_query(byte_buf_slice(&out));
    byte_buf_clear(&out);
    if (abp_params_for_post(query, body, &out) == NULL)
        assert(json_valid(out.data, out.len, JSON_MAX_DEPTH));
    byte_buf_clear(&out);
    if (abp_params_new_user(body, &defaults, &out, &user, &member) == NULL)
        assert(json_valid(out.data, out.len, JSON_MAX_DEPTH) && user.username.len > 0);
    byte_buf_free(&out);
    return 0;
}
