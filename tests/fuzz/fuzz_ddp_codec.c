/* Any bytes as a DDP frame: the codec takes exactly the JSON objects, its slices lie in the frame
 * and are what they claim to be, and the parsers behind it (errors, login results, ids) take them.
 */
#include "base/byte_buf.h"
#include "base/json_slice.h"
#include "rocketchat/ddp_codec.h"
#include "rocketchat/ddp_connector.h"
#include "rocketchat/ddp_error.h"
#include <assert.h>

static void check_inside(struct slice text, struct slice part)
{
    assert(part.ptr == NULL ||
           (part.ptr >= text.ptr && part.ptr + part.len <= text.ptr + text.len));
}

static void check_string(struct slice text, struct slice s)
{
    check_inside(text, s);
    if (s.ptr == NULL)
        return;
    assert(s.ptr > text.ptr && s.ptr[-1] == '"' && s.ptr[s.len] == '"');
    assert(json_valid(s.ptr - 1, s.len + 2, 1));
}

static void check_value(struct slice text, struct slice s, char first)
{
    check_inside(text, s);
    if (s.ptr == NULL)
        return;
    assert(s.len > 0 && (first == 0 || s.ptr[0] == first));
    assert(json_valid(s.ptr, s.len, JSON_MAX_DEPTH));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice text = {(const char *)data, len};
    struct ddp_login_result login;
    struct byte_buf pong = {0};
    struct rc_error error;
    struct json_reader r;
    struct ddp_frame f;
    uint32_t id;
    bool object;

    json_reader_init(&r, data, len, JSON_MAX_DEPTH);
    object = json_peek(&r) == JSON_KIND_OBJECT && json_skip(&r) && json_end(&r);
    assert(ddp_frame_parse(text, &f) == object);
    ddp_error_parse(text, &error);
    assert(error.result > RC_OK && error.result < RC_NRESULTS);
    if (!object)
        return 0;
    assert(error.retry_after_ms <= 24 * 3600 * 1000);
    check_string(text, f.name);
    check_string(text, f.id);
    check_string(text, f.session);
    check_string(text, f.collection);
    check_string(text, f.event_name);
    check_value(text, f.subs, '[');
    check_value(text, f.fields, '{');
    check_value(text, f.result, 0);
    check_value(text, f.error, 0);
    assert(json_valid(f.args.ptr, f.args.len, JSON_MAX_DEPTH) && f.args.ptr[0] == '[');
    if (ddp_login_result_parse(text, &login)) {
        check_string(text, login.user_id);
        check_string(text, login.token);
    }
    if (f.id.ptr != NULL && ddp_id_parse(f.id, &id))
        assert(id > 0);
    ddp_write_pong(&pong, f.id);
    assert(byte_buf_failed(&pong) || json_valid(pong.data, pong.len, 1));
    byte_buf_free(&pong);
    return 0;
}
