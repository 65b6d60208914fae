/* Any bytes as the arguments of a hub method, the first byte saying of which: what is taken lies
 * within them and becomes JSON, with no more in it than the template and the arguments. */
#include "base/json_slice.h"
#include "bridge/hub/hub_method.h"
#include <assert.h>
#include <string.h>

static void check_template(const char *template, const struct hub_args *args)
{
    struct byte_buf out = {0};

    if (template == NULL)
        return;
    hub_method_write(template, args, SLICE_LIT("an\"a"), &out);
    assert(byte_buf_failed(&out) || json_valid(out.data, out.len, JSON_MAX_DEPTH));
    byte_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct hub_args args;
    const struct hub_method *table, *m;
    const char *start = (const char *)data + 1;
    size_t count;

    if (len == 0)
        return 0;
    table = hub_method_table(&count);
    m = &table[data[0] % count];
    if (!hub_args_parse(m, (struct slice){start, len - 1}, &args))
        return 0;
    assert(json_valid(start, len - 1, JSON_MAX_DEPTH));
    for (unsigned i = 0; i < HUB_ARGS_MAX; i++) {
        const struct slice given = args.given[i];

        assert(m->args[i].kind != ARG_NONE || given.ptr == NULL);
        assert(i >= m->needed || given.ptr != NULL);
        if (given.ptr != NULL)
            assert(json_valid(given.ptr, given.len, JSON_MAX_DEPTH));
        if (m->args[i].kind == ARG_ROOM) {
            const struct slice id = hub_args_text(&args, i);

            assert(id.len > 0 && memchr(id.ptr, '/', id.len) == NULL &&
                   memchr(id.ptr, '\\', id.len) == NULL);
        }
    }
    check_template(m->params, &args);
    check_template(m->body, &args);
    if (m->action == ACTION_NAMED) {
        struct byte_buf params = {0};

        byte_buf_putc(&params, '[');
        byte_buf_put(&params, args.more);
        byte_buf_putc(&params, ']');
        assert(byte_buf_failed(&params) || json_valid(params.data, params.len, JSON_MAX_DEPTH));
        byte_buf_free(&params);
    }
    return 0;
}
