/* Query lookup and percent-decoding. */
#include "signalr/http/http_server.h"

#include <assert.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct slice query = {(const char *)data, len}, value;
    char *out = malloc(len + 1);
    size_t n;

    assert(out != NULL);
    if (http_query_get(query, "id", &value)) {
        assert(value.ptr >= query.ptr && value.ptr + value.len <= query.ptr + query.len);
        assert(memchr(value.ptr, '&', value.len) == NULL);
        if (http_percent_decode(value, out, value.len, &n))
            assert(n <= value.len);
    }
    if (http_percent_decode(query, out, len, &n)) {
        size_t percents = 0;

        for (size_t i = 0; i < len; i++)
            percents += data[i] == '%';
        assert(n == len - 2 * percents);
        assert(n == 0 || !http_percent_decode(query, out, n - 1, &n));
    }
    free(out);
    return 0;
}
