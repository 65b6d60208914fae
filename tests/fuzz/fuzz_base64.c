/* Any text: what decodes encodes back to the same text (one text, one meaning), padding aside; any
 * bytes: what is encoded decodes to them. */
#include "base/base64.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

static void check(enum base64_alphabet alphabet, const uint8_t *data, size_t len)
{
    struct slice text = {(const char *)data, len};
    uint8_t *bytes = malloc(len + 1);
    char *again = malloc(BASE64_LEN(len) + 1);
    size_t bytes_len, again_len;

    assert(bytes != NULL && again != NULL);
    if (base64_decode(alphabet, text, bytes, len, &bytes_len)) {
        assert(bytes_len <= len / 4 * 3 + 2);
        assert(bytes_len == 0 || !base64_decode(alphabet, text, bytes, bytes_len - 1, &again_len));
        again_len = base64_encode(alphabet, bytes, bytes_len, again);
        assert(again_len <= len || alphabet == BASE64_STD);
        assert(memcmp(again, data, again_len < len ? again_len : len) == 0);
    }

    again_len = base64_encode(alphabet, data, len, again);
    assert(again_len <= BASE64_LEN(len) && again[again_len] == '\0');
    assert(base64_decode(alphabet, (struct slice){again, again_len}, bytes, len, &bytes_len));
    assert(bytes_len == len && (len == 0 || memcmp(bytes, data, len) == 0));
    free(bytes);
    free(again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    check(BASE64_STD, data, len);
    check(BASE64_URL, data, len);
    return 0;
}
