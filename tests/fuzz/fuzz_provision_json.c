/* What Rocket.Chat answers the provisioner, any bytes: ids and tokens that come out of it fit a
 * header, texts end, and what is said of them is JSON. */
#include "base/json_slice.h"
#include "bridge/provisioning/provision_json.h"
#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_header(const char *text)
{
    assert(*text != '\0');
    for (; *text != '\0'; text++)
        assert(*text > ' ' && *text < 0x7f);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct slice body = {(const char *)data, len};
    const struct profile wanted = {.email = "a@x", .name = "Ana"};
    struct provision_info info;
    struct byte_buf out = {0};
    char id[PROVISION_ID_MAX], token[256];

    if (provision_read_info(body, &info)) {
        check_header(info.id);
        assert(strlen(info.username) < sizeof info.username);
        if (provision_write_update(&out, &info, &wanted, true))
            assert(json_valid(out.data, out.len, JSON_MAX_DEPTH));
        byte_buf_free(&out);
    }
    if (provision_read_token(body, id, token)) {
        check_header(id);
        check_header(token);
    }
    provision_is_unknown(body);
    return 0;
}
