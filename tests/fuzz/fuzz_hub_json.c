/* Any bytes as a hub message: what is accepted is valid JSON, its slices lie inside and its needed
 * members are there. */
#include "base/json_slice.h"
#include "signalr/protocol/hub_json.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void assert_inside(struct slice s, const uint8_t *data, size_t len)
{
    if (s.ptr != NULL)
        assert((const uint8_t *)s.ptr >= data && (const uint8_t *)s.ptr + s.len <= data + len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hub_json_message m;

    if (!hub_json_parse((struct slice){(const char *)data, len}, &m))
        return 0;
    assert(json_valid(data, len, HUB_JSON_MAX_DEPTH));
    assert(m.type >= HUB_INVOCATION && m.type <= HUB_UNKNOWN);
    assert_inside(m.invocation_id, data, len);
    assert_inside(m.target, data, len);
    assert_inside(m.arguments, data, len);
    assert_inside(m.item, data, len);
    assert_inside(m.result, data, len);
    assert_inside(m.error, data, len);
    if (m.arguments.ptr != NULL)
        assert(m.arguments.ptr[0] == '[' && m.arguments.ptr[m.arguments.len - 1] == ']');
    if (m.type == HUB_INVOCATION || m.type == HUB_STREAM_INVOCATION)
        assert(m.target.len > 0 && m.arguments.ptr != NULL);
    if (m.type >= HUB_STREAM_ITEM && m.type <= HUB_CANCEL_INVOCATION)
        assert(m.invocation_id.len > 0);
    return 0;
}
